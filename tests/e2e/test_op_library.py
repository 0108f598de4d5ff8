# SPDX-License-Identifier: Apache-2.0
"""Operators of a library (examples/custom-op): loaded, checked, planned, served; and refused."""
import json
import os
import pathlib
import shutil
import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from signet import BUILD, SIGNETD
from signet_server import Server

GAIN = pathlib.Path(BUILD) / "examples" / "custom-op" / "gain.so"


@pytest.fixture
def model(tmp_path):
    """y = Relu(Gain(x, gain, offset)), a batch of any size."""
    folder = tmp_path / "models" / "gain" / "1"
    folder.mkdir(parents=True)

    def write(x_shape=("n", 3, 4), gain=(1.0, -2.0, 0.5), domain="com.example", opset=1, **attrs):
        nodes = [helper.make_node("Gain", ["x", "gain"], ["z"], name="louder", domain=domain, **attrs),
                 helper.make_node("Relu", ["z"], ["y"])]
        graph = helper.make_graph(
            nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, x_shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, x_shape)],
            [numpy_helper.from_array(np.array(gain, np.float32), "gain")])
        imports = [helper.make_opsetid("", 17), helper.make_opsetid(domain, opset)]
        onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=8), folder / "model.onnx")
        return folder / "model.onnx"
    return write


def write_case(path, x, y):
    data = path.parent / "test_data_set_0"
    data.mkdir(exist_ok=True)
    (data / "input_0.pb").write_bytes(numpy_helper.from_array(x).SerializeToString())
    (data / "output_0.pb").write_bytes(numpy_helper.from_array(y).SerializeToString())
    return path.parent


@pytest.mark.parametrize("threads", [1, 4])
def test_a_case_of_it_passes_whole_and_split(signetctl, model, threads):
    x = np.random.default_rng(1).normal(size=(64, 3, 500)).astype(np.float32)
    gain = np.array([1, -2, 0.5], np.float32)
    y = np.maximum(x * gain[:, None] + np.float32(0.25), 0)
    case = write_case(model(x_shape=("n", 3, 500), offset=0.25), x, y)
    signetctl("test", "--op-library", GAIN, "--threads", threads, case)


def test_explain_shows_its_step_and_compile_keeps_it(signetctl, model, tmp_path):
    path = model()
    assert "Gain" in signetctl("explain", "--op-library", GAIN, path)
    signetctl("compile", "--op-library", GAIN, path, "-o", tmp_path / "gain.signet")
    assert "Gain" in signetctl("explain", "--op-library", GAIN, tmp_path / "gain.signet")


def test_without_the_library_the_node_is_named(signetctl, model):
    status, _, err = signetctl("run", model(), check=False)
    assert status != 0
    assert "node 'louder' (Gain): domain 'com.example' of opset 1 has no operator that is supported" in err


@pytest.mark.parametrize("wrong, message", [
    (dict(gain=(1.0, 2.0)), "node 'louder' (Gain): X has 3 channels, gain 2"),
    (dict(x_shape=("n",)), "node 'louder' (Gain): X has rank 1, it must have a batch and channels"),
    (dict(loudness=2), "node 'louder' (Gain): Gain has no attribute 'loudness'"),
    (dict(offset=2), "node 'louder' (Gain): attribute 'offset' is of the wrong type"),
])
def test_what_it_refuses_names_the_node(signetctl, model, wrong, message):
    status, _, err = signetctl("run", "--op-library", GAIN, model(**wrong), check=False)
    assert status != 0
    assert message in err


def test_the_daemon_serves_it(model):
    root = model(offset=1.0).parent.parent.parent
    with Server(root=str(root), args=["--op-library", str(GAIN)]) as s:
        status, _, body = s.post("/v1/models/gain:predict", {"instances": np.ones((2, 3, 4)).tolist()})
    assert status == 200
    assert np.allclose(json.loads(body)["predictions"], np.broadcast_to([[2], [0], [1.5]], (2, 3, 4)))


def start(*args):
    r = subprocess.run([SIGNETD, "--check-config", "--model-root", "/tmp", *map(str, args)], text=True, capture_output=True, timeout=30)
    return r.returncode, r.stderr


def test_the_file_may_name_it(tmp_path):
    conf = tmp_path / "signetd.conf"
    conf.write_text(f"[server]\nop_libraries = {GAIN}\n")
    assert start("--config", conf) == (0, "")


def build(tmp_path, text):
    source, library = tmp_path / "wrong.c", tmp_path / "wrong.so"
    source.write_text(text)
    include = pathlib.Path(__file__).resolve().parents[2] / "include"
    subprocess.run([os.environ.get("CC", "cc").split()[-1], "-shared", "-fPIC", f"-I{include}", "-o", library, source], check=True)
    library.chmod(0o755)
    return library


HEAD = "#include <signet/op.h>\n"
TABLE = """static const struct signet_op_library l = {{ {abi}, 1, &o }};
const struct signet_op_library *signet_op_library(void) {{ return &l; }}"""


@pytest.mark.parametrize("text, message", [
    ("int x;", "no library of operators, it has no signet_op_library()"),
    (HEAD + "static const struct signet_op o; " + TABLE.format(abi=99), "built for version 99 of signet/op.h, this is version 1"),
    (HEAD + "static const struct signet_op o; " + TABLE.format(abi=1), "an operator has no domain or no name"),
    (HEAD + 'static const struct signet_op o = { .domain = "ai.onnx", .name = "Relu" }; ' + TABLE.format(abi=1),
     "operator Relu of domain 'ai.onnx': its domain is not for libraries"),
    (HEAD + 'static const struct signet_op o = { .domain = "d", .name = "N", .in_max = 40 }; ' + TABLE.format(abi=1),
     "operator N of domain 'd': its inputs are not from 0 to 32, least before most"),
    (HEAD + 'static const struct signet_op o = { .domain = "d", .name = "N", .out_min = 1, .out_max = 1 }; ' + TABLE.format(abi=1),
     "operator N of domain 'd': it has no infer or no prepare"),
])
def test_a_library_that_is_none_stops_the_start(tmp_path, text, message):
    status, err = start("--op-library", build(tmp_path, text))
    assert status == 78
    assert f"wrong.so: {message}" in err


def test_a_library_that_others_may_write_stops_the_start(tmp_path):
    library = tmp_path / "gain.so"
    shutil.copy(GAIN, library)
    library.chmod(0o775)
    status, err = start("--op-library", library)
    assert status == 78
    assert "gain.so: its group or anyone may write it (mode 0775)" in err


def test_it_is_not_loaded_twice_and_must_be_there(tmp_path):
    assert "there is one already" in start("--op-library", GAIN, "--op-library", GAIN)[1]
    assert "no.so: No such file" in start("--op-library", tmp_path / "no.so")[1]


def test_list_ops_has_it():
    r = subprocess.run([SIGNETD, "--op-library", GAIN, "--list-ops"], text=True, capture_output=True, check=True)
    assert any(line.split()[:2] == ["com.example", "Gain"] for line in r.stdout.splitlines())
