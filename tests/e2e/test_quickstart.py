# SPDX-License-Identifier: Apache-2.0
"""tools/quickstart: a right prediction from each version, and a server that goes on."""
import os
import re
import signal
import subprocess
import urllib.request

import pytest


def quickstart(tree, build, **env):
    r = subprocess.run([tree / "tools" / "quickstart"], text=True, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, timeout=300, env={**os.environ, "SIGNET_BUILD": build, **env})
    assert r.returncode == 0, r.stdout
    return r.stdout


@pytest.fixture
def stop_server():
    pids = []
    yield pids.append
    for pid in pids:
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            pass


def test_serves_predicts_swaps_and_can_be_run_again(tree, build, stop_server):
    pids = []
    for lang, ink in ("C", "@"), ("C.UTF-8", "█"):
        out = quickstart(tree, build, LC_ALL=lang)
        pids.append(int(re.search(r"^Stop it with: kill (\d+)$", out, re.M)[1]))
        stop_server(pids[-1])
        assert len(re.findall(r"^    it is a 3$", out, re.M)) == 2
        assert re.search(r"^digits +2 +READY", out, re.M)
        assert ink * 2 in out
    url = re.search(r"listens on (http://\S+),", out)[1]
    with urllib.request.urlopen(url + "/v2/health/ready") as r:
        assert r.status == 200
    assert pids[0] != pids[1]
    # The first server was stopped by the second run.
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
