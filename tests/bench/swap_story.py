#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hot swap under load, with figures.

Serves the digits example and looks for the highest open-loop rate at which the slower of its two
versions keeps its p99 under 10 ms: its capacity. Then holds 70 % of it, in turn in peace with
each version and while versions go 1 -> 2 -> broken 3 -> 2 removed -> 1, again and again. Prints
failed requests, answers that are no version's, p99 with and without swaps (medians of the turns;
without: the slower version's), and resident memory after the 10th and the last cycle.

usage: swap_story.py --build DIR --examples DIR [--protocol P] [--cycles N] [--share 0.7]
                     [--rate R] [--seconds S]
--protocol is one of signet-bench's. --rate: this many requests a second instead of a share of the
capacity, which is then not looked for. --seconds: of one turn.

Exit status 1 when a request failed or an answer was no version's.
"""

import argparse
import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from signet_server import Server  # noqa: E402


def settled_rss_kib(pid):
    """The least of four seconds: a load in progress and its memory are not what is kept, and
    the reaper puts off giving freed memory back for up to two."""
    least = rss_kib(pid)
    for _ in range(40):
        time.sleep(0.1)
        least = min(least, rss_kib(pid))
    return least


def rss_kib(pid):
    with open(f"/proc/{pid}/status") as f:
        for line in f:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    raise RuntimeError("no VmRSS")


class Repository:
    """The model directory, changed as a careful user would: whole versions renamed in."""

    def __init__(self, root, examples):
        self.model = os.path.join(root, "digits")
        self.staging = os.path.join(root, "..", "staging")
        self.examples = examples
        os.makedirs(self.model)
        os.makedirs(self.staging)

    def add(self, version, broken=False):
        tmp = os.path.join(self.staging, str(version))
        shutil.rmtree(tmp, ignore_errors=True)
        os.makedirs(tmp)
        target = os.path.join(tmp, "model.onnx")
        if broken:
            with open(os.path.join(self.examples, "1", "model.onnx"), "rb") as f:
                data = f.read()
            with open(target, "wb") as f:
                f.write(data[: len(data) // 2])
        else:
            shutil.copy(os.path.join(self.examples, str(version), "model.onnx"), target)
        os.rename(tmp, os.path.join(self.model, str(version)))

    def remove(self, version):
        gone = os.path.join(self.staging, f"gone-{version}")
        shutil.rmtree(gone, ignore_errors=True)
        os.rename(os.path.join(self.model, str(version)), gone)
        shutil.rmtree(gone)


class Swapper:
    """Asks over one connection and not often: what it takes from the cores is not the server's."""

    def __init__(self, server, repository):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        self.repository = repository

    def states(self):
        self.connection.request("GET", "/v1/models/digits")
        rows = json.load(self.connection.getresponse())["model_version_status"]
        return {int(r["version"]): r["state"] for r in rows}

    def wait(self, version, *states):
        end = time.monotonic() + 30
        while time.monotonic() < end:
            state = self.states().get(version)
            if state in states:
                return
            time.sleep(0.05)
        raise TimeoutError(f"version {version} is {self.states().get(version)}, wanted {states}")

    def cycle(self):
        self.repository.add(2)
        self.wait(2, "AVAILABLE")
        self.repository.add(3, broken=True)
        self.wait(3, "END")
        assert self.states()[2] == "AVAILABLE"
        self.repository.remove(3)
        self.repository.remove(2)
        self.wait(1, "AVAILABLE")
        self.wait(2, "END", None)


def bench(args, server, seconds, *extra):
    url = server.grpc_url if args.protocol.startswith("grpc") else server.url
    return subprocess.Popen(
        [os.path.join(args.build, "signet-bench"), "--url", url, "--protocol", args.protocol,
         "--model", "digits", "--duration", str(seconds), "--json", *extra],
        stdout=subprocess.PIPE, text=True, preexec_fn=at_normal_priority)


def at_normal_priority():
    """The swapping script is nice, so that it does not disturb what it measures; its load is not."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    except PermissionError:
        pass


def report(process):
    out, _ = process.communicate()
    return json.loads(out)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--build", required=True)
    a.add_argument("--examples", required=True)
    a.add_argument("--cycles", type=int, default=100)
    a.add_argument("--share", type=float, default=0.7)
    a.add_argument("--protocol", default="v2-binary")
    a.add_argument("--rate", type=float)
    a.add_argument("--seconds", type=float, default=10)
    args = a.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        root = os.path.join(tmp, "models")
        os.makedirs(root)
        repository = Repository(root, args.examples)
        repository.add(1)
        with Server(build=args.build, root=root, grpc=True) as server:
            os.nice(19)
            return story(args, server, repository, tmp)


def references(args, tmp):
    """One input and each version's answer to it, for --check."""
    import numpy as np

    x = np.random.default_rng(5).random((1, 64), dtype=np.float32)
    np.save(os.path.join(tmp, "x.npy"), x)
    files = []
    for version in (1, 2):
        out = os.path.join(tmp, f"y{version}.npy")
        subprocess.run(
            [os.path.join(args.build, "signetctl"), "run",
             os.path.join(args.examples, str(version), "model.onnx"),
             "--input", f"image={tmp}/x.npy", "--output", f"probabilities={out}"], check=True)
        files.append(out)
    far = float(abs(np.load(files[0]) - np.load(files[1])).max())
    print(f"the versions' answers are {far:.3f} apart")
    return os.path.join(tmp, "x.npy"), files


def find_capacity(args, server, load):
    """The highest rate, in steps of a sixth, that an open loop sustains for three seconds."""
    rate = report(bench(args, server, 3, "--concurrency", "16", *load))["rate"]
    while True:
        got = report(bench(args, server, 3, "--rate", str(int(rate)), "--arrivals", "poisson",
                           *load))
        if got["valid"] and got["p99_us"] < 10000 and not got["errors"]:
            return rate
        rate /= 1.2


def load_while(args, server, hold, during):
    """What the load saw of args.seconds in which during(end) was done, if anything."""
    process = bench(args, server, args.seconds, *hold)
    during(time.monotonic() + args.seconds - 1)
    return report(process)


def turns(args, server, swapper, hold):
    """Reports in peace with version 1, with version 2, and under swaps, as often as the cycles
    take; and resident KiB after cycle 10 and the last, when the turn's load has gone: how many
    connections an open loop opens is not the swaps' doing."""
    done, rss = 0, {}
    peace, swapped = ([], []), []

    def swap(end):
        nonlocal done
        while time.monotonic() < end and done < args.cycles:
            swapper.cycle()
            done += 1
            if done == 10:
                break

    swapper.cycle()
    while done < args.cycles:
        peace[0].append(load_while(args, server, hold, lambda end: None))
        swapper.repository.add(2)
        swapper.wait(2, "AVAILABLE")
        peace[1].append(load_while(args, server, hold, lambda end: None))
        swapper.repository.remove(2)
        swapper.wait(1, "AVAILABLE")
        swapper.wait(2, "END", None)
        swapped.append(load_while(args, server, hold, swap))
        if done in (10, args.cycles):
            rss[done] = settled_rss_kib(server.pid)
    return peace, swapped, rss


def story(args, server, repository, tmp):
    x, files = references(args, tmp)
    load = ["--input", f"image={x}"]
    for f in files:
        load += ["--check", f"probabilities={f}"]
    swapper = Swapper(server, repository)
    capacity = 0 if args.rate else find_capacity(args, server, load)
    repository.add(2)
    swapper.wait(2, "AVAILABLE")
    capacity = 0 if args.rate else min(capacity, find_capacity(args, server, load))
    rate = str(int(args.rate or capacity * args.share))
    print(f"capacity {capacity or 'unknown'}, load {rate}/s over {args.protocol}", flush=True)
    repository.remove(2)
    swapper.wait(1, "AVAILABLE")
    peace, swapped, rss = turns(args, server, swapper,
                                ["--rate", rate, "--arrivals", "poisson", *load])
    return tell(args, peace, swapped, rss)


def tell(args, peace, swapped, rss):
    def p99(reports):
        return statistics.median(r["p99_us"] for r in reports)

    failed = sum(r["errors"] for r in swapped)
    wrong = sum(r["check"]["none"] for r in swapped)
    quiet = max(p99(peace[0]), p99(peace[1]))
    print(f"{args.cycles} cycles, {sum(r['requests'] for r in swapped)} requests: {failed} failed, "
          f"{wrong} no version's answer")
    print(f"p99 {p99(swapped):.0f} us under swaps, {quiet:.0f} us without: "
          f"{p99(swapped) / quiet:.2f} times (medians of {len(swapped)} turns)")
    if 10 in rss:
        first, last = rss[10], rss[args.cycles]
        print(f"resident after cycle 10: {first} KiB, after cycle {args.cycles}: {last} KiB "
              f"({100.0 * (last - first) / first:+.1f} %)")
    return 1 if failed or wrong or any(r["errors"] for r in peace[0] + peace[1]) else 0


if __name__ == "__main__":
    sys.exit(main())
