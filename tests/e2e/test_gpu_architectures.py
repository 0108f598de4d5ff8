# SPDX-License-Identifier: Apache-2.0
"""The architectures that people serve (architectures.py), on the device: its answers are the
CPU's, these are ONNX Runtime's, and no step is left to the CPU.

The device is the stand-in of tests/gpu.
"""
import os
import pathlib
import re
import sys

import numpy as np
import onnxruntime
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from architectures import ARCHITECTURES  # noqa: E402
from stand_ins import needs_module, stand_ins  # noqa: E402,F401 (a fixture)

# How graphs get to 16 bits: floats computed so, or exported so.
MODES = {"f32": (np.float32, "fast", 2e-4), "fp16": (np.float32, "fp16", 2e-2), "half": (np.float16, "fast", 2e-2)}


class Case:
    def __init__(self, name, dtype, folder):
        self.graph = ARCHITECTURES[name](dtype)
        self.path, self.folder = folder / f"{name}.onnx", folder
        self.names = [o.name for o in self.graph.outputs]
        self.graph.save(self.path)
        self.inputs = []
        for i, (name, value) in enumerate(self.graph.feeds.items()):
            np.save(folder / f"in{i}.npy", value)
            self.inputs += ["--input", f"{name}={folder}/in{i}.npy"]

    def run(self, signetctl, *more, **options):
        files = [self.folder / f"out{i}.npy" for i in range(len(self.names))]
        wanted = [a for name, file in zip(self.names, files) for a in ("--output", f"{name}={file}")]
        signetctl("run", self.path, *self.inputs, *wanted, *more, **options)
        return [np.load(file) for file in files]

    def theirs(self):
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(self.path, options, providers=["CPUExecutionProvider"])
        return session.run(self.names, self.graph.feeds)

    def expect_close(self, got, want, part):
        """Within a part of each output's largest value."""
        for name, a, b in zip(self.names, got, want):
            a, b = a.astype(np.float64), b.astype(np.float64)
            np.testing.assert_allclose(a, b, rtol=0, atol=part * np.max(np.abs(b)), err_msg=name)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_cpu_answers_as_onnx_runtime_does(name, signetctl, tmp_path):
    case = Case(name, np.float32, tmp_path)
    case.expect_close(case.run(signetctl), case.theirs(), 1e-4)


@needs_module
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_device_answers_as_the_cpu_does(name, mode, signetctl, tmp_path, stand_ins):
    dtype, precision, part = MODES[mode]
    case = Case(name, dtype, tmp_path)
    want = case.run(signetctl)
    # More than once: by then segments are recorded and replayed.
    got = case.run(signetctl, "--device", "gpu", "--precision", precision, "--repeat", "4", env={**os.environ, **stand_ins})
    case.expect_close(got, want, part)


@needs_module
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_no_step_is_left_to_the_cpu(name, mode, signetctl, tmp_path, stand_ins):
    dtype, precision, _ = MODES[mode]
    case = Case(name, dtype, tmp_path)
    shapes = [a for name, value in case.graph.feeds.items()
              for a in ("--shape", name + "=" + ",".join(map(str, value.shape)))]
    text = signetctl("explain", case.path, "--device", "gpu", "--precision", precision, *shapes,
                     env={**os.environ, **stand_ins})
    steps = re.findall(r"^\d+ +(\S+) +\S+ +(cpu|gpu) ", text, re.M)
    assert len(steps) >= 5 and [op for op, on in steps if on == "cpu"] == [], text
