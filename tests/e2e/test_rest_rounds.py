# SPDX-License-Identifier: Apache-2.0
"""What one IO thread finds ready at once: the daemon is stopped while requests arrive, then goes on.

Quick requests of a round run as one batch; each gets the answer that it gets alone.
"""
import contextlib
import json
import os
import signal
import socket
import time
import unittest

import signet
from signet_server import Server, read_answer, reset, status_of

PATH = "/v2/models/digits/infer"


def request(value, headers=""):
    body = json.dumps({"inputs": [{"name": "image", "shape": [1, 64], "datatype": "FP32",
                                   "data": [float(value % 16)] * 64}]})
    return (f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{headers}"
            f"Content-Length: {len(body)}\r\n\r\n{body}").encode()


def outputs(answer):
    return json.loads(answer.partition(b"\r\n\r\n")[2])["outputs"]


class Rounds(unittest.TestCase):
    def setUp(self):
        self.s = Server(models={"digits": ["1"]}, options={"http.io_threads": "1", "http.body_timeout": "1h"})
        self.addCleanup(lambda: self.assertEqual(self.s.stop(), 0))
        self.open = contextlib.ExitStack()
        self.addCleanup(self.open.close)

    def connections(self, count):
        """That the daemon has taken in."""
        made = [self.open.enter_context(self.s.connect()) for _ in range(count)]
        for c in made:
            c.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertEqual(status_of(read_answer(c)), 200)
        return made

    @contextlib.contextmanager
    def stopped(self):
        os.kill(self.s.pid, signal.SIGSTOP)
        try:
            yield
            time.sleep(0.05)
        finally:
            os.kill(self.s.pid, signal.SIGCONT)

    def batches(self):
        stats = json.loads(self.s.call("GET", "/v2/models/digits/stats")[2])["model_stats"][0]
        return {b["batch_size"]: b["compute_infer"]["count"] for b in stats["batch_stats"]}

    def test_who_closes_with_the_last_request_is_closed(self):
        # Bytes and the end are one event, after which libmicrohttpd does not look again.
        closing = self.connections(4)
        staying = self.connections(1)[0]
        with self.stopped():
            for c in closing:
                c.sendall(request(3))
                c.shutdown(socket.SHUT_WR)
        for c in closing:
            c.settimeout(20)
            self.assertEqual(status_of(read_answer(c)), 200)
            self.assertEqual(c.recv(1), b"")
        staying.sendall(request(3))
        self.assertEqual(status_of(read_answer(staying)), 200)

    def test_who_goes_amid_a_body_is_not_waited_for(self):
        gone = self.connections(4)
        with self.stopped():
            for c in gone:
                c.sendall(request(3).replace(b"Content-Length: ", b"Content-Length: 100") + b" " * 50000)
                c.close()
        signet.wait_until(lambda: self.s.metric("signet_http_in_flight") == 1, "nobody but who asks is in flight")

    def test_any_number_of_connections_may_be_ready_at_once(self):
        # libmicrohttpd fetches 128 events at a time, and asked for more, without end.
        connections = self.connections(256)
        for count in (127, 128, 129, 256):
            with self.stopped():
                for i, c in enumerate(connections[:count]):
                    c.sendall(request(i))
            for c in connections[:count]:
                self.assertEqual(status_of(read_answer(c)), 200)

    def answers_alone(self, connections):
        alone = []
        for i, c in enumerate(connections):
            c.sendall(request(i))
            alone.append(outputs(read_answer(c)))
        self.assertEqual(set(self.batches()), {1})
        return alone

    def assert_answered_as(self, connections, alone):
        for c, expected in zip(connections, alone):
            got = outputs(read_answer(c))
            self.assertEqual(got[0]["data"], expected[0]["data"])
            for a, b in zip(got[1]["data"], expected[1]["data"]):
                self.assertAlmostEqual(a, b, places=5)

    def test_requests_of_a_round_run_together_and_are_answered_as_alone(self):
        connections = self.connections(16)
        alone = self.answers_alone(connections)
        for _ in range(3):
            with self.stopped():
                for i, c in enumerate(connections):
                    c.sendall(request(i))
            self.assert_answered_as(connections, alone)
        batches = self.batches()
        self.assertEqual(sum(size * n for size, n in batches.items()), 4 * 16)
        self.assertGreater(max(batches), 1, batches)

    def test_who_comes_while_others_are_answered_is_answered_as_alone(self):
        connections = self.connections(16)
        alone = self.answers_alone(connections)
        texts = [request(i) for i in range(16)]
        for _ in range(100):
            for c, text in zip(connections, texts):
                c.sendall(text)
            self.assert_answered_as(connections, alone)
        batches = self.batches()
        self.assertEqual(sum(size * n for size, n in batches.items()), 101 * 16)
        self.assertGreater(max(batches), 1, batches)

    def test_who_leaves_or_is_wrong_or_late_spoils_nothing_for_the_others(self):
        connections = self.connections(24)
        for _ in range(5):
            gone = [self.open.enter_context(self.s.connect()) for _ in range(4)]
            for c in gone:
                c.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
                read_answer(c)
            with self.stopped():
                for i, c in enumerate(connections):
                    late = "x-envoy-expected-rq-timeout-ms: 1\r\n" if i % 8 == 7 else ""
                    c.sendall(request(i, late).replace(b"FP32", b"FP33" if i % 8 == 3 else b"FP32"))
                for c in gone:
                    c.sendall(request(1))
                for c in gone[:2]:
                    reset(c)
                gone[2].close()
            for i, c in enumerate(connections):
                allowed = {3: (400,), 7: (200, 504)}.get(i % 8, (200,))
                self.assertIn(status_of(read_answer(c)), allowed)
            self.assertEqual(status_of(read_answer(gone[3])), 200)

    def test_two_requests_on_one_connection_are_answered_in_order(self):
        connections = self.connections(4)
        with self.stopped():
            for i, c in enumerate(connections):
                c.sendall(request(i) + b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        for c in connections:
            text = b""
            while text.count(b"HTTP/1.1 200") < 2:
                piece = c.recv(65536)
                self.assertTrue(piece)
                text += piece
            self.assertLess(text.index(b"outputs"), text.rindex(b"HTTP/1.1 200"))


class Queued(unittest.TestCase):
    """A batch that waits for company holds the requests of who leaves, or has no more to say."""
    WAIT_S = 1.5

    def setUp(self):
        self.s = Server(models={"digits": ["1"]}, options={"model *.batch_delay": f"{self.WAIT_S * 1000:.0f}ms"})
        self.addCleanup(lambda: self.assertEqual(self.s.stop(), 0))

    def outcomes(self, code):
        return self.s.metric(f'signet_requests_total{{model="digits",version="1",protocol="rest",code="{code}"')

    def queued(self):
        return self.s.metric('signet_queue_rows{model="digits",version="1"')

    def queue(self, count):
        made = [self.s.connect() for _ in range(count)]
        for c in made:
            self.addCleanup(c.close)
            c.sendall(request(3))
        signet.wait_until(lambda: self.queued() >= count, "all are queued")
        return made

    def test_who_has_closed_a_side_is_answered(self):
        closing = self.queue(3)
        for c in closing:
            c.shutdown(socket.SHUT_WR)
        for _ in range(3):
            c = self.s.connect()
            self.addCleanup(c.close)
            c.sendall(request(3))
            c.shutdown(socket.SHUT_WR)
            closing.append(c)
        for c in closing:
            self.assertEqual(status_of(read_answer(c)), 200)
            self.assertEqual(c.recv(1), b"")
        self.assertEqual(self.outcomes("OK"), 6)

    def test_who_has_gone_is_counted_as_cancelled_and_not_run(self):
        for c in self.queue(3):
            reset(c)
        signet.wait_until(lambda: self.outcomes("CANCELLED") == 3, "all are counted")
        self.assertEqual(self.queued(), 0)
        self.assertEqual(self.outcomes("OK"), 0)


if __name__ == "__main__":
    unittest.main()
