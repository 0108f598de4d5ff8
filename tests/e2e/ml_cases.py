# SPDX-License-Identifier: Apache-2.0
"""Random models of one ai.onnx.ml operator each, and the answers that they must give.

A case is (name, model, inputs, answers). answers None: ONNX Runtime's; a word: its own to
something else, see test_ml_operators.py. Elsewhere it departs from the specification, or has
none, and what it should say is worked out here.
"""
import itertools

import numpy as np
from onnx import TensorProto, helper, numpy_helper

POSTS = ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"]
DTYPES = [np.float32, np.float64, np.int32, np.int64]
NAMES = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.float64): TensorProto.DOUBLE,
         np.dtype(np.int32): TensorProto.INT32, np.dtype(np.int64): TensorProto.INT64,
         np.dtype(np.int16): TensorProto.INT16, np.dtype(object): TensorProto.STRING}


def model(op, inputs, outputs, version=3, **attrs):
    """outputs: types. Inputs have no more than a rank, so that shapes come with the data."""
    ins = [f"x{i}" for i in range(len(inputs))]
    outs = [f"y{i}" for i in range(len(outputs))]
    node = helper.make_node(op, ins, outs, name="it", domain="ai.onnx.ml", **attrs)
    graph = helper.make_graph(
        [node], "g",
        [helper.make_tensor_value_info(n, NAMES[v.dtype], [None] * v.ndim)
         for n, v in zip(ins, inputs)],
        [helper.make_tensor_value_info(n, t, None) for n, t in zip(outs, outputs)])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", version)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def strings(rng, n, size=3):
    """n different words, some with characters of several bytes."""
    letters = list("abcdé漢")
    words = {""}
    while len(words) < n:
        words.add("".join(rng.choice(letters, rng.integers(1, size + 1))))
    return sorted(words)[:n]


def features(rng, rows, columns, dtype=np.float32, nan=0.0):
    x = rng.standard_normal((rows, columns)) * (1 if np.dtype(dtype).kind == "f" else 4)
    x = x.astype(dtype)
    if nan:
        x[rng.random(x.shape) < nan] = np.nan
    return x


def floats(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


# -- features ------------------------------------------------------------------------------


def array_feature_extractor(rng):
    for dtype, shape in itertools.product(DTYPES + [object], [(5,), (3, 5), (2, 3, 5)]):
        x = (rng.standard_normal(shape) * 9).astype(np.float32)
        x = np.vectorize(str)(x).astype(object) if dtype is object else x.astype(dtype)
        index = rng.integers(0, 5, 4).astype(np.int64)
        yield [x, index], [NAMES[x.dtype]], {}, None


def binarizer(rng):
    for dtype in DTYPES:
        x = features(rng, 7, 3, dtype)
        y = (x.astype(np.float64) > np.float32(0.3)).astype(dtype)
        yield [x], [NAMES[x.dtype]], dict(threshold=0.3), [y]


def feature_vectorizer(rng):
    for dtype, rows in itertools.product(DTYPES, [1, 4]):
        xs = [features(rng, rows, n, dtype) for n in (1, 3, 2)]
        yield xs, [TensorProto.FLOAT], dict(inputdimensions=[1, 3, 2]), None
        yield xs, [TensorProto.FLOAT], dict(inputdimensions=[2, 1, 2]), None  # padded, cut


def imputer(rng):
    for dtype, n in itertools.product(DTYPES, [1, 4]):
        is_float = np.dtype(dtype).kind == "f"
        x = features(rng, 9, 4, dtype, 0.3 if is_float else 0)
        values = rng.integers(-50, 50, n)
        nan = is_float
        attrs = (dict(imputed_value_floats=values.astype(float).tolist(), replaced_value_float=np.nan)
                 if is_float else
                 dict(imputed_value_int64s=values.tolist(), replaced_value_int64=1))
        hit = np.isnan(x) if nan else x == 1
        yield [x], [NAMES[x.dtype]], attrs, [np.where(hit, values.astype(dtype), x).astype(dtype)]


def normalizer(rng):
    for dtype, norm, shape in itertools.product(DTYPES, ["MAX", "L1", "L2"], [(4, 5), (5,)]):
        x = (rng.standard_normal(shape) * 5).astype(dtype)
        if len(shape) == 2:
            x[1] = 0
        yield [x], [TensorProto.FLOAT], dict(norm=norm), None


def scaler(rng):
    for dtype, n in itertools.product(DTYPES, [1, 5]):
        attrs = dict(offset=floats(rng, n).tolist(), scale=floats(rng, n).tolist())
        yield [features(rng, 6, 5, dtype)], [TensorProto.FLOAT], attrs, None


# -- categories ----------------------------------------------------------------------------


def category_mapper(rng):
    words = strings(rng, 12)
    ints = rng.permutation(100)[:12].tolist()
    attrs = dict(cats_strings=words, cats_int64s=ints, default_int64=-7, default_string="none")
    x = np.array(rng.choice(words + ["other"], (4, 5)), dtype=object)
    yield [x], [TensorProto.INT64], attrs, None
    yield [rng.choice(ints + [1000], (4, 5)).astype(np.int64)], [TensorProto.STRING], attrs, None


def lists_of(rng, kind, n):
    """n different keys or values of a kind, as attributes have them and as an array."""
    if kind == "strings":
        return strings(rng, n), np.array(strings(rng, n), object)
    v = rng.permutation(1000)[:n] - 500
    return ((v / 4).tolist(), (v / 4).astype(np.float32)) if kind == "floats" else (v.tolist(), v)


DEFAULT = {"strings": "default_string", "floats": "default_float", "int64s": "default_int64"}


def label_encoder(rng):
    kinds = ["strings", "floats", "int64s"]
    for keys, values in itertools.product(kinds, kinds):
        k, karr = lists_of(rng, keys, 9)
        v, varr = lists_of(rng, values, 9)
        otherwise = {"strings": "none", "floats": 2.5, "int64s": 77}[values]
        attrs = {f"keys_{keys}": k[:7], f"values_{values}": v[:7], DEFAULT[values]: otherwise}
        x = np.array(rng.choice(karr, (3, 5)), dtype=karr.dtype)
        x = x.astype(np.int64) if keys == "int64s" else x
        out = {"strings": TensorProto.STRING, "floats": TensorProto.FLOAT,
               "int64s": TensorProto.INT64}[values]
        yield [x], [out], attrs, None, 2
        # Without a default.
        del attrs[DEFAULT[values]]
        yield [x], [out], attrs, None, 4


def tensor(array):
    return numpy_helper.from_array(np.asarray(array), "t")


def label_encoder_tensors(rng):
    words = np.array(["a", "b", "c"], object)
    for keys, values in [(np.float64, np.float64), (np.int16, np.int16), (np.float64, object),
                         (object, np.int16), (np.float32, np.int64), (np.int64, np.float32),
                         (np.int64, np.int64)]:
        k = words if keys is object else np.array([3, 1, 2], keys)
        v = words if values is object else np.array([30, 10, 20], values)
        otherwise = np.array(["zz"], object) if values is object else np.array([99], values)
        attrs = dict(keys_tensor=tensor(k), values_tensor=tensor(v), default_tensor=tensor(otherwise))
        x = np.append(k, np.array(["other"], object) if keys is object else np.array([9], keys))
        yield [x], [NAMES[v.dtype]], attrs, [np.append(v, otherwise)], 4
    # NaN is a key like others, also of float64; the last of equal keys counts.
    for dtype in (np.float32, np.float64):
        k = np.array([np.nan, 1, 0, 1], dtype)
        x = np.array([[np.nan, 1], [-0.0, 5]], dtype)
        yield ([x], [TensorProto.INT64],
               dict(keys_tensor=tensor(k), values_int64s=[4, 5, 6, 7]),
               [np.array([[4, 7], [6, -1]], np.int64)], 4)


def label_encoder_1(rng):
    words = strings(rng, 6)
    attrs = dict(classes_strings=words, default_int64=-3, default_string="none")
    x = np.array(rng.choice(words + ["zzz"], (2, 7)), dtype=object)
    yield [x], [TensorProto.INT64], attrs, None, 1
    yield [rng.integers(-1, 8, (2, 7))], [TensorProto.STRING], attrs, None, 1


def one_hot_encoder(rng):
    for dtype, shape in itertools.product(DTYPES, [(6,), (3, 2)]):
        x = rng.integers(0, 6, shape).astype(dtype)
        if np.dtype(dtype).kind == "f":
            x = x + dtype(0.25)
        cats = [4, 0, 2, 3]
        y = (np.trunc(x)[..., None] == np.array(cats)).astype(np.float32)
        yield [x], [TensorProto.FLOAT], dict(cats_int64s=cats), [y]
    words = strings(rng, 5)
    x = np.array(rng.choice(words + ["zzz"], (3, 2)), dtype=object)
    yield [x], [TensorProto.FLOAT], dict(cats_strings=words, zeros=1), None


# -- linear models and support vector machines ---------------------------------------------

CLASSES = [("ints", lambda n: list(range(3, 3 + n))), ("strings", lambda n: [f"c{i}" for i in range(n)])]
LABEL_TYPE = {"ints": TensorProto.INT64, "strings": TensorProto.STRING, "int64s": TensorProto.INT64}


def linear_classifier(rng):
    for dtype, n, post, (kind, labels) in itertools.product(DTYPES, [2, 3, 5], POSTS, CLASSES):
        attrs = dict(coefficients=(floats(rng, n, 4) / 4).ravel().tolist(),
                     intercepts=floats(rng, n).tolist(), post_transform=post)
        attrs[f"classlabels_{kind}"] = labels(n)
        yield [features(rng, 5, 4, dtype)], [LABEL_TYPE[kind], TensorProto.FLOAT], attrs, None


def linear_classifier_one_row(rng):
    """Two classes that share a row of coefficients. ONNX Runtime gives 1 - s and s whatever the
    post transform; the specification's reference, and what is meant, is that of -s and s."""
    for post, (kind, labels) in itertools.product(["NONE", "LOGISTIC"], CLASSES):
        w, b, x = floats(rng, 4), floats(rng, 1), features(rng, 6, 4)
        s = x @ w + b
        z = np.stack([-s, s], 1)
        z = 1 / (1 + np.exp(-z)) if post == "LOGISTIC" else z
        names = np.array(labels(2), np.int64 if kind == "ints" else object)
        attrs = dict(coefficients=w.tolist(), intercepts=b.tolist(), post_transform=post)
        attrs[f"classlabels_{kind}"] = labels(2)
        yield [x], [LABEL_TYPE[kind], TensorProto.FLOAT], attrs, [names[(s > 0).astype(int)], z]


def linear_regressor(rng):
    for n, post in itertools.product([1, 2, 5], POSTS):
        attrs = dict(coefficients=(floats(rng, n, 4) / 8).ravel().tolist(), targets=n,
                     post_transform=post, intercepts=(floats(rng, n) / 8).tolist())
        yield [features(rng, 5, 4)], [TensorProto.FLOAT], attrs, None
        del attrs["intercepts"]
        yield [features(rng, 5, 4)], [TensorProto.FLOAT], attrs, None
    for dtype in DTYPES[1:]:
        x, w = features(rng, 5, 4, dtype), floats(rng, 3, 4)
        yield ([x], [TensorProto.FLOAT], dict(coefficients=w.ravel().tolist(), targets=3),
               [(x.astype(np.float64) @ w.T.astype(np.float64)).astype(np.float32)])


KERNELS = ["LINEAR", "POLY", "RBF", "SIGMOID"]
PARAMS = [0.3, 0.7, 3.0]


def svm_regressor(rng):
    for kernel, one_class in itertools.product(KERNELS, [0, 1]):
        attrs = dict(kernel_type=kernel, kernel_params=PARAMS, n_supports=7, one_class=one_class,
                     support_vectors=floats(rng, 7, 4).ravel().tolist(), rho=[0.2],
                     coefficients=floats(rng, 7).tolist())
        yield [features(rng, 6, 4)], [TensorProto.FLOAT], attrs, None
    attrs = dict(kernel_type="LINEAR", kernel_params=PARAMS, n_supports=0, rho=[0.5],
                 coefficients=floats(rng, 4).tolist())
    yield [features(rng, 6, 4)], [TensorProto.FLOAT], attrs, None


def svm_classifier(rng):
    for kernel, n, proba, dtype, (kind, labels) in itertools.product(
            KERNELS, [2, 3, 5], [False, True], [np.float32, np.int64], CLASSES):
        per_class = rng.integers(1, 5, n).tolist()
        vectors, pairs = sum(per_class), n * (n - 1) // 2
        attrs = dict(kernel_type=kernel, kernel_params=PARAMS, vectors_per_class=per_class,
                     support_vectors=floats(rng, vectors, 4).ravel().tolist(),
                     coefficients=floats(rng, n - 1, vectors).ravel().tolist(),
                     rho=floats(rng, pairs).tolist())
        attrs[f"classlabels_{kind}"] = labels(n)
        if proba:
            attrs.update(prob_a=(-np.abs(floats(rng, pairs))).tolist(),
                         prob_b=floats(rng, pairs).tolist())
        x = features(rng, 6, 4, dtype)
        yield [x], [LABEL_TYPE[kind], TensorProto.FLOAT], attrs, None
        if kernel == "RBF" and n > 2:
            yield ([x], [LABEL_TYPE[kind], TensorProto.FLOAT],
                   dict(attrs, post_transform=POSTS[1 + len(per_class) % 3]), None)


def svm_classifier_linear(rng):
    """Without support vectors, with as many rows of coefficients as classes."""
    for n, (kind, labels) in itertools.product([3, 4], CLASSES):
        attrs = dict(kernel_type="LINEAR", kernel_params=PARAMS, rho=[0.25],
                     coefficients=floats(rng, n, 4).ravel().tolist())
        attrs[f"classlabels_{kind}"] = labels(n)
        yield [features(rng, 6, 4)], [LABEL_TYPE[kind], TensorProto.FLOAT], attrs, None


# -- trees ---------------------------------------------------------------------------------

MODES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]


class Trees:
    """Random trees in the form of TreeEnsembleClassifier and TreeEnsembleRegressor."""

    def __init__(self, rng, n_trees, depth, n_features, votes, modes=MODES[:1], missing=False,
                 shuffle=False):
        self.rows = []  # tree, node, feature, mode, value, true, false, missing
        self.votes = []  # tree, node, target, weight
        for t in range(n_trees):
            self.grow(rng, t, depth, n_features, votes, modes, missing)
        if shuffle:
            # Ids that say nothing of places. A tree's root stays first.
            for row in self.rows:
                row[1], row[5], row[6] = row[1] * 7 + 2, row[5] * 7 + 2, row[6] * 7 + 2
            self.votes = [(t, n * 7 + 2, c, w) for t, n, c, w in self.votes]
            rest = rng.permutation(len(self.votes))
            self.votes = [self.votes[i] for i in rest]

    def grow(self, rng, tree, depth, n_features, votes, modes, missing):
        todo, count = [(0, 0)], 1
        while todo:
            node, level = todo.pop(0)
            leaf = level == depth or (level > 0 and rng.random() < 0.2)
            row = [tree, node, 0, "LEAF", 0.0, 0, 0, 0]
            if leaf:
                self.votes += [(tree, node, c, w) for c, w in votes(rng, tree)]
            else:
                mode = str(rng.choice(modes))
                # Small whole numbers, so that some features are equal to them.
                value = float(rng.integers(-2, 3)) if mode != "BRANCH_LEQ" else float(rng.normal())
                row = [tree, node, int(rng.integers(n_features)), mode, float(np.float32(value)),
                       count, count + 1, int(missing and rng.random() < 0.5)]
                todo += [(count, level + 1), (count + 1, level + 1)]
                count += 2
            self.rows.append(row)

    def attributes(self, what, doubles=False):
        tree, node, feature, mode, value, yes, no, missing = map(list, zip(*self.rows))
        a = dict(nodes_treeids=tree, nodes_nodeids=node, nodes_featureids=feature, nodes_modes=mode,
                 nodes_truenodeids=yes, nodes_falsenodeids=no)
        if any(missing):
            a["nodes_missing_value_tracks_true"] = missing
        tree, node, target, weight = map(list, zip(*self.votes))
        a.update({f"{what}_treeids": tree, f"{what}_nodeids": node, f"{what}_ids": target})
        for name, v in [("nodes_values", value), (f"{what}_weights", weight)]:
            if doubles:
                a[name + "_as_tensor"] = tensor(np.array(v, np.float64))
            else:
                a[name] = v
        return a


def tree_input(rng, rows, n_features, dtype=np.float32, nan=0.0):
    x = features(rng, rows, n_features, dtype, nan)
    whole = rng.random(x.shape) < 0.5
    return np.where(whole, np.round(x), x).astype(dtype)


def vote_one(target, scale=1.0):
    return lambda rng, tree: [(target, float(np.float32(rng.normal() * scale)))]


def vote_by_tree(n):
    return lambda rng, tree: [(tree % n, float(np.float32(rng.normal())))]


def vote_all(n, positive=False):
    def votes(rng, tree):
        w = rng.random(n) if positive else rng.normal(size=n)
        return [(c, float(np.float32(v / (w.sum() if positive else 1)))) for c, v in enumerate(w)]
    return votes


def vote_some(n):
    return lambda rng, tree: [(int(c), float(np.float32(rng.normal())))
                              for c in rng.permutation(n)[:rng.integers(1, n)]]


def tree_regressor(rng):
    for how, n, post in itertools.product(["SUM", "AVERAGE", "MIN", "MAX"], [1, 3], POSTS):
        votes = vote_one(0, 0.05) if n == 1 else vote_all(n)
        for base in (None, (floats(rng, n) / 4).tolist()):
            a = Trees(rng, 7, 4, 5, votes).attributes("target")
            a.update(aggregate_function=how, n_targets=n, post_transform=post)
            if base:
                a["base_values"] = base
            yield [tree_input(rng, 11, 5)], [TensorProto.FLOAT], a, None
    for dtype, missing, shuffle, rows in itertools.product(DTYPES, [False, True], [False, True], [1, 37]):
        is_float = np.dtype(dtype).kind == "f"
        a = Trees(rng, 33, 6, 9, vote_one(0), MODES if is_float else MODES[:4], missing,
                  shuffle).attributes("target")
        yield ([tree_input(rng, rows, 9, dtype, 0.2 if is_float else 0)], [TensorProto.FLOAT],
               dict(a, n_targets=1), None if is_float else "as float")
    for mode in MODES:
        a = Trees(rng, 5, 5, 4, vote_some(4), [mode]).attributes("target")
        yield [tree_input(rng, 40, 4)], [TensorProto.FLOAT], dict(a, n_targets=4), None
    a = Trees(rng, 5, 5, 4, vote_by_tree(3), MODES).attributes("target", doubles=True)
    yield [tree_input(rng, 40, 4, np.float64)], [TensorProto.FLOAT], dict(a, n_targets=3), None


def tree_regressor_shapes(rng):
    """A tree with more nodes on a level than 16 bits count, and one that is a chain."""
    for complete in (True, False):
        trees, leaves = Trees(rng, 0, 0, 3, None), []
        inner = 2 ** 17 - 1 if complete else 50
        for i in range(inner):
            yes, no = (2 * i + 1, 2 * i + 2) if complete else (inner + i, (i + 1) % inner or 2 * inner)
            trees.rows.append([0, i, int(rng.integers(3)), "BRANCH_LEQ", float(rng.normal()), yes, no, 0])
        for i in range(inner, 2 * inner + 1):
            trees.rows.append([0, i, 0, "LEAF", 0.0, 0, 0, 0])
            leaves.append((0, i, 0, float(np.float32(rng.normal()))))
        trees.votes = leaves
        yield ([tree_input(rng, 25, 3)], [TensorProto.FLOAT],
               dict(trees.attributes("target"), n_targets=1), None)


def tree_classifier(rng):
    for n, post, (kind, labels) in itertools.product([3, 4], POSTS, CLASSES):
        kind = "int64s" if kind == "ints" else kind
        for votes in (vote_all(n, True), vote_all(n), vote_by_tree(n), vote_some(n)):
            a = Trees(rng, 8, 4, 5, votes, MODES[:2], missing=True).attributes("class")
            a["post_transform"] = post
            a[f"classlabels_{kind}"] = labels(n)
            yield [tree_input(rng, 19, 5, nan=0.1)], [LABEL_TYPE[kind], TensorProto.FLOAT], a, None
            yield ([tree_input(rng, 19, 5)], [LABEL_TYPE[kind], TensorProto.FLOAT],
                   dict(a, base_values=(floats(rng, n) / 4).tolist()), None)
    for dtype in DTYPES:
        a = Trees(rng, 40, 5, 6, vote_all(3, True), MODES[:4]).attributes("class")
        a["classlabels_strings"] = ["x", "y", "z"]
        yield [tree_input(rng, 50, 6, dtype)], [TensorProto.STRING, TensorProto.FLOAT], a, None


def positive(rng, tree):
    return [(0, float(np.float32(rng.random() / 8)))]


def tree_classifier_binary(rng):
    """Two classes, one score, as converters write them."""
    for post, base, votes, (kind, labels) in itertools.product(
            POSTS[:4], [None, [0.25], [-0.5]], [positive, vote_one(0, 0.3), vote_one(1)], CLASSES):
        if base and votes is not positive and votes(rng, 0)[0][0] == 1:
            continue  # ONNX Runtime forgets it
        kind = "int64s" if kind == "ints" else kind
        a = Trees(rng, 8, 3, 5, votes).attributes("class")
        a["post_transform"] = post
        a[f"classlabels_{kind}"] = labels(2)
        if base:
            a["base_values"] = base
        yield [tree_input(rng, 21, 5)], [LABEL_TYPE[kind], TensorProto.FLOAT], a, None


def evaluate(trees, x, n):
    """Scores of Trees with BRANCH_LEQ only."""
    votes = {}
    for t, node, c, w in trees.votes:
        votes.setdefault((t, node), []).append((c, w))
    rows = {(r[0], r[1]): r for r in trees.rows}
    z = np.zeros((len(x), n), np.float32)
    for i, row in enumerate(x):
        for t in sorted({r[0] for r in trees.rows}):
            r = rows[t, 0]
            while r[3] != "LEAF":
                r = rows[t, r[5] if row[r[2]] <= r[4] else r[6]]
            for c, w in votes[t, r[1]]:
                z[i, c] += np.float32(w)
    return z


def tree_classifier_two(rng):
    """Two classes that both get votes: the larger score wins. ONNX Runtime says 1 if the second
    score is positive, and 1 even if that is no label."""
    for kind, labels in CLASSES:
        trees, x = Trees(rng, 8, 3, 5, vote_all(2, True)), tree_input(rng, 21, 5)
        kind = "int64s" if kind == "ints" else kind
        a = trees.attributes("class")
        a[f"classlabels_{kind}"] = labels(2)
        z = evaluate(trees, x, 2)
        names = np.array(labels(2), object if kind == "strings" else np.int64)
        yield [x], [LABEL_TYPE[kind], TensorProto.FLOAT], a, [names[z.argmax(1)], z]


def tree_classifier_one(rng):
    a = Trees(rng, 8, 3, 5, vote_one(0)).attributes("class")
    yield ([tree_input(rng, 21, 5)], [TensorProto.INT64, TensorProto.FLOAT],
           dict(a, classlabels_int64s=[1]), None)


def tree_ensemble_5(rng):
    """The form with places instead of names, and membership in sets."""
    for dtype, how, n, post, member in itertools.product(
            [np.float32, np.float64], range(4), [1, 3], range(5), [False, True]):
        a = placed(rng, dtype, 6, 4, 5, n, member)
        a.update(aggregate_function=how, n_targets=n, post_transform=post)
        x = tree_input(rng, 23, 5, dtype, 0.1)
        yield [x], [NAMES[x.dtype]], a, "swapped", 5


def evaluate_placed(a, x):
    """Sums of one target for sets of any members. ONNX Runtime packs sets into bits, and finds
    no member below 1 in them."""
    array = {k: numpy_helper.to_array(v) if hasattr(v, "dims") else v for k, v in a.items()}
    sets, rest = {}, list(array["membership_values"])
    for i, mode in enumerate(array["nodes_modes"]):
        if mode == 6:
            end = next(k for k, v in enumerate(rest) if np.isnan(v))
            sets[i], rest = set(rest[:end]), rest[end + 1:]
    compare = [np.less_equal, np.less, np.greater_equal, np.greater, np.equal, np.not_equal]
    y = np.zeros((len(x), 1), x.dtype)
    for r, row in enumerate(x):
        for node in array["tree_roots"]:
            is_leaf = False
            while not is_leaf:
                v, mode = row[array["nodes_featureids"][node]], array["nodes_modes"][node]
                yes = v in sets[node] if mode == 6 else compare[mode](v, array["nodes_splits"][node])
                yes = yes or (np.isnan(v) and array["nodes_missing_value_tracks_true"][node])
                side = "true" if yes else "false"
                is_leaf = array[f"nodes_{side}leafs"][node]
                node = array[f"nodes_{side}nodeids"][node]
            y[r] += array["leaf_weights"][node]
    return y


def tree_ensemble_5_sets(rng):
    for dtype in (np.float32, np.float64):
        a = placed(rng, dtype, 9, 5, 5, 1, True, first=-2)
        a.update(n_targets=1)
        x = tree_input(rng, 40, 5, dtype, 0.1)
        yield [x], [NAMES[x.dtype]], a, [evaluate_placed(a, x)], 5


def placed(rng, dtype, n_trees, depth, n_features, n_targets, member, first=1):
    nodes, leaves, sets, roots = [], [], [], []

    def leaf():
        leaves.append((int(rng.integers(n_targets)), rng.normal() / 20))
        return len(leaves) - 1

    def branch(level):
        """Its place; children have theirs only later."""
        at = len(nodes)
        nodes.append(None)
        mode = int(rng.integers(0, 7 if member else 6))
        if mode == 6:
            sets.append((at, sorted(rng.permutation(5)[:rng.integers(1, 4)] + first)))
        sides = []
        for _ in range(2):
            is_leaf = level == depth or rng.random() < 0.2
            sides.append((leaf() if is_leaf else branch(level + 1), int(is_leaf)))
        nodes[at] = (int(rng.integers(n_features)), mode, float(rng.integers(-2, 3)), sides,
                     int(rng.random() < 0.5))
        return at

    for _ in range(n_trees):
        roots.append(branch(1))
    a = dict(tree_roots=roots, nodes_featureids=[n[0] for n in nodes],
             nodes_modes=tensor(np.array([n[1] for n in nodes], np.uint8)),
             nodes_splits=tensor(np.array([n[2] for n in nodes], dtype)),
             nodes_truenodeids=[n[3][0][0] for n in nodes], nodes_trueleafs=[n[3][0][1] for n in nodes],
             nodes_falsenodeids=[n[3][1][0] for n in nodes], nodes_falseleafs=[n[3][1][1] for n in nodes],
             nodes_missing_value_tracks_true=[n[4] for n in nodes],
             leaf_targetids=[l[0] for l in leaves],
             leaf_weights=tensor(np.array([l[1] for l in leaves], dtype)))
    if member:
        values = [v for _, s in sorted(sets) for v in [*map(float, s), np.nan]]
        a["membership_values"] = tensor(np.array(values, dtype))
    return a


# -- maps ----------------------------------------------------------------------------------


def map_model(op, x_type, y_type, attrs):
    node = helper.make_node(op, ["x"], ["y"], name="it", domain="ai.onnx.ml", **attrs)
    graph = helper.make_graph([node], "g", [helper.make_value_info("x", x_type)],
                              [helper.make_value_info("y", y_type)])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def map_type(key, value):
    return helper.make_map_type_proto(key, helper.make_tensor_type_proto(value, []))


def zip_map(rng):
    for shape, (kind, labels) in itertools.product([(4, 3), (3,), (0, 3)], CLASSES):
        kind = "int64s" if kind == "ints" else kind
        x = floats(rng, *shape)
        out = helper.make_sequence_type_proto(map_type(LABEL_TYPE[kind], TensorProto.FLOAT))
        yield (map_model("ZipMap", helper.make_tensor_type_proto(TensorProto.FLOAT, [None] * x.ndim), out,
                         {f"classlabels_{kind}": labels(3)}), x, None)


def dict_vectorizer(rng):
    for keys, value in itertools.product(["int64", "string"], [np.float32, np.float64, np.int64, object]):
        if keys == "int64" and value is np.int64:
            continue  # neither the specification nor ONNX Runtime has it
        words = strings(rng, 9) if keys == "string" else rng.permutation(50)[:9].tolist()
        vocabulary = words[:7] + words[:1]
        x = {k: str(k) if value is object else value(rng.integers(1, 99)) for k in words[3:]}
        key = TensorProto.STRING if keys == "string" else TensorProto.INT64
        y = np.array([[x.get(k, "" if value is object else 0) for k in vocabulary]], value)
        yield (map_model("DictVectorizer", map_type(key, NAMES[np.dtype(value)]),
                         helper.make_tensor_type_proto(NAMES[np.dtype(value)], None),
                         {f"{keys}_vocabulary": vocabulary}), x, [y])


def cast_map(rng):
    for value, (to, out), form in itertools.product(
            ["float", "string"], [("TO_FLOAT", TensorProto.FLOAT), ("TO_INT64", TensorProto.INT64),
                                  ("TO_STRING", TensorProto.STRING)], ["DENSE", "SPARSE"]):
        keys = rng.permutation(12)[:6].tolist()
        x = {k: np.float32(rng.normal() * 9) if value == "float" else str(rng.integers(-99, 99))
             for k in keys}
        element = TensorProto.FLOAT if value == "float" else TensorProto.STRING
        y = None
        if value == "string":  # Python cannot give ONNX Runtime such a map
            cast = {"TO_FLOAT": np.float32, "TO_INT64": np.int64, "TO_STRING": object}[to]
            nothing = "0.f" if cast is object else 0
            y = ([x.get(k, nothing) for k in range(9)] if form == "SPARSE"
                 else [x[k] for k in sorted(x)])
            y = [np.array([y], object).astype(cast)]
        yield (map_model("CastMap", map_type(TensorProto.INT64, element),
                         helper.make_tensor_type_proto(out, None),
                         dict(cast_to=to, map_form=form, max_map=9)), x, y)


MAP_OPERATORS = {"ZipMap": zip_map, "DictVectorizer": dict_vectorizer, "CastMap": cast_map}


OPERATORS = {
    "ArrayFeatureExtractor": [array_feature_extractor],
    "Binarizer": [binarizer],
    "CategoryMapper": [category_mapper],
    "FeatureVectorizer": [feature_vectorizer],
    "Imputer": [imputer],
    "LabelEncoder": [label_encoder, label_encoder_tensors, label_encoder_1],
    "LinearClassifier": [linear_classifier, linear_classifier_one_row],
    "LinearRegressor": [linear_regressor],
    "Normalizer": [normalizer],
    "OneHotEncoder": [one_hot_encoder],
    "SVMClassifier": [svm_classifier, svm_classifier_linear],
    "SVMRegressor": [svm_regressor],
    "Scaler": [scaler],
    "TreeEnsemble": [tree_ensemble_5, tree_ensemble_5_sets],
    "TreeEnsembleClassifier": [tree_classifier, tree_classifier_binary, tree_classifier_two,
                               tree_classifier_one],
    "TreeEnsembleRegressor": [tree_regressor, tree_regressor_shapes],
}


def cases(op, seed):
    """All cases of an operator: (name, model, inputs, answers or None)."""
    if op in MAP_OPERATORS:
        for i, (m, x, answers) in enumerate(MAP_OPERATORS[op](np.random.default_rng(seed))):
            yield f"{op}_{i}", m, [x], answers
        return
    for make in OPERATORS[op]:
        rng = np.random.default_rng([seed, sum(map(ord, make.__name__))])
        for i, (inputs, outputs, attrs, answers, *version) in enumerate(make(rng)):
            default = 1 if op in ("LinearClassifier",) else 3
            m = model(op, inputs, outputs, *(version or [default]), **attrs)
            yield f"{make.__name__}_{i}", m, inputs, answers
