# SPDX-License-Identifier: Apache-2.0
"""Bad input over gRPC: a test for each row of the catalogue, frame by frame where a library
would not send it. After each one the server must still serve others."""
import contextlib
import time
import unittest

import grpc

from raw_http2 import (ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PRIORITY,
                       RST_STREAM, SETTINGS, UNAVAILABLE, WINDOW_UPDATE, Connection, frame, message)
from signet_server import Server

SERVICE = "/inference.GRPCInferenceService/"
LIVE, INFER, STREAM = SERVICE + "ServerLive", SERVICE + "ModelInfer", SERVICE + "ModelStreamInfer"
CANCEL = b"\0\0\0\x08"
NO_WINDOW = b"\0\4\0\0\0\0"  # SETTINGS_INITIAL_WINDOW_SIZE 0


def code(status):
    return status.value[0]


def field(number, data):
    """A length-delimited field of a protobuf message shorter than 16 KB."""
    head = bytes([number << 3 | 2])
    size = len(data)
    return head + (bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])) + data


def digits_request(model=b"digits", rows=1):
    """A ModelInferRequest, by hand: it must not depend on a library."""
    shape = bytes([rows, 64])
    tensor = field(1, b"image") + field(2, b"FP32") + field(3, shape)
    return field(1, model) + field(5, tensor) + field(7, b"\0" * 256 * rows)


def resident_bytes(server):
    with open("/proc/%d/statm" % server.pid) as f:
        return int(f.read().split()[1]) * 4096


class Story(unittest.TestCase):
    """One server for all; each test ends with a look at whether it still answers."""
    options = {}

    @classmethod
    def setUpClass(cls):
        cls.s = Server(grpc=True, options=cls.options)
        cls.channel = grpc.insecure_channel("127.0.0.1:%d" % cls.s.grpc_port)

    @classmethod
    def tearDownClass(cls):
        cls.channel.close()
        assert cls.s.stop() == 0, cls.s.log

    def tearDown(self):
        self.check_others_are_served()

    def check_others_are_served(self):
        self.assertEqual(self.channel.unary_unary(LIVE)(b"", timeout=20), b"\x08\x01")

    def connection(self, **more):
        c = Connection(self.s.grpc_port, **more)
        self.addCleanup(c.sock.close)
        return c

    @contextlib.contextmanager
    def bounded_memory(self, mib):
        before = resident_bytes(self.s)
        yield
        self.assertLess(resident_bytes(self.s) - before, mib << 20)


class Waiting(Story):
    """A client that keeps the server waiting is not waited for."""
    options = {"grpc.message_timeout": "300ms", "grpc.stream_timeout": "500ms",
               "grpc.write_timeout": "500ms", "grpc.request_timeout": "400ms"}

    def test_G14_a_call_without_its_message(self):
        c = self.connection()
        c.call(1, INFER)
        c.call(3, INFER)
        c.send(frame(DATA, 0, 3, message(b"abc", length=5)))
        for stream in (1, 3):
            self.assertEqual(c.status(stream), code(grpc.StatusCode.DEADLINE_EXCEEDED))

    def test_G14_a_stream_that_says_nothing(self):
        c = self.connection()
        c.call(1, STREAM)
        self.assertEqual(c.status(1), UNAVAILABLE)

    def test_G10_a_stream_lives_longer_than_any_of_its_requests(self):
        c = self.connection()
        c.call(1, STREAM)
        for i in range(8):
            time.sleep(0.1)
            c.send(frame(DATA, 0, 1, message(digits_request())))
            self.assertNotIn(b"deadline", c.wait_for(DATA, 1)[3])
        c.send(frame(DATA, END_STREAM, 1))
        self.assertEqual(c.status(1), 0)

    def test_G11_G14_a_window_that_stays_shut(self):
        c = self.connection(settings=NO_WINDOW)
        c.call(1, INFER, digits_request())
        self.assertEqual(c.status(1), code(grpc.StatusCode.DEADLINE_EXCEEDED))


class Floods(Story):
    options = {"grpc.streams_max": "10", "grpc.resets_max": "500"}

    def test_G11_calls_beyond_the_limit_though_settings_were_never_acknowledged(self):
        c = self.connection(ack=False)
        for i in range(30):
            c.call(1 + 2 * i, INFER)
        for i in range(10, 30):
            status, fields = c.outcome(1 + 2 * i)
            self.assertEqual(status, UNAVAILABLE)
            self.assertIn("grpc-retry-pushback-ms", fields)
        # The ten are alive: with its message each is answered.
        c.send(frame(DATA, END_STREAM, 1, message(b"")))
        self.assertEqual(c.status(1), code(grpc.StatusCode.NOT_FOUND))

    def test_G11_ten_thousand_streams(self):
        c = self.connection(ack=False)
        with self.bounded_memory(64):
            for i in range(10000):
                if not c.call(1 + 2 * i, INFER):
                    break
            c.drain()

    def test_G11_rapid_reset(self):
        c = self.connection()
        with self.bounded_memory(128):
            for i in range(100000):
                if not (c.call(1 + 2 * i, INFER) and c.send(frame(RST_STREAM, 0, 1 + 2 * i, CANCEL))):
                    break
            self.assertLess(i, 100000 - 1, "the server never closed")
            c.drain()


if __name__ == "__main__":
    unittest.main()
