# SPDX-License-Identifier: Apache-2.0
"""The process itself: configuration, signals, what it does at start and at the end.

IDs are those of the list of bad inputs: C1 bad configuration, C2 bad reload, and so on.
"""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time

import signet


def run(*args):
    return subprocess.run([signet.SIGNETD, *args], capture_output=True, text=True, timeout=signet.PATIENCE_S)


def threads_of(daemon):
    """{number: name}"""
    tasks = f"/proc/{daemon.process.pid}/task"
    names = {}
    for task in os.listdir(tasks):
        with open(f"{tasks}/{task}/comm") as comm:
            names[int(task)] = comm.read().strip()
    return names


class Commands(signet.Story):
    def test_version_help_and_operators_are_printed(self):
        self.assertRegex(run("--version").stdout, r"^signetd \d+\.\d+\.\d+\n$")
        self.assertIn("--model-root DIR", run("--help").stdout)
        self.assertEqual(run("-h").stdout, run("--help").stdout)
        operators = run("--list-ops").stdout
        self.assertRegex(operators, r"(?m)^ai\.onnx +Conv +\d+ .*prepare_conv_ref")

    def test_what_it_prints_as_configuration_it_takes(self):
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
            file.write(run("--print-config").stdout)
            file.flush()
            self.assertEqual(run("--check-config", "--model-root", "/x", "--config", file.name).returncode, 0)

    def test_c1_a_bad_configuration_is_78_with_file_and_line(self):
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
            file.write("[http]\nbody_maximum = 1\n")
            file.flush()
            for check in (["--check-config"], []):
                done = run(*check, "--model-root", "/x", "--config", file.name)
                self.assertEqual(done.returncode, 78)
                self.assertIn(f"{file.name}:2: section [http] has no option 'body_maximum'", done.stderr)
                self.assertNotIn("listening", done.stderr)

    def test_c1_all_that_is_wrong_is_said_at_once(self):
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
            def says(text, *args):
                file.seek(0)
                file.truncate()
                file.write(text)
                file.flush()
                done = run("--check-config", "--config", file.name, *args)
                self.assertEqual(done.returncode, 78)
                return [line.split(" err ", 1)[1].strip() for line in done.stderr.splitlines() if " err " in line]
            self.assertEqual(says("[http]\nbody_max = 1\nlisten\n[model a b]\n", "--threads", "many"), [
                f"{file.name}:2: body_max is '1', must be: bytes (512, 64K, 1M, 2G), 1K to 16G",
                f"{file.name}:3: not of the form KEY = VALUE",
                "command line: [server]: threads is 'many', must be: whole number, 0 to 1024"])
            self.assertEqual(says("[server]\ndevice = tpu\n[model a b]\n[model c]\nversions = newest\n"
                                  "[signature d/e]\noutputs = x\n"), [
                f"{file.name}:2: [server]: device is 'tpu', must be: cpu, gpu, or gpu:N with N below 16",
                f"{file.name}:3: [model a b]: its name must be 1 to 128 of A-Z a-z 0-9 . _ -",
                f"{file.name}:5: [model c]: versions has 'newest', must be: latest, latest N, all, or numbers",
                f"{file.name}:6: [signature d/e]: there is no section for its model"])
            self.assertEqual(says("[http]\nlisten = here\ntls_cert = /x\n", "--model-root", "/x"), [
                "http: 'here' is not HOST:PORT, unix:PATH or off", "[http] tls_key is missing"])

    def test_c1_a_bad_command_line_is_78(self):
        for words in (["--frobnicate"], ["models"], [], ["--model-root", "/x", "--http", "nonsense"]):
            self.assertEqual(run(*words).returncode, 78, words)

    def test_a_wrong_address_is_found_before_anything_loads(self):
        self.models.add("digits", 1)
        for check in (["--check-config"], []):
            done = run(*check, "--model-root", self.models.path, "--http", "localhost")
            self.assertEqual(done.returncode, 78)
            self.assertIn("http: 'localhost' is not HOST:PORT", done.stderr)
            self.assertNotIn("loading", done.stderr)

    def test_a_root_that_is_not_there_is_a_warning(self):
        done = run("--check-config", "--model-root", "/nonexistent")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stderr, r"warning +model root /nonexistent: No such file or directory")
        done = run("--check-config", "--model", "digits=/nonexistent")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stderr, r"warning +model 'digits': its path /nonexistent: No such file or directory")
        daemon = self.daemon("--model-root", "/nonexistent").ready()
        self.assertRegex(daemon.log(), r"warning +model root /nonexistent: No such file or directory")

    def test_c14_an_address_in_use_is_said(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            done = run("--model-root", self.models.path, "--http", address, "--grpc", "off")
        self.assertEqual(done.returncode, 1)
        self.assertIn(address, done.stderr)
        self.assertIn("in use", done.stderr)


class Signals(signet.Story):
    def setUp(self):
        super().setUp()
        self.models.add("digits", 1)

    def write(self, text):
        path = os.path.join(self.models.path, ".conf")
        with open(path, "w") as file:
            file.write(text)
        return path

    def test_c5_sigterm_drains_and_exits_0(self):
        daemon = self.daemon().ready()
        self.assertEqual(daemon.get("/v2/health/ready")[0], 200)
        daemon.signal(signal.SIGTERM)
        self.assertEqual(daemon.wait(), 0)
        self.assertIn("stopped", daemon.log())

    def test_c5_health_turns_before_the_listener_closes(self):
        daemon = self.daemon("--set", "server.drain_delay=2s").ready()
        daemon.signal(signal.SIGTERM)
        daemon.wait_log("draining")
        self.assertEqual(daemon.get("/v2/health/ready")[0], 503)
        self.assertEqual(daemon.get("/v2/health/live")[0], 200)
        status, headers, _ = daemon.request("GET", "/v2/models/digits")
        self.assertEqual((status, headers["Connection"]), (200, "close"))
        self.assertEqual(daemon.wait(), 0)

    def test_c5_a_second_sigterm_ends_at_once(self):
        daemon = self.daemon("--set", "server.drain_delay=1m").ready()
        daemon.signal(signal.SIGTERM)
        daemon.wait_log("draining")
        began = time.monotonic()
        daemon.signal(signal.SIGTERM)
        self.assertEqual(daemon.wait(), 0)
        self.assertLess(time.monotonic() - began, 5)

    def test_c5_sigterm_while_models_load(self):
        for number in range(2, 30):
            self.models.add("digits", number)
        daemon = self.daemon("--set", "model *.versions=all")
        daemon.wait_log("version \\d+: (loading|compiling|warming)")
        daemon.signal(signal.SIGTERM)
        self.assertEqual(daemon.wait(), 0)

    def test_c5_sigint_as_sigterm(self):
        daemon = self.daemon().ready()
        daemon.signal(signal.SIGINT)
        self.assertEqual(daemon.wait(), 0)
        self.assertIn("draining", daemon.log())

    def test_c2_a_bad_reload_changes_nothing(self):
        path = self.write("[model digits]\nlabels = stable=1\n")
        daemon = self.daemon("--config", path).ready()
        for text, says in (("[model digits]\nlabels = stable\n", ":2: [model digits]: labels has 'stable'"),
                           ("[nonsense]\n", ":1: there is no section [nonsense]"),
                           ("[server]\nthreads = 7\n", "[server] threads has changed, which needs a restart"),
                           ("\0", "is no text")):
            self.write(text)
            daemon.signal(signal.SIGHUP)
            daemon.wait_log("reload failed, the configuration stays as it was: .*" +
                            says.replace("[", "\\["))
            self.assertEqual(daemon.get("/v1/models/digits/labels/stable")[0], 200)
            self.assertIn("signet_config_last_reload_successful 0\n", daemon.get("/metrics")[1])
        self.write("[model digits]\nlabels = stable=1\n")
        daemon.signal(signal.SIGHUP)
        daemon.wait_log("configuration reloaded")
        signet.wait_until(lambda: "signet_config_last_reload_successful 1\n" in daemon.get("/metrics")[1],
                          "the metric")
        self.assertEqual(daemon.stop(), 0)

    def test_c3_a_good_reload_adds_and_drops(self):
        path = self.write("")
        daemon = self.daemon("--config", path).ready()
        self.assertEqual(daemon.get("/v1/models/more")[0], 404)
        self.write(f"[model more]\npath = {signet.DIGITS}\n[model digits]\nlabels = stable=1\n")
        daemon.signal(signal.SIGHUP)
        signet.wait_until(lambda: daemon.get("/v2/models/more/ready")[0] == 200, "the new model")
        signet.wait_until(lambda: daemon.get("/v1/models/digits/labels/stable")[0] == 200, "the label")
        self.write("")
        daemon.signal(signal.SIGHUP)
        signet.wait_until(lambda: daemon.get("/v2/models/more/ready")[0] != 200, "the drain")
        self.assertEqual(daemon.get("/v2/models/digits/ready")[0], 200)
        self.assertEqual(daemon.stop(), 0)

    def test_c4_a_storm_of_sighup(self):
        path = self.write("")
        daemon = self.daemon("--config", path).ready()
        storm_over = time.monotonic() + 2
        while time.monotonic() < storm_over:
            for _ in range(50):
                daemon.signal(signal.SIGHUP)
            self.assertEqual(daemon.get("/v2/models/digits/ready")[0], 200)
        daemon.signal(signal.SIGTERM)
        for _ in range(50):
            if daemon.process.poll() is None:
                daemon.signal(signal.SIGHUP)
        self.assertEqual(daemon.wait(), 0)

    def test_c7_other_signals_do_no_harm(self):
        daemon = self.daemon().ready()
        for number in (signal.SIGPIPE, signal.SIGUSR1, signal.SIGXFSZ, signal.SIGCHLD, signal.SIGWINCH):
            daemon.signal(number)
        daemon.signal(signal.SIGUSR2)
        daemon.wait_log("state: digits/1 is ready")
        self.assertEqual(daemon.get("/v2/models/digits/ready")[0], 200)
        self.assertEqual(daemon.stop(), 0)


class Environment(signet.Story):
    def setUp(self):
        super().setUp()
        self.models.add("digits", 1)

    def test_c13_locale_and_junk_variables(self):
        junk = {"LC_ALL": "de_DE.UTF-8", "LANG": "xx", "LISTEN_FDS": "-3", "LISTEN_PID": "x",
                "NOTIFY_SOCKET": "/nonexistent/socket", "WATCHDOG_USEC": "soon", "JUNK": "x" * 100000}
        daemon = self.daemon(env=junk).ready()
        status, _, body = daemon.request("POST", "/v1/models/digits:predict",
                                         {"instances": [{"image": [0.5] * 64}]})
        self.assertEqual(status, 200, body)
        self.assertIn(b".", body)
        self.assertEqual(daemon.stop(), 0)

    def test_c13_closed_standard_descriptors(self):
        script = '"$0" --http 127.0.0.1:0 --grpc off --model-root "$1" <&- >&- 2>&- & echo $!; wait $!; echo $?'
        shell = subprocess.Popen(["/bin/sh", "-c", script, signet.SIGNETD, self.models.path],
                                 stdout=subprocess.PIPE, text=True)
        self.addCleanup(shell.stdout.close)
        pid = int(shell.stdout.readline())
        signet.wait_until(lambda: len(os.listdir(f"/proc/{pid}/fd")) > 8, "descriptors of its own")
        for number in range(3):
            self.assertEqual(os.readlink(f"/proc/{pid}/fd/{number}"), "/dev/null")
        os.kill(pid, signal.SIGTERM)
        self.assertEqual(int(shell.stdout.readline()), 0)
        shell.wait(signet.PATIENCE_S)

    def test_as_many_threads_read_and_write_as_are_configured(self):
        daemon = self.daemon("--set", "http.io_threads=9", "--set", "grpc.io_threads=9").ready()
        names = list(threads_of(daemon).values())
        self.assertEqual([names.count("http-io"), names.count("grpc-io")], [9, 9])

    def test_loads_step_back_whatever_policy_the_daemon_runs_under(self):
        # A nice value counts for nothing under a real-time policy, which threads inherit.
        threads = threads_of(self.daemon().ready())
        for name in ("load", "reaper"):
            thread, = (number for number, its_name in threads.items() if its_name == name)
            self.assertEqual(os.sched_getscheduler(thread), os.SCHED_BATCH)
            self.assertEqual(os.getpriority(os.PRIO_PROCESS, thread), 19)

    def test_c14_twice_on_one_port_and_again_after_a_kill(self):
        first = self.daemon().ready()
        address = f"127.0.0.1:{first.port}"
        second = self.daemon(http=address)
        self.assertEqual(second.wait(), 1)
        self.assertEqual(first.get("/v2/health/live")[0], 200)
        first.signal(signal.SIGKILL)
        first.wait()
        third = self.daemon(http=address).ready()
        self.assertEqual(third.get("/v2/models/digits/ready")[0], 200)
        self.assertEqual(third.stop(), 0)

    def test_c5_who_stands_at_the_door_when_it_ends_is_answered(self):
        daemon = self.daemon().ready()
        ask = json.dumps({"instances": [{"image": [1.0] * 64}]}).encode()
        text = (b"POST /v1/models/digits:predict HTTP/1.1\r\nHost: x\r\n"
                b"Content-Length: %d\r\n\r\n%s" % (len(ask), ask))
        with contextlib.ExitStack() as stack:
            def connect():
                return stack.enter_context(
                    socket.create_connection(("127.0.0.1", daemon.port), timeout=signet.PATIENCE_S))

            def answer(client):
                reply = http.client.HTTPResponse(client)
                reply.begin()
                reply.read()
                return reply.status

            kept = [connect() for _ in range(8)]
            for client in kept:
                client.sendall(text)
                self.assertEqual(answer(client), 200)
            # It sees none of this before it sees the signal.
            daemon.signal(signal.SIGSTOP)
            clients = kept + [connect() for _ in range(300)]
            for client in clients:
                client.sendall(text)
            daemon.signal(signal.SIGTERM)
            daemon.signal(signal.SIGCONT)
            self.assertEqual([answer(client) for client in clients], [200] * len(clients))
        self.assertEqual(daemon.wait(), 0)

    def test_c5_requests_in_flight_are_answered_while_it_drains(self):
        daemon = self.daemon("--set", "server.drain_delay=2s").ready()
        asked = []  # (when, status or None)

        def ask():
            while not asked or asked[-1][1]:
                began, status = time.monotonic(), None
                with contextlib.suppress(OSError, http.client.HTTPException):
                    status = daemon.request("POST", "/v1/models/digits:predict",
                                            {"instances": [{"image": [1.0] * 64}]})[0]
                asked.append((began, status))

        clients = [threading.Thread(target=ask) for _ in range(4)]
        for client in clients:
            client.start()
        signet.wait_until(lambda: len(asked) > 20, "some answers")
        signalled_at = time.monotonic()
        daemon.signal(signal.SIGTERM)
        self.assertEqual(daemon.wait(), 0)
        for client in clients:
            client.join()
        # When the delay is over, who still comes is refused one way or another.
        self.assertEqual({status for began, status in asked if began < signalled_at + 1}, {200})
        self.assertLessEqual({status for _, status in asked}, {200, 503, None})


if __name__ == "__main__":
    signet.main()
