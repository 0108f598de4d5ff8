# SPDX-License-Identifier: Apache-2.0
"""Generators: sampled images, regions, signals, and what else works on grids."""
import numpy as np

from .ops import Known, generator, i64, scalar
from .ops_nn import image, window

FLOATS = ("float", "double", "float16")


@generator("AffineGrid")
def affine_grid(d):
    n, dims = d.int(1, 3), d.pick([2, 2, 3])
    theta = d.values(d.dtype(only=("float", "double")), [n, dims, dims + 1], "plain")
    return [theta, i64([n, d.int(1, 3)] + [d.int(2, 6) for _ in range(dims)])], {"align_corners": d.pick([None, 0, 1])}, 1


@generator("GridSample")
def grid_sample(d):
    dims = d.pick([2, 2, 3])
    n, c = d.int(1, 2), d.int(1, 3)
    mode = d.pick([None, "linear", "nearest", "cubic"] if dims == 2 else [None, "linear", "nearest"])
    x = d.values(d.dtype(only=("float", "double")), [n, c] + [d.int(2, 7) for _ in range(dims)], "plain")
    grid = d.values(x.dtype, [n] + [d.int(1, 5) for _ in range(dims)] + [dims], low=-1.4, high=1.4)
    return [x, grid], {"mode": mode, "align_corners": d.pick([None, 0, 1]),
                       "padding_mode": d.pick([None, "zeros", "border", "reflection"])}, 1, (1e-3, 1e-4)


@generator("LpPool")
def lp_pool(d):
    spatial = image(d)
    n = len(spatial)
    kernel = [d.pick([1, 2, 3]) for _ in range(n)]
    attrs = window(d, spatial, kernel, d.maybe([d.int(1, 2) for _ in range(n)], 0.2))
    if attrs.get("auto_pad", "").startswith("SAME"):
        attrs["dilations"] = None
    x = d.values(d.dtype(only=FLOATS), [d.int(1, 2), d.int(1, 4)] + spatial, "plain")
    return [x], {**attrs, "kernel_shape": kernel, "p": d.pick([None, 1, 2, 3])}, 1, (4e-3, 2e-3) if x.dtype == np.float16 else (1e-3, 1e-4)


@generator("GlobalLpPool")
def global_lp_pool(d):
    x = d.values(d.dtype(only=FLOATS), [d.int(1, 2), d.int(1, 4)] + image(d), "plain")
    return [x], {"p": d.pick([None, 1, 2, 3])}, 1


@generator("MaxUnpool")
def max_unpool(d):
    """Of what MaxPool would have given: places within each window."""
    n, c, h, w, k = d.int(1, 2), d.int(1, 3), d.int(1, 4), d.int(1, 4), d.int(1, 3)
    x = d.values(d.dtype(only=("float", "double")), [n, c, h, w], "plain")
    rows, columns = np.meshgrid(np.arange(h) * k, np.arange(w) * k, indexing="ij")
    at = (rows + d.rng.integers(0, k, (h, w))) * (w * k) + columns + d.rng.integers(0, k, (h, w))
    planes = np.arange(n * c).reshape(n, c, 1, 1) * (h * k * w * k)
    return [x, (at + planes).astype(np.int64)], {"kernel_shape": [k, k], "strides": [k, k]}, 1


@generator("DeformConv")
def deform_conv(d):
    n, group, per_in, per_out, og = d.int(1, 2), d.int(1, 2), d.int(1, 2), d.int(1, 2), 1
    kh, kw, h, w = d.int(1, 3), d.int(1, 3), d.int(3, 6), d.int(3, 6)
    c = group * per_in
    og = d.pick([g for g in (1, 2) if c % g == 0])
    pad, stride = d.int(0, 1), d.int(1, 2)
    oh, ow = ((s + 2 * pad - k) // stride + 1 for s, k in ((h, kh), (w, kw)))
    def some(*shape):
        return d.values(np.float32, list(shape), "plain")
    mask = d.maybe(d.values(np.float32, [n, og * kh * kw, oh, ow], low=0, high=1))
    return [some(n, c, h, w), some(group * per_out, per_in, kh, kw), some(n, 2 * og * kh * kw, oh, ow),
            d.maybe(some(group * per_out)), mask], \
        {"group": group, "offset_group": og, "pads": [pad] * 4, "strides": [stride] * 2, "kernel_shape": d.maybe([kh, kw])}, \
        1, (1e-3, 1e-4)


@generator("Col2Im")
def col2im(d):
    dims = d.pick([1, 2, 2, 3])
    block = [d.int(1, 3) for _ in range(dims)]
    strides, dilations = [d.int(1, 2) for _ in range(dims)], [d.int(1, 2) for _ in range(dims)]
    pads = [d.int(0, 1) for _ in range(2 * dims)]
    sizes = [max((b - 1) * dil + 1, d.int(2, 6)) for b, dil in zip(block, dilations)]
    blocks = [(s + pads[i] + pads[dims + i] - ((block[i] - 1) * dilations[i] + 1)) // strides[i] + 1
              for i, s in enumerate(sizes)]
    x = d.values(d.dtype(only=("float", "double")), [d.int(1, 2), d.int(1, 2) * int(np.prod(block)), int(np.prod(blocks))], "plain")
    return [x, i64(sizes), i64(block)], {"strides": strides, "dilations": dilations, "pads": pads}, 1


@generator("RoiAlign")
def roi_align(d):
    n, r = d.int(1, 2), d.int(1, 4)
    x = d.values(d.dtype(only=("float", "double")), [n, d.int(1, 3), d.int(3, 9), d.int(3, 9)], "plain")
    corner = d.values(x.dtype, [r, 2], low=-1, high=5)
    rois = np.concatenate([corner, corner + d.values(x.dtype, [r, 2], low=0.5, high=6)], axis=1)
    return [x, rois, d.values(np.int64, [r], low=0, high=n - 1)], \
        {"mode": d.pick([None, "avg", "max"]), "output_height": d.maybe(d.int(1, 4)), "output_width": d.maybe(d.int(1, 4)),
         "sampling_ratio": d.pick([None, 0, 1, 2]), "spatial_scale": d.pick([None, 1.0, 0.5]),
         "coordinate_transformation_mode": d.pick([None, "half_pixel", "output_half_pixel"])}, 1, (1e-3, 1e-4)


@generator("MaxRoiPool")
def max_roi_pool(d):
    n, r = d.int(1, 2), d.int(1, 4)
    h, w = d.int(3, 9), d.int(3, 9)
    low = d.values(np.int64, [r, 2], low=0, high=2)
    high = low + d.values(np.int64, [r, 2], low=0, high=6)
    rois = np.concatenate([d.values(np.int64, [r, 1], low=0, high=n - 1), low, high], axis=1).astype(np.float32)
    return [d.values(np.float32, [n, d.int(1, 3), h, w], "plain"), rois], \
        {"pooled_shape": [d.int(1, 4), d.int(1, 4)], "spatial_scale": d.pick([None, 1.0, 0.5])}, 1


@generator("Det")
def det(d):
    n = d.int(1, 4)
    return [d.values(d.dtype(only=("float", "double")), [d.int(1, 3) for _ in range(d.int(0, 2))] + [n, n], "plain")], {}, 1, \
        (1e-3, 1e-3)


@generator("Inverse", domain="com.microsoft")
def inverse(d):
    n = d.int(1, 4)
    x = d.values(d.pick([np.float32, np.float64]), [d.int(1, 3) for _ in range(d.int(0, 2))] + [n, n], "plain")
    return [x + 9 * np.eye(n, dtype=x.dtype)], {}, 1


@generator("CenterCropPad")
def center_crop_pad(d):
    x = d.tensor(low=1, high=4)
    axes = d.axes(x.ndim, 1) if d.chance(0.5) else None
    n = x.ndim if axes is None else len(axes)
    return [x, i64([d.int(1, 9) for _ in range(n)])], {"axes": axes}, 1


@generator("DFT")
def dft(d):
    parts = d.int(1, 2)
    shape = [d.int(1, 3)] + [d.pick([1, 2, 3, 4, 5, 7, 8, 12, 16]) for _ in range(d.int(1, 2))] + [parts]
    axis = d.int(1, len(shape) - 2)
    inverse = d.pick([None, 0, 1])
    onesided = None if parts == 2 or inverse else d.pick([None, 0, 1])
    length = d.maybe(scalar(d.pick([1, 2, 3, 5, 8, 11])), 0.4)
    if d.chance(0.3):
        axis -= len(shape)
    return [d.values(d.dtype(only=("float", "double")), shape, "plain"), length, scalar(axis)], \
        {"inverse": inverse, "onesided": onesided}, 1, (1e-3, 1e-3)


@generator("STFT")
def stft(d):
    frame, step = d.pick([2, 3, 4, 5, 8, 16]), d.int(1, 5)
    length = frame + d.int(0, 20)
    dtype = d.dtype(only=("float", "double"))
    windowed = d.chance(0.6)
    return [d.values(dtype, [d.int(1, 3), length, 1], "plain"), scalar(step),
            Known(d.values(dtype, [frame], low=0, high=1)) if windowed else None,
            scalar(frame) if not windowed or d.chance(0.5) else None], {"onesided": d.pick([None, 0, 1])}, 1, (1e-3, 1e-3)
