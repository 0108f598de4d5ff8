# SPDX-License-Identifier: Apache-2.0
"""What examples/monitoring and doc/deploying.md ask Prometheus for is there: metrics, labels, codes."""
import json
import os
import re

import pytest

import signet
from signet_server import Server

OF_PROMETHEUS = {"instance", "job"}
# Without a device there is none of these, but their names are told.
WITHOUT_SAMPLES = re.compile("signet_device_")


def read(*path):
    with open(os.path.join(signet.TREE, *path), encoding="utf-8") as f:
        return f.read()


def of_rules():
    """The expressions: on a line, or the lines behind >- that stand further in."""
    text = read("examples", "monitoring", "alerts.yml")
    found = re.findall(r"^ +expr: (?!>-)(.*)$", text, re.M)
    found += [" ".join(m.split()) for m in re.findall(r"^ {8}expr: >-\n((?: {10}.*\n)+)", text, re.M)]
    assert len(found) == text.count("expr:")
    return found


def of_dashboard():
    board = json.loads(read("examples", "monitoring", "grafana.json"))
    found = [t["expr"] for p in board["panels"] for t in p.get("targets", [])]
    return found + [v["query"]["query"] for v in board["templating"]["list"] if v["type"] == "query"]


def of_document():
    return [code for code in re.findall(r"`([^`\n]+)`", read("doc", "deploying.md")) if "signet_" in code]


@pytest.fixture(scope="module")
def shown():
    """{name of a series: its labels}"""
    with Server(grpc=True) as s:
        for row in [1.0] * 64, [1.0]:
            s.post("/v1/models/digits:predict", {"instances": [row]})
        text = s.call("GET", "/metrics")[2].decode()
    names = {name: set() for name in re.findall(r"^# TYPE (\w+)", text, re.M)}
    for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? ", text, re.M):
        names[name] = set(re.findall(r'(\w+)="', labels))
    return names


@pytest.mark.parametrize("expressions", [of_rules(), of_dashboard(), of_document()], ids=["rules", "dashboard", "document"])
def test_queries_name_what_is_shown(shown, expressions):
    assert len(expressions) > 5
    for expr in expressions:
        names = re.findall(r"\b(?:signet|process|nv)_\w+", expr)
        assert names and set(names) <= set(shown), expr
        for name, selector in re.findall(r"(\w+)\{([^}]*)\}", expr):
            if not WITHOUT_SAMPLES.match(name):
                assert set(re.findall(r"(\w+)=", selector)) <= shown[name] | OF_PROMETHEUS, expr
        labels = OF_PROMETHEUS.union(*(shown[name] for name in names))
        for group in re.findall(r"\b(?:by|on) \(([^)]*)\)", expr):
            assert set(group.replace(" ", "").split(",")) <= labels, expr


def test_codes_are_those_of_answers():
    codes = set(re.findall(r"^\s*X\((\w+),", read("src", "base", "err.h"), re.M))
    assert "UNAVAILABLE" in codes
    asked = [c for expr in of_rules() + of_dashboard() for m in re.findall(r'code[=!~]+"([^"]*)"', expr) for c in m.split("|")]
    assert asked and set(asked) <= codes


def test_counters_are_asked_for_their_rate(shown):
    for expr in of_rules() + of_dashboard():
        for name in re.findall(r"\w+_total\b", expr):
            assert re.search(rf"(?:rate|increase)\({name}", expr), expr
