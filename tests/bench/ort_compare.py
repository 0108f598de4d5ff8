#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Our time against ONNX Runtime's, on generated graphs with random weights.

Graphs are written as PyTorch exports them. Both engines run alternately, round by round, in
one run of this script; outputs must agree. Needs the Python packages onnx, onnxruntime and
numpy.

resnet50_int8 is resnet50 as onnxruntime.quantization makes it (QDQ, per channel, static). It is
compared with ONNX Runtime on the same file, and a second line gives the ratio to ONNX Runtime's
time for the floats; its outputs may be two steps apart.

usage: ort_compare.py --signetctl PATH [--models NAME,...] [--threads 1,2] [--batch 1,8]
                      [--rounds N] [--keep DIR]
"""
import argparse
import json
import math
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

RTOL, ATOL = 1e-3, 1e-4
ROUND_SECONDS = 0.6  # of each engine in each round


class Graph:
    """A graph under construction; every method returns the name of its result."""

    def __init__(self, name, seed=1):
        self.name = name
        self.rng = np.random.default_rng(seed)
        self.nodes, self.weights, self.inputs, self.outputs = [], [], [], []

    def node(self, op, inputs, **attrs):
        name = f"/{op}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name + "_out"], name=name, **attrs))
        return name + "_out"

    def constant(self, array):
        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def random(self, shape, scale):
        return self.constant((self.rng.standard_normal(shape) * scale).astype(np.float32))

    def input(self, name, shape, dtype=TensorProto.FLOAT):
        self.inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return name

    def output(self, value, shape):
        self.nodes.append(helper.make_node("Identity", [value], ["output"]))
        self.outputs.append(helper.make_tensor_value_info("output", TensorProto.FLOAT, shape))

    def conv(self, x, cin, cout, k, stride=1, group=1, gain=2.0):
        scale = math.sqrt(gain / (cin // group * k * k))
        w = self.random((cout, cin // group, k, k), scale)
        b = self.random((cout,), 0.1)
        return self.node("Conv", [x, w, b], kernel_shape=[k, k], strides=[stride, stride],
                         pads=[k // 2] * 4, dilations=[1, 1], group=group)

    def linear(self, x, n_in, n_out):
        y = self.node("MatMul", [x, self.random((n_in, n_out), 1 / math.sqrt(n_in))])
        return self.node("Add", [self.random((n_out,), 0.1), y])

    def layer_norm(self, x, width):
        return self.node("LayerNormalization", [x, self.constant(np.ones(width, np.float32)),
                                                self.random((width,), 0.1)], axis=-1, epsilon=1e-5)

    def save(self, path):
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.save(model, path)


def resnet50(batch):
    g = Graph("resnet50")
    x = g.input("input", [batch, 3, 224, 224])
    x = g.node("Relu", [g.conv(x, 3, 64, 7, 2)])
    x = g.node("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=0)
    cin = 64
    for width, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for i in range(blocks):
            s = stride if i == 0 else 1
            y = g.node("Relu", [g.conv(x, cin, width, 1)])
            y = g.node("Relu", [g.conv(y, width, width, 3, s)])
            y = g.conv(y, width, 4 * width, 1, gain=0.2)
            if i == 0:
                x = g.conv(x, cin, 4 * width, 1, s, gain=1.0)
            x = g.node("Relu", [g.node("Add", [y, x])])
            cin = 4 * width
    return classifier(g, x, cin, batch)


def mobilenet_v2(batch):
    g = Graph("mobilenet_v2")
    low, high = g.constant(np.float32(0)), g.constant(np.float32(6))
    relu6 = lambda v: g.node("Clip", [v, low, high])
    x = g.input("input", [batch, 3, 224, 224])
    x, cin = relu6(g.conv(x, 3, 32, 3, 2)), 32
    for t, c, n, s in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
                       (6, 160, 3, 2), (6, 320, 1, 1)):
        for i in range(n):
            stride, hidden = s if i == 0 else 1, cin * t
            y = relu6(g.conv(x, cin, hidden, 1)) if t > 1 else x
            y = relu6(g.conv(y, hidden, hidden, 3, stride, hidden))
            y = g.conv(y, hidden, c, 1, gain=1.0)
            x = g.node("Add", [x, y]) if stride == 1 and cin == c else y
            cin = c
    return classifier(g, relu6(g.conv(x, cin, 1280, 1)), 1280, batch)


def classifier(g, x, channels, batch):
    x = g.node("Flatten", [g.node("GlobalAveragePool", [x])], axis=1)
    w = g.random((1000, channels), 1 / math.sqrt(channels))
    g.output(g.node("Gemm", [x, w, g.random((1000,), 0.1)], alpha=1.0, beta=1.0, transB=1), [batch, 1000])
    return g


def attention(g, x, width, heads, mask, batch, seq):
    size = width // heads
    split = g.constant(np.array([batch, seq, heads, size], np.int64))
    joined = g.constant(np.array([batch, seq, width], np.int64))
    part = lambda perm: g.node("Transpose", [g.node("Reshape", [g.linear(x, width, width), split])], perm=perm)
    q, k, v = part([0, 2, 1, 3]), part([0, 2, 3, 1]), part([0, 2, 1, 3])
    scores = g.node("Div", [g.node("MatMul", [q, k]), g.constant(np.float32(math.sqrt(size)))])
    if mask:
        scores = g.node("Add", [scores, mask])
    context = g.node("MatMul", [g.node("Softmax", [scores], axis=-1), v])
    context = g.node("Reshape", [g.node("Transpose", [context], perm=[0, 2, 1, 3]), joined])
    return g.linear(context, width, width)


def gelu(g, x):
    y = g.node("Erf", [g.node("Div", [x, g.constant(np.float32(math.sqrt(2)))])])
    y = g.node("Mul", [x, g.node("Add", [y, g.constant(np.float32(1))])])
    return g.node("Mul", [y, g.constant(np.float32(0.5))])


def encoder(name, layers, width, heads, masked, batch, seq=128):
    g = Graph(name)
    x = g.input("input", [batch, seq, width])
    mask = g.input("mask", [batch, 1, 1, seq]) if masked else None
    for _ in range(layers):
        y = attention(g, x, width, heads, mask, batch, seq)
        x = g.layer_norm(g.node("Add", [y, x]), width)
        y = g.linear(gelu(g, g.linear(x, width, 4 * width)), 4 * width, width)
        x = g.layer_norm(g.node("Add", [y, x]), width)
    g.output(x, [batch, seq, width])
    return g


def mlp(batch):
    g = Graph("mlp")
    x = g.input("input", [batch, 64])
    for n_in, n_out in ((64, 256), (256, 256), (256, 10)):
        w = g.random((n_out, n_in), math.sqrt(2 / n_in))
        x = g.node("Gemm", [x, w, g.random((n_out,), 0.1)], alpha=1.0, beta=1.0, transB=1)
        if n_out != 10:
            x = g.node("Relu", [x])
    g.output(x, [batch, 10])
    return g


MODELS = {
    "resnet50": resnet50,
    "mobilenet_v2": mobilenet_v2,
    "bert_base": lambda batch: encoder("bert_base", 12, 768, 12, True, batch),
    "encoder6": lambda batch: encoder("encoder6", 6, 384, 12, False, batch),
    "mlp": mlp,
}


INT8 = "_int8"  # behind the name of one of MODELS
STEPS_MAX = 2


class Samples(CalibrationDataReader):
    """A few random inputs, by which the tool chooses scales."""

    def __init__(self, graph, count=2):
        self.left = [random_inputs(graph, seed) for seed in range(3, 3 + count)]

    def get_next(self):
        return self.left.pop() if self.left else None


def quantize(graph, floats, model):
    """The size of a step of the output."""
    prepared = model.with_suffix(".prepared")
    quant_pre_process(floats, prepared, skip_symbolic_shape=True)
    quantize_static(prepared, model, Samples(graph), quant_format=QuantFormat.QDQ, per_channel=True,
                    activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
    return next(numpy_helper.to_array(i) for i in onnx.load(model).graph.initializer
                if i.name == "output_scale")


class OurEngine:
    def __init__(self, args, folder, model, inputs, threads):
        self.command = [args.signetctl, "run", str(model), "--threads", str(threads), "--json"]
        self.output = folder / "ours.npy"
        for name, value in inputs.items():
            np.save(folder / f"{name}.npy", value)
            self.command += ["--input", f"{name}={folder / name}.npy"]
        self.command += ["--output", f"output={self.output}"]

    def run(self, times):
        """Microseconds per run."""
        done = subprocess.run(self.command + ["--repeat", str(times)], check=True, stdout=subprocess.PIPE)
        return json.loads(done.stdout)["median_us"]

    def result(self):
        return np.load(self.output)


class TheirEngine:
    def __init__(self, model, inputs, threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self.inputs = inputs

    def run(self, times):
        taken = []
        for _ in range(times):
            began = time.perf_counter()
            self.session.run(None, self.inputs)
            taken.append((time.perf_counter() - began) * 1e6)
        return statistics.median(taken)

    def result(self):
        return self.session.run(None, self.inputs)[0]


def random_inputs(graph, seed=2):
    rng = np.random.default_rng(seed)
    inputs = {}
    for value in graph.inputs:
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
        inputs[value.name] = rng.standard_normal(shape).astype(np.float32)
    return inputs


def compare(args, name, batch, threads, folder):
    """Medians of microseconds: ours, theirs, and theirs for the floats where the model is
    quantized (else None); and the largest error in units of the tolerance."""
    graph = MODELS[name.removesuffix(INT8)](batch)
    model = floats = folder / f"{name.removesuffix(INT8)}_{batch}.onnx"
    graph.save(model)
    inputs = random_inputs(graph)
    step = None
    if name.endswith(INT8):
        model = folder / f"{name}_{batch}.onnx"
        step = quantize(graph, floats, model)
    engines = [OurEngine(args, folder, model, inputs, threads), TheirEngine(model, inputs, threads)]
    if step is not None:
        engines.append(TheirEngine(floats, inputs, threads))
    engines[1].run(3)
    times = max(3, int(ROUND_SECONDS * 1e6 / engines[1].run(3)))
    taken = [[e.run(times) for e in engines] for _ in range(args.rounds)]
    want = engines[1].result()
    allowed = ATOL + RTOL * np.abs(want) if step is None else STEPS_MAX * step
    error = np.max(np.abs(engines[0].result() - want) / allowed)
    return *(statistics.median(t) for t in zip(*taken)), *[None] * (3 - len(engines)), error


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--signetctl", default="./signetctl")
    parser.add_argument("--models", default=",".join([*MODELS, "resnet50" + INT8]))
    parser.add_argument("--threads", default="1")
    parser.add_argument("--batch", default="1")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", help="leave the generated graphs in this folder")
    args = parser.parse_args()

    ratios, wrong = [], 0
    print(f"{'graph':14} batch threads {'ours ms':>10} {'ort ms':>10} {'ort/ours':>8}  error/tolerance")
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(args.keep or temporary)
        folder.mkdir(exist_ok=True)
        for name in args.models.split(","):
            for batch in map(int, args.batch.split(",")):
                for threads in map(int, args.threads.split(",")):
                    ours, theirs, floats, error = compare(args, name, batch, threads, folder)
                    ratios.append(theirs / ours)
                    wrong += not error <= 1
                    print(f"{name:14} {batch:5} {threads:7} {ours / 1e3:10.3f} {theirs / 1e3:10.3f} "
                          f"{theirs / ours:8.2f}  {error:.3f}{'' if error <= 1 else ' WRONG'}", flush=True)
                    if floats:
                        print(f"{'  of floats':14} {batch:5} {threads:7} {'':10} {floats / 1e3:10.3f} "
                              f"{floats / ours:8.2f}", flush=True)
    print(f"geometric mean of ort/ours: {math.exp(statistics.fmean(map(math.log, ratios))):.2f}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
