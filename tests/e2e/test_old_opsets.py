# SPDX-License-Identifier: Apache-2.0
"""What nodes of older opsets compute: the rewrites of exec/ops_old.def against NumPy."""
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

RANDOM = np.random.default_rng(7)
X = RANDOM.standard_normal((2, 4, 3, 5)).astype(np.float32)
C = np.array([0.5, 1, 2, 3], np.float32)
E = np.abs(RANDOM.standard_normal((4, 3, 5))).astype(np.float32)
COLUMN = C[:, None, None]


def softmax(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def flat_softmax(x, axis):
    rows = int(np.prod(x.shape[:axis]))
    return softmax(x.reshape(rows, -1), 1).reshape(x.shape)


def batch_norm(x, scale, bias, mean, var, eps):
    return (x - mean) / np.sqrt(var + eps) * scale + bias


def group_norm(x, groups, scale, bias, eps=1e-5):
    g = x.reshape(x.shape[0], groups, -1)
    g = (g - g.mean(2, keepdims=True)) / np.sqrt(g.var(2, keepdims=True) + eps)
    return (g * scale[:, None] + bias[:, None]).reshape(x.shape)


def repeat2(x):
    return x.repeat(2, 2).repeat(2, 3)


def one_hot(i, depth):
    return np.array([[1.0 if 0 <= v < depth and v == d else 0.0 for d in range(depth)] for v in i])


def i64(*v):
    return np.array(v, np.int64)


CASES = [
    # opset, operator, inputs, attributes, what comes out
    (6, "Add", [X, C], dict(broadcast=1, axis=1), X + COLUMN),
    (6, "Sub", [X, X[0, 0, 0]], dict(broadcast=1), X - X[0, 0, 0]),
    (6, "Div", [X, E[:, 0, 0]], dict(broadcast=1, axis=1), X / E[:, 0, 0][:, None, None]),
    (6, "PRelu", [X, C], {}, np.where(X < 0, X * COLUMN, X)),
    (1, "Selu", [X], {}, 1.0507 * np.where(X > 0, X, 1.6732 * (np.exp(X) - 1))),
    (6, "Clip", [X], dict(min=-0.5, max=0.5), X.clip(-0.5, 0.5)),
    (6, "Clip", [X.astype(np.float64)], dict(max=0.5), X.astype(np.float64).clip(None, 0.5)),
    (2, "Pad", [X], dict(pads=[0, 0, 1, 0, 0, 0, 0, 2], value=3.0),
     np.pad(X, ((0, 0), (0, 0), (1, 0), (0, 2)), constant_values=3)),
    (9, "Slice", [X], dict(axes=[1, 3], starts=[1, -2], ends=[3, 100]), X[:, 1:3, :, -2:]),
    (9, "Slice", [X], dict(starts=[0, 1], ends=[1, 4]), X[0:1, 1:4]),
    (11, "Squeeze", [X[:1]], dict(axes=[0]), X[0]),
    (11, "Unsqueeze", [X], dict(axes=[0, 2]), X[None, :, None]),
    (17, "ReduceMean", [X], dict(axes=[1, -1], keepdims=0), X.mean((1, 3))),
    (11, "ReduceSum", [X], dict(axes=[2]), X.sum(2, keepdims=True)),
    (12, "ReduceMax", [X], {}, X.max(keepdims=True)),
    (4, "Reshape", [X], dict(shape=[0, -1]), X.reshape(2, -1)),
    (12, "Softmax", [X], dict(axis=1), flat_softmax(X, 1)),
    (12, "Softmax", [X], dict(axis=3), softmax(X, 3)),
    (11, "LogSoftmax", [X], dict(axis=2), np.log(flat_softmax(X, 2))),
    (9, "Upsample", [X, np.array([1, 1, 2, 2], np.float32)], dict(mode="nearest"), repeat2(X)),
    (7, "Upsample", [X], dict(scales=[1.0, 1.0, 2.0, 2.0]), repeat2(X)),
    (1, "Upsample", [X], dict(height_scale=2.0, width_scale=2.0), repeat2(X)),
    (10, "Resize", [X, np.array([1, 1, 2, 2], np.float32)], {}, repeat2(X)),
    (7, "BatchNormalization", [X, C, C, C, C], dict(epsilon=0.1),
     batch_norm(X, COLUMN, COLUMN, COLUMN, COLUMN, 0.1)),
    (7, "BatchNormalization", [X, E, E, E, E], dict(epsilon=0.1, spatial=0),
     batch_norm(X, E, E, E, E, 0.1)),
    (6, "Dropout", [X], dict(ratio=0.9, is_test=1), X),
    (18, "GroupNormalization", [X, C[:2], C[2:]], dict(num_groups=2),
     group_norm(X, 2, C[:2], C[2:])),
    (5, "Cast", [X * 10], dict(to="INT32"), (X * 10).astype(np.int32)),
    (3, "Concat", [X, X], {}, np.concatenate([X, X], 1)),
    (9, "OneHot", [i64(0, -1, 2, 5), i64(3), np.array([0, 1], np.float32)], {},
     one_hot([0, -1, 2, 5], 3).astype(np.float32)),
    (9, "Scatter", [C, i64(2, 0), np.array([9, 8], np.float32)], dict(axis=0),
     np.array([8, 1, 9, 3], np.float32)),
    (5, "Tile", [X, np.array(3, np.float32), np.array(1, np.float32)], {}, np.tile(X, (1, 3, 1, 1))),
]


def name_of(case):
    return "-".join([case[1], str(case[0]), *case[3]])


@pytest.mark.parametrize("opset, op, inputs, attrs, want", CASES, ids=map(name_of, CASES))
def test_computes_what_it_did(signetctl, tmp_path, opset, op, inputs, attrs, want):
    want = np.asarray(want)
    names = [f"in{i}" for i in range(len(inputs))]
    # The first input is fed; the others are initializers, as exporters write them.
    constants = [numpy_helper.from_array(v, n) for n, v in zip(names[1:], inputs[1:])]
    declared = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
                for n, v in zip(names, inputs)]
    out = helper.make_tensor_value_info("y", helper.np_dtype_to_tensor_dtype(want.dtype), None)
    graph = helper.make_graph([helper.make_node(op, names, ["y"], **attrs)], "g", declared, [out],
                              constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=3)
    onnx.save(model, tmp_path / "model.onnx")
    np.save(tmp_path / "x.npy", inputs[0])
    signetctl("run", tmp_path / "model.onnx", "--input", f"in0={tmp_path}/x.npy",
              "--output", f"y={tmp_path}/y.npy")
    got = np.load(tmp_path / "y.npy")
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got, want, 1e-5, 1e-6)
