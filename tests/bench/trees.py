# SPDX-License-Identifier: Apache-2.0
"""Ensembles of 500 complete trees of depth 8, for ort_compare.py."""
import numpy as np
import onnx
from onnx import TensorProto, helper

TREES, DEPTH, FEATURES, CLASSES = 500, 8, 50, 3


def attributes(rng, what, votes):
    """Complete trees, breadth first; votes(tree) are the targets of each leaf of a tree."""
    inner, nodes = 2 ** DEPTH - 1, 2 ** (DEPTH + 1) - 1
    a = {k: [] for k in ("nodes_treeids", "nodes_nodeids", "nodes_featureids", "nodes_modes", "nodes_values",
                         "nodes_truenodeids", "nodes_falsenodeids", f"{what}_treeids", f"{what}_nodeids",
                         f"{what}_ids", f"{what}_weights")}
    for t in range(TREES):
        a["nodes_treeids"] += [t] * nodes
        a["nodes_nodeids"] += range(nodes)
        a["nodes_featureids"] += rng.integers(0, FEATURES, inner).tolist() + [0] * (nodes - inner)
        a["nodes_modes"] += ["BRANCH_LEQ"] * inner + ["LEAF"] * (nodes - inner)
        a["nodes_values"] += rng.normal(size=inner).tolist() + [0.0] * (nodes - inner)
        a["nodes_truenodeids"] += [2 * i + 1 if i < inner else 0 for i in range(nodes)]
        a["nodes_falsenodeids"] += [2 * i + 2 if i < inner else 0 for i in range(nodes)]
        for leaf in range(inner, nodes):
            for target in votes(t):
                a[f"{what}_treeids"].append(t)
                a[f"{what}_nodeids"].append(leaf)
                a[f"{what}_ids"].append(target)
                a[f"{what}_weights"].append(float(rng.random() / TREES))
    return a


class Ensemble:
    """As ort_compare.Graph: a regressor, or a classifier whose trees vote for one class each
    (boosted) or for all (forest)."""

    # A processor learns the way of a row that comes again and again, and then branches cost
    # nothing; clients send other rows each time.
    variants = 1000

    def __init__(self, kind, batch):
        rng = np.random.default_rng(1)
        outputs = 1 if kind == "regressor" else CLASSES
        self.inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, FEATURES])]
        self.output = helper.make_tensor_value_info("output", TensorProto.FLOAT, [batch, outputs])
        if kind == "regressor":
            self.node = helper.make_node("TreeEnsembleRegressor", ["input"], ["output"], domain="ai.onnx.ml",
                                         n_targets=1, **attributes(rng, "target", lambda t: [0]))
        else:
            votes = (lambda t: [t % CLASSES]) if kind == "boosted" else (lambda t: range(CLASSES))
            self.node = helper.make_node("TreeEnsembleClassifier", ["input"], ["label", "output"],
                                         domain="ai.onnx.ml", classlabels_int64s=list(range(CLASSES)),
                                         **attributes(rng, "class", votes))

    def save(self, path):
        graph = helper.make_graph([self.node], "trees", self.inputs, [self.output])
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
