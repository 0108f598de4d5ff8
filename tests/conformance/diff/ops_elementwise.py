# SPDX-License-Identifier: Apache-2.0
"""Generators: one element after the other, with and without broadcasting; reductions."""
import numpy as np
from onnx import helper

from . import draw
from .ops import generator, i64, onnx_type, scalar

FLOATS = ("float", "double", "float16", "bfloat16")

# Where a function's values say anything; None: everywhere.
UNARY = {
    "Abs": None, "Acos": (-1.1, 1.1), "Acosh": (0.9, 50), "Asin": (-1.1, 1.1), "Asinh": None,
    "Atan": None, "Atanh": (-1.1, 1.1), "Ceil": None, "Cos": (-30, 30), "Cosh": (-12, 12),
    "Erf": None, "Exp": (-90, 90), "Floor": None, "HardSwish": None, "Identity": None,
    "IsNaN": None, "Log": (-0.5, 50), "Mish": None, "Neg": None, "Not": None, "Reciprocal": None,
    "Relu": None, "Round": None, "Sigmoid": None, "Sign": None, "Sin": (-30, 30), "Sinh": (-12, 12),
    "Softplus": None, "Softsign": None, "Sqrt": (-1, 50), "Tan": (-1.5, 1.5), "Tanh": None,
    "BitwiseNot": None, "NonZero": None, "Shape": None, "Size": None, "Transpose": None,
}


@generator(*UNARY)
def unary(d):
    dtype, within = d.dtype(), UNARY[d.op]
    shape = d.shape(0, 5)
    attrs = {}
    if d.op == "Shape" and d.chance(0.6):
        attrs = {"start": d.int(-6, 6), "end": d.maybe(d.int(-6, 6))}
    if d.op == "Transpose" and shape and d.chance(0.8):
        attrs = {"perm": d.shuffled(len(shape))}
    if d.op == "NonZero":
        shape = d.shape(1, 4)  # what a scalar gives has changed with the versions of numpy
    if within and draw.is_float(dtype) and d.chance(0.7):
        return [d.values(dtype, shape, low=within[0], high=within[1])], attrs, 1
    return [d.values(dtype, shape)], attrs, 1


ACTIVATIONS = {
    "Celu": ("alpha",), "Elu": ("alpha",), "HardSigmoid": ("alpha", "beta"), "LeakyRelu": ("alpha",),
    "Selu": ("alpha", "gamma"), "Swish": ("alpha",), "ThresholdedRelu": ("alpha",), "Shrink": ("bias", "lambd"),
}


@generator(*ACTIVATIONS)
def activation(d):
    attrs = {name: d.maybe(d.float(0.1, 2), 0.6) for name in ACTIVATIONS[d.op]}
    return [d.tensor()], attrs, 1


@generator("Gelu")
def gelu(d):
    return [d.tensor()], {"approximate": d.pick([None, "none", "tanh"])}, 1


@generator("IsInf")
def is_inf(d):
    return [d.tensor()], {"detect_negative": d.pick([None, 0, 1]), "detect_positive": d.pick([None, 0, 1])}, 1


@generator("Softmax", "LogSoftmax", "Hardmax")
def softmax(d):
    x = d.tensor(low=1, high=4, kind=d.pick(["plain", "plain", "whole", "special"]))
    # Before opset 13 the default was 1.
    return [x], {"axis": d.maybe(d.axis(x.ndim), 0.7 if x.ndim > 1 else 1)}, 1


@generator("PRelu")
def prelu(d):
    dtype, (whole, slope) = d.dtype(), d.broadcast(2)
    if np.broadcast_shapes(whole, slope) != tuple(whole):
        whole, slope = slope, whole
    if np.broadcast_shapes(whole, slope) != tuple(whole):
        slope = whole
    return [d.values(dtype, whole), d.values(dtype, slope)], {}, 1


@generator("Clip")
def clip(d):
    dtype = d.dtype()
    low, high = (d.maybe(scalar(d.int(0, 3), dtype)) for _ in range(2))
    return [d.tensor(dtype), low, high], {}, 1


@generator("Add", "Sub", "Mul", "Max", "Min", "Sum", "Mean", "And", "Or", "Xor", "BitwiseAnd", "BitwiseOr",
           "BitwiseXor", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
def broadcasting(d):
    dtype = d.dtype()
    n = d.int(1, 4) if d.op in ("Max", "Min", "Sum", "Mean") else 2
    shapes = d.broadcast(n)
    kind = d.pick(["plain", "whole", "special"])
    return [d.values(dtype, s, kind) for s in shapes], {}, 1


@generator("Div")
def div(d):
    dtype, (a, b) = d.dtype(), d.broadcast(2)
    y = d.values(dtype, b)
    if not draw.is_float(dtype):
        y[y == 0] = 3
    return [d.values(dtype, a), y], {}, 1


@generator("Mod")
def mod(d):
    dtype, (a, b) = d.dtype(), d.broadcast(2)
    fmod = 1 if draw.is_float(dtype) else d.pick([None, 0, 1])
    y = d.values(dtype, b, "whole")
    if draw.is_float(dtype):
        x = d.values(dtype, a, "plain")
        y = np.where(np.abs(y) < 1, np.asarray(1.5, dtype), y)
    else:
        x = d.values(dtype, a)
        y[y == 0] = 3
    return [x, y], {"fmod": fmod}, 1


@generator("Pow")
def pow_(d):
    base, power = d.dtype(0), d.dtype(1)
    a, b = d.broadcast(2)
    if draw.is_float(base):
        x = d.values(base, a, low=0.1, high=4) if d.chance(0.6) else d.values(base, a, "whole")
        y = d.values(power, b, low=-2, high=3)
    else:
        x, y = d.values(base, a, low=0, high=4), d.values(power, b, low=0, high=4)
        if draw.is_float(power):
            y = np.round(y.astype(np.float32)).astype(power)
    return [x, y], {}, 1


@generator("BitShift")
def bit_shift(d):
    dtype, (a, b) = d.dtype(), d.broadcast(2)
    return [d.values(dtype, a), d.values(dtype, b, low=0, high=7)], {"direction": d.pick(["LEFT", "RIGHT"])}, 1


@generator("Where")
def where(d):
    dtype, (c, a, b) = d.dtype(1), d.broadcast(3)
    return [d.values(np.bool_, c), d.values(dtype, a), d.values(dtype, b)], {}, 1


@generator("Cast")
def cast(d):
    dtype = d.dtype()
    to = d.dtype(avoid=("string",) if draw.NAMES[np.dtype(dtype)] == "string" else ())
    name, to_name = draw.NAMES[np.dtype(dtype)], draw.NAMES[np.dtype(to)]
    shape = d.shape()
    if name == "string":
        x = np.array([d.pick(["0", "1", "17", "3"]) for _ in range(int(np.prod(shape)))], object).reshape(shape)
    elif draw.is_float(dtype):
        # What does not fit an integer, and NaN, are nobody's business.
        low, high = (0, 3) if to_name.startswith("u") else (-3, 3)
        if draw.is_float(to) or to_name == "bool":
            x = d.values(dtype, shape)
        else:
            x = d.values(dtype, shape, low=low, high=high)
            if to_name == "string":
                x = np.round(x * 2) / 2
    else:
        x = d.values(dtype, shape, low=0 if to_name.startswith("u") else None)
    return [x.astype(dtype)], {"to": onnx_type(to), "saturate": d.pick([None, 1]) if "8e" in to_name else None}, 1


@generator("CastLike")
def cast_like(d):
    (x,), attrs, _ = cast(d)
    like = d.values(helper.tensor_dtype_to_np_dtype(attrs["to"]), d.shape())
    return [x, like], {}, 1


@generator("BitCast")
def bit_cast(d):
    same = [("float", "int32", "uint32"), ("double", "int64", "uint64"), ("float16", "int16", "uint16"),
            ("int8", "uint8")]
    group = d.pick(same)
    a, b = d.pick(group), d.pick(group)
    return [d.tensor(draw.TYPES[a])], {"to": onnx_type(draw.TYPES[b])}, 1


@generator("Dropout")
def dropout(d):
    dtype = d.dtype(only=FLOATS)
    ratio = d.maybe(scalar(d.float(0, 0.9), np.float32))
    return [d.tensor(dtype), ratio, scalar(False, np.bool_) if ratio and d.chance(0.5) else None], {}, d.int(1, 2)


@generator("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin",
           "ReduceProd", "ReduceSum", "ReduceSumSquare")
def reduce(d):
    dtype, shape = d.dtype(), d.shape(1, 5)
    kind = d.pick(["plain", "plain", "whole", "special"])
    x = d.values(dtype, shape, kind, **({"low": 0.1, "high": 2} if d.op == "ReduceLogSum" else {}))
    if d.op in ("ReduceMean", "ReduceLogSum", "ReduceLogSumExp") and not draw.is_float(dtype):
        x = d.values(dtype, [max(n, 1) for n in shape], low=1, high=9)  # else there is no such integer
    if d.op == "ReduceProd" and not draw.is_float(dtype):
        x = d.values(dtype, shape, low=-2, high=2)
    axes, attrs = d.axes(len(shape)), {"keepdims": d.pick([None, 0, 1])}
    if d.chance(0.25):  # before opset 18: an attribute
        return [x], {**attrs, "axes": axes or None}, 1
    if d.chance(0.3):
        attrs["noop_with_empty_axes"] = d.pick([0, 1])
    return [x, d.maybe(i64(axes), 0.8)], attrs, 1


@generator("ArgMax", "ArgMin")
def arg(d):
    shape = [max(n, 1) for n in d.shape(1, 4)]
    x = d.values(d.dtype(), shape, d.pick(["plain", "whole"]))
    return [x], {"axis": d.maybe(d.axis(x.ndim), 0.8), "keepdims": d.pick([None, 0, 1]),
                 "select_last_index": d.pick([None, 0, 1])}, 1


@generator("CumSum", "CumProd")
def cum(d):
    x = d.tensor(low=1, high=4, kind=d.pick(["plain", "whole"]))
    if d.op == "CumProd" and not draw.is_float(x.dtype):
        x = np.clip(x, 0, 2)
    axis = scalar(d.axis(x.ndim), d.pick([np.int32, np.int64]))
    return [x, axis], {"exclusive": d.pick([None, 0, 1]), "reverse": d.pick([None, 0, 1])}, 1


@generator("TopK")
def top_k(d):
    shape = [max(n, 1) for n in d.shape(1, 4)]
    axis = d.axis(len(shape))
    n = int(np.prod(shape))
    # All different: which of equal ones comes first is not said where sorted is 0.
    x = (np.array(d.shuffled(n)) - n // 2).reshape(shape).astype(d.dtype(only=("float", "double", "int32", "int64",
                                                                             "float16")))
    k = i64(d.int(0, shape[axis]))
    return [x, k], {"axis": None if axis in (-1, len(shape) - 1) else axis, "largest": d.pick([None, 0, 1]),
                    "sorted": d.pick([None, 1])}, 2


