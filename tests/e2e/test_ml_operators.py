# SPDX-License-Identifier: Apache-2.0
"""Every operator of ai.onnx.ml on random models, against ONNX Runtime's answers.

Models, inputs and answers become ONNX test cases, which `signetctl test` runs and compares:
strings and labels exactly, numbers to 1e-5.
"""
import ml_cases
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

onnxruntime.set_default_logger_severity(4)
SEED = 20


def ort_answers(model, inputs):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options,
                                           providers=["CPUExecutionProvider"])
    return session.run(None, {i.name: v for i, v in zip(session.get_inputs(), inputs)})


def float_answers(model, inputs):
    """For types of X that ONNX Runtime does not take."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    for v in model.graph.input:
        v.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    return ort_answers(model, [v.astype(np.float32) for v in inputs])


def swapped_answers(model, inputs):
    """ONNX Runtime takes TreeEnsemble's post transforms 1 and 2 for each other."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    for a in model.graph.node[0].attribute:
        if a.name == "post_transform":
            a.i = {1: 2, 2: 1}.get(a.i, a.i)
    return ort_answers(model, inputs)


ANSWERS = {None: ort_answers, "as float": float_answers, "swapped": swapped_answers}


def is_probit(model):
    return any(a.name == "post_transform" and (a.s == b"PROBIT" or a.i == 4)
               for a in model.graph.node[0].attribute)


def map_proto(x):
    """numpy_helper.from_dict() does not know keys that are strings."""
    proto = onnx.MapProto()
    if isinstance(next(iter(x)), str):
        proto.key_type = onnx.TensorProto.STRING
        proto.string_keys.extend(k.encode() for k in x)
    else:
        proto.key_type = onnx.TensorProto.INT64
        proto.keys.extend(x)
    proto.values.elem_type = onnx.SequenceProto.TENSOR
    proto.values.tensor_values.extend(value_proto(v, "") for v in x.values())
    return proto


def value_proto(v, name):
    if isinstance(v, dict):
        return map_proto(v)
    if isinstance(v, list) and (not v or isinstance(v[0], dict)):
        return onnx.SequenceProto(elem_type=onnx.SequenceProto.MAP, map_values=map(map_proto, v))
    dtype = {str: object, float: np.float32}.get(type(v))
    return numpy_helper.from_array(np.asarray(v, dtype), name)


def write_case(path, model, inputs, answers):
    data = path / "test_data_set_0"
    data.mkdir(parents=True)
    onnx.save(model, path / "model.onnx")
    # Its formula loses digits near zero, in ONNX Runtime, which has it in float32.
    if is_probit(model):
        (path / "data.json").write_text('{"rtol": 1e-4, "atol": 1e-4}')
    for what, values in (("input", inputs), ("output", answers)):
        for i, v in enumerate(values):
            proto = value_proto(v, f"{what}{i}")
            (data / f"{what}_{i}.pb").write_bytes(proto.SerializeToString())


@pytest.mark.parametrize("op", [*ml_cases.OPERATORS, *ml_cases.MAP_OPERATORS])
def test_answers_are_those_of_onnx_runtime(op, signetctl, tmp_path):
    n = 0
    for name, model, inputs, answers in ml_cases.cases(op, SEED):
        if answers is None or isinstance(answers, str):
            answers = ANSWERS[answers](model, inputs)
        write_case(tmp_path / name, model, inputs, answers)
        n += 1
    status, out, err = signetctl("test", "--rtol", "1e-5", "--atol", "1e-5", tmp_path, check=False)
    assert (status, f"{n} passed, 0 failed" in out) == (0, True), out + err
