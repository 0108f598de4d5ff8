# SPDX-License-Identifier: Apache-2.0
"""The table of generators: one function per operator or family, that draws its operands.

A generator takes a Draw and gives (inputs, attributes, number of outputs, ...); an input is an
array, a Known around one that models mostly hold as a constant (axes, shapes), or None.
One that draws nodes of its own gives a Case.
"""
import dataclasses

import numpy as np
import onnx
from onnx import helper

from . import draw
from .case import Case, Node

TRIES = 50
SINGLE = onnx.defs.OpSchema.FormalParameterOption.Single
GENERATORS = {}  # (domain, operator): function


@dataclasses.dataclass
class Known:
    value: np.ndarray


def i64(*values):
    return Known(np.array(values[0] if len(values) == 1 and isinstance(values[0], (list, tuple)) else values,
                          np.int64))


def sums(dtype):
    """The tolerance of long sums of products."""
    return (1e-3, 2e-4) if np.dtype(dtype) == np.float32 else None


def scalar(value, dtype=np.int64):
    return Known(np.array(value, dtype))


def generator(*names, domain=""):
    def add(f):
        for name in names:
            GENERATORS[domain, name] = f
        return f
    return add


def accepts(op, domain, opset, inputs, attrs, n_out):
    """Does the operator of this opset take them, by its schema?"""
    s = draw.schema(op, domain, opset)
    if s is None or len(inputs) > s.max_input or len(inputs) < s.min_input or n_out > s.max_output:
        return False
    if not set(attrs) <= set(s.attributes):
        return False
    if any(a.required and name not in attrs for name, a in s.attributes.items()):
        return False
    bound = {}  # type variables
    for i, x in enumerate(inputs):
        formal = s.inputs[min(i, len(s.inputs) - 1)]
        if x is None and formal.option == SINGLE:
            return False
        if isinstance(x, np.ndarray):
            allowed = draw.types_of(op, domain, opset, i)
            if allowed and draw.NAMES[x.dtype] not in allowed:
                return False
            if formal.is_homogeneous and bound.setdefault(formal.type_str, x.dtype) != x.dtype:
                return False
    return True


# Before, it meant something that its generator does not draw.
MEANS_SINCE = {"Sum": 8, "Mean": 8, "Max": 8, "Min": 8, "GroupNormalization": 21, "Cast": 9, "OptionalHasElement": 18}

# ONNX Runtime has no kernel for later versions, and nobody else has one at all.
ORT_UNTIL = {"MaxRoiPool": 21, "GlobalLpPool": 21}


def pick_opset(d, op, domain, inputs, attrs, n_out):
    """Mostly today's; else one of another meaning or other types, back to 7. None: it was never so."""
    if domain or draw.schema(op) is None:
        return draw.OPSET_MAX
    versions = [v for v in range(MEANS_SINCE.get(op, 7), ORT_UNTIL.get(op, draw.OPSET_MAX) + 1) if accepts(op, domain, v, inputs, attrs, n_out)]
    if not versions:
        return None
    if d.chance(0.5) and versions[-1] == draw.OPSET_MAX:
        return draw.OPSET_MAX
    since = {draw.schema(op, domain, v).since_version: v for v in versions}
    return d.pick(list(since.values()))


def single(seed, op, domain):
    """A case of one operator."""
    d = draw.Draw(seed, op, domain)
    for _ in range(TRIES):
        drawn = GENERATORS[domain, op](d)
        if isinstance(drawn, Case):
            return drawn
        inputs, attrs, n_out, *rest = drawn
        attrs = {k: v for k, v in attrs.items() if v is not None}
        while inputs and inputs[-1] is None:
            inputs = inputs[:-1]
        plain = [x.value if isinstance(x, Known) else x for x in inputs]
        opset = pick_opset(d, op, domain, plain, attrs, n_out)
        if opset:
            return framed(d, op, domain, inputs, attrs, n_out, opset, *rest)
    raise ValueError(f"no opset of {op} takes what its generator draws")


def framed(d, op, domain, inputs, attrs, n_out, opset, tol=None):
    """Inputs or constants, shapes known or not, as chance has it."""
    values, constants, names = {}, set(), []
    for i, x in enumerate(inputs):
        names.append("" if x is None else f"x{i}")
        if x is None:
            continue
        known = isinstance(x, Known)
        x = x.value if known else x
        values[f"x{i}"] = x if isinstance(x, list) else np.asarray(x)
        if not isinstance(values[f"x{i}"], list) and d.chance(0.7 if known else 0.1):
            constants.add(f"x{i}")
    outputs = [f"y{i}" for i in range(n_out)]
    return Case([Node(op, names, outputs, attrs, domain)], values, constants, outputs,
                opset, d.pick(["static"] * 5 + ["symbols"] * 3 + ["unknown"] * 2), tol)


def onnx_type(dtype):
    return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
