# SPDX-License-Identifier: Apache-2.0
"""The Debian package, packed from the build that is tested."""
import os
import re
import shutil
import subprocess

import pytest


@pytest.fixture(scope="module")
def package(build, tree, tmp_path_factory):
    """(the file, what is in it, unpacked)"""
    makefile = open(f"{build}/Makefile").read()
    if not re.search(r"(?m)^prefix = /usr$", makefile):
        pytest.skip("the build is not for /usr: configure --prefix=/usr --sysconfdir=/etc")
    top = tmp_path_factory.mktemp("package")
    source = top / "signet"
    names = subprocess.run(["git", "-C", tree, "ls-files", "-co", "--exclude-standard"], text=True,
                           capture_output=True, check=True).stdout.split("\n")
    for name in filter(os.path.isfile, (os.path.join(tree, n) for n in names)):
        to = source / os.path.relpath(name, tree)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(name, to)
    env = dict(os.environ, BUILD=build, DEB_BUILD_OPTIONS="noautodbgsym")
    done = subprocess.run(["dpkg-buildpackage", "-b", "-us", "-uc", "-nc"], cwd=source, env=env, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout[-3000:]
    [file] = top.glob("*.deb")
    subprocess.run(["dpkg-deb", "-x", file, top / "root"], check=True)
    return file, top / "root"


def field(file, name):
    return subprocess.run(["dpkg-deb", "-f", file, name], capture_output=True, text=True, check=True).stdout.strip()


def test_it_has_all_in_its_place(package):
    _, root = package
    for path in ("usr/sbin/signetd", "usr/bin/signetctl", "usr/bin/signet-bench", "lib/systemd/system/signetd.socket",
                 "usr/share/man/man8/signetd.8.gz", "usr/lib/sysusers.d/signet.conf", "usr/include/signet/op.h"):
        assert (root / path).is_file(), path
    unit = (root / "lib/systemd/system/signetd.service").read_text()
    assert "ExecStart=/usr/sbin/signetd --config /etc/signet/signetd.conf\n" in unit
    subprocess.run([root / "usr/sbin/signetd", "--check-config", "--model-root", root,
                    "--config", root / "etc/signet/signetd.conf"], check=True)


def test_its_version_is_the_program_s(package):
    file, root = package
    said = subprocess.run([root / "usr/sbin/signetd", "--version"], capture_output=True, text=True, check=True).stdout
    assert said.split()[1] == field(file, "Version")


def test_it_asks_for_what_it_needs(package):
    wants = field(package[0], "Depends")
    for library in ("libmicrohttpd12", "libgrpc29", "libdnnl2", "libopenblas0", "systemd"):
        assert library in wants


def test_it_starts_the_service_and_keeps_what_was_edited(package, tmp_path):
    subprocess.run(["dpkg-deb", "-e", package[0], tmp_path], check=True)
    assert (tmp_path / "conffiles").read_text().split() == ["/etc/signet/signetd.conf"]
    after = (tmp_path / "postinst").read_text()
    assert after.index("systemd-sysusers") < after.index("'signetd.service'")
    assert "signetd.socket" not in after


def test_it_is_built_with_the_packages_that_the_tree_names(tree):
    control = (tree / "debian" / "control").read_text()
    [wanted] = re.findall(r"(?m)^Build-Depends:((?:.*\n)(?: .*\n)*)", control)
    named = set(re.findall(r"(?m)^build (\S+)$", (tree / "tools" / "packages").read_text()))
    have = {w.strip().split(" ")[0] for w in wanted.split(",") if w.strip()}
    # What every build of a Debian package has, or debhelper brings.
    assert have - {"debhelper-compat", "dh-sequence-installsysusers"} == \
        named - {"autoconf", "automake", "gcc", "libc6-dev", "make"}
