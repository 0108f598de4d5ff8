# SPDX-License-Identifier: Apache-2.0
"""The real daemon for a test: its own port, its own model directory, ended with the test.

    with Server(models={"digits": ["1"]}) as s:
        status, headers, body = s.call("GET", "/v2/health/ready")

SIGNET_BUILD names the build folder; else it is build/ in the tree. Leaving the block stops the
daemon with SIGTERM and fails the test if it does not end by itself with status 0: a crash at
exit is a crash. Python's standard library only.
"""
import http.client
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

import signet

EXAMPLES = os.path.join(signet.TREE, "examples", "models")


class Server:
    """options: {"http.body_max": "1M"} as --set takes them; models: {name: [versions]} of
    the examples; root: a model directory of the caller's instead of one made here; preexec:
    as in subprocess.Popen; tls: an ssl.SSLContext to call over; env: variables besides ours."""

    def __init__(self, models=None, options=None, args=(), wait_ready=True, root=None, build=None,
                 preexec=None, grpc=False, tls=None, env=None):
        self.tls = tls
        self.last_log = None
        self.dir = tempfile.mkdtemp(prefix="signet-test-")
        self.root = root or os.path.join(self.dir, "models")
        if root is None:
            os.mkdir(self.root)
            for name, versions in (models if models is not None else {"digits": ["1"]}).items():
                for version in versions:
                    self.add(name, version)
        words = ["--model-root", self.root] + ([] if grpc else ["--grpc", "off"])
        for key, value in (options or {}).items():
            words += ["--set", "%s=%s" % (key, value)]
        self.daemon = signet.Daemon(*words, *args, env=env, preexec_fn=preexec,
                                    program=os.path.join(build or signet.BUILD, "signetd"))
        self.process = self.daemon.process
        self.pid = self.process.pid
        try:
            self.port = self.daemon.port
            self.grpc_port = self.daemon.grpc_port if grpc else None
        except AssertionError as e:
            self.stop()
            raise RuntimeError("the daemon does not listen") from e
        self.address = ("127.0.0.1", self.port)
        self.url = "http://127.0.0.1:%d" % self.port
        self.grpc_url = "grpc://127.0.0.1:%d" % self.grpc_port if grpc else None
        if wait_ready:
            self.wait_ready_or_stop()

    @property
    def log(self):
        """Its lines so far; all of them after stop()."""
        return (self.last_log or self.daemon.log()).splitlines()

    def add(self, name, version, source="digits", as_version=None, data=None):
        """A version of an example, or a file of these bytes, appears in the model directory,
        as a whole."""
        target = os.path.join(self.root, name, as_version or version)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        partial = os.path.join(self.dir, "partial")
        if data is None:
            shutil.copytree(os.path.join(EXAMPLES, source, version), partial)
        else:
            os.mkdir(partial)
            with open(os.path.join(partial, "model.onnx"), "wb") as f:
                f.write(data)
        os.rename(partial, target)

    def remove(self, name, version):
        gone = os.path.join(self.dir, "gone")
        os.rename(os.path.join(self.root, name, version), gone)
        shutil.rmtree(gone)

    def states(self, model="digits"):
        """{version: state} as TensorFlow Serving's status says."""
        status, _, body = self.call("GET", "/v1/models/" + model)
        assert status in (200, 404), (status, body)  # 404: it is not known yet
        return {r["version"]: r["state"] for r in json.loads(body).get("model_version_status", [])}

    def wait_state(self, version, *states, model="digits", timeout=signet.PATIENCE_S):
        """Until the version is in one of these; None: it need not be known."""
        until = time.monotonic() + timeout
        while True:
            now = self.states(model).get(version)
            if now in states:
                return now
            if time.monotonic() > until:
                raise RuntimeError("%s %s is %s, wanted %s\n%s" % (
                    model, version, now, states, "\n".join(self.log)))
            time.sleep(0.01)

    def wait_ready_or_stop(self):
        try:
            self.wait_ready()
        except RuntimeError:
            self.stop()
            raise

    def wait_ready(self, path="/v2/health/ready", timeout=signet.PATIENCE_S):
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            if self.call("GET", path)[0] == 200:
                return
            time.sleep(0.02)
        raise RuntimeError("not ready: " + path + "\n" + "\n".join(self.log))

    def stop(self, timeout=20):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        if self.last_log is None:
            self.last_log = self.daemon.log()
        self.daemon.close()
        shutil.rmtree(self.dir, ignore_errors=True)
        return code

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        code = self.stop()
        if kind is not None:
            print("\n".join(self.log))
        else:
            assert code == 0, "the daemon ended with %s:\n%s" % (code, "\n".join(self.log))

    # -- talking ----------------------------------------------------------------------

    def call(self, method, path, body=None, headers=None, timeout=30):
        c = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=self.tls) \
            if self.tls else http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            c.request(method, path, body, headers or {})
            r = c.getresponse()
            return r.status, dict((k.lower(), v) for k, v in r.getheaders()), r.read()
        finally:
            c.close()

    def metric(self, begin):
        """The sample of that name, or that begins with this name and labels; 0: none yet."""
        for line in self.call("GET", "/metrics")[2].decode().split("\n"):
            if line.startswith(begin) and line[len(begin):][:1] in (" ", "}", ","):
                return float(line.split(" ")[-1])
        return 0

    def post(self, path, value, headers=None):
        body = value if isinstance(value, (bytes, str)) else json.dumps(value)
        h = {"Content-Type": "application/json"}
        h.update(headers or {})
        return self.call("POST", path, body, h)

    def connect(self, timeout=20):
        return socket.create_connection(("127.0.0.1", self.port), timeout)

    def raw(self, data, half_close=False, timeout=20):
        """Sends bytes as they are; everything that comes back until the server closes, or
        until one whole answer is there."""
        with self.connect(timeout) as s:
            try:
                s.sendall(data)
                if half_close:
                    s.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # refused while we were sending; the answer is there all the same
            return read_answer(s)


def read_answer(s):
    data = b""
    while True:
        head, found, rest = data.partition(b"\r\n\r\n")
        if found:
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            if length and len(rest) >= int(length.group(1)) and b" 100 " not in head[:16]:
                return data
            if b" 204 " in head[:16]:
                return data
        try:
            piece = s.recv(65536)
        except ConnectionResetError:
            return data
        if not piece:
            return data
        data += piece


def status_of(answer):
    found = re.match(rb"HTTP/1\.[01] (\d+) ", answer)
    return int(found.group(1)) if found else None


def reset(s):
    """Closes with RST instead of FIN."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
