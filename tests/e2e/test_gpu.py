# SPDX-License-Identifier: Apache-2.0
"""Device 'gpu' as its operator sees it: what it says where there is none, what it answers, what
becomes of models and requests when it runs out of memory or fails.

The driver and the libraries are stand-ins (tests/gpu) that run the module's own kernels on the host.
"""
import concurrent.futures
import json
import os
import re
import subprocess
import time

import numpy as np
import pytest
from onnx import TensorProto, helper

from signet import TREE
from signet_server import EXAMPLES, Server
from stand_ins import BUILD, needs_module, stand_ins  # noqa: F401 (a fixture)

IMAGES = np.random.default_rng(3).uniform(0, 16, (6, 64)).astype(np.float32)


def ctl(*args, env=None):
    """(status, what it said)"""
    r = subprocess.run([os.path.join(BUILD, "signetctl"), *args], text=True, env={**os.environ, **(env or {})},
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    return r.returncode, r.stdout


def infer(s, images, model="digits", version=None):
    path = "/v2/models/%s%s/infer" % (model, "/versions/" + version if version else "")
    status, _, body = s.post(path, {"inputs": [
        {"name": "image", "datatype": "FP32", "shape": list(images.shape), "data": images.ravel().tolist()}]})
    if status != 200:
        return status, json.loads(body)["error"]
    out = {o["name"]: o["data"] for o in json.loads(body)["outputs"]}
    return status, np.array(out["probabilities"], np.float32).reshape(len(images), -1)


def probabilities(s, *args, version=None, **kwargs):
    if version:
        s.wait_state(version, "AVAILABLE", timeout=120)  # every size is warmed up, by stand-ins
    status, answer = infer(s, *args, version=version, **kwargs)
    assert status == 200, answer
    return answer


def metric(s, name):
    _, _, body = s.call("GET", "/metrics")
    found = re.search(r"^%s\{[^}]*\} (\S+)$" % name, body.decode(), re.M)
    return float(found.group(1)) if found else None


# -- where there is none ---------------------------------------------------------------------------

DIGITS = os.path.join(EXAMPLES, "digits", "2", "model.onnx")


def test_without_the_module_the_daemon_says_so_and_does_not_start(tmp_path):
    env = {**os.environ, "SIGNET_LIBDIR": str(tmp_path)}
    r = subprocess.run([os.path.join(BUILD, "signetd"), "--model-root", EXAMPLES, "--device", "gpu"], env=env,
                       stderr=subprocess.PIPE, text=True, timeout=60)
    assert r.returncode != 0
    assert "[server] device = gpu: device 'gpu' needs a module that does not load" in r.stderr
    assert "--with-cuda" in r.stderr


def test_with_device_fallback_it_serves_on_the_cpu_and_says_so(tmp_path):
    with Server(options={"server.device": "gpu", "server.device_fallback": "true"},
                env={"SIGNET_LIBDIR": str(tmp_path)}) as s:
        assert infer(s, IMAGES)[0] == 200
        assert any("models run on the CPU, as device_fallback says" in line for line in s.log)


def test_a_model_that_wants_a_gpu_does_not_take_the_others_with_it(tmp_path):
    with Server(models={"digits": ["1"], "other": ["1"]}, options={"model other.device": "gpu"},
                env={"SIGNET_LIBDIR": str(tmp_path)}, wait_ready=False) as s:
        s.wait_state("1", "AVAILABLE")
        s.wait_state("1", "END", model="other")
        status, _, body = s.call("GET", "/v1/models/other")
        assert "needs a module that does not load" in body.decode()


@needs_module
def test_the_daemon_builds_without_cuda_and_links_none_of_it(tmp_path):
    def run(*args):
        return subprocess.run(args, cwd=tmp_path, text=True, check=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=900).stdout
    run(os.path.join(TREE, "configure"), "-q", "--with-cuda=no", "CFLAGS=-O0")
    run("make", "-s", "-j2", "signetd")
    assert "cuda" not in run("ldd", "./signetd")
    assert "cuda" not in run("ldd", os.path.join(BUILD, "signetd"))  # where it was found as well


@needs_module
@pytest.mark.parametrize("env, says", [
    ({"LD_LIBRARY_PATH": "/nowhere"}, "needs the CUDA driver: libcuda.so.1"),
    ({"STAND_IN_DEVICES": "0"}, "the driver sees no GPU"),
    ({"STAND_IN_CAPABILITY": "70"}, "compute capability 7.0; this build has kernels for 8.0 and later"),
])
def test_what_is_missing_is_named(stand_ins, env, says):
    status, text = ctl("run", "--device", "gpu", DIGITS, env={**stand_ins, **env})
    assert status != 0 and says in text


@needs_module
def test_a_device_that_is_not_there_is_counted(stand_ins):
    status, text = ctl("run", "--device", "gpu:3", DIGITS, env={**stand_ins, "STAND_IN_DEVICES": "2"})
    assert status != 0 and "device 'gpu:3': there are 2 GPUs, numbered from 0" in text


# -- what it answers -------------------------------------------------------------------------------

@needs_module
def test_answers_are_the_cpus(stand_ins):
    with Server(models={"digits": ["1", "2"]}, options={"model digits.versions": "all"}) as s:
        want = [probabilities(s, IMAGES, version=v) for v in ("1", "2")]
    with Server(models={"digits": ["1", "2"]}, args=["--device", "gpu"],
                options={"model digits.versions": "all"}, env={**stand_ins, "STAND_IN_STRICT": "1"}) as s:
        for _ in range(5):  # recorded by then
            for version, expected in zip(("1", "2"), want):
                np.testing.assert_allclose(probabilities(s, IMAGES, version=version), expected, atol=1e-5)
        assert metric(s, "signet_device_healthy") == 1
        assert metric(s, "signet_device_memory_used_bytes") > 0


@needs_module
@pytest.mark.parametrize("precision, atol", [("fp16", 5e-3), ("bf16", 5e-2), ("tf32", 5e-3)])
def test_precisions_stay_near(stand_ins, precision, atol):
    with Server(models={"digits": ["2"]}) as s:
        want = probabilities(s, IMAGES)
    with Server(models={"digits": ["2"]}, args=["--device", "gpu"], options={"model digits.precision": precision},
                env=stand_ins) as s:
        np.testing.assert_allclose(probabilities(s, IMAGES), want, atol=atol)


@needs_module
def test_what_splits_a_plan_is_reported(stand_ins, tmp_path):
    """Hardmax has no kernel on the device."""
    value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 8])
    nodes = [helper.make_node("Neg", ["x"], ["a"]), helper.make_node("Hardmax", ["a"], ["b"], name="picks"),
             helper.make_node("Neg", ["b"], ["y"])]
    graph = helper.make_graph(nodes, "g", [value("x")], [value("y")])
    data = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()
    (tmp_path / "model.onnx").write_bytes(data)
    status, text = ctl("explain", "--device", "gpu", str(tmp_path / "model.onnx"), env=stand_ins)
    assert status == 0 and "1 steps run on the CPU and split the plan, which has 4 copies:" in text, text
    assert re.search(r"Hardmax +node 'picks' \(Hardmax\) +the device has no kernel for it$", text, re.M), text
    with Server(models={}, args=["--device", "gpu"], env=stand_ins, wait_ready=False) as s:
        s.add("split", "1", data=data)
        until = time.monotonic() + 30
        while s.call("GET", "/v1/models/split")[0] == 404:
            assert time.monotonic() < until
            time.sleep(0.02)
        s.wait_state("1", "AVAILABLE", model="split")
        assert any("1 of its steps run on the CPU and split its plan, the first Hardmax, node 'picks' (Hardmax): "
                   "the device has no kernel for it" in line for line in s.log), s.log


@needs_module
def test_every_step_of_the_examples_runs_on_the_device(stand_ins):
    for version in ("1", "2"):
        path = os.path.join(EXAMPLES, "digits", version, "model.onnx")
        status, text = ctl("explain", "--device", "gpu", path, env=stand_ins)
        steps = re.findall(r"^\d+ +(\S+) +(\S+) +(cpu|gpu) ", text, re.M)
        assert status == 0 and steps, text
        assert [s for s in steps if s[2] != "gpu"] == [], text


@needs_module
def test_swaps_under_load_fail_no_request_and_give_the_memory_back(stand_ins):
    with Server(models={"digits": ["1"]}, args=["--device", "gpu"], env=stand_ins) as s:
        def ask(_):
            return infer(s, IMAGES[:1])[0]
        used = []
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            for _ in range(6):
                asked = pool.map(ask, range(30))
                s.add("digits", "2")
                s.wait_state("2", "AVAILABLE")
                s.wait_state("1", "END", None)
                s.remove("digits", "2")
                s.wait_state("1", "AVAILABLE")
                assert set(asked) == {200}
                time.sleep(0.1)
                used.append(metric(s, "signet_device_memory_used_bytes"))
        assert max(used[2:]) <= 1.05 * used[1], used


# -- when it fails ---------------------------------------------------------------------------------

@needs_module
def test_m36_a_version_that_does_not_fit_the_device_is_refused_and_the_old_one_serves(stand_ins):
    with Server(models={"digits": ["1"]}, args=["--device", "gpu"],
                env={**stand_ins, "STAND_IN_MEMORY": "2000000"}) as s:
        before = probabilities(s, IMAGES)
        s.add("digits", "2", data=wide_model())
        assert s.wait_state("2", "END") == "END"
        _, _, body = s.call("GET", "/v1/models/digits/versions/2")
        assert re.search(r"gpu:0: \d+ bytes are wanted, \d+ of 2000000 are free", body.decode()), body
        np.testing.assert_array_equal(probabilities(s, IMAGES), before)
        assert s.call("GET", "/v2/health/ready")[0] == 200


def wide_model():
    from onnx import TensorProto, helper, numpy_helper
    w = numpy_helper.from_array(np.ones((64, 20000), np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["image", "w"], ["y"])], "wide",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 20000])], [w])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


@needs_module
@pytest.mark.parametrize("what", ["sync", "launch"])
def test_c16_a_device_that_fails_is_unavailable_unready_and_no_crash(stand_ins, what):
    with Server(models={"digits": ["1"]}, args=["--device", "gpu"],
                env={**stand_ins, "STAND_IN_FAIL": "%s:400" % what}) as s:
        answers = [infer(s, IMAGES[:1]) for _ in range(400)]
        failed = [text for status, text in answers if status != 200]
        assert failed and {status for status, _ in answers} == {200, 503}
        assert "CUDA_ERROR" in failed[0] or "refused the work" in failed[0]
        assert answers[-1][0] == 503  # it does not come back by itself
        assert s.call("GET", "/v2/health/ready")[0] == 503
        assert s.call("GET", "/v2/health/live")[0] == 200
        assert metric(s, "signet_device_healthy") == 0


@needs_module
def test_models_on_two_devices(stand_ins):
    with Server(models={"digits": ["1"], "other": ["1"]}, options={
            "model digits.device": "gpu:0", "model other.device": "gpu:1"},
            env={**stand_ins, "STAND_IN_DEVICES": "2"}) as s:
        s.wait_state("1", "AVAILABLE", model="other")
        np.testing.assert_allclose(probabilities(s, IMAGES), probabilities(s, IMAGES, model="other"), atol=1e-6)
        _, _, body = s.call("GET", "/metrics")
        assert 'signet_device_healthy{device="gpu:1"' in body.decode()
