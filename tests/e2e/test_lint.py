# SPDX-License-Identifier: Apache-2.0
"""tools/lint: what it says of a tree that has mistakes which no compiler sees."""
import subprocess

import pytest

import signet

LISTED = "# SPDX-License-Identifier: Apache-2.0\nLIB = \\\n\tsrc/a.c \\\n\tsrc/b.c\nRUN += src/a.c\n"
SEEN = "| models | written by | tried |\n| --- | --- | --- |\n| one | by | 19 |\n| two | by | 4 |\n"


@pytest.fixture
def lint(tmp_path):
    """Writes files into a tree, which has what lint looks for; gives what lint says."""
    def run(**files):
        texts = {"Makefile.inc": LISTED, "unit.list": "", "doc/models.md": SEEN, "NEWS": "how 23 models fare"}
        for name, text in {**texts, **files}.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
        subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
        return subprocess.run([signet.TREE + "/tools/lint", tmp_path], capture_output=True, text=True).stderr
    return run


def test_finds_nothing_doubled_where_a_file_is_in_two_assignments(lint):
    assert "doubled" not in lint()


@pytest.mark.parametrize("name, text, told", [
    ("Makefile.inc", LISTED.replace("\tsrc/b.c\n", "\tsrc/b.c \\\n\tsrc/a.c\n"), "Makefile.inc:5: src/a.c"),
    ("Makefile.inc", LISTED + "RUN += src/a.c\n", "Makefile.inc:6: RUN += src/a.c"),
    ("unit.list", "SUITE(epoch)\nSUITE(arena)\nSUITE(epoch)\n", "unit.list:3: SUITE(epoch)"),
])
def test_finds_what_a_merge_has_doubled(lint, name, text, told):
    assert "doubled lines:\n" + told + "\n" in lint(**{name: text})


def test_compares_the_models_that_news_counts_with_the_table(lint):
    assert "NEWS" not in lint()
    assert "NEWS: doc/models.md says how 23 models fare" in lint(NEWS="how 22 models fare")
