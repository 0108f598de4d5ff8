# SPDX-License-Identifier: Apache-2.0
"""The units under a real systemd: start, status, reload, watchdog, socket activation, stop.

A systemd --user of its own runs in a mount namespace of its own, with a private /run. It
takes root and a cgroup that may be made; where that is not there, the story is skipped and
says why. What a user manager cannot do (other users, IP filters, kernel tunables) is left
out of the unit by a drop-in; systemd-analyze looks at all of it.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import signet

UNITS = os.environ.get("SIGNET_UNITS", os.path.join(os.path.dirname(signet.SIGNETD), "systemd"))
SOCKETS = ("signetd.socket", "signetd-grpc.socket")
SYSTEMD = "/lib/systemd/systemd"
INSIDE = "SIGNET_TEST_IN_NAMESPACE"

# Options of the unit that need a manager of the whole system.
DROP_IN = """[Service]
# A leak checker stops its own process by ptrace, which the unit forbids.
Environment=ASAN_OPTIONS=detect_leaks=0
User=
Group=
PrivateUsers=no
PrivateTmp=no
PrivateDevices=no
ProtectSystem=no
ProtectHome=no
ProtectClock=no
ProtectHostname=no
ProtectProc=default
ProcSubset=all
ProtectKernelTunables=no
ProtectKernelModules=no
ProtectKernelLogs=no
ProtectControlGroups=no
RemoveIPC=no
OOMScoreAdjust=0
IPAddressDeny=
IPAddressAllow=
StandardError=append:{log}
"""


def why_not():
    """None, or the reason why the story cannot be played here."""
    if os.geteuid() != 0:
        return "needs root"
    for program in (SYSTEMD, "/usr/bin/unshare"):
        if not os.path.exists(program):
            return f"{program} is not there"
    if subprocess.run(["unshare", "-m", "--propagation", "private", "true"], capture_output=True).returncode:
        return "no mount namespaces"
    if not cgroups():
        return "no cgroup can be made"
    return None


def cgroups():
    """Folders of this process's own cgroups, made; the manager moves every process of its cgroup."""
    made = []
    for tree in ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"):
        folder = os.path.join(tree, f"signet-test-{os.getpid()}")
        if not os.path.exists(os.path.join(tree, "cgroup.procs")):
            continue
        try:
            os.makedirs(folder, exist_ok=True)
            made.append(folder)
        except OSError:
            continue
    return made


class Verify(unittest.TestCase):
    @unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze is not there")
    def test_the_units_are_accepted_without_a_word(self):
        with tempfile.TemporaryDirectory() as folder:
            install_units(folder)
            done = subprocess.run(["systemd-analyze", "verify", "--man=no", *[os.path.join(folder, name) for name in
                                                                  ("signetd.service", *SOCKETS)]],
                                  capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    @unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze is not there")
    def test_the_unit_is_hardened(self):
        unit = os.path.join(UNITS, "signetd.service")
        done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=15", unit],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout[-500:])


def install_units(folder, conf="/dev/null"):
    """The units as shipped, but for the places of program and configuration."""
    with open(os.path.join(UNITS, "signetd.service")) as file:
        text = file.read()
    text = re.sub(r"[^\s=]+/sbin/signetd\b", signet.SIGNETD, text)
    text = re.sub(r"\S+/signetd\.conf", conf, text)
    with open(os.path.join(folder, "signetd.service"), "w") as file:
        file.write(text)
    for name in SOCKETS:
        shutil.copy(os.path.join(signet.TREE, "systemd", name), folder)


class Manager(unittest.TestCase):
    """Runs in the namespace."""

    @classmethod
    def setUpClass(cls):
        cls.home = tempfile.mkdtemp(prefix="signet-systemd-")
        cls.units = os.path.join(cls.home, ".config", "systemd", "user")
        os.makedirs(os.path.join(cls.units, "signetd.service.d"))
        os.environ.update(HOME=cls.home, XDG_RUNTIME_DIR="/run/u")
        cls.models = signet.Models()
        # Where a user manager puts StateDirectory=.
        state = os.path.join(cls.home, ".config", "signet", "models")
        os.makedirs(os.path.dirname(state))
        os.rename(cls.models.path, state)
        cls.models.path = state
        cls.models.add("digits", 1)
        with socket.create_server(("127.0.0.1", 0)) as any_port, \
                socket.create_server(("127.0.0.1", 0)) as another:
            cls.port, cls.grpc_port = any_port.getsockname()[1], another.getsockname()[1]
        cls.conf = os.path.join(cls.home, "signetd.conf")
        cls.log = os.path.join(cls.home, "log")
        install_units(cls.units, cls.conf)
        cls.write(os.path.join(cls.units, "signetd.service.d", "user.conf"), DROP_IN.format(log=cls.log))
        for name, shipped, port in zip(SOCKETS, ("8000", "8001"), (cls.port, cls.grpc_port)):
            path = os.path.join(cls.units, name)
            cls.write(path, cls.read(path).replace(shipped, str(port)))
        cls.write(cls.conf, f"[http]\nlisten = 127.0.0.1:{cls.port}\n[grpc]\nlisten = 127.0.0.1:0\n")
        cls.manager = subprocess.Popen([SYSTEMD, "--user", "--unit=basic.target"],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        signet.wait_until(lambda: cls.systemctl("is-active", "basic.target").stdout == "active\n", "the manager")

    @classmethod
    def tearDownClass(cls):
        cls.systemctl("stop", *SOCKETS, "signetd.service")
        cls.systemctl("exit")
        try:
            cls.manager.wait(10)
        except subprocess.TimeoutExpired:
            cls.manager.kill()
            cls.manager.wait()
        cls.models.close()
        shutil.rmtree(cls.home, ignore_errors=True)

    @staticmethod
    def write(path, text):
        with open(path, "w") as file:
            file.write(text)

    @staticmethod
    def read(path):
        with open(path) as file:
            return file.read()

    @staticmethod
    def systemctl(*words):
        return subprocess.run(["systemctl", "--user", *words], capture_output=True, text=True,
                              timeout=signet.PATIENCE_S)

    def show(self, name):
        return self.systemctl("show", "signetd.service", "-P", name).stdout.strip()

    def start(self, unit="signetd.service"):
        done = self.systemctl("start", unit)
        log = self.read(self.log) if os.path.exists(self.log) else ""
        self.assertEqual(done.returncode, 0, f"{done.stderr}\n{log}")

    def stop(self):
        self.assertEqual(self.systemctl("stop", *SOCKETS, "signetd.service").returncode, 0)

    def setUp(self):
        self.addCleanup(self.systemctl, "reset-failed")
        self.addCleanup(self.stop)

    def ready(self):
        request = b"GET /v2/models/digits/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        with socket.create_connection(("127.0.0.1", self.port), signet.PATIENCE_S) as connection:
            connection.sendall(request)
            return b" 200 " in connection.recv(1000)

    def test_start_returns_when_models_are_ready(self):
        self.start()
        self.assertTrue(self.ready())
        self.assertEqual(self.show("StatusText"), "versions: 1 ready, 0 loading, 0 failed")
        self.assertEqual(self.show("ActiveState"), "active")

    def test_status_follows_the_versions(self):
        self.start()
        self.models.add("more", 1)
        signet.wait_until(lambda: self.show("StatusText").startswith("versions: 2 ready"), "the second model")
        self.models.remove("more", 1)

    def test_reload_good_and_bad(self):
        self.start()
        good = self.read(self.conf)
        pid = self.show("MainPID")
        self.assertEqual(self.systemctl("reload", "signetd.service").returncode, 0)
        signet.wait_until(lambda: "configuration reloaded" in self.read(self.log), "the reload")
        self.write(self.conf, good + "[nonsense]\n")
        self.assertNotEqual(self.systemctl("reload", "signetd.service").returncode, 0)
        os.kill(int(pid), signal.SIGHUP)
        signet.wait_until(lambda: self.show("StatusText").startswith("reload failed: "), "the complaint")
        self.write(self.conf, good)
        self.assertTrue(self.ready())
        self.assertEqual((self.show("MainPID"), self.show("ActiveState")), (pid, "active"))

    def test_c1_a_bad_configuration_is_not_tried_again(self):
        good = self.read(self.conf)
        self.write(self.conf, "[nonsense]\n")
        self.assertNotEqual(self.systemctl("start", "signetd.service").returncode, 0)
        self.write(self.conf, good)
        self.assertEqual((self.show("NRestarts"), self.show("ActiveState")), ("0", "failed"))

    def test_killed_it_comes_back(self):
        self.start()
        pid = int(self.show("MainPID"))
        self.assertGreater(pid, 1)
        os.kill(pid, signal.SIGKILL)
        signet.wait_until(lambda: self.show("NRestarts") == "1" and self.show("ActiveState") == "active",
                          "the restart")
        self.assertTrue(self.ready())

    def test_c17_the_watchdog_ends_what_hangs_and_lets_live_what_lives(self):
        folder = os.path.join(self.units, "signetd.service.d")
        self.write(os.path.join(folder, "watchdog.conf"), "[Service]\nWatchdogSec=4\nRestart=no\n")
        self.addCleanup(self.systemctl, "daemon-reload")
        self.addCleanup(os.unlink, os.path.join(folder, "watchdog.conf"))
        self.systemctl("daemon-reload")
        self.start()
        time.sleep(6)
        self.assertEqual(self.show("ActiveState"), "active")
        os.kill(int(self.show("MainPID")), signal.SIGSTOP)
        signet.wait_until(lambda: self.show("Result") == "watchdog", "the watchdog's verdict")

    def test_a_socket_of_systemd_is_served(self):
        with_port = self.read(self.conf)
        self.write(self.conf, "[http]\nlisten = 127.0.0.1:1\n[grpc]\nlisten = 127.0.0.1:0\n")
        self.addCleanup(self.write, self.conf, with_port)
        self.start("signetd.socket")
        self.assertEqual(self.show("ActiveState"), "inactive")
        signet.wait_until(self.ready, "the model")
        signet.wait_until(lambda: self.show("ActiveState") == "active", "READY=1")
        # The socket outlives the service: what comes while it restarts, waits.
        self.assertEqual(self.systemctl("restart", "signetd.service").returncode, 0)
        self.assertTrue(self.ready())

    def speaks_http2(self):
        """The server's SETTINGS come in answer to ours."""
        with socket.create_connection(("127.0.0.1", self.grpc_port), signet.PATIENCE_S) as s:
            s.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
            return s.recv(9)[3:4] == b"\4"

    def test_the_sockets_of_both_wires_are_served(self):
        with_port = self.read(self.conf)
        self.write(self.conf, "[http]\nlisten = 127.0.0.1:1\n[grpc]\nlisten = 127.0.0.1:1\n")
        self.addCleanup(self.write, self.conf, with_port)
        for name in SOCKETS:
            self.start(name)
        self.assertEqual(self.show("ActiveState"), "inactive")
        self.assertTrue(self.speaks_http2(), "a call to gRPC starts the service")
        signet.wait_until(self.ready, "the model")
        signet.wait_until(lambda: self.show("ActiveState") == "active", "READY=1")
        self.assertEqual(self.systemctl("restart", "signetd.service").returncode, 0)
        self.assertTrue(self.speaks_http2())

    def test_stop_is_clean(self):
        self.start()
        self.stop()
        self.assertEqual((self.show("Result"), self.show("ExecMainStatus")), ("success", "0"))
        self.assertIn("stopped", self.read(self.log))


class Namespace(unittest.TestCase):
    def test_the_lifecycle_under_a_manager(self):
        reason = why_not()
        if reason:
            self.skipTest(reason)
        folders = cgroups()

        def enter():
            for folder in folders:
                with open(os.path.join(folder, "cgroup.procs"), "w") as file:
                    file.write(str(os.getpid()))

        script = ("mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system /run/u && chmod 700 /run/u && "
                  'exec "$0" "$@"')
        words = ["unshare", "-m", "--propagation", "private", "/bin/sh", "-c", script,
                 sys.executable, os.path.abspath(__file__)]
        done = subprocess.run(words, env={**os.environ, INSIDE: "1"}, preexec_fn=enter, text=True,
                              capture_output=True)
        print(done.stdout)
        for folder in folders:
            remove_cgroup(folder)
        self.assertEqual(done.returncode, 0, done.stderr)


def remove_cgroup(folder):
    """Bottom up; what is still busy is left to the system."""
    for path, _, _ in os.walk(folder, topdown=False):
        try:
            os.rmdir(path)
        except OSError:
            pass


# Who collects the stories of this file, be it pytest, must not find the others.
if os.environ.get(INSIDE):
    del Verify, Namespace
else:
    del Manager

if __name__ == "__main__":
    signet.main()
