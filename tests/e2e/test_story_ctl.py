# SPDX-License-Identifier: Apache-2.0
"""A server seen through signetctl, and put under load by signet-bench."""
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from signet_server import Server

# What signet-bench speaks, and the status of an answer that is well.
PROTOCOLS = {"v1": "200", "v2": "200", "v2-binary": "200", "grpc-v2": "0", "grpc-tfs": "0"}


def bench(build, server, protocol, *args):
    url = server.grpc_url if protocol.startswith("grpc") else server.url
    return subprocess.run([f"{build}/signet-bench", "--url", url, "--model", "digits", "--protocol", protocol,
                           "--json", *args], stdout=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def server():
    with Server(models={"digits": ["1", "2"]}, options={"repository.explicit": "false"}, grpc=True) as s:
        yield s


@pytest.fixture
def ctl(server, signetctl):
    return lambda *args, **options: signetctl("--server", server.url, *args, **options)


def test_status_and_models(ctl):
    assert re.search(r": ready, 1 of 1 versions ready, 1 left aside$", ctl("status"), re.M)
    assert re.search(r"^digits +2 +READY$", ctl("models"), re.M)


def test_status_names_what_should_be_ready_and_is_not(signetctl):
    with Server(models={"digits": ["1"]}) as s:
        s.add("broken", "1", data=b"no model")
        s.wait_state("1", "END", model="broken")
        out = signetctl("--server", s.url, "status")
    assert ": ready, 1 of 2 versions ready\n" in out
    assert re.search(r"^broken +1 +UNAVAILABLE +\S", out, re.M)
    assert "digits" not in out


def test_the_server_may_come_from_the_environment(server, signetctl):
    out = signetctl("models", env={**os.environ, "SIGNET_SERVER": server.url})
    assert "digits" in out


def test_the_server_may_stand_behind_the_command(server, signetctl):
    for words in ["--server", server.url], ["--server=" + server.url]:
        assert "digits" in signetctl("models", *words, env={**os.environ, "SIGNET_SERVER": "unix:/nowhere"})


def test_show_lists_signatures_with_types_and_shapes(ctl):
    out = ctl("show", "digits")
    assert re.search(r"^serving_default +in +image +float32 +\[batch,64\]$", out, re.M)
    assert re.search(r"^serving_default +out +label +int64 +\[batch\]$", out, re.M)


def test_predict_takes_a_request_npy_and_json(ctl, tree, tmp_path):
    request = tree / "examples" / "digits" / "8.json"
    assert json.loads(ctl("predict", "digits", request))["predictions"][0]["label"] == 8
    image = [json.loads(request.read_text())["instances"][0]["image"]]
    np.save(tmp_path / "x.npy", np.array(image, np.float32))
    for given in tmp_path / "x.npy", json.dumps(image):
        assert "label: int64[1] = [8]" in ctl("predict", "digits", "--input", f"image={given}")
    ctl("predict", "digits", "--version", "2", "--input", f"image={tmp_path}/x.npy", "--output",
        f"probabilities={tmp_path}/p.npy")
    assert np.load(tmp_path / "p.npy").argmax() == 8


@pytest.mark.parametrize("args, words", [
    (["predict", "digits"], "input 'image' (float32[?,64]) is missing"),
    (["predict", "digits", "--input", "image=[[1, 2]]"], "signature says 64"),
    (["predict", "digits", "--input", "picture=1"], "'picture' is not one of the model's, which are: image"),
    (["predict", "digits", "--version", "1", "--output", "p=x.npy"], "404"),
    (["predict", "nothing", "--input", "x=1"], "404"),
    (["predict", "digits", "--input", "image=[[1, 2], [3]]"], "fewer values"),
    (["show", "nothing"], "no model 'nothing'"),
])
def test_errors_say_what_the_server_says(ctl, args, words):
    status, _, err = ctl(*args, check=False)
    assert status == 1
    assert words in err


def test_nobody_there(signetctl):
    status, _, err = signetctl("--server", "http://127.0.0.1:1", "status", check=False)
    assert status == 1
    assert "Connection refused" in err


@pytest.mark.parametrize("url, words", [
    ("https://127.0.0.1:1", "Connection refused"),
    ("grpc://127.0.0.1:1", "HTTP is asked for: http://HOST:PORT"),
    ("grpcs://127.0.0.1:1", "HTTP is asked for: http://HOST:PORT"),
    ("unix:/nowhere", "/nowhere: No such file"),
])
def test_a_wrong_url_is_told_apart(signetctl, url, words):
    status, _, err = signetctl("--server", url, "status", check=False)
    assert status == 1
    assert words in err
    assert signetctl("status", "--server", check=False)[::2] == (
        2, "signetctl: --server: URL is missing\nTry signetctl --help.\n")


def test_the_other_protocol_s_port_is_told(build, server, signetctl):
    status, _, err = signetctl("--server", server.grpc_url.replace("grpc", "http"), "status", check=False)
    assert (status, "is it the port of gRPC" in err) == (1, True), err
    for url, protocol, words in ((server.url, "grpc-v2", "gRPC is asked for: grpc://HOST:PORT"),
                                 (server.url.replace("http://", ""), "grpc-v2", "nobody there speaks gRPC"),
                                 (server.grpc_url, "v2", "HTTP is asked for: http://HOST:PORT")):
        r = subprocess.run([f"{build}/signet-bench", "--url", url, "--model", "digits", "--protocol", protocol],
                           capture_output=True, text=True)
        assert (r.returncode, words in r.stderr) == (1, True), r.stderr


def test_bench_of_no_connection_is_wrong_usage(build, server):
    r = subprocess.run([f"{build}/signet-bench", "--url", server.url, "--model", "digits", "--concurrency", "0"],
                       capture_output=True, text=True)
    assert (r.returncode, "1 to 100000" in r.stderr) == (2, True), r.stderr


def test_load_and_unload(signetctl):
    options = {"repository.explicit": "true", "http.allow_admin": "true"}
    with Server(options=options, wait_ready=False) as server:
        def ctl(*args, **more):
            return signetctl("--server", server.url, *args, **more)
        assert re.search(r"^digits +1 +READY$", ctl("load", "digits"), re.M)
        assert "label" in ctl("predict", "digits", "--input", f"image={[[0] * 64]}")
        assert ctl("unload", "digits") == "model 'digits' is unloaded\n"
        status, _, _ = ctl("predict", "digits", "--input", f"image={[[0] * 64]}", check=False)
        assert status == 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("loop", [["--concurrency", "4"], ["--rate", "300"],
                                  ["--rate", "300", "--arrivals", "uniform"]])
def test_bench_counts_what_it_sent(build, server, protocol, loop):
    before = served(server)
    r = bench(build, server, protocol, "--duration", "0.5", *loop)
    report = json.loads(r.stdout)
    # 3: a busy machine made the generator late, which is no fault of the protocol.
    assert r.returncode in (0, 3)
    assert report["errors"] == 0
    assert report["requests"] == report["by_status"][PROTOCOLS[protocol]] > 50
    assert served(server) - before == report["requests"]
    assert report["p50_us"] <= report["p99_us"] <= report["max_us"]


@pytest.fixture
def references(signetctl, digits, tmp_path):
    """An image on which the versions are far apart, and what each says of it."""
    np.save(tmp_path / "x.npy", np.random.default_rng(5).random((1, 64), np.float32))
    for version in "12":
        signetctl("run", digits / version / "model.onnx", "--input", f"image={tmp_path}/x.npy",
                  "--output", f"probabilities={tmp_path}/{version}.npy")
    assert abs(np.load(tmp_path / "1.npy") - np.load(tmp_path / "2.npy")).max() > 0.05
    return tmp_path


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("files, equal, status", [(["1", "2"], [0, 1], 0), (["1"], [0], 1)])
def test_bench_counts_whose_answer_it_was(build, server, references, protocol, files, equal, status):
    args = [a for f in files for a in ("--check", f"probabilities={references}/{f}.npy")]
    r = bench(build, server, protocol, "--duration", "0.2", "--input", f"image={references}/x.npy", *args)
    report = json.loads(r.stdout)
    n = report["requests"]
    assert r.returncode == status
    assert report["check"]["equal"] == [share * n for share in equal]
    assert report["check"]["none"] == report["errors"] == (n if status else 0)
    assert n > 10


@pytest.mark.parametrize("protocol", ["v2-binary", "grpc-v2", "grpc-tfs"])
def test_versions_are_swapped_under_load(build, tree, digits, protocol):
    """A short round of the bench, which fails for a request that fails, and for an answer that is
    no version's."""
    subprocess.run([sys.executable, tree / "tests" / "bench" / "swap_story.py", "--build", build, "--examples",
                    digits, "--protocol", protocol, "--cycles", "2", "--rate", "200", "--seconds", "2"],
                   check=True, timeout=120)


def served(server):
    status, _, body = server.call("GET", "/v2/models/digits/stats")
    assert status == 200
    return sum(int(m["inference_stats"]["success"]["count"]) for m in json.loads(body)["model_stats"])
