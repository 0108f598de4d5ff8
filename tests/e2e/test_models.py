# SPDX-License-Identifier: Apache-2.0
"""Real models: every case of a folder of models gives its reference's answer.

SIGNET_MODELS names the folder (default: ../shared/models beside the tree): per model a
model.onnx, a cases.json and the raw little-endian tensors that it names. On the CPU, and on a GPU that
the stand-ins of tests/gpu play.
"""
import json
import os
import pathlib
import re

import numpy as np
import pytest

from stand_ins import needs_module, stand_ins  # noqa: F401 (a fixture)

TREE = pathlib.Path(__file__).resolve().parents[2]
MODELS = pathlib.Path(os.environ.get("SIGNET_MODELS", TREE.parent / "shared" / "models"))
RTOL, ATOL = 1e-3, 1e-5


def cases():
    found = []
    for path in sorted(MODELS.glob("*/cases.json")):
        for i, case in enumerate(json.loads(path.read_text())["cases"]):
            found.append(pytest.param(path.parent, case, id=f"{path.parent.name}-{i}"))
    return found or [pytest.param(None, None, id="none")]


def tensor(folder, row):
    return np.fromfile(folder / row["file"], row["type"]).reshape(row["dims"])


def run_case(folder, case, signetctl, tmp_path, *more, **options):
    if folder is None:
        pytest.skip("no folder of models: set SIGNET_MODELS")
    args = []
    for i, row in enumerate(case["inputs"]):
        np.save(tmp_path / f"in{i}.npy", tensor(folder, row))
        args += ["--input", f"{row['name']}={tmp_path}/in{i}.npy"]
    for i, row in enumerate(case["outputs"]):
        args += ["--output", f"{row['name']}={tmp_path}/out{i}.npy"]
    signetctl("run", folder / "model.onnx", *args, *more, **options)
    for i, row in enumerate(case["outputs"]):
        np.testing.assert_allclose(np.load(tmp_path / f"out{i}.npy"), tensor(folder, row), RTOL, ATOL,
                                   err_msg=row["name"])


@pytest.mark.parametrize("folder, case", cases())
def test_gives_the_reference_answer(folder, case, signetctl, tmp_path):
    run_case(folder, case, signetctl, tmp_path)


@needs_module
@pytest.mark.parametrize("folder, case", cases())
def test_gives_the_reference_answer_on_a_gpu(folder, case, signetctl, tmp_path, stand_ins):
    run_case(folder, case, signetctl, tmp_path, "--device", "gpu", env={**os.environ, **stand_ins})


@needs_module
@pytest.mark.parametrize("folder, case", cases())
def test_no_step_falls_back_to_the_cpu(folder, case, signetctl, stand_ins):
    if folder is None:
        pytest.skip("no folder of models: set SIGNET_MODELS")
    shapes = [a for row in case["inputs"]
              for a in ("--shape", row["name"] + "=" + ",".join(map(str, row["dims"])))]
    text = signetctl("explain", folder / "model.onnx", "--device", "gpu", *shapes,
                     env={**os.environ, **stand_ins})
    steps = re.findall(r"^\d+ +(\S+) +\S+ +(cpu|gpu) ", text, re.M)
    assert len(steps) > 10 and [op for op, on in steps if on == "cpu"] == []
