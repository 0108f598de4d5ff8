#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Real models on a device: how far each case's answers are from their reference's, in f32.

usage: measure_models.py --build DIR --models DIR [--device gpu] [--patience S]
--models: a folder as tests/e2e/test_models.py reads it. --patience: a case that takes longer is given up and counted
as late. Prints a line for the table, and one for each case that is too far or late. Python's standard library only.
"""
import argparse
import array
import ast
import json
import os
import pathlib
import subprocess
import sys
import tempfile

RTOL, ATOL = 1e-3, 1e-5
CODES = {"float32": ("<f4", "f"), "float64": ("<f8", "d"), "int32": ("<i4", "i"), "int64": ("<i8", "q")}


def write_npy(path, dtype, dims, data):
    head = repr({"descr": CODES[dtype][0], "fortran_order": False, "shape": tuple(dims)})
    head += " " * (-(10 + len(head) + 1) % 64) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode() + data)


def read_npy(path):
    data = path.read_bytes()
    at = 10 + int.from_bytes(data[8:10], "little")
    head = ast.literal_eval(data[10:at].decode())
    code = {descr: code for descr, code in CODES.values()}[head["descr"]]
    return array.array(code, data[at:])


def too_far(got, want):
    """The largest share of what is allowed; above 1: too far."""
    if len(got) != len(want):
        return float("inf")
    worst = 0.0
    for a, b in zip(got, want):
        share = abs(a - b) / (ATOL + RTOL * abs(b))
        worst = share if not share <= worst else worst  # NaN too
    return worst


def run_case(args, folder, case):
    with tempfile.TemporaryDirectory() as name:
        tmp = pathlib.Path(name)
        command = [os.path.join(args.build, "signetctl"), "run", folder / "model.onnx", "--device", args.device]
        for i, row in enumerate(case["inputs"]):
            write_npy(tmp / f"in{i}.npy", row["type"], row["dims"], (folder / row["file"]).read_bytes())
            command += ["--input", f"{row['name']}={tmp}/in{i}.npy"]
        for i, row in enumerate(case["outputs"]):
            command += ["--output", f"{row['name']}={tmp}/out{i}.npy"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=args.patience)
        return max(too_far(read_npy(tmp / f"out{i}.npy"),
                           array.array(CODES[row["type"]][1], (folder / row["file"]).read_bytes()))
                   for i, row in enumerate(case["outputs"]))


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--build", required=True)
    a.add_argument("--models", required=True, type=pathlib.Path)
    a.add_argument("--device", default="gpu")
    a.add_argument("--patience", default=120, type=float)
    args = a.parse_args()
    cases = good = late = models = 0
    for path in sorted(args.models.glob("*/cases.json")):
        models += 1
        for i, case in enumerate(json.loads(path.read_text())["cases"]):
            cases += 1
            try:
                share = run_case(args, path.parent, case)
            except (subprocess.SubprocessError, OSError) as e:
                share = float("inf")
                late += isinstance(e, subprocess.TimeoutExpired)
                print(f"{path.parent.name} {i}: {e}", file=sys.stderr)
            good += share <= 1
            if not share <= 1:
                print(f"{path.parent.name} {i}: {share:.2f} times as far as allowed", file=sys.stderr)
    print(f"a. real models, f32 | within {RTOL:g} | {good} of {cases} cases of {models} models"
          f"{f', {late} late' if late else ''} | "
          f"{'yes' if cases and good == cases else 'no'}")


if __name__ == "__main__":
    main()
