# SPDX-License-Identifier: Apache-2.0
"""Small graphs of the architectures that people serve, in the nodes that their exporters write.

ARCHITECTURES[name](dtype) gives a Graph with .feeds, arrays for its inputs; dtype float16 is what
exporting model.half() gives. Batch and length are symbols wherever an exporter leaves them so, and
the nodes that compute with shapes (Shape, Gather, Concat, ConstantOfShape, Expand) are there too.
"""
import math

import numpy as np
from onnx import TensorProto

from onnx_graph import Graph

INT64 = TensorProto.INT64


class Net(Graph):
    """The parts that several have in common."""

    def __init__(self, name, dtype, opset=17, seed=1):
        super().__init__(name, seed=seed, opset=opset, dtype=dtype)
        self.feeds = {}

    def feed(self, name, shape, symbols, dtype=None, high=None):
        """An input with data of that shape; symbols: its dimensions as the graph names them."""
        if high:
            self.feeds[name] = self.rng.integers(0, high, shape)
            return self.input(name, symbols, INT64)
        self.feeds[name] = self.rng.standard_normal(shape).astype(dtype or self.dtype)
        return self.input(name, symbols)

    # -- shapes, as traced from x.size(i) -------------------------------------------------------

    def size(self, x, i):
        return self.node("Gather", [self.node("Shape", [x]), self.int(i)], axis=0)

    def shape(self, *parts):
        """Of numbers and of what size() gave."""
        return self.node("Concat", [self.ints(p) if isinstance(p, int) else
                                    self.node("Unsqueeze", [p, self.ints(0)]) for p in parts], axis=0)

    def reshape(self, x, *parts):
        if all(isinstance(p, int) for p in parts):
            return self.node("Reshape", [x, self.ints(*parts)])
        return self.node("Reshape", [x, self.shape(*parts)], allowzero=0)

    def expand(self, x, shape):
        """torch's expand(): -1 stands for the size that is there."""
        ones = self.node("ConstantOfShape", [self.node("Shape", [shape])], value=int64_one())
        minus = self.node("Mul", [ones, self.int(-1)])
        equal = self.node("Equal", [shape, minus])
        return self.node("Expand", [x, self.node("Where", [equal, ones, shape])])

    def cut(self, x, axis, begin, end, step=1):
        return self.node("Slice", [x, self.ints(begin), self.ints(end), self.ints(axis), self.ints(step)])

    def transpose(self, x, *perm):
        return self.node("Transpose", [x], perm=list(perm))

    # -- functions -------------------------------------------------------------------------------

    def add(self, a, b):
        return self.node("Add", [a, b])

    def mul(self, a, b):
        return self.node("Mul", [a, b])

    def silu(self, x):
        return self.mul(x, self.node("Sigmoid", [x]))

    def relu(self, x):
        return self.node("Relu", [x])

    def hard_swish(self, x):
        """torchvision's, before operator set 14."""
        y = self.node("Clip", [self.add(x, self.number(3)), self.number(0), self.number(6)])
        return self.node("Div", [self.mul(x, y), self.number(6)])

    def gelu_tanh(self, x):
        cube = self.node("Pow", [x, self.number(3)])
        y = self.mul(self.add(x, self.mul(cube, self.number(0.044715))), self.number(math.sqrt(2 / math.pi)))
        y = self.add(self.node("Tanh", [y]), self.number(1))
        return self.mul(self.mul(x, self.number(0.5)), y)

    def mean(self, x, *axes):
        return self.node("ReduceMean", [x], axes=list(axes), keepdims=1)

    def layer_norm_parts(self, x, width):
        """What exporters wrote before operator set 17."""
        d = self.node("Sub", [x, self.mean(x, -1)])
        var = self.mean(self.node("Pow", [d, self.number(2)]), -1)
        y = self.node("Div", [d, self.node("Sqrt", [self.add(var, self.number(1e-5))])])
        return self.add(self.mul(y, self.random((width,), 1)), self.random((width,), 0.1))

    def rms_norm(self, x, width):
        """Llama's; computed in floats, whatever x is."""
        f = self.node("Cast", [x], to=TensorProto.FLOAT)
        two, eps = self.constant(np.float32(2)), self.constant(np.float32(1e-6))
        var = self.mean(self.node("Pow", [f, two]), -1)
        root = self.node("Sqrt", [self.add(var, eps)])
        y = self.mul(f, self.node("Div", [self.constant(np.float32(1)), root]))
        if self.dtype == np.float16:
            y = self.node("Cast", [y], to=TensorProto.FLOAT16)
        return self.mul(self.random((width,), 1), y)

    def batch_norm(self, x, channels):
        positive = self.constant((self.rng.random(channels) + 0.5).astype(self.dtype))
        return self.node("BatchNormalization", [x, self.random((channels,), 1), self.random((channels,), 0.1),
                                                self.random((channels,), 0.1), positive], epsilon=1e-5)

    def group_norm(self, x, channels, groups):
        """torch.nn.GroupNorm, as it is exported before there was an operator."""
        y = self.reshape(x, 0, groups, -1)
        y = self.node("InstanceNormalization", [y, self.constant(np.ones(groups, self.dtype)),
                                                self.constant(np.zeros(groups, self.dtype))], epsilon=1e-5)
        y = self.node("Reshape", [y, self.node("Shape", [x])])
        return self.add(self.mul(y, self.random((channels, 1, 1), 1)), self.random((channels, 1, 1), 0.1))

    def pool(self, x, k, stride):
        return self.node("MaxPool", [x], kernel_shape=[k, k], strides=[stride, stride], pads=[k // 2 if k % 2 else 0] * 4)

    def squeeze_excite(self, x, channels, act, gate):
        """gate: what makes the channels' weights of the second convolution."""
        y = self.node("GlobalAveragePool", [x])
        y = act(self.conv(y, channels, channels // 4, 1))
        return self.mul(x, gate(self.conv(y, channels // 4, channels, 1)))

    def classify(self, x, channels, classes=10):
        x = self.node("Flatten", [self.node("GlobalAveragePool", [x])], axis=1)
        self.output(self.node("Softmax", [self.gemm(x, channels, classes)], axis=-1), ["batch", classes])
        return self

    def heads(self, x, length, heads, size, *perm):
        """[batch, length, heads * size] apart, then turned."""
        return self.transpose(self.reshape(x, self.size(x, 0), length, heads, size), *perm)

    def attend(self, q, k, v, size, mask=None):
        """q, v: [batch, heads, length, size], k turned; mask is added."""
        scores = self.node("Div", [self.node("MatMul", [q, k]), self.number(math.sqrt(size))])
        if mask:
            scores = self.add(scores, mask)
        return self.node("MatMul", [self.node("Softmax", [scores], axis=-1), v])

    def join_heads(self, x, width):
        x = self.transpose(x, 0, 2, 1, 3)
        return self.reshape(x, self.size(x, 0), self.size(x, 1), width)


def int64_one():
    from onnx import helper
    return helper.make_tensor("value", INT64, [1], [1])


def images(g, channels=3, size=32, batch=2):
    return g.feed("images", (batch, channels, size, size), ["batch", channels, size, size])


# -- convolutions --------------------------------------------------------------------------------

def resnet(dtype):
    """Bottlenecks; batch normalizations left as they are, as some exporters do."""
    g = Net("resnet", dtype)
    block = lambda x, a, b, k, s=1, gain=2.0: g.batch_norm(g.conv(x, a, b, k, s, gain=gain), b)
    x = g.pool(g.relu(block(images(g), 3, 8, 7, 2)), 3, 2)
    cin = 8
    for width, stride in ((8, 1), (16, 2)):
        for s in (stride, 1):
            y = g.relu(block(x, cin, width, 1))
            y = g.relu(block(y, width, width, 3, s))
            y = block(y, width, 2 * width, 1, gain=0.2)
            if s != 1 or cin != 2 * width:
                x = block(x, cin, 2 * width, 1, s, gain=1.0)
            cin = 2 * width
            x = g.relu(g.add(y, x))
    return g.classify(x, cin)


def mobilenet_v3(dtype):
    g = Net("mobilenet_v3", dtype)
    swish = lambda v: g.node("HardSwish", [v])
    gate = lambda v: g.node("HardSigmoid", [v], alpha=1 / 6)
    x, cin = swish(g.conv(images(g), 3, 8, 3, 2)), 8
    for k, hidden, cout, squeezes, act, stride in ((3, 8, 8, True, g.relu, 2), (3, 24, 12, False, g.relu, 1),
                                                   (5, 32, 12, True, swish, 2), (5, 40, 12, True, g.hard_swish, 1)):
        y = act(g.conv(x, cin, hidden, 1))
        y = act(g.conv(y, hidden, hidden, k, stride, hidden))
        if squeezes:
            y = g.squeeze_excite(y, hidden, g.relu, gate)
        y = g.conv(y, hidden, cout, 1)
        x, cin = g.add(x, y) if stride == 1 and cin == cout else y, cout
    return g.classify(swish(g.conv(x, cin, 48, 1)), 48)


def efficientnet(dtype):
    """timm's tf_efficientnet: pads as TensorFlow has them, means for pools."""
    g = Net("efficientnet", dtype)
    same = lambda v: g.node("Pad", [v, g.ints(0, 0, 0, 0, 0, 0, 1, 1), g.number(0)], mode="constant")

    def down(x, cin, cout, group=1):
        w = g.random((cout, cin // group, 3, 3), math.sqrt(2 / (cin // group * 9)))
        return g.node("Conv", [same(x), w, g.random((cout,), 0.1)], kernel_shape=[3, 3], strides=[2, 2], group=group)

    def block(x, cin, cout, stride):
        hidden = 4 * cin
        y = g.silu(g.conv(x, cin, hidden, 1))
        y = g.silu(down(y, hidden, hidden, hidden) if stride == 2 else g.conv(y, hidden, hidden, 5, 1, hidden))
        z = g.silu(g.conv(g.mean(y, 2, 3), hidden, cin // 4, 1))
        y = g.mul(y, g.node("Sigmoid", [g.conv(z, cin // 4, hidden, 1)]))
        return g.conv(y, hidden, cout, 1, gain=1.0)
    x = g.silu(down(images(g), 3, 8))
    x = block(x, 8, 12, 2)
    x = g.add(block(x, 12, 12, 1), x)
    return g.classify(g.silu(g.conv(x, 12, 32, 1)), 32)


def shuffle_net(dtype):
    """Grouped convolutions, channels shuffled, average pools."""
    g = Net("shuffle_net", dtype)
    x = g.relu(g.conv(images(g), 3, 16, 3, 2))
    for _ in range(2):
        a, b = g.nodes_of("Split", [x, g.ints(8, 8)], 2, axis=1)
        b = g.relu(g.conv(b, 8, 8, 1))
        b = g.relu(g.conv(g.conv(b, 8, 8, 3, 1, 8), 8, 8, 1, group=2))
        x = g.node("Concat", [a, b], axis=1)
        h, w = g.size(x, 2), g.size(x, 3)
        x = g.transpose(g.reshape(x, g.size(x, 0), 2, 8, h, w), 0, 2, 1, 3, 4)
        x = g.reshape(x, g.size(x, 0), -1, h, w)
    x = g.node("AveragePool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4, count_include_pad=1)
    return g.classify(g.node("LeakyRelu", [x], alpha=0.1), 16)


def unet(dtype):
    g = Net("unet", dtype)
    double = lambda x, a, b: g.relu(g.conv(g.relu(g.conv(x, a, b, 3)), b, b, 3))
    a = double(images(g, size=24), 3, 8)
    b = double(g.pool(a, 2, 2), 8, 16)
    c = double(g.pool(b, 2, 2), 16, 16)
    up = g.node("Resize", [c, "", g.constant(np.array([1, 1, 2, 2], np.float32))], mode="linear",
                coordinate_transformation_mode="align_corners", cubic_coeff_a=-0.75)
    x = double(g.node("Concat", [b, up], axis=1), 32, 16)
    up = g.node("ConvTranspose", [x, g.random((16, 8, 2, 2), 0.2), g.random((8,), 0.1)], kernel_shape=[2, 2],
                strides=[2, 2], group=1)
    up = g.node("Pad", [up, g.ints(0, 0, 0, 0, 0, 0, 0, 0), g.number(0)], mode="constant")
    x = double(g.node("Concat", [a, up], axis=1), 16, 8)
    g.output(g.node("Sigmoid", [g.conv(x, 8, 1, 1)]), ["batch", 1, 24, 24])
    return g


def diffusion_unet(dtype):
    """A step of Stable Diffusion's: times as sines, groups normalized, attention over pixels and text."""
    g = Net("diffusion_unet", dtype)
    x = g.feed("sample", (2, 4, 8, 8), ["batch", 4, "height", "width"])
    text = g.feed("text", (2, 5, 16), ["batch", "tokens", 16])
    g.feeds["timestep"] = np.array([981], np.int64)
    t = g.node("Expand", [g.input("timestep", [1], INT64), g.shape(g.size(x, 0))])
    t = g.node("Cast", [g.node("Unsqueeze", [t, g.ints(1)])], to=TensorProto.FLOAT)
    t = g.mul(t, g.constant(np.exp(-np.arange(8) / 8 * 9).astype(np.float32)[None]))
    t = g.node("Concat", [g.node("Cos", [t]), g.node("Sin", [t])], axis=-1)
    if g.dtype == np.float16:
        t = g.node("Cast", [t], to=TensorProto.FLOAT16)
    t = g.gemm(g.silu(g.gemm(t, 16, 16)), 16, 16)

    def residual(x):
        y = g.conv(g.silu(g.group_norm(x, 16, 4)), 16, 16, 3)
        step = g.node("Unsqueeze", [g.node("Unsqueeze", [g.gemm(g.silu(t), 16, 16), g.ints(2)]), g.ints(3)])
        return g.add(x, g.conv(g.silu(g.group_norm(g.add(y, step), 16, 4)), 16, 16, 3))

    def attention(x, context, context_width):
        q = g.heads(g.linear(x, 16, 16), -1, 2, 8, 0, 2, 1, 3)
        k = g.heads(g.linear(context, context_width, 16), -1, 2, 8, 0, 2, 3, 1)
        v = g.heads(g.linear(context, context_width, 16), -1, 2, 8, 0, 2, 1, 3)
        return g.linear(g.join_heads(g.attend(q, k, v, 8), 16), 16, 16)

    def transformer(x):
        h, w = g.size(x, 2), g.size(x, 3)
        y = g.reshape(g.transpose(g.conv(g.group_norm(x, 16, 4), 16, 16, 1), 0, 2, 3, 1), g.size(x, 0), -1, 16)
        z = g.layer_norm(y, 16)
        y = g.add(attention(z, z, 16), y)
        y = g.add(attention(g.layer_norm(y, 16), text, 16), y)
        a, b = g.nodes_of("Split", [g.linear(g.layer_norm(y, 16), 16, 64), g.ints(32, 32)], 2, axis=-1)
        y = g.add(g.linear(g.mul(a, g.gelu(b)), 32, 16), y)
        return g.add(g.transpose(g.reshape(y, g.size(x, 0), h, w, 16), 0, 3, 1, 2), x)
    x = g.conv(x, 4, 16, 3)
    skip = transformer(residual(x))
    x = residual(g.conv(skip, 16, 16, 3, 2))
    x = g.node("Resize", [x, "", g.constant(np.array([1, 1, 2, 2], np.float32))], mode="nearest",
               coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    x = g.conv(g.node("Concat", [g.conv(x, 16, 16, 3), skip], axis=1), 32, 16, 3)
    g.output(g.conv(g.silu(g.group_norm(x, 16, 4)), 16, 4, 3), ["batch", 4, "height", "width"])
    return g


def super_resolution(dtype):
    g = Net("super_resolution", dtype)
    x = images(g, size=12)
    y = g.node("PRelu", [g.conv(x, 3, 8, 5), g.random((8, 1, 1), 0.3)])
    y = g.node("DepthToSpace", [g.conv(g.node("Tanh", [y]), 8, 12, 3)], blocksize=2, mode="CRD")
    up = g.node("Resize", [x, "", "", g.node("Concat", [
        g.cut(g.node("Shape", [x]), 0, 0, 2), g.ints(24, 24)], axis=0)], mode="cubic",
        coordinate_transformation_mode="pytorch_half_pixel", cubic_coeff_a=-0.75)
    g.output(g.node("Clip", [g.add(y, up), g.number(0), g.number(1)]), ["batch", 3, 24, 24])
    return g


# -- detectors -----------------------------------------------------------------------------------

def yolo_trunk(g, widths):
    """Features of two scales: C2f, SPPF, upsampling and joining."""
    conv = lambda x, a, b, k=1, s=1: g.silu(g.conv(x, a, b, k, s))

    def c2f(x, a, b):
        x = conv(x, a, b)
        left, right = g.nodes_of("Split", [x, g.ints(b // 2, b // 2)], 2, axis=1)
        y = g.add(right, conv(conv(right, b // 2, b // 2, 3), b // 2, b // 2, 3))
        return conv(g.node("Concat", [left, right, y], axis=1), b + b // 2, b)

    def sppf(x, a):
        x = conv(x, a, a // 2)
        pools = [x]
        for _ in range(3):
            pools.append(g.node("MaxPool", [pools[-1]], kernel_shape=[5, 5], strides=[1, 1], pads=[2] * 4, ceil_mode=0))
        return conv(g.node("Concat", pools, axis=1), 2 * a, a)
    a, b = widths
    x = conv(images(g), 3, a, 3, 2)
    p1 = c2f(conv(x, a, a, 3, 2), a, a)
    p2 = sppf(c2f(conv(p1, a, b, 3, 2), b, b), b)
    up = g.node("Resize", [p2, "", g.constant(np.array([1, 1, 2, 2], np.float32))], mode="nearest",
                coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    p1 = c2f(g.node("Concat", [up, p1], axis=1), a + b, a)
    p2 = c2f(g.node("Concat", [conv(p1, a, a, 3, 2), p2], axis=1), a + b, b)
    return p1, p2


def yolo_v5(dtype):
    """Anchors: each scale's grid decoded by itself."""
    g = Net("yolo_v5", dtype)
    rows = []
    for x, width, size, stride in zip(yolo_trunk(g, (8, 16)), (8, 16), (8, 4), (4, 8)):
        x = g.conv(x, width, 3 * 9, 1)
        x = g.transpose(g.reshape(x, g.size(x, 0), 3, 9, size, size), 0, 1, 3, 4, 2)
        xy, wh, rest = g.nodes_of("Split", [g.node("Sigmoid", [x]), g.ints(2, 2, 5)], 3, axis=4)
        grid = np.stack(np.meshgrid(np.arange(size), np.arange(size)), -1)[None, None] - 0.5
        xy = g.mul(g.add(g.mul(xy, g.number(2)), g.constant(grid.astype(g.dtype))), g.number(stride))
        wh = g.mul(g.node("Pow", [g.mul(wh, g.number(2)), g.number(2)]), g.random((1, 3, 1, 1, 2), 1))
        rows.append(g.reshape(g.node("Concat", [xy, wh, rest], axis=4), g.size(x, 0), -1, 9))
    g.output(g.node("Concat", rows, axis=1), ["batch", "boxes", 9])
    return g


def yolo_v8(dtype, one_to_one=False):
    """Boxes as distributions; one_to_one: YOLOv10's, which ends in the best boxes themselves."""
    # With seed 55 the best scores lie so far apart that 16 bits do not change their order.
    g = Net("yolo_v10", dtype, seed=55) if one_to_one else Net("yolo_v8", dtype)
    maps = []
    for x, width in zip(yolo_trunk(g, (8, 16)), (8, 16)):
        box = g.conv(g.silu(g.conv(x, width, 16, 3)), 16, 16, 1)
        kind = g.conv(g.silu(g.conv(x, width, 8, 3)), 8, 5, 1)
        x = g.node("Concat", [box, kind], axis=1)
        maps.append(g.reshape(x, g.size(x, 0), 21, -1))
    box, kind = g.nodes_of("Split", [g.node("Concat", maps, axis=2), g.ints(16, 5)], 2, axis=1)
    box = g.transpose(g.reshape(box, g.size(box, 0), 4, 4, 80), 0, 2, 1, 3)
    weights = g.constant(np.arange(4).reshape(1, 4, 1, 1).astype(g.dtype))
    box = g.node("Conv", [g.node("Softmax", [box], axis=1), weights], kernel_shape=[1, 1])
    box = g.reshape(box, -1, 4, 80)
    anchors, strides = g.random((1, 2, 80), 3), g.constant(np.repeat([4, 8], [64, 16])[None].astype(g.dtype))
    low = g.node("Sub", [anchors, g.cut(box, 1, 0, 2)])
    high = g.add(anchors, g.cut(box, 1, 2, 4))
    middle = g.node("Div", [g.add(low, high), g.number(2)])
    corners = [low, high] if one_to_one else [middle, g.node("Sub", [high, low])]
    box = g.mul(g.node("Concat", corners, axis=1), strides)
    all_ = g.node("Concat", [box, g.node("Sigmoid", [kind])], axis=1)
    if not one_to_one:
        g.output(all_, ["batch", 9, 80])
        return g
    return best_boxes(g, g.transpose(all_, 0, 2, 1))


def best_boxes(g, x, k=6):
    """torch.topk over boxes, then over boxes and kinds; where those are comes by division."""
    box, scores = g.nodes_of("Split", [x, g.ints(4, 5)], 2, axis=-1)
    _, index = g.nodes_of("TopK", [g.node("ReduceMax", [scores], axes=[-1], keepdims=0), g.ints(k)], 2, axis=1,
                          largest=1, sorted=1)
    index = g.node("Unsqueeze", [index, g.ints(-1)])
    box = g.node("GatherElements", [box, g.node("Tile", [index, g.ints(1, 1, 4)])], axis=1)
    scores = g.node("GatherElements", [scores, g.node("Tile", [index, g.ints(1, 1, 5)])], axis=1)
    scores, index = g.nodes_of("TopK", [g.node("Flatten", [scores], axis=1), g.ints(k)], 2, axis=-1)
    kind = g.node("Mod", [index, g.int(5)])
    row = g.node("Div", [index, g.int(5)])
    box = g.node("GatherElements", [box, g.node("Tile", [g.node("Unsqueeze", [row, g.ints(-1)]), g.ints(1, 1, 4)])],
                 axis=1)
    g.output(g.node("Concat", [box, g.node("Unsqueeze", [scores, g.ints(-1)])], axis=-1), ["batch", k, 5])
    g.output(kind, ["batch", k], INT64)
    return g


# -- transformers --------------------------------------------------------------------------------

def bert(dtype):
    g = Net("bert", dtype)
    ids = g.feed("input_ids", (2, 7), ["batch", "length"], high=30)
    kinds = g.feed("token_type_ids", (2, 7), ["batch", "length"], high=2)
    seen = g.feed("attention_mask", (2, 7), ["batch", "length"], high=2)
    g.feeds["attention_mask"][:, 0] = 1
    length = g.size(ids, 1)
    table = lambda rows: g.random((rows, 16), 1)
    places = g.cut(g.constant(np.arange(32)[None]), 1, 0, 32)
    places = g.node("Slice", [places, g.ints(0), g.node("Unsqueeze", [length, g.ints(0)]), g.ints(1)])
    x = g.add(g.node("Gather", [table(30), ids]), g.node("Gather", [table(2), kinds]))
    x = g.layer_norm(g.add(x, g.node("Gather", [table(32), places])), 16)
    mask = g.node("Unsqueeze", [g.node("Unsqueeze", [seen, g.ints(1)]), g.ints(2)])
    mask = g.node("Cast", [mask], to=10 if g.dtype == np.float16 else 1)
    mask = g.mul(g.node("Sub", [g.number(1), mask]), g.number(np.finfo(g.dtype).min))
    for norm in (g.layer_norm, g.layer_norm_parts):
        q = g.heads(g.linear(x, 16, 16), g.size(x, 1), 2, 8, 0, 2, 1, 3)
        k = g.heads(g.linear(x, 16, 16), g.size(x, 1), 2, 8, 0, 2, 3, 1)
        v = g.heads(g.linear(x, 16, 16), g.size(x, 1), 2, 8, 0, 2, 1, 3)
        x = norm(g.add(g.linear(g.join_heads(g.attend(q, k, v, 8, mask), 16), 16, 16), x), 16)
        x = norm(g.add(g.linear(g.gelu(g.linear(x, 16, 32)), 32, 16), x), 16)
    g.output(x, ["batch", "length", 16])
    g.output(g.node("Tanh", [g.gemm(g.node("Gather", [x, g.int(0)], axis=1), 16, 16)]), ["batch", 16])
    return g


def sentence(dtype):
    """A sentence's embedding: the tokens' mean where the mask is, of length 1; roberta's positions."""
    g = Net("sentence", dtype, opset=20)
    ids = g.feed("input_ids", (2, 7), ["batch", "length"], high=30)
    seen = g.node("Cast", [g.node("Not", [g.node("Equal", [ids, g.int(1)])])], to=TensorProto.INT32)
    count = g.node("CumSum", [seen, g.constant(np.array(1, np.int64))])
    places = g.add(g.node("Cast", [g.mul(count, seen)], to=INT64), g.int(1))
    x = g.add(g.node("Gather", [g.random((30, 16), 1), ids]), g.node("Gather", [g.random((32, 16), 1), places]))
    x = g.linear(g.node("Gelu", [g.linear(g.layer_norm(x, 16), 16, 32)]), 32, 16)
    weight = g.expand(g.node("Unsqueeze", [seen, g.ints(-1)]), g.node("Shape", [x]))
    weight = g.node("Cast", [weight], to=10 if g.dtype == np.float16 else 1)
    total = g.node("ReduceSum", [g.mul(x, weight), g.ints(1)], keepdims=0)
    count = g.node("Clip", [g.node("ReduceSum", [weight, g.ints(1)], keepdims=0), g.number(1e-4)])
    mean = g.node("Div", [total, count])
    norm = g.node("Clip", [g.node("ReduceL2", [mean, g.ints(1)], keepdims=1), g.number(1e-4)])
    g.output(g.node("Div", [mean, g.node("Expand", [norm, g.node("Shape", [mean])])]), ["batch", 16])
    return g


def vit(dtype):
    g = Net("vit", dtype)
    x = images(g, size=16)
    y = g.node("Conv", [x, g.random((16, 3, 4, 4), 0.2), g.random((16,), 0.1)], kernel_shape=[4, 4], strides=[4, 4])
    y = g.transpose(g.reshape(y, g.size(y, 0), 16, -1), 0, 2, 1)
    first = g.expand(g.random((1, 1, 16), 1), g.shape(g.size(x, 0), -1, -1))
    x = g.add(g.node("Concat", [first, y], axis=1), g.random((1, 17, 16), 0.2))
    for norm in (g.layer_norm, g.layer_norm_parts):
        y = g.reshape(g.linear(norm(x, 16), 16, 48), g.size(x, 0), 17, 3, 2, 8)
        y = g.transpose(y, 2, 0, 3, 1, 4)
        q, k, v = (g.node("Gather", [y, g.int(i)], axis=0) for i in range(3))
        y = g.attend(g.mul(q, g.number(8 ** -0.5)), g.transpose(k, 0, 1, 3, 2), v, 1)
        x = g.add(x, g.linear(g.join_heads(y, 16), 16, 16))
        x = g.add(x, g.linear(g.gelu(g.linear(norm(x, 16), 16, 32)), 32, 16))
    g.output(g.gemm(g.node("Gather", [g.layer_norm(x, 16), g.int(0)], axis=1), 16, 10), ["batch", 10])
    return g


def swin(dtype):
    """Windows, shifted by rolls, with a bias that is gathered and a mask for what a roll brought together."""
    g = Net("swin", dtype)
    x = g.transpose(g.conv(images(g, size=8), 3, 16, 3), 0, 2, 3, 1)

    def roll(x, by):
        for axis in (1, 2):
            x = g.node("Concat", [g.cut(x, axis, by, 1 << 62), g.cut(x, axis, 0, by)], axis=axis)
        return x
    mask = np.where(g.rng.random((4, 1, 16, 16)) < 0.2, -100, 0).astype(g.dtype)
    for shift in (0, 2):
        y = g.layer_norm(x, 16)
        y = roll(y, shift) if shift else y
        y = g.transpose(g.reshape(y, -1, 2, 4, 2, 4, 16), 0, 1, 3, 2, 4, 5)
        y = g.reshape(g.linear(g.reshape(y, -1, 16, 16), 16, 48), -1, 16, 3, 2, 8)
        q, k, v = (g.node("Squeeze", [part, g.ints(0)]) for part in g.nodes_of(
            "Split", [g.transpose(y, 2, 0, 3, 1, 4), g.ints(1, 1, 1)], 3, axis=0))
        scores = g.node("MatMul", [g.mul(q, g.number(8 ** -0.5)), g.transpose(k, 0, 1, 3, 2)])
        bias = g.node("Gather", [g.random((49, 2), 1), g.constant(g.rng.integers(0, 49, 256))], axis=0)
        bias = g.transpose(g.reshape(bias, 16, 16, 2), 2, 0, 1)
        scores = g.add(scores, g.node("Unsqueeze", [bias, g.ints(0)]))
        if shift:
            scores = g.add(g.reshape(scores, -1, 4, 2, 16, 16), g.node("Unsqueeze", [g.constant(mask), g.ints(0)]))
            scores = g.reshape(scores, -1, 2, 16, 16)
        y = g.node("MatMul", [g.node("Softmax", [scores], axis=-1), v])
        y = g.linear(g.reshape(g.transpose(y, 0, 2, 1, 3), -1, 16, 16), 16, 16)
        y = g.transpose(g.reshape(y, -1, 2, 2, 4, 4, 16), 0, 1, 3, 2, 4, 5)
        y = g.reshape(y, -1, 8, 8, 16)
        x = g.add(x, roll(y, -shift) if shift else y)
    parts = [g.cut(g.cut(x, 1, i, 1 << 62, 2), 2, j, 1 << 62, 2) for i in (0, 1) for j in (0, 1)]
    x = g.linear(g.layer_norm(g.node("Concat", parts, axis=-1), 64), 64, 32)
    g.output(g.gemm(g.node("ReduceMean", [x], axes=[1, 2], keepdims=0), 32, 10), ["batch", 10])
    return g


def past(g, i, heads, size):
    """The keys and the values of the tokens before."""
    return [g.feed(f"past.{i}.{what}", (2, heads, 3, size), ["batch", heads, "past", size]) for what in ("key", "value")]


def present(g, i, k, v, heads, size):
    for value in (k, v):
        g.output(value, ["batch", heads, "past_and_length", size])


def gpt2(dtype):
    """Learned positions, a causal mask cut from a constant, the cache of keys and values."""
    g = Net("gpt2", dtype)
    ids = g.feed("input_ids", (2, 4), ["batch", "length"], high=30)
    caches = [past(g, i, 2, 8) for i in range(2)]
    begin, length = g.size(caches[0][0], 2), g.size(ids, 1)
    end = g.add(begin, length)
    places = g.node("Unsqueeze", [g.node("Range", [begin, end, g.int(1)]), g.ints(0)])
    words = g.random((30, 16), 1)
    x = g.add(g.node("Gather", [words, ids]), g.node("Gather", [g.random((32, 16), 0.3), places]))
    conv1d = lambda x, a, b: g.reshape(g.node("Gemm", [g.reshape(x, -1, a), g.random((a, b), a ** -0.5),
                                                       g.random((b,), 0.1)]), g.size(x, 0), g.size(x, 1), b)
    whole = g.constant(np.tril(np.ones((32, 32), bool))[None, None])
    lone = lambda v: g.node("Unsqueeze", [v, g.ints(0)])
    results = []
    for k_past, v_past in caches:
        y = conv1d(g.layer_norm(x, 16), 16, 48)
        q, k, v = (g.heads(p, g.size(p, 1), 2, 8, 0, 2, 1, 3) for p in
                   g.nodes_of("Split", [y, g.ints(16, 16, 16)], 3, axis=2))
        k = g.node("Concat", [k_past, k], axis=2)
        v = g.node("Concat", [v_past, v], axis=2)
        scores = g.node("Div", [g.node("MatMul", [q, g.transpose(k, 0, 1, 3, 2)]), g.number(math.sqrt(8))])
        mask = g.node("Slice", [whole, lone(begin), lone(end), g.ints(2)])
        mask = g.node("Slice", [mask, g.ints(0), lone(end), g.ints(3)])
        scores = g.node("Where", [mask, scores, g.number(np.finfo(g.dtype).min)])
        y = g.node("MatMul", [g.node("Softmax", [scores], axis=-1), v])
        x = g.add(conv1d(g.join_heads(y, 16), 16, 16), x)
        x = g.add(conv1d(g.gelu_tanh(conv1d(g.layer_norm(x, 16), 16, 32)), 32, 16), x)
        results.append((k, v))
    logits = g.node("MatMul", [g.layer_norm(x, 16), g.transpose(words, 1, 0)])
    g.output(logits, ["batch", "length", 30])
    g.output(g.node("ArgMax", [g.cut(logits, 1, -1, 1 << 62)], axis=-1, keepdims=0), ["batch", 1], INT64)
    for i, (k, v) in enumerate(results):
        present(g, i, k, v, 2, 8)
    return g


def rotary_tables(g, places):
    """cos and sin [batch, 1, length, size] of float32 angles, in the graph's type."""
    rates = g.constant((10000.0 ** -(np.arange(4) / 4)).astype(np.float32).reshape(1, 4, 1))
    rates = g.expand(rates, g.shape(g.size(places, 0), -1, 1))
    angles = g.node("MatMul", [rates, g.node("Cast", [g.node("Unsqueeze", [places, g.ints(1)])], to=1)])
    angles = g.transpose(angles, 0, 2, 1)
    angles = g.node("Concat", [angles, angles], axis=-1)
    tables = [g.node(f, [angles]) for f in ("Cos", "Sin")]
    if g.dtype == np.float16:
        tables = [g.node("Cast", [t], to=TensorProto.FLOAT16) for t in tables]
    return [g.node("Unsqueeze", [t, g.ints(1)]) for t in tables]


def rotate(g, x, cos, sin):
    half = g.node("Concat", [g.node("Neg", [g.cut(x, 3, 4, 1 << 62)]), g.cut(x, 3, 0, 4)], axis=-1)
    return g.add(g.mul(x, cos), g.mul(half, sin))


def causal_mask(g, begin, end, length):
    """As transformers make it: the smallest number above a diagonal, by Trilu and by a comparison."""
    shape = g.shape(length, end)
    lowest = g.node("Expand", [g.number(np.finfo(g.dtype).min), shape])
    mask = g.node("Trilu", [lowest, g.int(1)], upper=1)
    cols = g.node("Range", [g.int(0), end, g.int(1)])
    rows = g.node("Unsqueeze", [g.node("Range", [begin, end, g.int(1)]), g.ints(1)])
    after = g.node("Cast", [g.node("Greater", [cols, rows])], to=10 if g.dtype == np.float16 else 1)
    return g.node("Unsqueeze", [g.mul(mask, after), g.ints(0, 1)])


def llama(dtype):
    """Rotary positions, fewer heads of keys than of queries, RMSNorm: all of it in plain operators."""
    g = Net("llama", dtype)
    ids = g.feed("input_ids", (2, 4), ["batch", "length"], high=30)
    seen = g.feed("attention_mask", (2, 7), ["batch", "past_and_length"], high=2)
    g.feeds["attention_mask"][:, ::2] = 1
    cache = past(g, 0, 1, 8)
    begin, length = g.size(cache[0], 2), g.size(ids, 1)
    end = g.add(begin, length)
    places = g.node("Sub", [g.node("CumSum", [seen, g.int(-1)]), g.int(1)])
    places = g.node("Where", [g.node("Equal", [seen, g.int(0)]), g.int(1), places])
    cos, sin = rotary_tables(g, g.node("Slice", [places, g.node("Unsqueeze", [begin, g.ints(0)]), g.ints(1 << 62), g.ints(1)]))
    mask = causal_mask(g, begin, end, length)
    pad = g.node("Unsqueeze", [g.node("Unsqueeze", [seen, g.ints(1)]), g.ints(2)])
    mask = g.node("Where", [g.node("Equal", [pad, g.int(0)]), g.number(np.finfo(g.dtype).min), mask])
    x = g.node("Gather", [g.random((30, 16), 1), ids])
    dense = lambda x, a, b: g.node("MatMul", [x, g.random((a, b), a ** -0.5)])
    y = g.rms_norm(x, 16)
    q = g.heads(dense(y, 16, 16), g.size(y, 1), 2, 8, 0, 2, 1, 3)
    k = g.heads(dense(y, 16, 8), g.size(y, 1), 1, 8, 0, 2, 1, 3)
    v = g.heads(dense(y, 16, 8), g.size(y, 1), 1, 8, 0, 2, 1, 3)
    k = g.node("Concat", [cache[0], rotate(g, k, cos, sin)], axis=2)
    v = g.node("Concat", [cache[1], v], axis=2)

    def repeated(t):
        t = g.expand(g.node("Unsqueeze", [t, g.ints(2)]), g.shape(g.size(t, 0), 1, 2, g.size(t, 2), 8))
        return g.reshape(t, g.size(t, 0), 2, -1, 8)
    y = g.attend(rotate(g, q, cos, sin), g.transpose(repeated(k), 0, 1, 3, 2), repeated(v), 8, mask)
    x = g.add(x, dense(g.join_heads(y, 16), 16, 16))
    y = g.rms_norm(x, 16)
    x = g.add(x, dense(g.mul(g.silu(dense(y, 16, 32)), dense(y, 16, 32)), 32, 16))
    g.output(dense(g.rms_norm(x, 16), 16, 30), ["batch", "length", 30])
    present(g, 0, k, v, 1, 8)
    return g


def llama_23(dtype):
    """The same in the operators of operator set 23."""
    g = Net("llama_23", dtype, opset=23)
    ids = g.feed("input_ids", (2, 4), ["batch", "length"], high=30)
    places = g.feed("position_ids", (2, 4), ["batch", "length"], high=7)
    cache = past(g, 0, 1, 8)
    norm = lambda x: g.node("RMSNormalization", [x, g.random((16,), 1)], axis=-1, epsilon=1e-5)
    dense = lambda x, a, b: g.node("MatMul", [x, g.random((a, b), a ** -0.5)])
    angles = np.arange(8)[:, None] * 10000.0 ** -(np.arange(4) / 4)
    tables = [g.constant(f(angles).astype(g.dtype)) for f in (np.cos, np.sin)]
    x = g.node("Gather", [g.random((30, 16), 1), ids])
    y = norm(x)
    q = g.node("RotaryEmbedding", [dense(y, 16, 16), *tables, places], num_heads=2)
    k = g.node("RotaryEmbedding", [dense(y, 16, 8), *tables, places], num_heads=1)
    y, k, v = g.nodes_of("Attention", [q, k, dense(y, 16, 8), "", *cache], 3, is_causal=1, q_num_heads=2, kv_num_heads=1)
    x = g.add(x, dense(y, 16, 16))
    y = norm(x)
    gate = dense(y, 16, 32)
    x = g.add(x, dense(g.mul(g.mul(gate, g.node("Sigmoid", [gate])), dense(y, 16, 32)), 32, 16))
    g.output(dense(norm(x), 16, 30), ["batch", "length", 30])
    present(g, 0, k, v, 1, 8)
    return g


def llama_contrib(dtype):
    """The same as onnxruntime-genai writes it: GroupQueryAttention, and weights of four bits."""
    g = Net("llama_contrib", dtype)
    ms = {"domain": "com.microsoft"}
    ids = g.feed("input_ids", (2, 1), ["batch", "length"], high=30)
    seen = g.feed("attention_mask", (2, 4), ["batch", "past_and_length"], high=2)
    g.feeds["attention_mask"][:] = 1
    cache = past(g, 0, 1, 16)
    last = g.node("ReduceSum", [seen, g.ints(1)], keepdims=1)
    last = g.node("Cast", [g.node("Sub", [last, g.ints(1)])], to=TensorProto.INT32)
    total = g.node("Cast", [g.size(seen, 1)], to=TensorProto.INT32)
    angles = np.arange(8)[:, None] * 10000.0 ** -(np.arange(8) / 8)
    tables = [g.constant(f(angles).astype(g.dtype)) for f in (np.cos, np.sin)]

    def dense(x, a, b):
        bits = g.constant(g.rng.integers(0, 256, (b, (a + 15) // 16, 8)).astype(np.uint8))
        scales = g.constant((g.rng.random(b * ((a + 15) // 16)) * 0.05 + 0.02).astype(g.dtype))
        return g.node("MatMulNBits", [x, bits, scales], K=a, N=b, bits=4, block_size=16, **ms)
    x = g.node("Gather", [g.random((30, 16), 1), ids])
    y = g.rms_norm(x, 16)
    y, k, v = g.nodes_of("GroupQueryAttention", [
        dense(y, 16, 32), dense(y, 16, 16), dense(y, 16, 16), *cache, last, total, *tables], 3, num_heads=2, kv_num_heads=1,
        do_rotary=1, **ms)
    x = g.add(x, dense(y, 32, 16))
    y = g.rms_norm(x, 16)
    x = g.add(x, dense(g.mul(g.silu(dense(y, 16, 32)), dense(y, 16, 32)), 32, 16))
    g.output(dense(g.rms_norm(x, 16), 16, 30), ["batch", "length", 30])
    present(g, 0, k, v, 1, 16)
    return g


def whisper(dtype):
    """An encoder: convolutions along time, then attention."""
    g = Net("whisper", dtype)
    x = g.feed("mel", (2, 8, 20), ["batch", 8, 20])
    for cin, stride in ((8, 1), (16, 2)):
        w = g.random((16, cin, 3), (1.5 / cin / 3) ** 0.5)
        x = g.gelu(g.node("Conv", [x, w, g.random((16,), 0.1)], kernel_shape=[3], strides=[stride], pads=[1, 1]))
    x = g.add(g.transpose(x, 0, 2, 1), g.random((10, 16), 0.3))
    y = g.layer_norm(x, 16)
    q = g.heads(g.mul(g.linear(y, 16, 16), g.number(8 ** -0.5)), g.size(y, 1), 2, 8, 0, 2, 1, 3)
    k = g.heads(g.node("MatMul", [y, g.random((16, 16), 0.25)]), g.size(y, 1), 2, 8, 0, 2, 3, 1)
    v = g.heads(g.linear(y, 16, 16), g.size(y, 1), 2, 8, 0, 2, 1, 3)
    x = g.add(x, g.linear(g.join_heads(g.attend(q, k, v, 1), 16), 16, 16))
    g.output(g.layer_norm(x, 16), ["batch", 10, 16])
    return g


# -- recurrence ----------------------------------------------------------------------------------

def lstm(dtype):
    """Embedded tokens through two layers both ways, with states that come and go."""
    g = Net("lstm", dtype)
    ids = g.feed("tokens", (5, 2), ["length", "batch"], high=30)
    h = g.feed("h", (4, 2, 8), [4, "batch", 8])
    c = g.feed("c", (4, 2, 8), [4, "batch", 8])
    x, width = g.node("Gather", [g.random((30, 12), 1), ids]), 12
    states = []
    for layer in range(2):
        own = [g.cut(s, 0, 2 * layer, 2 * layer + 2) for s in (h, c)]
        x, h_n, c_n = g.nodes_of("LSTM", [x, g.random((2, 32, width), 0.3), g.random((2, 32, 8), 0.3),
                                          g.random((2, 64), 0.1), "", *own], 3, hidden_size=8, direction="bidirectional")
        x, width = g.reshape(g.transpose(x, 0, 2, 1, 3), 0, 0, -1), 16
        states.append((h_n, c_n))
    last = g.node("Gather", [x, g.int(-1)], axis=0)
    g.output(g.node("LogSoftmax", [g.gemm(last, 16, 10)], axis=1), ["batch", 10])
    for parts in zip(*states):
        g.output(g.node("Concat", list(parts), axis=0), [4, "batch", 8])
    return g


def gru(dtype):
    """Zero states of the batch's size, as the exporter makes them; convolutions before, CTC behind."""
    g = Net("gru", dtype)
    x = g.feed("sound", (2, 1, 8, 12), ["batch", 1, 8, "time"])
    x = g.node("HardSwish", [g.conv(x, 1, 4, 3)])
    x = g.node("ReduceMax", [g.pool(x, 2, 2)], axes=[2], keepdims=0)
    x = g.transpose(x, 2, 0, 1)
    zero = g.node("Expand", [g.number(np.zeros((1, 1, 1))), g.shape(2, g.size(x, 1), 8)])
    x = g.node("GRU", [x, g.random((2, 24, 4), 0.5), g.random((2, 24, 8), 0.3), g.random((2, 48), 0.1), "", zero],
               hidden_size=8, direction="bidirectional", linear_before_reset=1)
    x = g.reshape(g.transpose(x, 0, 2, 1, 3), 0, 0, -1)
    x = g.node("LogSoftmax", [g.linear(x, 16, 6)], axis=-1)
    g.output(g.transpose(x, 1, 0, 2), ["batch", "steps", 6])
    return g


ARCHITECTURES = {f.__name__: f for f in (
    resnet, mobilenet_v3, efficientnet, shuffle_net, unet, diffusion_unet, super_resolution, yolo_v5, yolo_v8, bert,
    sentence, vit, swin, gpt2, llama, llama_23, llama_contrib, whisper, lstm, gru)}
ARCHITECTURES["yolo_v10"] = lambda dtype: yolo_v8(dtype, one_to_one=True)
