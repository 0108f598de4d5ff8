#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many mixed gRPC calls, cancelled, late and abandoned at random, against one signetd.

usage: grpc_soak.py --build DIR [--calls 200000] [--workers 4] [--seed 1] [--tls]

Both dialects, unary calls and streams, questions about models, malformed messages; a third has
a deadline that is too short, a third is cancelled, and now and then a whole client is killed.
Prints resident memory and what is in flight as it goes. Fails when the daemon does not end by
itself with status 0 (a sanitizer's report is a status of its own), when anything is left in
flight or queued, or when no call of some kind was ever answered.
"""
import argparse
import collections
import json
import os
import random
import signal
import subprocess
import sys
import time

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(TOP, "tests", "e2e"))

OIP = "/inference.GRPCInferenceService/"
TFS = "/tensorflow.serving.PredictionService/"
BATCH = 50  # calls between two reports of a worker


# -- requests, by hand ---------------------------------------------------------------------

def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out) + bytes([n])


def field(number, data):
    return bytes([number << 3 | 2]) + varint(len(data)) + data


def v2_request(rows):
    tensor = field(1, b"image") + field(2, b"FP32") + field(3, varint(rows) + varint(64))
    return field(1, b"digits") + field(5, tensor) + field(7, bytes(256 * rows))


def tfs_request(rows):
    dims = b"".join(field(2, b"\x08" + varint(n)) for n in (rows, 64))
    tensor = b"\x08\x01" + field(2, dims) + field(4, bytes(256 * rows))
    return field(1, field(1, b"digits")) + field(2, field(1, b"image") + field(2, tensor))


# kind: (path, is a stream, a request)
KINDS = {
    "v2": (OIP + "ModelInfer", False, lambda r: v2_request(r.choice((1, 1, 1, 3, 40)))),
    "tfs": (TFS + "Predict", False, lambda r: tfs_request(r.choice((1, 1, 1, 3, 40)))),
    "stream": (OIP + "ModelStreamInfer", True, lambda r: v2_request(1)),
    "live": (OIP + "ServerLive", False, lambda r: b""),
    "metadata": (OIP + "ModelMetadata", False, lambda r: field(1, b"digits")),
    "statistics": (OIP + "ModelStatistics", False, lambda r: b""),
    "health": ("/grpc.health.v1.Health/Check", False, lambda r: b""),
    "watch": ("/grpc.health.v1.Health/Watch", True, lambda r: b""),
    "malformed": (OIP + "ModelInfer", False, lambda r: r.randbytes(r.randrange(200))),
    "malformed-tfs": (TFS + "Predict", False, lambda r: r.randbytes(r.randrange(200))),
    "truncated": (OIP + "ModelInfer", False, lambda r: v2_request(2)[:r.randrange(500)]),
    "unknown": ("/no.Such/Method", False, lambda r: b""),
}
WEIGHTS = {"v2": 8, "tfs": 8, "stream": 3}
# Never answered well, on purpose.
HOPELESS = {"malformed", "malformed-tfs", "unknown", "truncated"}


# -- a client ------------------------------------------------------------------------------

class Worker:
    def __init__(self, address, ca, seed):
        import grpc
        self.grpc, self.random = grpc, random.Random(seed)
        self.outcomes = collections.Counter()
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_reconnect_backoff_ms", 200)]
        self.channels = [
            grpc.secure_channel(address, grpc.ssl_channel_credentials(open(ca, "rb").read()), options)
            if ca else grpc.insecure_channel(address, options) for _ in range(2)]
        self.calls = {}
        for kind, (path, stream, _) in KINDS.items():
            self.calls[kind] = [c.stream_stream(path) if stream else c.unary_unary(path) for c in self.channels]

    def end(self, kind, call):
        try:
            if KINDS[kind][1]:
                for _ in call:
                    if kind == "watch":
                        call.cancel()
            else:
                call.result()
            self.outcomes[kind, "OK"] += 1
        except (self.grpc.RpcError, self.grpc.FutureCancelledError) as e:
            code = e.code().name if isinstance(e, self.grpc.RpcError) else "CANCELLED"
            self.outcomes[kind, "OK" if kind == "watch" and code == "CANCELLED" else code] += 1

    def start(self, kind):
        r = self.random
        _, stream, make = KINDS[kind]
        deadline = r.choice((20, 20, 20, 20, 0.0005, 0.002, 0.01))
        call = r.choice(self.calls[kind])
        body = make(r)
        if stream:
            return call(iter([body] * r.choice((1, 3, 20))), timeout=deadline)
        return call.future(body, timeout=deadline)

    def some(self, kinds, weights):
        """BATCH calls at once; some are cancelled soon, some later."""
        r = self.random
        calls = [(kind, self.start(kind)) for kind in r.choices(kinds, weights, k=BATCH)]
        for _, call in calls:
            if r.random() < 0.2:
                call.cancel()
        time.sleep(r.random() * 0.004)
        for _, call in calls:
            if r.random() < 0.15:
                call.cancel()
        for kind, call in calls:
            self.end(kind, call)

    def run(self, batches):
        kinds = list(KINDS)
        weights = [WEIGHTS.get(kind, 1) for kind in kinds]
        for _ in range(batches):
            self.some(kinds, weights)
            print(json.dumps([[*key, n] for key, n in self.outcomes.items()]), flush=True)
            self.outcomes.clear()


# -- the story -----------------------------------------------------------------------------

class Clients:
    """Processes; each lives for some batches, and one in four is killed before."""

    def __init__(self, args, address, ca):
        self.args, self.address, self.ca = args, address, ca
        self.random = random.Random(args.seed)
        self.total, self.killed, self.failed = 0, 0, 0
        self.outcomes = collections.Counter()

    def spawn(self):
        words = [sys.executable, os.path.abspath(__file__), "--worker", self.address, "--seed",
                 str(self.random.randrange(1 << 30)), "--calls", str(BATCH * self.random.randrange(10, 120))]
        return subprocess.Popen(words + (["--ca", self.ca] if self.ca else []), stdout=subprocess.PIPE, text=True)

    def follow(self, child):
        """Until it ends, or is killed: yields now and then."""
        left = self.random.randrange(1, 60) if self.random.random() < 0.25 else None
        for line in child.stdout:
            for kind, code, n in json.loads(line):
                self.outcomes[kind, code] += n
                self.total += n
            if left is not None:
                left -= 1
                if left == 0:
                    time.sleep(self.random.random() * 0.02)  # amid the next ones
                    child.kill()
                    self.killed += 1
                    break
            yield
        child.stdout.close()
        child.wait()
        self.failed += child.returncode not in (0, -signal.SIGKILL)

    def run(self, on_progress):
        running = []
        while self.total < self.args.calls:
            while len(running) < self.args.workers:
                running.append(self.follow(self.spawn()))
            for one in list(running):
                if next(one, self) is self:
                    running.remove(one)
            on_progress(self.total)
        for one in running:
            for _ in one:
                pass


def resident_mib(pid):
    with open("/proc/%d/statm" % pid) as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def gauges(server):
    names = ("signet_grpc_in_flight", "signet_grpc_connections", "signet_queue_rows", "process_open_fds")
    text = server.call("GET", "/metrics", timeout=120)[2].decode()
    return {n: sum(float(line.split(" ")[-1]) for line in text.split("\n") if line.startswith(n)) for n in names}


def settle(server):
    """Nothing in flight, queued or connected, within a minute."""
    until = time.monotonic() + 60
    while True:
        g = gauges(server)
        left = {n: v for n, v in g.items() if v and n != "process_open_fds"}
        if not left or time.monotonic() > until:
            return g, left
        time.sleep(0.2)


def play(args, server, ca):
    clients = Clients(args, "localhost:%d" % server.grpc_port, ca)
    began, step, due = time.monotonic(), max(args.calls // 20, 1), 0

    def progress(total):
        nonlocal due
        if total < due:
            return
        due = total + step
        g = gauges(server)
        print("%8d calls %7.1f s  %7.1f MiB  %4d in flight  %3d connections  %4d descriptors  %d killed" % (
            total, time.monotonic() - began, resident_mib(server.pid), g["signet_grpc_in_flight"],
            g["signet_grpc_connections"], g["process_open_fds"], clients.killed), flush=True)

    clients.run(progress)
    g, left = settle(server)
    print("%8d calls, then at rest: %.1f MiB, %d descriptors" % (
        clients.total, resident_mib(server.pid), g["process_open_fds"]))
    by_kind = collections.defaultdict(dict)
    for (kind, code), n in sorted(clients.outcomes.items()):
        by_kind[kind][code] = n
    for kind, codes in by_kind.items():
        print("  %-14s %s" % (kind, ", ".join("%s %d" % c for c in codes.items())))
    problems = ["left over: %s" % left] if left else []
    problems += ["%d clients ended badly" % clients.failed] if clients.failed else []
    problems += ["no %s was answered" % k for k in KINDS if k not in HOPELESS and not by_kind[k].get("OK")]
    return problems


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--build", default=os.environ.get("SIGNET_BUILD"))
    a.add_argument("--calls", type=int, default=200000)
    a.add_argument("--workers", type=int, default=4)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--tls", action="store_true", help="through the relay, with TLS")
    a.add_argument("--worker", help=argparse.SUPPRESS)
    a.add_argument("--ca", help=argparse.SUPPRESS)
    args = a.parse_args()
    if args.worker:
        Worker(args.worker, args.ca, args.seed).run(args.calls // BATCH)
        return 0
    os.environ.setdefault("TSAN_OPTIONS", "exitcode=66:suppressions=" + os.path.join(
        TOP, "tests", "support", "tsan.supp"))
    from certificates import Authority
    from signet_server import Server
    options = {"model *.batch_delay": "1ms", "grpc.resets_max": "1000000"}
    authority = Authority() if args.tls else None
    if authority:
        cert, key = authority.sign("server")
        options.update({"grpc.tls_cert": cert, "grpc.tls_key": key})
    server = Server(grpc=True, build=args.build, options=options)
    try:
        problems = play(args, server, authority.ca if authority else None)
    finally:
        status = server.stop(timeout=120)
        if authority:
            authority.close()
    if status != 0:
        print("\n".join(server.log[-200:]))
        problems.append("signetd ended with %d" % status)
    for problem in problems:
        print("FAILED: " + problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
