# SPDX-License-Identifier: Apache-2.0
"""What happens to versions on a real disk: rows M23 to M37 of the list of bad inputs."""

import json
import os
import shutil
import signal
import tempfile
import time

import onnx
from onnx import TensorProto, helper

import signet

IMAGE = {"inputs": [{"name": "image", "datatype": "FP32", "shape": [1, 64], "data": [0.0] * 64}]}


def counting():
    """Adds one as many times as asked."""
    def scalar(name, kind):
        return helper.make_tensor_value_info(name, kind, [])
    body = helper.make_graph(
        [helper.make_node("Identity", ["go_in"], ["go"]), helper.make_node("Add", ["x", "one"], ["y"])], "body",
        [scalar("i", TensorProto.INT64), scalar("go_in", TensorProto.BOOL), scalar("x", TensorProto.INT64)],
        [scalar("go", TensorProto.BOOL), scalar("y", TensorProto.INT64)])
    graph = helper.make_graph(
        [helper.make_node("Loop", ["n", "", "zero"], ["total"], body=body)], "counting",
        [scalar("n", TensorProto.INT64)], [scalar("total", TensorProto.INT64)],
        [helper.make_tensor(name, TensorProto.INT64, [], [v]) for name, v in (("zero", 0), ("one", 1))])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def example(version):
    return os.path.join(signet.DIGITS, str(version), "model.onnx")


class Lifecycle(signet.Story):
    def start(self, *args):
        self.server = self.daemon("--set", "repository.settle=300ms", *args).ready()

    def index(self):
        body = self.server.request("POST", "/v2/repository/index")[2]
        return {(row["name"], row.get("version", "")): row for row in json.loads(body)}

    def state(self, version, name="digits"):
        return self.index().get((name, str(version)), {"state": "GONE"})["state"]

    def comes_to(self, version, state, name="digits"):
        signet.wait_until(lambda: self.state(version, name) == state,
                          "%s/%s becomes %s\n%s" % (name, version, state, self.server.log()))

    def answering(self, name="digits"):
        status, _, body = self.server.request("POST", "/v2/models/%s/infer" % name, IMAGE)
        return int(json.loads(body)["model_version"]) if status == 200 else -status

    def path(self, *parts):
        return os.path.join(self.models.path, *parts)

    def test_m23_a_growing_file_is_left_alone(self):
        self.models.add("digits", 1)
        self.start("--set", "repository.settle=3s")  # a busy machine writes slowly
        os.makedirs(self.path("digits", "2"))
        with open(example(2), "rb") as source:
            whole = source.read()
        with open(self.path("digits", "2", "model.onnx"), "wb") as copy:
            for at in range(0, len(whole), len(whole) // 8 + 1):
                copy.write(whole[at:at + len(whole) // 8 + 1])
                copy.flush()
                time.sleep(0.1)
                self.assertEqual(self.answering(), 1)
        self.comes_to(2, "READY")
        self.assertNotIn(": failed", self.server.log())

    def test_what_does_not_serve_says_why(self):
        self.models.add("digits", 1)
        self.models.add("digits", 2)
        self.models.add("bad", 1, os.devnull)
        os.makedirs(self.path("none"))
        self.start()
        reasons = {key: row["reason"] for key, row in self.index().items()}
        self.assertEqual(reasons, {("digits", "2"): "", ("digits", "1"): "left aside by the option 'versions'",
                                   ("bad", "1"): "it is empty",
                                   ("none", ""): "it has no version: no NUMBER/model.onnx or model.signet"})
        # TensorFlow Serving has not heard of a version that is not to be served.
        status = self.server.get("/v1/models/digits")[1]["model_version_status"]
        self.assertEqual([(v["version"], v["state"]) for v in status], [("2", "AVAILABLE")])
        self.assertEqual(self.server.get("/v1/models/digits/versions/1")[0], 404)
        self.assertEqual(self.server.get("/v2/models/digits/versions/1/ready"), (404, {
            "error": "model 'digits' has no version 1: left aside by the option 'versions'"}))
        self.assertEqual(self.server.get("/v2/health/ready"), (503, {
            "ready": False, "error": "model 'bad' version 1: failed: it is empty"}))
        self.models.remove("bad", 1)
        signet.wait_until(lambda: self.server.get("/v2/health/ready") == (200, {"ready": True}), "ready")

    def test_a_model_that_never_loads_need_not_keep_the_server_out(self):
        self.models.add("digits", 1)
        self.models.add("bad", 1, os.devnull)
        config = self.path("signetd.conf")
        with open(config, "w") as file:
            file.write("[repository]\nreadiness = all\n")
        self.start("--config", config)
        self.assertEqual(self.server.get("/v2/health/ready")[0], 503)
        with open(config, "w") as file:
            file.write("[repository]\nreadiness = any\n")
        self.server.signal(signal.SIGHUP)
        signet.wait_until(lambda: self.server.get("/v2/health/ready") == (200, {"ready": True}), "ready")
        self.assertEqual(self.server.get("/v2/models/bad/ready")[0], 503)
        self.models.remove("digits", 1)
        signet.wait_until(lambda: self.server.get("/v2/health/ready")[0] == 503, "not ready")

    def test_the_configured_deadline_ends_a_loop_that_a_request_makes_endless(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        file = os.path.join(folder.name, "model.onnx")
        onnx.save(counting(), file)
        self.models.add("count", 1, file)
        self.start("--set", "http.request_timeout=500ms")

        def count(to):
            status, _, body = self.server.request("POST", "/v1/models/count:predict", {"inputs": to})
            return status, json.loads(body)
        self.assertEqual(count(5), (200, {"outputs": 5}))
        began = time.monotonic()
        self.assertEqual(count(1 << 62)[0], 504)
        self.assertLess(time.monotonic() - began, 20)
        # The thread is free again, not merely given up.
        self.assertEqual(count(7), (200, {"outputs": 7}))

    def test_m24_a_file_written_in_place_is_not_loaded(self):
        self.models.add("digits", 1)
        self.start()
        with open(self.path("digits", "1", "model.onnx"), "wb") as file:
            file.write(b"garbage")
        self.server.wait_log("changed in place")
        self.assertEqual(self.answering(), 1)
        self.assertEqual(self.server.log().count("changed in place"), 1)

    def test_m26_only_plain_numbers_are_versions_and_each_stray_is_told_once(self):
        self.models.add("digits", 1)
        for name in ("01", "-1", "1.0", "0x1", "latest", "1e3", "9223372036854775808", ".2"):
            os.makedirs(self.path("digits", name))
            shutil.copy(example(2), self.path("digits", name))
        self.start()
        time.sleep(1.5)  # several scans
        self.assertEqual(self.answering(), 1)
        self.assertEqual([key for key in self.index() if key[0] == "digits"], [("digits", "1")])
        self.assertEqual(self.server.log().count("digits/latest: ignored"), 1)
        self.assertNotIn("digits/.2", self.server.log())

    def test_m27_links_as_kubernetes_makes_them(self):
        first, second = self.path(".first"), self.path(".second")
        for directory, version in ((first, 1), (second, 2)):
            os.makedirs(directory)
            shutil.copy(example(version), os.path.join(directory, "model.onnx"))
        os.makedirs(self.path("digits"))
        os.symlink(first, self.path(".data"))
        os.symlink(self.path(".data"), self.path("digits", "1"))
        self.start()
        before = self.server.request("POST", "/v2/models/digits/infer", IMAGE)[2]
        os.symlink(second, self.path(".data.tmp"))
        os.rename(self.path(".data.tmp"), self.path(".data"))

        def changed():
            body = self.server.request("POST", "/v2/models/digits/infer", IMAGE)[2]
            return json.loads(body)["outputs"] != json.loads(before)["outputs"]
        signet.wait_until(changed, "the link's new target is served\n" + self.server.log())

    def test_m28_a_root_that_empties_takes_nothing_away(self):
        self.models.add("digits", 1)
        self.start()
        os.rename(self.path("digits"), self.path(".hidden"))
        self.server.wait_log("stays served")
        time.sleep(1)
        self.assertEqual(self.answering(), 1)
        self.assertEqual(self.server.get("/v2/health/ready")[0], 200)
        os.rename(self.path(".hidden"), self.path("digits"))
        self.models.add("digits", 2, example(2))
        self.comes_to(2, "READY")

    def test_m29_removed_and_replaced(self):
        self.models.add("digits", 1)
        self.models.add("other", 1)
        self.start()
        os.rename(self.path("digits", "1"), self.path(".old"))
        self.models.add("digits", 1, example(2))
        signet.wait_until(lambda: self.server.log().count("model 'digits' version 1: ready") == 2,
                          "the replacement is loaded")
        self.assertEqual(self.answering(), 1)
        self.models.remove("digits", 1)
        signet.wait_until(lambda: self.answering() == -503, "a removed version is drained")
        self.assertEqual(self.answering("other"), 1)

    def test_m31_many_versions_and_strays(self):
        for version in range(1, 1500):
            os.makedirs(self.path("digits", str(version)))
        for stray in range(1500):
            open(self.path("stray%d" % stray), "w").close()
        self.models.add("digits", 5000)
        self.start()
        self.assertEqual(self.answering(), 5000)
        self.assertLess(len(self.server.log().splitlines()), 600)

    def own(self, text, name="digits"):
        """The model's own file, put there as a whole."""
        with open(self.path(".conf"), "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        os.rename(self.path(".conf"), self.path(name, "model.conf"))

    def max_batch(self, name="digits"):
        return self.server.get("/v2/models/%s/config" % name)[1].get("max_batch_size")

    def test_m33_a_models_own_options_hold_and_change_while_it_is_served(self):
        self.models.add("digits", 1)
        self.own("[model]\nversions = all\nmax_batch = 4\nlabels = stable=1\n"
                 "[signature raw]\ninputs = pixels = image\noutputs = scores = probabilities\n")
        self.models.add("digits", 2, example(2))
        self.start()
        self.assertEqual(self.max_batch(), 4)
        self.assertEqual([self.state(v) for v in (1, 2)], ["READY", "READY"])
        status, _, body = self.server.request("POST", "/v1/models/digits/labels/stable:predict", {
            "signature_name": "raw", "inputs": {"pixels": [[0.0] * 64]}})
        self.assertEqual(status, 200, body)
        self.own("[model]\nmax_batch = 7\n")
        signet.wait_until(lambda: self.answering() == 2 and self.max_batch() == 7, "it is loaded again")
        self.comes_to(1, "UNAVAILABLE")  # the latest one alone
        os.remove(self.path("digits", "model.conf"))
        signet.wait_until(lambda: self.max_batch() == 32, "the daemon's own options hold")
        self.assertNotIn(": failed", self.server.log())

    def test_m33_what_a_bad_file_says(self):
        bad = {
            "unknown": ("[model]\n\nmax_batches = 4\n", "model.conf:3: section [model] has no option 'max_batches'"),
            "type": ("[model]\nmax_batch = many\n", "model.conf:2: max_batch is 'many', must be: whole number"),
            "twice": ("[model]\nmax_batch = 1\nmax_batch = 1\n", "model.conf:3: 'max_batch' is given twice"),
            "bom": (b"\xef\xbb\xbf[model]\n", "model.conf:1: begins with a byte order mark"),
            "include": ("[model]\ninclude = model.conf\n", "model.conf:2: section [model] has no option 'include'"),
            "deep": ("[" * 100000, "model.conf:1: line of 100000 bytes"),
            "section": ("[model]\n[http]\n", "model.conf:2: there is no section [http]"),
            "nul": (b"[model]\nmax_batch = 4\0\n", "model.conf:2: byte 14 (0x00) is no text"),
        }
        for name, (text, _) in bad.items():
            self.models.add(name, 1, example(1))
            self.own(text, name)
        for name in ("huge", "fifo", "link", "crlf"):
            self.models.add(name, 1, example(1))
        with open(self.path("huge", "model.conf"), "wb") as file:
            file.truncate(100 << 20)
        os.mkfifo(self.path("fifo", "model.conf"))
        os.symlink("/etc/passwd", self.path("link", "model.conf"))
        self.own("[model]\r\nmax_batch = 4\r\n", "crlf")
        self.server = self.daemon("--set", "repository.settle=300ms")
        expected = {name: says for name, (_, says) in bad.items()}
        expected.update(huge="model.conf: has 104857600 bytes, at most 1048576", fifo="model.conf: not a regular file",
                        link="model.conf is a link that leaves its directory")
        for name, says in expected.items():
            signet.wait_until(lambda: says in self.index().get((name, "1"), {}).get("reason", ""), name)
            self.assertEqual(self.answering(name), -503)
        signet.wait_until(lambda: self.state(1, "crlf") == "READY", "crlf")
        self.assertEqual(self.max_batch("crlf"), 4)
        self.assertNotIn("passwd", self.server.log())
        self.own("[model]\nmax_batch = 4\n", "twice")
        self.comes_to(1, "READY", "twice")

    def test_m33_a_bad_file_takes_nothing_away_and_lets_nothing_in(self):
        self.models.add("digits", 1)
        self.own("[model]\nmax_batch = 4\n")
        self.start()
        self.own("[model]\nmax_batch = four\n")
        self.server.wait_log("model.conf:2: max_batch is 'four'")
        self.models.add("digits", 2, example(2))
        self.comes_to(2, "UNAVAILABLE")
        self.assertEqual((self.answering(), self.max_batch()), (1, 4))
        self.assertIn("model.conf:2", self.index()[("digits", "1")]["reason"])
        self.own("[model]\nmax_batch = 5\n[signature s]\noutputs = nothing\n")  # right, but not for this model
        self.server.wait_log("version 2: failed: signature 's'")
        self.assertEqual(self.answering(), 1)
        self.own("[model]\nmax_batch = 5\n")
        signet.wait_until(lambda: self.answering() == 2 and self.max_batch() == 5, "the mended one holds")
        self.assertEqual(self.index()[("digits", "2")].get("reason", ""), "")

    def test_m33_the_daemons_section_of_a_model_goes_before_its_own_file(self):
        self.models.add("digits", 1)
        self.own("[model]\nmax_batch = 4\non_break = refuse\n")
        config = self.path(".signetd.conf")
        with open(config, "w") as file:
            file.write("[model *]\nmax_batch = 2\n")
        self.start("--config", config)
        self.assertEqual(self.max_batch(), 4)
        with open(config, "w") as file:
            file.write("[model *]\nmax_batch = 2\n[model digits]\nmax_batch = 3\n")
        self.server.signal(signal.SIGHUP)
        signet.wait_until(lambda: self.max_batch() == 3, "the operator has the last word")

    def test_m34_two_roots_with_one_name(self):
        self.models.add("digits", 1)
        other = signet.Models()
        self.addCleanup(other.close)
        other.add("digits", 2, example(2))
        self.start("--model-root", other.path)
        self.assertEqual(self.answering(), 1)
        self.assertIn("is already served from", self.server.log())

    def test_a_flat_directory_and_a_file_are_version_1(self):
        os.makedirs(self.path(".flat"))
        shutil.copy(example(1), self.path(".flat", "model.onnx"))
        self.start("--model", "flat=" + self.path(".flat"), "--model", "file=" + example(2))
        self.assertEqual(self.answering("flat"), 1)
        self.assertEqual(self.answering("file"), 1)

    def test_m37_a_wrong_golden_example_fails_the_version(self):
        self.models.add("digits", 1)
        self.start()
        staged = self.path(".staged")
        os.makedirs(os.path.join(staged, "golden"))
        shutil.copy(example(2), os.path.join(staged, "model.onnx"))

        def tensor(n):  # a TensorProto: dims [1, n], float32, raw zeros
            raw = bytes(4 * n)
            size = [len(raw)] if len(raw) < 128 else [len(raw) & 0x7f | 0x80, len(raw) >> 7]
            return bytes([8, 1, 8, n, 16, 1, 0x4a, *size]) + raw
        for name, count in (("input_0.pb", 64), ("output_0.pb", 10)):
            with open(os.path.join(staged, "golden", name), "wb") as file:
                file.write(tensor(count))
        os.rename(staged, self.path("digits", "2"))
        self.server.wait_log("version 2: failed: golden: output")
        self.assertEqual(self.answering(), 1)


if __name__ == "__main__":
    signet.main()
