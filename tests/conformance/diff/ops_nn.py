# SPDX-License-Identifier: Apache-2.0
"""Generators: products, convolutions, pools, normalizations, quantization, losses."""
import numpy as np

from . import draw
from .ops import Known, generator, i64, sums

FLOATS = ("float", "double", "float16")
STASHED = (1e-3, 1e-4)  # what others compute in float32, by stash_type


@generator("MatMul")
def matmul(d):
    dtype, (m, k, n) = d.dtype(), (d.dim(), d.dim(0.01), d.dim())
    a, b = d.broadcast(2, 0, 2)
    a, b = a + [m, k], b + [k, n]
    if d.chance(0.1):
        a = [k]
    elif d.chance(0.1):
        b = [k]
    return [d.values(dtype, a, "plain"), d.values(dtype, b, "plain")], {}, 1, sums(dtype)


@generator("Gemm")
def gemm(d):
    dtype, (m, k, n) = d.dtype(), (d.dim(), d.dim(0.01), d.dim())
    ta, tb = d.pick([None, 0, 1]), d.pick([None, 0, 1])
    c = d.maybe(d.values(dtype, d.pick([[m, n], [n], [1, n], [m, 1], [1], [], [1, 1]]), "plain"), 0.7)
    alpha, beta = (d.maybe(d.float(-2, 2), 0.4) for _ in range(2))
    if not draw.is_float(dtype):
        alpha = beta = None
    return [d.values(dtype, [k, m] if ta else [m, k], "plain"), d.values(dtype, [n, k] if tb else [k, n], "plain"),
            c], {"transA": ta, "transB": tb, "alpha": alpha, "beta": beta}, 1, sums(dtype)


@generator("Einsum")
def einsum(d):
    sizes = {c: d.int(1, 6) for c in "abcdijk"}
    equation = d.pick(["ij,jk->ik", "ij,jk", "bij,bjk->bik", "ij->ji", "ii->i", "ii", "ij->", "i,j->ij", "ij,ij->i",
                       "...ij,...jk->...ik", "abij,abjk->abik", "abcd,abjd->abcj", "ij,kj->ik", "bij,jk->bik",
                       "i,i->", "abi,cbi->abc", "ij,jk,ka->ia", "...i->...", " i j , j k -> i k "])
    batch = [d.int(1, 3) for _ in range(d.int(0, 2))]
    inputs = []
    dtype = d.dtype(only=("float", "double", "int32", "int64", "float16"))
    for term in equation.split("->")[0].replace(" ", "").split(","):
        shape = (batch if "..." in term else []) + [sizes[c] for c in term.replace("...", "")]
        inputs.append(d.values(dtype, shape, "plain"))
    return inputs, {"equation": equation}, 1, sums(dtype)


def window(d, spatial, kernel, dilations, ceil=False):
    """Strides and padding that leave something; sets spatial where the kernel would not fit."""
    n = len(spatial)
    extent = [(k - 1) * (dil or 1) + 1 for k, dil in zip(kernel, dilations or [1] * n)]
    attrs = {"strides": d.maybe([d.int(1, 3) for _ in range(n)]), "dilations": dilations}
    how = d.pick([None, "pads", "pads", "SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"])
    pads = [0] * (2 * n)
    if how == "pads":
        pads = [d.int(0, k - 1) for k in list(kernel) * 2]
        attrs["pads"] = pads
    elif how:
        attrs["auto_pad"] = how
    if how and how.startswith("SAME") and attrs["strides"]:
        # Beyond the kernel they would pad by less than nothing, of which everybody thinks otherwise.
        attrs["strides"] = [min(s, e) for s, e in zip(attrs["strides"], kernel)]
    for i in range(n):
        spatial[i] = max(spatial[i], extent[i] - pads[i] - pads[n + i])
    return attrs


def image(d):
    n = d.pick([1, 2, 2, 2, 3])
    return [d.pick([1, 2, 3, 5, 7, 8, 11, 14, 16, 19] if n < 3 else [1, 2, 3, 5, 7]) for _ in range(n)]


@generator("Conv")
def conv(d):
    spatial = image(d)
    n = len(spatial)
    kernel = [d.pick([1, 2, 3, 3, 5]) for _ in range(n)]
    group = d.pick([1, 1, 1, 2, 3, 4])
    per_in, per_out = (1, d.pick([1, 1, 2])) if d.chance(0.2) else (d.pick([1, 2, 3, 4, 8, 16]), d.pick([1, 2, 3, 8]))
    attrs = window(d, spatial, kernel, d.maybe([d.int(1, 2) for _ in range(n)], 0.3))
    if attrs.get("auto_pad", "").startswith("SAME"):
        attrs["dilations"] = None
    dtype = d.dtype(only=FLOATS) if d.op == "Conv" else np.float32
    x = d.values(dtype, [d.pick([0, 1, 1, 1, 2, 3]), group * per_in] + spatial, "plain")
    w = d.values(dtype, [group * per_out, per_in] + kernel, "plain")
    b = d.maybe(d.values(dtype, [group * per_out], "plain"))
    if d.chance(0.7):
        w, b = Known(w), b if b is None else Known(b)
    return [x, w, b], {**attrs, "group": group if group > 1 or d.chance(0.5) else None,
                       "kernel_shape": d.maybe(kernel)}, 1, sums(dtype)


@generator("ConvTranspose")
def conv_transpose(d):
    spatial = image(d)
    n = len(spatial)
    kernel = [d.pick([1, 2, 3, 4]) for _ in range(n)]
    strides = [d.int(1, 3) for _ in range(n)]
    group = d.pick([1, 1, 2])
    per_in, per_out = d.int(1, 4), d.int(1, 4)
    attrs = {"strides": strides, "dilations": d.maybe([d.int(1, 2) for _ in range(n)], 0.2)}
    extent = [(k - 1) * dil + 1 for k, dil in zip(kernel, attrs["dilations"] or [1] * n)]
    if d.chance(0.5):
        attrs["pads"] = [d.int(0, (e - 1) // 2) for e in extent * 2]
    if d.chance(0.3):
        attrs["output_padding"] = [d.int(0, s - 1) for s in strides]
    dtype = d.dtype(only=FLOATS)
    for i in range(n):  # something is left
        spatial[i] = max(spatial[i], 2)
    return [d.values(dtype, [d.int(1, 2), group * per_in] + spatial, "plain"),
            d.values(dtype, [group * per_in, per_out] + kernel, "plain"),
            d.maybe(d.values(dtype, [group * per_out], "plain"))], \
        {**attrs, "group": group if group > 1 else None, "kernel_shape": d.maybe(kernel)}, 1, sums(dtype)


@generator("AveragePool", "MaxPool")
def pool(d):
    spatial = image(d)
    n = len(spatial)
    kernel = [d.pick([1, 2, 3, 3, 5]) for _ in range(n)]
    attrs = window(d, spatial, kernel, d.maybe([d.int(1, 2) for _ in range(n)], 0.2))
    if attrs.get("auto_pad", "").startswith("SAME"):
        attrs["dilations"] = None
    if attrs.get("auto_pad") in (None, "NOTSET") and d.chance(0.3):
        attrs["ceil_mode"] = 1
    if d.op == "AveragePool":
        attrs["count_include_pad"] = d.pick([None, 0, 1])
    dtype = d.dtype(only=(*FLOATS, "int8", "uint8"))
    x = d.values(dtype, [d.int(1, 2), d.pick([1, 2, 3, 8, 16])] + spatial, d.pick(["plain", "whole"]))
    return [x], {**attrs, "kernel_shape": kernel}, 2 if d.op == "MaxPool" and d.chance(0.3) else 1


@generator("GlobalAveragePool", "GlobalMaxPool")
def global_pool(d):
    return [d.values(d.dtype(only=FLOATS), [d.int(1, 2), d.int(1, 9)] + image(d), "plain")], {}, 1


@generator("Resize")
def resize(d):
    mode = d.pick(["nearest", "nearest", "linear", "cubic"])
    if mode == "cubic":
        shape = [d.int(1, 2), d.int(1, 3), d.int(2, 7), d.int(2, 7)]
    else:
        shape = [d.int(1, 2), d.int(1, 3)] + [d.int(1, 8) for _ in range(d.pick([1, 2, 2, 2, 3]))]
    n = len(shape) - 2
    how = d.pick([None, "half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric"])
    attrs = {"mode": d.pick([None, "nearest"]) if mode == "nearest" else mode, "coordinate_transformation_mode": how}
    if mode == "nearest":
        attrs["nearest_mode"] = d.pick([None, "floor", "ceil", "round_prefer_floor", "round_prefer_ceil"])
    if mode == "cubic":
        attrs["cubic_coeff_a"] = d.pick([None, -0.5])
        attrs["exclude_outside"] = d.pick([None, None, 0, 1])
    if mode != "nearest" and d.chance(0.15):
        attrs["antialias"] = 1
    dtype = d.dtype(only=("float", "float", "float16", "uint8") if mode == "nearest" else ("float",))
    x = d.values(dtype, shape, "plain")
    lead = [1, 1]
    axes = list(range(2, n + 2)) if d.chance(0.2) else None
    if axes:
        attrs["axes"], lead = axes, []
    if d.chance(0.5):
        # Powers of two: exact in float32 whoever computes with what.
        scales = np.array(lead + [d.pick([0.5, 1, 2, 4, 1.5, 0.75]) for _ in range(n)], np.float32)
        return [x, None, Known(scales)], attrs, 1
    sizes = (shape[:2] if lead else []) + [d.int(1, 12) for _ in range(n)]
    if d.chance(0.2):
        attrs["keep_aspect_ratio_policy"] = d.pick(["stretch", "not_larger", "not_smaller"])
        if attrs["keep_aspect_ratio_policy"] != "stretch" and not axes:
            attrs["axes"], sizes = list(range(2, n + 2)), sizes[2:]
    return [x, None, None, i64(sizes)], attrs, 1


def channels(d, high=9):
    return [d.int(1, 3), d.int(1, high)] + [d.int(1, 6) for _ in range(d.int(0, 3))]


@generator("BatchNormalization")
def batch_norm(d):
    dtype, shape = d.dtype(only=FLOATS), channels(d)
    c = [shape[1]]
    parts = [d.values(dtype, c, "plain"), d.values(dtype, c, "plain"), d.values(dtype, c, "plain"),
             d.values(dtype, c, low=0.1, high=3)]
    attrs = {"epsilon": d.maybe(d.pick([1e-3, 1e-5])), "momentum": d.maybe(0.8, 0.2)}
    return [d.values(dtype, shape, "plain"), *map(Known, parts)], attrs, 1


@generator("InstanceNormalization")
def instance_norm(d):
    dtype, shape = d.dtype(only=FLOATS), channels(d) + [d.int(2, 5)]
    return [d.values(dtype, shape, "plain"), d.values(dtype, [shape[1]], "plain"), d.values(dtype, [shape[1]], "plain")], \
        {"epsilon": d.maybe(1e-3)}, 1


@generator("LayerNormalization", "RMSNormalization")
def layer_norm(d):
    dtype = d.dtype(only=FLOATS)
    shape = [max(n, 1) for n in d.shape(1, 4)]
    axis = d.axis(len(shape))
    rest = shape[axis:] if axis >= 0 else shape[len(shape) + axis:]
    scale = d.values(dtype, rest, "plain")
    bias = d.maybe(d.values(dtype, rest, "plain")) if d.op == "LayerNormalization" else None
    n_out = d.pick([1, 1, 1, 3]) if d.op == "LayerNormalization" else 1
    return [d.values(dtype, shape, "plain"), scale, bias], {"axis": axis, "epsilon": d.maybe(1e-3)}, n_out, STASHED if dtype == np.float64 else None


@generator("GroupNormalization")
def group_norm(d):
    dtype, groups = d.dtype(only=FLOATS), d.int(1, 4)
    shape = channels(d) + [d.int(2, 4)]
    shape[1] = groups * d.int(1, 4)
    return [d.values(dtype, shape, "plain"), d.values(dtype, [shape[1]], "plain"), d.values(dtype, [shape[1]], "plain")], \
        {"num_groups": groups, "epsilon": d.maybe(1e-3)}, 1, STASHED if dtype == np.float64 else None


@generator("LpNormalization")
def lp_norm(d):
    x = d.values(d.dtype(only=FLOATS), [max(n, 1) for n in d.shape(1, 4)], "plain")
    return [x], {"axis": d.maybe(d.axis(x.ndim), 0.7), "p": d.pick([None, 1, 2])}, 1


@generator("LRN")
def lrn(d):
    x = d.values(d.dtype(only=FLOATS), [d.int(1, 2), d.int(1, 9), d.int(1, 6), d.int(1, 6)], "plain")
    return [x], {"size": d.pick([1, 3, 5]), "alpha": d.maybe(d.float(0.001, 0.5)), "beta": d.maybe(0.5),
                 "bias": d.maybe(2.0)}, 1


@generator("MeanVarianceNormalization")
def mean_variance(d):
    shape = [d.int(1, 3), d.int(1, 5), d.int(2, 6), d.int(2, 6)]
    return [d.values(d.dtype(only=FLOATS), shape, "plain")], {"axes": d.maybe(d.pick([[0, 2, 3], [2, 3], [1, 2, 3]]))}, 1


# -- quantization ---------------------------------------------------------------------------

def quantized(d, only=("int8", "uint8")):
    return draw.TYPES[d.pick(only)]


def zero_point(d, dtype, shape):
    return d.values(dtype, shape, low=-4 if np.dtype(dtype).kind == "i" else 0, high=9)


@generator("QuantizeLinear")
def quantize(d):
    x = d.values(d.dtype(only=("float", "float16")), [max(n, 1) for n in d.shape(1, 4)], "plain")
    axis = d.axis(x.ndim)
    per = [x.shape[axis]] if d.chance(0.4) else []
    to = quantized(d, ("int8", "uint8", "int16", "uint16"))
    scale = d.values(x.dtype, per, low=0.02, high=0.3)
    return [x, scale, d.maybe(zero_point(d, to, per), 0.8)], {"axis": axis if per else None}, 1


@generator("DequantizeLinear")
def dequantize(d):
    of = quantized(d, ("int8", "uint8", "int16", "uint16", "int32", "int4", "uint4"))
    x = d.values(of, [max(n, 1) for n in d.shape(1, 4)], low=-100, high=100)
    axis = d.axis(x.ndim)
    per = [x.shape[axis]] if d.chance(0.4) else []
    zero = None if of == np.int32 else d.maybe(zero_point(d, of, per), 0.8)
    return [x, d.values(d.pick([np.float32, np.float32, np.float16]), per, low=0.01, high=0.3), zero], \
        {"axis": axis if per else None}, 1


@generator("DynamicQuantizeLinear")
def dynamic_quantize(d):
    return [d.values(np.float32, [max(n, 1) for n in d.shape(1, 3)], "plain")], {}, 3


@generator("MatMulInteger")
def matmul_integer(d):
    a, b = d.broadcast(2, 0, 2)
    m, k, n = (d.int(1, 17) for _ in range(3))
    ta, tb = quantized(d), quantized(d)
    return [d.values(ta, a + [m, k], low=-100, high=100), d.values(tb, b + [k, n], low=-100, high=100),
            d.maybe(Known(zero_point(d, ta, []))), d.maybe(Known(zero_point(d, tb, [])))], {}, 1


@generator("QLinearMatMul")
def qlinear_matmul(d):
    m, k, n = (d.int(1, 17) for _ in range(3))
    ta, tb = quantized(d), quantized(d)
    lead = [d.int(1, 3) for _ in range(d.int(0, 1))]
    def part(t, low=0.01, high=0.1):
        return [Known(d.values(np.float32, [], low=low, high=high)), Known(zero_point(d, t, []))]
    return [d.values(ta, lead + [m, k], low=-60, high=60), *part(ta), d.values(tb, lead + [k, n], low=-60, high=60),
            *part(tb), *part(ta, 0.1, 0.5)], {}, 1, (1e-4, 1.01)


@generator("ConvInteger")
def conv_integer(d):
    (x, w, _), attrs, *_ = conv(d)
    w = w.value if isinstance(w, Known) else w
    x = d.values(np.uint8, [max(n, 1) for n in x.shape], low=0, high=200)
    w = d.values(np.uint8, w.shape, low=0, high=200)
    return [x, Known(w), d.maybe(Known(zero_point(d, np.uint8, []))),
            d.maybe(Known(zero_point(d, np.uint8, [])))], attrs, 1


@generator("QLinearConv")
def qlinear_conv(d):
    (x, w, b), attrs, *_ = conv(d)
    w = w.value if isinstance(w, Known) else w
    t, tw = quantized(d), quantized(d)
    tw = t if t == np.int8 else tw
    per = [w.shape[0]] if d.chance(0.3) and tw == np.int8 else []
    def part(t, per, low=0.01, high=0.1, zero=True):
        z = zero_point(d, t, per) if zero else np.zeros(per, t)
        return [Known(d.values(np.float32, per, low=low, high=high)), Known(z)]
    return [d.values(t, [max(n, 1) for n in x.shape], low=-60, high=60), *part(t, []),
            Known(d.values(tw, w.shape, low=-60, high=60)), *part(tw, per, zero=not per), *part(t, [], 0.1, 0.5),
            None if b is None else Known(d.values(np.int32, [w.shape[0]], low=-500, high=500))], attrs, 1, (1e-4, 1.01)


# -- losses ---------------------------------------------------------------------------------

@generator("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss")
def loss(d):
    c = d.int(1, 6)
    spatial = [d.int(1, 4) for _ in range(d.int(0, 2))]
    dtype = d.dtype(only=("float", "double"))
    x = d.values(dtype, [d.int(1, 4), c] + spatial, "plain")
    target = d.rng.integers(0, c, [x.shape[0]] + spatial).astype(d.pick([np.int64, np.int32]))
    weight = d.maybe(d.values(dtype, [c], low=0.2, high=2))
    attrs = {"reduction": d.pick([None, "mean", "sum", "none"]), "ignore_index": d.maybe(d.int(0, c), 0.3)}
    if attrs["ignore_index"] is not None and (target == attrs["ignore_index"]).all():
        attrs["ignore_index"] = None  # the mean of nothing
    return [x, target, weight], attrs, d.int(1, 2) if d.op.startswith("Softmax") else 1


