# SPDX-License-Identifier: Apache-2.0
"""Kernels that are generated for a model: a start compiles what no start before it did, and where
there is no compiler the log and explain say so and answers are the same.

The device and the compiler are stand-ins (tests/gpu).
"""
import json
import os
import subprocess

import numpy as np
import pytest
from onnx import TensorProto, helper

from signet_server import Server
from stand_ins import BUILD, needs_module, stand_ins  # noqa: F401 (a fixture)

ROWS = np.random.default_rng(5).uniform(-4, 4, (3, 8)).astype(np.float32)


def gate():
    """x * sigmoid(x + 1)"""
    nodes = [helper.make_node("Add", ["x", "one"], ["a"]), helper.make_node("Sigmoid", ["a"], ["s"]),
             helper.make_node("Mul", ["x", "s"], ["y"])]
    shape = ["batch", 8]
    graph = helper.make_graph(nodes, "gate", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
                              [helper.make_tensor("one", TensorProto.FLOAT, [], [1.0])])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


@pytest.fixture
def models(tmp_path):
    folder = tmp_path / "models" / "gate" / "1"
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(gate())
    return tmp_path / "models"


def serve(models, env, **options):
    s = Server(root=str(models), args=["--device", "gpu"], options=options, env=env)
    s.wait_state("1", "AVAILABLE", model="gate")
    return s


def expect_answers(s):
    status, _, body = s.post("/v2/models/gate/infer", {"inputs": [
        {"name": "x", "datatype": "FP32", "shape": [3, 8], "data": ROWS.ravel().tolist()}]})
    assert status == 200, body
    got = np.array(json.loads(body)["outputs"][0]["data"], np.float32).reshape(3, 8)
    np.testing.assert_allclose(got, ROWS / (1 + np.exp(-1 - ROWS)), rtol=1e-5)


def compiled(log):
    """Since the last time; the device's trial is one."""
    count = len(log.read_text().splitlines())
    log.unlink()
    return count


@needs_module
def test_the_second_start_compiles_nothing(stand_ins, models, tmp_path):
    log, state = tmp_path / "log", tmp_path / "state"
    state.mkdir()
    env = {**stand_ins, "STAND_IN_NVRTC_LOG": str(log)}
    for want in (2, 1):
        with serve(models, env, **{"server.state_dir": state}) as s:
            expect_answers(s)
        assert compiled(log) == want
    kept, = (state / "compiled").iterdir()
    kept.write_bytes(kept.read_bytes()[:-1])
    for want in (2, 1):
        with serve(models, env, **{"server.state_dir": state}) as s:
            expect_answers(s)
        assert compiled(log) == want


@needs_module
def test_without_a_compiler_it_is_said_and_answers_are_the_same(stand_ins, models):
    with serve(models, {**stand_ins, "STAND_IN_NVRTC": "broken"}) as s:
        expect_answers(s)
    said = [line for line in s.log if "elementwise operators run one by one: NVRTC: " in line]
    assert len(said) == 1 and "device gpu:0" in said[0], s.log


@needs_module
@pytest.mark.parametrize("how, want", [("", "FusedElementwise(Add,Sigmoid,Mul)  fused_"),
                                       ("broken", "gpu: elementwise operators run one by one: NVRTC: ")])
def test_explain_shows_the_kernel_or_why_there_is_none(stand_ins, models, how, want):
    path = models / "gate" / "1" / "model.onnx"
    r = subprocess.run([os.path.join(BUILD, "signetctl"), "explain", "--device", "gpu", path], text=True, timeout=120,
                       env={**os.environ, **stand_ins, "STAND_IN_NVRTC": how}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert r.returncode == 0 and want in r.stdout, r.stdout
