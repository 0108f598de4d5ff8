# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime as a peer: its answers as test folders that `signetctl test` compares with ours."""
import onnx
import onnxruntime
from onnx import helper, numpy_helper

DOMAINS = [helper.make_opsetid("com.microsoft", 1), helper.make_opsetid("ai.onnx.preview", 1)]


def model_of(op, feeds, outputs, attrs, domain="", opset=22, constants=()):
    """A model of one node. feeds: arrays by name, None where an optional input is absent; an
    output that is "" is absent. Inputs named in constants are initializers."""
    names = [n if a is not None else "" for n, a in feeds.items()]
    while names and not names[-1]:
        names.pop()
    node = helper.make_node(op, names, outputs, domain=domain, **attrs)
    given = {n: a for n, a in feeds.items() if a is not None}
    ins = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
           for n, a in given.items() if n not in constants]
    outs = [helper.make_empty_tensor_value_info(n) for n in outputs if n]
    fixed = [numpy_helper.from_array(given[n], n) for n in constants if n in given]
    graph = helper.make_graph([node], "g", ins, outs, fixed)
    return helper.make_model(graph, ir_version=10,
                             opset_imports=[helper.make_opsetid("", opset), *DOMAINS])


def session(model):
    """On one thread, and with nothing fused that is not in the model."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    data = model.SerializeToString() if isinstance(model, onnx.ModelProto) else str(model)
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def answers(model, feeds):
    s = session(model)
    return s.run(None, {i.name: feeds[i.name] for i in s.get_inputs()})


def write_case(folder, model, feeds, wanted):
    """As the ONNX suite has them. The outputs' types are the wanted ones'."""
    for out, a in zip(model.graph.output, wanted):
        tensor = out.type.tensor_type
        tensor.elem_type = helper.np_dtype_to_tensor_dtype(a.dtype)
    data = folder / "test_data_set_0"
    data.mkdir(parents=True)
    onnx.save(model, folder / "model.onnx")
    for i, value in enumerate(model.graph.input):
        (data / f"input_{i}.pb").write_bytes(
            numpy_helper.from_array(feeds[value.name], value.name).SerializeToString())
    for i, (value, a) in enumerate(zip(model.graph.output, wanted)):
        (data / f"output_{i}.pb").write_bytes(
            numpy_helper.from_array(a, value.name).SerializeToString())


def compare(signetctl, folders, rtol=1e-4, atol=1e-5):
    """All must pass; the first wrong element of each that does not is in the message."""
    status, out, err = signetctl("test", "--rtol", rtol, "--atol", atol, *folders, check=False)
    assert status == 0, out + err
    assert f"{len(folders)} passed, 0 failed, 0 skipped" in out
