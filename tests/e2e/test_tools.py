# SPDX-License-Identifier: Apache-2.0
"""signetctl without a server: run, explain, validate, test."""
import json
import re
import shutil
import socket
import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from signet_server import Server


@pytest.fixture
def image(tree, tmp_path):
    request = json.loads((tree / "examples" / "digits" / "7.json").read_text())
    np.save(tmp_path / "image.npy", np.array([request["instances"][0]["image"]], np.float32))
    return tmp_path / "image.npy"


def write_model(path, nodes, inputs, outputs, initializers=()):
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(initializers))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def value(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


@pytest.mark.parametrize("version", [1, 2])
def test_run_writes_npy_and_pb_alike(signetctl, digits, image, tmp_path, version):
    signetctl("run", digits / str(version) / "model.onnx", "--input", f"image={image}",
              "--output", f"probabilities={tmp_path}/p.npy", "--output", f"label={tmp_path}/l.pb")
    assert np.load(tmp_path / "p.npy").argmax() == 7
    label = onnx.load_tensor(str(tmp_path / "l.pb"))
    assert label.name == "label"
    assert numpy_helper.to_array(label).tolist() == [7]


def test_run_reads_pb(signetctl, digits, image, tmp_path):
    onnx.save_tensor(numpy_helper.from_array(np.load(image), "image"), str(tmp_path / "i.pb"))
    out = signetctl("run", digits / "1" / "model.onnx", "--input", f"image={tmp_path}/i.pb")
    assert "label: int64[1] = [7]" in out


def test_a_name_ends_at_the_last_equals_sign(signetctl, tmp_path):
    model = write_model(tmp_path / "m.onnx", [helper.make_node("Neg", ["a=b:0"], ["c=d"])],
                        [value("a=b:0", [2])], [value("c=d", [2])])
    np.save(tmp_path / "x.npy", np.array([1, -2], np.float32))
    signetctl("run", model, "--input", f"a=b:0={tmp_path}/x.npy", "--output", f"c=d={tmp_path}/y.npy")
    assert np.load(tmp_path / "y.npy").tolist() == [-1, 2]


@pytest.mark.parametrize("kind, values", [
    (np.float16, [0.5, -0.0, 65504]), (np.float64, [1e300, 0.1, -1]), (np.int8, [-128, 0, 127]),
    (np.uint64, [2**64 - 1, 0, 1]), (np.bool_, [True, False, True])])
def test_types_go_through_files_unchanged(signetctl, tmp_path, kind, values):
    x = np.array(values, kind)
    model = write_model(
        tmp_path / "m.onnx", [helper.make_node("Identity", ["x"], ["y"])],
        [value("x", [3], helper.np_dtype_to_tensor_dtype(x.dtype))],
        [value("y", [3], helper.np_dtype_to_tensor_dtype(x.dtype))])
    np.save(tmp_path / "x.npy", x)
    for end in "npy", "pb":
        signetctl("run", model, "--input", f"x={tmp_path}/x.npy", "--output", f"y={tmp_path}/y.{end}")
    assert np.load(tmp_path / "y.npy").tobytes() == x.tobytes()
    assert numpy_helper.to_array(onnx.load_tensor(str(tmp_path / "y.pb"))).tobytes() == x.tobytes()


def test_run_measures(signetctl, digits):
    got = json.loads(signetctl("run", digits / "1" / "model.onnx", "--repeat", "20", "--threads", "1",
                               "--json"))
    assert set(got) == {"load_ms", "first_us", "median_us", "min_us", "peak_rss_bytes"}
    assert 0 < got["min_us"] <= got["median_us"]
    assert got["peak_rss_bytes"] > 1 << 20


@pytest.mark.parametrize("args, words", [
    (["--input", "nothing=x.npy"], "'nothing' is not one of the model's"),
    (["--output", "nothing=x.npy"], "'nothing' is not one of the model's"),
    (["--input", "image=/nonexistent.npy"], "/nonexistent.npy"),
    (["--shape", "image=1,63"], "image"),
    (["--output", "label=/tmp/x.txt"], ".npy or .pb"),
])
def test_run_says_what_is_wrong(signetctl, digits, args, words):
    status, _, err = signetctl("run", digits / "1" / "model.onnx", *args, check=False)
    assert status == 1
    assert words in err


@pytest.mark.parametrize("args", [[], ["nothing"], ["run"], ["run", "a", "b"], ["run", "--nothing", "a"],
                                  ["run", "a", "--repeat", "x"], ["--nothing"]])
def test_wrong_usage_has_status_2(signetctl, args):
    status, out, err = signetctl(*args, check=False)
    assert status == 2
    assert "usage" in err or "signetctl run:" in err or "Try signetctl --help" in err
    assert not out


@pytest.mark.parametrize("args, words", [
    (["modles"], "'modles' is no command; did you mean 'models'?"),
    (["run", "--repaet", "3"], "--repaet: no such option; did you mean '--repeat'?"),
])
def test_slips_are_understood(signetctl, args, words):
    assert words in signetctl(*args, check=False)[2]


def test_help_and_version(signetctl, build):
    assert signetctl("help") == signetctl("--help")
    assert signetctl("-h") == signetctl("--help")
    assert signetctl("help", "run") == signetctl("run", "--help") == signetctl("run", "-h")
    version = subprocess.run([f"{build}/signetd", "--version"], capture_output=True, text=True).stdout.split()[1]
    assert signetctl("--version") == f"signetctl {version}\n"
    bench = subprocess.run([f"{build}/signet-bench", "--version"], capture_output=True, text=True)
    assert bench.stdout == f"signet-bench {version}\n"


def test_explain_shows_passes_steps_and_memory(signetctl, digits):
    out = signetctl("explain", digits / "2" / "model.onnx")
    assert re.search(r"^pass fuse-conv +\d+ -> \d+ nodes$", out, re.M)
    assert re.search(r"^in +image +float32\[batch,64\]$", out, re.M)
    assert re.search(r"^\d+ +FusedConv .*cpu", out, re.M)
    assert re.search(r"^memory: \d+ bytes of weights", out, re.M)


def test_explain_dumps_the_graph_after_a_pass(signetctl, digits):
    before = signetctl("explain", digits / "1" / "model.onnx", "--dump-after", "read")
    assert re.search(r"^gemm_1:float32\[batch,256\] = Gemm\(div_0, w_1, b_1\)", before, re.M)
    after = signetctl("explain", digits / "1" / "model.onnx", "--dump-after=fuse-matmul")
    assert "= FusedMatMul(" in after
    status, _, err = signetctl("explain", digits / "1" / "model.onnx", "--dump-after=x", check=False)
    assert status == 1 and "fuse-matmul" in err


def test_a_compiled_model_runs_and_is_served(signetctl, digits, image, tmp_path):
    native = tmp_path / "models" / "digits" / "1" / "model.signet"
    native.parent.mkdir(parents=True)
    assert re.search(r"\d+ bytes, \d+ of them packed weights",
                     signetctl("compile", digits / "2" / "model.onnx", "-o", native))
    signetctl("run", digits / "2" / "model.onnx", "--input", f"image={image}",
              "--output", f"probabilities={tmp_path / 'want.npy'}")
    signetctl("run", native, "--input", f"image={image}",
              "--output", f"probabilities={tmp_path / 'got.npy'}")
    want = np.load(tmp_path / "want.npy")
    np.testing.assert_allclose(np.load(tmp_path / "got.npy"), want, rtol=1e-4, atol=1e-5)
    with Server(root=str(tmp_path / "models")) as server:
        status, _, body = server.post("/v1/models/digits:predict", {
            "inputs": np.load(image).tolist()})
        assert status == 200, body
        np.testing.assert_allclose(json.loads(body)["outputs"]["probabilities"], want, rtol=1e-4, atol=1e-5)
        assert json.loads(server.call("GET", "/v2/models/digits")[2])["platform"] == "signet_native"


def test_compile_says_what_is_missing(signetctl, digits):
    status, _, err = signetctl("compile", digits / "1" / "model.onnx", check=False)
    assert status == 1 and "-o model.signet" in err


def test_validate_takes_files_versions_and_models(signetctl, digits, tmp_path):
    for path in digits, digits / "1", digits / "1" / "model.onnx":
        out = signetctl("validate", path)
        assert "ok" in out and "batches up to" in out
    bad = tmp_path / "3"
    bad.mkdir()
    (bad / "model.onnx").write_bytes((digits / "1" / "model.onnx").read_bytes()[:1000])
    status, out, err = signetctl("validate", digits, bad, check=False)
    assert status == 1
    assert out.count(": ok") == 2 and "1 of 3" in err


def test_m33_validate_reads_a_models_own_options(signetctl, digits, tmp_path):
    model = tmp_path / "digits"
    shutil.copytree(digits, model)
    (model / "model.conf").write_text("[model]\nmax_batch = 4\n")
    assert "batches up to 4 rows" in signetctl("validate", model)
    (model / "model.conf").write_text("[model]\n[signature raw]\noutputs = nothing\n")
    status, out, _ = signetctl("validate", model, check=False)
    assert status == 1 and "signature 'raw': the graph has no value 'nothing'" in out
    (model / "model.conf").write_text("[model]\nmax_batch = four\n")
    status, out, _ = signetctl("validate", model, check=False)
    assert status == 1
    assert "digits: INVALID_ARGUMENT: model.conf:2: max_batch is 'four', must be: whole number" in out


def test_validate_walks_a_root_to_its_end(signetctl, digits, tmp_path):
    for name in ".git/1", "empty", "wrong", "sound", "zero/0":
        (tmp_path / name).mkdir(parents=True)
    shutil.copytree(digits / "1", tmp_path / "sound" / "1")
    shutil.copytree(digits / "1", tmp_path / "wrong" / "1")
    shutil.copy(digits / "1" / "model.onnx", tmp_path / "zero" / "0")
    (tmp_path / "wrong" / "model.conf").write_text("[model]\nmax_batch = four\n")
    (tmp_path / "README").write_text("no model")
    status, out, err = signetctl("validate", tmp_path, check=False)
    assert status == 1 and "2 of 4" in err
    lines = [line.removeprefix(f"{tmp_path}/") for line in out.splitlines() if not line.startswith("  ")]
    assert [line.split(" ", 2)[:2] for line in lines] == [
        ["empty:", "NOT_FOUND:"], ["sound/1:", "ok,"], ["wrong:", "INVALID_ARGUMENT:"], ["zero/0:", "ok,"]]


def test_import_makes_a_configuration_of_a_triton_repository(signetctl, build, digits, tmp_path):
    for name, options in ("a", "max_batch_size: 8\nversion_policy { all {} }"), ("b", 'name: "b"\nmax_batch_size: 0'):
        shutil.copytree(digits, tmp_path / name)
        (tmp_path / name / "config.pbtxt").write_text(options + "\nsequence_batching {}\n")
    text = signetctl("import", tmp_path / "a" / "config.pbtxt", tmp_path / "b" / "config.pbtxt")
    assert text.count("# sequence_batching: sequences of requests are not served") == 2
    (tmp_path / "signetd.conf").write_text(text)
    options = {"max_batch_size": 8}, {"max_batch_size": 0}
    with Server(root=str(tmp_path), args=["--config", str(tmp_path / "signetd.conf")]) as server:
        for name, wanted in zip("ab", options):
            status, _, body = server.call("GET", f"/v2/models/{name}/config")
            assert status == 200 and json.loads(body).items() >= wanted.items()
        for version in "12":
            server.wait_state(version, "AVAILABLE", model="a")
        assert any("a/config.pbtxt: ignored" in line and "signetctl import" in line for line in server.log)


@pytest.mark.parametrize("text, words", [
    ("name: 'a/b'", "signetd.conf:4: [model a/b]: its name must be 1 to 128 of"),
    ("name: 'a'\nmax_batch_size: many", "config.pbtxt: line 2: max_batch_size is 'many', must be: a whole number"),
    ("model: a", "none of its names is known"),
])
def test_import_says_what_is_wrong(signetctl, tmp_path, text, words):
    (tmp_path / "config.pbtxt").write_text(text)
    status, _, err = signetctl("import", tmp_path / "config.pbtxt", check=False)
    assert status == 1 and words in err


def test_a_server_that_is_not_there_is_named(signetctl):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    status, _, err = signetctl("--server", f"http://{address}", "status", check=False)
    assert status == 1 and f"server '{address}': Connection refused" in err


def write_case(folder, want, sets=1):
    folder.mkdir()
    write_model(folder / "model.onnx", [helper.make_node("Add", ["x", "x"], ["y"])],
                [value("x", [2])], [value("y", [2])])
    for i in range(sets):
        (folder / f"test_data_set_{i}").mkdir()
        for what, v in ("input_0", [1, 2]), ("output_0", want):
            onnx.save_tensor(numpy_helper.from_array(np.array(v, np.float32)),
                             str(folder / f"test_data_set_{i}" / f"{what}.pb"))
    return folder


def test_test_counts_and_names_the_first_wrong_element(signetctl, tmp_path):
    good = write_case(tmp_path / "good", [2, 4], sets=2)
    bad = write_case(tmp_path / "bad", [2, 5])
    empty = write_case(tmp_path / "empty", [], sets=0)
    status, out, _ = signetctl("test", good, bad, empty, check=False)
    assert status == 1
    lines = out.splitlines()
    assert lines[-1] == "1 passed, 1 failed, 1 skipped"
    (good / "test_data_set_1" / "output_0.pb").unlink()
    assert "1 failed" in signetctl("test", good, check=False)[1], "a file that is missing is no skip"
    assert lines[0] == f"FAIL {bad}: data set 0: output 0 'y': element [1] is 4.0, expected 5.0 (1 of 2 differ)"
    assert signetctl("test", "--atol", "1", bad).splitlines()[-1] == "1 passed, 0 failed, 0 skipped"


def test_test_reads_a_cases_own_tolerance_and_folders_of_cases(signetctl, tmp_path):
    folder = tmp_path / "cases"
    folder.mkdir()
    write_case(folder / "good", [2, 4])
    loose = write_case(folder / "loose", [2, 5])
    (loose / "data.json").write_text('{"rtol": 0.3, "atol": 1e-7}')
    assert signetctl("test", "--verbose", folder).splitlines() == [
        f"ok {folder}/good", f"ok {folder}/loose", "2 passed, 0 failed, 0 skipped"]
