# SPDX-License-Identifier: Apache-2.0
"""Models with sequences and optionals: what requests may name and what they may leave out."""
import json
import os
import tempfile

import numpy as np
import onnx
import pytest
import tritonclient.grpc as triton
from onnx import TensorProto, helper, numpy_helper

import signet

FLOAT = TensorProto.FLOAT


def sequence_info(name):
    return helper.make_tensor_sequence_value_info(name, FLOAT, None)


def model(nodes, inputs, outputs, **metadata):
    graph = helper.make_graph(nodes, "sequences", inputs, outputs)
    m = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    helper.set_model_props(m, {f"signet.signature.{k}": v for k, v in metadata.items()})
    onnx.checker.check_model(m, full_check=True)
    return m


def parts():
    """The rows of x as a sequence, and how many there are; the signature "count" has the latter."""
    return model(
        [helper.make_node("SplitToSequence", ["x"], ["parts"], axis=0, keepdims=0),
         helper.make_node("SequenceLength", ["parts"], ["n"])],
        [helper.make_tensor_value_info("x", FLOAT, ["rows", 2])],
        [sequence_info("parts"), helper.make_tensor_value_info("n", TensorProto.INT64, [])],
        **{"count.inputs": "x", "count.outputs": "n"})


def perhaps():
    """Whether bias is there."""
    optional = helper.make_optional_type_proto(helper.make_tensor_type_proto(FLOAT, [2]))
    return model(
        [helper.make_node("OptionalHasElement", ["bias"], ["has"]),
         helper.make_node("Identity", ["x"], ["y"])],
        [helper.make_tensor_value_info("x", FLOAT, [2]), helper.make_value_info("bias", optional)],
        [helper.make_tensor_value_info("has", TensorProto.BOOL, []),
         helper.make_tensor_value_info("y", FLOAT, [2])])


@pytest.fixture(scope="module")
def daemon():
    models = signet.Models()
    with tempfile.TemporaryDirectory() as folder:
        for name, made in (("parts", parts()), ("perhaps", perhaps())):
            file = os.path.join(folder, "model.onnx")
            onnx.save(made, file)
            models.add(name, 1, file)
    d = signet.Daemon("--model-root", models.path).ready()
    yield d
    d.close()
    models.close()


def predict(daemon, name, **body):
    status, _, reply = daemon.request("POST", f"/v1/models/{name}:predict", body)
    return status, json.loads(reply)


def test_a_signature_with_a_sequence_is_refused_by_name(daemon):
    status, reply = predict(daemon, "parts", inputs={"x": [[1, 2], [3, 4]]})
    assert status == 501
    assert "signature 'serving_default': output 'parts' is a sequence of float32" in reply["error"]


def test_one_without_it_is_served(daemon):
    status, reply = predict(daemon, "parts", signature_name="count", inputs={"x": [[1, 2], [3, 4], [5, 6]]})
    assert (status, reply) == (200, {"outputs": 3})


def test_an_optional_input_may_be_left_out(daemon):
    status, reply = predict(daemon, "perhaps", inputs={"x": [1, 2]})
    assert (status, reply["outputs"]["has"]) == (200, False)
    status, reply = predict(daemon, "perhaps", inputs={"x": [1, 2], "bias": [3, 4]})
    assert (status, reply["outputs"]["has"]) == (200, True)


def test_the_model_configuration_says_what_is_optional(daemon):
    port = daemon.wait_log(r"listening on grpc://\S*:(\d+)").group(1)
    said = triton.InferenceServerClient(f"127.0.0.1:{port}").get_model_config("perhaps").config
    config = daemon.get("/v2/models/perhaps/config")[1]
    assert not said.HasField("dynamic_batching")  # its inputs have no rows
    assert {i.name: i.optional for i in said.input} == {"x": False, "bias": True}
    assert {i["name"]: i.get("optional", False) for i in config["input"]} == {"x": False, "bias": True}


def test_sequences_go_through_files(signetctl, tmp_path):
    onnx.save(parts(), tmp_path / "model.onnx")
    np.save(tmp_path / "x.npy", np.array([[1, 2], [3, 4]], np.float32))
    signetctl("run", tmp_path / "model.onnx", "--input", f"x={tmp_path}/x.npy",
              "--output", f"parts={tmp_path}/parts.pb")
    parsed = onnx.SequenceProto.FromString((tmp_path / "parts.pb").read_bytes())
    assert [a.tolist() for a in numpy_helper.to_list(parsed)] == [[1, 2], [3, 4]]
    status, _, error = signetctl("run", tmp_path / "model.onnx", "--input", f"x={tmp_path}/x.npy",
                                 "--output", f"parts={tmp_path}/parts.npy", check=False)
    assert status != 0 and "sequences and optionals go in .pb files" in error


def test_an_optional_goes_through_files(signetctl, tmp_path):
    optional = helper.make_optional_type_proto(helper.make_tensor_type_proto(FLOAT, [2]))
    made = model([helper.make_node("Identity", ["o"], ["y"])], [helper.make_value_info("o", optional)],
                 [helper.make_value_info("y", optional)])
    onnx.save(made, tmp_path / "model.onnx")
    for given in (np.array([1, 2], np.float32), None):
        kind = onnx.OptionalProto.UNDEFINED if given is None else onnx.OptionalProto.TENSOR
        value = helper.make_optional("o", kind, None if given is None else numpy_helper.from_array(given))
        (tmp_path / "o.pb").write_bytes(value.SerializeToString())
        signetctl("run", tmp_path / "model.onnx", "--input", f"o={tmp_path}/o.pb",
                  "--output", f"y={tmp_path}/y.pb")
        back = onnx.OptionalProto.FromString((tmp_path / "y.pb").read_bytes())
        if given is None:
            assert not back.HasField("tensor_value")
        else:
            assert numpy_helper.to_array(back.tensor_value).tolist() == [1, 2]
