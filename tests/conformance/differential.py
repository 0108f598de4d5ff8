#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random models here and in ONNX Runtime: reports where they differ, by the smallest such model.

Every operator of signetd --list-ops has a generator in diff/ops*.py, or a line in
differential.list that says why not; diff/graphs.py draws graphs of several operators. Where
ONNX Runtime refuses a model, or gives something else, the onnx package's reference evaluator is
asked. What is known of such differences is in differential.list; any other fails the run.

A case is drawn from (seed, number) alone: --seed S --first N --cases 1 draws it again.

usage: SIGNET_BUILD=DIR tests/conformance/differential.py [--seed S] [--cases N] [--op NAME]
"""
import argparse
import collections
import importlib
import multiprocessing
import os
import pathlib
import shutil
import subprocess
import sys
import time

from diff import case as cases
from diff import graphs, judge, ops, shrink

for family in sorted(pathlib.Path(ops.__file__).parent.glob("ops_*.py")):
    importlib.import_module(f"diff.{family.stem}")

BUILD = pathlib.Path(os.environ.get("SIGNET_BUILD", "build"))
BATCH = 200
GRAPHS = 6  # one case in so many is a graph


def listed_operators():
    """{(domain, name)} of the operator table."""
    text = subprocess.run([BUILD / "signetd", "--list-ops"], text=True, check=True, stdout=subprocess.PIPE).stdout
    found = {tuple(line.split()[:2]) for line in text.splitlines()}
    return {("" if domain == "ai.onnx" else domain, name) for domain, name in found}


def check_coverage(rules):
    """Operators that nothing here draws, and that no rule excuses."""
    excused = {op for r in rules if "no-generator" in r.tags for op in r.ops}
    missing = [f"{d or 'ai.onnx'} {n}" for d, n in sorted(listed_operators() - ops.GENERATORS.keys()) if n not in excused]
    for name in missing:
        print(f"FAIL {name}: has no generator in tests/conformance/diff, and differential.list says not why")
    return len(missing)


def draw_case(seed, number, only):
    if only == "graph" or (not only and number % GRAPHS == 0):
        return graphs.graph([seed, number])
    names = [k for k in ops.GENERATORS if not only or k[1] == only]
    domain, op = names[number % len(names)]
    try:
        return ops.single([seed, number], op, domain)
    except Exception as e:
        raise RuntimeError(f"the generator of {op} fails at --seed {seed} --first {number}") from e


def run_batch(job):
    """[(number, Verdict)], and the text of what is wrong."""
    seed, numbers, only, keep = job
    j = judge.Judge(BUILD / "signetctl", judge.read_rules())
    try:
        drawn = [draw_case(seed, n, only) for n in numbers]
        verdicts = j.judge(drawn)
        texts = [report(j, seed, n, c, v, keep) for n, c, v in zip(numbers, drawn, verdicts) if v.kind == "wrong"]
        return list(zip(numbers, verdicts)), texts
    finally:
        j.close()


def report(j, seed, number, c, v, keep):
    small = shrink.smallest(j, c, v.sort())
    sv = j.judge([small])[0]
    if keep:
        folder = pathlib.Path(keep) / f"{v.op}-{seed}-{number}"
        shutil.rmtree(folder, ignore_errors=True)
        model, want = j.ask_peers(small, judge.Verdict(v.op))
        cases.write_folder(folder, small, model, want)
    lines = [f"FAIL {v.op}: --seed {seed} --first {number} --cases 1: {v.why}", cases.describe(small),
             f"    here: {sv.why or 'agrees'}"]
    lines += [f"    ONNX Runtime: {sv.ort}"] if sv.ort else []
    lines += [f"    reference evaluator: {'agrees with us' if sv.reference_agrees else sv.reference or '-'}"]
    return "\n".join(lines)


def jobs_of(args):
    numbers = range(args.first, args.first + args.cases)
    size = min(BATCH, -(-len(numbers) // args.jobs))
    for at in range(0, len(numbers), size):
        yield args.seed, numbers[at:at + size], args.op, args.keep


def summary(verdicts, verbose):
    kinds = collections.Counter(v.kind for _, v in verdicts)
    print(f"{kinds['agreed']} agree with ONNX Runtime, {kinds['reference']} with the reference evaluator where it "
          f"refuses, {kinds['known']} differ as differential.list says, {kinds['alone']} nobody else runs, "
          f"{kinds['refused']} nobody runs, {kinds['wrong']} are wrong")
    if not verbose:
        return
    by_op = collections.defaultdict(collections.Counter)
    for _, v in verdicts:
        by_op[v.op][v.kind] += 1
    for op, counts in sorted(by_op.items()):
        print(f"  {op:28}" + "".join(f" {k} {n:5}" for k, n in sorted(counts.items())))
    for r, n in collections.Counter((",".join(v.rule.ops), v.rule.reason) for _, v in verdicts if v.rule).most_common():
        print(f"  {n:6} {r[0]}: {r[1]}")
    for kind in ("alone", "refused"):
        for (op, why), n in collections.Counter((v.op, v.why[:150] if kind == "refused" else v.ort[:150])
                                                for _, v in verdicts if v.kind == kind).most_common(60):
            print(f"  {kind} {n:6} {op}: {why}")


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--cases", type=int, default=1500)
    a.add_argument("--first", type=int, default=0, help="number of the first case")
    a.add_argument("--op", help="this operator only; 'graph' for graphs")
    a.add_argument("--jobs", type=int, default=os.cpu_count())
    a.add_argument("--keep", metavar="DIR", help="leave the smallest models that are wrong here, as case folders")
    a.add_argument("--verbose", action="store_true", help="counts by operator and by rule")
    args = a.parse_args()
    began = time.monotonic()
    verdicts, wrong = [], 0
    if not args.op:
        wrong += check_coverage(judge.read_rules())
    with multiprocessing.Pool(args.jobs) as pool:
        for got, texts in pool.imap_unordered(run_batch, jobs_of(args)):
            verdicts += got
            for text in texts:
                print(text, flush=True)
                wrong += 1
    summary(verdicts, args.verbose)
    print(f"seed {args.seed}: {len(verdicts)} cases in {time.monotonic() - began:.0f} s")
    print(f"{len(verdicts) - wrong} passed, {wrong} failed, 0 skipped")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
