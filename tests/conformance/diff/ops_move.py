# SPDX-License-Identifier: Apache-2.0
"""Generators: shapes, and elements that only change their place."""
import numpy as np
from onnx import numpy_helper

from . import draw
from .ops import Known, generator, i64, onnx_type, scalar


def some_ints(d, shape, low, high):
    return d.rng.integers(low, high, shape).astype(d.pick([np.int32, np.int64])) if high > low else None


@generator("Concat")
def concat(d):
    dtype, shape = d.dtype(), d.shape(1, 4)
    axis = d.axis(len(shape))
    parts = []
    for _ in range(d.int(1, 4)):
        s = list(shape)
        s[axis] = d.dim(0.1)
        parts.append(d.values(dtype, s))
    return parts, {"axis": axis}, 1


@generator("ConstantOfShape")
def constant_of_shape(d):
    value = d.maybe(d.values(d.pick([t for n, t in draw.PLAIN.items() if n != "string"]), [1]), 0.8)
    return [i64(d.shape())], {"value": None if value is None else numpy_helper.from_array(value)}, 1


def blocks(d, by):
    n, c, h, w = (d.int(1, 4) for _ in range(4))
    return by, n, c, h, w


@generator("DepthToSpace")
def depth_to_space(d):
    by, n, c, h, w = blocks(d, d.int(1, 3))
    return [d.values(d.dtype(), [n, c * by * by, h, w])], {"blocksize": by, "mode": d.pick([None, "DCR", "CRD"])}, 1


@generator("SpaceToDepth")
def space_to_depth(d):
    by, n, c, h, w = blocks(d, d.int(1, 3))
    return [d.values(d.dtype(), [n, c, h * by, w * by])], {"blocksize": by}, 1


@generator("Expand")
def expand(d):
    a, b = d.broadcast(2)
    return [d.values(d.dtype(), a), i64(b)], {}, 1


@generator("Flatten")
def flatten(d):
    shape = d.shape(0, 5)
    axis = d.int(-len(shape), len(shape))
    return [d.values(d.dtype(), shape)], {"axis": axis if not shape else d.maybe(axis)}, 1


@generator("Gather")
def gather(d):
    shape = [max(n, 1) for n in d.shape(1, 4)]
    axis = d.axis(len(shape))
    return [d.values(d.dtype(), shape), some_ints(d, d.shape(0, 3), -shape[axis], shape[axis])], \
        {"axis": axis}, 1


@generator("GatherElements")
def gather_elements(d):
    shape = [max(n, 1) for n in d.shape(1, 4)]
    axis = d.axis(len(shape))
    at = [d.int(1, n) for n in shape]
    at[axis] = d.dim(0.1)
    return [d.values(d.dtype(), shape), some_ints(d, at, -shape[axis], shape[axis])], {"axis": axis}, 1


def nd_indices(d, shape, batch):
    """A list of indices, each of some length, for GatherND and ScatterND."""
    k = d.int(1, len(shape) - batch)
    lead = shape[:batch] + [d.int(1, 4) for _ in range(d.int(0 if batch else 1, 2))]
    at = np.stack([d.rng.integers(-n, n, lead) for n in shape[batch:batch + k]], axis=-1)
    return at.astype(np.int64), k


@generator("GatherND")
def gather_nd(d):
    shape = [max(n, 1) for n in d.shape(1, 4)]
    batch = d.int(0, len(shape) - 1) if d.chance(0.4) else 0
    at, _ = nd_indices(d, shape, batch)
    return [d.values(d.dtype(), shape), at], {"batch_dims": batch or None}, 1


@generator("ScatterND")
def scatter_nd(d):
    shape = [d.int(1, 7) for _ in range(d.int(1, 4))]
    k = d.int(1, len(shape))
    places = d.shuffled(int(np.prod(shape[:k])))[: d.int(1, 6)]
    at = np.stack(np.unravel_index(places, shape[:k]), axis=-1).astype(np.int64)
    if d.chance(0.3):
        at -= np.array(shape[:k]) * (d.rng.random(at.shape) < 0.5)
    dtype = d.dtype()
    how = None
    if dtype != np.bool_ and dtype != np.object_:
        how = d.pick([None, None, "none", "add", "mul", "max", "min"])
    return [d.values(dtype, shape, "plain"), at, d.values(dtype, [len(places)] + shape[k:], "plain")], \
        {"reduction": how}, 1


@generator("ScatterElements")
def scatter_elements(d):
    dtype, shape = d.dtype(), [d.int(1, 7) for _ in range(d.int(1, 4))]
    axis = d.axis(len(shape))
    at = [d.int(1, n) for n in shape]
    how = None
    if dtype != np.bool_ and dtype != np.object_:
        how = d.pick([None, None, "none", "add", "mul", "max", "min"])
    if how in (None, "none"):  # no place twice: the order is not said
        one = np.array(d.shuffled(shape[axis])[: at[axis]])
        turned = [1] * len(shape)
        turned[axis] = at[axis]
        where = np.broadcast_to(one.reshape(turned), at).astype(np.int64)
    else:
        where = d.rng.integers(-shape[axis], shape[axis], at).astype(np.int64)
    return [d.values(dtype, shape, "plain"), where, d.values(dtype, at, "plain")], \
        {"axis": axis, "reduction": how}, 1


@generator("OneHot")
def one_hot(d):
    depth = d.int(1, 9)
    dtype = d.dtype(2, only=("float", "int64", "int32", "double", "uint8", "bool", "string"))
    shape = d.shape(1, 3)
    at = d.rng.integers(-depth - 2, depth + 2, shape).astype(d.pick([np.int64, np.int32]))
    axis = d.maybe(d.int(-len(shape) - 1, len(shape)))
    depth = scalar(depth) if d.chance(0.5) else i64([depth])
    return [at, depth, d.values(dtype, [2], "whole")], {"axis": axis}, 1


@generator("Pad")
def pad(d):
    mode = d.pick([None, "constant", "reflect", "edge", "wrap"])
    dtype = d.dtype(avoid=("string",))
    shape = d.shape(1, 4) if mode in (None, "constant") else [d.int(2, 7) for _ in range(d.int(1, 4))]
    axes = d.axes(len(shape), 1) if d.chance(0.3) else None
    sizes = [shape[a] for a in axes] if axes is not None else shape
    def amount(n):
        if mode in (None, "constant"):
            return d.int(-min(n // 2, 2), 3)
        return d.int(0, n - 1 if mode == "reflect" else 3)  # nobody says what a cut does here
    pads = [amount(n) for n in sizes] + [amount(n) for n in sizes]
    fill = d.maybe(scalar(d.int(0, 3), dtype)) if mode in (None, "constant") else None
    return [d.values(dtype, shape), i64(pads), fill, None if axes is None else i64(axes)], {"mode": mode}, 1


@generator("Range")
def range_(d):
    dtype = d.dtype()
    if dtype in (np.float32, np.float64):
        start, step = d.int(-5, 5) / 2, d.pick([0.5, 1, 1.5, 2, -0.5, -1])
    else:
        start, step = d.int(-5, 5), d.pick([1, 2, 3, -1, -2])
    return [scalar(start, dtype), scalar(start + step * d.int(-1, 12), dtype), scalar(step, dtype)], {}, 1


def factor(d, count):
    """Dimensions whose product is count."""
    dims = []
    while count > 1 and len(dims) < 5:
        by = d.pick([f for f in range(1, min(count, 32) + 1) if count % f == 0])
        dims.append(by)
        count //= by
    return dims + ([count] if count != 1 else [])


@generator("Reshape")
def reshape(d):
    shape = d.shape(0, 5)
    to = factor(d, int(np.prod(shape))) if np.prod(shape) else list(shape)
    attrs = {}
    if np.prod(shape) == 0:
        attrs = {"allowzero": d.pick([None, 1])}
    elif to and d.chance(0.5):
        to[d.int(0, len(to) - 1)] = -1
    if shape and to and 0 not in shape and shape[0] == to[0] and d.chance(0.5):
        to[0] = 0
    return [d.values(d.dtype(), shape), i64(to)], attrs, 1


@generator("Slice")
def slice_(d):
    shape = d.shape(1, 4)
    axes = d.axes(len(shape), 1)
    def end(n):
        return d.pick([d.int(-n - 2, n + 2), d.int(-n - 2, n + 2), 2 ** 31 - 1, -2 ** 31 + 1, 2 ** 63 - 1, -2 ** 62])
    n = len(axes)
    ints = d.pick([np.int64, np.int64, np.int32])
    def known(values):
        k = i64([int(np.clip(v, np.iinfo(ints).min, np.iinfo(ints).max)) for v in values])
        k.value = k.value.astype(ints)
        return k
    sizes = [shape[a] for a in axes]
    steps = known([d.pick([1, 1, 2, 3, -1, -2, -3]) for _ in range(n)])
    all_axes = sorted(a % len(shape) for a in axes) == list(range(n)) and axes == list(range(n))
    return [d.values(d.dtype(), shape), known([end(s) for s in sizes]), known([end(s) for s in sizes]),
            None if all_axes and d.chance(0.5) else known(axes), d.maybe(steps, 0.7)], {}, 1


@generator("Split")
def split(d):
    shape = d.shape(1, 4)
    axis = d.axis(len(shape))
    n = d.int(1, 4)
    if d.chance(0.5):
        sizes = [d.int(0, 4) for _ in range(n)]
        shape[axis] = sum(sizes)
        return [d.values(d.dtype(), shape), i64(sizes)], {"axis": axis}, n
    shape[axis] = max(shape[axis], n)
    if -(-shape[axis] // n) * (n - 1) > shape[axis]:
        shape[axis] = n * d.int(1, 3)
    return [d.values(d.dtype(), shape)], {"axis": axis, "num_outputs": n}, n


@generator("Squeeze")
def squeeze(d):
    shape = [1 if d.chance(0.4) else n for n in d.shape(1, 5)]
    ones = [i for i, n in enumerate(shape) if n == 1]
    axes = None
    if ones and d.chance(0.8):
        axes = i64([a - len(shape) * d.chance(0.3) for a in ones if d.chance(0.7)] or [ones[0]])
    return [d.values(d.dtype(), shape), axes], {}, 1


@generator("Unsqueeze")
def unsqueeze(d):
    shape, n = d.shape(0, 3), d.int(1, 3)
    rank = len(shape) + n
    return [d.values(d.dtype(), shape), i64([a - rank * d.chance(0.3) for a in d.shuffled(rank)[:n]])], {}, 1


@generator("Tile")
def tile(d):
    x = d.tensor(low=1, high=4)
    return [x, i64([d.pick([0, 1, 1, 2, 3]) for _ in range(x.ndim)])], {}, 1


@generator("Trilu")
def trilu(d):
    x = d.tensor(low=2, high=4)
    return [x, d.maybe(scalar(d.int(-12, 12)))], {"upper": d.pick([None, 0, 1])}, 1


@generator("EyeLike")
def eye_like(d):
    to = d.dtype(only=("float", "double", "int32", "int64", "uint64", "float16"))
    return [d.tensor(d.dtype(only=("float", "double", "int32", "int64", "uint64")), low=2, high=2)], \
        {"dtype": onnx_type(to), "k": d.maybe(d.int(-5, 5))}, 1


@generator("Compress")
def compress(d):
    shape = [max(n, 1) for n in d.shape(1, 4)]
    axis = d.maybe(d.axis(len(shape)), 0.7)
    n = int(np.prod(shape)) if axis is None else shape[axis]
    return [d.values(d.dtype(), shape), d.rng.random(d.int(0, n)) < 0.6], {"axis": axis}, 1


@generator("Unique")
def unique(d):
    shape = [max(n, 1) for n in d.shape(1, 3, count_max=300)]
    x = d.values(d.dtype(only=("float", "double", "int64", "int8", "string")), shape, "whole", )
    return [x], {"axis": d.maybe(d.axis(x.ndim)), "sorted": d.pick([None, 0, 1])}, d.int(1, 4)


@generator("ReverseSequence")
def reverse_sequence(d):
    shape = [d.int(1, 5), d.int(1, 7)] + [d.int(1, 3) for _ in range(d.int(0, 2))]
    batch = d.int(0, 1)
    return [d.values(d.dtype(), shape), d.values(np.int64, [shape[batch]], low=1, high=shape[1 - batch])], \
        {"batch_axis": batch, "time_axis": 1 - batch}, 1


@generator("NonMaxSuppression")
def non_max_suppression(d):
    batch, classes, n = d.int(1, 2), d.int(1, 3), d.int(1, 12)
    centre = d.int(0, 1)
    low = d.rng.uniform(0, 6, [batch, n, 2])
    other = d.rng.uniform(1, 4, [batch, n, 2]) + (0 if centre else low)
    boxes = np.concatenate([low, other], axis=2).astype(np.float32)
    # All different, so that the order is said.
    scores = np.array(d.shuffled(batch * classes * n), np.float32).reshape(batch, classes, n) / (batch * classes * n)
    return [boxes, scores, d.maybe(i64([d.int(0, 6)]), 0.9), d.maybe(Known(np.array([d.float(0, 1)], np.float32))),
            d.maybe(Known(np.array([d.float(0, 0.8)], np.float32)))], {"center_point_box": d.pick([None, centre]) if not centre else 1}, 1
