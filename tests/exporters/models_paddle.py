#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Models of PaddlePaddle with random weights, written by paddle.onnx.export().

usage: models_paddle.py DIR [NAME...]      writes DIR/NAME.onnx; all of them when no name is given
Needs paddlepaddle, paddle2onnx, packaging.
"""
import sys

import paddle
import paddle.nn.functional as F
from paddle import nn
from paddle.static import InputSpec
from write import write_all

OPSET = 14
VISION = ("resnet18", "resnet50", "mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "vgg11",
          "densenet121", "googlenet", "inception_v3", "shufflenet_v2_x1_0", "squeezenet1_1", "resnext50_32x4d", "alexnet",
          "wide_resnet50_2")
IMAGE = [([None, 3, 224, 224], "float32")]


def conv_bn(cin, cout, k, stride=1, groups=1, act=nn.Hardswish):
    return nn.Sequential(nn.Conv2D(cin, cout, k, stride, k // 2, groups=groups, bias_attr=False), nn.BatchNorm2D(cout), act())


class Squeeze(nn.Layer):
    def __init__(self, width):
        super().__init__()
        self.steps = nn.Sequential(nn.AdaptiveAvgPool2D(1), nn.Conv2D(width, width // 4, 1), nn.ReLU(),
                                   nn.Conv2D(width // 4, width, 1), nn.Hardsigmoid())

    def forward(self, x):
        return x * self.steps(x)


class LCNet(nn.Layer):
    """PP-LCNet's blocks."""

    def __init__(self, strides=(2, 2, 2, 2), classes=100):
        super().__init__()
        layers, width = [conv_bn(3, 16, 3, 2)], 16
        for i, stride in enumerate(strides):
            layers += [conv_bn(width, width, 5 if i > 1 else 3, stride, width)] + ([Squeeze(width)] if i > 1 else [])
            layers += [conv_bn(width, 2 * width, 1)]
            width *= 2
        self.features, self.width = nn.Sequential(*layers), width
        self.head = nn.Sequential(nn.AdaptiveAvgPool2D(1), nn.Conv2D(width, 512, 1), nn.Hardswish(), nn.Dropout(0.2),
                                  nn.Flatten(), nn.Linear(512, classes), nn.Softmax())

    def forward(self, x):
        return self.head(self.features(x))


class CRNN(nn.Layer):
    """Reads lines of text: convolutions, columns as steps of an LSTM."""

    def __init__(self):
        super().__init__()
        self.features = LCNet(strides=((2, 1), (2, 1), (2, 1), (2, 1))).features
        self.pool = nn.MaxPool2D((1, 2), (1, 2))
        self.rnn = nn.LSTM(256, 48, num_layers=2, direction="bidirectional")
        self.out = nn.Linear(96, 97)

    def forward(self, x):
        x = self.pool(self.features(x)).squeeze(2).transpose([0, 2, 1])
        return F.softmax(self.out(self.rnn(x)[0]), axis=2)


class DB(nn.Layer):
    """Finds text: a pyramid of features and transposed convolutions."""

    def __init__(self):
        super().__init__()
        self.down = nn.LayerList([conv_bn(c, 2 * c if i else 16, 3, 2, act=nn.ReLU) for i, c in enumerate((3, 16, 32, 64))])
        self.side = nn.LayerList([nn.Conv2D(c, 24, 1) for c in (16, 32, 64, 128)])
        self.head = nn.Sequential(nn.Conv2D(96, 24, 3, padding=1), nn.BatchNorm2D(24), nn.ReLU(), nn.Conv2DTranspose(24, 24, 2, 2),
                                  nn.BatchNorm2D(24), nn.ReLU(), nn.Sigmoid())

    def forward(self, x):
        levels = []
        for down, side in zip(self.down, self.side):
            x = down(x)
            levels.append(side(x))
        for i in (2, 1, 0):
            levels[i] = levels[i] + F.upsample(levels[i + 1], levels[i].shape[2:], mode="nearest", align_mode=1)
        return self.head(paddle.concat([F.upsample(v, levels[0].shape[2:], mode="bilinear") for v in levels], 1))


class Detector(nn.Layer):
    """A head as PP-YOLOE has it: distributions over distances, boxes, scores."""

    def __init__(self):
        super().__init__()
        self.features = LCNet().features
        self.boxes, self.scores = nn.Conv2D(256, 4 * 8, 1), nn.Conv2D(256, 20, 1)

    def forward(self, x):
        x = self.features(x)
        n = x.shape[2] * x.shape[3]
        d = F.softmax(self.boxes(x).reshape([-1, 4, 8, n]).transpose([0, 2, 3, 1]), axis=1)
        d = paddle.sum(d * paddle.arange(8, dtype="float32").reshape([1, 8, 1, 1]), 1)
        y, x_ = paddle.meshgrid(paddle.arange(x.shape[2], dtype="float32"), paddle.arange(x.shape[3], dtype="float32"))
        at = paddle.stack([x_, y], -1).reshape([1, n, 2])
        lo, hi = paddle.split(d, 2, axis=-1)
        return paddle.concat([at - lo, at + hi], -1), F.sigmoid(self.scores(x).flatten(2).transpose([0, 2, 1]))


class Encoder(nn.Layer):
    def __init__(self, layers=3, norm_first=False):
        super().__init__()
        self.words, self.places = nn.Embedding(100, 128), nn.Embedding(64, 128)
        layer = nn.TransformerEncoderLayer(128, 4, 512, activation="gelu", dropout=0.0, normalize_before=norm_first)
        self.encoder = nn.TransformerEncoder(layer, layers)
        self.out = nn.Linear(128, 5)

    def forward(self, ids):
        at = paddle.arange(ids.shape[1], dtype="int64").unsqueeze(0)
        mask = (ids == 0).astype("float32").unsqueeze([1, 2]) * -1e4
        x = self.encoder(self.words(ids) + self.places(at), mask)
        return self.out(x), x[:, 0]


class ViT(nn.Layer):
    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2D(3, 128, 16, 16)
        self.token, self.places = self.create_parameter([1, 1, 128]), self.create_parameter([1, 197, 128])
        self.blocks = nn.TransformerEncoder(nn.TransformerEncoderLayer(128, 4, 512, activation="gelu", normalize_before=True), 3)
        self.out = nn.Sequential(nn.LayerNorm(128), nn.Linear(128, 50))

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose([0, 2, 1])
        x = paddle.concat([self.token.expand([x.shape[0], -1, -1]), x], 1) + self.places
        return self.out(self.blocks(x)[:, 0])


class Recurrent(nn.Layer):
    def __init__(self, rnn, width, last=True):
        super().__init__()
        self.rnn, self.out, self.last = rnn, nn.Linear(width, 4), last

    def forward(self, x):
        y, _ = self.rnn(x)
        return self.out(y[:, -1] if self.last else y)


class TextCNN(nn.Layer):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(100, 64)
        self.convs = nn.LayerList([nn.Conv1D(64, 32, k, padding=k // 2) for k in (3, 5, 7)])
        self.out = nn.Linear(96, 4)

    def forward(self, ids):
        x = self.words(ids).transpose([0, 2, 1])
        return F.softmax(self.out(paddle.concat([F.relu(conv(x)).max(-1) for conv in self.convs], 1)))


class WideDeep(nn.Layer):
    """Numbers and categories."""

    def __init__(self):
        super().__init__()
        self.kinds = nn.Embedding(100, 8)
        self.deep = nn.Sequential(nn.Linear(6 * 8 + 13, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))
        self.wide = nn.Linear(13, 1)

    def forward(self, numbers, kinds):
        x = paddle.concat([self.kinds(kinds).flatten(1), numbers], 1)
        return F.sigmoid(self.deep(x) + self.wide(numbers))


class Mixed(nn.Layer):
    """Functions of each kind."""

    def forward(self, x):
        v, i = paddle.topk(x, 3, axis=-1)
        return (v, i, paddle.argmax(x, -1), F.gelu(x), F.gelu(x, True), F.swish(x), F.mish(x), F.elu(x),
                F.log_softmax(x), paddle.cumsum(x, 1), paddle.clip(x, -0.5, 0.5), paddle.roll(x, 1, 1), paddle.flip(x, [1]),
                paddle.tile(x, [1, 2, 1]), paddle.std(x, -1), paddle.logsumexp(x, -1), F.hardtanh(x), paddle.where(x > 0, x, -x),
                F.layer_norm(x, 8, paddle.ones([8]), paddle.zeros([8])), F.pad(x, [1, 1], data_format="NCL"))


MODELS = {name: (lambda name=name: getattr(paddle.vision.models, name)(), IMAGE) for name in VISION}
MODELS |= {
    "lcnet": (LCNet, IMAGE),
    "crnn": (CRNN, [([None, 3, 32, 96], "float32")]),
    "crnn_open": (CRNN, [([None, 3, 32, None], "float32")]),
    "db": (DB, [([None, 3, 96, 96], "float32")]),
    "detector": (Detector, [([None, 3, 160, 160], "float32")]),
    "encoder": (Encoder, [([None, 48], "int64")]),
    "encoder_open": (lambda: Encoder(2, True), [([None, None], "int64")]),
    "vit": (ViT, IMAGE),
    "lstm": (lambda: Recurrent(nn.LSTM(16, 48, 2), 48), [([None, 30, 16], "float32")]),
    "gru": (lambda: Recurrent(nn.GRU(16, 48, direction="bidirect"), 96), [([None, 30, 16], "float32")]),
    "rnn_open": (lambda: Recurrent(nn.SimpleRNN(16, 48), 48, False), [([None, None, 16], "float32")]),
    "text_cnn": (TextCNN, [([None, 32], "int64")]),
    "wide_deep": (WideDeep, [([None, 13], "float32"), ([None, 6], "int64")]),
    "mixed": (Mixed, [([None, 5, 8], "float32")]),
    "conv3d": (lambda: nn.Sequential(nn.Conv3D(3, 16, 3, padding=1), nn.BatchNorm3D(16), nn.ReLU(), nn.MaxPool3D(2), nn.Conv3D(16, 32, 3),
                                     nn.AdaptiveAvgPool3D(1), nn.Flatten(), nn.Linear(32, 4)), [([None, 3, 8, 32, 32], "float32")]),
    "norms": (lambda: nn.Sequential(nn.Conv2D(3, 16, 3), nn.GroupNorm(4, 16), nn.InstanceNorm2D(16), nn.PReLU(), nn.Conv2D(16, 8, 3),
                                    nn.LeakyReLU(0.1), nn.PixelShuffle(2), nn.Upsample([80, 80], mode="bicubic")),
              [([None, 3, 24, 24], "float32")]),
    "mlp": (lambda: nn.Sequential(nn.Linear(20, 128), nn.ReLU(), nn.BatchNorm1D(128), nn.Linear(128, 64), nn.GELU(), nn.Linear(64, 3),
                                  nn.Softmax()), [([None, 20], "float32")]),
}


def vary(layer):
    """Statistics of normalizations that are not all 0 and 1."""
    if isinstance(layer, (nn.BatchNorm1D, nn.BatchNorm2D, nn.BatchNorm3D)):
        layer._mean.set_value(paddle.randn(layer._mean.shape) * 0.1)
        layer._variance.set_value(paddle.rand(layer._variance.shape) + 0.5)


def write(made, path):
    make, inputs = made
    paddle.seed(1)
    net = make()
    net.apply(vary)
    net.eval()
    paddle.onnx.export(net, path.removesuffix(".onnx"), input_spec=[InputSpec(*i, name=f"x{k}") for k, i in enumerate(inputs)],
                       opset_version=OPSET)


if __name__ == "__main__":
    write_all(sys.argv, MODELS, write)
