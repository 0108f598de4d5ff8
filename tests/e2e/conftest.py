# SPDX-License-Identifier: Apache-2.0
"""What every end-to-end test starts from.

SIGNET_BUILD names the build directory; default: build in the tree.
"""
import os
import pathlib
import subprocess
import sys

import pytest

TREE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(pathlib.Path(__file__).parent))


@pytest.fixture(scope="session")
def tree():
    return TREE


@pytest.fixture(scope="session")
def build():
    path = pathlib.Path(os.environ.get("SIGNET_BUILD", TREE / "build")).resolve()
    assert (path / "signetd").exists(), f"no signetd in {path}: build it, or set SIGNET_BUILD"
    return str(path)


@pytest.fixture
def digits(tree):
    """The example model's directory, with its versions 1 and 2."""
    return tree / "examples" / "models" / "digits"


@pytest.fixture
def signetctl(build):
    """signetctl("run", ...) gives its stdout; check=False: (status, stdout, stderr)."""

    def call(*args, check=True, timeout=300, **options):
        r = subprocess.run([os.path.join(build, "signetctl"), *map(str, args)], text=True,
                           capture_output=True, timeout=timeout, **options)
        if not check:
            return r.returncode, r.stdout, r.stderr
        assert r.returncode == 0, f"signetctl {args}: {r.returncode}\n{r.stdout}{r.stderr}"
        return r.stdout

    return call


# -- what tools/run-tests adds up ----------------------------------------------------------

def pytest_terminal_summary(terminalreporter):
    """With SIGNET_RESULTS: a line of counts, and one per skipped test, in that file."""
    path = os.environ.get("SIGNET_RESULTS")
    if not path:
        return
    stats = terminalreporter.stats
    count = {k: len(stats.get(k, [])) for k in ("passed", "failed", "error", "skipped")}
    with open(path, "w") as f:
        f.write(f"{count['passed']} passed, {count['failed'] + count['error']} failed, "
                f"{count['skipped']} skipped\n")
        for report in stats.get("skipped", []):
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
            f.write(f"skip {report.nodeid.split('/')[-1]}: {str(reason).removeprefix('Skipped: ')}\n")
