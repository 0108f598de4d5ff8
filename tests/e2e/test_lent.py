# SPDX-License-Identifier: Apache-2.0
"""A native file is served from its own pages until they are copied: whoever truncates it meanwhile
waits for the copy, and no answer changes."""
import json
import os
import pathlib
import shutil
import sys
import threading
import time

import numpy as np
import pytest

import signet
from signet_server import Server

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from onnx_graph import Graph  # noqa: E402 (beside this folder)

WIDTH = 1600  # 10 MB of weights a layer
PATIENCE_S = 3 * signet.PATIENCE_S


@pytest.fixture
def native(signetctl, tmp_path):
    """(file, inputs, what the model says to them)"""
    g = Graph("layers")
    x = g.input("x", [1, WIDTH])
    for _ in range(3):
        x = g.node("Relu", [g.linear(x, WIDTH, WIDTH)])
    g.output(x, [1, WIDTH])
    g.save(tmp_path / "model.onnx")
    signetctl("compile", tmp_path / "model.onnx", "-o", tmp_path / "model.signet")
    np.save(tmp_path / "x.npy", np.linspace(-1, 1, WIDTH, dtype=np.float32)[None])
    signetctl("run", tmp_path / "model.onnx", "--input", f"x={tmp_path / 'x.npy'}",
              "--output", f"output={tmp_path / 'output.npy'}")
    return tmp_path / "model.signet", np.load(tmp_path / "x.npy"), np.load(tmp_path / "output.npy")


def is_lent(server, file):
    return str(file) in pathlib.Path(f"/proc/{server.pid}/maps").read_text()


def has_lease(server):
    return any(" LEASE " in line and f" {server.pid} " in line
               for line in pathlib.Path("/proc/locks").read_text().splitlines())


def put(file, root, version):
    partial = root.parent / "partial"
    partial.mkdir()
    shutil.copy(file, partial / "model.signet")
    (root / "layers").mkdir(parents=True, exist_ok=True)
    os.rename(partial, root / "layers" / str(version))
    return root / "layers" / str(version) / "model.signet"


def wait_lent(server, file, version):
    """False: it is served, and it never was."""
    until = time.monotonic() + PATIENCE_S
    while not is_lent(server, file):
        if server.states("layers").get(str(version)) == "AVAILABLE" and not is_lent(server, file):
            return False
        assert time.monotonic() < until, "\n".join(server.log)
    return True


def answer(server, x):
    status, _, body = server.post("/v1/models/layers:predict", {"inputs": x.tolist()})
    assert status == 200, body
    return np.array(json.loads(body)["outputs"])


def test_what_is_settled_leaves_the_file_alone(native, tmp_path):
    file, x, want = native
    root = tmp_path / "models"
    served = put(file, root, 1)
    with Server(root=str(root)) as server:
        np.testing.assert_allclose(answer(server, x), want, rtol=1e-3, atol=1e-4)
        signet.wait_until(lambda: not is_lent(server, served) and not has_lease(server),
                          "its own memory", PATIENCE_S)
        os.truncate(served, 0)
        np.testing.assert_allclose(answer(server, x), want, rtol=1e-3, atol=1e-4)


def test_who_truncates_a_file_while_it_is_loaded_waits_and_harms_nothing(native, tmp_path):
    file, x, want = native
    root = tmp_path / "models"
    put(file, root, 1)
    with Server(root=str(root)) as server:
        for version in range(2, 6):
            served = put(file, root, version)
            if not wait_lent(server, served, version):
                pytest.skip("files are not lent here: their file system, owner or the limit of locked memory")
            truncating = threading.Thread(target=os.truncate, args=(served, 0))
            truncating.start()
            while truncating.is_alive():
                np.testing.assert_allclose(answer(server, x), want, rtol=1e-3, atol=1e-4)
            assert not is_lent(server, served)
            # END: the truncation was seen before the load was over, the version before goes on.
            server.wait_state(str(version), "AVAILABLE", "END", model="layers", timeout=PATIENCE_S)
            np.testing.assert_allclose(answer(server, x), want, rtol=1e-3, atol=1e-4)
