#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Our time against ONNX Runtime's, operator by operator: where are we slower, on one thread?

Each case is a graph of one node whose inputs have some million elements. Both engines run it in turn,
ours as `signetctl run`; a figure is ONNX Runtime's median over ours, least first. Outputs must agree.

usage: ort_operators.py --signetctl PATH [--only PATTERN,...] [--below RATIO] [--seconds S]
       PATTERN as of file names, of the first column; --below hides rows of a higher ratio;
       --seconds is how long each engine may run a case
Exit status 1 when outputs disagree.
"""
import argparse
import fnmatch
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

RTOL, ATOL = 2e-3, 1e-3
rng = np.random.default_rng(1)


class Const:
    """An input that is known when the graph is loaded."""

    def __init__(self, values, dtype=np.int64):
        self.array = np.asarray(values, dtype)


def f32(*shape):
    return rng.standard_normal(shape, np.float32)


def ints(*shape, high=100, dtype=np.int64):
    return rng.integers(0, high, shape).astype(dtype)


def u8(*shape):
    return ints(*shape, high=256, dtype=np.uint8)


def flags(*shape):
    return rng.random(shape) < 0.5


def weights(*shape):
    return Const(f32(*shape) * 0.1, np.float32)


def movers():
    """name, operator, inputs, attributes"""
    image, table = f32(1, 64, 128, 128), f32(4000, 256)
    yield "Transpose/nchw-nhwc", "Transpose", [image], {"perm": [0, 2, 3, 1]}
    yield "Transpose/nhwc-nchw", "Transpose", [f32(1, 128, 128, 64)], {"perm": [0, 3, 1, 2]}
    yield "Transpose/heads", "Transpose", [f32(8, 128, 12, 64)], {"perm": [0, 2, 1, 3]}
    yield "Transpose/matrix", "Transpose", [f32(1000, 1000)], {"perm": [1, 0]}
    yield "Transpose/u8", "Transpose", [u8(1, 512, 512, 3)], {"perm": [0, 3, 1, 2]}
    yield "Transpose/u8-nhwc", "Transpose", [u8(1, 3, 512, 512)], {"perm": [0, 2, 3, 1]}
    yield "Transpose/u8-four", "Transpose", [u8(1, 512, 512, 4)], {"perm": [0, 3, 1, 2]}
    yield "Transpose/u8-matrix", "Transpose", [u8(1000, 1000)], {"perm": [1, 0]}
    yield "Transpose/f16", "Transpose", [image.astype(np.float16)], {"perm": [0, 2, 3, 1]}
    yield "Transpose/f32-picture", "Transpose", [f32(1, 512, 512, 3)], {"perm": [0, 3, 1, 2]}
    yield "Transpose/f32-nhwc", "Transpose", [f32(1, 3, 512, 512)], {"perm": [0, 2, 3, 1]}
    yield "Transpose/pairs", "Transpose", [f32(1000, 500, 2)], {"perm": [2, 0, 1]}
    yield "Transpose/5d", "Transpose", [f32(8, 16, 16, 16, 32)], {"perm": [0, 3, 1, 4, 2]}
    for mode in "constant", "reflect", "edge", "wrap":
        yield f"Pad/{mode}", "Pad", [image, Const([0, 0, 3, 3, 0, 0, 3, 3])], {"mode": mode}
    yield "Pad/rows", "Pad", [f32(1000, 1000), Const([0, 8, 0, 8])], {}
    yield "Pad/u8", "Pad", [u8(1, 3, 512, 512), Const([0, 0, 3, 3, 0, 0, 3, 3])], {}
    yield "Slice/step", "Slice", [image, Const([0, 0]), Const([128, 128]), Const([2, 3]), Const([2, 2])], {}
    yield "Slice/middle", "Slice", [image, Const([5, 5]), Const([120, 120]), Const([2, 3])], {}
    yield "Slice/reverse", "Slice", [image, Const([-1]), Const([-1000]), Const([3]), Const([-1])], {}
    yield "Slice/channels", "Slice", [f32(1, 128, 128, 64), Const([0]), Const([32]), Const([3])], {}
    yield "Concat/first", "Concat", [f32(256, 1024), f32(256, 1024)], {"axis": 0}
    yield "Concat/last", "Concat", [f32(4096, 128), f32(4096, 64)], {"axis": -1}
    yield "Concat/last1", "Concat", [f32(400000, 1), f32(400000, 1), f32(400000, 1)], {"axis": -1}
    yield "Split/last", "Split", [f32(4096, 192)], {"axis": -1, "num_outputs": 3}, 3
    yield "Split/channels", "Split", [image], {"axis": 1, "num_outputs": 2}, 2
    yield "Tile/rows", "Tile", [f32(1000, 100), Const([1, 10])], {}
    yield "Tile/whole", "Tile", [f32(100, 1000), Const([10, 1])], {}
    yield "Tile/one", "Tile", [f32(1000, 1), Const([1, 1000])], {}
    yield "Expand/rows", "Expand", [f32(1000, 1), Const([1000, 1000])], {}
    yield "Expand/first", "Expand", [f32(1, 1000), Const([1000, 1000])], {}
    yield "Expand/middle", "Expand", [f32(16, 1, 64, 64), Const([16, 16, 64, 64])], {}
    yield "Expand/i64", "Expand", [ints(1, 1000), Const([1000, 1000])], {}
    yield "Gather/rows", "Gather", [table, ints(4096, high=4000)], {"axis": 0}
    yield "Gather/columns", "Gather", [table, ints(128, high=256)], {"axis": 1}
    yield "Gather/elements", "Gather", [f32(1000000), ints(1000000, high=1000000)], {"axis": 0}
    yield "Gather/i64", "Gather", [ints(1000000), ints(1000000, high=1000000)], {"axis": 0}
    yield "GatherElements/last", "GatherElements", [table, ints(4000, 256, high=256)], {"axis": 1}
    yield "GatherElements/first", "GatherElements", [table, ints(4000, 256, high=4000)], {"axis": 0}
    yield "GatherND/pairs", "GatherND", [f32(1000, 1000), ints(400000, 2, high=1000)], {}
    yield "GatherND/rows", "GatherND", [f32(100, 100, 64), ints(8000, 2, high=100)], {}
    yield "ScatterND/rows", "ScatterND", [table, ints(2000, 1, high=4000), f32(2000, 256)], {}
    yield "ScatterND/pairs", "ScatterND", [f32(1000, 1000), ints(400000, 2, high=1000), f32(400000)], {"reduction": "add"}
    yield "ScatterElements/last", "ScatterElements", [table, ints(4000, 256, high=256), f32(4000, 256)], {"axis": 1, "reduction": "max"}
    yield "ScatterElements/add", "ScatterElements", [table, ints(4000, 256, high=4000), f32(4000, 256)], {"axis": 0, "reduction": "add"}
    yield "ScatterElements/few", "ScatterElements", [table, np.tile(np.arange(100), (4000, 1)), f32(4000, 100)], {"axis": 1}
    yield "OneHot/last", "OneHot", [ints(4000, high=256), Const(256), Const([0, 1], np.float32)], {"axis": -1}
    yield "OneHot/first", "OneHot", [ints(4000, high=256), Const(256), Const([0, 1], np.float32)], {"axis": 0}
    yield "DepthToSpace/dcr", "DepthToSpace", [image], {"blocksize": 2, "mode": "DCR"}
    yield "DepthToSpace/crd", "DepthToSpace", [image], {"blocksize": 2, "mode": "CRD"}
    yield "SpaceToDepth", "SpaceToDepth", [image], {"blocksize": 2}
    yield "Trilu", "Trilu", [f32(4, 512, 512)], {"upper": 0}
    yield "Compress/rows", "Compress", [table, flags(4000)], {"axis": 0}
    yield "Compress/columns", "Compress", [table, flags(256)], {"axis": 1}
    yield "Compress/elements", "Compress", [f32(1000000), flags(1000000)], {}
    yield "NonZero/f32", "NonZero", [np.maximum(f32(1000, 1000), 0)], {}
    yield "NonZero/bool", "NonZero", [flags(1000000)], {}
    yield "NonZero/sparse", "NonZero", [rng.random((1000, 1000)) < 0.01], {}
    yield "Unique/i64", "Unique", [ints(200000, high=5000)], {"sorted": 1}, 4
    yield "Unique/f32", "Unique", [f32(200000)], {"sorted": 1}, 1
    yield "Unique/unsorted", "Unique", [ints(200000, high=5000)], {"sorted": 0}, 4
    yield "Unique/rows", "Unique", [ints(2000, 16, high=2)], {"axis": 0}, 4
    yield "ReverseSequence", "ReverseSequence", [f32(128, 16, 512), ints(16, high=128) + 1], {"time_axis": 0, "batch_axis": 1}
    yield "EyeLike", "EyeLike", [f32(1000, 1000)], {}
    yield "ConstantOfShape", "ConstantOfShape", [np.array([1000, 1000])], {}
    yield "Range", "Range", [np.array(0), np.array(1000000), np.array(1)], {}
    yield "CenterCropPad", "CenterCropPad", [image, Const([100, 140])], {"axes": [2, 3]}


def sums():
    image, rows, tall = f32(8, 64, 64, 64), f32(1000, 1000), f32(64, 197, 192)
    for op in "ReduceSum", "ReduceMean", "ReduceMax", "ReduceL2", "ReduceProd", "ReduceLogSumExp":
        yield f"{op}/last", op, [rows, Const([1])], {"keepdims": 1}
        yield f"{op}/first", op, [rows, Const([0])], {"keepdims": 1}
        yield f"{op}/middle", op, [tall, Const([1])], {"keepdims": 0}
        yield f"{op}/spatial", op, [image, Const([2, 3])], {"keepdims": 1}
        yield f"{op}/all", op, [image], {"keepdims": 0}
    yield "ReduceMean/ends", "ReduceMean", [image, Const([0, 2, 3])], {}
    yield "ReduceSum/i64", "ReduceSum", [ints(1000, 1000), Const([1])], {}
    yield "ReduceSum/i64first", "ReduceSum", [ints(1000, 1000), Const([0])], {}
    yield "ReduceMax/u8", "ReduceMax", [u8(1000, 1000), Const([1])], {}
    yield "ReduceMin/i64", "ReduceMin", [ints(1000, 1000), Const([1])], {}
    yield "ReduceSumSquare/last", "ReduceSumSquare", [rows, Const([1])], {}
    yield "ReduceL1/last", "ReduceL1", [rows, Const([1])], {}
    yield "ReduceLogSum/last", "ReduceLogSum", [np.abs(rows), Const([1])], {}
    for op in "ArgMax", "ArgMin":
        yield f"{op}/last", op, [rows], {"axis": 1}
        yield f"{op}/first", op, [rows], {"axis": 0}
        yield f"{op}/channels", op, [f32(1, 21, 256, 256)], {"axis": 1}
    yield "ArgMax/u8", "ArgMax", [u8(1000, 1000)], {"axis": 1}
    yield "ArgMax/lastindex", "ArgMax", [rows], {"axis": 1, "select_last_index": 1}
    yield "CumSum/last", "CumSum", [rows, Const(1)], {}
    yield "CumSum/first", "CumSum", [rows, Const(0)], {}
    yield "CumSum/reverse", "CumSum", [rows, Const(1)], {"reverse": 1, "exclusive": 1}
    yield "CumSum/i64", "CumSum", [ints(1000, 1000), Const(1)], {}
    for k in 1, 5, 100:
        yield f"TopK/{k}", "TopK", [rows, Const([k])], {}, 2
    yield "TopK/half", "TopK", [rows, Const([500])], {}, 2
    yield "TopK/all", "TopK", [f32(10, 10000), Const([10000])], {}, 2
    yield "TopK/big", "TopK", [f32(1, 500000), Const([1000])], {}, 2
    yield "TopK/first", "TopK", [rows, Const([5])], {"axis": 0}, 2
    yield "TopK/i64", "TopK", [ints(100, 10000, high=1 << 40), Const([10])], {}, 2
    yield "TopK/smallest", "TopK", [rows, Const([20])], {"largest": 0}, 2
    for op in "Softmax", "LogSoftmax", "Hardmax":
        yield f"{op}/last", op, [rows], {"axis": -1}
        yield f"{op}/middle", op, [f32(8, 128, 1024)], {"axis": 1}
        yield f"{op}/channels", op, [f32(1, 21, 256, 256)], {"axis": 1}
        yield f"{op}/short", op, [f32(100000, 10)], {"axis": -1}
    yield "Softmax/first", "Softmax", [rows], {"axis": 0}


def networks():
    image, tokens = f32(1, 64, 112, 112), f32(8, 197, 768)
    scale, bias = weights(64), weights(64)
    yield "LayerNorm/768", "LayerNormalization", [tokens, weights(768), weights(768)], {"axis": -1}
    yield "LayerNorm/96", "LayerNormalization", [f32(1, 56, 56, 96), weights(96), weights(96)], {"axis": -1}
    yield "LayerNorm/image", "LayerNormalization", [f32(8, 64, 1024), weights(64, 1024), weights(64, 1024)], {"axis": 1}
    yield "RMSNorm", "RMSNormalization", [tokens, weights(768)], {"axis": -1}, 1, 23
    yield "InstanceNorm", "InstanceNormalization", [image, scale, bias], {}
    yield "GroupNorm", "GroupNormalization", [image, scale, bias], {"num_groups": 8}, 1, 21
    yield "BatchNorm/image", "BatchNormalization", [image, scale, bias, weights(64), Const(np.ones(64), np.float32)], {}
    yield "BatchNorm/volume", "BatchNormalization", [f32(1, 64, 8, 32, 32), scale, bias, weights(64), Const(np.ones(64), np.float32)], {}
    yield "BatchNorm/rows", "BatchNormalization", [f32(10000, 64), scale, bias, weights(64), Const(np.ones(64), np.float32)], {}
    yield "LpNorm", "LpNormalization", [f32(1000, 1000)], {"axis": -1, "p": 2}
    yield "LpNorm/channels", "LpNormalization", [image], {"axis": 1, "p": 2}
    yield "LRN", "LRN", [f32(1, 96, 55, 55)], {"size": 5}
    for op in "MaxPool", "AveragePool":
        yield f"{op}/3x3s2", op, [image], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1] * 4}
        yield f"{op}/2x2", op, [image], {"kernel_shape": [2, 2], "strides": [2, 2]}
        yield f"{op}/3x3s1", op, [image], {"kernel_shape": [3, 3], "strides": [1, 1], "pads": [1] * 4}
        yield f"{op}/5x5", op, [f32(1, 64, 40, 40)], {"kernel_shape": [5, 5], "pads": [2] * 4}
        yield f"{op}/1d", op, [f32(8, 64, 2048)], {"kernel_shape": [3], "strides": [2], "pads": [1, 1]}
        yield f"{op}/3d", op, [f32(1, 64, 16, 56, 56)], {"kernel_shape": [1, 3, 3], "strides": [1, 2, 2], "pads": [0, 1, 1] * 2}
        yield f"{op}/3d333", op, [f32(1, 64, 8, 28, 28)], {"kernel_shape": [3, 3, 3], "strides": [1, 1, 1], "pads": [1] * 6}
        yield f"{op}/3d222", op, [f32(1, 64, 16, 28, 28)], {"kernel_shape": [2, 2, 2], "strides": [2, 2, 2]}
    yield "MaxPool/u8", "MaxPool", [u8(1, 64, 112, 112)], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1] * 4}
    yield "MaxPool/indices", "MaxPool", [image], {"kernel_shape": [2, 2], "strides": [2, 2]}, 2
    yield "LpPool", "LpPool", [image], {"kernel_shape": [3, 3], "strides": [2, 2], "p": 2}
    yield "GlobalAveragePool", "GlobalAveragePool", [image], {}
    yield "GlobalAveragePool/volume", "GlobalAveragePool", [f32(1, 512, 4, 14, 14)], {}
    yield "GlobalMaxPool", "GlobalMaxPool", [image], {}
    yield "GlobalLpPool", "GlobalLpPool", [image], {}
    yield "MaxUnpool", "MaxUnpool", [f32(1, 64, 56, 56), np.arange(0, 64 * 112 * 112, 4).reshape(1, 64, 56, 56)], {"kernel_shape": [2, 2], "strides": [2, 2]}
    up = Const([1, 1, 2, 2], np.float32)
    for name, attrs in (("nearest", {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}),
                        ("linear", {"mode": "linear"}), ("corners", {"mode": "linear", "coordinate_transformation_mode": "align_corners"}),
                        ("cubic", {"mode": "cubic", "cubic_coeff_a": -0.75}),
                        ("asymmetric", {"mode": "linear", "coordinate_transformation_mode": "asymmetric"})):
        yield f"Resize/{name}", "Resize", [f32(1, 64, 56, 56), None, up], attrs
    yield "Resize/down", "Resize", [f32(1, 3, 512, 512), None, Const([1, 1, 0.4375, 0.4375], np.float32)], {"mode": "linear"}
    yield "Resize/antialias", "Resize", [f32(1, 3, 512, 512), None, Const([1, 1, 0.4375, 0.4375], np.float32)], {"mode": "linear", "antialias": 1}
    yield "Resize/u8", "Resize", [u8(1, 3, 512, 512), None, Const([1, 1, 0.4375, 0.4375], np.float32)], {"mode": "linear"}
    yield "Resize/nhwc", "Resize", [f32(1, 56, 56, 64), None, Const([1, 2, 2, 1], np.float32)], {"mode": "linear"}
    yield "Resize/3d", "Resize", [f32(1, 16, 16, 28, 28), None, Const([1, 1, 2, 2, 2], np.float32)], {"mode": "linear"}
    yield "Resize/3dnearest", "Resize", [f32(1, 16, 16, 28, 28), None, Const([1, 1, 2, 2, 2], np.float32)], {"mode": "nearest"}
    yield "Resize/1d", "Resize", [f32(1, 64, 8000), None, Const([1, 1, 2], np.float32)], {"mode": "linear"}
    yield "Resize/odd", "Resize", [f32(1, 64, 56, 56), None, Const([1, 1, 1.7, 1.7], np.float32)], {"mode": "nearest"}
    grid = (rng.random((1, 112, 112, 2)) * 2 - 1).astype(np.float32)
    for mode in "linear", "nearest", "cubic":
        yield f"GridSample/{mode}", "GridSample", [image, grid], {"mode": mode}
    yield "GridSample/reflection", "GridSample", [image, grid * 1.2], {"mode": "linear", "padding_mode": "reflection"}
    yield "GridSample/border", "GridSample", [image, grid * 1.2], {"mode": "linear", "padding_mode": "border"}
    yield "GridSample/3d", "GridSample", [f32(1, 16, 8, 32, 32), (rng.random((1, 8, 32, 32, 3)) * 2 - 1).astype(np.float32)], {"mode": "linear"}
    yield "AffineGrid", "AffineGrid", [f32(4, 2, 3), Const([4, 3, 256, 256])], {}
    boxes = np.sort(rng.random((100, 2, 2)) * 400, 1).reshape(100, 4).astype(np.float32)
    yield "RoiAlign", "RoiAlign", [f32(1, 256, 50, 50), boxes, Const(np.zeros(100))], {"output_height": 7, "output_width": 7, "sampling_ratio": 2, "spatial_scale": 0.125}
    yield "RoiAlign/max", "RoiAlign", [f32(1, 256, 50, 50), boxes, Const(np.zeros(100))], {"output_height": 7, "output_width": 7, "sampling_ratio": 2, "spatial_scale": 0.125, "mode": "max"}
    yield "MaxRoiPool", "MaxRoiPool", [f32(1, 256, 50, 50), np.concatenate([np.zeros((100, 1), np.float32), boxes], 1)], {"pooled_shape": [7, 7], "spatial_scale": 0.125}
    many = np.sort(rng.random((4000, 2, 2)) * 400, 1).reshape(1, 4000, 4).astype(np.float32)
    yield "NonMaxSuppression", "NonMaxSuppression", [many, rng.random((1, 4, 4000)).astype(np.float32), Const(200), Const(0.5, np.float32), Const(0.1, np.float32)], {}
    yield "NonMaxSuppression/many", "NonMaxSuppression", [many, rng.random((1, 80, 4000)).astype(np.float32), Const(100), Const(0.5, np.float32), Const(0.6, np.float32)], {}
    yield "Col2Im", "Col2Im", [f32(1, 64 * 9, 56 * 56), Const([56, 56]), Const([3, 3])], {"pads": [1] * 4}
    yield "Col2Im/apart", "Col2Im", [f32(1, 64 * 4, 56 * 56), Const([112, 112]), Const([2, 2])], {"strides": [2, 2]}
    yield "DeformConv", "DeformConv", [f32(1, 32, 28, 28), weights(32, 32, 3, 3), f32(1, 18, 28, 28)], {"kernel_shape": [3, 3], "pads": [1] * 4}, 1, 22


def convs():
    def conv(name, x, c_out, kernel, group=1, **attrs):
        c_in, n = x.shape[1], x.ndim - 2
        attrs.setdefault("pads", [k // 2 for k in kernel] * 2)
        w = weights(c_out, c_in // group, *kernel)
        return f"Conv/{name}", "Conv", [x, w, weights(c_out)], {"kernel_shape": kernel, "group": group, **attrs}
    def transposed(name, x, c_out, kernel, group=1, **attrs):
        w = weights(x.shape[1], c_out // group, *kernel)
        return f"ConvTranspose/{name}", "ConvTranspose", [x, w, weights(c_out)], {"kernel_shape": kernel, "group": group, **attrs}
    yield conv("3x3", f32(1, 64, 56, 56), 64, [3, 3])
    yield conv("depthwise", f32(1, 144, 56, 56), 144, [3, 3], 144)
    yield conv("depthwise7", f32(1, 96, 56, 56), 96, [7, 7], 96)
    yield conv("depthwise-s2", f32(1, 144, 56, 56), 144, [3, 3], 144, strides=[2, 2])
    yield conv("grouped", f32(1, 128, 28, 28), 128, [3, 3], 32)
    yield conv("dilated", f32(1, 64, 56, 56), 64, [3, 3], dilations=[2, 2], pads=[2] * 4)
    yield conv("1d", f32(1, 128, 1000), 128, [3])
    yield conv("1d-depthwise", f32(8, 256, 1000), 256, [31], 256)
    yield conv("3d", f32(1, 64, 8, 28, 28), 64, [3, 3, 3])
    yield conv("3d-space", f32(1, 64, 8, 56, 56), 64, [1, 3, 3])
    yield conv("3d-time", f32(1, 64, 8, 56, 56), 64, [3, 1, 1])
    yield conv("3d-point", f32(1, 64, 8, 56, 56), 64, [1, 1, 1])
    yield conv("3d-stem", f32(1, 3, 16, 112, 112), 64, [3, 7, 7], strides=[1, 2, 2])
    yield conv("3d-depthwise", f32(1, 96, 8, 56, 56), 96, [3, 3, 3], 96)
    yield conv("3d-depthwise-s2", f32(1, 96, 8, 56, 56), 96, [3, 3, 3], 96, strides=[1, 2, 2])
    yield conv("3d-depthwise-s8", f32(1, 96, 8, 56, 56), 96, [3, 3, 3], 96, strides=[1, 8, 8])
    yield conv("3d-grouped", f32(1, 64, 8, 28, 28), 64, [3, 3, 3], 16)
    yield transposed("2x2s2", f32(1, 64, 56, 56), 64, [2, 2], strides=[2, 2])
    yield transposed("4x4s2", f32(1, 64, 28, 28), 64, [4, 4], strides=[2, 2], pads=[1] * 4)
    yield transposed("depthwise", f32(1, 64, 56, 56), 64, [4, 4], 64, strides=[2, 2], pads=[1] * 4)
    yield transposed("1d", f32(1, 128, 500), 64, [16], strides=[8], pads=[4, 4])
    yield transposed("3d", f32(1, 32, 8, 14, 14), 32, [3, 3, 3], strides=[2, 2, 2], pads=[1] * 6)
    yield transposed("3d222", f32(1, 32, 8, 14, 14), 16, [2, 2, 2], strides=[2, 2, 2])


def products():
    yield "MatMul/square", "MatMul", [f32(512, 512), f32(512, 512)], {}
    yield "MatMul/batched", "MatMul", [f32(96, 128, 64), f32(96, 64, 128)], {}
    yield "MatMul/vector", "MatMul", [f32(1, 2048), f32(2048, 2048)], {}
    yield "MatMul/small", "MatMul", [f32(10000, 4, 4), f32(10000, 4, 4)], {}
    yield "MatMul/f64", "MatMul", [f32(256, 256).astype(np.float64), f32(256, 256).astype(np.float64)], {}
    yield "MatMul/i32", "MatMul", [ints(256, 256, dtype=np.int32), ints(256, 256, dtype=np.int32)], {}
    yield "Gemm/transposed", "Gemm", [f32(256, 1024), weights(1024, 1024), weights(1024)], {"transB": 1}
    yield "Einsum/heads", "Einsum", [f32(8, 128, 12, 64), f32(8, 128, 12, 64)], {"equation": "bqhd,bkhd->bhqk"}
    yield "Einsum/matrix", "Einsum", [f32(256, 256), f32(256, 256)], {"equation": "ij,jk->ik"}
    yield "Einsum/outer", "Einsum", [f32(1000), f32(1000)], {"equation": "i,j->ij"}
    yield "Einsum/channels", "Einsum", [f32(1, 64, 56, 56), f32(56, 56)], {"equation": "bchw,wk->bchk"}
    yield "Det", "Det", [f32(1000, 8, 8)], {}


def elementwise():
    x, y = f32(1000, 1000), f32(1000, 1000)
    image = f32(1, 64, 128, 128)
    for op in ("Abs Ceil Cos Erf Exp Floor Neg Reciprocal Round Sign Sin Celu Elu Gelu HardSigmoid HardSwish LeakyRelu "
               "Mish Relu Selu Sigmoid Softplus Softsign Tanh ThresholdedRelu Atan Asinh Cosh Sinh Tan IsNaN IsInf "
               "Shrink").split():
        yield op, op, [x], {}
    for op in "Log", "Sqrt":
        yield op, op, [np.abs(x)], {}
    for op in "Acos", "Asin", "Atanh":
        yield op, op, [np.tanh(x)], {}
    yield "Acosh", "Acosh", [np.abs(x) + 1], {}
    yield "Not", "Not", [flags(1000, 1000)], {}
    yield "Clip", "Clip", [x, Const(-1, np.float32), Const(1, np.float32)], {}
    yield "Clip/i64", "Clip", [ints(1000, 1000), Const(5), Const(50)], {}
    yield "Neg/i64", "Neg", [ints(1000, 1000)], {}
    yield "Abs/i64", "Abs", [ints(1000, 1000)], {}
    for op in "Add", "Sub", "Mul", "Div", "Max", "Min", "Mod", "PRelu":
        attrs = {"fmod": 1} if op == "Mod" else {}
        yield op, op, [x, y], attrs
        yield f"{op}/scalar", op, [x, f32(1)], attrs
        yield f"{op}/row", op, [x, f32(1000)], attrs
        yield f"{op}/column", op, [x, f32(1000, 1)], attrs
        yield f"{op}/channels", op, [image, f32(64, 1, 1)], attrs
        if op != "PRelu":
            yield f"{op}/i64", op, [ints(1000, 1000), ints(1000, 1000) + 1], {}
    yield "Add/outer", "Add", [f32(1000, 1), f32(1, 1000)], {}
    yield "Add/middle", "Add", [f32(16, 64, 1000), f32(16, 1, 1000)], {}
    yield "Div/i32", "Div", [ints(1000, 1000, dtype=np.int32), ints(1000, 1000, dtype=np.int32) + 1], {}
    yield "Pow", "Pow", [np.abs(x), y], {}
    yield "Pow/2", "Pow", [x, Const(2, np.float32)], {}
    yield "Pow/3", "Pow", [x, Const(3, np.float32)], {}
    yield "Pow/half", "Pow", [np.abs(x), Const(0.5, np.float32)], {}
    yield "Pow/other", "Pow", [np.abs(x), Const(1.7, np.float32)], {}
    yield "Sum", "Sum", [x, y, y], {}
    yield "Mean", "Mean", [x, y, y], {}
    for op in "Equal", "Greater", "Less", "GreaterOrEqual":
        yield op, op, [x, y], {}
        yield f"{op}/scalar", op, [x, f32(1)], {}
        yield f"{op}/i64", op, [ints(1000, 1000), ints(1000, 1000)], {}
        yield f"{op}/outer", op, [ints(1000, 1), ints(1, 1000)], {}
    for op in "And", "Or", "Xor":
        yield op, op, [flags(1000, 1000), flags(1000, 1000)], {}
        yield f"{op}/row", op, [flags(1000, 1000), flags(1000)], {}
    yield "BitwiseAnd", "BitwiseAnd", [ints(1000, 1000), ints(1000, 1000)], {}
    yield "BitShift", "BitShift", [u8(1000, 1000), Const(np.full((1000, 1000), 3), np.uint8)], {"direction": "LEFT"}
    yield "Where", "Where", [flags(1000, 1000), x, y], {}
    yield "Where/scalar", "Where", [flags(1000, 1000), x, Const(-1e9, np.float32)], {}
    yield "Where/mask", "Where", [flags(8, 1, 128, 128), f32(8, 12, 128, 128), Const(-1e9, np.float32)], {}
    yield "Where/row", "Where", [flags(1000), x, y], {}
    yield "Where/column", "Where", [flags(1000, 1), x, y], {}
    yield "Where/i64", "Where", [flags(1000, 1000), ints(1000, 1000), ints(1000, 1000)], {}
    kinds = {"f32": x * 50, "f64": (x * 50).astype(np.float64), "f16": x.astype(np.float16), "i64": ints(1000, 1000),
             "i32": ints(1000, 1000, dtype=np.int32), "u8": u8(1000, 1000), "bool": flags(1000, 1000)}
    for pair in ("f32 i64", "f32 i32", "f32 u8", "f32 f16", "f32 bool", "f32 f64", "i64 f32", "i64 i32", "i64 bool", "i32 f32",
                 "i32 i64", "u8 f32", "u8 i64", "f16 f32", "bool f32", "bool i64", "f64 f32"):
        a, b = pair.split()
        source = np.abs(kinds[a]) if b == "u8" else kinds[a]
        yield f"Cast/{a}-{b}", "Cast", [source], {"to": helper.np_dtype_to_tensor_dtype(kinds[b].dtype)}
    q = Const(0.05, np.float32), Const(128, np.uint8)
    yield "QuantizeLinear", "QuantizeLinear", [x, *q], {}
    yield "QuantizeLinear/channels", "QuantizeLinear", [x, Const(np.full(1000, 0.05), np.float32), Const(np.full(1000, 3), np.int8)], {"axis": 1}
    yield "DequantizeLinear", "DequantizeLinear", [u8(1000, 1000), *q], {}
    yield "DynamicQuantizeLinear", "DynamicQuantizeLinear", [x], {}, 3
    yield "Dropout", "Dropout", [x], {}


def recurrences():
    def net(op, gates):
        h = 256
        return f"{op}", op, [f32(100, 1, 128), weights(1, gates * h, 128), weights(1, gates * h, h)], {"hidden_size": h}
    yield net("RNN", 1)
    yield net("GRU", 3)
    yield net("LSTM", 4)
    yield "DFT", "DFT", [f32(64, 1024, 1), None, Const(1)], {}, 1, 20
    yield "DFT/odd", "DFT", [f32(64, 1000, 1), None, Const(1)], {"onesided": 1}, 1, 20
    yield "STFT", "STFT", [f32(1, 160000, 1), Const(160), Const(np.hanning(400), np.float32)], {"onesided": 1}
    q, kv = f32(1, 12, 196, 64), f32(1, 12, 196, 64)
    yield "Attention", "Attention", [q, kv, kv], {}, 1, 23


GROUPS = [movers, sums, networks, convs, products, elementwise, recurrences]


class Case:
    def __init__(self, name, op, inputs, attrs, outputs=1, opset=20):
        self.name, self.outputs = name, [f"y{i}" for i in range(outputs)]
        names = [f"x{i}" if x is not None else "" for i, x in enumerate(inputs)]
        self.feed = {n: x for n, x in zip(names, inputs) if n and not isinstance(x, Const)}
        fixed = [numpy_helper.from_array(x.array, n) for n, x in zip(names, inputs) if isinstance(x, Const)]
        value = lambda n, x: helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
        node = helper.make_node(op, names, self.outputs, **attrs)
        free = [helper.make_empty_tensor_value_info(n) for n in self.outputs]
        graph = helper.make_graph([node], "operator", [value(n, x) for n, x in self.feed.items()], free, fixed)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
        self.model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
        for y in self.model.graph.output:  # onnx infers nothing of GroupNormalization 21; a graph's outputs must have types
            if not y.type.WhichOneof("value"):
                y.CopyFrom(helper.make_tensor_value_info(y.name, helper.np_dtype_to_tensor_dtype(inputs[0].dtype), None))

    def write(self, folder):
        onnx.save(self.model, folder / "model.onnx")
        for name, x in self.feed.items():
            np.save(folder / f"{name}.npy", x)


def theirs(case, seconds):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(case.model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    session.run(case.outputs, case.feed)
    taken, until = [], time.perf_counter() + seconds
    while len(taken) < 3 or time.perf_counter() < until:
        began = time.perf_counter()
        result = session.run(case.outputs, case.feed)
        taken.append(time.perf_counter() - began)
    return result, statistics.median(taken) * 1e6


def ours(signetctl, case, folder, times):
    case.write(folder)
    files = [a for n in case.feed for a in ("--input", f"{n}={folder / n}.npy")]
    files += [a for n in case.outputs for a in ("--output", f"{n}={folder / n}.npy")]
    done = subprocess.run([signetctl, "run", folder / "model.onnx", "--threads", "1", "--repeat", str(times + 1),
                           "--json", *files], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return [np.load(folder / f"{n}.npy") for n in case.outputs], json.loads(done.stdout)["median_us"]


def agree(a, b):
    if a.shape != b.shape:
        return False
    if b.dtype == np.uint8:
        return not b.size or np.max(np.abs(a.astype(int) - b)) <= 1  # of quantized and of resized images
    if not np.issubdtype(b.dtype, np.floating):
        return np.mean(a != b) < 1e-3  # halfway cases of rounding
    a, b = a.astype(np.float64), b.astype(np.float64)
    return np.allclose(a, b, RTOL, ATOL * max(1, np.max(np.abs(b), initial=0)), equal_nan=True)


def compare(args, case, folder):
    """The row that is printed."""
    try:
        expected, their_us = theirs(case, args.seconds)
    except Exception as e:
        return {"name": case.name, "why": "ONNX Runtime: " + str(e).splitlines()[0][:90]}
    try:
        times = max(3, min(1000, int(args.seconds * 1e6 / their_us)))
        result, our_us = ours(args.signetctl, case, folder, times)
    except RuntimeError as e:
        return {"name": case.name, "why": "ours: " + str(e)[:90]}
    same = all(agree(a, b) for a, b in zip(result, expected))
    return {"name": case.name, "ours": our_us, "theirs": their_us, "ratio": their_us / our_us, "same": same}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--signetctl", default="./signetctl")
    parser.add_argument("--only", default="*")
    parser.add_argument("--below", type=float, default=1e9)
    parser.add_argument("--seconds", type=float, default=0.1)
    args = parser.parse_args()

    patterns = args.only.split(",")
    rows = []
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        for group in GROUPS:
            chosen = [c for c in group() if any(fnmatch.fnmatch(n, p) for n in (c[0], group.__name__) for p in patterns)]
            rows += [compare(args, Case(*c), pathlib.Path(folder)) for c in chosen]
    print(f"{'operator':28} {'ours us':>10} {'ort us':>10} {'ort/ours':>8}")
    for r in sorted(rows, key=lambda r: r.get("ratio", 0)):
        if "why" in r:
            print(f"{r['name']:28} {r['why']}")
        elif r["ratio"] < args.below or not r["same"]:
            print("{name:28} {ours:10.1f} {theirs:10.1f} {ratio:8.2f}{0}".format("" if r["same"] else " WRONG", **r))
    return int(any(not r.get("same", True) for r in rows))


if __name__ == "__main__":
    sys.exit(main())
