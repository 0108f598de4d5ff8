# SPDX-License-Identifier: Apache-2.0
"""bfloat16 changes digits behind the point, not answers: the classifier of examples on all of
scikit-learn's images, and magika, where there is a folder of models, on this tree's files."""
import pathlib

import numpy as np
import pytest
from sklearn.datasets import load_digits
from test_models import MODELS, TREE

pytestmark = pytest.mark.skipif("avx512_bf16" not in pathlib.Path("/proc/cpuinfo").read_text(),
                                reason="the processor has no AVX512-BF16")


def scores(signetctl, folder, model, feeds, output, precision):
    args = []
    for name, value in feeds.items():
        np.save(folder / f"{name}.npy", value)
        args += ["--input", f"{name}={folder}/{name}.npy"]
    signetctl("run", model, *args, "--output", f"{output}={folder}/{precision}.npy", "--precision", precision)
    return np.load(folder / f"{precision}.npy")


def expect_same_answers(signetctl, folder, model, feeds, output):
    exact, short = (scores(signetctl, folder, model, feeds, output, p) for p in ("exact", "bf16"))
    assert not np.array_equal(exact, short), "nothing was computed in bfloat16"
    np.testing.assert_array_equal(short.argmax(-1), exact.argmax(-1))


def test_digits_stay_digits(signetctl, tmp_path):
    images = load_digits().data.astype(np.float32)
    model = TREE / "examples" / "models" / "digits" / "2" / "model.onnx"
    expect_same_answers(signetctl, tmp_path, model, {"image": images}, "probabilities")


def test_files_keep_their_types(signetctl, tmp_path):
    model = MODELS / "magika" / "model.onnx"
    if not model.exists():
        pytest.skip("no folder of models: set SIGNET_MODELS")
    files = [p for p in sorted(TREE.glob("src/**/*.c")) if p.stat().st_size >= 2048][::10]
    read = [np.frombuffer(p.read_bytes(), np.uint8).astype(np.int32) for p in files]
    rows = np.stack([np.concatenate([b[:1024], b[-1024:]]) for b in read])
    expect_same_answers(signetctl, tmp_path, model, {"bytes": rows}, "target_label")
