# SPDX-License-Identifier: Apache-2.0
"""Small models quantized by ONNX Runtime's own tool, against ONNX Runtime, within two steps."""
import os
import re

import numpy as np
import onnx
import peer
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static

from stand_ins import needs_module, stand_ins  # noqa: F401 (a fixture)


class Samples(CalibrationDataReader):
    def __init__(self, shape):
        rng = np.random.default_rng(5)
        self.left = [{"x": rng.standard_normal(shape).astype(np.float32)} for _ in range(4)]

    def get_next(self):
        return self.left.pop() if self.left else None


class Net:
    """A model under construction with random weights."""

    def __init__(self):
        self.rng = np.random.default_rng(11)
        self.nodes, self.weights = [], []

    def random(self, *shape, gain=1.0):
        name = f"w{len(self.weights)}"
        value = self.rng.standard_normal(shape) * gain
        self.weights.append(numpy_helper.from_array(value.astype(np.float32), name))
        return name

    def node(self, op, *inputs, **attrs):
        out = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [out], **attrs))
        return out

    def conv(self, x, cin, cout, k, stride=1):
        weights = self.random(cout, cin, k, k, gain=(2 / (cin * k * k)) ** 0.5)
        return self.node("Conv", x, weights, self.random(cout, gain=0.1), pads=[k // 2] * 4,
                         strides=[stride, stride], kernel_shape=[k, k])

    def dense(self, x, n_in, n_out):
        return self.node("Gemm", x, self.random(n_out, n_in, gain=(2 / n_in) ** 0.5),
                         self.random(n_out, gain=0.1), transB=1)

    def save(self, path, x_shape, y, y_shape):
        value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        graph = helper.make_graph(self.nodes, "net", [value("x", x_shape)], [value(y, y_shape)], self.weights)
        onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), path)


def conv_net(path):
    n = Net()
    x = n.node("Relu", n.conv("x", 3, 16, 7, 2))
    x = n.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    y = n.node("Relu", n.conv(x, 16, 24, 3))
    y = n.node("Relu", n.node("Add", n.conv(y, 24, 40, 1), n.conv(x, 16, 40, 1)))
    z = n.node("Relu", n.node("Add", n.conv(n.node("Relu", n.conv(y, 40, 33, 1)), 33, 40, 3), y))
    z = n.node("Flatten", n.node("GlobalAveragePool", z))
    n.save(path, [2, 3, 37, 45], n.dense(z, 40, 10), [2, 10])
    return (2, 3, 37, 45)


def mlp(path):
    n = Net()
    x = n.node("Relu", n.dense("x", 61, 64))
    x = n.node("Relu", n.dense(x, 64, 35))
    x = n.node("MatMul", x, n.random(35, 16, gain=0.2))
    n.save(path, [5, 61], x, [5, 16])
    return (5, 61)


TYPES = pytest.mark.parametrize("activations,weights", [
    (QuantType.QUInt8, QuantType.QInt8), (QuantType.QInt8, QuantType.QInt8), (QuantType.QUInt8, QuantType.QUInt8)])
NETS = pytest.mark.parametrize("net, integers", [(conv_net, 7), (mlp, 3)])


def quantized(net, activations, weights, tmp_path):
    """The shape of its input; the model is in model.onnx."""
    shape = net(tmp_path / "float.onnx")
    quantize_static(tmp_path / "float.onnx", tmp_path / "model.onnx", Samples(shape), per_channel=True,
                    quant_format=QuantFormat.QDQ, activation_type=activations, weight_type=weights)
    return shape


def products(plan):
    return plan.count("QuantizedConv ") + plan.count("QuantizedMatMul ")


@TYPES
@NETS
def test_like_onnxruntime(signetctl, tmp_path, net, integers, activations, weights):
    shape = quantized(net, activations, weights, tmp_path)
    x = Samples(shape).get_next()
    want, = peer.session(tmp_path / "model.onnx").run(None, x)
    np.save(tmp_path / "x.npy", x["x"])
    model = onnx.load(tmp_path / "model.onnx")
    name = model.graph.output[0].name
    scale = next(numpy_helper.to_array(i) for i in model.graph.initializer
                 if i.name == f"{name}_scale")
    for flags in ([], ["--precision", "exact"]):
        signetctl("run", tmp_path / "model.onnx", *flags, "--input", f"x={tmp_path}/x.npy",
                  "--output", f"{name}={tmp_path}/y.npy")
        steps = np.abs(np.load(tmp_path / "y.npy") - want) / scale
        assert steps.max() <= 2.01 and steps.mean() < 0.5
    plan = signetctl("explain", tmp_path / "model.onnx")
    assert products(plan) == integers, plan


def on_both_devices(signetctl, tmp_path, shape, stand_ins):
    """The answers of the CPU and of the device, the device's plan, and its steps that are not there."""
    np.save(tmp_path / "x.npy", Samples(shape).get_next()["x"])
    name = onnx.load(tmp_path / "model.onnx").graph.output[0].name
    answers = []
    for device in ("cpu", "gpu"):
        signetctl("run", tmp_path / "model.onnx", "--device", device, "--repeat", "4", "--input", f"x={tmp_path}/x.npy",
                  "--output", f"{name}={tmp_path}/y.npy", env={**os.environ, **stand_ins})
        answers.append(np.load(tmp_path / "y.npy"))
    plan = signetctl("explain", "--device", "gpu", tmp_path / "model.onnx", env={**os.environ, **stand_ins})
    steps = re.findall(r"^\d+ +(\S+) +\S+ +(cpu|gpu) ", plan, re.M)
    return answers, plan, [op for op, on in steps if on == "cpu"]


@needs_module
@TYPES
@NETS
def test_a_device_computes_with_the_same_integers(signetctl, tmp_path, net, integers, activations, weights, stand_ins):
    shape = quantized(net, activations, weights, tmp_path)
    answers, plan, elsewhere = on_both_devices(signetctl, tmp_path, shape, stand_ins)
    np.testing.assert_array_equal(*answers)
    assert products(plan) == integers and elsewhere == [], plan


@needs_module
def test_a_device_quantizes_by_itself(signetctl, tmp_path, stand_ins):
    mlp(tmp_path / "float.onnx")
    quantize_dynamic(tmp_path / "float.onnx", tmp_path / "model.onnx", weight_type=QuantType.QInt8)
    answers, plan, elsewhere = on_both_devices(signetctl, tmp_path, (5, 61), stand_ins)
    np.testing.assert_allclose(*answers, rtol=1e-5, atol=1e-5)
    assert plan.count("IntegerMatMul ") == 3 and elsewhere == [], plan
