#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the models of folders with Signet and with ONNX Runtime, and says where they differ.

usage: compare.py [--signetctl PATH] [--seconds S] [--rounds N] DIR|FILE...

Of each model a line: does it agree (rtol 1e-3, atol 1e-4, or that part of the largest where this is
above 1; batches of 1 and 3 where the leading dimension is open, other open dimensions get OPEN, one
named "a + b" the sum of those), is
it batched, Signet's time over ONNX Runtime's at batch 1, one thread, the fastest runs of rounds in
turn (--seconds 0: not timed).
Behind each folder the row of doc/models.md. Inputs are random, integers below INTEGERS.
Needs numpy, onnx and onnxruntime. Exit status 1 when a model that ONNX Runtime runs does not agree.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx
import onnxruntime

RTOL, ATOL = 1e-3, 1e-4
BATCHES = (1, 3)
OPEN = {4: 96, 5: 32}  # by rank; of others 24
INTEGERS = 10
WORDS = ("the", "Quick", "brown fox", "", "jumps 3 times", "über")


def drawn(rng, dtype, shape):
    if dtype == object:
        return rng.choice(np.array(WORDS, object), shape)
    if dtype == np.bool_:
        return rng.random(shape) < 0.7
    if np.issubdtype(dtype, np.integer):
        return rng.integers(0, INTEGERS, shape).astype(dtype)
    return rng.standard_normal(shape).astype(dtype)


def dims(value):
    """Sizes; names of open ones, "" if they have none."""
    return [d.dim_value if d.HasField("dim_value") else d.dim_param for d in value.type.tensor_type.shape.dim]


class Sizes:
    """A name has one size, whatever inputs it is in."""

    def __init__(self, batch):
        self.batch, self.named = batch, {}

    def of(self, dim, rank, leading):
        if isinstance(dim, int):
            return dim
        if leading:
            return self.batch
        if " + " in dim:
            return sum(int(d) if d.isdecimal() else self.of(d, rank, False) for d in dim.split(" + "))
        return self.named.setdefault(dim, OPEN.get(rank, 24)) if dim else OPEN.get(rank, 24)


class Model:
    def __init__(self, path):
        graph = onnx.load(path, load_external_data=False).graph
        has_default = {i.name for i in graph.initializer}
        self.path = path
        self.inputs = [i for i in graph.input if i.name not in has_default]
        self.outputs = [o.name for o in graph.output]

    def batches(self):
        leading = [dims(i)[:1] for i in self.inputs]
        return BATCHES if any(d and isinstance(d[0], str) for d in leading) else BATCHES[:1]

    def sample(self, batch):
        rng = np.random.default_rng(batch)
        sizes, made = Sizes(batch), {}
        for i in self.inputs:
            shape = dims(i)
            shape = [sizes.of(d, len(shape), k == 0) for k, d in enumerate(shape)]
            made[i.name] = drawn(rng, onnx.helper.tensor_dtype_to_np_dtype(i.type.tensor_type.elem_type), shape)
        return made


class Ours:
    def __init__(self, signetctl, model, folder):
        self.signetctl, self.model, self.folder = signetctl, model, folder

    def _call(self, *args):
        done = subprocess.run([self.signetctl, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=300)
        if done.returncode:
            raise RuntimeError(done.stderr.strip() or f"exit status {done.returncode}")
        return done.stdout

    def why_not_batched(self):
        said = self._call("validate", str(self.model.path))
        return said.split("not batched: ")[1].strip() if "not batched: " in said else None

    def feed(self, inputs):
        self.args = []
        for i, (name, value) in enumerate(inputs.items()):
            file = self.folder / (f"in_{i}.pb" if value.dtype == object else f"in_{i}.npy")
            if value.dtype == object:
                file.write_bytes(onnx.numpy_helper.from_array(value, name).SerializeToString())
            else:
                np.save(file, value)
            self.args += ["--input", f"{name}={file}"]

    def run(self):
        files = [self.folder / f"out_{i}.pb" for i in range(len(self.model.outputs))]
        outputs = [arg for name, file in zip(self.model.outputs, files) for arg in ("--output", f"{name}={file}")]
        self._call("run", str(self.model.path), *self.args, *outputs)
        return [onnx.numpy_helper.to_array(onnx.TensorProto.FromString(f.read_bytes())) for f in files]

    def time(self, times):
        said = self._call("run", str(self.model.path), *self.args, "--threads", "1", "--repeat", str(times), "--json")
        return json.loads(said)["min_us"]


class Theirs:
    def __init__(self, model):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(model.path), options, providers=["CPUExecutionProvider"])
        self.outputs = model.outputs

    def feed(self, inputs):
        self.inputs = inputs

    def run(self):
        return self.session.run(self.outputs, self.inputs)

    def time(self, times):
        taken = []
        for _ in range(times):
            began = time.perf_counter()
            self.run()
            taken.append(time.perf_counter() - began)
        return min(taken) * 1e6


def difference(ours, theirs):
    """None, or in words."""
    for i, (a, b) in enumerate(zip(ours, theirs)):
        b = np.asarray(b)
        if a.shape != b.shape:
            return f"output {i} is {list(a.shape)}, not {list(b.shape)}"
        if b.dtype.kind in "OUS":
            if not np.array_equal(a.astype(str), b.astype(str)):
                return f"output {i} has other strings"
        elif not np.allclose(a, b, rtol=RTOL, atol=ATOL * max(1, np.nanmax(np.abs(b), initial=0)), equal_nan=True):
            worst = np.nanmax(np.abs(a.astype(float) - b.astype(float)))
            return f"output {i} is {worst:.3g} off, the largest is {np.nanmax(np.abs(b.astype(float))):.3g}"
    return None


def ratio(args, ours, theirs):
    """Of the fastest of all rounds."""
    times = max(3, int(args.seconds * 1e6 / max(theirs.time(2), 1)))
    rounds = [(ours.time(times), theirs.time(times)) for _ in range(args.rounds)]
    return min(r[0] for r in rounds) / min(r[1] for r in rounds)


def first_line(e):
    return str(e).strip().splitlines()[0][:240] if str(e).strip() else type(e).__name__


def compare(args, model, folder):
    """(verdict, words, ratio): verdict is "agrees", "differs", "fails" or "theirs fails"."""
    ours = Ours(args.signetctl, model, folder)
    why, timed, words = None, None, None
    try:
        theirs = Theirs(model)
        samples = [model.sample(b) for b in model.batches()]
        theirs.feed(samples[-1])
        theirs.run()
    except Exception as e:
        return "theirs fails", first_line(e), None
    try:
        why = ours.why_not_batched()
        for inputs in reversed(samples):
            ours.feed(inputs)
            theirs.feed(inputs)
            words = words or difference(ours.run(), theirs.run())
        timed = ratio(args, ours, theirs) if args.seconds else None
    except Exception as e:
        return "fails", first_line(e), None
    return ("differs" if words else "agrees"), "; ".join(filter(None, [words, why and f"not batched: {why}"])), timed


def row(name, results):
    """As doc/models.md has it."""
    tried = [r for r in results if r[0] != "theirs fails"]
    times = [r[2] for r in tried if r[2]]
    timed = f"{statistics.median(times):.2f} ({min(times):.2f}-{max(times):.2f})" if times else "not timed"
    return f"| {name} | {len(tried)} | {sum(r[0] == 'agrees' for r in tried)} | {timed} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--signetctl", default="./signetctl")
    parser.add_argument("--seconds", type=float, default=0.2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("place", nargs="+", type=pathlib.Path)
    args = parser.parse_args()
    bad = False
    for place in args.place:
        results = []
        for path in [place] if place.is_file() else sorted(place.glob("*.onnx")):
            with tempfile.TemporaryDirectory() as folder:
                verdict, words, timed = compare(args, Model(path), pathlib.Path(folder))
            results.append((verdict, words, timed))
            print(f"{path.stem:28} {verdict:12} {f'{timed:.2f}' if timed else '-':>6}  {words}", flush=True)
        print(row(place.stem, results), flush=True)
        bad |= any(r[0] in ("differs", "fails") for r in results)
    sys.exit(bad)


if __name__ == "__main__":
    main()
