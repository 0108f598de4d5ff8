#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tf.functions with random weights, written by tf2onnx.

usage: models_tf.py DIR [NAME...]      writes DIR/NAME.onnx; all of them when no name is given
Needs tensorflow-cpu, tf2onnx.
"""
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
import tf2onnx  # noqa: E402
from write import write_all  # noqa: E402

RNG = np.random.default_rng(1)
MODELS = {}


def model(*specs, opset=17):
    """The decorated function is a model of such inputs: (shape, dtype) each, or a shape of floats."""
    def add(fn):
        made = [s if isinstance(s, tuple) else (s, tf.float32) for s in specs]
        signature = [tf.TensorSpec(shape, dtype, name=f"x{i}") for i, (shape, dtype) in enumerate(made)]
        MODELS[fn.__name__] = (fn, signature, opset)
        return fn
    return add


def w(*shape):
    return tf.constant((RNG.standard_normal(shape) / np.sqrt(np.prod(shape[:-1]) or 1)).astype(np.float32))


# -- control flow --------------------------------------------------------------------------------------

@model([None, 8])
def while_loop(x):
    i, y = tf.while_loop(lambda i, y: i < 5, lambda i, y: (i + 1, tf.tanh(tf.matmul(y, w(8, 8)))), [0, x])
    return y


@model([None, 8])
def while_until_small(x):
    return tf.while_loop(lambda y: tf.reduce_sum(tf.abs(y)) > 1.0, lambda y: y * 0.5, [x])[0]


@model([None, 8])
def cond(x):
    return tf.cond(tf.reduce_mean(x) > 0, lambda: tf.nn.relu(x), lambda: -x * 2.0)


@model([None, 8], ([], tf.int32))
def switch_case(x, k):
    return tf.switch_case(k, [lambda: x + 1.0, lambda: x * 2.0, lambda: tf.square(x)])


@model([None, 12, 8])
def tensor_list(x):
    steps = tf.transpose(x, [1, 0, 2])
    out = tf.TensorArray(tf.float32, size=12)
    h = tf.zeros_like(steps[0])
    for t in tf.range(12):
        h = tf.tanh(tf.matmul(steps[t], w(8, 8)) + tf.matmul(h, w(8, 8)))
        out = out.write(t, h)
    return tf.transpose(out.stack(), [1, 0, 2])


@model([None, None, 8])
def scan(x):
    return tf.scan(lambda a, v: a * 0.9 + v, tf.transpose(x, [1, 0, 2]))


@model([None, 6])
def map_fn(x):
    return tf.map_fn(lambda r: tf.reduce_sum(r) * r, x)


@model([None, 6])
def nested_loops(x):
    y = x
    for i in tf.range(3):
        for j in tf.range(i + 1):
            y = y + tf.cast(j, tf.float32) * 0.1
    return y


# -- slices and moves ----------------------------------------------------------------------------------

@model([None, 10, 12])
def strided_slices(x):
    return (x[:, 1:-1:2, ::-1], x[:, -1], x[..., 3], x[:, tf.newaxis, 2:5], x[:, ::3, tf.newaxis, -4:])


@model([None, 10, 12], ([], tf.int32))
def slice_by_number(x, n):
    return x[:, n % 5:n % 5 + 3], tf.slice(x, [0, n % 4, 0], [-1, 2, 5])


@model([None, 4, 6])
def moves(x):
    return (tf.reverse(x, [1]), tf.roll(x, [1, 2], [1, 2]), tf.tile(x, [1, 2, 1]), tf.repeat(x, 2, axis=2),
            tf.pad(x, [[0, 0], [1, 2], [2, 1]], "REFLECT"), tf.pad(x, [[0, 0], [1, 1], [0, 0]], constant_values=2.0),
            tf.reverse_sequence(x, tf.fill([tf.shape(x)[0]], 3), 1), tf.stack(tf.unstack(x, axis=1), axis=2))


@model([None, 8, 8, 4])
def depth_and_space(x):
    return tf.nn.depth_to_space(x, 2), tf.nn.space_to_depth(x, 2)


@model([None, 5, 6], ([None, 3], tf.int32))
def gathers(x, k):
    k = k % 5
    return (tf.gather(x, k, axis=1, batch_dims=1), tf.gather(x, [0, 2, 4], axis=1), tf.gather_nd(x[0], k[:, :2]),
            tf.one_hot(k, 7), tf.scatter_nd(k[:, :1], x[:, 0], [8, 6]),
            tf.tensor_scatter_nd_add(tf.zeros([8, 6]), k[:, :1], x[:, 1]))


@model([None, 9])
def choices(x):
    v, i = tf.math.top_k(x, 3)
    return (v, i, tf.argsort(x), tf.sort(x, direction="DESCENDING"), tf.argmax(x, 1), tf.where(x > 0, x, 0.1 * x),
            tf.cumsum(x, 1, exclusive=True), tf.cumsum(x, 1, reverse=True), tf.boolean_mask(x, tf.reduce_sum(x, 1) > -99.0))


@model([12])
def finds(x):
    u, i = tf.unique(tf.round(x * 2))
    return (tf.where(x > 0), u, i, tf.math.segment_sum(x, tf.constant([0, 0, 1, 1, 1, 2, 2, 3, 3, 3, 4, 4])),
            tf.math.unsorted_segment_max(x, tf.constant([0, 1] * 6), 2), tf.math.bincount(tf.constant([1, 1, 2, 5])))


# -- arithmetic ----------------------------------------------------------------------------------------

@model([None, 6, 8])
def einsums(x):
    k = tf.einsum("btd,hde->bhte", x, w(2, 8, 4))
    q = tf.einsum("btd,hde->bhte", x, w(2, 8, 4))
    return (tf.einsum("bhte,bhse->bhts", q, k), tf.einsum("btd,df->btf", x, w(8, 5)), tf.einsum("btd->bd", x),
            tf.einsum("btd,btd->bt", x, x), tf.einsum("btd,bsd->tsb", x, x))


@model([None, 6, 8])
def reductions(x):
    return (tf.reduce_logsumexp(x, -1), tf.math.reduce_std(x, [1, 2]), tf.math.reduce_variance(x, 1), tf.norm(x, axis=-1),
            tf.reduce_all(x > -9, 1), tf.reduce_any(x > 1, 2), tf.reduce_prod(x, 1, keepdims=True),
            tf.nn.l2_normalize(x, -1), tf.math.count_nonzero(x > 0, axis=1))


@model([None, 6, 8])
def functions(x):
    return (tf.math.erf(x), tf.math.rsqrt(tf.abs(x) + 1), tf.math.atan2(x, x + 2),
            tf.math.floordiv(x, 0.3), tf.math.floormod(x, 0.7), tf.math.sign(x), tf.clip_by_value(x, -0.5, 0.5), tf.nn.selu(x),
            tf.nn.gelu(x, approximate=True), tf.nn.silu(x), tf.nn.softplus(x), tf.nn.relu6(x), tf.math.sinh(x),
            tf.math.squared_difference(x, 0.5), tf.nn.log_softmax(x), tf.round(x * 3))


@model([None, 6, 6], opset=18)
def matrices(x):
    return (tf.linalg.band_part(x, 1, 1), tf.linalg.diag_part(x), tf.linalg.set_diag(x, x[:, 0]), tf.linalg.diag(x[:, 0]),
            tf.linalg.trace(x), tf.eye(6) + x, tf.matmul(x, x, transpose_b=True), tf.tensordot(x, w(6, 3), 1))


@model(([None, 6], tf.int32))
def integers(k):
    return (k // 3, k % 3, tf.bitwise.left_shift(k, 1), tf.cast(k, tf.float32) / 3.0,
            tf.range(tf.shape(k)[1]) * 2, tf.maximum(k, 4), tf.math.cumsum(k, 1))


# -- images --------------------------------------------------------------------------------------------

@model([None, 12, 10, 3])
def resizes(x):
    return (tf.image.resize(x, [24, 20]), tf.image.resize(x, [24, 20], "nearest"), tf.image.resize(x, [7, 5]),
            tf.compat.v1.image.resize_bilinear(x, [24, 20], align_corners=True),
            tf.compat.v1.image.resize_nearest_neighbor(x, [24, 20]), tf.image.resize(x, tf.shape(x)[1:3] * 2))


@model([None, 20, 20, 3])
def crops(x):
    boxes = tf.constant([[0.1, 0.1, 0.8, 0.9], [0.0, 0.2, 0.5, 0.6]])
    return (tf.image.crop_and_resize(x, boxes, [0, 0], [8, 8]), tf.image.central_crop(x, 0.5), tf.image.flip_left_right(x),
            tf.image.pad_to_bounding_box(x, 2, 3, 26, 27), tf.image.rgb_to_grayscale(x), tf.image.adjust_contrast(x, 2.0))


@model([40, 4], [40])
def suppression(boxes, scores):
    lo, size = tf.abs(boxes[:, :2]), tf.abs(boxes[:, 2:])
    boxes = tf.concat([lo, lo + size], 1)
    k = tf.image.non_max_suppression(boxes, scores, 10, 0.5)
    return tf.gather(boxes, k), tf.gather(scores, k)


def conv_bn(x, cin, cout, k, stride=1, act=tf.nn.relu6):
    x = tf.nn.conv2d(x, w(k, k, cin, cout), stride, "SAME")
    x, *_ = tf.compat.v1.nn.fused_batch_norm(x, tf.abs(w(cout)) + 1, w(cout), mean=w(cout), variance=tf.abs(w(cout)) + 0.5,
                                             is_training=False)
    return act(x)


@model([None, 128, 128, 3], opset=13)
def frozen_cnn(x):
    """As frozen graphs of TF 1 have it."""
    x = conv_bn(x, 3, 16, 3, 2)
    for cin, cout in ((16, 32), (32, 64), (64, 64)):
        y = conv_bn(x, cin, 4 * cin, 1)
        y = tf.nn.depthwise_conv2d(y, w(3, 3, 4 * cin, 1), [1, 2, 2, 1], "SAME")
        y = tf.nn.bias_add(y, w(4 * cin))
        x = conv_bn(y * tf.nn.relu6(y + 3.0) * (1 / 6), 4 * cin, cout, 1, act=tf.identity)
        s = tf.reduce_mean(x, [1, 2], keepdims=True)
        x *= tf.nn.sigmoid(tf.nn.conv2d(tf.nn.relu(tf.nn.conv2d(s, w(1, 1, cout, 8), 1, "VALID")), w(1, 1, 8, cout), 1, "VALID"))
    return tf.nn.softmax(tf.matmul(tf.reduce_mean(x, [1, 2]), w(64, 10)))


@model([None, 96, 96, 3])
def pyramid(x):
    """A detector's neck: scales up and down, concatenated, heads as [N, boxes, numbers]."""
    a = conv_bn(x, 3, 16, 3, 2)
    b = conv_bn(a, 16, 32, 3, 2)
    c = conv_bn(tf.pad(b, [[0, 0], [1, 1], [1, 1], [0, 0]]), 32, 64, 3, 2)[:, :12, :12]
    up = tf.image.resize(c, [24, 24], "nearest")
    b = conv_bn(tf.concat([up, b], -1), 96, 32, 3, act=tf.nn.silu)
    heads = [tf.reshape(tf.nn.conv2d(v, w(1, 1, v.shape[-1], 18), 1, "SAME"), [tf.shape(x)[0], -1, 6]) for v in (b, c)]
    out = tf.concat(heads, 1)
    return out[..., :4], tf.sigmoid(out[..., 4:])


@model([None, 64, 8])
def waves(x):
    y = tf.nn.conv1d(x, w(5, 8, 16), 1, "SAME", dilations=2)
    y = tf.nn.conv1d(tf.nn.leaky_relu(y), w(3, 16, 32), 2, "VALID")
    return tf.nn.max_pool1d(y, 2, 2, "SAME"), tf.nn.conv1d_transpose(y, w(4, 8, 32), [tf.shape(x)[0], 62, 8], 2, "SAME")


# -- language ------------------------------------------------------------------------------------------

def norm(x):
    m, v = tf.nn.moments(x, [-1], keepdims=True)
    return tf.nn.batch_normalization(x, m, v, w(x.shape[-1]), tf.abs(w(x.shape[-1])) + 1, 1e-6)


@model(([None, 32], tf.int32), ([None, 32], tf.int32))
def bert(ids, mask):
    """As google-research/bert has it."""
    batch = tf.shape(ids)[0]
    x = norm(tf.gather(w(100, 128), ids) + w(32, 128))
    bias = (1.0 - tf.cast(tf.minimum(mask, 1), tf.float32))[:, None, None, :] * -10000.0
    for _ in range(3):
        flat = tf.reshape(x, [-1, 128])
        q, k, v = (tf.transpose(tf.reshape(tf.nn.bias_add(tf.matmul(flat, w(128, 128)), w(128)), [batch, 32, 4, 32]), [0, 2, 1, 3])
                   for _ in range(3))
        s = tf.nn.softmax(tf.multiply(tf.matmul(q, k, transpose_b=True), 1 / 32 ** 0.5) + bias)
        y = tf.reshape(tf.transpose(tf.matmul(s, v), [0, 2, 1, 3]), [-1, 128])
        flat = norm(tf.nn.bias_add(tf.matmul(y, w(128, 128)), w(128)) + flat)
        y = tf.nn.bias_add(tf.matmul(flat, w(128, 512)), w(512))
        y = y * 0.5 * (1.0 + tf.math.erf(y / np.sqrt(2.0)))
        x = tf.reshape(norm(tf.nn.bias_add(tf.matmul(y, w(512, 128)), w(128)) + flat), [batch, 32, 128])
    return x, tf.tanh(tf.matmul(x[:, 0], w(128, 128)))


@model(([None], tf.string))
def strings(s):
    return tf.strings.lower(s), tf.equal(s, "the")


def write(made, path):
    fn, signature, opset = made
    tf2onnx.convert.from_function(tf.function(fn, input_signature=signature), input_signature=signature, opset=opset,
                                  output_path=path)


if __name__ == "__main__":
    write_all(sys.argv, MODELS, write)
