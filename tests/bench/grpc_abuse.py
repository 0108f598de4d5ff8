#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What abuse of the gRPC port does to a healthy client's p99, and to memory.

usage: grpc_abuse.py --build DIR [--rounds 5] [--seconds 3] [--rate 300] [--guard] [--only NAME]

For each kind of abuse, in turn and several times: the healthy client beside the same attacker
that sends the same bytes at a socket which only reads them (an attacker takes a core, and where
cores are few that alone is felt), and beside the attack on the server. Medians are printed.
The attacker reconnects as soon as it is cut off, up to --connects times a second.
"""
import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
import zlib

import hpack

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from raw_http2 import (CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PREFACE, RST_STREAM,  # noqa: E402
                       SETTINGS, frame, head, message)
from signet_server import Server  # noqa: E402

INFER = "/inference.GRPCInferenceService/ModelInfer"


def calls(make, count):
    """The calls of one connection; the encoder's table makes all but the first a few bytes."""
    encoder = hpack.Encoder()
    return b"".join(make(1 + 2 * i, head(INFER, encoder=encoder)) for i in range(count))


def bomb():
    """As large as the first window lets through."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    data = message(packer.compress(bytes(60 << 20)) + packer.flush(), flag=1)
    pieces = [data[i:i + 16384] for i in range(0, len(data), 16384)]
    return frame(HEADERS, END_HEADERS, 1, head(INFER, more=[("grpc-encoding", "gzip")])) + b"".join(
        frame(DATA, END_STREAM if p is pieces[-1] else 0, 1, p) for p in pieces)


STRING = frame(HEADERS, 0, 1, b"\x40\x01x\x7f\x80\xff\xff\xff\x07") + frame(CONTINUATION, 0, 1, b"y" * 16000) * 1000
ABUSES = {
    "rapid reset": calls(lambda s, block: frame(HEADERS, END_HEADERS, s, block) + frame(
        RST_STREAM, 0, s, b"\0\0\0\x08"), 50000),
    "settings never acknowledged": calls(lambda s, block: frame(HEADERS, END_HEADERS, s, block), 20000),
    "gzip bomb": bomb(),
    "a header of 16 MB": STRING,
    "empty continuations": frame(HEADERS, 0, 1) + frame(CONTINUATION, 0, 1) * 200000,
    "settings": frame(SETTINGS) * 200000,
    "pings": frame(PING, 0, 0, b"12345678") * 100000,
}


class Attacker:
    """A process of its own, so that it takes no time of ours."""

    def __init__(self, name, port, connects):
        self.child = subprocess.Popen([sys.executable, os.path.abspath(__file__), "--attack", name,
                                       "--port", str(port), "--connects", str(connects)])
        time.sleep(1.2)  # it makes its bytes first

    def stop(self):
        self.child.kill()
        self.child.wait()


def attack(name, port, connects):
    data = PREFACE + frame(SETTINGS) + ABUSES[name]
    while True:
        due = time.monotonic() + 1 / connects
        with socket.create_connection(("127.0.0.1", port)) as s:
            s.settimeout(1)
            try:
                s.sendall(data)
                while s.recv(65536):
                    pass
            except OSError:
                pass
        time.sleep(max(0, due - time.monotonic()))


class Sink:
    """Reads and drops; closes after as many bytes as the server, about."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            s, _ = self.listener.accept()
            with s:
                got = 0
                s.settimeout(1)
                try:
                    while got < 1 << 20:
                        n = len(s.recv(65536))
                        if not n:
                            break
                        got += n
                except OSError:
                    pass


def healthy(args, server):
    out = subprocess.run(
        [os.path.join(args.build, "signet-bench"), "--url", "grpc://127.0.0.1:%d" % server.grpc_port,
         "--protocol", "grpc-v2", "--model", "digits", "--duration", str(args.seconds), "--rate", str(args.rate),
         "--json"], stdout=subprocess.PIPE, text=True)
    return json.loads(out.stdout)


def resident_mib(pid):
    with open("/proc/%d/statm" % pid) as f:
        return int(f.read().split()[1]) * 4096 / (1 << 20)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--build", default=os.environ.get("SIGNET_BUILD"))
    a.add_argument("--rounds", type=int, default=5)
    a.add_argument("--seconds", type=int, default=3)
    a.add_argument("--rate", type=int, default=300)
    a.add_argument("--connects", type=int, default=5)
    a.add_argument("--guard", action="store_true")
    a.add_argument("--only", choices=ABUSES)
    a.add_argument("--attack", help=argparse.SUPPRESS)
    a.add_argument("--port", type=int, help=argparse.SUPPRESS)
    args = a.parse_args()
    if args.attack:
        attack(args.attack, args.port, args.connects)
    sink = Sink()
    with Server(grpc=True, build=args.build, options={"grpc.guard": "on" if args.guard else "off"}) as server:
        print("%-28s %10s %10s %10s %7s %9s %7s" % (
            "abuse", "alone us", "sink us", "server us", "ratio", "MiB", "failed"))
        for name in [args.only] if args.only else ABUSES:
            p99 = {"alone": [], "sink": [], "server": []}
            failed = peak = 0
            for _ in range(args.rounds):
                p99["alone"].append(healthy(args, server)["p99_us"])
                for where, port in (("sink", sink.port), ("server", server.grpc_port)):
                    attacker = Attacker(name, port, args.connects)
                    got = healthy(args, server)
                    attacker.stop()
                    p99[where].append(got["p99_us"])
                    failed += got["errors"]
                    peak = max(peak, resident_mib(server.pid))
            alone, at_sink, at_server = (statistics.median(p99[k]) for k in ("alone", "sink", "server"))
            print("%-28s %10d %10d %10d %7.2f %9.1f %7d" % (
                name, alone, at_sink, at_server, at_server / at_sink, peak, failed), flush=True)


if __name__ == "__main__":
    main()
