#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Does the daemon leak? Loads, asks and unloads a version again and again under valgrind.

Each cycle drops version 2 of the digits beside version 1, asks both over REST and gRPC, drops a
broken version 3, and takes 2 and 3 away. At the end the daemon is stopped with SIGTERM, and what
valgrind found is told.

usage: leaks.py --build DIR [--cycles N] [--log FILE]

Exit status 1 when memory was lost or used wrongly. Needs Debian's valgrind.
"""
import argparse
import os
import re
import sys
import tempfile

import numpy as np
import tritonclient.grpc

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from signet_server import Server  # noqa: E402

FOUND = re.compile(r"(definitely lost|indirectly lost|possibly lost|ERROR SUMMARY): (.*)")
# Possibly lost: what only a pointer into its middle holds, as libraries' threads do.
MUST_BE_NOTHING = ("definitely lost", "indirectly lost", "ERROR SUMMARY")


def wrapped(folder, build, log):
    """A build folder whose daemon runs under valgrind."""
    path = os.path.join(folder, "signetd")
    with open(path, "w") as f:
        f.write("#!/bin/sh\nexec valgrind --leak-check=full --show-leak-kinds=definite,indirect "
                "--errors-for-leak-kinds=definite,indirect --num-callers=30 --log-file='%s' "
                "'%s/signetd' \"$@\"\n" % (log, build))
    os.chmod(path, 0o755)
    return folder


def ask(server, client, version):
    image = tritonclient.grpc.InferInput("image", [1, 64], "FP32")
    image.set_data_from_numpy(np.zeros((1, 64), np.float32))
    client.infer("digits", [image], model_version=version)
    status, _, body = server.call("POST", "/v1/models/digits/versions/%s:predict" % version,
                                  b'{"instances": [%s]}' % str([0] * 64).encode())
    assert status == 200, body


def cycle(server, client):
    server.add("digits", "2")
    server.wait_state("2", "AVAILABLE", timeout=300)
    ask(server, client, "2")
    server.add("digits", "3", data=b"not a model")
    server.wait_state("3", "END", timeout=300)
    server.remove("digits", "3")
    server.remove("digits", "2")
    server.wait_state("1", "AVAILABLE", timeout=300)
    server.wait_state("2", "END", None, timeout=300)
    ask(server, client, "1")


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--build", required=True)
    a.add_argument("--cycles", type=int, default=100)
    a.add_argument("--log", default="valgrind.log")
    args = a.parse_args()
    log = os.path.abspath(args.log)
    with tempfile.TemporaryDirectory() as tmp:
        server = Server(build=wrapped(tmp, os.path.abspath(args.build), log), grpc=True,
                        wait_ready=False)
        server.wait_ready(timeout=300)
        with tritonclient.grpc.InferenceServerClient(server.grpc_url.split("//")[1]) as client:
            for i in range(args.cycles):
                cycle(server, client)
                print("cycle %d of %d" % (i + 1, args.cycles), end="\r", file=sys.stderr, flush=True)
        status = server.stop(timeout=300)
    with open(log) as f:
        found = dict(FOUND.findall(f.read()))
    print("%d cycles of load and unload, exit status %d; %s" % (
        args.cycles, status, "; ".join("%s: %s" % pair for pair in found.items())))
    clean = all(found.get(name, "0").startswith("0 ") for name in MUST_BE_NOTHING)
    return 0 if clean and status == 0 and "ERROR SUMMARY" in found else 1


if __name__ == "__main__":
    sys.exit(main())
