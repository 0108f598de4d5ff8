# SPDX-License-Identifier: Apache-2.0
"""Generators: operators with bodies."""
import numpy as np
from onnx import TensorProto, helper

from .case import Case, Node
from .ops import generator

FLOAT = TensorProto.FLOAT
STEPS = ["Neg", "Abs", "Sigmoid", "Relu", "Floor", "Identity"]


def value(name, t=FLOAT, shape=None):
    return helper.make_tensor_value_info(name, t, shape)


def how(d):
    return d.pick(["static", "symbols", "unknown"])


@generator("If")
def if_(d):
    """Branches of one operator each, that capture what is outside."""
    a, b = d.broadcast(2)
    values = {"cond": np.array(d.chance(0.5)), "a": d.values(np.float32, a), "b": d.values(np.float32, b)}
    def branch(name):
        op = d.pick(["Add", "Sub", "Mul", "one"])
        node = helper.make_node(d.pick(STEPS), ["a"], [name]) if op == "one" else helper.make_node(op, ["a", "b"], [name])
        return helper.make_graph([node], name, [], [value(name)])
    attrs = {"then_branch": branch("t"), "else_branch": branch("e")}
    nodes = [Node("If", ["cond"], ["y"], attrs)]
    return Case(nodes, values, {"cond"} if d.chance(0.3) else set(), ["y"], d.pick([13, 16, 21, 25]), how(d))


@generator("Loop")
def loop(d):
    """v = op(v + a) for a number of turns or until the sum of v is large; each v is kept."""
    shape = d.shape(0, 3, zero=0)
    nodes = [helper.make_node("Add", ["v", "a"], ["s"]), helper.make_node(d.pick(STEPS), ["s"], ["v1"]),
             helper.make_node("ReduceMax", ["v1"], ["m"], keepdims=0), helper.make_node("Less", ["m", "top"], ["c1"]),
             helper.make_node("Identity", ["v1"], ["kept"])]
    body = helper.make_graph(nodes, "body", [value("i", TensorProto.INT64, []), value("c", TensorProto.BOOL, []),
                                             value("v", FLOAT, shape)],
                             [value("c1", TensorProto.BOOL), value("v1"), value("kept")])
    values = {"turns": np.array(d.int(-1, 6), np.int64), "on": np.array(d.chance(0.9)),
              "v": d.values(np.float32, shape, "plain"), "a": d.values(np.float32, shape, "plain"),
              "top": np.array(d.float(1, 9), np.float32)}
    nodes = [Node("Loop", ["turns", "on", "v"], ["y", "all"], {"body": body})]
    return Case(nodes, values, {k for k in ("turns", "on", "a", "top") if d.chance(0.3)}, ["y", "all"],
                d.pick([13, 16, 21]), "static")


@generator("Scan")
def scan(d):
    """Running sums along an axis, with a weight from outside."""
    shape = d.shape(1, 3, zero=0)
    axis, rank = d.int(0, len(shape) - 1), len(shape)
    row = shape[:axis] + shape[axis + 1:]
    nodes = [helper.make_node("Mul", ["x", "w"], ["p"]), helper.make_node("Add", ["s", "p"], ["s1"]),
             helper.make_node(d.pick(STEPS), ["s1"], ["z"])]
    body = helper.make_graph(nodes, "body", [value("s", FLOAT, row), value("x", FLOAT, row)], [value("s1"), value("z")])
    attrs = {"body": body, "num_scan_inputs": 1}
    if axis or d.chance(0.3):
        attrs["scan_input_axes"] = [axis - rank if d.chance(0.3) else axis]
    if d.chance(0.5):
        attrs["scan_input_directions"] = [d.int(0, 1)]
        attrs["scan_output_directions"] = [d.int(0, 1)]
    if d.chance(0.3):
        attrs["scan_output_axes"] = [d.int(0, len(row))]
    values = {"s": d.values(np.float32, row, "plain"), "x": d.values(np.float32, shape, "plain"),
              "w": np.array(d.float(-1, 1), np.float32)}
    return Case([Node("Scan", ["s", "x"], ["y", "all"], attrs)], values, {"w"} if d.chance(0.5) else set(),
                ["y", "all"], d.pick([11, 16, 21]), how(d))
