# SPDX-License-Identifier: Apache-2.0
"""A case: nodes and the values they start from, as a model and as one of ONNX's case folders."""
import dataclasses
import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from . import draw

# (rtol, atol) by the coarsest type that a case has.
TOLERANCE = {"float": (1e-4, 1e-5), "double": (1e-6, 1e-7), "float16": (4e-3, 2e-3),
             "bfloat16": (2e-2, 1e-2), "float8e4m3fn": (0.13, 0.02), "float8e4m3fnuz": (0.13, 0.02),
             "float8e5m2": (0.26, 0.02), "float8e5m2fnuz": (0.26, 0.02)}


# onnx's own inference stumbles over the function that defines them.
UNTYPED = {"MeanVarianceNormalization"}


@dataclasses.dataclass
class Node:
    op: str
    inputs: list  # names; "" is an absent one
    outputs: list
    attrs: dict = dataclasses.field(default_factory=dict)
    domain: str = ""


@dataclasses.dataclass
class Case:
    nodes: list
    values: dict            # name: array (or list of arrays, a sequence) that is there before the first node
    constants: set          # of those names: which are initializers
    outputs: list
    opset: int = draw.OPSET_MAX
    shapes: str = "static"  # or "symbols", "unknown", "none"
    tol: tuple = None

    def copy(self, **changes):
        return dataclasses.replace(self, **changes)

    def tolerance(self):
        if self.tol:
            return self.tol
        names = [draw.NAMES[v.dtype] for v in self.values.values() if isinstance(v, np.ndarray)]
        found = [TOLERANCE[n] for n in names if n in TOLERANCE]
        casts = [draw.NAMES.get(helper.tensor_dtype_to_np_dtype(n.attrs["to"])) for n in self.nodes
                 if isinstance(n.attrs.get("to"), int)]
        return max(found + [TOLERANCE[c] for c in casts if c in TOLERANCE], default=TOLERANCE["float"])


def carrier(name):
    """The type that brings an exotic one in and out."""
    return TensorProto.INT8 if name == "int4" else TensorProto.UINT8 if name == "uint4" else TensorProto.FLOAT


def is_exotic(x):
    return isinstance(x, np.ndarray) and draw.NAMES[x.dtype] in draw.EXOTIC


def declared(case, name, x):
    """The value's declaration as a graph input."""
    if isinstance(x, list):
        t = helper.np_dtype_to_tensor_dtype(x[0].dtype) if x else TensorProto.FLOAT
        return helper.make_tensor_sequence_value_info(name, t, None)
    t = carrier(draw.NAMES[x.dtype]) if is_exotic(x) else helper.np_dtype_to_tensor_dtype(x.dtype)
    shape = {"static": lambda: list(x.shape), "symbols": lambda: [f"n{d}" for d in x.shape],
             "unknown": lambda: [None] * x.ndim, "none": lambda: None}[case.shapes]()
    return helper.make_tensor_value_info(name, t, shape)


def dense(x):
    x = np.asarray(x)
    return numpy_helper.from_array(np.ascontiguousarray(x).reshape(x.shape))


def feed(x):
    """What is given at run time for a value of the case."""
    if not is_exotic(x):
        return x
    return x.astype(helper.tensor_dtype_to_np_dtype(carrier(draw.NAMES[x.dtype])))


def bare_model(case):
    """The nodes alone: what type each output has is still to be inferred."""
    nodes, inputs, constants = [], [], []
    for name, x in case.values.items():
        if name in case.constants:
            constants.append(numpy_helper.from_array(x, name))
            continue
        inputs.append(declared(case, name + ("_in" if is_exotic(x) else ""), x))
        if is_exotic(x):
            to = helper.np_dtype_to_tensor_dtype(x.dtype)
            nodes.append(helper.make_node("Cast", [name + "_in"], [name], to=to))
    for n in case.nodes:
        nodes.append(helper.make_node(n.op, n.inputs, n.outputs, domain=n.domain, **n.attrs))
    graph = helper.make_graph(nodes, "g", inputs, [onnx.ValueInfoProto(name=o) for o in case.outputs], constants)
    domains = {n.domain for n in case.nodes} | {""}
    versions = {"": case.opset, "ai.onnx.ml": 5}
    imports = [helper.make_opsetid(d, versions.get(d, 1)) for d in sorted(domains)]
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def to_model(case):
    """With its outputs typed, exotic ones cast. Raises what onnx's inference finds wrong."""
    model = bare_model(case)
    strict = not any(n.op in UNTYPED for n in case.nodes)
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=strict)
    types = {v.name: v.type for v in [*inferred.graph.value_info, *inferred.graph.output]}
    for out in model.graph.output:
        t = types.get(out.name)
        if t is None or t.WhichOneof("value") is None:  # onnx does not know; most are of the first input's type
            t = onnx.TypeProto()
            t.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(next(iter(case.values.values())).dtype)
        if t.WhichOneof("value") == "tensor_type":
            t.tensor_type.ClearField("shape")
            kind = t.tensor_type.elem_type
            name = draw.NAMES.get(np.dtype(helper.tensor_dtype_to_np_dtype(kind))) if kind else None
            if name in draw.EXOTIC:
                old, out.name = out.name, out.name + "_out"
                model.graph.node.append(helper.make_node("Cast", [old], [out.name], to=carrier(name)))
                t.tensor_type.elem_type = carrier(name)
        out.type.CopyFrom(t)
    return model


def write_value(path, x):
    proto = numpy_helper.from_list(x, dtype=onnx.SequenceProto.TENSOR) if isinstance(x, list) else dense(x)
    path.write_bytes(proto.SerializeToString())


def write_folder(folder, case, model, want):
    """want: outputs, or None when nobody knows them."""
    data = folder / "test_data_set_0"
    data.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    rtol, atol = case.tolerance()
    (folder / "data.json").write_text(json.dumps({"rtol": rtol, "atol": atol}))
    given = [x for name, x in case.values.items() if name not in case.constants]
    for i, x in enumerate(given):
        write_value(data / f"input_{i}.pb", feed(x))
    for i, x in enumerate(want or []):
        write_value(data / f"output_{i}.pb", x)


def describe(case):
    """The case as text: a line per value and per node."""
    def value(x):
        if isinstance(x, list):
            return "[" + ", ".join(map(value, x)) + "]"
        flat = np.asarray(x).ravel()
        shown = np.array2string(flat[:12].astype(object), separator=",", max_line_width=1000)
        return f"{draw.NAMES[x.dtype]}{list(x.shape)} {shown}{'...' if flat.size > 12 else ''}"
    lines = [f"opset {case.opset}, shapes {case.shapes}"]
    lines += [f"{'constant' if n in case.constants else 'input'} {n}: {value(x)}" for n, x in case.values.items()]
    for n in case.nodes:
        attrs = {k: "graph" if isinstance(v, onnx.GraphProto) else v for k, v in n.attrs.items()}
        lines.append(f"{', '.join(n.outputs)} = {n.op}({', '.join(n.inputs)}) {attrs or ''}")
    return "\n".join("    " + line for line in lines)


def tags(case):
    """Words that rows of differential.list are matched by."""
    found = {f"opset{case.opset}", f"shapes={case.shapes}"} | {f"opset<{n}" for n in range(case.opset + 1, 32)}
    for name, x in case.values.items():
        for a in x if isinstance(x, list) else [x]:
            found.add(draw.NAMES[a.dtype])
            found |= {"empty"} if a.size == 0 else set()
            found |= {"scalar"} if a.ndim == 0 else set()
            found.add(f"rank{a.ndim}")
            if a.dtype.kind in "iu":
                found |= {"intmax"} if (np.abs(a.astype(np.float64)) >= 2 ** 31 - 1).any() else set()
            if draw.is_float(a.dtype):
                found.add("floating")
                f = a.astype(np.float64)
                found |= {"nan"} if np.isnan(f).any() else set()
                found |= {"inf"} if np.isinf(f).any() else set()
                found |= {"large"} if (np.abs(f) > 1e18).any() else set()
    for n in case.nodes:
        found.add(n.op)
        for k, v in n.attrs.items():
            v = v.decode() if isinstance(v, bytes) else v
            found.add(k)
            if isinstance(v, (int, str, float)):
                found.add(f"{k}={v}")
    return found
