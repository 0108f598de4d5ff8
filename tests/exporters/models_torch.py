#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Single layers, recurrent networks and functions of PyTorch with random weights, written by both of its exporters.

usage: models_torch.py DIR [layers_script|layers_dynamo|FOLDER/NAME...]      writes DIR/FOLDER/NAME.onnx; all of them when none
       is given
Needs torch, torchvision, onnx, onnxscript.
"""
import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torch_export import Spec, image, main

B = {0: "batch"}
LINE, IMAGE, VOLUME = (1, 16, 200), (1, 16, 64, 64), (1, 8, 12, 32, 32)


class Fn(nn.Module):
    """A function of tensors as a module; a single output of a layer that has several."""

    def __init__(self, fn, *layers):
        super().__init__()
        self.fn, self.layers = fn, nn.ModuleList(layers)

    def forward(self, *args):
        return self.fn(*self.layers, *args)


def layer(shape, *layers):
    return Spec(lambda: nn.Sequential(*[make() for make in layers]), [image(*shape)])


def fn(f, *tensors, layers=(), opset=17):
    """Tensors are shapes of floats, or tensors; all have a batch."""
    named = [(f"x{i}", torch.randn(t) if isinstance(t, tuple) else t, B) for i, t in enumerate(tensors)]
    return Spec(lambda: Fn(f, *[make() for make in layers]), named, opset)


def ints(high, *shape):
    return torch.randint(0, high, shape)


class UNet(nn.Module):
    def __init__(self, widths=(16, 32, 64)):
        super().__init__()
        def block(a, b): return nn.Sequential(nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(), nn.Conv2d(b, b, 3, padding=1), nn.SiLU())
        self.down = nn.ModuleList(block(a, b) for a, b in zip((3, *widths), widths))
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, b, 2, 2) for b in widths[:0:-1])
        self.join = nn.ModuleList(block(a + b, a) for a, b in zip(widths[-2::-1], widths[:0:-1]))
        self.out = nn.Conv2d(widths[0], 2, 1)

    def forward(self, x):
        skips = []
        for i, down in enumerate(self.down):
            x = down(F.max_pool2d(x, 2) if i else x)
            skips.append(x)
        skips.pop()
        for up, join in zip(self.up, self.join):
            x = join(torch.cat([up(x), skips.pop()], 1))
        return self.out(x)


class Cells(nn.Module):
    """A recurrence written out as a loop of cells."""

    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def forward(self, x):
        h = x.new_zeros(x.shape[0], 32)
        state, out = ((h, h) if isinstance(self.cell, nn.LSTMCell) else h), []
        for t in range(8):
            state = self.cell(x[:, t], state)
            out.append(state[0] if isinstance(state, tuple) else state)
        return torch.stack(out, 1)


@torch.jit.script
def halved(x, steps: int):
    for i in range(steps):
        if bool(x.sum() > 0):
            x = x - 0.5
        else:
            x = x * 2
    return x


def channels_last_norm(norm, x):
    return norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def encoder(**options):
    return lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(128, 4, 256, batch_first=True, **options), 2, enable_nested_tensor=False)


LAYERS = {
    "mlp": layer((1, 64), lambda: nn.Linear(64, 256), nn.GELU, lambda: nn.Linear(256, 256), nn.Tanh, lambda: nn.Linear(256, 10)),
    "linear_relu": layer((1, 512), lambda: nn.Linear(512, 1024), nn.ReLU),
    "bilinear": fn(lambda m, a, b: m(a, b), (1, 16), (1, 24), layers=[lambda: nn.Bilinear(16, 24, 8)]),
    "conv1d": layer(LINE, lambda: nn.Conv1d(16, 32, 5, 2, 2), lambda: nn.BatchNorm1d(32), nn.ReLU),
    "conv1d_causal": layer(LINE, lambda: nn.ConstantPad1d((8, 0), 0.0), lambda: nn.Conv1d(16, 16, 3, dilation=4)),
    "conv2d": layer(IMAGE, lambda: nn.Conv2d(16, 32, 3, padding=1), lambda: nn.BatchNorm2d(32), nn.ReLU6),
    "conv2d_dilated": layer(IMAGE, lambda: nn.Conv2d(16, 32, 3, padding=2, dilation=2), nn.Hardswish),
    "conv2d_groups": layer(IMAGE, lambda: nn.Conv2d(16, 32, 3, groups=4), nn.LeakyReLU),
    "conv2d_depthwise": layer(IMAGE, lambda: nn.Conv2d(16, 16, 7, padding=3, groups=16), lambda: nn.Conv2d(16, 32, 1), nn.GELU),
    "conv2d_reflect": layer(IMAGE, lambda: nn.Conv2d(16, 16, 3, padding=1, padding_mode="reflect"), lambda: nn.Conv2d(16, 8, 3, padding=1, padding_mode="circular")),
    "conv3d": layer(VOLUME, lambda: nn.Conv3d(8, 16, 3, padding=1), lambda: nn.BatchNorm3d(16), nn.ReLU),
    "conv3d_stride": layer(VOLUME, lambda: nn.Conv3d(8, 16, (1, 3, 3), (1, 2, 2)), lambda: nn.Conv3d(16, 16, (3, 1, 1))),
    "transposed1d": layer(LINE, lambda: nn.ConvTranspose1d(16, 8, 4, 2, 1)),
    "transposed2d": layer(IMAGE, lambda: nn.ConvTranspose2d(16, 8, 4, 2, 1), nn.ReLU, lambda: nn.ConvTranspose2d(8, 3, 3, 2, 1, 1)),
    "transposed2d_groups": layer(IMAGE, lambda: nn.ConvTranspose2d(16, 16, 3, 2, groups=4)),
    "transposed3d": layer(VOLUME, lambda: nn.ConvTranspose3d(8, 4, 2, 2)),
    "unet": layer((1, 3, 96, 96), UNet),
    "resblock": fn(lambda a, b, x: F.relu(x + b(F.relu(a(x)))), IMAGE, layers=[lambda: nn.Conv2d(16, 16, 3, padding=1), lambda: nn.Conv2d(16, 16, 3, padding=1)]),
    "squeeze": fn(lambda a, b, x: x * torch.sigmoid(b(F.relu(a(x.mean((2, 3), keepdim=True))))), IMAGE, layers=[lambda: nn.Conv2d(16, 4, 1), lambda: nn.Conv2d(4, 16, 1)]),
    "max_pool": layer(IMAGE, lambda: nn.MaxPool2d(3, 2, 1)), "max_pool_ceil": layer(IMAGE, lambda: nn.MaxPool2d(3, 2, ceil_mode=True)),
    "max_pool_indices": fn(lambda x: F.max_pool2d(x, 2, return_indices=True), IMAGE),
    "pool3d": layer(VOLUME, lambda: nn.MaxPool3d(3, 2, 1), lambda: nn.AvgPool3d(2)),
    "avg_pool": layer(IMAGE, lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False)),
    "lp_pool": layer(IMAGE, lambda: nn.LPPool2d(2, 3, 2)), "adaptive_pool": layer(IMAGE, lambda: nn.AdaptiveAvgPool2d(4)),
    "adaptive_max": layer(IMAGE, lambda: nn.AdaptiveMaxPool2d(2)), "global_pool": layer(IMAGE, lambda: nn.AdaptiveAvgPool2d(1), nn.Flatten),
    "layer_norm": layer((1, 50, 256), lambda: nn.LayerNorm(256)), "layer_norm_2d": fn(channels_last_norm, IMAGE, layers=[lambda: nn.LayerNorm(16)]),
    "rms_norm": layer((1, 50, 256), lambda: nn.RMSNorm(256)), "group_norm": layer(IMAGE, lambda: nn.GroupNorm(4, 16), nn.SiLU),
    "instance_norm": layer(IMAGE, lambda: nn.InstanceNorm2d(16, affine=True)), "batch_norm": layer(IMAGE, lambda: nn.BatchNorm2d(16)),
    "local_norm": layer(IMAGE, lambda: nn.LocalResponseNorm(5)), "normalize": fn(lambda x: F.normalize(x, dim=1), IMAGE),
    "activations": layer((1, 1000), nn.ELU, nn.SELU, nn.CELU, nn.Mish, nn.Softplus, nn.Softsign, nn.Hardtanh, nn.LogSigmoid),
    "activations2": layer((1, 1000), nn.PReLU, nn.Hardsigmoid, nn.Hardshrink, nn.Softshrink, nn.Tanhshrink, nn.GLU, lambda: nn.GELU("tanh")),
    "softmax": layer((1, 21, 64, 64), lambda: nn.Softmax(1)), "log_softmax": layer((1, 1000), lambda: nn.LogSoftmax(-1)),
    "upsample": layer(IMAGE, lambda: nn.Upsample(scale_factor=2)), "upsample_bilinear": layer(IMAGE, lambda: nn.Upsample(scale_factor=2, mode="bilinear")),
    "upsample_corners": layer(IMAGE, lambda: nn.Upsample(size=(100, 90), mode="bilinear", align_corners=True)),
    "upsample_bicubic": layer(IMAGE, lambda: nn.Upsample(size=(100, 90), mode="bicubic")),
    "resize_antialias": fn(lambda x: F.interpolate(x, (40, 30), mode="bilinear", antialias=True), IMAGE, opset=18),
    "upsample3d": layer(VOLUME, lambda: nn.Upsample(scale_factor=2, mode="trilinear")),
    "pixel_shuffle": layer(IMAGE, lambda: nn.PixelShuffle(2), lambda: nn.PixelUnshuffle(4)), "channel_shuffle": layer(IMAGE, lambda: nn.ChannelShuffle(4)),
    "pads": layer(IMAGE, lambda: nn.ReflectionPad2d(3), lambda: nn.ReplicationPad2d(2), lambda: nn.ZeroPad2d(1), lambda: nn.CircularPad2d(2)),
    "unfold": fn(lambda x: F.unfold(x, 3, padding=1), IMAGE), "fold": fn(lambda x: F.fold(x, (32, 32), 4, stride=2, padding=1), (1, 16 * 16, 256), opset=18),
    "embedding": fn(lambda m, x: m(x), ints(500, 1, 64), layers=[lambda: nn.Embedding(500, 128)]),
    "embedding_bag": fn(lambda m, x: m(x), ints(500, 1, 64), layers=[lambda: nn.EmbeddingBag(500, 128, mode="mean")]),
    "lstm": fn(lambda m, x: m(x)[0], (1, 40, 64), layers=[lambda: nn.LSTM(64, 96, 2, batch_first=True)]),
    "lstm_bidirectional": fn(lambda m, x: m(x)[0], (1, 40, 64), layers=[lambda: nn.LSTM(64, 96, batch_first=True, bidirectional=True)]),
    "lstm_states": fn(lambda m, x, h, c: m(x, (h.transpose(0, 1), c.transpose(0, 1))), (1, 40, 64), (1, 1, 96), (1, 1, 96), layers=[lambda: nn.LSTM(64, 96, batch_first=True)]),
    "lstm_projected": fn(lambda m, x: m(x)[0], (1, 40, 64), layers=[lambda: nn.LSTM(64, 96, batch_first=True, proj_size=32)]),
    "gru": fn(lambda m, x: m(x)[0], (1, 40, 64), layers=[lambda: nn.GRU(64, 96, 2, batch_first=True)]),
    "gru_bidirectional": fn(lambda m, x: m(x)[0], (1, 40, 64), layers=[lambda: nn.GRU(64, 96, batch_first=True, bidirectional=True)]),
    "rnn": fn(lambda m, x: m(x)[0], (1, 40, 64), layers=[lambda: nn.RNN(64, 96, 2, batch_first=True)]),
    "rnn_relu": fn(lambda m, x: m(x)[0], (1, 40, 64), layers=[lambda: nn.RNN(64, 96, nonlinearity="relu", batch_first=True)]),
    "lstm_cells": layer((1, 8, 32), lambda: Cells(nn.LSTMCell(32, 32))), "gru_cells": layer((1, 8, 32), lambda: Cells(nn.GRUCell(32, 32))),
    "attention": fn(lambda m, x: m(x, x, x)[0], (1, 48, 128), layers=[lambda: nn.MultiheadAttention(128, 4, batch_first=True)]),
    "sdpa": fn(lambda q, k, v: F.scaled_dot_product_attention(q, k, v), (1, 4, 64, 32), (1, 4, 64, 32), (1, 4, 64, 32)),
    "sdpa_causal": fn(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True), (1, 4, 64, 32), (1, 4, 64, 32), (1, 4, 64, 32)),
    "encoder": layer((1, 48, 128), encoder()), "encoder_first": layer((1, 48, 128), encoder(norm_first=True, activation="gelu")),
    "transformer": fn(lambda m, a, b: m(a, b), (1, 24, 64), (1, 16, 64), layers=[lambda: nn.Transformer(64, 4, 1, 1, 128, batch_first=True)]),
    "loop": Spec(lambda: Fn(lambda x: halved(x, 5)), [image(1, 100, open={})]),
    "matmul": fn(torch.matmul, (1, 64, 128), (1, 128, 96)), "matmul_f64": fn(torch.matmul, torch.randn(1, 64, 128).double(), torch.randn(1, 128, 96).double()),
    "einsum": fn(lambda a, b: torch.einsum("bihd,bjhd->bhij", a, b), (1, 32, 4, 16), (1, 32, 4, 16)),
    "topk": fn(lambda x: torch.topk(x, 10), (1, 2000)), "sort": fn(lambda x: torch.sort(x, -1), (1, 2000)), "argsort": fn(lambda x: torch.argsort(x, -1, descending=True), (1, 2000)),
    "unique": Spec(lambda: Fn(lambda x: torch.unique(x)), [("x", ints(50, 1000), {0: "n"})]),
    "nonzero": Spec(lambda: Fn(lambda x: torch.nonzero(x > 0)), [("x", torch.randn(50, 40), {0: "n"})]),
    "masked": Spec(lambda: Fn(lambda x: x[x > 0]), [("x", torch.randn(50, 40), {0: "n"})]),
    "gather": fn(lambda x, i: torch.gather(x, 1, i), (1, 200, 16), ints(200, 1, 50, 16)), "index": fn(lambda x, i: x[torch.arange(x.shape[0])[:, None], i], (1, 200, 16), ints(200, 1, 50)),
    "scatter_add": fn(lambda x, i, s: x.scatter_add(1, i, s), (1, 200), ints(200, 1, 50), (1, 50)),
    "index_put": fn(lambda x, v: torch.cat([x[:, :3], v, x[:, 5:]], 1).index_fill(1, torch.tensor([1, 4]), 0.5), (1, 10, 8), (1, 2, 8)),
    "cumsum": fn(lambda x: torch.cumsum(x, 1), (1, 500, 20)), "roll": fn(lambda x: torch.roll(x, (3, -2), (2, 3)).flip(1), IMAGE),
    "tril": fn(lambda x: torch.tril(x, -1) + torch.triu(x, 1), (1, 100, 100)), "where": fn(lambda x: torch.where(x > 0, x, x * 0.1).clamp(-1, 2), IMAGE),
    "statistics": fn(lambda x: (torch.var_mean(x, 1), x.std(2), x.norm(dim=1), torch.logsumexp(x, 2)), (1, 60, 70)),
    "extremes": fn(lambda x: (x.max(1), x.amin(2), x.argmax(1), x.argmin(2)), (1, 60, 70)),
    "cdist": fn(lambda a, b: torch.cdist(a, b), (1, 60, 16), (1, 50, 16)), "cosine": fn(lambda a, b: F.cosine_similarity(a, b, -1), (1, 60, 16), (1, 60, 16)),
    "one_hot": fn(lambda x: F.one_hot(x, 20).float(), ints(20, 1, 64)), "bucketize": fn(lambda x: torch.bucketize(x, torch.linspace(-1, 1, 9)), (1, 200)),
    "grid_sample": Spec(lambda: Fn(lambda x, t: F.grid_sample(x, F.affine_grid(t, [1, 16, 48, 48], align_corners=False), align_corners=False)),
                        [image(*IMAGE, open={}), image(1, 2, 3, name="t", open={})], 20),
    "deform_conv": Spec(lambda: Fn(lambda m, x, o: m(x, o), torchvision.ops.DeformConv2d(16, 16, 3, padding=1)), [image(*IMAGE, open={}), image(1, 18, 64, 64, name="o", open={})], 19),
    "nms": Spec(lambda: Fn(lambda b, s: torchvision.ops.nms(torch.cat([b[:, :2], b[:, :2] + b[:, 2:].abs()], 1), s, 0.5)), [image(200, 4, open={}), image(200, name="s", open={})]),
    "roi_align": Spec(lambda: Fn(lambda x, b: torchvision.ops.roi_align(x, [b.abs() * 20], 7, 0.5)), [image(*IMAGE, open={}), image(20, 4, name="b", open={})]),
    "stft": fn(lambda x: torch.view_as_real(torch.stft(x, 256, 128, window=torch.hann_window(256), return_complex=True)), (1, 4000)),
    "fft": fn(lambda x: torch.view_as_real(torch.fft.rfft(x)), (1, 512)),
    "integers": fn(lambda a, b: ((a + b) // 3 % 7, (a << 1) | (b & 6), (a > b) ^ (a == 3)), ints(100, 1, 500), ints(100, 1, 500)),
    "math": fn(lambda x: (x.erf() + x.sin() * x.cos() + x.exp().log1p() + x.abs().sqrt() + x.atan() + x.round() + torch.expm1(x), torch.special.erfc(x)), (1, 1000)),
    "complex_rope": fn(lambda x: torch.view_as_real(torch.view_as_complex(x.reshape(1, 32, 4, 8, 2)) * torch.polar(torch.ones(32, 1, 8), torch.arange(32.0)[:, None, None] * torch.ones(1, 8))), (1, 32, 4, 16)),
}

if __name__ == "__main__":
    main("layers", LAYERS)
