# SPDX-License-Identifier: Apache-2.0
"""Versions come and go under load: no request fails, every answer is one version's.

tests/bench/swap_story.py does the same at length and prints figures.
"""
import json
import subprocess

import numpy as np
import pytest
from signet_server import Server

CYCLES = 3


@pytest.fixture
def references(signetctl, digits, tmp_path):
    """An image on which the versions are far apart, and what each says of it."""
    np.save(tmp_path / "x.npy", np.random.default_rng(5).random((1, 64), np.float32))
    answers = {}
    for version in "12":
        answers[version] = tmp_path / f"y{version}.npy"
        signetctl("run", digits / version / "model.onnx", "--input", f"image={tmp_path}/x.npy",
                  "--output", f"probabilities={answers[version]}")
    assert abs(np.load(answers["1"]) - np.load(answers["2"])).max() > 0.05
    return tmp_path / "x.npy", answers


def test_no_request_fails_and_every_answer_is_one_versions(build, digits, references):
    x, answers = references
    broken = (digits / "1" / "model.onnx").read_bytes()[:100000]
    with Server() as server:
        # Longer than the swaps take; it ends with the server's versions settled.
        bench = subprocess.Popen(
            [f"{build}/signet-bench", "--url", server.url, "--model", "digits", "--rate", "200", "--duration",
             "8", "--json", "--input", f"image={x}", "--check", f"probabilities={answers['1']}",
             "--check", f"probabilities={answers['2']}"], stdout=subprocess.PIPE, text=True)
        for _ in range(CYCLES):
            server.add("digits", "2")
            server.wait_state("2", "AVAILABLE")
            server.add("digits", "3", data=broken)
            server.wait_state("3", "END")
            assert server.states()["2"] == "AVAILABLE"
            server.remove("digits", "3")
            server.remove("digits", "2")
            server.wait_state("1", "AVAILABLE")
            server.wait_state("2", "END", None)
        still_running = bench.poll() is None
        report = json.loads(bench.communicate(timeout=60)[0])
    assert still_running, "the load ended before the swaps did"
    assert report["errors"] == 0, report
    assert report["requests"] > 1000
    assert min(report["check"]["equal"]) > 0, "both versions answered"
    assert sum(report["check"]["equal"]) == report["requests"]


def test_a_wrong_answer_would_be_seen(build, references):
    x, answers = references
    with Server() as server:
        r = subprocess.run(
            [f"{build}/signet-bench", "--url", server.url, "--model", "digits", "--concurrency", "1",
             "--duration", "0.2", "--json", "--input", f"image={x}", "--check",
             f"probabilities={answers['2']}"], stdout=subprocess.PIPE, text=True)
    report = json.loads(r.stdout)
    assert r.returncode == 1
    assert report["check"]["none"] == report["requests"] == report["errors"] > 0
