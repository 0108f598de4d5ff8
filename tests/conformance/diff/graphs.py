# SPDX-License-Identifier: Apache-2.0
"""Random graphs: chains and forks of operators whose shapes fit, patterns that passes fuse."""
import numpy as np

from . import draw
from .case import Case, Node

UNARY = ["Relu", "Sigmoid", "Tanh", "Neg", "Abs", "HardSwish", "LeakyRelu", "Softplus", "Erf", "Elu", "Identity",
         "HardSigmoid", "Gelu", "Mish", "Dropout", "Clip"]


EPSILON = 0.01  # less would make much of little where all numbers are nearly equal


class Builder:
    """A graph as it grows; self.shapes knows every float value's shape."""

    def __init__(self, seed):
        self.d = draw.Draw(seed)
        self.nodes, self.values, self.constants, self.shapes = [], {}, set(), {}
        self.batch = self.d.int(1, 4)
        self.shared = []  # constants that may be used again

    def name(self):
        return f"t{len(self.shapes) + len(self.values)}_{len(self.nodes)}"

    def input(self, shape):
        n = f"in{len(self.values)}"
        self.values[n], self.shapes[n] = self.d.values(np.float32, shape, "plain"), list(shape)
        return n

    def constant(self, x, share=True):
        for n in self.shared if share else []:
            if self.values[n].shape == x.shape and self.values[n].dtype == x.dtype == np.float32 and self.d.chance(0.5):
                return n
        n = f"w{len(self.values)}"
        self.values[n] = x
        self.constants.add(n)
        if share:
            self.shared.append(n)
        return n

    def weight(self, shape, **how):
        share, how = not how, how or {"low": -0.7, "high": 0.7}
        return self.constant(self.d.values(np.float32, shape, **how), share)

    def literal(self, value):
        return self.constant(np.array(value, np.float32), False)

    def ints(self, *values):
        return self.constant(np.array(values, np.int64))

    def add(self, op, inputs, shape, **attrs):
        out = self.name()
        self.nodes.append(Node(op, inputs, [out], attrs))
        self.shapes[out] = list(shape)
        return out

    def some(self, rank=None):
        """A value, recent ones rather, of a rank."""
        names = [n for n, s in self.shapes.items() if rank is None or len(s) == rank]
        if not names:
            return None
        return names[-1] if self.d.chance(0.6) else self.d.pick(names)


def unary(b, x):
    return b.add(b.d.pick(UNARY), [x], b.shapes[x])


def binary(b, x):
    s, op = b.shapes[x], b.d.pick(["Add", "Sub", "Mul", "Max", "Min", "Add", "Mul"])
    same = [n for n, t in b.shapes.items() if t == s]
    other = b.d.pick(same) if b.d.chance(0.5) else b.weight([1 if b.d.chance(0.3) else n for n in s[b.d.int(0, len(s)):]])
    pair = [x, other] if b.d.chance(0.7) else [other, x]
    return b.add(op, pair, s)


def division(b, x):
    return b.add("Div", [x, b.weight(b.shapes[x][-1:], low=0.5, high=2)], b.shapes[x])


def matmul(b, x):
    s = b.shapes[x]
    if len(s) < 2:
        return None
    n = b.d.int(1, 17)
    y = b.add("MatMul", [x, b.weight([s[-1], n])], s[:-1] + [n])
    return b.add("Add", [y, b.weight([n])], b.shapes[y]) if b.d.chance(0.6) else y


def gemm(b, x):
    s = b.shapes[x]
    if len(s) != 2:
        return None
    n, trans = b.d.int(1, 17), b.d.int(0, 1)
    w = b.weight([n, s[1]] if trans else [s[1], n])
    return b.add("Gemm", [x, w, b.weight([n])], [s[0], n], transB=trans)


def convolution(b, x):
    s = b.shapes[x]
    if len(s) != 4:
        return None
    out, k = b.d.pick([1, 2, 4, 8, 16, 3]), b.d.pick([1, 3])
    group = s[1] if b.d.chance(0.3) else 1
    out = s[1] if group > 1 else out
    w = b.weight([out, s[1] // group, k, k])
    inputs = [x, w] + ([b.weight([out])] if b.d.chance(0.5) else [])
    y = b.add("Conv", inputs, [s[0], out, s[2], s[3]], pads=[k // 2] * 4, group=group)
    if b.d.chance(0.4):
        y = batch_norm(b, y)
    if b.d.chance(0.4):
        y = unary(b, y)
    if b.d.chance(0.3):
        y = binary(b, y)
    return y


def batch_norm(b, x):
    s = b.shapes[x]
    if len(s) < 2:
        return None
    parts = [b.weight([s[1]]), b.weight([s[1]]), b.weight([s[1]]), b.weight([s[1]], low=0.5, high=2)]
    return b.add("BatchNormalization", [x, *parts], s)


def pool(b, x):
    s = b.shapes[x]
    if len(s) != 4 or min(s[2:]) < 2:
        return None
    return b.add(b.d.pick(["MaxPool", "AveragePool"]), [x], s[:2] + [s[2] // 2, s[3] // 2], kernel_shape=[2, 2],
                 strides=[2, 2])


def global_pool(b, x):
    s = b.shapes[x]
    if len(s) != 4:
        return None
    y = b.add("GlobalAveragePool", [x], s[:2] + [1, 1])
    return b.add("Flatten", [y], s[:2]) if b.d.chance(0.5) else y


def transpose(b, x):
    perm = b.d.shuffled(len(b.shapes[x]))
    return b.add("Transpose", [x], [b.shapes[x][p] for p in perm], perm=perm)


def reshape(b, x):
    """Two dimensions become one, the first stays what it is."""
    s = b.shapes[x]
    if len(s) < 3:
        return None
    if b.d.chance(0.5):
        return b.add("Reshape", [x, b.ints(0, -1, *s[3:])], [s[0], s[1] * s[2]] + s[3:])
    # The same by way of the shape itself.
    shape, dim = b.name(), b.name() + "d"
    b.nodes.append(Node("Shape", [x], [shape], {}))
    b.nodes.append(Node("Gather", [shape, b.ints(0)], [dim], {"axis": 0}))
    whole = dim + "w"
    b.nodes.append(Node("Concat", [dim, b.ints(-1, *s[3:])], [whole], {"axis": 0}))
    return b.add("Reshape", [x, whole], [s[0], s[1] * s[2]] + s[3:])


def slice_(b, x):
    s = b.shapes[x]
    axis = b.d.int(0, len(s) - 1)
    if s[axis] < 2:
        return None
    cut = s[:axis] + [s[axis] - 1] + s[axis + 1:]
    return b.add("Slice", [x, b.ints(1), b.ints(2 ** 31), b.ints(axis)], cut)


def concat(b, x):
    s = b.shapes[x]
    axis = b.d.int(0, len(s) - 1)
    y = unary(b, x) if b.d.chance(0.5) else x
    return b.add("Concat", [x, y], s[:axis] + [2 * s[axis]] + s[axis + 1:], axis=axis)


def softmax(b, x):
    return b.add("Softmax", [x], b.shapes[x], axis=b.d.int(-len(b.shapes[x]), -1))


def reduce(b, x):
    s, keep = b.shapes[x], b.d.int(0, 1)
    axis = b.d.int(0, len(s) - 1)
    if len(s) < 2:
        return None
    op = b.d.pick(["ReduceMean", "ReduceSum", "ReduceMax"])
    return b.add(op, [x, b.ints(axis)], s[:axis] + [1] * keep + s[axis + 1:], keepdims=keep)


def layer_norm(b, x):
    """Spelled out as exporters do, or the operator itself."""
    s = b.shapes[x]
    if s[-1] < 2:
        return None
    scale, bias = b.weight([s[-1]]), b.weight([s[-1]])
    if b.d.chance(0.5):
        return b.add("LayerNormalization", [x, scale, bias], s, axis=-1, epsilon=EPSILON)
    m = s[:-1] + [1]
    centred = b.add("Sub", [x, b.add("ReduceMean", [x, b.ints(-1)], m)], s)
    squared = b.add("Pow", [centred, b.literal(2)], s)
    variance = b.add("Add", [b.add("ReduceMean", [squared, b.ints(-1)], m), b.literal(EPSILON)], m)
    y = b.add("Div", [centred, b.add("Sqrt", [variance], m)], s)
    return b.add("Add", [b.add("Mul", [y, scale], s), bias], s)


def gelu(b, x):
    s = b.shapes[x]
    e = b.add("Erf", [b.add("Div", [x, b.literal(2 ** 0.5)], s)], s)
    e = b.add("Mul", [x, b.add("Add", [e, b.literal(1)], s)], s)
    return b.add("Mul", [e, b.literal(0.5)], s)


def attention(b, x):
    s = b.shapes[x]
    if len(s) != 3:
        return None
    q, k, v = (b.add("MatMul", [x, b.weight([s[2], 4])], s[:2] + [4]) for _ in range(3))
    k = b.add("Transpose", [k], [s[0], 4, s[1]], perm=[0, 2, 1])
    scores = b.add("Mul", [b.add("MatMul", [q, k], [s[0], s[1], s[1]]), b.literal(0.5)],
                   [s[0], s[1], s[1]])
    return b.add("MatMul", [b.add("Softmax", [scores], b.shapes[scores], axis=-1), v], s[:2] + [4])


def where(b, x):
    cond = b.name() + "c"
    b.nodes.append(Node("Greater", [x, b.literal(0.1)], [cond], {}))
    return b.add("Where", [cond, x, b.weight(b.shapes[x][-1:])], b.shapes[x])


def unsqueeze(b, x):
    s = b.shapes[x]
    if len(s) > 4:
        return None
    at = b.d.int(0, len(s))
    y = b.add("Unsqueeze", [x, b.ints(at)], s[:at] + [1] + s[at:])
    return b.add("Squeeze", [y, b.ints(at)], s) if b.d.chance(0.3) else y


def pad(b, x):
    s = b.shapes[x]
    return b.add("Pad", [x, b.ints(*([0] * (len(s) - 1) + [1] + [0] * (len(s) - 1) + [1]))], s[:-1] + [s[-1] + 2])


def split(b, x):
    s = b.shapes[x]
    if s[-1] < 2:
        return None
    half, out = s[-1] // 2, [b.name() + "a", b.name() + "b"]
    b.nodes.append(Node("Split", [x, b.ints(half, s[-1] - half)], out, {"axis": -1}))
    b.shapes[out[0]], b.shapes[out[1]] = s[:-1] + [half], s[:-1] + [s[-1] - half]
    return out[0]


STEPS = [unary, unary, binary, binary, binary, division, matmul, matmul, gemm, convolution, convolution, convolution,
         batch_norm, pool, global_pool, transpose, reshape, reshape, slice_, concat, softmax, reduce, layer_norm, gelu,
         attention, where, unsqueeze, pad, split]


def graph(seed):
    """A case of several operators."""
    b = Builder(seed)
    d = b.d
    rest = d.pick([[4, 8, 8], [3, 5, 7], [16, 4, 4], [8, 6, 6], [5, 6], [7, 8], [3, 4], [12], [8]])
    b.input([b.batch] + rest)
    if d.chance(0.3):
        b.input([b.batch] + rest)
    for _ in range(d.int(2, 9)):
        x = b.some()
        if np.prod(b.shapes[x]) < 20000:
            d.pick(STEPS)(b, x)
    if not b.nodes:
        unary(b, b.some())
    used = {i for n in b.nodes for i in n.inputs}
    values = {n: v for n, v in b.values.items() if n in used}
    made = [o for n in b.nodes for o in n.outputs]
    outputs = [o for o in made if o not in used]
    if d.chance(0.3):  # one that others use, too
        outputs += [d.pick([o for o in made if o in used] or outputs)]
    return Case(b.nodes, values, b.constants, list(dict.fromkeys(outputs)), d.pick([20, 21, 21, 22, 24]),
                d.pick(["static", "symbols", "symbols", "unknown"]), (1e-3, 2e-4))
