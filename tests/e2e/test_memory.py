# SPDX-License-Identifier: Apache-2.0
"""Memory comes back: that of connections which have ended, and that of a burst of large requests.

Resident memory is compared with what it was after the same work on a small scale, so that what
any first request needs (code, threads' stacks) counts on both sides.
"""

import concurrent.futures
import contextlib
import http.client
import json
import socket

import signet

CONNECTIONS = 400
ROWS = 6000
ROW = [((i * 7) % 17) / 1.0 for i in range(64)]
PREDICT = "/v1/models/digits:predict"
INFER = "/v2/models/digits/infer"
SLACK_KIB = 4 << 10
PATIENCE_S = 3 * signet.PATIENCE_S


def predict(connection, rows=1):
    connection.request("POST", PREDICT, json.dumps({"instances": [ROW] * rows}))
    reply = connection.getresponse()
    reply.read()
    return reply.status


def infer_zeros(connection, rows):
    """Over the binary extension; answered whole, or turned away for its size."""
    head = json.dumps({"inputs": [
        {"name": "image", "datatype": "FP32", "shape": [rows, 64],
         "parameters": {"binary_data_size": rows * 256}}]}).encode()
    connection.request("POST", INFER, head + bytes(rows * 256),
                       {"Inference-Header-Content-Length": str(len(head))})
    reply = connection.getresponse()
    reply.read()
    return reply.status


class Memory(signet.Story):
    def setUp(self):
        super().setUp()
        self.models.add("digits", 1)
        self.server = self.daemon().ready()

    def connect(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port,
                                                timeout=signet.PATIENCE_S)
        self.addCleanup(connection.close)
        return connection

    def at_once(self, clients, call):
        """call(connection) on so many connections at the same time; they end with it."""
        def one(_):
            connection = self.connect()
            try:
                return call(connection)
            finally:
                connection.close()
        with concurrent.futures.ThreadPoolExecutor(clients) as pool:
            return list(pool.map(one, range(clients)))

    def comes_back(self, before):
        if signet.is_sanitized():
            return
        signet.wait_until(lambda: self.server.rss_kib() < before + SLACK_KIB,
                          f"resident memory back at {before} KiB + {SLACK_KIB}", PATIENCE_S)

    def test_ended_connections_hold_none(self):
        self.assertEqual(predict(self.connect()), 200)
        before = self.server.rss_kib()
        open_ones = [self.connect() for _ in range(CONNECTIONS)]
        self.assertEqual({predict(c) for c in open_ones}, {200})
        self.assertGreater(self.server.rss_kib(), before + 2 * SLACK_KIB, "the test sees nothing")
        for connection in open_ones:
            connection.close()
        self.comes_back(before)

    def test_a_burst_of_large_requests_leaves_none(self):
        calls = [lambda c: predict(c, ROWS), lambda c: infer_zeros(c, ROWS)]
        for call in calls:
            self.assertEqual(call(self.connect()), 200)
        before = self.server.rss_kib()
        for call in calls:
            self.assertLessEqual(set(self.at_once(12, call)), {200, 503})
        self.comes_back(before)


    def test_bodies_that_never_end_take_no_more_than_all_of_them_may(self):
        """Each is small enough by itself. What was announced and never came costs nobody anything."""
        server = self.daemon("--set", "server.inflight_memory=64M").ready()
        before, announced, begun = server.rss_kib(), [], []
        for connections, sent in ((announced, 1), (begun, 10 << 20)):
            for _ in range(20):
                s = socket.create_connection(("127.0.0.1", server.port), signet.PATIENCE_S)
                self.addCleanup(s.close)
                connections.append(s)
                s.sendall(b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
                          % (INFER.encode(), 60 << 20))
                with contextlib.suppress(OSError):  # it may be refused meanwhile
                    s.sendall(bytes(sent))
        self.assertIn(b" 503 ", begun[-1].recv(100))
        if not signet.is_sanitized():
            self.assertLess(server.rss_kib(), before + (96 << 10))
        for s in begun:
            s.close()
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=signet.PATIENCE_S)
        self.addCleanup(connection.close)
        signet.wait_until(lambda: infer_zeros(connection, ROWS) == 200, "a large request is answered")


if __name__ == "__main__":
    signet.main()
