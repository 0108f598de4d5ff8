# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: a daemon on free ports, a model directory, a client.

Stories are about the daemon's life; signet_server.py has what tests of its answers want besides.

Run a story alone:  SIGNET_BUILD=build python3 tests/e2e/test_daemon.py
"""

import contextlib
import functools
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("SIGNET_BUILD", os.path.join(TREE, "build")))
SIGNETD = os.path.join(BUILD, "signetd")
DIGITS = os.path.join(TREE, "examples", "models", "digits")
PATIENCE_S = float(os.environ.get("SIGNET_TEST_PATIENCE_S", "60"))


def wait_until(holds, what, patience_s=PATIENCE_S):
    """Returns what holds() returned once it is true; fails naming what, after a while."""
    deadline = time.monotonic() + patience_s
    while True:
        result = holds()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {patience_s:g} s: {what}")
        time.sleep(0.02)


def is_sanitized():
    """Sanitizers keep freed memory back to find its late users."""
    with open(SIGNETD, "rb") as program:
        code = program.read()
    return b"__asan_init" in code or b"__tsan_init" in code


class Models:
    """A temporary model root."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="signet-models-")

    def add(self, name, version, file=os.path.join(DIGITS, "1", "model.onnx")):
        """Renamed into place, so that it is loaded at once."""
        hidden = os.path.join(self.path, f".{name}-{version}")
        os.makedirs(hidden)
        shutil.copy(file, os.path.join(hidden, "model.onnx"))
        os.makedirs(os.path.join(self.path, name), exist_ok=True)
        os.rename(hidden, os.path.join(self.path, name, str(version)))

    def remove(self, name, version):
        shutil.rmtree(os.path.join(self.path, name, str(version)))

    def close(self):
        shutil.rmtree(self.path, ignore_errors=True)


class Daemon:
    """signetd on free ports; ready() waits until its first models are."""

    def __init__(self, *args, env=None, http="127.0.0.1:0", program=SIGNETD, **popen):
        self.log_file = tempfile.TemporaryFile()
        words = [program, "--http", http, "--grpc", "127.0.0.1:0", "--set", "repository.poll=500ms", *args]
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=self.log_file,
                                        stderr=self.log_file, env={**os.environ, **(env or {})}, **popen)

    def log(self):
        # Not by seeking: the place to write is shared with the daemon.
        return os.pread(self.log_file.fileno(), 1 << 24, 0).decode("utf-8", "replace")

    def wait_log(self, pattern):
        def seen():
            found = re.search(pattern, self.log())
            if not found and self.process.poll() is not None:
                raise AssertionError(f"ended with {self.process.returncode}: {self.log()}")
            return found
        return wait_until(seen, f"'{pattern}' in the log:\n{self.log()}")

    @functools.cached_property
    def port(self):
        return int(self.wait_log(r"listening on https?://\S*:(\d+)").group(1))

    @functools.cached_property
    def grpc_port(self):
        return int(self.wait_log(r"listening on grpcs?://\S*:(\d+)").group(1))

    def ready(self):
        self.wait_log(r"serving; ")
        return self

    def request(self, method, path, body=None, headers=None):
        """(status, headers, body); a body that is not bytes goes as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        with contextlib.closing(connection):
            if body is not None and not isinstance(body, bytes):
                body = json.dumps(body).encode()
            connection.request(method, path, body, headers or {})
            reply = connection.getresponse()
            return reply.status, reply.headers, reply.read()

    def get(self, path):
        """(status, parsed JSON or text)."""
        status, headers, body = self.request("GET", path)
        return status, json.loads(body) if "json" in headers.get("Content-Type", "") else body.decode()

    def rss_kib(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self):
        return self.process.wait(PATIENCE_S)

    def stop(self):
        """SIGTERM; the exit status."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            return self.wait()
        finally:
            self.close()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.log_file.close()


class Story(unittest.TestCase):
    """Gives each test a model root, and ends what it started."""

    def setUp(self):
        self.models = Models()
        self.addCleanup(self.models.close)

    def daemon(self, *args, **named):
        daemon = Daemon("--model-root", self.models.path, *args, **named)
        self.addCleanup(daemon.close)
        return daemon


class _Result(unittest.TextTestResult):
    """Counts what passed, which unittest does not."""

    passed = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1


def main():
    """Runs the stories of the calling file; automake reads 77 as skipped."""
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=_Result).run(suite)
    failed = len(result.failures) + len(result.errors)
    skipped = len(result.skipped)
    print(f"{result.passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed else 77 if skipped and not result.passed else 0)
