# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a REST request, and the answer that it gets.

Test names carry the row of the bad-input catalogue (H1 to H27; FRAMING: what libmicrohttpd
lets through). After every test the daemon lives, is ready and still predicts.
"""
import gzip
import json
import os
import socket
import struct
import threading
import time
import unittest
import zlib

from onnx import TensorProto, helper

from signet_server import Server, read_answer, reset, status_of

INFER = "/v2/models/digits/infer"
PREDICT = "/v1/models/digits:predict"
JSON = {"Content-Type": "application/json"}
MAX_BODY = 1 << 20


def tensor(**changes):
    t = {"name": "image", "shape": [1, 64], "datatype": "FP32", "data": [1.0] * 64}
    t.update(changes)
    return {k: v for k, v in t.items() if v is not None}


def infer(*inputs, **more):
    return dict({"inputs": list(inputs) or [tensor()]}, **more)


def with_data(text):
    """The good request, with text in place of the first number."""
    return ('{"inputs":[{"name":"image","shape":[1,64],"datatype":"FP32","data":[%s%s]}]}'
            % (text, ",1" * 63)).encode("utf-8", "surrogatepass")


def request(path=INFER, body=b"", headers=(), method="POST", version="HTTP/1.1"):
    lines = ["%s %s %s" % (method, path, version), "Host: test"] + list(headers)
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def cpu_seconds(server):
    with open("/proc/%d/stat" % server.pid) as f:
        user, system = f.read().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


class BadRest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s = Server(options={"http.body_max": "1M", "http.header_timeout": "1s",
                                "http.body_timeout": "1s"})

    @classmethod
    def tearDownClass(cls):
        code = cls.s.stop()
        assert code == 0, "the daemon ended with %s" % code

    def tearDown(self):
        self.assertEqual(self.s.call("GET", "/v2/health/ready")[0], 200)
        status, _, body = self.s.post(INFER, infer())
        self.assertEqual(status, 200, body)

    def refuses(self, path, body, status=400, headers=None, says=None):
        got, _, answer = self.s.call("POST", path, body, headers or JSON)
        where = (str(body)[:80], answer)
        self.assertEqual(got, status, where)
        error = json.loads(answer)["error"]
        self.assertNotIn("/", error.replace("-Header-", "").replace("/json", "").replace("/octet", "")
                         .replace("value/list", ""), "no paths in errors")
        if says:
            self.assertIn(says, error)
        return error

    def closes(self, data, status):
        """That status, then the end of the connection."""
        answer = self.s.raw(data)
        self.assertEqual(status_of(answer), status, (data[:120], answer))
        self.assertIn(b"connection: close", answer.lower())
        self.assertEqual(answer.count(b"HTTP/1.1 "), 1, "answered once")

    # -- JSON ---------------------------------------------------------------------------

    def test_H1_no_json(self):
        good = json.dumps(infer()).encode()
        bad = [b"", b" \n ", b"null", b"[]", b'"x"', b"1", good + b"x", good + good, b"\xef\xbb\xbf" + good,
               b"// comment\n" + good, good.replace(b'"', b"'"), json.dumps(infer()).encode("utf-16"), b"{}"]
        for body in bad:
            for path in (INFER, PREDICT):
                with self.subTest(path=path, body=body[:24]):
                    self.refuses(path, body)
        self.refuses(INFER, good + b"x", says="offset: %d" % len(good))

    def test_H1_truncated_at_every_byte(self):
        for path, value in ((INFER, infer(tensor(shape=[1, 2], data=[1, 2.5]), id="a")),
                            (PREDICT, {"signature_name": "serving_default", "instances": [[1, 2.5]]})):
            whole = json.dumps(value).encode()
            for n in range(len(whole)):
                with self.subTest(path=path, bytes=n):
                    self.refuses(path, whole[:n])

    def test_H2_depth(self):
        for body, says in ((b"[" * 250000, "an object"), (b'{"a":' * 150000, "64 levels"),
                           (b'{"x":' + b"[" * 64 + b"]" * 64 + b"}", "64 levels"),
                           (b'{"inputs":' + b"[" * 100000, "64 levels"),
                           (b'{"instances":' + b"[" * 100000, "64 levels")):
            for path in (INFER, PREDICT):
                with self.subTest(body=body[:12], path=path):
                    self.refuses(path, body, says=says)

    def test_H3_keys_and_strings(self):
        image = json.dumps(tensor())
        self.refuses(INFER, '{"inputs":[%s],"inputs":[%s]}' % (image, image), says="twice")
        self.refuses(INFER, '{"inputs":[%s]}' % image.replace('"name"', '"name":"x","name"'), says="twice")
        self.refuses(PREDICT, '{"instances":[[1]],"instances":[[1]]}', says="twice")
        for text in (b'"\xff"', b'"\xc0\x80"', b'"\xed\xa0\x80"', b'"\\ud800"', b'"\\udc00\\ud800"', b'"\x01"',
                     b'"\\x41"', b'"\\u12"'):
            with self.subTest(text=text):
                self.refuses(INFER, b'{"other":' + text + b',"inputs":[' + image.encode() + b"]}")
        for extra in ('"other":{"a":[1,{}]}', '"a\\u0000b":1'):
            status, _, body = self.s.post(INFER, '{%s,"inputs":[%s]}' % (extra, image))
            self.assertEqual(status, 200, body)

    def test_H4_numbers(self):
        for text in ("1e999", "-1e39", "01", ".5", "+1", "0x10", "1.", "1e", "true", '"1"', "null", "[1]", "{}",
                     "1" * 10000 + "e99999"):
            with self.subTest(text=text[:20]):
                self.refuses(INFER, with_data(text))
                self.refuses(PREDICT, b'{"instances":[[%s%s]]}' % (text.encode(), b",1" * 63))
        for text in ("-0", "1e-999", "0." + "3" * 10000, "5" * 30):
            with self.subTest(text=text[:20]):
                status, _, body = self.s.post(INFER, with_data(text))
                self.assertEqual(status, 200, body)

    def test_H5_not_a_number(self):
        for text in ("NaN", "Infinity", "-Infinity", "Inf", "nan"):
            with self.subTest(text=text):
                self.refuses(INFER, with_data(text))

    def test_H5_allowed_by_configuration(self):
        with Server(options={"http.allow_nan": "true"}) as s:
            for text in ("NaN", "Infinity", "-Infinity"):
                status, _, body = s.post(INFER, with_data(text))
                self.assertEqual(status, 200, body)
                self.assertIn(b"NaN", body)

    # -- tensors ------------------------------------------------------------------------

    def test_H6_datatype(self):
        for datatype in ("FP16", "BF16", "fp32", "FLOAT", "BYTES", "INT64", "", "FP99", "\u0000", None, 7):
            with self.subTest(datatype=datatype):
                self.refuses(INFER, json.dumps(infer(tensor(datatype=datatype))))

    def test_H7_shape(self):
        for shape in (None, [], [64], [1, 1, 64], [-1, 64], [1.0, 64], ["1", "64"], [16, 1152921504606846978],
                      [4294967296, 4294967298], [1] * 100, [0, 64], [2, 64], [1, 63], 64, {}, [1, 1 << 63]):
            with self.subTest(shape=shape):
                self.refuses(INFER, json.dumps(infer(tensor(shape=shape))))

    def test_H7_zero_rows_are_answered(self):
        status, _, body = self.s.post(INFER, infer(tensor(shape=[0, 64], data=[])))
        self.assertEqual(status, 200, body)
        self.assertEqual(json.loads(body)["outputs"][1]["shape"], [0, 10])

    def test_H8_data(self):
        row = [1.0] * 64
        for data in ([1.0] * 63, [1.0] * 65, [row, row], [[row]], [[1.0] * 63 + [[1.0]]], [row[:63]],
                     [row[:32], row[:32]], None, 1, "x", [1.0] * 63 + ["1"], [1.0] * 63 + [True], [], [[]], [row, []]):
            with self.subTest(data=str(data)[:40]):
                self.refuses(INFER, json.dumps(infer(tensor(data=data))))
        self.refuses(INFER, json.dumps(infer(tensor(parameters={"binary_data_size": 256}))), says="either")
        for data in (row, [row]):
            status, _, body = self.s.post(INFER, infer(tensor(data=data)))
            self.assertEqual(status, 200, body)

    def test_H8_ragged_instances(self):
        row = [1.0] * 64
        for instances in ([row, row[:63]], [row, [row]], [[row], row], [], {}, 1, [row, 1], [{"image": row}, row],
                          [{"image": row}, {}], [{}], [{"image": row, "other": 1}], [{"image": row}, {"image": row[:3]}]):
            with self.subTest(instances=str(instances)[:60]):
                self.refuses(PREDICT, json.dumps({"instances": instances}))
        for body in ({"inputs": row}, {"inputs": {"image": row}}, {"inputs": {"other": [row]}}, {"inputs": [row],
                     "instances": [row]}, {"instances": [row], "signature_name": "none"}):
            with self.subTest(body=str(body)[:60]):
                self.refuses(PREDICT, json.dumps(body))

    def test_H9_inputs_and_outputs(self):
        self.refuses(INFER, json.dumps(infer(tensor(name="other"))), says="unexpected inference input")
        self.refuses(INFER, json.dumps(infer(tensor(), tensor())), says="twice")
        self.refuses(INFER, '{"inputs":[]}', says="missing")
        self.refuses(INFER, '{"inputs":{}}')
        self.refuses(INFER, json.dumps(infer(tensor(name=None))), says="name")
        self.refuses(INFER, '{"inputs":[%s]}' % ",".join(["{}"] * 100000))
        self.refuses(INFER, json.dumps(infer(outputs=[{"name": "label"}] * 2)), says="twice")
        self.refuses(INFER, json.dumps(infer(outputs=[{"name": "other"}])), says="unexpected inference output")
        self.refuses(INFER, json.dumps(infer(outputs=[{}])), says="name")
        self.refuses(INFER, json.dumps(infer(outputs=[{"name": "label"}] * 20000)), says="twice")

    def test_H10_id_and_parameters(self):
        self.refuses(INFER, json.dumps(infer(id="x" * 257)))
        self.refuses(INFER, json.dumps(infer(id="x" * 1000000))[:MAX_BODY - 1])
        self.refuses(INFER, json.dumps(infer(id="a\r\nb")))
        self.refuses(INFER, json.dumps(infer(id=7)))
        for parameters in ([], 1, {"priority": -1}, {"timeout": 1 << 64}, {"timeout": 1.5}, {"triton_x": 1},
                           {"sequence_id": 1}, {"binary_data_output": 1}):
            with self.subTest(parameters=parameters):
                self.refuses(INFER, json.dumps(infer(parameters=parameters)))
        _, _, body = self.s.post(INFER, infer(parameters={"sequence_id": 1}))
        self.assertEqual(json.loads(body)["error"], "sequences are not supported: no parameter sequence_id, _start, _end")
        quoted = 'a"\\\u20ac'
        status, _, body = self.s.post(INFER, infer(id=quoted, parameters={"other": [1]}))
        self.assertEqual((status, json.loads(body)["id"]), (200, quoted))

    # -- binary tensors -----------------------------------------------------------------

    def binary(self, header, tail, json_len=None, content_type="application/octet-stream"):
        text = json.dumps(header).encode()
        h = {"Content-Type": content_type}
        if json_len is not False:
            h["Inference-Header-Content-Length"] = str(len(text) if json_len is None else json_len)
        return self.s.call("POST", INFER, text + tail, h)

    def test_H11_header_length(self):
        header = infer(tensor(data=None, parameters={"binary_data_size": 256}))
        tail = struct.pack("<64f", *[1.0] * 64)
        self.assertEqual(self.binary(header, tail)[0], 200)
        for length in (False, "x", -1, "+1", "1e3", "0x10", 1 << 31, 99999999999, 1 << 64, "", 100000, "1 2"):
            with self.subTest(length=length):
                self.assertEqual(self.binary(header, tail, length)[0], 400)
        text = json.dumps(header).encode()
        twice = ["Content-Type: application/octet-stream", "Content-Length: %d" % len(text + tail),
                 "Inference-Header-Content-Length: %d" % len(text)]
        self.assertEqual(status_of(self.s.raw(request(body=text + tail, headers=twice + twice[2:]))), 400)

    def test_H11_raw_body(self):
        for size, status in ((256, 200), (512, 200), (255, 400), (257, 400)):
            got, _, body = self.s.call("POST", INFER, b"\0" * size, {
                "Content-Type": "application/octet-stream", "Inference-Header-Content-Length": "0"})
            self.assertEqual(got, status, body)

    def test_H12_binary_sizes(self):
        tail = struct.pack("<64f", *[1.0] * 64)
        for size, more in ((255, 0), (257, 0), (256, 1), (256, -1), (0, 0), (1 << 40, 0), (1 << 64, 0), (-1, 0),
                           ("256", 0), (256, 256)):
            with self.subTest(size=size, more=more):
                header = infer(tensor(data=None, parameters={"binary_data_size": size}))
                data = tail + b"\0" * more if more >= 0 else tail[:more]
                self.assertEqual(self.binary(header, data)[0], 400)
        strings = infer(tensor(shape=[2], datatype="BYTES", data=None, parameters={"binary_data_size": 8}))
        for data in (struct.pack("<II", 1, 0xffffffff), struct.pack("<II", 5, 0), b"\0" * 4, b"\xff" * 8):
            self.assertEqual(self.binary(strings, data)[0], 400)

    # -- content ------------------------------------------------------------------------

    def test_H13_content_type(self):
        body = json.dumps(infer())
        for kind in ("text/plain", "multipart/form-data; boundary=x", "application/json; charset=utf-16",
                     "application/xml", "application/jsonx"):
            with self.subTest(kind=kind):
                self.refuses(INFER, body, 415, {"Content-Type": kind})
        for kind in ("application/json", "application/json; charset=UTF-8", "APPLICATION/JSON"):
            self.assertEqual(self.s.call("POST", INFER, body, {"Content-Type": kind})[0], 200)
        absent = request(body=body.encode(), headers=["Content-Length: %d" % len(body)])
        self.assertEqual(status_of(self.s.raw(absent)), 200)
        self.refuses(PREDICT, b"\0" * 8, 415, {"Content-Type": "application/octet-stream"})

    def test_H14_content_encoding(self):
        body = json.dumps(infer()).encode()
        zipped = gzip.compress(body)

        def send(data, coding):
            return self.s.call("POST", INFER, data, dict(JSON, **{"Content-Encoding": coding}))[0]
        raw = zlib.compressobj(wbits=-15)
        bare = raw.compress(body) + raw.flush()
        for data, coding in ((zipped, "gzip"), (gzip.compress(body[:99]) + gzip.compress(body[99:]), "gzip"),
                             (zlib.compress(body), "deflate"), (bare, "deflate"), (body, "identity")):
            self.assertEqual(send(data, coding), 200, coding)
        corrupt = zipped[:-8] + bytes(b ^ 0xff for b in zipped[-8:])
        for data, coding in ((zipped[:-1], "gzip"), (zipped[:20], "gzip"), (corrupt, "gzip"), (zipped + b"xy", "gzip"),
                             (gzip.compress(zipped), "gzip"), (body, "gzip"), (b"\x1f\x8b", "gzip")):
            self.assertEqual(send(data, coding), 400)
        for coding in ("br", "zstd", "gzip, gzip", "gzip, identity", "x"):
            self.assertEqual(send(zipped, coding), 415, coding)

    def test_H14_bombs(self):
        bomb = gzip.compress(b" " * (200 << 20), 9)
        self.assertLess(len(bomb), MAX_BODY)
        before = self.resident()
        for _ in range(5):
            self.refuses(INFER, bomb, 413, dict(JSON, **{"Content-Encoding": "gzip"}))
        # A sanitizer's notes on memory are several times what is noted.
        most = (128 if os.environ.get("SIGNET_SANITIZER") else 32) << 20
        self.assertLess(self.resident() - before, most)
        just = b" " * (MAX_BODY - len(json.dumps(infer()))) + json.dumps(infer()).encode()
        for body, status in ((just, 200), (b" " + just, 413)):
            got = self.s.call("POST", INFER, gzip.compress(body), dict(JSON, **{"Content-Encoding": "gzip"}))[0]
            self.assertEqual(got, status)

    def resident(self, server=None):
        for line in (server or self.s).call("GET", "/metrics")[2].decode().split("\n"):
            if line.startswith("process_resident_memory_bytes "):
                return int(line.split()[1])
        self.fail("no process_resident_memory_bytes")

    def test_H15_body_sizes(self):
        good = json.dumps(infer())
        just = good + " " * (MAX_BODY - len(good))
        self.assertEqual(self.s.post(INFER, just)[0], 200)
        self.closes(request(headers=["Content-Length: %d" % (MAX_BODY + 1)]), 413)
        for length in (1 << 31, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 2):
            answer = self.s.raw(request(headers=["Content-Length: %d" % length]))
            self.assertEqual(status_of(answer), 413, length)
        endless = b"10000\r\n" + b" " * 65536 + b"\r\n"
        self.closes(request(headers=["Transfer-Encoding: chunked"], body=endless * 20), 413)

    def test_H15_expect_is_refused_before_the_upload(self):
        for path, length, status in ((INFER, MAX_BODY + 1, 413), ("/v2/models/none/infer", 10000, 404)):
            head = request(path, headers=["Content-Length: %d" % length, "Expect: 100-continue",
                                          "Content-Type: application/json"])
            answer = self.s.raw(head)
            self.assertEqual(status_of(answer), status, answer)
        self.closes(request(headers=["Content-Length: 5", "Expect: 200-ok"]), 417)

    def test_H15_body_cut_short(self):
        with self.s.connect() as s:
            s.sendall(request(headers=["Content-Length: 10"], body=b"12345"))
        answer = self.s.raw(request(headers=["Content-Length: 10"], body=b"12345"), half_close=True)
        self.assertIn(status_of(answer), (None, 408))

    def test_H15_what_follows_an_error_is_not_a_request(self):
        inner = request("/v2/health/live", method="GET")
        answer = self.s.raw(request(headers=["Content-Length: 3, 3"], body=inner))
        self.assertNotIn(b"live", answer)
        answer = self.s.raw(request(headers=["Content-Length: 3", "Transfer-Encoding: chunked"], body=b"0\r\n\r\n" + inner))
        self.assertEqual(answer.count(b"HTTP/1."), 1, answer)

    # -- framing ------------------------------------------------------------------------

    def test_H16_FRAMING_lengths(self):
        body = json.dumps(infer()).encode()
        n = "Content-Length: %d" % len(body)
        for headers in ([n, n], [n, "Content-Length: 3"], [n, "Transfer-Encoding: chunked"],
                        ["Transfer-Encoding: chunked", n], ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
                        [n, "Bad Name: x"], ["Transfer-Encoding : chunked"], [n, "Host: other"], [n, "a(b: c"]):
            with self.subTest(headers=headers):
                self.closes(request(headers=headers, body=body), 400)
        for coding in ("gzip", "gzip, chunked", "xchunked", "identity"):
            with self.subTest(coding=coding):
                self.closes(request(headers=["Transfer-Encoding: " + coding], body=body), 501)

    def test_H16_FRAMING_bad_lengths(self):
        for length in ("3, 3", "+3", "-1", "0x3", "3abc", "", str(1 << 64)):
            with self.subTest(length=length):
                answer = self.s.raw(request(headers=["Content-Length: " + length], body=b"abc"))
                self.assertIn(status_of(answer), (400, 413))

    def test_H16_FRAMING_chunks(self):
        body = json.dumps(infer()).encode()
        good = b"%x;ext=1\r\n%s\r\n0\r\nTrailer: x\r\n\r\n" % (len(body), body)
        for coding in ("chunked", "ChuNked"):
            answer = self.s.raw(request(headers=["Transfer-Encoding: " + coding], body=good))
            self.assertEqual(status_of(answer), 200, answer)
        for size in (b"ZZ", b"-3", b"0x3"):
            answer = self.s.raw(request(headers=["Transfer-Encoding: chunked"], body=size + b"\r\nabc\r\n0\r\n\r\n"))
            self.assertEqual(status_of(answer), 400, size)
        tiny = b"1\r\n \r\n" * 70000
        answer = self.s.raw(request(headers=["Transfer-Encoding: chunked"], body=tiny + b"0\r\n\r\n"))
        self.assertEqual(status_of(answer), 400)

    def test_H16_FRAMING_request_line(self):
        for line, statuses in ((b"GET /v2\0x HTTP/1.1", (400,)), (b"GET /v2/health/live%00x HTTP/1.1", (400,)),
                               (b"FOO /v2 HTTP/1.1", (501,)), (b"GET  /v2 HTTP/1.1", (400,)), (b"GET /v2  HTTP/1.1", (400, None)),
                               (b"GET http://a/v2 HTTP/1.1", (400,)), (b"CONNECT a:80 HTTP/1.1", (400, 405)),
                               (b"OPTIONS * HTTP/1.1", (400,)), (b"PRI * HTTP/2.0", (400, 505)),
                               (b"GET /" + b"a" * 2000 + b" HTTP/1.1", (414,)),
                               (b"GET /" + b"a" * 40000 + b" HTTP/1.1", (414,))):
            with self.subTest(line=line[:40]):
                answer = self.s.raw(line + b"\r\nHost: a\r\n\r\n")
                self.assertIn(status_of(answer), statuses, answer)
        self.assertEqual(status_of(self.s.raw(b"GET /v2 HTTP/1.1\r\n\r\n")), 400)

    def test_H16_FRAMING_large_headers(self):
        self.assertEqual(status_of(self.s.raw(request("/v2", headers=["X: " + "a" * 40000], method="GET"))), 431)
        many = ["X-%d: %s" % (i, "a" * 40) for i in range(1000)]
        self.assertEqual(status_of(self.s.raw(request("/v2", headers=many, method="GET"))), 431)

    def test_H16_FRAMING_pipelined(self):
        one = request("/v2/health/live", method="GET")
        last = request("/v2/health/live", method="GET", headers=["Connection: close"])
        with self.s.connect() as s:
            s.sendall(one + one + last)
            data = b""
            while True:
                piece = s.recv(65536)
                if not piece:
                    break
                data += piece
        self.assertEqual(data.count(b'{"live":true}'), 3)

    # -- routes -------------------------------------------------------------------------

    def test_H17_paths(self):
        for path in ("//v2", "/v2/", "/V2", "/v2/models//infer", "/v2/models/../../etc/passwd", "/v2/models/%2e%2e/infer",
                     "/v2/models/a%2Fb/infer", "/v2/models/a%00/infer", "/v2/models/" + "a" * 8000 + "/infer",
                     "/v2/models/digits;a=b", "/v2#x", "/v2/models/..",
                     "/v2/models/./infer", "/v1/models/..:predict", "/", "", "v2", "/v2/models/a b"):
            with self.subTest(path=path[:40]):
                answer = self.s.raw(request(path, method="GET"))
                self.assertIn(status_of(answer), (400, 404, 405, 414, None), answer)
                self.assertNotIn(b"root:", answer)

    def test_H18_methods(self):
        for path, method, allow in ((INFER, "GET", "POST, OPTIONS"), (PREDICT, "PUT", "POST, OPTIONS"),
                                    ("/v2/health/live", "POST", "GET, HEAD, OPTIONS"), (INFER, "TRACE", "POST, OPTIONS"),
                                    (INFER, "DELETE", "POST, OPTIONS"), ("/metrics", "PATCH", "GET, HEAD, OPTIONS")):
            with self.subTest(path=path, method=method):
                status, headers, body = self.s.call(method, path)
                self.assertEqual((status, headers.get("allow")), (405, allow))
                self.assertIn("error", json.loads(body))
        status, headers, body = self.s.call("HEAD", "/v2/health/live")
        self.assertEqual((status, headers["content-length"], body), (200, "13", b""))
        status, headers, _ = self.s.call("OPTIONS", INFER, headers={"Origin": "https://evil.example"})
        self.assertEqual((status, headers["allow"]), (204, "POST, OPTIONS"))
        self.assertNotIn("access-control-allow-origin", headers)

    def test_H18_cors_when_configured(self):
        with Server(options={"http.cors_origins": "https://a.example"}) as s:
            _, headers, _ = s.call("GET", "/v2", headers={"Origin": "https://a.example"})
            self.assertEqual(headers["access-control-allow-origin"], "https://a.example")
            self.assertEqual(headers["vary"], "Origin")
            for other in {"Origin": "https://b.example"}, {}:
                _, headers, _ = s.call("GET", "/v2", headers=other)
                self.assertNotIn("access-control-allow-origin", headers)
                self.assertEqual(headers["vary"], "Origin")
        with Server(options={"http.cors_origins": "*"}) as s:
            _, headers, _ = s.call("GET", "/v2", headers={"Origin": "https://a.example"})
            self.assertEqual(headers["access-control-allow-origin"], "*")
            self.assertNotIn("vary", headers)

    def test_H18_cors_of_what_is_refused_unread(self):
        def refused(s, *headers):
            answer = s.raw(request(headers=["Content-Length: %d" % (MAX_BODY + 1), *headers]))
            self.assertEqual(status_of(answer), 413)
            return dict(line.split(": ", 1) for line in answer.split(b"\r\n\r\n")[0].decode().split("\r\n")[1:])

        with Server(options={"http.body_max": "1M", "http.cors_origins": "https://a.example"}) as s:
            headers = refused(s, "Origin: https://a.example")
            self.assertEqual(headers["Access-Control-Allow-Origin"], "https://a.example")
            headers = refused(s, "Origin: https://b.example")
            self.assertNotIn("Access-Control-Allow-Origin", headers)
            self.assertEqual(headers["Vary"], "Origin")
        with Server(options={"http.body_max": "1M", "http.cors_origins": "*"}) as s:
            # The origin is not known when framing is refused.
            answer = s.raw(b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n")
            self.assertIn(b"\r\nAccess-Control-Allow-Origin: *\r\n", answer)
            self.assertEqual(refused(s, "Origin: https://a.example")["Access-Control-Allow-Origin"], "*")

    def test_H18_a_browser_may_send_the_headers_it_asks_for(self):
        names = "authorization,content-type,inference-header-content-length,traceparent"
        ask = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST",
               "Access-Control-Request-Headers": names}
        with Server(options={"http.cors_origins": "https://a.example"}) as s:
            status, headers, _ = s.call("OPTIONS", INFER, headers=ask)
            self.assertEqual((status, headers["access-control-allow-headers"]), (204, names))
            self.assertIn("POST", headers["access-control-allow-methods"])
            self.assertGreater(int(headers["access-control-max-age"]), 5)
            _, headers, _ = s.call("OPTIONS", INFER, headers={**ask, "Origin": "https://b.example"})
            self.assertNotIn("access-control-allow-headers", headers)
            headers = dict(s.post(INFER, infer(), {"Origin": "https://a.example"})[1])
            self.assertIn("Inference-Header-Content-Length", headers["access-control-expose-headers"])
            self.assertNotIn("access-control-allow-methods", headers)

    def test_H19_versions(self):
        for version, status in (("0", 200), ("2", 404), ("-1", 400), ("latest", 400), ("01", 400), ("1.0", 400),
                                ("+1", 400), (str(1 << 63), 400), (str(1 << 64), 400), ("0x1", 400)):
            with self.subTest(version=version):
                self.assertEqual(self.s.post("/v2/models/digits/versions/%s/infer" % version, infer())[0], status)
        self.assertIn(self.s.post("/v1/models/digits/labels/none:predict", {"instances": [[1.0] * 64]})[0], (400, 404))
        self.assertEqual(self.s.post("/v2/models/digits/versions/1/infer", infer())[0], 200)

    def test_H20_unknown_and_failed_models(self):
        self.assertEqual(self.s.post("/v2/models/none/infer", infer())[0], 404)
        self.assertEqual(self.s.post("/v1/models/none:predict", {"instances": [[1.0]]})[0], 404)
        with Server() as s:
            broken = os.path.join(s.root, "broken", "1")
            os.makedirs(broken)
            with open(os.path.join(broken, "model.onnx"), "wb") as f:
                f.write(b"\x08\x07not a model")
            until = time.monotonic() + 20
            while time.monotonic() < until:
                index = json.loads(s.call("POST", "/v2/repository/index")[2])
                if any(m["name"] == "broken" and m.get("reason") for m in index):
                    break
                time.sleep(0.05)
            status, headers, _ = s.post("/v2/models/broken/infer", infer())
            self.assertEqual((status, headers.get("retry-after")), (503, "1"))
            self.assertEqual(s.post(INFER, infer())[0], 200, "the other model is not touched")

    # -- connections --------------------------------------------------------------------

    def test_H21_half_close_is_answered(self):
        body = json.dumps(infer()).encode()
        answer = self.s.raw(request(headers=["Content-Length: %d" % len(body)], body=body), half_close=True)
        self.assertEqual(status_of(answer), 200)

    def test_H21_resets(self):
        body = json.dumps(infer()).encode()
        whole = request(headers=["Content-Length: %d" % len(body)], body=body)
        for cut in (5, 60, len(whole) - 5, len(whole)):
            for _ in range(50):
                s = self.s.connect()
                s.sendall(whole[:cut])
                reset(s)

    def test_H21_many_requests_on_one_connection(self):
        one = request("/v2/health/live", method="GET")
        with self.s.connect() as s:
            for _ in range(2000):
                s.sendall(one)
                self.assertEqual(status_of(read_answer(s)), 200)

    def test_H22_slow_headers_and_bodies(self):
        slow = [self.s.connect() for _ in range(50)]
        for i, s in enumerate(slow):
            s.sendall(b"GET /v2 HTTP/1.1\r\nHost: a\r\nX: " if i % 2 else
                      request(headers=["Content-Length: 1000"], body=b"{"))
        stop = threading.Event()

        def drip():
            while not stop.wait(0.2):
                for s in slow:
                    try:
                        s.sendall(b" ")
                    except OSError:
                        pass
        thread = threading.Thread(target=drip)
        thread.start()
        try:
            for s in slow:
                answer = read_answer(s)
                self.assertIn(status_of(answer), (408, None), answer)
        finally:
            stop.set()
            thread.join()
            for s in slow:
                s.close()
        refused = self.s.call("GET", "/metrics")[2].decode()
        for reason in ("header_timeout", "body_timeout"):
            self.assertNotIn('reason="%s"} 0' % reason, refused)

    def test_H15_a_line_that_does_not_fit_keeps_no_thread_busy(self):
        with Server() as s, s.connect() as c:
            c.sendall(request(headers=["Transfer-Encoding: chunked"], body=b"1;" + b"x" * 100000))
            time.sleep(0.5)
            before = cpu_seconds(s)
            time.sleep(2)
            self.assertLess(cpu_seconds(s) - before, 0.3)

    def test_H22_idle_keep_alive_is_left_alone(self):
        with self.s.connect() as s:
            s.sendall(request("/v2/health/live", method="GET"))
            read_answer(s)
            time.sleep(2.5)  # more than the header timeout: nothing has begun
            s.sendall(request("/v2/health/live", method="GET"))
            self.assertEqual(status_of(read_answer(s)), 200)

    def test_H23_connect_and_close(self):
        for _ in range(1000):
            self.s.connect().close()

    def test_H23_more_connections_than_allowed(self):
        with Server(options={"http.connections_max": "20"}) as s:
            time.sleep(0.5)  # until the connection that asked whether it is ready is gone
            kept = [s.connect() for _ in range(20)]
            for c in kept:
                c.sendall(request(headers=["Content-Length: 1000"], body=b"{"))
            time.sleep(0.3)
            self.assertEqual(status_of(s.raw(request("/v2/health/live", method="GET"))), 503)
            for c in kept:
                c.close()
            s.wait_ready("/v2/health/live", 5)

    def test_H23_who_only_holds_a_connection_makes_way(self):
        body = json.dumps(infer()).encode()
        with Server(options={"http.connections_max": "20"}) as s:
            busy = s.connect()
            busy.sendall(request(headers=["Content-Length: %d" % len(body)], body=body[:1]))
            idle = [s.connect() for _ in range(19)]
            for c in idle[::2]:
                c.sendall(b"GET /v2 HTTP/1.1\r\nHost: a\r\nX: ")
            time.sleep(1.5)
            newcomers = [s.connect() for _ in range(19)]
            for c in newcomers:
                c.sendall(request("/v2/health/live", method="GET"))
            self.assertEqual([status_of(read_answer(c)) for c in newcomers], [200] * 19)
            for c in idle:
                self.assertEqual(c.recv(1), b"")
            busy.sendall(body[1:])
            self.assertEqual(status_of(read_answer(busy)), 200)
            for c in [busy, *idle, *newcomers]:
                c.close()
            s.wait_ready("/v2/health/live", 5)
            self.assertEqual(s.metric('signet_http_refused_total{reason="crowded_out"'), 19)

    def test_H24_answers_larger_than_a_request_may_take(self):
        node = helper.make_node("Expand", ["x", "n"], ["y"])
        graph = helper.make_graph(
            [node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1]),
                          helper.make_tensor_value_info("n", TensorProto.INT64, [1])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

        def ask(server, n):
            return server.post("/v2/models/wide/infer", {"inputs": [
                {"name": "x", "shape": [1], "datatype": "FP32", "data": [1]},
                {"name": "n", "shape": [1], "datatype": "INT64", "data": [n]}]})

        with Server(options={"server.request_memory": "4M"}) as server:
            server.add("wide", "1", data=model.SerializeToString())
            server.wait_ready("/v2/models/wide/ready")
            status, _, body = ask(server, 3)
            self.assertEqual((status, json.loads(body)["outputs"][0]["data"]), (200, [1, 1, 1]))
            # Too large for the request, for the machine, for an address.
            for n in (1 << 22, 1 << 30, 1 << 46, (1 << 63) - 1):
                status, _, body = ask(server, n)
                self.assertIn(status, (400, 413, 429, 503), (n, body))
                self.assertIn("error", json.loads(body))
            self.assertLess(self.resident(server), 400 << 20)
            status, _, body = ask(server, 2)
            self.assertEqual(status, 200, body)

    # -- headers that we do not believe ---------------------------------------------------

    def test_H25_accept(self):
        for headers in ({"Accept": "application/xml"}, {"Accept-Encoding": "x;q=9,,"}, {"Accept": "\xff"}):
            status, got, _ = self.s.call("POST", INFER, json.dumps(infer()), dict(JSON, **headers))
            self.assertEqual((status, got["content-type"]), (200, "application/json"))
            self.assertNotIn("content-encoding", got)

    def test_H26_tracing_headers(self):
        for headers in (["traceparent: 00-zz"], ["tracestate: " + "a" * 10000], ["X-Request-Id: evil\r\n injected: 1"]):
            answer = self.s.raw(request("/v2/health/live", method="GET", headers=headers))
            self.assertIn(status_of(answer), (200, 400, 431))
            for word in (b"evil", b"injected", b"traceparent"):
                self.assertNotIn(word, answer)

    def test_H27_host_and_forwarded(self):
        for headers in (["X-Forwarded-For: 1.2.3.4"], ["Forwarded: for=evil"], ["X-Forwarded-Host: evil"]):
            answer = self.s.raw(request("/v2", method="GET", headers=headers))
            self.assertEqual(status_of(answer), 200)
            self.assertNotIn(b"evil", answer)
        answer = self.s.raw(b"GET /v2 HTTP/1.1\r\nHost: evil:80/@x\r\n\r\n")
        self.assertIn(status_of(answer), (200, 400))
        self.assertNotIn(b"evil", answer)


if __name__ == "__main__":
    unittest.main()
