# SPDX-License-Identifier: Apache-2.0
"""The Open Inference Protocol and health over gRPC, asked by clients that are not ours."""
import asyncio
import json
import os
import queue
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import grpc
import numpy as np
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
import tritonclient.http as triton_http
from grpc_health.v1 import health_pb2, health_pb2_grpc
from onnx import TensorProto, helper
from tritonclient.utils import InferenceServerException

import raw_http2
import signet
from signet_server import Server

SERVICE = "/inference.GRPCInferenceService/"
ROW = np.array([[float((i * 7) % 17) for i in range(64)]], dtype=np.float32)


def identity(dtype, shape):
    """y = x, of any type."""
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])], "identity",
        [helper.make_tensor_value_info("x", dtype, shape)],
        [helper.make_tensor_value_info("y", dtype, shape)])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)],
                             ir_version=8).SerializeToString()


def image(data=ROW, datatype="FP32"):
    tensor = triton.InferInput("image", list(data.shape), datatype)
    tensor.set_data_from_numpy(data)
    return tensor


def messages():
    """The messages of our own .proto, compiled by Google's compiler."""
    folder = tempfile.mkdtemp(prefix="signet-test-")
    proto = os.path.join(signet.TREE, "proto")
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", "-I" + proto,
                    "--descriptor_set_out=" + os.path.join(folder, "set"), "inference.proto"], check=True)
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    pool = descriptor_pool.DescriptorPool()
    with open(os.path.join(folder, "set"), "rb") as f:
        for file in descriptor_pb2.FileDescriptorSet.FromString(f.read()).file:
            pool.Add(file)
    return lambda name: message_factory.GetMessageClass(pool.FindMessageTypeByName("inference." + name))


class GrpcOip(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s = Server(models={"digits": ["1"]}, grpc=True, options={
            "grpc.allow_admin": "true", "http.allow_admin": "true", "grpc.message_max": "4M",
            "repository.settle": "0"})
        for name, dtype in (("text", TensorProto.STRING), ("half", TensorProto.FLOAT16),
                            ("int8", TensorProto.INT8), ("bool", TensorProto.BOOL),
                            ("float", TensorProto.FLOAT)):
            cls.s.add(name, "1", data=identity(dtype, ["n", "m"]))
            cls.s.wait_ready("/v2/models/%s/ready" % name)
        cls.address = "127.0.0.1:%d" % cls.s.grpc_port
        cls.c = triton.InferenceServerClient(cls.address)
        cls.channel = grpc.insecure_channel(cls.address)
        cls.message = staticmethod(messages())

    @classmethod
    def tearDownClass(cls):
        cls.c.close()
        cls.channel.close()
        assert cls.s.stop() == 0, cls.s.log

    def raw_call(self, method, body, **more):
        return self.channel.unary_unary(method)(body, timeout=10, **more)

    def fails(self, code, method, body, **more):
        with self.assertRaises(grpc.RpcError) as caught:
            self.raw_call(method, body, **more)
        self.assertEqual(caught.exception.code(), code, caught.exception.details())
        return caught.exception.details()

    def request(self, **more):
        r = self.message("ModelInferRequest")(model_name="digits")
        r.inputs.add(name="image", datatype="FP32", shape=[1, 64])
        r.raw_input_contents.append(ROW.tobytes())
        for key, value in more.items():
            setattr(r, key, value)
        return r

    def refuses(self, r, *words):
        text = self.fails(grpc.StatusCode.INVALID_ARGUMENT, SERVICE + "ModelInfer", r.SerializeToString())
        for word in words:
            self.assertIn(word, text)

    # -- asking about server and models ----------------------------------------------------

    def test_server_and_models(self):
        self.assertTrue(self.c.is_server_live() and self.c.is_server_ready())
        self.assertTrue(self.c.is_model_ready("digits") and self.c.is_model_ready("digits", "1"))
        self.assertEqual(self.c.get_server_metadata().name, "signet")
        m = self.c.get_model_metadata("digits")
        self.assertEqual((m.name, list(m.versions), list(m.inputs[0].shape)), ("digits", ["1"], [-1, 64]))
        self.assertFalse(self.c.is_model_ready("nobody") or self.c.is_model_ready("digits", "9"))
        config = self.c.get_model_config("digits").config
        self.assertEqual((config.name, list(config.input[0].dims)), ("digits", [64]))
        # perf_analyzer asks this before it sends more rows than one.
        self.assertTrue(config.HasField("dynamic_batching"))
        self.assertIn(("digits", "1", "READY"),
                      [(i.name, i.version, i.state) for i in self.c.get_model_repository_index().models])
        self.assertEqual(len(self.c.get_system_shared_memory_status().regions), 0)
        with self.assertRaisesRegex(InferenceServerException, "NOT_FOUND"):
            self.c.get_model_metadata("nobody")

    def test_statistics_count(self):
        def success():
            return self.c.get_inference_statistics("digits").model_stats[0].inference_stats.success.count
        before = success()
        self.c.infer("digits", [image()])
        self.assertEqual(success(), before + 1)

    def test_load_and_unload(self):
        self.c.unload_model("int8")
        self.assertNotEqual(self.s.call("GET", "/v2/models/int8/ready")[0], 200)
        self.c.load_model("int8")
        self.assertTrue(self.c.is_model_ready("int8"))
        # KServe's layout: the name in field 1.
        answer = self.raw_call(SERVICE + "RepositoryModelLoad", b"\x0a\x04int8")
        done = self.message("RepositoryModelLoadResponse").FromString(answer)
        self.assertEqual((done.model_name, done.is_loaded), ("int8", True))
        with self.assertRaisesRegex(InferenceServerException, "NOT_FOUND"):
            self.c.load_model("nobody")

    def test_a_model_is_loaded_as_it_lies_in_the_repository(self):
        http = triton_http.InferenceServerClient("127.0.0.1:%d" % self.s.port)
        self.addCleanup(http.close)
        for c in self.c, http:
            with self.assertRaisesRegex(InferenceServerException, "'config': a model is loaded as it lies"):
                c.load_model("int8", config='{"max_batch_size": 1}')
            with self.assertRaisesRegex(InferenceServerException, "a model is loaded as it lies"):
                c.load_model("int8", config="{}", files={"file:1/model.onnx": b"x"})
            c.unload_model("int8", unload_dependents=True)
            c.load_model("int8")

    def test_health(self):
        stub = health_pb2_grpc.HealthStub(self.channel)
        for service in ("", "digits", "inference.GRPCInferenceService", "grpc.health.v1.Health"):
            self.assertEqual(stub.Check(health_pb2.HealthCheckRequest(service=service)).status,
                             health_pb2.HealthCheckResponse.SERVING, service)
        with self.assertRaises(grpc.RpcError) as caught:
            stub.Check(health_pb2.HealthCheckRequest(service="nobody"))
        self.assertEqual(caught.exception.code(), grpc.StatusCode.NOT_FOUND)

    # -- inference ---------------------------------------------------------------------------

    def test_the_answer_is_that_of_rest_bit_for_bit(self):
        http = triton_http.InferenceServerClient("127.0.0.1:%d" % self.s.port)
        tensor = triton_http.InferInput("image", [1, 64], "FP32")
        tensor.set_data_from_numpy(ROW)
        want = http.infer("digits", [tensor])
        got = self.c.infer("digits", [image()], request_id="a-1", model_version="1")
        self.assertEqual(got.get_response().id, "a-1")
        self.assertEqual(got.get_response().model_version, "1")
        for name in ("label", "probabilities"):
            self.assertEqual(got.as_numpy(name).tobytes(), want.as_numpy(name).tobytes())
        http.close()

    def test_halves_are_numbers_in_json(self):
        data = np.array([[1.5, -0.1, 65504]], dtype=np.float16)
        for body, path, key in (({"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP16", "data": data.tolist()}]},
                                 "/v2/models/half/infer", "outputs"),
                                ({"instances": data.tolist()}, "/v1/models/half:predict", "predictions")):
            status, _, answer = self.s.post(path, body)
            self.assertEqual(status, 200, answer)
            got = json.loads(answer)[key][0]
            got = got["data"] if key == "outputs" else got
            self.assertEqual(np.array(got, dtype=np.float16).tolist(), data[0].tolist())
            status, _, answer = self.s.post(path, json.dumps(body).replace("65504", "65520"))
            self.assertEqual(status, 400, answer)
            self.assertIn(b"out of the range of float16", answer)

    def test_compressed_requests(self):
        tensor = triton.InferInput("x", [1000, 500], "FP32")
        data = np.arange(500000, dtype=np.float32).reshape(1000, 500)
        tensor.set_data_from_numpy(data)
        for algorithm in ("gzip", "deflate"):
            got = self.c.infer("float", [tensor], compression_algorithm=algorithm)
            self.assertTrue(np.array_equal(got.as_numpy("y"), data))
            answers = queue.Queue()
            self.c.start_stream(lambda result, error: answers.put((result, error)), compression_algorithm=algorithm)
            self.c.async_stream_infer("digits", [image()])
            self.c.async_stream_infer("float", [tensor])
            answers.get(timeout=10)
            self.assertTrue(np.array_equal(answers.get(timeout=10)[0].as_numpy("y"), data))
            self.c.stop_stream()
        large = triton.InferInput("x", [1, 2 << 20], "FP32")
        large.set_data_from_numpy(np.zeros([1, 2 << 20], dtype=np.float32))
        with self.assertRaisesRegex(InferenceServerException, "RESOURCE_EXHAUSTED.*larger than the limit of 4194304"):
            self.c.infer("float", [large], compression_algorithm="gzip")

    def test_requested_outputs_come_in_their_order(self):
        names = ["probabilities", "label"]
        got = self.c.infer("digits", [image()], outputs=[triton.InferRequestedOutput(n) for n in names])
        self.assertEqual([o.name for o in got.get_response().outputs], names)
        top = self.c.infer("digits", [image()], outputs=[triton.InferRequestedOutput("probabilities", class_count=2)])
        self.assertEqual(top.as_numpy("probabilities").shape, (1, 2))

    def test_typed_contents(self):
        r = self.request()
        del r.raw_input_contents[:]
        r.inputs[0].contents.fp32_contents.extend(ROW[0])
        got = self.message("ModelInferResponse").FromString(
            self.raw_call(SERVICE + "ModelInfer", r.SerializeToString()))
        want = self.c.infer("digits", [image()])
        self.assertEqual(list(got.raw_output_contents), list(want.get_response().raw_output_contents))

    def test_types_come_back_as_they_went(self):
        for model, datatype, data in (
                ("text", "BYTES", np.array([[b"", b"\x00\xff", "sign\u00e9t".encode()]], dtype=object)),
                ("half", "FP16", np.array([[1.5, -0.0, 65504]], dtype=np.float16)),
                ("int8", "INT8", np.array([[-128, 127]], dtype=np.int8)),
                ("bool", "BOOL", np.array([[True, False]])),
                ("float", "FP32", np.zeros([0, 3], dtype=np.float32)),
                ("float", "FP32", np.random.default_rng(1).random([3, 200000]).astype(np.float32))):
            tensor = triton.InferInput("x", list(data.shape), datatype)
            tensor.set_data_from_numpy(data)
            got = self.c.infer(model, [tensor]).as_numpy("y")
            self.assertEqual(got.shape, data.shape)
            self.assertTrue(np.array_equal(got, data), (model, got))

    def test_async_and_stream(self):
        answers = queue.Queue()
        want = self.c.infer("digits", [image()]).as_numpy("probabilities").tobytes()
        for i in range(50):
            self.c.async_infer("digits", [image()], lambda result, error: answers.put((result, error)))
        for i in range(50):
            result, error = answers.get(timeout=10)
            self.assertIsNone(error)
            self.assertEqual(result.as_numpy("probabilities").tobytes(), want)
        self.c.start_stream(lambda result, error: answers.put((result, error)))
        for i in range(20):
            self.c.async_stream_infer("digits", [image()], request_id=str(i))
        self.c.async_stream_infer("nobody", [image()], request_id="lost")
        self.c.async_stream_infer("digits", [image()], request_id="after")
        ids = []
        for i in range(22):
            result, error = answers.get(timeout=10)
            if i == 20:
                self.assertIn("nobody", str(error))
                continue
            self.assertEqual(result.as_numpy("probabilities").tobytes(), want)
            ids.append(result.get_response().id)
        self.assertEqual(ids, [str(i) for i in range(20)] + ["after"])
        self.c.stop_stream()

    def test_stream_of_strings_halves_and_zero_elements(self):
        answers = queue.Queue()
        rows = [("text", "BYTES", np.array([["a" * i, "\u00e9"]], dtype=object)) for i in range(5)]
        rows += [("half", "FP16", np.full([1, i], 0.1, dtype=np.float16)) for i in range(5)]
        self.c.start_stream(lambda result, error: answers.put((result, error)))
        for model, datatype, data in rows:
            tensor = triton.InferInput("x", list(data.shape), datatype)
            tensor.set_data_from_numpy(data)
            self.c.async_stream_infer(model, [tensor])
        for model, datatype, data in rows:
            result, error = answers.get(timeout=10)
            self.assertIsNone(error)
            want = np.char.encode(data.astype(str), "utf-8") if datatype == "BYTES" else data
            self.assertEqual(result.as_numpy("y").tolist(), want.tolist())
        self.c.stop_stream()

    def test_the_asynchronous_client(self):
        async def story():
            async with triton_aio.InferenceServerClient(self.address) as c:
                self.assertTrue(await c.is_server_ready())
                self.assertTrue(await c.is_model_ready("digits"))
                many = await asyncio.gather(*[c.infer("digits", [image()]) for _ in range(20)])

                async def requests():
                    for i in range(5):
                        yield {"model_name": "digits", "inputs": [image()], "request_id": str(i)}
                ids = []
                async for result, error in c.stream_infer(requests()):
                    self.assertIsNone(error)
                    ids.append(result.get_response().id)
                return many, ids
        many, ids = asyncio.run(story())
        want = self.c.infer("digits", [image()]).as_numpy("probabilities").tobytes()
        self.assertEqual({r.as_numpy("probabilities").tobytes() for r in many}, {want})
        self.assertEqual(ids, [str(i) for i in range(5)])

    def test_timeouts_and_priorities_and_parameters_are_taken(self):
        got = self.c.infer("digits", [image()], priority=1, timeout=5000000, client_timeout=5,
                           parameters={"anything": "else"}, headers={"some": "header"})
        self.assertEqual(got.as_numpy("label").shape, (1,))
        # One microsecond has passed when the request is read.
        with self.assertRaisesRegex(InferenceServerException, "DEADLINE_EXCEEDED"):
            self.c.infer("digits", [image()], timeout=1)

    def test_swap_under_load_fails_nothing(self):
        """New versions come and go; every call is answered, each answer one version's."""
        s, address = self.s, self.address
        s.add("swapped", "1")
        s.wait_ready("/v2/models/swapped/ready")
        stop, errors, seen = threading.Event(), [], set()

        def load():
            client = triton.InferenceServerClient(address)
            while not stop.is_set():
                try:
                    seen.add(client.infer("swapped", [image()]).get_response().model_version)
                except InferenceServerException as e:
                    errors.append(str(e))
            client.close()
        threads = [threading.Thread(target=load) for _ in range(4)]
        for t in threads:
            t.start()
        s.add("swapped", "1", as_version="2")
        s.wait_state("2", "AVAILABLE", model="swapped")
        signet.wait_until(lambda: "2" in seen or errors, "an answer of version 2")
        s.remove("swapped", "2")
        s.wait_state("1", "AVAILABLE", model="swapped")
        seen.discard("1")
        signet.wait_until(lambda: "1" in seen or errors, "an answer of version 1")
        stop.set()
        for t in threads:
            t.join()
        self.assertEqual(errors, [])
        self.assertLessEqual({"1", "2"}, seen)

    # -- bad input, by the rows of the catalogue ------------------------------------------------

    def test_G1_message_too_large(self):
        self.fails(grpc.StatusCode.RESOURCE_EXHAUSTED, SERVICE + "ModelInfer", b"\x0a" + b"x" * (5 << 20))

    def test_G4_malformed_messages(self):
        good = self.request().SerializeToString()
        for bad in (b"\x00", b"\x0b\x0c", b"\x0a\xff\xff\xff\xff\x0f", b"\xff" * 11, good[:-1],
                    b"\x0a\x02\xff\xfe", b"\x0a\x03a\x00b", good + b"\x2a\x02\x0a\x05"):
            self.fails(grpc.StatusCode.INVALID_ARGUMENT, SERVICE + "ModelInfer", bad)
        self.fails(grpc.StatusCode.INVALID_ARGUMENT, SERVICE + "ModelMetadata", b"\x0b\x0c")
        # Unknown fields are skipped.
        self.raw_call(SERVICE + "ModelInfer", good + b"\xf8\x07\x01" * 100000)
        # Two bytes each, and no memory for them.
        self.fails(grpc.StatusCode.INVALID_ARGUMENT, SERVICE + "ModelInfer", good + b"\x2a\x00" * 1000000)

    def test_G5_contents_that_do_not_fit(self):
        r = self.request()
        r.raw_input_contents.append(b"")
        self.refuses(r, "1 inputs and 2 raw_input_contents")
        r = self.request()
        r.raw_input_contents[0] = ROW.tobytes()[:-1]
        self.refuses(r, "255 bytes", "256")
        r = self.request()
        r.inputs[0].contents.fp32_contents.append(1)
        self.refuses(r, "has contents")
        r = self.request()
        del r.raw_input_contents[:]
        r.inputs[0].contents.int_contents.extend([1] * 64)
        self.refuses(r, "not of its datatype")
        del r.inputs[0].contents.int_contents[:]
        r.inputs[0].contents.fp32_contents.extend([1] * 65)
        self.refuses(r, "more elements")
        r = self.message("ModelInferRequest")(model_name="text", raw_input_contents=[b"\x05\0\0\0abc"])
        r.inputs.add(name="x", datatype="BYTES", shape=[1, 1])
        self.refuses(r, "do not add up")
        r = self.message("ModelInferRequest")(model_name="half")
        r.inputs.add(name="x", datatype="FP16", shape=[1, 1]).contents.fp32_contents.append(1)
        self.refuses(r, "raw_input_contents")
        r = self.message("ModelInferRequest")(model_name="int8")
        r.inputs.add(name="x", datatype="INT8", shape=[1, 1]).contents.int_contents.append(128)
        self.refuses(r, "does not fit")

    def test_G6_names_and_versions(self):
        self.fails(grpc.StatusCode.NOT_FOUND, SERVICE + "ModelInfer",
                   self.request(model_name="").SerializeToString())
        for version in ("01", "-1", "x", "9" * 30):
            self.refuses(self.request(model_version=version), "version")
        self.fails(grpc.StatusCode.NOT_FOUND, SERVICE + "ModelInfer",
                   self.request(model_version="7").SerializeToString())
        self.refuses(self.request(model_name="n" * 1000000))

    def test_G7_shapes(self):
        for shape in ([-1, 64], [1 << 62, 1 << 62], [1] * 100000, [1, 65]):
            r = self.request()
            del r.inputs[0].shape[:]
            r.inputs[0].shape.extend(shape)
            self.refuses(r, "image")

    def test_G8_parameters(self):
        r = self.request()
        for i in range(100):
            r.parameters["p%d" % i].int64_param = i
        self.refuses(r, "64 parameters")
        for key in ("sequence_id", "triton_x"):
            r = self.request()
            r.parameters[key].int64_param = 1
            self.refuses(r)

    def test_G10_deadlines(self):
        body = self.request().SerializeToString()
        call = self.channel.unary_unary(SERVICE + "ModelInfer")
        with self.assertRaises(grpc.RpcError) as caught:
            call(body, timeout=-5)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
        for timeout in (0, 1e-9):  # a millisecond to the client's library: it may do
            try:
                call(body, timeout=timeout)
            except grpc.RpcError as e:
                self.assertEqual(e.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
        call(body, timeout=1e6)

    def test_G13_unknown_methods(self):
        for path in ("/a", "/a/b", SERVICE + "Nothing", "/x.Y/ModelInfer"):
            self.fails(grpc.StatusCode.UNIMPLEMENTED, path, b"")

    def test_G9_G14_cancelled_streams_and_calls_leave_nothing(self):
        body = self.request().SerializeToString()
        call = self.channel.unary_unary(SERVICE + "ModelInfer")
        for i in range(500):
            call.future(body, timeout=10).cancel()
        stream = self.channel.stream_stream(SERVICE + "ModelStreamInfer")
        for i in range(20):
            answers = stream(iter([body] * 3), timeout=10)
            next(answers)
            answers.cancel()
        self.assertEqual(list(stream(iter([]), timeout=10)), [], "half-closed at once")
        self.assertEqual(len(list(stream(iter([body] * 100), timeout=10))), 100)

    def test_G12_http1_on_the_port(self):
        with socket.create_connection(("127.0.0.1", self.s.grpc_port), 5) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            while sock.recv(4096):
                pass
        self.assertTrue(self.c.is_server_live())


def is_live(s):
    """On a connection of its own, which may be turned away."""
    with triton.InferenceServerClient("127.0.0.1:%d" % s.grpc_port) as c:
        try:
            return c.is_server_live()
        except InferenceServerException:
            return False


class GrpcLimits(unittest.TestCase):
    def test_G16_descriptors_run_out_and_come_back(self):
        def few():
            resource.setrlimit(resource.RLIMIT_NOFILE, (80, 80))
        with Server(grpc=True, preexec=few) as s:
            held = [socket.create_connection(("127.0.0.1", s.grpc_port), 5) for _ in range(100)]
            time.sleep(0.3)
            for sock in held:
                sock.close()
            signet.wait_until(lambda: is_live(s), "a connection that is taken")

    def stream_on(self, s):
        c = raw_http2.Connection(s.grpc_port)
        c.call(1, SERVICE + "ModelStreamInfer")
        c.sock.settimeout(20)
        c.send(raw_http2.frame(raw_http2.DATA, 0, 1, raw_http2.message(b"")))
        self.assertIsNotNone(c.wait_for(raw_http2.DATA, 1))
        return c

    def test_who_only_holds_a_connection_makes_way(self):
        for guard in ("off", "on"):
            with Server(grpc=True, options={"grpc.connections_max": "4", "grpc.guard": guard}) as s:
                busy = self.stream_on(s)
                idle = [socket.create_connection(("127.0.0.1", s.grpc_port), 5) for _ in range(3)]
                time.sleep(1.6)
                newcomers = [raw_http2.Connection(s.grpc_port) for _ in idle]
                for c in newcomers:
                    c.call(1, SERVICE + "ServerLive", b"")
                    self.assertEqual(c.status(1), 0)
                    busy.send(raw_http2.frame(raw_http2.DATA, 0, 1, raw_http2.message(b"")))
                    self.assertIsNotNone(busy.wait_for(raw_http2.DATA, 1))
                self.assertEqual(s.metric('signet_grpc_refused_total{reason="crowded_out"'), 3)
                for sock in [busy.sock, *idle, *(c.sock for c in newcomers)]:
                    sock.close()

    def test_connections_beyond_the_limit_are_closed(self):
        with Server(grpc=True, options={"grpc.connections_max": "2"}) as s:
            held = [self.stream_on(s) for _ in range(2)]
            with socket.create_connection(("127.0.0.1", s.grpc_port), 5) as third:
                self.assertEqual(third.recv(1), b"")
            for c in held:
                c.sock.close()
            signet.wait_until(lambda: is_live(s), "a connection that is taken")

    def test_connections_that_come_and_go_are_counted_once(self):
        """A limit of 4 holds after many that hung up; the daemon ends well."""
        with Server(grpc=True, options={"grpc.connections_max": "4"}) as s:
            for i in range(200):
                channel = grpc.insecure_channel("127.0.0.1:%d" % s.grpc_port, options=[
                    ("grpc.use_local_subchannel_pool", 1)])
                channel.unary_unary(SERVICE + "ServerLive")(b"", timeout=5, wait_for_ready=True)
                channel.close()
            time.sleep(0.3)
            held = [socket.create_connection(("127.0.0.1", s.grpc_port), 5) for _ in range(5)]
            held[4].settimeout(5)
            self.assertEqual(held[4].recv(1), b"")
            for sock in held:
                sock.close()

    def test_admin_needs_permission(self):
        with Server(grpc=True) as s, triton.InferenceServerClient("127.0.0.1:%d" % s.grpc_port) as c:
            with self.assertRaisesRegex(InferenceServerException, "not allowed"):
                c.unload_model("digits")

    def test_a_unix_socket_serves(self):
        path = os.path.join(tempfile.mkdtemp(prefix="signet-test-"), "grpc.sock")
        with Server(options={"grpc.listen": "unix:" + path}) as s:
            channel = grpc.insecure_channel("unix:" + path)
            self.assertEqual(channel.unary_unary(SERVICE + "ServerLive")(b"", timeout=5), b"\x08\x01")
            channel.close()
        self.assertFalse(os.path.exists(path))


if __name__ == "__main__":
    unittest.main()
