#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The daemon on a device: BERT-base over gRPC and REST with batches of several requests, against the same model
in process; ResNet-50's latency at 70 % of its capacity; hot swaps under load, and the device's memory.

usage: measure_served.py --build DIR --until SECONDS [--device gpu] [--tiny]
--until: what does not begin by then, in seconds from now, is left out, and said. --tiny: a rehearsal, with the MLP
in place of both networks.

Prints a line for each of the table's rows: "row | wanted | measured | yes, no or -". Python's standard library only.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "e2e"))
from signet_server import EXAMPLES, Server  # noqa: E402

BATCH_MAX = 32
P99_MAX_US = 15000


def row(name, wanted, measured, good=None):
    print(f"{name} | {wanted} | {measured} | {'-' if good is None else 'yes' if good else 'no'}", flush=True)


class Daemon:
    """signetd with a folder of models, and loads on it."""

    def __init__(self, args, root):
        self.args = args
        options = {"model *.precision": "fp16", "model *.max_batch": str(BATCH_MAX)}
        self.server = Server(build=args.build, root=root, grpc=True, options=options, wait_ready=False,
                             args=["--device", args.device])

    def __enter__(self):
        self.server.wait_ready(timeout=120)
        return self

    def __exit__(self, *_):
        self.server.stop()

    def load(self, model, protocol, seconds, *more):
        """A load that has begun."""
        url = self.server.grpc_url if protocol.startswith("grpc") else self.server.url
        return subprocess.Popen(
            [os.path.join(self.args.build, "signet-bench"), "--url", url, "--protocol", protocol, "--model", model,
             "--duration", str(seconds), "--json", *more], stdout=subprocess.PIPE, text=True)

    def knee(self, model, protocol, seconds):
        """Answers a second of as many connections as pay: twice as many give less than 3 % more."""
        best, n = 0, 32
        while n <= 512:
            rate = report(self.load(model, protocol, seconds, "--concurrency", str(n)))["rate"]
            if rate < 1.03 * best:
                break
            best, n = rate, 2 * n
        return best

    def device_memory(self):
        _, _, body = self.server.call("GET", "/metrics")
        found = re.search(r"^signet_device_memory_used_bytes\{[^}]*\} (\S+)$", body.decode(), re.M)
        return float(found.group(1)) if found else None


def report(process):
    out, _ = process.communicate(timeout=120)
    return json.loads(out)


def in_process(args, model):
    """Rows a second of the best batch, copies included."""
    text = subprocess.run(
        [os.path.join(args.build, "bench_gpu"), "--models", model, "--copies", "--device", args.device, "--seconds",
         str(args.seconds), "--batch", "1" if args.tiny else "8,16,32"], stdout=subprocess.PIPE, text=True,
        check=True, timeout=120).stdout
    return max(float(line.split()[5]) for line in text.splitlines())


def served_rate(args, daemon, model):
    alone = in_process(args, model)
    for protocol in ("grpc-v2", "v2-binary"):
        rate = daemon.knee(model, protocol, args.seconds)
        row(f"c. {model} served over {protocol}, at the knee", ">= 0.85 of in process",
            f"{rate / alone:.2f} ({rate:.0f} of {alone:.0f} rows/s)", rate >= 0.85 * alone)


def latency(args, daemon, model):
    """An open loop of a single row a request at 70 % of what a closed one gets."""
    rate = 0.7 * daemon.knee(model, "grpc-v2", args.seconds)
    got = report(daemon.load(model, "grpc-v2", 3 * args.seconds, "--rate", str(max(1, int(rate)))))
    valid = "" if got["valid"] else ", the load generator was late or the server did not keep up"
    row(f"c. {model} at 70 % of capacity, p99", f"<= {P99_MAX_US / 1000:.0f} ms",
        f"{got['p99_us'] / 1000:.1f} ms at {rate:.0f} rows/s, {got['errors']} failed{valid}",
        got["p99_us"] <= P99_MAX_US and got["valid"] and not got["errors"])


def swaps(args, daemon):
    """Version 2 comes and goes under load; memory is read where one version is there."""
    server, memory, failed, requests = daemon.server, [], 0, 0
    n = 4 if args.tiny else 100
    process = daemon.load("digits", "v2-binary", 2, "--concurrency", "4")
    done = 0
    while done < n and time.monotonic() < args.end:
        if process.poll() is not None:
            got = report(process)
            failed, requests = failed + got["errors"], requests + got["requests"]
            process = daemon.load("digits", "v2-binary", 2, "--concurrency", "4")
        server.add("digits", "2")
        server.wait_state("2", "AVAILABLE")
        server.remove("digits", "2")
        server.wait_state("1", "AVAILABLE")
        server.wait_state("2", "END", None)
        done += 2
        memory.append(daemon.device_memory())
    got = report(process)
    failed, requests = failed + got["errors"], requests + got["requests"]
    first, last = memory[min(4, len(memory) - 1)], memory[-1]
    row("d. hot swaps under load", "100, none failed", f"{done}, {failed} of {requests} requests failed",
        done >= n and failed == 0)
    row("d. device memory over them", "flat", f"{first / 1e6:.1f} MB after 10, {last / 1e6:.1f} MB at the end",
        last <= 1.01 * first)


def main():
    began = time.monotonic()
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--build", required=True)
    a.add_argument("--until", type=float, required=True)
    a.add_argument("--device", default="gpu")
    a.add_argument("--tiny", action="store_true")
    args = a.parse_args()
    args.end, args.seconds = began + args.until, 0.3 if args.tiny else 2
    bert, resnet = ("mlp", "mlp") if args.tiny else ("bert_words", "resnet50")
    with tempfile.TemporaryDirectory() as tmp:
        root = os.path.join(tmp, "networks")
        os.mkdir(root)
        subprocess.run([os.path.join(args.build, "write_networks"), root, *{bert, resnet}], check=True)
        with Daemon(args, root) as daemon:
            served_rate(args, daemon, bert)
            latency(args, daemon, resnet)
        root = os.path.join(tmp, "digits")
        shutil.copytree(os.path.join(EXAMPLES, "digits", "1"), os.path.join(root, "digits", "1"))
        with Daemon(args, root) as daemon:
            swaps(args, daemon)


if __name__ == "__main__":
    main()
