# SPDX-License-Identifier: Apache-2.0
"""Tensors in shared memory, by Triton's own client library over both wires."""
import asyncio
import ctypes
import json
import os
import pathlib
import sys
import threading
import types
import unittest

import numpy as np
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
import tritonclient.http as triton_http
from onnx import TensorProto, helper
from tritonclient.utils import InferenceServerException, serialize_byte_tensor

from signet_server import Server

# Some releases ask setuptools, which need not be there, where their own library is.
sys.modules.setdefault("pkg_resources", types.SimpleNamespace(
    resource_filename=lambda package, name: os.path.join(os.path.dirname(sys.modules[package].__file__), name)))
import tritonclient.utils.shared_memory as shm  # noqa: E402

SHM = pathlib.Path("/dev/shm")
ROWS = np.arange(12, dtype=np.float32).reshape(3, 4)
TYPES = {"float": (TensorProto.FLOAT, np.float32, "FP32"), "int64": (TensorProto.INT64, np.int64, "INT64"),
         "bool": (TensorProto.BOOL, np.bool_, "BOOL"), "half": (TensorProto.FLOAT16, np.float16, "FP16"),
         "text": (TensorProto.STRING, np.object_, "BYTES")}


def identity(dtype):
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Identity", ["a"], ["x"]), helper.make_node("Identity", ["b"], ["y"])], "identity",
        [value("a", dtype, ["n", "m"]), value("b", dtype, ["n", "m"])],
        [value("x", dtype, ["n", "m"]), value("y", dtype, ["n", "m"])])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


class Object:
    """An object of shared memory with a region of its name, as clients make them."""
    count = 0

    def __init__(self, byte_size):
        Object.count += 1
        self.name = "signet-test-%d-%d" % (os.getpid(), Object.count)
        self.key = "/" + self.name
        self.path = SHM / self.name
        self.byte_size = byte_size
        self.handle = shm.create_shared_memory_region(self.name, self.key, byte_size)

    def put(self, array, offset=0):
        if array.dtype == np.object_:
            data = serialize_byte_tensor(array).item()
            array = np.frombuffer(data, dtype=np.uint8)
        shm.set_shared_memory_region(self.handle, [array], offset)
        return array.nbytes

    def get(self, dtype, shape, offset=0):
        return shm.get_contents_as_numpy(self.handle, dtype, shape, offset).copy()

    def resize(self, byte_size):
        os.truncate(self.path, byte_size)

    def close(self):
        shm.destroy_shared_memory_region(self.handle)


class Wire:
    """One of the two client libraries, whose calls are alike."""

    def __init__(self, module, address):
        self.module, self.address = module, address
        self.c = module.InferenceServerClient(address)

    def status(self, name=""):
        s = self.c.get_system_shared_memory_status(name)
        if self.module is triton_http:
            return {r["name"]: (r["key"], int(r["offset"]), int(r["byte_size"])) for r in s}
        return {n: (r.key, r.offset, r.byte_size) for n, r in s.regions.items()}

    def input(self, name, shape, datatype, window=None, data=None):
        i = self.module.InferInput(name, shape, datatype)
        if window:
            i.set_shared_memory(*window)
        else:
            i.set_data_from_numpy(data)
        return i

    def output(self, name, window=None):
        o = self.module.InferRequestedOutput(name)
        if window:
            o.set_shared_memory(*window)
        return o

    def echo(self, source, target, shape=(3, 4), model="float", datatype="FP32"):
        """a and b from the window source, x to the window target, y in the answer."""
        return self.c.infer(model, [self.input(n, list(shape), datatype, source) for n in "ab"],
                            outputs=[self.output("x", target), self.output("y")])

    def close(self):
        self.c.close()


class SharedMemory(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s = Server(models={}, grpc=True, options={"server.shared_memory": "true", "repository.settle": "0"})
        for name, (dtype, _, _) in TYPES.items():
            cls.s.add(name, "1", data=identity(dtype))
            cls.s.wait_ready("/v2/models/%s/ready" % name)
        cls.grpc_address = "127.0.0.1:%d" % cls.s.grpc_port
        cls.wires = [Wire(triton_http, "127.0.0.1:%d" % cls.s.port), Wire(triton, cls.grpc_address)]

    @classmethod
    def tearDownClass(cls):
        for w in cls.wires:
            w.close()
        assert cls.s.stop() == 0, "\n".join(cls.s.log)

    def setUp(self):
        self.addCleanup(self.wires[0].c.unregister_system_shared_memory)

    def object(self, byte_size=4096, register=True):
        o = Object(byte_size)
        self.addCleanup(o.close)
        if register:
            self.wires[0].c.register_system_shared_memory(o.name, o.key, byte_size)
        return o

    def refuses(self, pattern, call, *args, **named):
        with self.assertRaisesRegex(InferenceServerException, pattern):
            call(*args, **named)

    # -- what it is for ----------------------------------------------------------------

    def test_every_type_comes_and_goes_over_either_wire(self):
        for w in self.wires:
            for model, (_, dtype, datatype) in TYPES.items():
                rows = np.array([[b"", b"one", b"\0two\xff"]], dtype=np.object_) if model == "text" \
                    else np.array([[0, 1, 0, 1]]).astype(dtype)
                source, target = self.object(), self.object()
                size = source.put(rows, 40)
                r = w.echo((source.name, size, 40), (target.name, 100, 64), rows.shape, model, datatype)
                self.assertEqual(target.get(dtype, rows.shape, 64).tolist(), rows.tolist(), model)
                self.assertEqual(r.as_numpy("y").tolist(), rows.tolist(), model)

    def test_inputs_in_the_request_and_in_shared_memory_go_together(self):
        o = self.object()
        o.put(ROWS)
        for w in self.wires:
            for shared, own in ("ab", "ba"):
                inputs = [w.input(shared, [3, 4], "FP32", (o.name, ROWS.nbytes)),
                          w.input(own, [3, 4], "FP32", data=-ROWS)]
                r = w.c.infer("float", inputs, outputs=[w.output("x"), w.output("y")])
                got = dict(zip("ab", (r.as_numpy("x"), r.as_numpy("y"))))
                np.testing.assert_array_equal(got[shared], ROWS)
                np.testing.assert_array_equal(got[own], -ROWS)

    def test_a_region_is_a_window_of_its_object(self):
        o = self.object(register=False)
        for w in self.wires:
            w.c.register_system_shared_memory("window", o.key, 200, offset=100)
            self.assertEqual(w.status("window"), {"window": (o.key, 100, 200)})
            o.put(ROWS, 100)
            w.echo(("window", 48), ("window", 48, 152))
            np.testing.assert_array_equal(o.get(np.float32, (3, 4), 252), ROWS)
            self.refuses("byte_size 48 at shared_memory_offset 153: region 'window' has 200 bytes",
                         w.echo, ("window", 48), ("window", 48, 153))
            w.c.unregister_system_shared_memory("window")

    def test_streams_and_asyncio(self):
        o = self.object()
        o.put(ROWS)

        def request(w):
            return [w.input(n, [3, 4], "FP32", (o.name, 48)) for n in "ab"], [w.output("x", (o.name, 48, 64))]
        w = self.wires[1]
        came = threading.Event()
        w.c.start_stream(lambda result, error: (self.assertIsNone(error), came.set()))
        inputs, outputs = request(w)
        w.c.async_stream_infer("float", inputs, outputs=outputs)
        self.assertTrue(came.wait(20))
        w.c.stop_stream()
        np.testing.assert_array_equal(o.get(np.float32, (3, 4), 64), ROWS)

        async def run():
            async with triton_aio.InferenceServerClient(self.grpc_address) as c:
                o.put(-ROWS)
                await c.infer("float", *request(w)[:1], outputs=request(w)[1])
        asyncio.run(run())
        np.testing.assert_array_equal(o.get(np.float32, (3, 4), 64), -ROWS)

    def test_the_answer_has_a_shape_and_no_data(self):
        """No parameters either: tritonclient in C++ (perf_analyzer) takes them for those of binary data."""
        o = self.object()
        o.put(ROWS)
        x = [w.echo((o.name, 48), (o.name, 48, 64)).get_output("x") for w in self.wires]
        self.assertEqual(x[0], {"name": "x", "datatype": "FP32", "shape": [3, 4]})
        self.assertEqual((x[1].datatype, x[1].shape, len(x[1].parameters)), ("FP32", [3, 4], 0))

    def test_the_server_says_that_it_can(self):
        self.assertIn("system_shared_memory", self.wires[0].c.get_server_metadata()["extensions"])
        self.assertIn("system_shared_memory", self.wires[1].c.get_server_metadata().extensions)

    # -- the registry ------------------------------------------------------------------

    def test_there_is_one_registry_for_both_wires(self):
        o = self.object(register=False)
        o.put(ROWS)
        for a, b in (self.wires, self.wires[::-1]):
            a.c.register_system_shared_memory("one", o.key, 100)
            self.refuses("'one' is already registered", b.c.register_system_shared_memory, "one", o.key, 100)
            self.assertEqual(b.status(), {"one": (o.key, 0, 100)})
            b.echo(("one", 48), ("one", 48, 52))
            b.c.unregister_system_shared_memory("one")
            b.c.unregister_system_shared_memory("one")
            self.refuses("no shared memory region 'one'", a.status, "one")
            self.refuses("no shared memory region 'one'", a.echo, ("one", 48), ("one", 48))

    def test_names_are_in_order_and_all_go_at_once(self):
        o = self.object(register=False)
        names = ["b", "a", "x:0", "a b\u00e9%", "B", "aa"]
        for i, n in enumerate(names):
            self.wires[i % 2].c.register_system_shared_memory(n, o.key[1:], 8)
        status, _, body = self.s.call("GET", "/v2/systemsharedmemory/status")
        self.assertEqual((status, [r["name"] for r in json.loads(body)]), (200, sorted(names)))
        for w in self.wires:
            self.assertEqual(w.status("a b\u00e9%"), {"a b\u00e9%": (o.key, 0, 8)})
        self.wires[0].c.unregister_system_shared_memory("x:0")
        self.assertEqual(sorted(self.wires[0].status()), sorted(set(names) - {"x:0"}))
        for path in "a%", "a%2", "%zz", "%ff", "%00":
            self.assertEqual(self.s.call("GET", "/v2/systemsharedmemory/region/%s/status" % path)[0], 400, path)
        self.wires[1].c.unregister_system_shared_memory()
        self.assertEqual(self.wires[0].status(), {})

    def test_regions_are_bounded_in_number(self):
        o = self.object(register=False)
        for i in range(1024):
            self.wires[1].c.register_system_shared_memory("r%d" % i, o.key, 8)
        for w in self.wires:
            self.refuses("1024 shared memory regions", w.c.register_system_shared_memory, "more", o.key, 8)
        self.wires[1].c.unregister_system_shared_memory("r7")
        self.wires[1].c.register_system_shared_memory("more", o.key, 8)
        open_files = len(os.listdir("/proc/%d/fd" % self.s.pid))
        self.wires[1].c.unregister_system_shared_memory()
        self.assertEqual(len(os.listdir("/proc/%d/fd" % self.s.pid)), open_files - 1024)

    # -- what must not hurt ------------------------------------------------------------

    def test_keys_that_are_no_objects_of_shared_memory(self):
        link, folder, fifo = (SHM / ("signet-test-%d-%s" % (os.getpid(), n)) for n in ("link", "folder", "fifo"))
        link.symlink_to("/etc/passwd")
        self.addCleanup(link.unlink)
        folder.mkdir()
        self.addCleanup(folder.rmdir)
        os.mkfifo(fifo)
        self.addCleanup(fifo.unlink)
        for w in self.wires:
            for key in ("", "/", ".", "..", "/..", "//x", "/a/b", "/../etc/passwd", "etc/passwd", "/.hidden",
                        "/sem.x", "/a\n", "/" + 256 * "a"):
                self.refuses("a key is|the key of a region", w.c.register_system_shared_memory, "bad", key, 8)
            self.refuses("name of a region has a control character", w.c.register_system_shared_memory,
                         "\x01", "/x", 8)
            for key, why in (("/signet-test-nowhere", "No such file"), ("/" + link.name, "symbolic link"),
                             ("/" + folder.name, "irectory"), ("/" + fifo.name, "not a regular file")):
                self.refuses(why, w.c.register_system_shared_memory, "bad", key, 8)
        self.assertEqual(self.wires[0].status(), {})

    def test_windows_that_are_not_there(self):
        o = self.object()
        for w in self.wires:
            register = w.c.register_system_shared_memory
            for size, offset in (4097, 0), (1, 4096), (2, 4095):
                self.refuses("region 'r' needs %d bytes of its object, which has 4096" % (size + offset),
                             register, "r", o.key, size, offset)
            for size, offset in (0, 0), (2**62, 2**62 + 2**61), (1, 2**63 - 1):
                self.refuses("no object has|needs %d bytes" % (size + offset), register, "r", o.key, size, offset)
            for size, offset in (48, 4049), (48, 2**62), (48, 2**63 - 1):
                self.refuses("%d at shared_memory_offset %d: region '%s' has 4096" % (size, offset, o.name),
                             w.echo, (o.name, size, offset), (o.name, 48))
            self.refuses("shared_memory_byte_size is 4096, its shape and datatype say 48",
                         w.echo, (o.name, 4096), (o.name, 48))
            self.refuses("shared_memory_byte_size is %d" % 2**62, w.echo, (o.name, 2**62, 2**62), (o.name, 48))
            self.refuses("there is no shared memory region 'none'", w.echo, ("none", 48), (o.name, 48))
            self.refuses("there is no shared memory region 'none'", w.echo, (o.name, 48), ("none", 48))
            for size, offset in (-1, 0), (48, -1):
                self.refuses("its shape and datatype|shared_memory_offset|not a whole number",
                             w.echo, (o.name, size, offset), (o.name, 48))
                with self.assertRaisesRegex((InferenceServerException, ValueError), "not negative|out of range"):
                    register("r", o.key, size, offset)

    def test_an_output_that_does_not_fit_says_both_sizes(self):
        o = self.object()
        o.put(ROWS)
        for w in self.wires:
            self.refuses("output 'x': 48 bytes do not fit into shared_memory_byte_size 47",
                         w.echo, (o.name, 48), (o.name, 47, 64))
            text = np.array([[b"abc", b"de"]], dtype=np.object_)
            size = o.put(text)
            self.refuses("13 bytes do not fit into shared_memory_byte_size 12",
                         w.echo, (o.name, size), (o.name, 12, 64), text.shape, "text", "BYTES")
            o.put(ROWS)

    def test_strings_that_do_not_add_up(self):
        o = self.object()
        for data in b"\xff\xff\xff\xffabcd", b"\4\0\0\0abc", b"\1\0\0\0a\0\0\0", b"\0\0":
            o.put(np.frombuffer(data, dtype=np.uint8))
            for w in self.wires:
                self.refuses("input 'a'", w.echo, (o.name, len(data)), (o.name, 64, 64), (1, 1), "text", "BYTES")

    def test_data_comes_one_way_only(self):
        o = self.object()
        w = self.wires[0]
        source = {"shared_memory_region": o.name, "shared_memory_byte_size": 4}
        for more in {"data": [1.0]}, {"parameters": dict(source, binary_data_size=4)}:
            one = dict({"name": "a", "shape": [1, 1], "datatype": "FP32", "parameters": source}, **more)
            status, _, body = self.s.post("/v2/models/float/infer", {"inputs": [one]})
            self.assertEqual((status, b"must have either" in body), (400, True), body)
        w = self.wires[1]
        i = w.input("a", [3, 4], "FP32", (o.name, 48))
        i._get_tensor().contents.fp32_contents.extend([0.0] * 12)
        self.refuses("lies in shared memory", w.c.infer, "float", [i, w.input("b", [3, 4], "FP32", data=ROWS)])

    def test_an_object_that_is_cut_short(self):
        for w in self.wires:
            o = self.object(1 << 16)
            o.put(ROWS)
            o.resize(20)
            self.refuses("region '%s': .*: ends after 20 bytes" % o.name, w.echo, (o.name, 48), (o.name, 48))
            self.refuses("needs 112 bytes of its object, which has 48", self.write_to_short, w, o)
            self.assertEqual(os.stat(o.path).st_size, 48)

    def write_to_short(self, w, o):
        o.resize(48)
        w.echo((o.name, 48), (o.name, 48, 64))

    def storm(self, o, disturb):
        """Requests over both wires while disturb() is called; what they were refused for."""
        ended, seen = threading.Event(), set()

        def disturb_all_the_time():
            while not ended.is_set():
                disturb()

        def ask(w):
            for _ in range(200):
                try:
                    w.echo((o.name, 1 << 19), (o.name, 1 << 19, 1 << 19), (256, 512))
                except InferenceServerException as e:
                    seen.add(e.message())
            w.close()
        disturber = threading.Thread(target=disturb_all_the_time)
        askers = [threading.Thread(target=ask, args=(Wire(w.module, w.address),)) for w in self.wires * 2]
        for t in [disturber] + askers:
            t.start()
        for t in askers:
            t.join()
        ended.set()
        disturber.join()
        self.assertEqual(self.s.call("GET", "/v2/health/live")[0], 200)
        return seen

    def test_an_object_that_is_cut_short_while_it_is_used(self):
        """Mapped, it would end the server."""
        o = self.object(1 << 20)

        def disturb():
            o.resize(0)
            o.resize(1 << 20)
        for why in self.storm(o, disturb):
            self.assertRegex(why, "ends after|of its object, which has")

    def test_a_region_that_is_unregistered_while_it_is_used(self):
        o = self.object(1 << 20)

        def disturb():
            self.wires[1].c.unregister_system_shared_memory(o.name)
            self.wires[1].c.register_system_shared_memory(o.name, o.key, 1 << 20)
        for why in self.storm(o, disturb):
            self.assertRegex(why, "there is no shared memory region")
        files = "/proc/%d/fd" % self.s.pid
        self.assertEqual([o.name in os.readlink(os.path.join(files, f)) for f in os.listdir(files)].count(True), 1)


class Off(unittest.TestCase):
    def test_it_is_off_until_the_configuration_allows_it(self):
        with Server(models={"digits": ["1"]}, grpc=True) as s:
            for w in Wire(triton_http, "127.0.0.1:%d" % s.port), Wire(triton, "127.0.0.1:%d" % s.grpc_port):
                refused = self.assertRaisesRegex(InferenceServerException, r"\[server\] shared_memory")
                with refused:
                    w.c.register_system_shared_memory("r", "/x", 8)
                with refused:
                    w.c.infer("digits", [w.input("image", [1, 64], "FP32", ("r", 256))])
                with refused:
                    w.c.infer("digits", [w.input("image", [1, 64], "FP32", data=np.zeros((1, 64), np.float32))],
                              outputs=[w.output("label", ("r", 8))])
                self.assertEqual(w.status(), {})
                w.c.unregister_system_shared_memory()
                self.assertNotIn("system_shared_memory", str(w.c.get_server_metadata()))
                w.close()


if __name__ == "__main__":
    unittest.main()
