# SPDX-License-Identifier: Apache-2.0
"""The hot swap story: constant load while versions go 1 -> 2 -> broken 3 -> 2 removed -> 1.

Every request is answered, every answer is one version's, memory returns. The figures of a
long run are tests/bench/swap_story.py's; this one is about what must never happen.

SIGNET_TEST_SWAPS (default 12) says how many rounds.
"""

import http.client
import json
import os
import threading
import time

import signet

ROUNDS = int(os.environ.get("SIGNET_TEST_SWAPS", "12"))
RATE_PER_S = 150
CLIENTS = 3
IMAGE = [((i * 7) % 17) / 1.0 for i in range(64)]
BODY = json.dumps({"inputs": [
    {"name": "image", "datatype": "FP32", "shape": [1, 64], "data": IMAGE}]})
JSON = {"Content-Type": "application/json"}


def close(a, b):
    return all(abs(x - y) <= 1e-5 for x, y in zip(a, b, strict=True))


def infer(connection):
    """(status, version, probabilities) of the one image."""
    connection.request("POST", "/v2/models/digits/infer", BODY, JSON)
    reply = connection.getresponse()
    body = reply.read()
    if reply.status != 200:
        return reply.status, body, None
    answer = json.loads(body)
    return 200, answer["model_version"], answer["outputs"][0]["data"]


class Load:
    """Open loop: request k is due at k / RATE, whatever became of those before."""

    def __init__(self, port):
        self.port = port
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.due = 0
        self.began = time.monotonic()
        self.failures = []
        self.answers = {}  # version -> its answers, those within 1e-5 of each other once
        self.threads = [threading.Thread(target=self._run) for _ in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def _run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        while not self.stop.is_set():
            with self.lock:
                due, self.due = self.due, self.due + 1
            time.sleep(max(0, self.began + due / RATE_PER_S - time.monotonic()))
            try:
                status, version, probabilities = infer(connection)
            except (OSError, http.client.HTTPException) as e:
                status, version, probabilities = 0, repr(e), None
                connection.close()
            with self.lock:
                if status != 200:
                    self.failures.append((status, version))
                    continue
                known = self.answers.setdefault(version, [])
                if not any(close(probabilities, other) for other in known):
                    known.append(probabilities)

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()


class Swap(signet.Story):
    def answers(self, version):
        def holds():
            status, answer = self.server.get("/v2/models/digits/versions/%d/ready" % version)
            return status == 200
        signet.wait_until(holds, "version %d is ready\n%s" % (version, self.server.log()))

    def is_state(self, version, state):
        def holds():
            status, body, = self.server.request("POST", "/v2/repository/index")[0::2]
            rows = json.loads(body)
            found = [row["state"] for row in rows if row["version"] == str(version)]
            return (found or ["GONE"])[0] == state
        signet.wait_until(holds, "version %d becomes %s\n%s" % (version, state, self.server.log()))

    def add(self, version, broken=False):
        file = os.path.join(signet.DIGITS, str(version), "model.onnx")
        if not broken:
            self.models.add("digits", version, file)
            return
        half = os.path.join(self.models.path, ".half")
        with open(os.path.join(signet.DIGITS, "1", "model.onnx"), "rb") as whole:
            start = whole.read(5000)
        with open(half, "wb") as cut:
            cut.write(start)
        self.models.add("digits", version, half)

    def round(self):
        self.add(2)
        self.answers(2)
        self.is_state(1, "UNAVAILABLE")
        self.add(3, broken=True)
        signet.wait_until(lambda: self.server.log().count("version 3: failed") > self.failed,
                          "version 3 fails")
        self.failed += 1
        self.models.remove("digits", 2)
        self.answers(1)
        self.is_state(2, "GONE")
        self.models.remove("digits", 3)
        self.is_state(3, "GONE")

    def test_no_request_fails_and_every_answer_is_one_version_s(self):
        self.failed = 0
        self.add(1)
        self.server = self.daemon("--set", "repository.settle=200ms").ready()
        load = Load(self.server.port)
        self.addCleanup(load.end)
        resident = []
        for _ in range(ROUNDS):
            self.round()
            resident.append(self.server.rss_kib())
        load.end()
        self.assertEqual(load.failures, [])
        self.assertEqual(set(load.answers), {"1", "2"})
        self.assertEqual({len(of) for of in load.answers.values()}, {1}, "a version has one answer")
        self.assertFalse(close(load.answers["1"][0], load.answers["2"][0]), "versions look alike")
        # Memory goes back at most once a second, so single figures jump by a version or two
        # (1 MiB); a leak of one a round would lift the least of the last third above all before.
        third = max(1, ROUNDS // 3)
        if not signet.is_sanitized():
            self.assertLess(min(resident[-third:]), max(resident[:third]) * 1.05, resident)
        self.assertEqual(self.server.stop(), 0)


if __name__ == "__main__":
    signet.main()
