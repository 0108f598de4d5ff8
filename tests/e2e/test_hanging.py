# SPDX-License-Identifier: Apache-2.0
"""A file system that hangs, as one whose server has gone: what is served is served on, and the process
can be told to end. The thread that looks at the disk is stopped by ptrace, which looks the same to the others.
"""

import contextlib
import ctypes
import os
import signal
import socket
import time

import pytest

import signet
from signet_server import Server

PTRACE_SEIZE, PTRACE_DETACH, PTRACE_INTERRUPT = 0x4206, 17, 0x4207
WALL = 0x40000000  # waitpid(): threads too


def ptrace(request, thread):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long] * 4
    if libc.ptrace(request, thread, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"ptrace({request:#x})")


def thread_of(pid, name):
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/comm", encoding="ascii") as comm:
            if comm.read() == name + "\n":
                return int(thread)
    raise LookupError(name)


@contextlib.contextmanager
def hanging_disk(server):
    thread = thread_of(server.pid, "repo")
    try:
        ptrace(PTRACE_SEIZE, thread)
    except OSError as error:
        pytest.skip(str(error))
    ptrace(PTRACE_INTERRUPT, thread)
    os.waitpid(thread, WALL)
    try:
        yield thread
    finally:
        with contextlib.suppress(OSError):  # it may have ended
            ptrace(PTRACE_DETACH, thread)


class Manager:
    """As much of systemd as hears what a service tells."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.name = f"@signet-test-{os.getpid()}"
        self.socket.bind("\0" + self.name[1:])
        self.heard = []

    def env(self):
        return {"NOTIFY_SOCKET": self.name, "WATCHDOG_USEC": "4000000"}

    def hear(self, line, patience_s=signet.PATIENCE_S):
        """Until it is told this once more."""
        until = time.monotonic() + patience_s
        while True:
            self.socket.settimeout(max(until - time.monotonic(), 0.001))
            told = self.socket.recv(4096).decode().split("\n")
            self.heard += told
            if line in told:
                return


@pytest.fixture
def manager():
    m = Manager()
    yield m
    m.socket.close()


def wait_log(server, words, times=1, patience_s=signet.PATIENCE_S):
    until = time.monotonic() + patience_s
    while sum(words in line for line in server.log) < times:
        assert time.monotonic() < until, "\n".join(server.log)
        time.sleep(0.02)


def test_a_reload_that_hangs_keeps_nobody_waiting(manager):
    with Server(env=manager.env()) as s:
        manager.hear("READY=1")
        with hanging_disk(s):
            os.kill(s.pid, signal.SIGHUP)
            manager.hear("RELOADING=1")
            manager.heard.clear()
            os.kill(s.pid, signal.SIGHUP)
            wait_log(s, "the last reload is not over yet")
            for _ in range(2):
                manager.hear("WATCHDOG=1", 10)
            assert s.call("GET", "/v2/models/digits/ready")[0] == 200
            assert "READY=1" not in manager.heard
        manager.hear("READY=1")
        manager.hear("RELOADING=1")
        manager.hear("READY=1")
        wait_log(s, "configuration reloaded", times=2)


def test_sigterm_amid_a_reload_drains_and_ends_with_it():
    with Server() as s:
        with hanging_disk(s):
            os.kill(s.pid, signal.SIGHUP)
            os.kill(s.pid, signal.SIGTERM)
            wait_log(s, "draining")
            time.sleep(0.5)
            assert s.process.poll() is None
        assert s.process.wait(30) == 0
        assert any("stopped" in line for line in s.log)


def test_a_disk_that_hangs_for_good_ends_the_process_late_but_by_itself():
    s = Server(options={"server.drain_timeout": "1s"})
    with hanging_disk(s) as thread:
        os.kill(s.pid, signal.SIGTERM)
        wait_log(s, "ending at once", patience_s=60)
        os.waitpid(thread, WALL)  # a process is there until who traces its threads has seen them end
    assert s.stop() == 1


def test_a_reload_before_it_serves_does_not_say_that_it_does(manager):
    with Server(env=manager.env(), options={"repository.settle": "4s"}, wait_ready=False) as s:
        os.kill(s.pid, signal.SIGHUP)
        wait_log(s, "configuration reloaded")
        assert not any("serving" in line for line in s.log)
        manager.hear("READY=1")
        assert "RELOADING=1" not in manager.heard
        assert "STATUS=versions: 1 ready, 0 loading, 0 failed" in manager.heard
