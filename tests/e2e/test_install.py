# SPDX-License-Identifier: Apache-2.0
"""What "make install" puts beside the programs: the configuration, and completion for bash."""
import os
import re
import subprocess

import pytest
from signet_server import Server


def make(build, target, root):
    subprocess.run(["make", "-s", "-C", build, target, f"DESTDIR={root}"], check=True, stdout=subprocess.DEVNULL)


def test_a_configuration_that_is_there_stays(build, tree, tmp_path):
    make(build, "install-conf", tmp_path)
    [conf] = tmp_path.rglob("signetd.conf")
    assert conf.read_text() == (tree / "conf" / "signetd.conf").read_text()
    conf.write_text("[server]\nthreads = 2\n")
    make(build, "install-conf", tmp_path)
    make(build, "uninstall-conf", tmp_path)
    assert conf.read_text() == "[server]\nthreads = 2\n"


def test_all_of_it_is_installed_and_gone_again(build, tmp_path):
    make(build, "install", tmp_path)
    names = {f.name for f in tmp_path.rglob("*") if f.is_file()}
    assert names >= {"signetd", "signetctl", "signet-bench", "signetd.service", "signetd.conf", "op.h", "signetd.8",
                     "README.md", "deploying.md", "models.md", "alerts.yml", "grafana.json"}
    make(build, "uninstall", tmp_path)
    assert [f.name for f in tmp_path.rglob("*") if f.is_file()] == []


def test_completion_is_found_by_each_name(build, tmp_path):
    make(build, "install-completions", tmp_path)
    assert sorted(f.name for f in tmp_path.rglob("completions/*")) == ["signet-bench", "signetctl", "signetd"]


def test_what_deploying_shows_is_there(build, tree, server):
    page = (tree / "doc" / "deploying.md").read_text()
    options = re.findall(r"(?m)^ +- (--\S+)", page)
    assert len(options) == 6
    done = subprocess.run([f"{build}/signetd", "--check-config", *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for path in set(re.findall(r"path: (/v2\S*),", page)):
        assert server.call("GET", path)[0] == 200


@pytest.fixture(scope="module")
def server():
    with Server(models={"digits": ["1"]}) as s:
        yield s


@pytest.mark.parametrize("words, has, has_not", [
    (["signetctl", ""], ["models", "predict", "--server"], ["digits"]),
    (["signetctl", "mo"], ["models"], ["predict"]),
    (["signetctl", "help", "ru"], ["run"], []),
    (["signetctl", "run", "--"], ["--repeat", "--input"], ["--max-batch"]),
    (["signetctl", "--server", "URL", "show", ""], ["digits"], ["models"]),
    (["signetctl", "predict", "--v"], ["--version"], ["--input"]),
    (["signetd", "--model"], ["--model", "--model-root"], ["--http"]),
    (["signet-bench", "--con"], ["--concurrency", "--connections"], ["--url"]),
])
def test_words_are_completed(build, tree, server, words, has, has_not):
    words = [server.url if w == "URL" else w for w in words]
    function = "_signetctl" if words[0] == "signetctl" else "_signet_program"
    script = ('. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); ' + function +
              ' "$1"; printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", script, "bash", tree / "completions" / "signet.bash", *words],
                          env={**os.environ, "PATH": f"{build}:{os.environ['PATH']}"},
                          capture_output=True, text=True, check=True)
    offered = done.stdout.split()
    assert not set(has) - set(offered), (offered, done.stderr)
    assert not set(has_not) & set(offered), offered
