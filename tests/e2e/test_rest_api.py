# SPDX-License-Identifier: Apache-2.0
"""What the REST dialects answer when all is well, against the real daemon."""
import gzip
import json
import os
import re
import resource
import socket
import struct
import subprocess
import tempfile
import time
import unittest

import signet
from signet_server import EXAMPLES, Server, read_answer, status_of

ROW = [float((i * 7) % 17) for i in range(64)]
INFER = "/v2/models/digits/infer"
PREDICT = "/v1/models/digits:predict"


def infer(rows=1, **more):
    return dict({"inputs": [{"name": "image", "shape": [rows, 64], "datatype": "FP32", "data": ROW * rows}]}, **more)


class RestApi(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s = Server(models={"digits": ["1"]}, options={"http.allow_admin": "true"})

    @classmethod
    def tearDownClass(cls):
        cls.s.stop()

    def good(self, method, path, body=None, headers=None):
        status, got, answer = self.s.call(method, path, body, headers or {"Content-Type": "application/json"})
        self.assertEqual(status, 200, (path, answer))
        return got, answer

    def value(self, *args):
        return json.loads(self.good(*args)[1])

    # -- Open Inference -------------------------------------------------------------------

    def test_server_and_health(self):
        self.assertEqual(self.value("GET", "/v2")["name"], "signet")
        self.assertEqual(self.value("GET", "/v2/health/live"), {"live": True})
        self.assertEqual(self.value("GET", "/v2/health/ready"), {"ready": True})
        for path in ("/livez", "/readyz?verbose", "/healthz", "/startupz"):
            self.good("GET", path)

    def test_model_metadata(self):
        for path in ("/v2/models/digits", "/v2/models/digits/versions/1"):
            m = self.value("GET", path)
            self.assertEqual((m["name"], m["versions"]), ("digits", ["1"]))
            self.assertEqual(m["inputs"], [{"name": "image", "datatype": "FP32", "shape": [-1, 64]}])
        self.assertEqual(self.value("GET", "/v2/models/digits/ready"), {"name": "digits", "ready": True})
        self.assertEqual(self.value("GET", "/v2/models")["models"], ["digits"])
        config = self.value("GET", "/v2/models/digits/config")
        self.assertEqual(config["input"][0]["dims"], [64] if config["max_batch_size"] else [-1, 64])

    def test_infer_in_json_and_binary_agree(self):
        one = self.value("POST", INFER, json.dumps(infer(id="a-1")))
        self.assertEqual((one["id"], one["model_name"], one["model_version"]), ("a-1", "digits", "1"))
        outputs = {o["name"]: o for o in one["outputs"]}
        header = json.dumps({"inputs": [{"name": "image", "shape": [1, 64], "datatype": "FP32",
                                         "parameters": {"binary_data_size": 256}}],
                             "outputs": [{"name": "probabilities", "parameters": {"binary_data": True}},
                                         {"name": "label"}]}).encode()
        got, body = self.good("POST", INFER, header + struct.pack("<64f", *ROW), {
            "Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(header))})
        n = int(got["inference-header-content-length"])
        answer = json.loads(body[:n])
        self.assertEqual([o["name"] for o in answer["outputs"]], ["probabilities", "label"])
        self.assertEqual(answer["outputs"][0]["parameters"]["binary_data_size"], 40)
        self.assertEqual(answer["outputs"][1]["data"], outputs["label"]["data"])
        binary = struct.unpack("<10f", body[n:])
        again = [struct.unpack("<f", struct.pack("<f", x))[0] for x in outputs["probabilities"]["data"]]
        self.assertEqual(list(binary), again, "JSON floats are exact")

    def test_raw_body_and_large_binary_answer(self):
        rows = 2000
        got, body = self.good("POST", INFER, struct.pack("<64f", *ROW) * rows, {
            "Content-Type": "application/octet-stream", "Inference-Header-Content-Length": "0"})
        n = int(got["inference-header-content-length"])
        outputs = {o["name"]: o for o in json.loads(body[:n])["outputs"]}
        self.assertEqual(outputs["probabilities"]["shape"], [rows, 10])
        self.assertEqual(len(body) - n, rows * (8 + 40))

    def test_a_query_is_ignored(self):
        self.good("GET", "/v2/models/digits?trace=a/b")
        self.good("POST", INFER + "?x=1&y", json.dumps(infer()))
        self.good("POST", PREDICT + "?x", json.dumps({"instances": [ROW]}))

    def test_classification(self):
        answer = self.value("POST", INFER, json.dumps(infer(outputs=[
            {"name": "probabilities", "parameters": {"classification": 3}}])))
        out = answer["outputs"][0]
        self.assertEqual((out["datatype"], out["shape"]), ("BYTES", [1, 3]))
        values = [float(x.split(":")[0]) for x in out["data"]]
        self.assertEqual(values, sorted(values, reverse=True))

    def test_statistics(self):
        before = self.value("GET", "/v2/models/digits/stats")["model_stats"][0]
        self.good("POST", INFER, json.dumps(infer(3)))
        after = self.value("GET", "/v2/models/stats")["model_stats"][0]
        self.assertEqual(after["inference_count"] - before["inference_count"], 3)
        self.assertEqual(after["inference_stats"]["success"]["count"] - before["inference_stats"]["success"]["count"], 1)
        self.assertGreater(after["inference_stats"]["compute_infer"]["ns"], 0)

    def test_repository(self):
        index = self.value("POST", "/v2/repository/index")
        self.assertEqual(index, [{"name": "digits", "version": "1", "state": "READY", "reason": ""}])
        self.assertEqual(self.value("POST", "/v2/repository/index", '{"ready":true}'), index)
        self.assertEqual(self.s.call("POST", "/v2/repository/models/none/load")[0], 404)

    def test_unload_and_load(self):
        with Server(options={"http.allow_admin": "true"}) as s:
            self.assertEqual(s.call("POST", "/v2/repository/models/digits/unload")[0], 200)
            self.assertIn(s.post(INFER, infer())[0], (404, 503))
            self.assertEqual(s.call("POST", "/v2/repository/models/digits/load")[0], 200)
            self.assertEqual(s.post(INFER, infer())[0], 200)
        with Server() as s:
            self.assertEqual(s.call("POST", "/v2/repository/models/digits/unload")[0], 503)

    # -- TensorFlow Serving ---------------------------------------------------------------

    def test_predict_by_rows_and_columns(self):
        rows = self.value("POST", PREDICT, json.dumps({"instances": [ROW, ROW]}))["predictions"]
        named = self.value("POST", PREDICT, json.dumps({"instances": [{"image": ROW}, {"image": ROW}]}))["predictions"]
        columns = self.value("POST", PREDICT, json.dumps({"inputs": [ROW, ROW]}))["outputs"]
        self.assertEqual(rows, named)
        self.assertEqual([r["label"] for r in rows], columns["label"])
        self.assertEqual([r["probabilities"] for r in rows], columns["probabilities"])
        again = self.value("POST", "/v1/models/digits/versions/1:predict", json.dumps(
            {"signature_name": "serving_default", "inputs": {"image": [ROW]}}))["outputs"]
        self.assertEqual(again["label"], columns["label"][:1])

    def test_curl_as_the_documents_of_others_have_it(self):
        status, _, _ = self.s.call("POST", PREDICT, json.dumps({"instances": [ROW]}),
                                   {"Content-Type": "application/x-www-form-urlencoded"})
        self.assertEqual(status, 200)

    def test_compressed_request(self):
        self.good("POST", PREDICT, gzip.compress(json.dumps({"instances": [ROW]}).encode()), {
            "Content-Type": "application/json", "Content-Encoding": "gzip"})

    def test_status_and_metadata(self):
        status = self.value("GET", "/v1/models/digits")
        self.assertEqual(status["model_version_status"], [
            {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}])
        self.assertEqual((status["name"], status["ready"]), ("digits", True))
        meta = self.value("GET", "/v1/models/digits/versions/1/metadata")
        self.assertEqual(meta["model_spec"], {"name": "digits", "signature_name": "", "version": "1"})
        image = meta["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"]["image"]
        self.assertEqual((image["dtype"], image["tensor_shape"]["dim"][1]["size"]), ("DT_FLOAT", "64"))
        self.assertEqual(self.s.call("GET", "/v1/models/none")[0], 404)

    # -- metrics --------------------------------------------------------------------------

    SAMPLE = re.compile(r'^[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-z]+="([^"\\\n]|\\.)*",?)*\})? (NaN|[+-]?Inf|[-+.0-9e]+)$')

    def test_metrics_are_well_formed(self):
        self.good("POST", INFER, json.dumps(infer()))
        got, body = self.good("GET", "/metrics")
        self.assertIn("version=0.0.4", got["content-type"])
        typed = set()
        for line in body.decode().splitlines():
            if line.startswith("# TYPE "):
                self.assertNotIn(line.split()[2], typed, "each family once")
                typed.add(line.split()[2])
            elif not line.startswith("# HELP "):
                self.assertRegex(line, self.SAMPLE)
                self.assertTrue(re.sub(r"_(bucket|sum|count)$", "", line.split("{")[0].split(" ")[0]) in typed or
                                line.split("{")[0].split(" ")[0] in typed, line)
        text = body.decode()
        for series in ('signet_requests_total{model="digits",version="1",protocol="rest",code="OK"}',
                       'signet_model_state{model="digits",version="1",state="ready"} 1',
                       'nv_inference_request_success{model="digits",version="1"}', "signet_batch_size_bucket"):
            self.assertIn(series, text)

    def test_openmetrics_when_asked_for(self):
        got, body = self.good("GET", "/metrics", None, {"Accept": "application/openmetrics-text; version=1.0.0"})
        self.assertIn("application/openmetrics-text", got["content-type"])
        self.assertTrue(body.endswith(b"# EOF\n"))
        self.assertIn(b"# TYPE signet_requests counter\n", body)

    def test_unknown_models_are_no_labels(self):
        self.s.post("/v2/models/made-up-name/infer", infer())
        self.assertNotIn(b"made-up-name", self.good("GET", "/metrics")[1])

    def test_metrics_tell_when_the_process_was_started(self):
        def said():
            text = self.good("GET", "/metrics")[1].decode()
            return [float(re.search(rf"(?m)^process_{name} (\S+)$", text)[1])
                    for name in ("start_time_seconds", "max_fds", "open_fds")]
        start, most, now = said()
        self.assertTrue(0 < time.time() - start < 3600)
        self.assertEqual(said()[0], start)  # else whoever counts its changes counts restarts
        self.assertGreater(most, now)

    def test_warm_requests_take_no_memory(self):
        def chunks():
            text = self.good("GET", "/metrics")[1].decode()
            return int(re.search(r"^signet_arena_chunks_total (\d+)$", text, re.M).group(1))

        def work():
            for _ in range(200):
                self.good("POST", INFER, json.dumps(infer()))
                self.good("POST", PREDICT, json.dumps({"instances": [ROW]}))
        # Scraping takes memory of its own; each IO thread warms up by itself, with what comes
        # its way: soon a round takes nothing.
        chunks()
        scrape = -chunks() + chunks()
        taken = []
        for _ in range(6):
            before = chunks()
            work()
            taken.append(chunks() - before - scrape)
        self.assertIn(0, taken[1:])
        self.assertLess(sum(taken[1:]), 10)


def few_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))


class Descriptors(unittest.TestCase):
    def test_running_out_of_them_is_survived(self):
        with Server(models={"digits": ["1"]}, preexec=few_descriptors) as s:
            many = [s.connect() for _ in range(100)]
            time.sleep(0.5)
            for c in many:
                c.close()
            s.wait_ready("/v2/health/live", 10)
            self.assertEqual(s.post(INFER, infer())[0], 200)


class Unix(unittest.TestCase):
    def test_listens_on_a_unix_socket(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "s")
            process = subprocess.Popen([
                signet.SIGNETD, "--model-root",
                EXAMPLES, "--http", "unix:" + path, "--grpc", "off"],
                stderr=subprocess.DEVNULL)
            try:
                until = time.monotonic() + 20
                while not os.path.exists(path) and time.monotonic() < until:
                    time.sleep(0.02)
                with socket.socket(socket.AF_UNIX) as s:
                    s.connect(path)
                    s.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n")
                    self.assertEqual(status_of(read_answer(s)), 200)
            finally:
                process.terminate()
                self.assertEqual(process.wait(20), 0)
            self.assertFalse(os.path.exists(path), "the socket goes with the daemon")


if __name__ == "__main__":
    unittest.main()
