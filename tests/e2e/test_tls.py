# SPDX-License-Identifier: Apache-2.0
"""TLS in front of both wires: who is let in, who is not (H28), and certificates that change."""
import contextlib
import http.client
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import unittest
import warnings

import grpc
import numpy as np
import tritonclient.grpc as triton
from onnx import TensorProto

from certificates import Authority
from raw_http2 import Connection
from signet import BUILD, SIGNETD
from signet_server import Server
from test_grpc_oip import identity

LIVE = "/inference.GRPCInferenceService/ServerLive"
READY = "/v2/health/ready"


def read(path):
    with open(path, "rb") as f:
        return f.read()


def tls_options(section, cert, key, client_ca=None):
    options = {section + ".tls_cert": cert, section + ".tls_key": key}
    if client_ca:
        options[section + ".tls_client_ca"] = client_ca
    return options


class Story(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.authority, cls.stranger = Authority(), Authority("another")
        cls.cert, cls.key = cls.authority.sign("server")

    @classmethod
    def tearDownClass(cls):
        cls.authority.close()
        cls.stranger.close()

    def context(self, client=None, alpn=None, ca=None):
        c = ssl.create_default_context(cafile=ca or self.authority.ca)
        if client:
            c.load_cert_chain(*client)
        if alpn:
            c.set_alpn_protocols(alpn)
        return c

    def channel(self, port, client=None):
        credentials = grpc.ssl_channel_credentials(
            read(self.authority.ca), *((read(client[1]), read(client[0])) if client else ()))
        channel = grpc.secure_channel("localhost:%d" % port, credentials,
                                      [("grpc.use_local_subchannel_pool", 1)])
        self.addCleanup(channel.close)
        return channel

    def live(self, port, client=None, timeout=20):
        return self.channel(port, client).unary_unary(LIVE)(b"", timeout=timeout)

    def assert_refused(self, port, context, name="localhost"):
        """The handshake fails, or what comes after it (a client of TLS 1.3 hears later)."""
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            with socket.create_connection(("127.0.0.1", port), 20) as raw, \
                    context.wrap_socket(raw, server_hostname=name) as s:
                s.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
                if s.recv(1) == b"":
                    raise ConnectionError

    def wait_log(self, s, text, again=lambda: None):
        """again: what causes the line, which may be left out when there are many."""
        until = time.monotonic() + 20
        while not any(text in line for line in s.log):
            self.assertLess(time.monotonic(), until, "not logged: %s\n%s" % (text, s.log))
            time.sleep(0.1)
            again()

    def talk_plainly(self, port):
        """HTTP/1.1 to a TLS port: closed."""
        with socket.create_connection(("127.0.0.1", port), 20) as raw:
            raw.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            try:
                self.assertNotIn(b"200 OK", raw.recv(4096))
            except ConnectionError:
                pass


class OverGrpc(Story):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.s = Server(grpc=True, options={**tls_options("grpc", cls.cert, cls.key), "grpc.tls_timeout": "500ms"})
        cls.s.add("float", "1", data=identity(TensorProto.FLOAT, ["n", "m"]))
        cls.s.wait_ready("/v2/models/float/ready")

    @classmethod
    def tearDownClass(cls):
        code = cls.s.stop()
        super().tearDownClass()
        assert code == 0, cls.s.log

    def tearDown(self):
        self.assertEqual(self.live(self.s.grpc_port), b"\x08\x01")

    def test_megabytes_both_ways_and_many_at_once(self):
        with triton.InferenceServerClient("localhost:%d" % self.s.grpc_port, ssl=True,
                                          root_certificates=self.authority.ca) as c:
            for rows in (1, 3, 2000, 1):
                data = np.random.default_rng(rows).random([rows, 2000]).astype(np.float32)
                tensor = triton.InferInput("x", list(data.shape), "FP32")
                tensor.set_data_from_numpy(data)
                self.assertEqual(c.infer("float", [tensor]).as_numpy("y").tobytes(), data.tobytes())
        calls = [self.channel(self.s.grpc_port).unary_unary(LIVE) for _ in range(8)]
        for answer in [call.future(b"", timeout=20) for call in calls * 20]:
            self.assertEqual(answer.result(), b"\x08\x01")

    def test_H28_plain_to_the_tls_port(self):
        with Connection(self.s.grpc_port) as c:
            c.drain()
            self.assertTrue(c.closed)
        self.wait_log(self.s, "grpc: a TLS handshake failed: http request",
                      lambda: self.talk_plainly(self.s.grpc_port))

    def test_H28_unknown_server_name(self):
        self.assert_refused(self.s.grpc_port, self.context(alpn=["h2"]), name="elsewhere.example")

    def test_without_h2_there_is_no_connection(self):
        self.assert_refused(self.s.grpc_port, self.context())
        self.assert_refused(self.s.grpc_port, self.context(alpn=["http/1.1"]))

    def test_old_protocols_are_refused(self):
        context = self.context(alpn=["h2"])
        with warnings.catch_warnings(action="ignore"):
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        self.assert_refused(self.s.grpc_port, context)

    def test_a_handshake_has_its_time(self):
        """Silence, and a beginning without an end."""
        for beginning in (b"", b"\x16\x03\x01\x02\x00"):
            with socket.create_connection(("127.0.0.1", self.s.grpc_port), 20) as raw:
                raw.sendall(beginning)
                self.assertEqual(raw.recv(1), b"")


class ClientCertificates(Story):
    def test_H28_only_who_has_a_valid_one(self):
        options = {**tls_options("grpc", self.cert, self.key, self.authority.ca),
                   **tls_options("http", self.cert, self.key, self.authority.ca)}
        good, expired = self.authority.sign("client"), self.authority.sign("late", days=-1)
        with Server(grpc=True, options=options, tls=self.context(good)) as s:
            self.assertEqual(self.live(s.grpc_port, good), b"\x08\x01")
            for client in (None, expired, self.stranger.sign("client")):
                self.assert_refused(s.grpc_port, self.context(client, ["h2"]))
                self.assert_refused(s.port, self.context(client))
            self.wait_log(s, "a TLS handshake failed: ")
            self.assertEqual(s.call("GET", READY)[0], 200)


class OverHttp(Story):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tls = cls.context(cls)
        cls.s = Server(tls=cls.tls, options={
            **tls_options("http", cls.cert, cls.key), "http.header_timeout": "1s", "http.write_timeout": "1s",
            "http.idle_timeout": "3s"})
        cls.s.add("float", "1", data=identity(TensorProto.FLOAT, ["n", "m"]))
        cls.s.wait_ready("/v2/models/float/ready")

    @classmethod
    def tearDownClass(cls):
        code = cls.s.stop()
        super().tearDownClass()
        assert code == 0, cls.s.log

    def tearDown(self):
        self.assertEqual(self.s.call("GET", READY)[0], 200)

    def secure(self):
        raw = socket.create_connection(("127.0.0.1", self.s.port), 20)
        s = self.tls.wrap_socket(raw, server_hostname="localhost")
        self.addCleanup(s.close)
        return s

    def infer(self, rows):
        """(head and body of a request, the raw tensor in it)"""
        data = np.random.default_rng(rows).random([rows, 2000]).astype(np.float32).tobytes()
        head = ('{"inputs":[{"name":"x","datatype":"FP32","shape":[%d,2000],"parameters":{"binary_data_size":%d}}],'
                '"parameters":{"binary_data_output":true}}' % (rows, len(data))).encode()
        return (b"POST /v2/models/float/infer HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n"
                b"Inference-Header-Content-Length: %d\r\nContent-Length: %d\r\n\r\n" %
                (len(head), len(head) + len(data)) + head + data), data

    def test_many_requests_on_one_connection(self):
        c = http.client.HTTPSConnection("localhost", self.s.port, timeout=20, context=self.tls)
        for i in range(50):
            c.request("GET", READY)
            self.assertEqual(c.getresponse().read(), b'{"ready":true}')
        c.close()

    def test_megabytes_both_ways(self):
        request, data = self.infer(2000)
        c = http.client.HTTPSConnection("localhost", self.s.port, timeout=20, context=self.tls)
        c.connect()
        c.sock.sendall(request)
        answer = http.client.HTTPResponse(c.sock)
        answer.begin()
        self.assertTrue(answer.read().endswith(data))
        c.close()

    def test_a_half_closed_client_is_answered(self):
        """close_notify, then FIN, right behind the request."""
        into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.tls.wrap_bio(into, out, server_hostname="localhost")
        with socket.create_connection(("127.0.0.1", self.s.port), 20) as raw:
            def step(do):
                while True:
                    try:
                        return do()
                    except ssl.SSLWantReadError:
                        raw.sendall(out.read())
                        more = raw.recv(65536)
                        into.write(more) if more else into.write_eof()
            step(tls.do_handshake)
            tls.write(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            try:
                tls.unwrap()
            except ssl.SSLWantReadError:
                pass
            raw.sendall(out.read())
            raw.shutdown(socket.SHUT_WR)
            reply = b""
            while True:
                got = raw.recv(65536)
                if not got:
                    break
                reply += got
        self.assertGreater(len(reply), 100)

    def test_H28_plain_to_tls_and_tls_to_plain(self):
        self.wait_log(self.s, "http: a TLS handshake failed: http request",
                      lambda: self.talk_plainly(self.s.port))
        with Server(grpc=True) as plain:
            for port in (plain.port, plain.grpc_port):
                self.assert_refused(port, self.context(alpn=["h2"]))
            self.assertEqual(plain.call("GET", READY)[0], 200)

    def test_H28_unknown_server_name(self):
        self.assert_refused(self.s.port, self.context(), name="elsewhere.example")

    def test_headers_that_drip_are_cut_off(self):
        s = self.secure()
        until = time.monotonic() + 20
        with self.assertRaises(ConnectionError):
            while time.monotonic() < until:
                s.settimeout(0.3)
                try:
                    s.sendall(b"G")
                    got = s.recv(4096)
                    if not got:
                        raise ConnectionError
                    self.assertIn(b" 408 ", got)
                except TimeoutError:
                    pass
                except ssl.SSLError as e:
                    raise ConnectionError from e

    def test_who_never_reads_is_cut_off(self):
        request, data = self.infer(6000)
        s = self.secure()
        s.sendall(request)
        time.sleep(4)
        got = 0
        s.settimeout(20)
        try:
            while True:
                more = len(s.recv(1 << 20))
                got += more
                if not more:
                    break
        except (ConnectionError, ssl.SSLError):
            pass
        self.assertLess(got, len(data))

    def test_idle_connections_are_closed(self):
        self.assertEqual(self.secure().recv(1), b"")

    def test_who_only_holds_a_connection_makes_way(self):
        with Server(options={**tls_options("http", self.cert, self.key), "http.connections_max": "4"},
                    tls=self.context()) as s:
            idle = [self.tls.wrap_socket(s.connect(), server_hostname="localhost") for _ in range(4)]
            time.sleep(1.6)
            newcomers = [http.client.HTTPSConnection("localhost", s.port, timeout=20, context=self.tls) for _ in idle]
            for c in newcomers:
                c.request("GET", READY)
                self.assertEqual(c.getresponse().status, 200)
            self.assertEqual([c.recv(1) for c in idle], [b""] * 4)
            for c in idle + newcomers:
                c.close()

    def test_H22_handshakes_in_a_crowd_must_be_quick(self):
        with Server(options={**tls_options("http", self.cert, self.key), "http.connections_max": "8",
                             "http.tls_timeout": "1h"}, tls=self.tls) as s:
            slow = [s.connect() for _ in range(8)]
            self.assertEqual([c.recv(1) for c in slow], [b""] * 8)
            s.wait_ready()
            for c in slow:
                c.close()


class Changing(Story):
    def served_by(self, s):
        with socket.create_connection(("127.0.0.1", s.port), 20) as raw, \
                self.context().wrap_socket(raw, server_hostname="localhost") as tls:
            return dict(x[0] for x in tls.getpeercert()["subject"])["commonName"]

    def reload(self, s, message):
        del s.log[:]
        os.kill(s.pid, signal.SIGHUP)
        self.wait_log(s, message)

    def test_C3_a_reload_takes_new_files_and_keeps_the_old_ones_on_any_error(self):
        cert, key = self.authority.path("now.pem"), self.authority.path("now.key")
        second = self.authority.sign("second")
        shutil.copy(self.cert, cert)
        shutil.copy(self.key, key)
        options = {**tls_options("http", cert, key), **tls_options("grpc", cert, key)}
        with Server(grpc=True, options=options, tls=self.context()) as s:
            old = self.channel(s.grpc_port).unary_unary(LIVE)
            old(b"", timeout=20)
            self.assertEqual(self.served_by(s), "server")
            shutil.copy(second[0], cert)
            self.reload(s, "is not the key of the certificate")
            self.assertEqual(self.served_by(s), "server")
            shutil.copy(second[1], key)
            self.reload(s, "configuration reloaded")
            self.assertEqual(self.served_by(s), "second")
            self.assertEqual(old(b"", timeout=20), b"\x08\x01")
            self.assertEqual(self.live(s.grpc_port), b"\x08\x01")
            with open(cert, "w") as f:
                f.write("no certificate")
            self.reload(s, "has no certificate to use")
            os.unlink(cert)
            self.reload(s, "reload failed")
            self.assertEqual(self.served_by(s), "second")

    def refused_start(self, **options):
        args = [SIGNETD, "--model-root", self.authority.dir, "--http", "127.0.0.1:0"]
        for k, v in options.items():
            args += ["--set", "http.%s=%s" % (k, v)]
        out = subprocess.run(args, capture_output=True, text=True, timeout=60)
        check = subprocess.run(args + ["--check-config"], capture_output=True, text=True, timeout=60)
        self.assertEqual((out.returncode, check.returncode), (78, 78), out.stderr + check.stderr)
        self.assertNotIn("listening", out.stderr)
        return out.stderr

    def test_what_is_wrong_shows_before_anything_listens(self):
        other = self.stranger.sign("other")
        locked = self.authority.path("locked.key")
        subprocess.run(["openssl", "ec", "-aes128", "-passout", "pass:x", "-in", self.key, "-out", locked],
                       check=True, capture_output=True)
        self.assertIn("[http] tls_key is missing", self.refused_start(tls_cert=self.cert))
        self.assertIn("[http] tls_cert is missing", self.refused_start(tls_key=self.key))
        self.assertIn("is not the key", self.refused_start(tls_cert=self.cert, tls_key=other[1]))
        self.assertIn("no private key", self.refused_start(tls_cert=self.cert, tls_key=locked))
        self.assertIn("[http]: tls_cert", self.refused_start(tls_cert="/nowhere", tls_key=self.key))
        self.assertIn("has no certificate", self.refused_start(
            tls_cert=self.cert, tls_key=self.key, tls_client_ca=self.key))


class Tools(Story):
    """signetctl and signet-bench as clients."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.client = cls.authority.sign("client")
        options = {**tls_options("http", cls.cert, cls.key), **tls_options("grpc", cls.cert, cls.key)}
        cls.tls = ssl.create_default_context(cafile=cls.authority.ca)
        cls.s = Server(grpc=True, options=options, tls=cls.tls)
        cls.http = "https://localhost:%d" % cls.s.port
        cls.grpc = "grpcs://localhost:%d" % cls.s.grpc_port

    @classmethod
    def tearDownClass(cls):
        cls.s.stop()
        super().tearDownClass()

    def tool(self, name, *args, words, status=0, ca=True):
        """Its output has the words."""
        trusted = ("--cacert", self.authority.ca) if ca else ()
        r = subprocess.run([os.path.join(BUILD, name), *args, *trusted], capture_output=True, text=True, timeout=120)
        self.assertEqual(r.returncode, status, r.stderr)
        self.assertIn(words, r.stdout + r.stderr)

    def bench(self, url, protocol, *args, concurrency=2, **more):
        self.tool("signet-bench", "--url", url, "--protocol", protocol, "--model", "digits", "--duration", "0.2",
                  "--concurrency", str(concurrency), *args, **more)

    def test_who_is_trusted_is_asked(self):
        self.tool("signetctl", "--server", self.http, "status", words="ready")
        self.tool("signetctl", "models", "--server=" + self.http, words="digits")
        self.tool("signetctl", "--server", self.http, "predict", "digits", "--input",
                  "image=[%s]" % ([0] * 64), words="label")
        self.bench(self.http, "v2-binary", words="errors    0")
        self.bench(self.http, "v1", "--batch", "300", concurrency=5, words="errors    0")
        self.bench(self.grpc, "grpc-v2", words="errors    0")
        self.bench(self.grpc, "grpc-tfs", words="errors    0")

    def test_others_are_not(self):
        why = "no TLS: "
        for url in self.http, self.http.replace("localhost", "127.0.0.1"):
            self.tool("signetctl", "--server", url, "status", ca=False, status=1, words=why)
        self.bench(self.http, "v2", ca=False, status=1, words=why)
        self.bench(self.grpc, "grpc-v2", ca=False, status=1, words="not with a certificate that is trusted")
        self.tool("signetctl", "--server", self.http, "--insecure", "status", ca=False, words="ready")
        self.bench(self.http, "v2", "--insecure", ca=False, words="errors    0")
        self.bench(self.grpc, "grpc-v2", "--insecure", ca=False, words="errors    0")

    def test_a_certificate_of_another_host_is_refused(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.authority.sign("elsewhere", "elsewhere.example"))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            def serve():
                with contextlib.suppress(OSError):
                    context.wrap_socket(listener.accept()[0], server_side=True)
            thread = threading.Thread(target=serve)
            thread.start()
            self.tool("signetctl", "--server", "https://localhost:%d" % listener.getsockname()[1], "status",
                      status=1, words="no TLS: hostname mismatch")
            thread.join()

    def test_a_client_shows_its_own(self):
        who = ("--cert", self.client[0], "--key", self.client[1])
        options = {**tls_options("http", self.cert, self.key, self.authority.ca),
                   **tls_options("grpc", self.cert, self.key, self.authority.ca)}
        with Server(grpc=True, options=options, tls=self.context(self.client)) as s:
            http, rpc = "https://localhost:%d" % s.port, "grpcs://localhost:%d" % s.grpc_port
            self.tool("signetctl", "--server", http, "status", status=1, words="server '")
            self.tool("signetctl", "--server", http, *who, "status", words="ready")
            self.bench(http, "v2-binary", *who, words="errors    0")
            self.bench(rpc, "grpc-v2", *who, words="errors    0")

    def test_options_that_make_no_sense_are_refused(self):
        for args, words in ((("--cert", self.cert), "--cert and --key: one needs the other"),
                            (("--cert", self.cert, "--key", self.client[1]), "--key '%s'" % self.client[1]),
                            (("--cert", self.key, "--key", self.key), "--cert '%s'" % self.key)):
            self.tool("signetctl", "--server", self.http, *args, "status", status=1, words=words)
            self.bench(self.grpc, "grpc-v2", *args, status=1, words=words)
        self.tool("signetctl", "--server", self.http, "--cacert", "/nowhere", "status", ca=False, status=1,
                  words="--cacert '/nowhere': No such file")
        for url, protocol in (("http://127.0.0.1:1", "v2"), ("grpc://127.0.0.1:1", "grpc-v2")):
            self.bench(url, protocol, status=1, words="--insecure are for")


if __name__ == "__main__":
    unittest.main()
