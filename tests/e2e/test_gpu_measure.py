# SPDX-License-Identifier: Apache-2.0
"""tests/bench/gpu/measure is for a machine that comes seldom: its parts are kept going here, with the stand-ins."""
import os
import pathlib
import re
import subprocess
import sys

from signet import TREE
from stand_ins import BUILD, needs_module, stand_ins  # noqa: F401 (a fixture)

GPU = pathlib.Path(TREE) / "tests" / "bench" / "gpu"


def rows(text):
    """{what: (measured, verdict)}"""
    return {r[0]: (r[2], r[3]) for r in (line.split(" | ") for line in text.splitlines()) if len(r) == 4}


def cuda_path():
    with open(os.path.join(BUILD, "config.status"), encoding="utf-8") as f:
        return re.search(r'S\["CUDA_PATH"\]="([^"]*)"', f.read()).group(1)


@needs_module
def test_the_executor_is_built_alone(tmp_path):
    """Nothing of its is left to a library that only the daemon's machine has."""
    subprocess.run(["make", "-s", "-j2", "-f", GPU / "executor.mk", "-C", tmp_path, f"TOP={TREE}", f"CUDA_PATH={cuda_path()}",
                    "CFLAGS=-O0 -w", "bench_gpu", "objects/check_gpu/tests/unit/main.c.o"], check=True, timeout=900)
    needed = subprocess.run(["ldd", "bench_gpu"], cwd=tmp_path, check=True, stdout=subprocess.PIPE, text=True).stdout
    assert set(re.findall(r"^\s*(lib\w+)\.so", needed, re.M)) <= {"libc", "libm", "libdl", "libpthread"}
    line = subprocess.run([tmp_path / "bench_gpu", "--device", "cpu", "--precision", "f32", "--models", "mlp", "--batch", "1",
                           "--seconds", "0.01"], check=True, stdout=subprocess.PIPE, text=True).stdout
    assert re.match(r"mlp +f32 +1 +[\d.]+ us ", line)


@needs_module
def test_the_daemon_is_measured(stand_ins):
    subprocess.run(["make", "-s", "-C", BUILD, "write_networks", "bench_gpu", "signet-bench"], check=True, timeout=600)
    got = rows(subprocess.run([sys.executable, GPU / "measure_served.py", "--build", BUILD, "--until", "100", "--tiny"],
                              check=True, stdout=subprocess.PIPE, text=True, timeout=300,
                              env={**os.environ, **stand_ins}).stdout)
    assert re.match(r"\d+\.\d\d \(\d+ of \d+ rows/s\)", got["c. mlp served over grpc-v2, at the knee"][0])
    assert re.match(r"\d+\.\d\d \(\d+ of \d+ rows/s\)", got["c. mlp served over v2-binary, at the knee"][0])
    assert ", 0 failed" in got["c. mlp at 70 % of capacity, p99"][0]
    assert re.fullmatch(r"4, 0 of [1-9]\d* requests failed", got["d. hot swaps under load"][0])
    assert got["d. device memory over them"][1] == "yes"


@needs_module
def test_real_models_are_measured(stand_ins, tmp_path):
    subprocess.run(["make", "-s", "-C", BUILD, "signetctl"], check=True, timeout=600)
    models = pathlib.Path(os.environ.get("SIGNET_MODELS", pathlib.Path(TREE).parent / "shared" / "models"))

    def measured(folder, patience="1500"):
        """A sanitizer on a machine with much else to do takes minutes for a case."""
        return rows(subprocess.run(
            [sys.executable, GPU / "measure_models.py", "--build", BUILD, "--models", folder, "--patience", patience],
            check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **stand_ins}).stdout)["a. real models, f32"]

    assert measured(tmp_path) == ("0 of 0 cases of 0 models", "no")
    if (models / "magika").is_dir():
        (tmp_path / "magika").symlink_to(models / "magika")
        assert measured(tmp_path) == ("2 of 2 cases of 1 models", "yes")
        assert measured(tmp_path, patience="0.001") == ("0 of 2 cases of 1 models, 2 late", "no")
        moved = bytearray((models / "magika" / "c0_out0.bin").read_bytes())
        moved[3] ^= 0x40
        (tmp_path / "magika").unlink()
        (tmp_path / "magika").mkdir()
        for f in (models / "magika").iterdir():
            (tmp_path / "magika" / f.name).write_bytes(bytes(moved) if f.name == "c0_out0.bin" else f.read_bytes())
        assert measured(tmp_path) == ("1 of 2 cases of 1 models", "no")
