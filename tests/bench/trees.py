#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Our time on tree ensembles against ONNX Runtime's: 500 complete trees of depth 8.

Both run alternately, round by round; outputs must agree. From ONNX Runtime's time that of a
model that does nothing is taken away: Python's call is not its engine's. It gets other rows
in every run, as clients send them: processors learn the way of a row that comes again and
again, and then its branches cost nothing. Ours has no branches, and gets the same rows.

usage: trees.py --signetctl PATH [--trees 500] [--depth 8] [--features 50] [--batch 1,32,1000]
                [--kind regressor,boosted,forest] [--threads 1] [--rounds 15]
"""
import argparse
import pathlib
import statistics
import sys
import tempfile
import time

import numpy as np
import onnx
from onnx import TensorProto, helper

import ort_compare

ROUND_SECONDS = 0.25
CLASSES = 3


def attributes(rng, args, what, votes):
    """Complete trees, breadth first; votes(tree) are the targets of each leaf of a tree."""
    inner, nodes = 2 ** args.depth - 1, 2 ** (args.depth + 1) - 1
    a = {k: [] for k in ("nodes_treeids", "nodes_nodeids", "nodes_featureids", "nodes_modes", "nodes_values",
                         "nodes_truenodeids", "nodes_falsenodeids", f"{what}_treeids", f"{what}_nodeids",
                         f"{what}_ids", f"{what}_weights")}
    for t in range(args.trees):
        a["nodes_treeids"] += [t] * nodes
        a["nodes_nodeids"] += range(nodes)
        a["nodes_featureids"] += rng.integers(0, args.features, inner).tolist() + [0] * (nodes - inner)
        a["nodes_modes"] += ["BRANCH_LEQ"] * inner + ["LEAF"] * (nodes - inner)
        a["nodes_values"] += rng.normal(size=inner).tolist() + [0.0] * (nodes - inner)
        a["nodes_truenodeids"] += [2 * i + 1 if i < inner else 0 for i in range(nodes)]
        a["nodes_falsenodeids"] += [2 * i + 2 if i < inner else 0 for i in range(nodes)]
        for leaf in range(inner, nodes):
            for target in votes(t):
                a[f"{what}_treeids"].append(t)
                a[f"{what}_nodeids"].append(leaf)
                a[f"{what}_ids"].append(target)
                a[f"{what}_weights"].append(float(rng.random() / args.trees))
    return a


def build(kind, args):
    rng = np.random.default_rng(1)
    x = helper.make_tensor_value_info("input", TensorProto.FLOAT, [None, args.features])
    if kind == "regressor":
        a = attributes(rng, args, "target", lambda t: [0])
        nodes = [helper.make_node("TreeEnsembleRegressor", ["input"], ["output"], domain="ai.onnx.ml",
                                  n_targets=1, **a)]
    else:
        votes = (lambda t: [t % CLASSES]) if kind == "boosted" else (lambda t: range(CLASSES))
        a = attributes(rng, args, "class", votes)
        nodes = [helper.make_node("TreeEnsembleClassifier", ["input"], ["label", "output"], domain="ai.onnx.ml",
                                  classlabels_int64s=list(range(CLASSES)), **a)]
    y = helper.make_tensor_value_info("output", TensorProto.FLOAT, [None, 1 if kind == "regressor" else CLASSES])
    return save_as(nodes, x, y)


def save_as(nodes, x, y):
    graph = helper.make_graph(nodes, "trees", [x], [y])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def idle(args):
    x = helper.make_tensor_value_info("input", TensorProto.FLOAT, [None, args.features])
    y = helper.make_tensor_value_info("output", TensorProto.FLOAT, [None, args.features])
    return save_as([helper.make_node("Identity", ["input"], ["output"])], x, y)


class Varied(ort_compare.TheirEngine):
    """Runs on the next of many inputs each time."""

    def __init__(self, model, inputs, threads):
        super().__init__(model, inputs, threads)
        x = inputs["input"]
        n = max(2, min(1000, 20000 // len(x)))
        self.others = [x] + [np.random.default_rng(i).standard_normal(x.shape).astype(np.float32)
                             for i in range(n)]

    def run(self, times):
        taken = []
        for i in range(times):
            inputs = {"input": self.others[i % len(self.others)]}
            began = time.perf_counter()
            self.session.run(None, inputs)
            taken.append((time.perf_counter() - began) * 1e6)
        return statistics.median(taken)


def compare(args, model, batch, threads, folder):
    """Medians of rounds: ours, theirs, theirs without work."""
    inputs = {"input": np.random.default_rng(2).standard_normal((batch, args.features)).astype(np.float32)}
    ours = ort_compare.OurEngine(args, folder, model, inputs, threads)
    theirs = Varied(model, inputs, threads)
    nothing = ort_compare.TheirEngine(folder / "idle.onnx", inputs, threads)
    theirs.run(10)
    times = max(5, int(ROUND_SECONDS * 1e6 / theirs.run(10)))
    taken = [(ours.run(times), theirs.run(times), nothing.run(times)) for _ in range(args.rounds)]
    wrong = np.max(np.abs(ours.result() - theirs.session.run(["output"], inputs)[0])) > 1e-5
    return [statistics.median(t[i] for t in taken) for i in range(3)], wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--signetctl", default="./signetctl")
    parser.add_argument("--trees", type=int, default=500)
    parser.add_argument("--depth", type=int, default=8)
    parser.add_argument("--features", type=int, default=50)
    parser.add_argument("--batch", default="1,32,1000")
    parser.add_argument("--kind", default="regressor,boosted,forest")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()

    any_wrong = False
    print(f"{'kind':10} {'batch':>5} threads {'ours us':>10} {'ort us':>10} {'ort/ours':>8}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        onnx.save(idle(args), folder / "idle.onnx")
        for kind in args.kind.split(","):
            model = folder / f"{kind}.onnx"
            onnx.save(build(kind, args), model)
            for batch in map(int, args.batch.split(",")):
                for threads in map(int, args.threads.split(",")):
                    (ours, theirs, nothing), wrong = compare(args, model, batch, threads, folder)
                    any_wrong |= wrong
                    print(f"{kind:10} {batch:5} {threads:7} {ours:10.1f} {theirs - nothing:10.1f} "
                          f"{(theirs - nothing) / ours:8.2f}{' WRONG' if wrong else ''}", flush=True)
    return int(any_wrong)


if __name__ == "__main__":
    sys.exit(main())
