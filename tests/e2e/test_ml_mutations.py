# SPDX-License-Identifier: Apache-2.0
"""Models of ai.onnx.ml with one attribute damaged: an error that names the node, or an answer;
never a crash. Messages are text, whatever bytes an attribute has: they are decoded strictly.
"""
import copy
import re

import ml_cases
import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from test_ml_operators import write_case

SEED = 11
MODELS = 2  # of each operator, spread over its cases
INTS = [-1, 0, 1, 2**31 - 1, 2**31, -2**63, 2**62]
FLOATS = [0.0, -1.0, np.nan, np.inf, 3e38]
STRINGS = [b"", b"LEAF", b"BRANCH_MEMBER", b"\xff\xfe", b"none of them"]
FIELDS = {onnx.AttributeProto.INTS: ("ints", INTS), onnx.AttributeProto.FLOATS: ("floats", FLOATS),
          onnx.AttributeProto.STRINGS: ("strings", STRINGS)}
SCALARS = {onnx.AttributeProto.INT: ("i", INTS), onnx.AttributeProto.FLOAT: ("f", FLOATS),
           onnx.AttributeProto.STRING: ("s", STRINGS)}


def damaged_lists(rng, attr):
    """Lists of one more, one less, none; one element replaced; two exchanged."""
    name, extremes = FIELDS[attr.type]
    was = list(getattr(attr, name))
    lists = [was[:-1], [], was + was[-1:], was[::-1]]
    for v in extremes:
        one = list(was)
        if one:
            one[rng.integers(len(one))] = v
            lists.append(one)
    for values in lists:
        a = onnx.AttributeProto(name=attr.name, type=attr.type)
        getattr(a, name).extend(values)
        yield a


def damaged_tensors(rng, attr):
    array = numpy_helper.to_array(attr.t)
    others = [array[:-1], np.append(array, array[-1:]), array.reshape(1, -1), array[:0]]
    if array.dtype != object:
        others += [array.astype(np.int32), array.astype(np.float64), array * 0, array[::-1]]
    for other in others:
        yield onnx.helper.make_attribute(attr.name, numpy_helper.from_array(other))


def damaged(rng, attr):
    """None: the attribute is left out."""
    yield None
    if attr.type in FIELDS:
        yield from damaged_lists(rng, attr)
    elif attr.type in SCALARS:
        name, extremes = SCALARS[attr.type]
        for v in extremes:
            a = onnx.AttributeProto(name=attr.name, type=attr.type)
            setattr(a, name, v)
            yield a
    else:
        yield from damaged_tensors(rng, attr)
    yield onnx.AttributeProto(name=attr.name, type=onnx.AttributeProto.FLOAT, f=1.0)


def mutations(op):
    """(model, inputs), each with one attribute changed."""
    rng = np.random.default_rng(SEED)
    cases = list(ml_cases.cases(op, SEED))
    for at in sorted({int(i) for i in np.linspace(0, len(cases) - 1, MODELS)}):
        _, model, inputs, _ = cases[at]
        if sum(len(a.ints) for a in model.graph.node[0].attribute) > 20000:
            continue
        for i, attr in enumerate(model.graph.node[0].attribute):
            for other in damaged(rng, attr):
                m = copy.deepcopy(model)
                del m.graph.node[0].attribute[i]
                if other is not None:
                    m.graph.node[0].attribute.append(other)
                yield m, inputs


ANSWERED = re.compile(r"FAIL \S+: data set 0: output \d")
# "No memory for output": a size that is allowed, and not there.
REFUSED = re.compile(r"FAIL \S+: (data set 0: )?(node 'it'|no memory for output|.*output 'y)")


# ArrayFeatureExtractor has no attributes.
OPERATORS = [op for op in [*ml_cases.OPERATORS, *ml_cases.MAP_OPERATORS] if op != "ArrayFeatureExtractor"]


@pytest.mark.parametrize("op", OPERATORS)
def test_damaged_attributes_are_refused_by_the_node_or_make_no_harm(op, signetctl, tmp_path):
    nothing = [np.zeros(0, np.float32)] * 2
    for n, (model, inputs) in enumerate(mutations(op)):
        write_case(tmp_path / str(n), model, inputs, nothing[:len(model.graph.output)])
    _, out, _ = signetctl("test", tmp_path, check=False, timeout=600)
    lines = [line for line in out.splitlines() if line.startswith("FAIL")]
    bad = [line for line in lines if not ANSWERED.match(line) and not REFUSED.match(line)]
    assert not bad, "\n".join(bad[:20])
    assert re.search(rf"{n + 1 - len(lines)} passed, {len(lines)} failed", out), out[-300:]
