# SPDX-License-Identifier: Apache-2.0
"""ONNX graphs under construction, with random weights, in the nodes that PyTorch's exporter writes."""
import math

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Graph:
    """Every method returns the name of its result. dtype: of weights, and of inputs that say nothing else."""

    variants = 1  # of inputs, which ONNX Runtime gets in turn

    def __init__(self, name, seed=1, opset=17, dtype=np.float32):
        self.name, self.opset, self.dtype = name, opset, np.dtype(dtype)
        self.rng = np.random.default_rng(seed)
        self.nodes, self.weights, self.inputs, self.outputs = [], [], [], []

    # -- nodes -----------------------------------------------------------------------------------

    def nodes_of(self, op, inputs, outputs, **attrs):
        """As node(), with several results."""
        name = f"/{op}_{len(self.nodes)}"
        results = [f"{name}_out{i or ''}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, results, name=name, **attrs))
        return results

    def node(self, op, inputs, **attrs):
        return self.nodes_of(op, inputs, 1, **attrs)[0]

    def constant(self, array):
        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def ints(self, *values):
        return self.constant(np.array(values, np.int64))

    def int(self, value):
        return self.constant(np.array(value, np.int64))

    def number(self, value):
        return self.constant(np.array(value, self.dtype))

    def random(self, shape, scale):
        return self.constant((self.rng.standard_normal(shape) * scale).astype(self.dtype))

    def input(self, name, shape, dtype=None):
        dtype = dtype or helper.np_dtype_to_tensor_dtype(self.dtype)
        self.inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return name

    def output(self, value, shape, dtype=None):
        name = "output" + (str(len(self.outputs)) if self.outputs else "")
        self.nodes.append(helper.make_node("Identity", [value], [name]))
        dtype = dtype or helper.np_dtype_to_tensor_dtype(self.dtype)
        self.outputs.append(helper.make_tensor_value_info(name, dtype, shape))

    def save(self, path):
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, self.weights)
        domains = {n.domain for n in self.nodes} - {""}
        opsets = [helper.make_opsetid("", self.opset)] + [helper.make_opsetid(d, 1) for d in sorted(domains)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8 if self.opset <= 18 else 10), path)

    # -- layers ----------------------------------------------------------------------------------

    def conv(self, x, cin, cout, k, stride=1, group=1, gain=2.0):
        scale = math.sqrt(gain / (cin // group * k * k))
        w = self.random((cout, cin // group, k, k), scale)
        b = self.random((cout,), 0.1)
        return self.node("Conv", [x, w, b], kernel_shape=[k, k], strides=[stride, stride],
                         pads=[k // 2] * 4, dilations=[1, 1], group=group)

    def linear(self, x, n_in, n_out):
        y = self.node("MatMul", [x, self.random((n_in, n_out), 1 / math.sqrt(n_in))])
        return self.node("Add", [self.random((n_out,), 0.1), y])

    def gemm(self, x, n_in, n_out, gain=1.0):
        w = self.random((n_out, n_in), math.sqrt(gain / n_in))
        return self.node("Gemm", [x, w, self.random((n_out,), 0.1)], alpha=1.0, beta=1.0, transB=1)

    def layer_norm(self, x, width):
        return self.node("LayerNormalization", [x, self.constant(np.ones(width, self.dtype)),
                                                self.random((width,), 0.1)], axis=-1, epsilon=1e-5)

    def gelu(self, x):
        y = self.node("Erf", [self.node("Div", [x, self.number(math.sqrt(2))])])
        y = self.node("Mul", [x, self.node("Add", [y, self.number(1)])])
        return self.node("Mul", [y, self.number(0.5)])
