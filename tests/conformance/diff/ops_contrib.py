# SPDX-License-Identifier: Apache-2.0
"""Generators: com.microsoft, as far as the first input has the output's type, of which onnx knows
nothing."""
import numpy as np

from .ops import Known, generator, scalar
from .ops_nn import sums

MS = {"domain": "com.microsoft"}


def rows(d):
    return [d.int(1, 3), d.int(1, 5), d.pick([1, 2, 4, 8, 12, 16])]


def plain(d, shape):
    return d.values(np.float32, list(shape), "plain")


@generator("Gelu", "FastGelu", "QuickGelu", **MS)
def gelu(d):
    x = plain(d, rows(d))
    bias = d.maybe(plain(d, x.shape[-1:])) if d.op == "FastGelu" else None
    return [x, bias], {"alpha": d.maybe(d.float(0.5, 2)) if d.op == "QuickGelu" else None}, 1, (1e-3, 1e-3)


@generator("BiasGelu", **MS)
def bias_gelu(d):
    x = plain(d, rows(d))
    return [x, plain(d, x.shape[-1:])], {}, 1, (1e-3, 1e-3)


@generator("FusedMatMul", "TransposeMatMul", **MS)
def fused_matmul(d):
    m, k, n = (d.int(1, 9) for _ in range(3))
    lead = [d.int(1, 3) for _ in range(d.int(0, 2))]
    ta, tb = d.int(0, 1), d.int(0, 1)
    return [plain(d, lead + ([k, m] if ta else [m, k])), plain(d, lead + ([n, k] if tb else [k, n]))], \
        {"transA": ta, "transB": tb, "alpha": d.maybe(d.float(-2, 2))}, 1, sums(np.float32)


@generator("FusedGemm", **MS)
def fused_gemm(d):
    m, k, n = (d.int(1, 9) for _ in range(3))
    ta, tb = d.int(0, 1), d.int(0, 1)
    activation = d.pick(["Relu", "Sigmoid", "Tanh", "LeakyRelu"])
    return [plain(d, [k, m] if ta else [m, k]), plain(d, [n, k] if tb else [k, n]), d.maybe(plain(d, [n]))], \
        {"transA": ta, "transB": tb, "activation": activation,
         "activation_alpha": 0.1 if activation == "LeakyRelu" else None}, 1, sums(np.float32)


@generator("SkipLayerNormalization", "SkipSimplifiedLayerNormalization", **MS)
def skip_norm(d):
    shape = rows(d)
    shape[-1] = max(shape[-1], 2)
    parts = [plain(d, shape[-1:])]
    if d.op == "SkipLayerNormalization":
        parts.append(d.maybe(plain(d, shape[-1:])))
    return [plain(d, shape), plain(d, shape), *parts, d.maybe(plain(d, shape[-1:]))], {"epsilon": d.pick([1e-5, 1e-3])}, 1, \
        (1e-3, 1e-3)


@generator("BiasSoftmax", **MS)
def bias_softmax(d):
    shape = [d.int(1, 3), d.int(1, 3), d.int(1, 5), d.int(1, 5)]
    inner = d.int(0, 1)  # the bias is one of the batch's rows, or of the batch
    bias = [1, 1] + shape[2:] if inner else [shape[0], 1, 1, shape[3]]
    return [plain(d, shape), plain(d, bias)], {"axis": 3, "is_inner_broadcast": 1 - inner if inner else 1}, 1


@generator("QLinearAdd", "QLinearMul", **MS)
def qlinear_binary(d):
    t, (a, b) = d.pick([np.uint8, np.int8]), d.broadcast(2)
    def part(shape, low, high):
        x = [] if shape is None else [d.values(t, shape, low=-60, high=60)]
        return [*x, Known(d.values(np.float32, [], low=low, high=high)), Known(d.values(t, [], low=0, high=9))]
    return [*part(a, 0.01, 0.1), *part(b, 0.01, 0.1), *part(None, 0.1, 0.4)], {}, 1, (1e-4, 1.01)


@generator("QLinearSigmoid", "QLinearLeakyRelu", **MS)
def qlinear_unary(d):
    t = d.pick([np.uint8, np.int8])
    return [d.values(t, d.shape(1, 3), low=-60, high=60), Known(np.array(0.05, np.float32)), scalar(3, t),
            Known(np.array(1 / 128, np.float32)), scalar(0, t)], \
        {"alpha": 0.1 if d.op == "QLinearLeakyRelu" else None}, 1, (1e-4, 1.01)


@generator("CDist", **MS)
def cdist(d):
    dtype, k = d.pick([np.float32, np.float64]), d.int(1, 9)
    return [d.values(dtype, [d.int(1, 9), k], "plain"), d.values(dtype, [d.int(1, 9), k], "plain")], \
        {"metric": d.pick(["euclidean", "sqeuclidean"])}, 1, (1e-3, 1e-3)
