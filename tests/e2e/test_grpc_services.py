# SPDX-License-Identifier: Apache-2.0
"""Health, reflection and what Triton has besides inference, asked by clients that are not ours."""
import queue
import signal
import threading
import time
import unittest

import grpc
import tritonclient.grpc as triton
import tritonclient.http as triton_http
from google.protobuf import message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from tritonclient.utils import InferenceServerException

import signet
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
        s, stub = self.serve(options={"server.drain_delay": "3s"})
        server, model, unknown = (Watch(stub, name) for name in ("", "digits", "nobody"))
        self.assertEqual([w.next() for w in (server, model, unknown)],
                         [Status.SERVING, Status.SERVING, Status.SERVICE_UNKNOWN])
        s.process.send_signal(signal.SIGTERM)
        self.assertEqual([server.next(), model.next()], [Status.NOT_SERVING] * 2)
        self.assertEqual(s.call("GET", "/v2/health/live")[0], 200, "before the server stops")
        self.assertEqual([w.next() for w in (server, model, unknown)], [grpc.StatusCode.UNAVAILABLE] * 3)
        self.assertEqual(s.process.wait(20), 0, "open watches hold nothing up")

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

        def all_fit():
            again = [stub.Watch(request) for _ in range(WATCHES_MAX)]
            try:
                return all(next(w).status == Status.SERVING for w in again)
            except grpc.RpcError as e:  # the server has not noticed all that have left
                self.assertIn(e.code(), (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE))
                time.sleep(0.5)  # cancelling too many at once ends the connection
                return False
            finally:
                for w in again:
                    w.cancel()
        signet.wait_until(all_fit, "the places are free again")

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


class Reflection(unittest.TestCase):
    INFO = "/grpc.reflection.%s.ServerReflection/ServerReflectionInfo"

    @classmethod
    def setUpClass(cls):
        cls.s = Server(grpc=True)
        cls.channel = grpc.insecure_channel("127.0.0.1:%d" % cls.s.grpc_port)

    @classmethod
    def tearDownClass(cls):
        cls.channel.close()
        assert cls.s.stop() == 0, cls.s.log

    def ask(self, *requests, version="v1alpha"):
        """The answers of one stream."""
        call = self.channel.stream_stream(
            self.INFO % version, reflection_pb2.ServerReflectionRequest.SerializeToString,
            reflection_pb2.ServerReflectionResponse.FromString)
        return list(call(iter([reflection_pb2.ServerReflectionRequest(**r) for r in requests]), timeout=10))

    def refused(self, **request):
        (answer,) = self.ask(request)
        self.assertEqual(answer.WhichOneof("message_response"), "error_response")
        return answer.error_response.error_code

    def test_what_is_listed_is_described_and_served_and_nothing_else(self):
        database = ProtoReflectionDescriptorDatabase(self.channel)
        pool = DescriptorPool(database)
        services = database.get_services()
        self.assertLessEqual({"inference.GRPCInferenceService", "grpc.health.v1.Health",
                              "grpc.reflection.v1.ServerReflection",
                              "grpc.reflection.v1alpha.ServerReflection"}, set(services))
        self.assertEqual(set(services), set(health_pb2_grpc.HealthStub(self.channel).List(
            health_pb2.HealthListRequest()).statuses) - {"", "digits"})
        for name in services:
            for method in pool.FindServiceByName(name).methods:
                self.assertFalse(self.is_unknown("/%s/%s" % (name, method.name)), method.full_name)
        self.assertTrue(self.is_unknown("/inference.GRPCInferenceService/Nothing"))

    def is_unknown(self, path):
        call = self.channel.stream_stream(path)(iter([b"\xff"]), timeout=0.5)
        try:
            list(call)
        except grpc.RpcError as e:
            return (e.code(), e.details()) == (grpc.StatusCode.UNIMPLEMENTED, "unknown method")
        return False

    def test_a_client_that_knows_nothing_infers(self):
        pool = DescriptorPool(ProtoReflectionDescriptorDatabase(self.channel))
        method = pool.FindMethodByName("inference.GRPCInferenceService.ModelInfer")
        request, response = (message_factory.GetMessageClass(t)
                             for t in (method.input_type, method.output_type))
        r = request(model_name="digits", raw_input_contents=[bytes(256)])
        r.inputs.add(name="image", datatype="FP32", shape=[1, 64])
        call = self.channel.unary_unary("/inference.GRPCInferenceService/ModelInfer",
                                        request.SerializeToString, response.FromString)
        self.assertEqual({o.name for o in call(r).outputs}, {"probabilities", "label"})

    def test_both_versions_say_the_same(self):
        asked = [{"list_services": ""}, {"file_by_filename": "health.proto"},
                 {"file_containing_symbol": "inference.ModelInferRequest"}]
        old, new = (self.ask(*asked, version=v) for v in ("v1alpha", "v1"))
        self.assertEqual(old, new)
        self.assertEqual([a.original_request for a in old],
                         [reflection_pb2.ServerReflectionRequest(**r) for r in asked])

    def test_what_is_not_there_is_an_answer(self):
        not_found = grpc.StatusCode.NOT_FOUND.value[0]
        extension = reflection_pb2.ExtensionRequest(
            containing_type="inference.ModelInferRequest", extension_number=100)
        self.assertEqual(self.refused(file_by_filename="nothing.proto"), not_found)
        self.assertEqual(self.refused(file_containing_symbol="inference.Nothing"), not_found)
        self.assertEqual(self.refused(file_containing_extension=extension), not_found)
        self.assertEqual(self.refused(all_extension_numbers_of_type="inference.Nothing"), not_found)
        self.assertEqual(self.refused(), grpc.StatusCode.INVALID_ARGUMENT.value[0])
        (answer,) = self.ask({"all_extension_numbers_of_type": "inference.ModelInferRequest"})
        self.assertEqual(answer.all_extension_numbers_response.base_type_name, "inference.ModelInferRequest")
        self.assertEqual(list(answer.all_extension_numbers_response.extension_number), [])

    def test_G18_requests_that_are_too_large_or_malformed_end_the_call(self):
        for body in (b"\x22\xc0\x84\x3d" + b"a" * 1000000, b"\x22\x84\x10" + b"a." * 1026, b"\x22\x05a",
                     b"\x22\x01\xff", b"\x2a\x02\x0a\x05"):
            call = self.channel.stream_stream(self.INFO % "v1")(iter([body]), timeout=10)
            with self.assertRaises(grpc.RpcError) as caught:
                list(call)
            self.assertEqual(caught.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)

    def test_G18_deep_names_are_only_not_found(self):
        self.assertEqual(self.refused(file_containing_symbol="a." * 511 + "a"), 5)
        deep = "inference.ModelInferRequest" + ".ModelInferRequest" * 50
        self.assertEqual(self.refused(file_containing_symbol=deep), 5)

    def test_many_questions_in_one_stream(self):
        answers = self.ask(*[{"file_containing_symbol": "grpc.health.v1.Health"}] * 1000)
        self.assertEqual(len(answers), 1000)

    def test_G18_it_can_be_switched_off(self):
        with Server(grpc=True, options={"grpc.reflection": "false"}) as s, \
                grpc.insecure_channel("127.0.0.1:%d" % s.grpc_port) as channel:
            call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([]))
            with self.assertRaises(grpc.RpcError) as caught:
                list(call)
            self.assertEqual(caught.exception.code(), grpc.StatusCode.UNIMPLEMENTED)
            listed = health_pb2_grpc.HealthStub(channel).List(health_pb2.HealthListRequest()).statuses
            self.assertFalse([name for name in listed if "reflection" in name])


class Extensions(unittest.TestCase):
    """Settings, and CUDA's shared memory: the same answers on either wire."""

    LOG = {"log_file": "", "log_info": True, "log_warning": True, "log_error": True,
           "log_verbose_level": 0, "log_format": "default"}
    TRACE = {"trace_level": ["OFF"], "trace_rate": "1000", "trace_count": "-1", "log_frequency": "0",
             "trace_file": "", "trace_mode": "triton"}

    def clients(self, admin):
        flag = "true" if admin else "false"
        s = Server(grpc=True, options={"grpc.allow_admin": flag, "http.allow_admin": flag})
        self.addCleanup(lambda: self.assertEqual(s.stop(), 0, s.log))
        for module, port in (triton, s.grpc_port), (triton_http, s.port):
            c = module.InferenceServerClient("127.0.0.1:%d" % port)
            self.addCleanup(c.close)
            yield c

    @staticmethod
    def plain(reply):
        """A reply of either client as a dict."""
        if isinstance(reply, dict):
            return reply

        def value(v):
            if "value" in v.DESCRIPTOR.fields_by_name:
                return v.value[0] if len(v.value) == 1 else list(v.value)
            return getattr(v, v.WhichOneof("parameter_choice"))
        return {k: value(v) for k, v in reply.settings.items()}

    def log(self, client, **changes):
        reply = client.update_log_settings(changes) if changes else client.get_log_settings()
        return {k: v for k, v in self.plain(reply).items() if v != self.LOG[k]}

    def test_log_settings(self):
        for c in self.clients(admin=True):
            self.assertEqual(self.plain(c.get_log_settings()), self.LOG)
            quiet = {"log_info": False, "log_warning": False}
            self.assertEqual(self.log(c, log_verbose_level=3), {"log_verbose_level": 1})
            self.assertEqual(self.log(c, log_verbose_level=0), {})
            self.assertEqual(self.log(c, log_warning=False), quiet)
            self.assertEqual(self.log(c, log_info=None, log_format="default", log_file=""), quiet)
            self.assertEqual(self.log(c, log_warning=True), {"log_info": False})
            self.assertEqual(self.log(c, log_info=True), {})

    def test_log_settings_that_are_refused(self):
        for c in self.clients(admin=True):
            for changes, words in (({"log_file": "/tmp/x"}, "cannot be changed"),
                                   ({"log_format": "ISO8601"}, "cannot be changed"),
                                   ({"log_error": False}, "errors are always logged"),
                                   ({"log_info": True, "log_warning": False}, "more urgent")):
                with self.assertRaisesRegex(InferenceServerException, words):
                    c.update_log_settings(changes)
            self.assertEqual(self.log(c), {}, "nothing has changed")

    def test_settings_need_permission(self):
        for c in self.clients(admin=False):
            self.assertEqual(self.plain(c.get_log_settings()), self.LOG)
            with self.assertRaisesRegex(InferenceServerException, "not allowed"):
                c.update_log_settings({"log_verbose_level": 1})
            with self.assertRaisesRegex(InferenceServerException, "not allowed"):
                c.update_trace_settings(settings={"trace_level": ["TIMESTAMPS"]})

    def test_trace_settings_say_that_there_is_no_trace(self):
        for c in self.clients(admin=True):
            want = dict(self.TRACE)
            if isinstance(c, triton.InferenceServerClient):
                want["trace_level"] = "OFF"
            self.assertEqual(self.plain(c.get_trace_settings()), want)
            self.assertEqual(self.plain(c.update_trace_settings("digits", {"trace_level": ["OFF"]})), want)
            for key, value in ("trace_level", ["OFF", "TIMESTAMPS"]), ("trace_file", "/tmp/x"):
                with self.assertRaisesRegex(InferenceServerException, "cannot be changed"):
                    c.update_trace_settings(settings={key: value})
            with self.assertRaisesRegex(InferenceServerException, "nobody"):
                c.get_trace_settings("nobody")
            with self.assertRaisesRegex(InferenceServerException, "no setting"):
                c.update_trace_settings(settings={"trace_x": "1"})

    def test_there_is_no_shared_memory_of_cuda(self):
        for c in self.clients(admin=True):
            status = c.get_cuda_shared_memory_status
            self.assertEqual(list(getattr(status(), "regions", status())), [])
            with self.assertRaisesRegex(InferenceServerException, "no shared memory region 'r'"):
                status("r")
            with self.assertRaisesRegex(InferenceServerException, "CUDA shared memory is not supported"):
                c.register_cuda_shared_memory("r", b"aGFuZGxl", 0, 64)
            c.unregister_cuda_shared_memory()
            c.unregister_cuda_shared_memory("r")


if __name__ == "__main__":
    unittest.main()
