# SPDX-License-Identifier: Apache-2.0
"""Random shapes, types and values, with the awkward ones more often than chance has them."""
import functools

import ml_dtypes
import numpy as np
import onnx

# What every numpy has, by ONNX's name; strings are objects.
PLAIN = {
    "float": np.float32, "double": np.float64, "float16": np.float16,
    "int8": np.int8, "int16": np.int16, "int32": np.int32, "int64": np.int64,
    "uint8": np.uint8, "uint16": np.uint16, "uint32": np.uint32, "uint64": np.uint64,
    "bool": np.bool_, "string": np.object_,
}
# Types that travel as float32, or int8, with a Cast on both sides.
EXOTIC = {
    "bfloat16": ml_dtypes.bfloat16, "float8e4m3fn": ml_dtypes.float8_e4m3fn,
    "float8e4m3fnuz": ml_dtypes.float8_e4m3fnuz, "float8e5m2": ml_dtypes.float8_e5m2,
    "float8e5m2fnuz": ml_dtypes.float8_e5m2fnuz, "int4": ml_dtypes.int4, "uint4": ml_dtypes.uint4,
}
TYPES = {**PLAIN, **EXOTIC}
NAMES = {np.dtype(t): n for n, t in TYPES.items()}
OPSET_MAX = 27  # of both peers

DIMS = [1, 2, 3, 4, 5, 7, 8, 11, 13, 16, 17]


def is_float(dtype):
    return np.dtype(dtype).kind == "f" or NAMES[np.dtype(dtype)].startswith(("bfloat", "float8"))


@functools.lru_cache(None)
def schema(op, domain="", opset=OPSET_MAX):
    """None: the operator is not that old, or none of ONNX's own."""
    try:
        return onnx.defs.get_schema(op, max_inclusive_version=opset, domain=domain)
    except onnx.defs.SchemaError:
        return None


@functools.lru_cache(None)
def types_of(op, domain, opset, position):
    """What an input of an operator may be: ONNX's names of tensor types; None: anything."""
    s = schema(op, domain, opset)
    if s is None or not s.inputs:
        return None
    formal = s.inputs[min(position, len(s.inputs) - 1)]
    return frozenset(t[len("tensor("):-1] for t in formal.types if t.startswith("tensor("))


class Draw:
    """Everything that chance decides of one case, from one seed."""

    def __init__(self, seed, op="", domain=""):
        self.rng = np.random.default_rng(seed)
        self.op, self.domain = op, domain

    def int(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def chance(self, p):
        return bool(self.rng.random() < p)

    def pick(self, things):
        return things[int(self.rng.integers(len(things)))]

    def maybe(self, thing, p=0.5):
        return thing if self.chance(p) else None

    def float(self, low, high):
        return round(float(self.rng.uniform(low, high)), 3)

    def shuffled(self, n):
        return [int(i) for i in self.rng.permutation(n)]

    # -- types ------------------------------------------------------------------------------

    def dtype(self, position=0, only=None, avoid=()):
        """Of the types that the operator takes at a position: float32 often, odd ones seldom."""
        allowed = types_of(self.op, self.domain, OPSET_MAX, position) or frozenset(PLAIN)
        allowed = [t for t in TYPES if t in allowed and (only is None or t in only) and t not in avoid]
        plain = [t for t in allowed if t in PLAIN]
        exotic = [t for t in allowed if t in EXOTIC]
        if exotic and (not plain or self.chance(0.05)):
            return TYPES[self.pick(exotic)]
        if "float" in plain and self.chance(0.35):
            return np.float32
        return TYPES[self.pick(plain)]

    # -- shapes -----------------------------------------------------------------------------

    def dim(self, zero=0.03):
        return 0 if self.chance(zero) else self.pick(DIMS)

    def shape(self, low=0, high=4, zero=0.03, count_max=4000):
        rank = self.int(low, high)
        shape = [self.dim(zero) for _ in range(rank)]
        while np.prod(shape, dtype=np.int64) > count_max:
            i = int(np.argmax(shape))
            shape[i] = self.pick(DIMS[:4])
        return shape

    def broadcast(self, n, low=0, high=4):
        """n shapes that broadcast together."""
        whole = self.shape(low, high)
        shapes = []
        for _ in range(n):
            cut = self.int(0, len(whole)) if self.chance(0.3) else 0
            shapes.append([1 if self.chance(0.2) else d for d in whole[cut:]])
        shapes[self.int(0, n - 1)] = whole
        return shapes

    def axis(self, rank):
        return self.int(-rank, rank - 1)

    def axes(self, rank, low=0):
        some = self.shuffled(rank)[: self.int(min(low, rank), rank)]
        return [a - rank if self.chance(0.3) else a for a in some]

    # -- values -----------------------------------------------------------------------------

    def values(self, dtype, shape, kind=None, low=None, high=None):
        """kind: plain, special (NaN, infinities, -0, subnormals too), wide (every magnitude),
        whole. None: chance decides."""
        return np.asarray(self._values(np.dtype(dtype), shape, kind, low, high))

    def _values(self, dtype, shape, kind, low, high):
        if dtype == np.object_:
            words = ["", "a", "b", "ab", "A", "é", "日本", "a b", "0", "-1.5"]
            return np.array([self.pick(words) for _ in range(int(np.prod(shape)))], dtype=object).reshape(shape)
        if dtype == np.bool_:
            return self.rng.random(shape) < 0.5
        if is_float(dtype):
            return self._floats(dtype, shape, kind, low, high)
        return self._ints(dtype, shape, low, high)

    def _floats(self, dtype, shape, kind, low, high):
        if low is not None:
            kind = "plain"
        kind = kind or self.pick(["plain"] * 5 + ["special", "special", "wide", "whole"])
        if low is not None:
            x = self.rng.uniform(low, high, shape)
        elif kind == "wide":
            x = self.rng.choice([-1.0, 1.0], shape) * 10.0 ** self.rng.uniform(-42, 38, shape)
        elif kind == "whole":
            x = self.rng.integers(-8, 9, shape) / 2.0
        else:
            x = self.rng.normal(0, 2, shape)
        x = np.asarray(x, np.float64)
        if kind == "special":
            odd = self.rng.choice([np.nan, np.inf, -np.inf, -0.0, 1e-40, -1e-42, 3e38, 0.0], shape)
            x = np.asarray(np.where(self.rng.random(shape) < 0.3, odd, x))
        with np.errstate(all="ignore"):
            return x.astype(np.float32 if dtype.kind != "f" else dtype).astype(dtype)

    def _ints(self, dtype, shape, low, high):
        if NAMES[dtype] in ("int4", "uint4"):
            least, most = (-8, 7) if NAMES[dtype] == "int4" else (0, 15)
        else:
            least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
        low = max(least, -9 if low is None else low)
        high = min(most, 9 if high is None else high)
        return np.asarray(self.rng.integers(low, high + 1, shape)).astype(dtype)

    def tensor(self, dtype=None, low=0, high=4, **how):
        return self.values(dtype or self.dtype(), self.shape(low, high), **how)
