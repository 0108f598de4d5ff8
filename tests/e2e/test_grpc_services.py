# SPDX-License-Identifier: Apache-2.0
"""Health over gRPC, asked by a client that is not ours."""
import queue
import signal
import threading
import time
import unittest

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from signet_server import Server

Status = health_pb2.HealthCheckResponse
WATCHES_MAX = 1000


class Watch:
    """What one watch says, in the order in which it says it."""

    def __init__(self, stub, service):
        self.call = stub.Watch(health_pb2.HealthCheckRequest(service=service))
        self.said = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            for reply in self.call:
                self.said.put(reply.status)
            self.said.put(grpc.StatusCode.OK)
        except grpc.RpcError as e:
            self.said.put(e.code())

    def next(self, timeout=10):
        return self.said.get(timeout=timeout)


class Health(unittest.TestCase):
    def serve(self, **more):
        s = Server(grpc=True, **more)
        self.addCleanup(lambda: self.assertEqual(s.stop(), 0, s.log))
        channel = grpc.insecure_channel("127.0.0.1:%d" % s.grpc_port)
        self.addCleanup(channel.close)
        return s, health_pb2_grpc.HealthStub(channel)

    def test_list_has_the_server_its_services_and_models(self):
        s, stub = self.serve()
        statuses = stub.List(health_pb2.HealthListRequest()).statuses
        self.assertLessEqual({"", "digits", "grpc.health.v1.Health", "inference.GRPCInferenceService"},
                             set(statuses))
        self.assertEqual({r.status for r in statuses.values()}, {Status.SERVING})

    def test_G17_watch_tells_the_status_at_once_and_each_change(self):
        s, stub = self.serve(options={"repository.settle": "0"})
        server, model, later = (Watch(stub, name) for name in ("", "digits", "later"))
        self.assertEqual([w.next() for w in (server, model, later)],
                         [Status.SERVING, Status.SERVING, Status.SERVICE_UNKNOWN])
        s.add("later", "1")
        said = later.next()
        if said == Status.NOT_SERVING:  # caught while it was loading
            said = later.next()
        self.assertEqual(said, Status.SERVING)
        s.remove("later", "1")
        self.assertIn(later.next(), (Status.NOT_SERVING, Status.SERVICE_UNKNOWN))
        time.sleep(0.6)
        self.assertTrue(model.said.empty(), "nothing has changed")

    def test_G17_watches_are_told_of_a_drain_and_ended(self):
        s, stub = self.serve(options={"server.drain_delay": "1s"})
        server, model, unknown = (Watch(stub, name) for name in ("", "digits", "nobody"))
        self.assertEqual([w.next() for w in (server, model, unknown)],
                         [Status.SERVING, Status.SERVING, Status.SERVICE_UNKNOWN])
        began = time.monotonic()
        s.process.send_signal(signal.SIGTERM)
        self.assertEqual([server.next(), model.next()], [Status.NOT_SERVING] * 2)
        self.assertLess(time.monotonic() - began, 0.9, "before the server stops")
        self.assertEqual([w.next() for w in (server, model, unknown)], [grpc.StatusCode.UNAVAILABLE] * 3)
        self.assertEqual(s.process.wait(5), 0, "open watches hold nothing up")

    def test_G17_watches_are_told_when_there_is_no_delay(self):
        s, stub = self.serve()
        w = Watch(stub, "")
        self.assertEqual(w.next(), Status.SERVING)
        s.process.send_signal(signal.SIGTERM)
        self.assertEqual([w.next(), w.next()], [Status.NOT_SERVING, grpc.StatusCode.UNAVAILABLE])

    def test_G17_watches_have_a_limit_and_leave_their_place(self):
        s, stub = self.serve()
        request = health_pb2.HealthCheckRequest(service="digits")
        held = [stub.Watch(request) for _ in range(WATCHES_MAX)]
        for w in held:
            self.assertEqual(next(w).status, Status.SERVING)
        with self.assertRaises(grpc.RpcError) as caught:
            next(stub.Watch(request))
        self.assertEqual(caught.exception.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
        for w in held:
            w.cancel()
        time.sleep(0.6)
        again = [stub.Watch(request) for _ in range(WATCHES_MAX)]
        self.assertEqual({next(w).status for w in again}, {Status.SERVING})
        for w in again:
            w.cancel()

    def test_G17_bad_requests(self):
        s, stub = self.serve()
        channel = grpc.insecure_channel("127.0.0.1:%d" % s.grpc_port)
        for body in (b"\x0a\x05ab", b"\x0a\x02\xff\xfe", b"\x0a\x90\x4e" + b"x" * 10000):
            with self.assertRaises(grpc.RpcError) as caught:
                list(channel.unary_stream("/grpc.health.v1.Health/Watch")(body, timeout=10))
            self.assertEqual(caught.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
        with self.assertRaises(grpc.RpcError) as caught:
            stub.Check(health_pb2.HealthCheckRequest(service="nobody"))
        self.assertEqual(caught.exception.code(), grpc.StatusCode.NOT_FOUND)
        channel.close()

    def test_a_watch_ends_with_its_deadline(self):
        s, stub = self.serve()
        with self.assertRaises(grpc.RpcError) as caught:
            list(stub.Watch(health_pb2.HealthCheckRequest(), timeout=0.5))
        self.assertEqual(caught.exception.code(), grpc.StatusCode.DEADLINE_EXCEEDED)


if __name__ == "__main__":
    unittest.main()
