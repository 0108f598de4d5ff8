# SPDX-License-Identifier: Apache-2.0
"""Bad input over gRPC: a test for each row of the catalogue, frame by frame where a library
would not send it. After each one the server must still serve others."""
import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import time
import unittest
import zlib

import grpc

from raw_http2 import (ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PRIORITY,
                       RST_STREAM, SETTINGS, UNAVAILABLE, WINDOW_UPDATE, Connection, frame, head, message)
import signet
from signet_server import Server

SERVICE = "/inference.GRPCInferenceService/"
LIVE, INFER, STREAM = SERVICE + "ServerLive", SERVICE + "ModelInfer", SERVICE + "ModelStreamInfer"
CANCEL = b"\0\0\0\x08"
REFUSED = (-1, 1, 3, 8, 12, 13)  # a reset, or the codes that say no
NO_WINDOW = b"\0\4\0\0\0\0"  # SETTINGS_INITIAL_WINDOW_SIZE 0


def code(status):
    return status.value[0]


def field(number, data):
    """A length-delimited field of a protobuf message."""
    size, n = len(data), b""
    while size > 127:
        n, size = n + bytes([size & 127 | 128]), size >> 7
    return bytes([number << 3 | 2]) + n + bytes([size]) + data


def digits_request(model=b"digits", rows=1):
    """A ModelInferRequest, by hand: it must not depend on a library."""
    shape = bytes([rows, 64])
    tensor = field(1, b"image") + field(2, b"FP32") + field(3, shape)
    return field(1, model) + field(5, tensor) + field(7, bytes(256 * rows))


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

    def metrics(self, server=None):
        return (server or self.s).call("GET", "/metrics")[2].decode()

    def metric(self, begin, server=None):
        return (server or self.s).metric(begin)

    def wait_for(self, holds):
        until = time.monotonic() + 20
        while not holds():
            self.assertLess(time.monotonic(), until, self.metrics())
            time.sleep(0.01)

    def connection(self, **more):
        c = Connection(self.s.grpc_port, **more)
        self.addCleanup(c.sock.close)
        return c

    @contextlib.contextmanager
    def bounded_memory(self, mib):
        before = resident_bytes(self.s)
        yield
        with open("/proc/%d/maps" % self.s.pid) as f:
            if "san.so" in f.read():
                return  # a sanitizer keeps what was freed
        self.assertLess(resident_bytes(self.s) - before, mib << 20)


class Waiting(Story):
    """A client that keeps the server waiting is not waited for."""
    options = {"grpc.message_timeout": "300ms", "grpc.stream_timeout": "500ms",
               "grpc.write_timeout": "500ms"}

    def test_G2_G14_a_call_without_its_message(self):
        """None, or less than its length says: neither is waited for, nor memory taken for it."""
        c = self.connection()
        c.call(1, INFER)
        c.call(3, INFER)
        c.send(frame(DATA, 0, 3, message(b"abc", length=(1 << 32) - 1)))
        for stream in (1, 3):
            self.assertEqual(c.status(stream), code(grpc.StatusCode.DEADLINE_EXCEEDED))

    def test_G14_a_stream_that_says_nothing(self):
        c = self.connection()
        c.call(1, STREAM)
        self.assertEqual(c.status(1), UNAVAILABLE)

    def test_G10_a_stream_lives_longer_than_any_of_its_requests(self):
        with Server(grpc=True, options={"grpc.request_timeout": "2s", "grpc.stream_timeout": "20s"}) as s, \
                Connection(s.grpc_port) as c:
            c.call(1, STREAM)
            for i in range(5):
                time.sleep(0.6)
                c.send(frame(DATA, 0, 1, message(digits_request())))
                self.assertNotIn(b"deadline", c.wait_for(DATA, 1)[3])
            c.send(frame(DATA, END_STREAM, 1))
            self.assertEqual(c.status(1), 0)

    def test_G11_G14_a_window_that_stays_shut(self):
        c = self.connection(settings=NO_WINDOW)
        c.call(1, INFER, digits_request())
        self.assertEqual(c.status(1), code(grpc.StatusCode.DEADLINE_EXCEEDED))


class Room(Story):
    options = {"server.inflight_memory": "64M"}

    def test_G1_messages_that_never_end_take_no_more_than_all_of_them_may(self):
        c = self.connection()
        c.sock.settimeout(1)
        with self.bounded_memory(128):
            for stream in range(1, 41, 2):
                c.call(stream, INFER)
                c.send(frame(DATA, 0, stream, message(b"", length=60 << 20)))
                if c.upload(stream, 15 << 20) == 0:
                    break
            self.check_others_are_served()


class Messages(Story):
    options = {"grpc.message_max": "1M"}

    def outcome_of(self, data, flags=END_STREAM, more=()):
        """Of an infer call whose DATA is this, which fits into the first window of 64 KB."""
        assert len(data) < 65000
        c = self.connection()
        c.call(1, INFER, more=more)
        for at in range(0, max(len(data), 1), 16384):
            last = at + 16384 >= len(data)
            c.send(frame(DATA, flags if last else 0, 1, data[at:at + 16384]))
        return c.status(1)

    def test_G1_the_limit_of_a_message(self):
        for size, want in ((1 << 20, grpc.StatusCode.INVALID_ARGUMENT),
                           ((1 << 20) + 1, grpc.StatusCode.RESOURCE_EXHAUSTED)):
            with self.assertRaises(grpc.RpcError) as caught:
                self.channel.unary_unary(INFER)(b"\x0b" * size, timeout=20)
            self.assertEqual(caught.exception.code(), want)

    def test_G2_lengths_that_lie(self):
        with self.bounded_memory(32):
            for data in (message(b"abc", length=(1 << 32) - 1), message(b"abc", length=100), b"\0\0\0", b"\0"):
                self.assertIn(self.outcome_of(data), REFUSED)

    def test_G2_no_message_and_two(self):
        self.assertEqual(self.outcome_of(b""), code(grpc.StatusCode.INVALID_ARGUMENT))
        # The first is the call's; what follows it is nobody's.
        self.assertEqual(self.outcome_of(message(digits_request()) * 2), 0)

    def test_G3_flags_and_encodings(self):
        gzip = ("grpc-encoding", "gzip")
        bomb = zlib.compressobj(9, zlib.DEFLATED, 31)
        bomb = bomb.compress(bytes(50 << 20)) + bomb.flush()
        with self.bounded_memory(32):
            for flag, body, more in ((2, b"abc", ()), (1, b"abc", ()), (255, b"", ()), (1, b"garbage", [gzip]),
                                     (1, bomb, [gzip]), (1, b"abc", [("grpc-encoding", "zstd")]),
                                     (1, b"abc", [("grpc-encoding", "identity")])):
                # gRPC 1.51 hands up an empty message for one with an unknown flag, and the bytes as
                # they are when there is no encoding: both are refused as messages.
                self.assertIn(self.outcome_of(message(body, flag=flag), more=more),
                              REFUSED + (code(grpc.StatusCode.NOT_FOUND),), (flag, more))

    def test_G3_what_is_compressed_is_measured_as_it_grows(self):
        gzip = [("grpc-encoding", "gzip")]
        for data, want in ((digits_request(), 0), (bytes((1 << 20) + 1), code(grpc.StatusCode.RESOURCE_EXHAUSTED)),
                           (bytes(50 << 20), code(grpc.StatusCode.RESOURCE_EXHAUSTED))):
            for more, bits in ((gzip, 31), ([("grpc-encoding", "deflate")], 15)):
                press = zlib.compressobj(9, zlib.DEFLATED, bits)
                packed = press.compress(data) + press.flush()
                with self.bounded_memory(32):
                    self.assertEqual(self.outcome_of(message(packed, flag=1), more=more), want, len(data))
                self.assertEqual(self.outcome_of(message(packed[:-5], flag=1), more=more),
                                 want or code(grpc.StatusCode.INVALID_ARGUMENT))

    def test_G3_what_the_library_says_is_a_line_of_ours(self):
        before = len(self.s.log)
        for _ in range(3):
            for _ in range(20):
                self.outcome_of(message(b"abc", flag=1), more=[("grpc-encoding", "zstd")])
            time.sleep(0.6)
        self.assertEqual(self.outcome_of(message(digits_request())), 0)
        said = [line for line in self.s.log[before:] if "zstd" in line]
        self.assertIn(len(said), range(1, 10), "a client cannot fill the log")
        for line in said:
            self.assertRegex(line, r"^\d{4}-\d\d-\d\dT\S*Z info +grpc: ")

    def test_G4_what_protobuf_allows(self):
        """Fields twice: the last one counts. Numbers packed and not. Fields that nobody knows."""
        tensor = field(1, b"label") + field(1, b"image") + field(2, b"FP32") + b"\x18\x01" + field(3, b"\x40")
        parts = field(1, b"digits") + field(5, tensor) + field(7, bytes(256))
        for data in (field(1, b"nobody") + parts, parts, b"\xf8\x07\x01" * 15000 + parts,
                     parts + field(15, field(15, field(15, b"deep"))), parts + field(1, b"digits")):
            self.assertEqual(self.outcome_of(message(data)), 0)

    def test_G4_what_it_does_not(self):
        good = digits_request()
        with self.bounded_memory(32):
            for bad in (b"\x00\x00", b"\x0b", b"\x0c", b"\x0e", b"\x80\x80\x80\x80\x10\x00", b"\x0a\xff\xff\xff\xff\x0f",
                        b"\x0a" + b"\x80" * 10 + b"\x01", b"\x0d\x00", b"\x2a\x00" * 25000, b"\x3a\x00" * 25000,
                        field(5, b"\x0b"), field(5, field(1, b"image") + b"\x1a\x0b" + b"\xff" * 11)):
                self.assertEqual(self.outcome_of(message(good + bad)), code(grpc.StatusCode.INVALID_ARGUMENT), bad[:20])
            for cut in range(1, len(good), 7):
                self.assertNotIn(self.outcome_of(message(good[:cut])), (0, -1), cut)

    def test_G7_shapes(self):
        minus_one = b"\xff" * 9 + b"\x01"
        for shape in (minus_one + b"\x40", b"\x01" * 50000, b"\x80" * 8 + b"\x40" + b"\x80" * 8 + b"\x40", b"",
                      b"\x01\x41", b"\x00\x40"):
            tensor = field(1, b"image") + field(2, b"FP32") + field(3, shape)
            data = field(1, b"digits") + field(5, tensor) + field(7, bytes(256))
            self.assertEqual(self.outcome_of(message(data)), code(grpc.StatusCode.INVALID_ARGUMENT), shape[:20])

    def test_G8_parameters(self):
        """A map's entry is a message: key 1, value 2, which is a oneof that may be unset."""
        def entry(key, value):
            return field(4, field(1, key) + field(2, value))
        good = digits_request()
        for more, want in ((entry(b"a", b"\x10\x01") * 3, 0), (entry(b"a", b""), 0),
                           (b"".join(entry(b"%d" % i, b"\x10\x01") for i in range(1000)), 3),
                           (entry(b"a", b"\x0b"), 3), (entry(b"\xff", b"\x10\x01"), 3), (field(4, b""), 0)):
            self.assertEqual(self.outcome_of(message(good + more)), want, more[:40])

    def test_G6_names(self):
        for name, want in ((b"", grpc.StatusCode.NOT_FOUND), (b"a\0b", grpc.StatusCode.INVALID_ARGUMENT),
                           (b"\xff\xfe", grpc.StatusCode.INVALID_ARGUMENT),
                           (b"../digits", grpc.StatusCode.NOT_FOUND)):
            self.assertEqual(self.outcome_of(message(digits_request(model=name))), code(want), name)

    def test_G10_timeouts_as_text(self):
        """What is no timeout is none; nothing ends the connection."""
        c = self.connection()
        for i, text in enumerate(("abc", "", "-1S", "1", "S", "1.5S", "99999999H", "999999999H", "1000m", "1X", "1 S")):
            c.call(1 + 2 * i, LIVE, b"", more=[("grpc-timeout", text)])
            self.assertEqual(c.status(1 + 2 * i), 0, text)
        # The library counts in milliseconds and rounds up; what is quicker than one is answered.
        for i, (text, also) in enumerate((("0S", -1), ("0n", -1), ("1n", 0))):
            c.call(101 + 2 * i, INFER, digits_request(), more=[("grpc-timeout", text)])
            self.assertIn(c.status(101 + 2 * i), (-1, also, code(grpc.StatusCode.DEADLINE_EXCEEDED)), text)

    def test_G12_headers(self):
        for more, replaced in (
                ([("x", "y" * 9000)], {}), ([("x%d" % i, "y") for i in range(1000)], {}),
                ([("x-bin", "!!!!")], {}), ([("X-Upper", "y")], {}), ([("x", "a\x01b\nc")], {}),
                ([("connection", "close")], {}), ([], {"te": "x"}), ([], {"te": None}), ([], {"p_scheme": "xx"}),
                ([], {"p_method": "GET"}), ([], {"p_method": None}), ([], {"p_path": None}),
                ([], {"p_authority": None}), ([], {"content_type": "text/plain"}), ([], {"content_type": None}),
                ([(":path", "/again")], {}), ([(":status", "200")], {}), ([("grpc-status", "0")], {})):
            c = self.connection()
            c.call(1, LIVE, b"", more=more, **replaced)
            status = c.status(1)
            self.assertTrue(status != -1 or c.closed or 1 in c.over, (more, replaced))
            self.check_others_are_served()

    def test_G13_paths(self):
        c = self.connection()
        paths = ("", "/", "/a", "a", "/a/b/c", "//", INFER + "/", INFER.upper(), "/" + "p" * 4000,
                 SERVICE + "Model\xff\xfe", "/%s/x", SERVICE + "..", "*")
        for i, path in enumerate(paths):
            c.call(1 + 2 * i, path, b"")
            self.assertEqual(c.status(1 + 2 * i), code(grpc.StatusCode.UNIMPLEMENTED), path)
        # Not a label of any metric.
        self.assertNotIn("pppp", self.metrics())


class Streams(Story):
    def test_G14_half_closed_at_once_and_never(self):
        c = self.connection()
        c.call(1, STREAM)
        c.send(frame(DATA, END_STREAM, 1))
        self.assertEqual(c.status(1), 0)
        c.call(3, STREAM)
        c.send(frame(DATA, 0, 3, message(digits_request())))
        self.assertIsNotNone(c.wait_for(DATA, 3))

    def test_G14_many_messages_ahead_of_their_answers(self):
        """The client does not read: one answer is under way, the rest waits in the window."""
        c = self.connection(settings=NO_WINDOW)
        c.call(1, STREAM)
        c.sock.settimeout(0.5)
        with self.bounded_memory(48):
            one = frame(DATA, 0, 1, message(digits_request()))
            sent = 0
            try:
                # Beyond what the server has opened for us, on purpose: that ends the connection.
                while sent < 100000 and c.send(one * 10):
                    sent += 10
            except TimeoutError:
                pass
        c.sock.close()

    def test_G14_ten_thousand_messages_one_after_the_other(self):
        stream = self.channel.stream_stream(STREAM)
        body = digits_request()
        self.assertEqual(sum(1 for _ in stream((body for _ in range(10000)), timeout=60)), 10000)

    def test_G14_the_server_stops_amid_a_stream(self):
        with Server(grpc=True, options={"server.drain_timeout": "300ms"}) as s:
            c = Connection(s.grpc_port)
            self.addCleanup(c.sock.close)
            c.call(1, STREAM)
            c.send(frame(DATA, 0, 1, message(digits_request())))
            self.assertIsNotNone(c.wait_for(DATA, 1))
            s.process.send_signal(signal.SIGTERM)
            self.assertIsNotNone(c.wait_for(GOAWAY))
            # What is there is still answered; what stays open is ended.
            c.send(frame(DATA, 0, 1, message(digits_request())))
            self.assertIsNotNone(c.wait_for(DATA, 1))
            self.assertIn(c.status(1), (-1, UNAVAILABLE, code(grpc.StatusCode.CANCELLED)))


class Cancels(Story):
    """A batch that waits ten seconds for company holds what is cancelled."""
    options = {"model *.batch_delay": "10s"}
    few = 6  # less than any batch that is worth its while, and than the 32 that fill one

    def queued(self):
        return self.metric('signet_queue_rows{model="digits",version="1"')

    def outcomes(self):
        return {name: self.metric('signet_requests_total{model="digits",version="1",protocol="grpc",code="%s"' % name)
                for name in ("OK", "CANCELLED", "DEADLINE_EXCEEDED")}

    def in_flight(self):
        return self.metric("signet_grpc_in_flight")

    def tearDown(self):
        self.wait_for(lambda: self.queued() == 0 and self.in_flight() == 0)
        super().tearDown()

    def test_G9_in_the_queue(self):
        before = self.outcomes()
        c = self.connection()
        for i in range(self.few):
            c.call(1 + 2 * i, INFER, digits_request())
        self.wait_for(lambda: self.queued() == self.few)
        for i in range(self.few):
            c.send(frame(RST_STREAM, 0, 1 + 2 * i, CANCEL) * (1 + i % 2))  # some twice
        self.wait_for(lambda: self.queued() == 0)
        self.wait_for(lambda: self.in_flight() == 0)
        after = self.outcomes()
        self.assertEqual(after["CANCELLED"] - before["CANCELLED"], self.few, "each is told once")
        self.assertEqual(after["OK"], before["OK"], "none was run")

    def test_G9_before_during_and_after(self):
        c = self.connection()
        data = message(digits_request())
        for i in range(50):
            stream = 1 + 6 * i
            c.call(stream, INFER)  # before it is accepted
            c.send(frame(RST_STREAM, 0, stream, CANCEL))
            c.call(stream + 2, INFER)  # amid the message
            c.send(frame(DATA, 0, stream + 2, data[:20]) + frame(RST_STREAM, 0, stream + 2, CANCEL))
            c.call(stream + 4, LIVE, b"")  # about when the answer goes
            c.send(frame(RST_STREAM, 0, stream + 4, CANCEL))
        c.call(1001, LIVE, b"")
        self.assertEqual(c.status(1001), 0)
        c.send(frame(RST_STREAM, 0, 1001, CANCEL) * 2)  # after
        c.call(1003, LIVE, b"")
        self.assertEqual(c.status(1003), 0)

    def test_G9_G15_in_the_batch_and_during_the_reply(self):
        """32 rows fill a batch, so these run; half of the clients are gone meanwhile."""
        for k in range(10):
            c = self.connection(settings=NO_WINDOW)
            for i in range(32):
                c.call(1 + 2 * i, INFER, digits_request())
            if k % 2:
                self.wait_for(lambda: self.queued() < 32)
                for i in range(32):
                    c.send(frame(RST_STREAM, 0, 1 + 2 * i, CANCEL))
            c.sock.close()

    def test_G10_a_deadline_bounds_the_queue(self):
        before = self.outcomes()
        with self.assertRaises(grpc.RpcError) as caught:
            self.channel.unary_unary(INFER)(digits_request(), timeout=0.2)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
        self.wait_for(lambda: self.queued() == 0)
        self.wait_for(lambda: sum(self.outcomes().values()) > sum(before.values()))
        self.assertEqual(self.outcomes()["OK"], before["OK"], "expired work was run")

    def test_G10_the_server_has_a_deadline_for_who_has_none(self):
        with Server(grpc=True, options={**self.options, "grpc.request_timeout": "200ms"}) as s, \
                Connection(s.grpc_port) as c:
            c.call(1, INFER, digits_request())
            self.assertEqual(c.status(1), code(grpc.StatusCode.DEADLINE_EXCEEDED))

    def test_a_full_queue_says_when_to_come_back(self):
        with Server(grpc=True, options={**self.options, "model *.queue_rows": "2"}) as s, \
                Connection(s.grpc_port) as c:
            for i in range(2):
                c.call(1 + 2 * i, INFER, digits_request())
            self.wait_for(lambda: self.metric('signet_queue_rows{model="digits",version="1"', s) == 2)
            c.call(5, INFER, digits_request())
            status, fields = c.outcome(5)
            self.assertEqual((status, fields.get("grpc-retry-pushback-ms")), (UNAVAILABLE, "1000"), fields)

    def test_G15_a_client_that_is_killed(self):
        code = ("import sys; sys.path.insert(0, %r); from test_bad_grpc import *; c = Connection(%d)\n"
                "for i in range(%d): c.call(1 + 2 * i, INFER, digits_request())\n"
                "print('sent', flush=True); time.sleep(60)")
        here = os.path.dirname(__file__)
        child = subprocess.Popen([sys.executable, "-c", code % (here, self.s.grpc_port, self.few)],
                                 stdout=subprocess.PIPE)
        self.assertEqual(child.stdout.readline(), b"sent\n")
        self.wait_for(lambda: self.queued() == self.few)
        child.kill()
        child.wait()
        child.stdout.close()
        self.wait_for(lambda: self.queued() == 0)


class Connections(Story):
    options = {"grpc.keepalive": "1s", "grpc.keepalive_timeout": "300ms"}

    def test_G15_who_answers_no_ping_is_gone(self):
        """As after a partition of the network: nothing comes, not even a reset."""
        c = self.connection(ack=False)
        c.call(1, STREAM)
        self.assertIn(PING, [f[0] for f in c.drain()])
        self.assertTrue(c.closed)

    def test_G15_who_answers_may_be_silent_for_long(self):
        c = self.connection()
        c.call(1, STREAM)
        for _ in range(4):
            self.assertIsNotNone(c.wait_for(PING))
        c.send(frame(DATA, END_STREAM, 1))
        self.assertEqual(c.status(1), 0)

    def test_G15_who_says_nothing_at_all_is_closed(self):
        with socket.create_connection(("127.0.0.1", self.s.grpc_port), 20) as raw:
            while raw.recv(4096):
                pass

    def test_an_old_connection_is_asked_to_go(self):
        with Server(grpc=True, options={"grpc.connection_age": "500ms", "grpc.connection_grace": "500ms"}) as s, \
                Connection(s.grpc_port) as c:
            c.call(1, STREAM)
            c.send(frame(DATA, 0, 1, message(digits_request())))
            self.assertIsNotNone(c.wait_for(GOAWAY))
            c.send(frame(DATA, 0, 1, message(digits_request())))
            self.assertIsNotNone(c.wait_for(DATA, 1))
            c.drain()  # the grace is over
            channel = grpc.insecure_channel("127.0.0.1:%d" % s.grpc_port)
            for _ in range(20):  # clients come back without a failed call
                self.assertEqual(channel.unary_unary(LIVE)(b"", timeout=20), b"\x08\x01")
                time.sleep(0.1)
            channel.close()

    def test_a_drain_lets_calls_end(self):
        with Server(grpc=True, options={"model *.batch_delay": "2s"}) as s, Connection(s.grpc_port) as c:
            c.call(1, INFER, digits_request())
            signet.wait_until(lambda: s.metric('signet_queue_rows{model="digits"') > 0, "the call waits")
            s.process.send_signal(signal.SIGTERM)
            self.assertEqual(c.status(1), 0)
            self.assertIn(GOAWAY, [f[0] for f in c.frames])

    def test_G2_calls_without_a_message_make_way(self):
        with Server(grpc=True, options={"grpc.calls_max": "100"}) as s, contextlib.ExitStack() as open_ones:
            busy = open_ones.enter_context(Connection(s.grpc_port))
            busy.call(1, STREAM)
            busy.send(frame(DATA, 0, 1, message(b"")))
            busy.wait_for(DATA, 1)
            silent = [open_ones.enter_context(Connection(s.grpc_port)) for _ in range(4)]
            for c in silent:
                for i in range(50):
                    c.call(1 + 2 * i, (INFER, STREAM)[i % 2])
            time.sleep(1.5)
            with Connection(s.grpc_port) as c:
                for i in range(20):
                    c.call(1 + 2 * i, INFER, digits_request())
                    self.assertEqual(c.status(1 + 2 * i), 0)
            busy.send(frame(DATA, END_STREAM, 1, message(b"")))
            self.assertEqual(busy.status(1), 0)
            self.assertGreater(s.metric('signet_grpc_refused_total{reason="silent_calls"'), 0)

    def test_health_is_told_when_there_are_too_many_calls(self):
        with Server(grpc=True, options={"grpc.calls_max": "3"}) as s, Connection(s.grpc_port) as c:
            for i in range(4):
                c.call(1 + 2 * i, STREAM)
            self.assertEqual(c.status(7), UNAVAILABLE)
            c.call(101, LIVE, b"")
            self.assertEqual(c.status(101), 0)


class Descriptors(unittest.TestCase):
    def test_G16_they_run_out_and_come_back(self):
        """For gRPC alone, and with the pair of sockets that the relay adds."""
        few = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (90, 90))
        for options in ({}, {"grpc.guard": "on"}):
            with Server(grpc=True, preexec=few, options=options) as s:
                for _ in range(2):
                    held = [socket.create_connection(("127.0.0.1", s.grpc_port), 20) for _ in range(120)]
                    time.sleep(0.3)  # the last ones are closed, or wait for a descriptor
                    for sock in held:
                        sock.close()
                    with Connection(s.grpc_port) as c:
                        self.answered(c, s)

    def answered(self, c, s):
        """It may be shed too while the server still has to notice that the others have gone."""
        until = time.monotonic() + 20
        while not (c.call(1, LIVE, b"") and c.status(1) == 0):
            self.assertLess(time.monotonic(), until)
            c.sock.close()
            time.sleep(0.05)
            c.__init__(s.grpc_port)


class Floods(Story):
    """What is cut off must not cost others more than the work done until then."""
    options = {"grpc.streams_max": "10", "grpc.resets_max": "500"}

    def test_G11_calls_beyond_the_limit_though_settings_were_never_acknowledged(self):
        c = self.connection(ack=False)
        for i in range(19):
            c.call(1 + 2 * i, INFER)
        for i in range(10, 19):
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
            c.drain()  # the server closes, or this does not end


    def flood(self, data, times, mib=64):
        """Until the server closes, or all is sent; then it must still answer others."""
        c = self.connection()
        c.sock.settimeout(60)
        with self.bounded_memory(mib):
            for _ in range(times):
                if not c.send(data):
                    break
            c.end()
            c.drain()

    def test_G11_a_flood_of_continuations(self):
        self.flood(frame(HEADERS, 0, 1, head("/x")) + frame(CONTINUATION, 0, 1, b"\x40\x01x\x01y" * 2000) * 50, 20)

    def test_G11_a_flood_of_empty_continuations(self):
        self.flood(frame(HEADERS, 0, 1) + frame(CONTINUATION, 0, 1) * 100000, 2)

    def test_G11_a_string_that_never_ends(self):
        """A literal header whose value claims 2 GB, dripped in CONTINUATION frames."""
        begin = frame(HEADERS, 0, 1, b"\x40\x01x\x7f\x80\xff\xff\xff\x07")
        self.flood(begin + frame(CONTINUATION, 0, 1, b"y" * 16000) * 60, 20)

    def test_G11_a_number_that_never_ends(self):
        self.flood(frame(HEADERS, 0, 1, b"\x40\x01x\x7f") + frame(CONTINUATION, 0, 1, b"\x80" * 16000) * 100, 2)

    def test_G11_a_field_that_costs_a_byte_each_time(self):
        """What HPACK's table keeps is said again in one byte. gRPC bounds that only once its settings
        are acknowledged; until then 60 KB of headers became 9 MB, for each of a thousand streams."""
        begin = b"\x83\x86" + b"".join(b"\0" + bytes([len(k)]) + k + bytes([len(v)]) + v for k, v in (
            (b":path", INFER.encode()), (b":authority", b"x"), (b"te", b"trailers"),
            (b"content-type", b"application/grpc")))
        c = self.connection(ack=False)
        # Without a guard gRPC may have read all of them before the first is ours to refuse.
        with self.bounded_memory(128 if self.options.get("grpc.guard") == "on" else 1200):
            c.send(frame(HEADERS, END_HEADERS, 1, begin + b"\x40\x03x-a\x01y"))
            for stream in range(3, 201, 2):
                if not c.send(frame(HEADERS, 0, stream, begin + b"\xbe" * 15000)
                              + frame(CONTINUATION, 0, stream, b"\xbe" * 16000) * 2
                              + frame(CONTINUATION, END_HEADERS, stream, b"\xbe" * 12000)):
                    break
            c.drain()

    def test_G11_floods_of_settings_pings_and_priorities(self):
        for data in (frame(SETTINGS), frame(SETTINGS, 0, 0, b"\0\3\0\0\0\1" * 100), frame(PING, 0, 0, b"12345678"),
                     frame(PING, ACK, 0, b"12345678"), frame(PRIORITY, 0, 1, b"\0\0\0\3\0"),
                     frame(0x77, 0, 0, b"x"), frame(DATA, 0, 1)):
            self.flood(data * 1000, 20)

    def test_G11_a_tree_of_priorities(self):
        self.flood(b"".join(frame(PRIORITY, 0, 1 + 2 * i, (2 * i - 1 if i else 0).to_bytes(4, "big") + b"\0")
                            for i in range(10000)), 1)

    def test_G11_windows(self):
        c = self.connection()
        c.call(1, INFER)
        c.send(frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\0"))  # zero
        c.send(frame(WINDOW_UPDATE, 0, 1, b"\x7f\xff\xff\xff") * 2)  # more than there can be
        self.assertNotEqual(c.status(1), 0)
        c = self.connection()
        c.send(frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff") * 2)
        c.call(1, INFER)
        c.end()
        c.drain()

    def test_G11_streams_that_may_not_be(self):
        """Even, used before, zero; trailers twice; data for nobody; a frame that is too large."""
        block = head(LIVE)
        ended = frame(HEADERS, END_HEADERS | END_STREAM, 1, block)
        for data in (frame(HEADERS, END_HEADERS, 2, block), frame(HEADERS, END_HEADERS, 0, block), ended * 2,
                     frame(HEADERS, END_HEADERS, 5, block) + frame(HEADERS, END_HEADERS, 3, block),
                     frame(HEADERS, END_HEADERS, 1, block) + ended + ended, frame(DATA, END_STREAM, 7, b"x"),
                     frame(RST_STREAM, 0, 9, CANCEL), frame(HEADERS, END_HEADERS, 1, b"\xff" * 10),
                     b"\xff\xff\xff\0\0\0\0\0\1" + bytes(1 << 16), b"\xff\xff\xff\1\4\0\0\0\1" + bytes(1 << 16),
                     frame(CONTINUATION, END_HEADERS, 1, block), frame(SETTINGS, 0, 0, b"abc"),
                     frame(SETTINGS, 0, 0, b"\0\4\xff\xff\xff\xff"), frame(PING, 0, 0, b"x"),
                     frame(GOAWAY, 0, 0, b"\0" * 8), b"\0" * 9):
            self.flood(data, 1)

    def test_G12_other_protocols(self):
        for data in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 9,
                     bytes(100), b"PRI * HTTP/1.1\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", self.s.grpc_port), 20) as raw:
                raw.sendall(data)
                raw.shutdown(socket.SHUT_WR)
                try:
                    while raw.recv(4096):
                        pass
                except ConnectionError:
                    pass

    def test_refusals_are_counted(self):
        self.test_G11_rapid_reset()
        self.assertGreater(sum(self.metric('signet_grpc_refused_total{reason="%s"' % why)
                               for why in ("wasted_calls", "frames")), 0)


class GuardedFloods(Floods):
    """The same behind the look at each frame."""
    options = {**Floods.options, "grpc.guard": "on"}

    def test_refusals_are_counted(self):
        self.test_G11_rapid_reset()
        # Whichever is the first to have enough of it.
        self.assertGreater(sum(self.metric('signet_grpc_refused_total{reason="%s"' % why)
                               for why in ("wasted_calls", "frames")), 0)

    def test_it_is_there_where_clients_may_be_elsewhere(self):
        for listen, guarded in (("0.0.0.0:0", True), ("127.0.0.1:0", False)):
            with Server(grpc=True, options={"grpc.listen": listen}) as s:
                names = [open("/proc/%d/task/%s/comm" % (s.pid, t)).read() for t in
                         os.listdir("/proc/%d/task" % s.pid)]
                self.assertEqual("grpc-relay\n" in names, guarded, listen)

    def test_G11_crumbs_of_data_for_a_stream_that_is_over(self):
        c = self.connection()
        c.call(1, LIVE, b"")
        self.assertEqual(c.status(1), 0)
        crumbs = frame(DATA, 0, 1, b"x") * 10000
        self.assertFalse(all(c.send(crumbs) for _ in range(500)))

    def test_G11_many_connections_with_some_resets_each(self):
        cut_off = 'signet_grpc_refused_total{reason="frames"'
        before = self.metric(cut_off)
        for c in [self.connection() for _ in range(40)]:
            for i in range(200):
                c.call(1 + 2 * i, INFER)
                c.send(frame(RST_STREAM, 0, 1 + 2 * i, CANCEL))
        self.wait_for(lambda: self.metric(cut_off) > before)

    def test_what_the_look_cuts_off_is_counted(self):
        self.test_G11_a_string_that_never_ends()
        self.assertGreater(self.metric('signet_grpc_refused_total{reason="frames"'), 0)


if __name__ == "__main__":
    unittest.main()
