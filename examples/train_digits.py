#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains the two digit classifiers of examples/models and writes the sample requests.

Version 1 is a multilayer perceptron, version 2 a convolutional network that knows more.
Both take "image" (float32 [batch, 64], grey levels 0 to 16, row by row) and answer
"label" (int64 [batch]) and "probabilities" (float32 [batch, 10]), so that either can stand
in for the other.

Needs numpy, scikit-learn (for its digits, 1797 scans of 8 by 8) and onnx. Takes about a
minute; the seeds are fixed.

usage: train_digits.py [DIRECTORY, default: where this file is]
"""
import json
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

OPSET = 17
IR_VERSION = 8
GREY_MAX = 16.0
SAMPLES = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]


# -- layers: forward keeps what backward needs; backward fills .grad and returns dx --------

class Dense:
    def __init__(self, rng, n_in, n_out):
        self.param = [rng.normal(0, np.sqrt(2 / n_in), (n_in, n_out)), np.zeros(n_out)]

    def forward(self, x):
        self.x = x
        return x @ self.param[0] + self.param[1]

    def backward(self, dy):
        self.grad = [self.x.T @ dy, dy.sum(0)]
        return dy @ self.param[0].T


class Relu:
    param = []

    def forward(self, x):
        self.mask = x > 0
        return x * self.mask

    def backward(self, dy):
        return dy * self.mask


class Conv3x3:
    """Stride 1, padding 1; the images are [n, c, h, w]."""

    def __init__(self, rng, n_in, n_out):
        self.param = [rng.normal(0, np.sqrt(2 / (9 * n_in)), (n_out, n_in, 3, 3)), np.zeros(n_out)]

    def windows(self, x):
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        return np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))

    def forward(self, x):
        self.win = self.windows(x)
        return np.einsum('nchwij,ocij->nohw', self.win, self.param[0], optimize=True) \
            + self.param[1][:, None, None]

    def backward(self, dy):
        self.grad = [np.einsum('nchwij,nohw->ocij', self.win, dy, optimize=True), dy.sum((0, 2, 3))]
        turned = self.param[0][:, :, ::-1, ::-1]
        return np.einsum('nohwij,ocij->nchw', self.windows(dy), turned, optimize=True)


class MaxPool2:
    param = []

    def forward(self, x):
        n, c, h, w = x.shape
        tiles = x.reshape(n, c, h // 2, 2, w // 2, 2)
        y = tiles.max((3, 5))
        self.mask = tiles == y[:, :, :, None, :, None]
        return y

    def backward(self, dy):
        spread = self.mask * dy[:, :, :, None, :, None]
        n, c, h, _, w, _ = spread.shape
        return spread.reshape(n, c, h * 2, w * 2)


class Reshape:
    param = []

    def __init__(self, *shape):
        self.shape = shape

    def forward(self, x):
        self.before = x.shape
        return x.reshape(len(x), *self.shape)

    def backward(self, dy):
        return dy.reshape(self.before)


class Dropout:
    param = []

    def __init__(self, rng, share):
        self.rng, self.share, self.training = rng, share, False

    def forward(self, x):
        if not self.training:
            return x
        self.mask = (self.rng.random(x.shape) >= self.share) / (1 - self.share)
        return x * self.mask

    def backward(self, dy):
        return dy * self.mask


# -- training ------------------------------------------------------------------------------

def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def forward(net, x, training=False):
    for layer in net:
        if isinstance(layer, Dropout):
            layer.training = training
        x = layer.forward(x)
    return x


def shifted(rng, x):
    """Each image moved by up to one pixel in each direction, what comes in is empty."""
    images = np.pad(x.reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)))
    at = rng.integers(0, 3, (len(x), 2))
    return np.stack([im[r:r + 8, c:c + 8].ravel() for im, (r, c) in zip(images, at)])


def train(net, x, y, rng, epochs, shift_share):
    """Adam on cross entropy, learning rate falling along a cosine."""
    params = [(layer, i) for layer in net for i in range(len(layer.param))]
    m = [np.zeros_like(layer.param[i]) for layer, i in params]
    v = [np.zeros_like(layer.param[i]) for layer, i in params]
    step, batch = 0, 32
    steps = epochs * (len(x) // batch)
    for _ in range(epochs):
        order = rng.permutation(len(x))
        for at in range(0, len(x) - batch + 1, batch):
            pick = order[at:at + batch]
            images = x[pick]
            move = rng.random(batch) < shift_share
            images = np.where(move[:, None], shifted(rng, images), images)
            dy = softmax(forward(net, images / GREY_MAX, training=True))
            dy[np.arange(batch), y[pick]] -= 1
            dy /= batch
            for layer in reversed(net):
                dy = layer.backward(dy)
            step += 1
            rate = 2e-3 * 0.5 * (1 + np.cos(np.pi * step / steps))
            for k, (layer, i) in enumerate(params):
                g = layer.grad[i] + 1e-4 * layer.param[i]
                m[k] = 0.9 * m[k] + 0.1 * g
                v[k] = 0.999 * v[k] + 0.001 * g * g
                layer.param[i] -= rate * (m[k] / (1 - 0.9 ** step)) / \
                    (np.sqrt(v[k] / (1 - 0.999 ** step)) + 1e-8)


def accuracy(net, x, y):
    return float((forward(net, x / GREY_MAX).argmax(1) == y).mean())


# -- ONNX ----------------------------------------------------------------------------------

class Exporter:
    def __init__(self):
        self.nodes, self.weights, self.last = [], [], 'image'

    def weight(self, array, name):
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def node(self, op, *more, **attrs):
        out = f'{op.lower()}_{len(self.nodes)}'
        self.nodes.append(helper.make_node(op, [self.last, *more], [out], name=out, **attrs))
        self.last = out

    def layer(self, layer):
        at = len(self.nodes)
        if isinstance(layer, Dense):
            w, b = (p.astype(np.float32) for p in layer.param)
            self.node('Gemm', self.weight(w, f'w_{at}'), self.weight(b, f'b_{at}'))
        elif isinstance(layer, Conv3x3):
            w, b = (p.astype(np.float32) for p in layer.param)
            self.node('Conv', self.weight(w, f'w_{at}'), self.weight(b, f'b_{at}'), pads=[1] * 4)
        elif isinstance(layer, MaxPool2):
            self.node('MaxPool', kernel_shape=[2, 2], strides=[2, 2])
        elif isinstance(layer, Reshape):
            shape = np.array([-1, *layer.shape], np.int64)
            self.node('Reshape', self.weight(shape, f'shape_{at}'))
        elif isinstance(layer, Relu):
            self.node('Relu')

    def model(self, net, about):
        self.node('Div', self.weight(np.array(GREY_MAX, np.float32), 'grey_max'))
        for layer in net:
            self.layer(layer)
        logits = self.last
        self.nodes.append(helper.make_node('Softmax', [logits], ['probabilities'], axis=1))
        self.nodes.append(helper.make_node('ArgMax', [logits], ['label'], axis=1, keepdims=0))
        graph = helper.make_graph(
            self.nodes, 'digits',
            [helper.make_tensor_value_info('image', TensorProto.FLOAT, ['batch', 64])],
            [helper.make_tensor_value_info('label', TensorProto.INT64, ['batch']),
             helper.make_tensor_value_info('probabilities', TensorProto.FLOAT, ['batch', 10])],
            self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', OPSET)],
                                  producer_name='train_digits.py', ir_version=IR_VERSION)
        helper.set_model_props(model, about)
        onnx.checker.check_model(model, full_check=True)
        return model


# -- the two versions ----------------------------------------------------------------------

def mlp(rng):
    return [Dense(rng, 64, 256), Relu(), Dense(rng, 256, 256), Relu(), Dense(rng, 256, 10)]


def convnet(rng):
    return [Reshape(1, 8, 8), Conv3x3(rng, 1, 16), Relu(), Conv3x3(rng, 16, 32), Relu(),
            MaxPool2(), Conv3x3(rng, 32, 64), Relu(), Reshape(64 * 16), Dropout(rng, 0.4),
            Dense(rng, 64 * 16, 64), Relu(), Dense(rng, 64, 10)]


VERSIONS = {
    1: dict(make=mlp, seed=1, epochs=20, shift_share=0.0, about='multilayer perceptron 64-256-256-10'),
    2: dict(make=convnet, seed=2, epochs=60, shift_share=0.5,
            about='convolutional network 3x3x16, 3x3x32, pool, 3x3x64, 64, 10'),
}


def write_samples(to, x, y):
    """The first test image of each digit as a request body, eight numbers a line."""
    for digit in SAMPLES:
        image = x[np.flatnonzero(y == digit)[0]].astype(int)
        rows = [', '.join(f'{v:2d}' for v in row) for row in image.reshape(8, 8)]
        text = '{"instances": [{"image": [\n' + ',\n'.join(rows) + '\n]}]}\n'
        json.loads(text)
        (to / f'{digit}.json').write_text(text)


def main():
    here = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    digits = load_digits()
    x, x_test, y, y_test = train_test_split(
        digits.data, digits.target, test_size=0.25, random_state=0, stratify=digits.target)
    for version, v in VERSIONS.items():
        rng = np.random.default_rng(v['seed'])
        net = v['make'](rng)
        train(net, x, y, rng, v['epochs'], v['shift_share'])
        score = accuracy(net, x_test, y_test)
        model = Exporter().model(net, {
            'description': v['about'], 'test_accuracy': f'{score:.4f}', 'test_images': str(len(y_test))})
        path = here / 'models' / 'digits' / str(version) / 'model.onnx'
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(model, path)
        print(f'version {version}: {v["about"]}: {score:.2%} of {len(y_test)} test images')
    (here / 'digits').mkdir(exist_ok=True)
    write_samples(here / 'digits', x_test, y_test)


if __name__ == '__main__':
    main()
