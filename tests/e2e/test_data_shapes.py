# SPDX-License-Identifier: Apache-2.0
"""Outputs whose shape depends on data: never memory written beyond what was taken for them, never a
row that looks otherwise in company."""
import concurrent.futures
import json
import os
import tempfile

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import signet

FLOAT = TensorProto.FLOAT


def model(nodes, x_dims, y_dims, **constants):
    values = [numpy_helper.from_array(np.array(v, np.int64), k) for k, v in constants.items()]
    graph = helper.make_graph(nodes, "data", [helper.make_tensor_value_info("x", FLOAT, x_dims)],
                              [helper.make_tensor_value_info("y", FLOAT, y_dims)], values)
    m = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(m, full_check=True)
    return m


def wide(y_dims):
    """Column 0 of x as often as the greatest number in x says, and once at least."""
    n = helper.make_node
    return model(
        [n("ReduceMax", ["x"], ["m"], keepdims=0), n("Cast", ["m"], ["i"], to=TensorProto.INT64),
         n("Reshape", ["i", "one"], ["v"]), n("Max", ["v", "one"], ["w"]),
         n("Shape", ["x"], ["s"]), n("Slice", ["s", "zero", "one"], ["n"]),
         n("Slice", ["x", "zero", "one", "one"], ["first"]),
         n("Concat", ["n", "w"], ["to"], axis=0), n("Expand", ["first", "to"], ["y"])],
        ["N", "K"], y_dims, zero=[0], one=[1])


def positive():
    """The rows of x whose first number is above zero, twice if it is above nine."""
    n = helper.make_node
    return model(
        [n("Slice", ["x", "zero", "one", "one"], ["first"]), n("Squeeze", ["first", "one"], ["f"]),
         n("CastLike", ["zero", "f"], ["floor"]), n("Greater", ["f", "floor"], ["is"]),
         n("Compress", ["x", "is"], ["some"], axis=0), n("CastLike", ["nine", "f"], ["limit"]),
         n("Greater", ["f", "limit"], ["large"]), n("Compress", ["x", "large"], ["more"], axis=0),
         n("Concat", ["some", "more"], ["y"], axis=0)],
        ["N", 2], ["M", 2], zero=[0], one=[1], nine=[9])


def greedy():
    """x, and on the way there as many numbers as the greatest one in x says."""
    n = helper.make_node
    return model(
        [n("ReduceMax", ["x"], ["m"], keepdims=0), n("Cast", ["m"], ["i"], to=TensorProto.INT64),
         n("Reshape", ["i", "one"], ["u"]), n("Max", ["u", "one"], ["v"]),
         n("CastLike", ["one", "x"], ["f"]), n("Expand", ["f", "v"], ["e"]),
         n("ReduceMin", ["e"], ["least"], keepdims=0), n("Mul", ["x", "least"], ["y"])],
        ["N", "K"], ["N", "K"], one=[1])


@pytest.fixture(scope="module")
def daemon():
    models = signet.Models()
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "model.onnx")
        # The second one's author says that it is as wide as its input.
        for name, made in (("wide", wide(["N", "W"])), ("claims", wide(["N", "K"])),
                           ("positive", positive()), ("greedy", greedy()),
                           ("relu", model([helper.make_node("Relu", ["x"], ["y"])], ["N", "K"], ["N", "K"]))):
            onnx.save(made, file)
            models.add(name, 1, file)
    d = signet.Daemon("--model-root", models.path, "--set", "model *.batch_delay=2ms").ready()
    yield d
    d.close()
    models.close()


def predict(daemon, name, x):
    status, _, reply = daemon.request("POST", f"/v1/models/{name}:predict", {"inputs": {"x": x}})
    return status, json.loads(reply)


@pytest.mark.parametrize("rows", [1, 3, 32, 64])
def test_answers_are_as_wide_as_the_model_makes_them(daemon, rows):
    for name in ("wide", "claims"):
        status, reply = predict(daemon, name, [[7, 1]] * rows)
        assert (status, reply) == (200, {"outputs": [[7.0] * 7] * rows})


def test_rows_of_different_widths_are_padded_by_the_model_alone(daemon):
    status, reply = predict(daemon, "claims", [[1, 1]] * 32 + [[5000, 1]] * 32)
    assert status == 200 and np.shape(reply["outputs"]) == (64, 5000)


def test_more_and_fewer_rows_than_came(daemon):
    assert predict(daemon, "positive", [[1, 1], [-1, 1]])[1] == {"outputs": [[1.0, 1.0]]}
    assert predict(daemon, "positive", [[10, 1]])[1] == {"outputs": [[10.0, 1.0]] * 2}
    many = [[10, 1]] * 32 + [[-1, 1]] * 32
    assert predict(daemon, "positive", many) == (200, {"outputs": [[10.0, 1.0]] * 64})


def test_company_changes_no_answer(daemon):
    def ask(i):
        rows, width = i % 3 + 1, i % 5 + 1
        if i % 2:
            return predict(daemon, "positive", [[i, 1], [-1, 1]]) == (
                200, {"outputs": [[i, 1]] * (1 + (i > 9))})
        return predict(daemon, "wide", [[width, 1]] * rows) == (200, {"outputs": [[width] * width] * rows})

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(600)))


def test_who_asks_for_too_much_fails_alone(daemon):
    def ask(i):
        if i % 4 == 0:
            return predict(daemon, "greedy", [[3e11, 1]])[0] == 429
        return predict(daemon, "greedy", [[i, 1]]) == (200, {"outputs": [[i, 1]]})

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(1, 400)))


def test_many_empty_rows_are_one_run(daemon):
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1 << 28, 0], "data": []}]}
    status, _, reply = daemon.request("POST", "/v2/models/relu/infer", body)
    assert status == 200 and json.loads(reply)["outputs"][0]["shape"] == [1 << 28, 0]

    body["inputs"][0]["shape"] = [1 << 40, 0]
    status, _, reply = daemon.request("POST", "/v2/models/relu/infer", body)
    assert status == 400 and "which is empty and too large" in json.loads(reply)["error"]
