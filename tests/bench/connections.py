#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many connections: what 2,000 idle-ish and 10,000 slow ones do to a healthy client's p99.

usage: connections.py --build DIR --examples DIR [--slow 10000] [--open 2000]
Prints p99 of healthy connections at a fixed rate, alone and in turn beside --open keep-alive
connections that send a request now and then, and beside --slow connections that drip a header byte
by byte (medians of --rounds); then lowers the server's descriptor limit, runs out of them on
purpose, and shows that it recovers.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from signet_server import Server  # noqa: E402


def healthy(build, server, rate, seconds):
    out = subprocess.run(
        [os.path.join(build, "signet-bench"), "--url", server.url, "--protocol", "v2-binary",
         "--model", "digits", "--duration", str(seconds), "--rate", str(rate), "--arrivals",
         "poisson", "--json"], stdout=subprocess.PIPE, text=True)
    return json.loads(out.stdout)


class Crowd:
    """count connections, each of which does its little thing once a period (bench_crowd.c)."""

    def __init__(self, build, port, count, period_ms, what):
        self.process = subprocess.Popen(
            [os.path.join(build, "bench_crowd"), str(port), str(count), str(period_ms), what],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.open = int(self.process.stdout.readline())

    def close(self):
        """How many are still there."""
        return int(self.process.communicate()[0])


def descriptors(args, root):
    """Out of descriptors: the server refuses, then serves again."""
    with Server(build=args.build, root=root, preexec=lambda: resource.setrlimit(
            resource.RLIMIT_NOFILE, (100, 100))) as server:
        crowd = Crowd(args.build, server.port, 300, 200, "ask")
        time.sleep(2)
        crowd.close()
        time.sleep(0.5)
        with urllib.request.urlopen(server.url + "/v2/health/ready", timeout=5) as r:
            print(f"descriptors ran out with 300 connections at a limit of 100; "
                  f"afterwards ready answers {r.status}")


def compare(args, server, name, count, period_ms, what):
    """Alone and beside the crowd in turn, so that what else the machine does falls on both."""
    p99 = {"alone": [], "beside": []}
    errors = 0
    for _ in range(args.rounds):
        p99["alone"].append(healthy(args.build, server, args.rate, args.seconds)["p99_us"])
        crowd = Crowd(args.build, server.port, count, period_ms, what)
        got = healthy(args.build, server, args.rate, args.seconds)
        left = crowd.close()
        p99["beside"].append(got["p99_us"])
        errors += got["errors"]
        time.sleep(1)  # until the server has closed them
    alone, beside = (statistics.median(v) for v in p99.values())
    print(f"beside {name} ({crowd.open} opened, {left} still there): p99 {beside:.0f} us, alone "
          f"{alone:.0f} us ({beside / alone:.2f} times), {errors} errors", flush=True)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--build", required=True)
    a.add_argument("--examples", required=True)
    a.add_argument("--open", type=int, default=2000)
    a.add_argument("--slow", type=int, default=10000)
    a.add_argument("--rate", type=int, default=1000)
    a.add_argument("--rounds", type=int, default=3)
    a.add_argument("--seconds", type=float, default=5)
    args = a.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as tmp:
        root = os.path.join(tmp, "models")
        os.makedirs(root)
        os.symlink(os.path.abspath(args.examples), os.path.join(root, "digits"))
        with Server(build=args.build, root=root,
                    options={"http.connections_max": "16000"}) as server:
            crowds = ((f"{args.open} open connections", args.open, 2000, "ask"),
                      (f"{args.slow} slow connections", args.slow, 5000, "drip"))
            for name, *how in crowds:
                compare(args, server, name, *how)
        descriptors(args, root)


if __name__ == "__main__":
    main()
