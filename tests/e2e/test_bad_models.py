# SPDX-License-Identifier: Apache-2.0
"""Model files that are wrong, beside a good version: rows M1 to M22 of the bad inputs.

Each file becomes version 2 of a model whose version 1 is good. Whatever is in it, the daemon
lives, version 1 keeps answering, version 2 ends as failed with a reason that names no path.
"""
import gzip
import json
import time

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from signet_server import Server

INFER = "/v2/models/digits/infer"
ROW = {"inputs": [{"name": "image", "shape": [1, 64], "datatype": "FP32", "data": [1.0] * 64}]}


@pytest.fixture(scope="module")
def server():
    with Server(models={"digits": ["1"]}, options={"repository.settle": "100ms"}) as s:
        yield s


@pytest.fixture(scope="module")
def good():
    from conftest import TREE

    return (TREE / "examples" / "models" / "digits" / "1" / "model.onnx").read_bytes()


def value(name, shape=("N", 4), kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def model(nodes, inputs=None, constants=(), opset=17, functions=(), imports=(), shape=("N", 4)):
    inputs = [value("x", shape)] if inputs is None else inputs
    graph = helper.make_graph(nodes, "g", inputs, [value("y", None)],
                              [numpy_helper.from_array(v, k) for k, v in dict(constants).items()])
    return helper.make_model(graph, functions=list(functions), ir_version=8,
                             opset_imports=[helper.make_opsetid("", opset), *imports])


def one(op, inputs=("x",), constants=(), shape=("N", 4), opset=17, **attrs):
    return model([helper.make_node(op, inputs, ["y"], name="bad one", **attrs)],
                 constants=constants, shape=shape, opset=opset).SerializeToString()


def nested(depth):
    """A model whose graph has a node with a body, whose node has a body, ..."""
    tags = [b"\x32", b"\x2a", b"\x0a"]  # attribute.g, node.attribute, graph.node
    heads, size = [], 0
    for i in range(3 * depth):
        heads.append(tags[i % 3] + varint(size))
        size += len(heads[-1])
    return b"\x08\x08\x42\x02\x10\x11\x3a" + varint(size) + b"".join(reversed(heads))


def varint(n):
    out = b""
    while n > 0x7f:
        out += bytes([n & 0x7f | 0x80])
        n >>= 7
    return out + bytes([n])


def external(location):
    m = model([helper.make_node("Add", ["x", "w"], ["y"])],
              constants={"w": np.zeros(4, np.float32)})
    onnx.external_data_helper.set_external_data(m.graph.initializer[0], location)
    m.graph.initializer[0].ClearField("raw_data")
    return m.SerializeToString()


def recursive():
    call = helper.make_node("F", ["a"], ["d"], domain="me")
    f = helper.make_function("me", "F", ["a"], ["d"], [call], [helper.make_opsetid("me", 1)])
    return model([helper.make_node("F", ["x"], ["y"], domain="me")], functions=[f],
                 imports=[helper.make_opsetid("me", 1)]).SerializeToString()


def shape_of_weight(dims):
    m = model([helper.make_node("Add", ["x", "w"], ["y"])],
              constants={"w": np.zeros(4, np.float32)})
    m.graph.initializer[0].ClearField("dims")
    m.graph.initializer[0].dims.extend(dims)
    return m.SerializeToString()


def if_without_else():
    body = helper.make_graph([helper.make_node("Identity", ["x"], ["a"])], "b", [], [value("a", None)])
    return model([helper.make_node("If", ["c"], ["y"], then_branch=body)],
                 [value("c", [], TensorProto.BOOL), value("x")]).SerializeToString()


IMAGE = ("N", 4, 8, 8)
KERNEL = {"w": np.ones((4, 4, 3, 3), np.float32)}


def i64(*v):
    return np.array(v, np.int64)


FILES = {
    "M1-empty": b"",
    "M1-one-byte": b"\x08",
    "M1-text": b"this is no model\n" * 100,
    "M1-gzip": gzip.compress(b"model"),
    "M1-html": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
    "M1-elf": b"\x7fELF\x02\x01\x01" + bytes(500),
    "M5-nested-65": nested(65),
    "M5-nested-100000": nested(100000),
    "M6-four-million-nodes": b"\x08\x08\x3a" + varint(8000000) + b"\x0a\x00" * 4000000
                             + b"\x42\x02\x10\x11",
    "M7-cycle": model([helper.make_node("Add", ["x", "b"], ["a"]),
                       helper.make_node("Relu", ["a"], ["b"]),
                       helper.make_node("Relu", ["b"], ["y"])]).SerializeToString(),
    "M8-unsorted": model([helper.make_node("Relu", ["a"], ["y"]),
                          helper.make_node("Relu", ["x"], ["a"])]).SerializeToString(),
    "M9-recursion": recursive(),
    "M10-twice": model([helper.make_node("Relu", ["x"], ["y"]),
                        helper.make_node("Abs", ["x"], ["y"])]).SerializeToString(),
    "M11-nobody-makes-it": one("Relu", ["nothing"]),
    "M12-opset": one("Relu", opset=1000000000),
    "M13-unknown-operator": one("Fnord"),
    "M13-wrong-attribute": one("Flatten", axis=1.5),
    "M14-negative": shape_of_weight([-4]),
    "M14-overflow": shape_of_weight([1 << 32, 1 << 32]),
    "M14-huge": shape_of_weight([1 << 40]),
    "M16-short": shape_of_weight([5]),
    "M17-passwd": external("/etc/passwd"),
    "M17-up": external("../1/model.onnx"),
    "M17-missing": external("missing"),
    "M20-stride-0": one("Conv", ["x", "w"], KERNEL, IMAGE, strides=[0, 1]),
    "M20-dilation-0": one("Conv", ["x", "w"], KERNEL, IMAGE, dilations=[0, 1]),
    "M20-dilation-huge": one("Conv", ["x", "w"], KERNEL, IMAGE, dilations=[1 << 62, 1]),
    "M20-group": one("Conv", ["x", "w"], KERNEL, IMAGE, group=3),
    "M20-group-0": one("Conv", ["x", "w"], KERNEL, IMAGE, group=0),
    "M20-pads": one("Conv", ["x", "w"], KERNEL, IMAGE, pads=[-20, 0, 0, 0]),
    "M20-pads-huge": one("Conv", ["x", "w"], KERNEL, IMAGE, pads=[1 << 62] * 4),
    "M20-kernel-0": one("MaxPool", shape=IMAGE, kernel_shape=[0, 1]),
    "M20-axis": one("Softmax", axis=2),
    "M20-axis-min": one("Softmax", axis=-(1 << 63)),
    "M20-perm": one("Transpose", perm=[0, 0]),
    "M20-perm-outside": one("Transpose", perm=[0, 2]),
    "M20-slice-step-0": one("Slice", ["x", "s", "e", "a", "z"],
                            {"s": i64(0), "e": i64(1), "a": i64(1), "z": i64(0)}),
    "M20-if-without-else": if_without_else(),
    "M20-resize-scale-0": one("Resize", ["x", "", "s"], {"s": np.array([1, 0], np.float32)}),
    "M20-reshape": one("Reshape", ["x", "s"], {"s": i64(-1, -1)}),
    "M20-reshape-huge": one("Reshape", ["x", "s"], {"s": i64(1 << 62, 4, -1)}),
    "M20-gather": one("Gather", ["x", "i"], {"i": i64(4)}, axis=1),
    "M20-expand-huge": one("Expand", ["x", "s"], {"s": i64(1 << 40, 1, 1)}),
    "M20-epsilon": one("InstanceNormalization", ["x", "w", "w"], {"w": np.ones(4, np.float32)}, IMAGE,
                       epsilon=-1.0),
    "M21-long-name": model([helper.make_node("Relu", ["x"], ["y"], name="n" * (1 << 20))]
                           ).SerializeToString(),
    "M22-many-inputs": one("Max", ["x"] * 100000),
}


def failure(server):
    """Why version 2 failed."""
    status, _, body = server.call("GET", "/v1/models/digits/versions/2")
    assert status == 200, body
    (row,) = json.loads(body)["model_version_status"]
    return row["status"]["error_code"], row["status"]["error_message"]


def told(server, since):
    return [line for line in server.log[since:] if "version 2: failed" in line]


@pytest.mark.parametrize("data", FILES.values(), ids=FILES.keys())
def test_a_bad_version_fails_alone(server, data):
    before = len(server.log)
    server.add("digits", "2", data=data)
    try:
        server.wait_state("2", "END")
        code, message = failure(server)
        assert code != "OK" and message
        assert "/" not in message.replace("/etc/passwd", "").replace("../1/model.onnx", ""), message
        assert server.states()["1"] == "AVAILABLE"
        assert server.post(INFER, ROW)[0] == 200
        deadline = time.monotonic() + 10
        while not told(server, before) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(told(server, before)) == 1, "one failure, one line"
    finally:
        server.remove("digits", "2")
        server.wait_state("2", None)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_M2_a_version_cut_off_fails_alone(server, good, part):
    test_a_bad_version_fails_alone(server, good[:int(len(good) * part)])
