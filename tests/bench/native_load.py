#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long a native file takes to load, beside `cat FILE >/dev/null`, both with the file in the system's cache.

Each process loads once and runs once. Cold ones begin after a pause, in which a host takes free memory back
from a virtual machine (3 s where this was written): that is what an operator sees who starts a server. Warm ones
follow the one before at once. They alternate with cat; medians. cat copies all of the file; a machine of the
kind that it was compiled for leaves aside the weights that it has packed, half of a transformer's file.

usage: native_load.py --signetctl PATH [--threads N] [--rounds N] [--pause S] MODEL.onnx
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile
import time

PAUSE_S, ROUNDS = 5, 7


def load_ms(signetctl, file, threads):
    command = [signetctl, "run", str(file), "--threads", str(threads), "--repeat", "1", "--json"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["load_ms"]


def cat_ms(file):
    began = time.perf_counter()
    subprocess.run(["cat", str(file)], check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - began) * 1e3


def in_turn(signetctl, file, threads, rounds, pause_s):
    """Medians: load, cat."""
    pairs = []
    cat_ms(file)  # into the cache
    for _ in range(rounds):
        time.sleep(pause_s)
        load = load_ms(signetctl, file, threads)
        time.sleep(pause_s)
        pairs.append((load, cat_ms(file)))
    return tuple(map(statistics.median, zip(*pairs)))


def measure(signetctl, model, threads, rounds=ROUNDS, pause_s=PAUSE_S):
    """A sentence."""
    with tempfile.TemporaryDirectory(dir=pathlib.Path(model).parent) as folder:
        file = pathlib.Path(folder) / "model.signet"
        subprocess.run([signetctl, "compile", str(model), "-o", str(file)], check=True, stdout=subprocess.DEVNULL)
        cold, cat = in_turn(signetctl, file, threads, rounds, pause_s)
        warm, cat_warm = in_turn(signetctl, file, threads, rounds, 0)
        size = file.stat().st_size / 1e6
    return (f"The native file of {pathlib.Path(model).stem} ({size:.0f} MB, in the cache) is loaded by a process that "
            f"begins {pause_s} s after the one before in {cold:.1f} ms ({threads} threads), {cold / cat:.2f} of what "
            f"`cat FILE >/dev/null` takes then ({cat:.1f}); without pauses in {warm:.1f} ms, {warm / cat_warm:.2f} of "
            f"cat's {cat_warm:.1f}. Medians of {rounds}.")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--signetctl", default="./signetctl")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--pause", type=float, default=PAUSE_S)
    args = parser.parse_args()
    print(measure(args.signetctl, args.model, args.threads, args.rounds, args.pause))


if __name__ == "__main__":
    main()
