# SPDX-License-Identifier: Apache-2.0
"""Generators: sequences and optionals, steps of training."""
import numpy as np
from onnx import TensorProto, helper

from . import draw
from .case import Case, Node
from .ops import Known, generator, i64, scalar

COMMON = ("float", "double", "int64", "int32", "uint8", "bool", "string")


def tensors(d, low=1, dtype=None, rank=None):
    """A list of tensors of one type and rank, shapes mostly different."""
    dtype = dtype or d.dtype(only=COMMON)
    rank = d.int(0, 3) if rank is None else rank
    return [d.values(dtype, d.shape(rank, rank), "plain") for _ in range(d.int(low, 4))]


def place(d, n):
    return scalar(d.int(-n, n - 1), d.pick([np.int64, np.int32]))


@generator("SequenceConstruct")
def sequence_construct(d):
    return tensors(d), {}, 1


@generator("SequenceEmpty")
def sequence_empty(d):
    """Alone it is nothing to compare: its length."""
    to = helper.np_dtype_to_tensor_dtype(np.dtype(draw.TYPES[d.pick(COMMON)]))
    return Case([Node("SequenceEmpty", [], ["s"], {"dtype": to}), Node("SequenceLength", ["s"], ["y"])], {}, set(), ["y"])


@generator("SequenceInsert")
def sequence_insert(d):
    all_ = tensors(d, 2)
    n = len(all_) - 1
    return [all_[1:], all_[0], d.maybe(scalar(d.int(-n, n)))], {}, 1


@generator("SequenceErase")
def sequence_erase(d):
    s = tensors(d, 2)
    return [s, d.maybe(place(d, len(s)))], {}, 1


@generator("SequenceAt")
def sequence_at(d):
    s = tensors(d)
    return [s, place(d, len(s))], {}, 1


@generator("SequenceLength")
def sequence_length(d):
    return [tensors(d)], {}, 1


@generator("ConcatFromSequence")
def concat_from_sequence(d):
    new, dtype, shape = d.int(0, 1), d.dtype(only=COMMON), d.shape(1, 3)
    axis = d.int(-len(shape) - new, len(shape) - 1 + new)
    parts = []
    for _ in range(d.int(1, 4)):
        s = list(shape)
        if not new:
            s[axis] = d.dim()
        parts.append(d.values(dtype, s))
    return [parts], {"axis": axis, "new_axis": d.maybe(new) if not new else 1}, 1


@generator("SplitToSequence")
def split_to_sequence(d):
    shape = [max(n, 1) for n in d.shape(1, 3)]
    axis = d.axis(len(shape))
    how, split = d.pick(["one", "by", "sizes"]), None
    if how == "by":
        split = scalar(d.int(1, 4), d.pick([np.int64, np.int32]))
    elif how == "sizes":
        sizes = [d.int(1, 4) for _ in range(d.int(1, 3))]
        shape[axis], split = sum(sizes), i64(sizes)
    return [d.values(d.dtype(only=COMMON), shape), split], \
        {"axis": axis, "keepdims": d.pick([None, 0, 1]) if how == "one" else None}, 1


@generator("SequenceMap")
def sequence_map(d):
    """A body that adds what is outside the sequence, broadcast."""
    s = tensors(d, dtype=np.float32, rank=2)
    add = d.values(np.float32, [], "plain")
    x, w, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("x", "w", "y"))
    nodes = [helper.make_node(d.pick(["Add", "Mul", "Sub"]), ["x", "w"], ["z"]), helper.make_node("Abs", ["z"], ["y"])]
    body = helper.make_graph(nodes, "body", [x, w], [y])
    return [s, add], {"body": body}, 1


@generator("Optional", "OptionalGetElement")
def optional(d):
    x = tensors(d) if d.chance(0.3) else d.tensor(d.dtype(only=COMMON))
    return Case([Node("Optional", ["x"], ["o"]), Node("OptionalGetElement", ["o"], ["y"])], {"x": x}, set(), ["y"], 21)


@generator("OptionalHasElement")
def optional_has_element(d):
    return [d.tensor(d.dtype(only=COMMON))], {}, 1


TRAINING = {
    "Adagrad": (1, ("norm_coefficient", "decay_factor", "epsilon"), ()),
    "Adam": (2, ("norm_coefficient", "norm_coefficient_post", "alpha", "beta", "epsilon"), ()),
    "Momentum": (1, (), ("norm_coefficient", "alpha", "beta")),
}


@generator(*TRAINING, domain="ai.onnx.preview.training")
def training(d):
    n_state, optional_, required = TRAINING[d.op]
    dtype, n = d.pick([np.float32, np.float64]), d.int(1, 2)
    shapes = [d.shape(0, 3) for _ in range(n)]
    values = [d.values(dtype, s, "plain") for _ in range(2) for s in shapes]
    values += [np.abs(d.values(dtype, s, "plain")) for _ in range(n_state) for s in shapes]
    attrs = {a: d.float(0.05, 0.9) for a in required}
    attrs.update({a: d.maybe(d.float(0.01, 0.9)) for a in optional_})
    if d.op == "Momentum":
        attrs["mode"] = d.pick(["standard", "nesterov"])
    return [Known(np.array(0.1, np.float32)), scalar(d.int(0, 3)), *values], attrs, n * (1 + n_state)
