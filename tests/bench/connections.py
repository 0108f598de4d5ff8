#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many connections: what 2,000 idle-ish and 10,000 slow ones do to a healthy client's p99.

usage: connections.py --build DIR --examples DIR [--slow 10000] [--open 2000]
Prints p99 of 8 healthy connections at a fixed rate alone, beside --open keep-alive connections
that send a request now and then, and beside --slow connections that drip a header byte by byte;
then lowers the server's descriptor limit, runs out of them on purpose, and shows that it recovers.
"""

import argparse
import json
import os
import resource
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from signet_server import Server  # noqa: E402


def healthy(build, server, rate, seconds=8):
    out = subprocess.run(
        [os.path.join(build, "signet-bench"), "--url", server.url, "--protocol", "v2-binary",
         "--model", "digits", "--duration", str(seconds), "--rate", str(rate), "--arrivals",
         "poisson", "--json"], stdout=subprocess.PIPE, text=True)
    return json.loads(out.stdout)


class Crowd:
    """count connections; each gets one step() a period."""

    def __init__(self, address, count, period, step):
        self.sockets, self.refused = [], 0
        for i in range(count):
            s = socket.socket()
            # Loopback has 28,000 ports an address; the crowd comes from several.
            s.bind((f"127.0.0.{2 + i % 8}", 0))
            try:
                s.connect(address)
                s.setblocking(False)
                self.sockets.append(s)
            except OSError:
                self.refused += 1
                s.close()
        self.period, self.step = period, step
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        n = 0
        while not self.stop.is_set():
            begin = time.monotonic()
            alive = list(self.sockets)
            for i, s in enumerate(alive):
                if self.stop.is_set():
                    return
                try:
                    self.step(s, n)
                except BlockingIOError:
                    pass
                except OSError:
                    self.sockets.remove(s)
                    s.close()
                if i % 100 == 99:
                    time.sleep(self.period / max(len(alive) / 100, 1))
            n += 1
            time.sleep(max(0.0, begin + self.period - time.monotonic()))

    def close(self):
        self.stop.set()
        self.thread.join()
        for s in self.sockets:
            s.close()


REQUEST = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n"
HEAD = b"POST /v2/models/digits/infer HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"a" * 4000


def ask_now_and_then(s, n):
    try:
        s.recv(65536)
    except BlockingIOError:
        pass
    s.send(REQUEST)


def drip(s, n):
    s.send(HEAD[n:n + 1])


def descriptors(args, root):
    """Out of descriptors: the server refuses, then serves again."""
    with Server(build=args.build, root=root, preexec=lambda: resource.setrlimit(
            resource.RLIMIT_NOFILE, (100, 100))) as server:
        crowd = Crowd(server.address, 300, 0.2, ask_now_and_then)
        time.sleep(2)
        crowd.close()
        time.sleep(0.5)
        with urllib.request.urlopen(server.url + "/v2/health/ready", timeout=5) as r:
            print(f"descriptors ran out with 300 connections at a limit of 100; "
                  f"afterwards ready answers {r.status}")


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--build", required=True)
    a.add_argument("--examples", required=True)
    a.add_argument("--open", type=int, default=2000)
    a.add_argument("--slow", type=int, default=10000)
    a.add_argument("--rate", type=int, default=1000)
    args = a.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as tmp:
        root = os.path.join(tmp, "models")
        os.makedirs(root)
        os.symlink(os.path.abspath(args.examples), os.path.join(root, "digits"))
        with Server(build=args.build, root=root,
                    options={"http.connections_max": "16000"}) as server:
            alone = healthy(args.build, server, args.rate)
            print(f"alone: p99 {alone['p99_us']:.0f} us, {alone['errors']} errors")
            for name, count, period, step in (
                    (f"{args.open} open connections", args.open, 2.0, ask_now_and_then),
                    (f"{args.slow} slow connections", args.slow, 5.0, drip)):
                crowd = Crowd(server.address, count, period, step)
                got = healthy(args.build, server, args.rate)
                print(f"beside {name} ({len(crowd.sockets)} still there, {crowd.refused} refused): "
                      f"p99 {got['p99_us']:.0f} us ({got['p99_us'] / alone['p99_us']:.2f} times), "
                      f"{got['errors']} errors")
                crowd.close()
        descriptors(args, root)


if __name__ == "__main__":
    main()
