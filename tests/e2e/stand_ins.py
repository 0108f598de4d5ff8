# SPDX-License-Identifier: Apache-2.0
"""Device 'gpu' without a GPU: the stand-ins of tests/gpu, for tests that want one.

    @needs_module
    def test_x(stand_ins): ...    # stand_ins: the environment that finds them
"""
import os
import re
import subprocess

import pytest

from signet import BUILD


def has_module():
    with open(os.path.join(BUILD, "config.status"), encoding="utf-8") as f:
        return re.search(r'S\["CUDA_PATH"\]="/', f.read()) is not None


needs_module = pytest.mark.skipif(not has_module(), reason="built without CUDA")


@pytest.fixture(scope="session")
def stand_ins():
    subprocess.run(["make", "-s", "-C", BUILD, "gpu-stand-ins"], check=True)
    return {"LD_LIBRARY_PATH": os.path.join(BUILD, "tests/gpu/stand-in"), "SIGNET_LIBDIR": BUILD}
