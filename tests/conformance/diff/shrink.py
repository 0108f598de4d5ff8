# SPDX-License-Identifier: Apache-2.0
"""The smallest case that still goes wrong: nodes dropped, dimensions and values made small."""
import numpy as np
import onnx

from . import case as cases
from . import peers

STEPS_MAX = 400


def needed(case):
    """Without nodes and values that no output needs."""
    wanted, nodes = set(case.outputs), []
    for n in reversed(case.nodes):
        if wanted & set(n.outputs):
            nodes.insert(0, n)
            wanted |= {i for i in n.inputs if i}
            for a in n.attrs.values():
                if isinstance(a, onnx.GraphProto):
                    wanted |= {i for m in a.node for i in m.input}
    values = {k: v for k, v in case.values.items() if k in wanted}
    return case.copy(nodes=nodes, values=values, constants=case.constants & set(values))


def all_values(case):
    """What each intermediate value is, by ONNX Runtime."""
    made = [o for n in case.nodes for o in n.outputs if o]
    probe = case.copy(outputs=made)
    given = [cases.feed(x) for n, x in case.values.items() if n not in case.constants]
    return dict(zip(made, peers.run_ort(cases.to_model(probe), given)))


def fewer_nodes(case):
    """Cases with one output only, or that begin later, at a value that is then given."""
    for o in case.outputs if len(case.outputs) > 1 else []:
        yield needed(case.copy(outputs=[o]))
    if len(case.nodes) < 2:
        return
    for n in case.nodes[:-1]:
        yield needed(case.copy(outputs=list(n.outputs)))
    try:
        known = all_values(case)
    except peers.Refused:
        return
    for k, n in enumerate(case.nodes[:-1]):
        if all(isinstance(known.get(o), np.ndarray) for o in n.outputs):
            values = {**case.values, **{o: known[o] for o in n.outputs}}
            yield needed(case.copy(nodes=case.nodes[:k] + case.nodes[k + 1:], values=values))


def fewer_attributes(case):
    for k, n in enumerate(case.nodes):
        for name in n.attrs:
            fewer = {a: v for a, v in n.attrs.items() if a != name}
            changed = type(n)(n.op, n.inputs, n.outputs, fewer, n.domain)
            yield case.copy(nodes=case.nodes[:k] + [changed] + case.nodes[k + 1:])


def fewer_inputs(case):
    for k, n in enumerate(case.nodes):
        if n.inputs:
            changed = type(n)(n.op, n.inputs[:-1], n.outputs, n.attrs, n.domain)
            yield needed(case.copy(nodes=case.nodes[:k] + [changed] + case.nodes[k + 1:]))


def arrays(case):
    return {n: v for n, v in case.values.items() if isinstance(v, np.ndarray)}


def smaller_dims(case):
    """Every dimension of one size cut to a smaller one; then each alone."""
    sizes = sorted({d for v in arrays(case).values() for d in v.shape if d > 1}, reverse=True)
    for size in sizes:
        for to in {1, 2, size // 2, size - 1} - {size}:
            def cut(v, size=size, to=to):
                return v[tuple(slice(0, to) if d == size else slice(None) for d in v.shape)]
            yield case.copy(values={n: cut(v) if isinstance(v, np.ndarray) else v for n, v in case.values.items()})
    for name, v in arrays(case).items():
        for axis, d in enumerate(v.shape):
            if d > 1:
                yield case.copy(values={**case.values, name: np.take(v, range(d // 2), axis)})
                yield case.copy(values={**case.values, name: np.take(v, range(d // 2, d), axis)})


def plainer_values(case):
    for name, v in arrays(case).items():
        if v.dtype.kind in "fiu" and v.size:
            for plain in (np.zeros_like(v), np.ones_like(v), np.nan_to_num(v, nan=1, posinf=2, neginf=-2)):
                if not np.array_equal(plain, v):
                    yield case.copy(values={**case.values, name: plain})


def simpler_frame(case):
    if case.shapes != "static":
        yield case.copy(shapes="static")
    if case.constants:
        yield case.copy(constants=set())


MOVES = [fewer_nodes, fewer_inputs, fewer_attributes, smaller_dims, simpler_frame, plainer_values]


def weight(case):
    odd = sum(int(np.count_nonzero(~np.isin(v, (0, 1)))) for v in arrays(case).values() if v.dtype.kind in "fiu")
    size = sum(v.size + v.ndim for v in arrays(case).values())
    attrs = sum(len(n.attrs) + len(n.inputs) for n in case.nodes)
    return len(case.nodes), attrs, len(case.outputs), size, len(case.constants) + (case.shapes != "static"), odd


def smallest(judge, case, sort):
    """Greedy: the first lighter case that goes wrong the same way, until there is none."""
    tried, found = 0, True
    while found and tried < STEPS_MAX:
        found = False
        for candidate in (c for move in MOVES for c in move(case)):
            if weight(candidate) >= weight(case) or not candidate.nodes or tried >= STEPS_MAX:
                continue
            tried += 1
            try:
                if judge.judge([candidate])[0].sort() == sort:
                    case, found = candidate, True
                    break
            except Exception:  # noqa: BLE001 - what is cut so may be no model at all
                judge.tidy()
    return case
