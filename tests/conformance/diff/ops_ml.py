# SPDX-License-Identifier: Apache-2.0
"""Generators: ai.onnx.ml, but for what has models in its attributes (tests/e2e/test_ml_operators.py)."""
import numpy as np

from .ops import generator

ML = {"domain": "ai.onnx.ml"}
NUMBERS = [np.float32, np.float64, np.int32, np.int64]


def table(d, low=1, high=2):
    return [max(n, 1) for n in d.shape(low, high, count_max=200)]


def features(d, dtype=None):
    return d.values(dtype or d.pick(NUMBERS), table(d, 2, 2), "plain")


@generator("Binarizer", **ML)
def binarizer(d):
    return [d.values(np.float32, table(d), d.pick(["plain", "whole"]))], {"threshold": d.maybe(d.pick([0.0, 0.5, -1.0]))}, 1


@generator("ArrayFeatureExtractor", **ML)
def array_feature_extractor(d):
    x = features(d)
    return [x, d.rng.integers(0, x.shape[1], [1, d.int(1, 5)]).astype(np.int64)], {}, 1


@generator("Scaler", **ML)
def scaler(d):
    x = features(d)
    n = d.pick([1, x.shape[1]])
    return [x], {"offset": [d.float(-2, 2) for _ in range(n)], "scale": [d.float(0.2, 2) for _ in range(n)]}, 1, (1e-4, 1e-4)


@generator("Normalizer", **ML)
def normalizer(d):
    return [features(d, np.float32)], {"norm": d.pick([None, "MAX", "L1", "L2"])}, 1


@generator("Imputer", **ML)
def imputer(d):
    x = features(d, np.float32)
    x[d.rng.random(x.shape) < 0.3] = np.nan
    n = d.pick([1, x.shape[1]])
    return [x], {"imputed_value_floats": [d.float(-2, 2) for _ in range(n)], "replaced_value_float": float("nan")}, 1


@generator("OneHotEncoder", **ML)
def one_hot_encoder(d):
    x = d.values(np.int64, table(d), low=0, high=4)
    return [x], {"cats_int64s": [0, 1, 2, 3, 4][: 5 if d.chance(0.7) else 3], "zeros": 1}, 1


@generator("LabelEncoder", **ML)
def label_encoder(d):
    shape = table(d)
    if d.chance(0.5):
        x = d.values(np.int64, shape, low=0, high=5)
        return [x], {"keys_int64s": [0, 1, 2, 3], "values_floats": [0.5, 1.5, -1.0, 2.0], "default_float": d.maybe(9.0)}, 1
    x = np.array([d.pick(["a", "b", "c", "d"]) for _ in range(int(np.prod(shape)))], object).reshape(shape)
    return [x], {"keys_strings": ["a", "b", "c"], "values_int64s": [3, 2, 1], "default_int64": d.maybe(7)}, 1


@generator("LinearRegressor", **ML)
def linear_regressor(d):
    x = features(d, np.float32)
    targets = d.int(1, 3)
    return [x], {"coefficients": [d.float(-1, 1) for _ in range(targets * x.shape[1])], "targets": targets,
                 "intercepts": d.maybe([d.float(-1, 1) for _ in range(targets)])}, 1, (1e-3, 1e-4)
