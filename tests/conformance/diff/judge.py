# SPDX-License-Identifier: Apache-2.0
"""Runs cases here and elsewhere, and says where they disagree.

ONNX Runtime is asked first. Where it refuses a model, or gives something else than we do, the
reference evaluator of the onnx package is asked too; differential.list says which of such
differences are known, and why.
"""
import dataclasses
import pathlib
import re
import shutil
import subprocess
import tempfile

from . import case as cases
from . import peers

LIST = pathlib.Path(__file__).resolve().parent.parent / "differential.list"


@dataclasses.dataclass
class Rule:
    ops: list       # "*": any
    tags: frozenset
    reference: bool  # only where the reference evaluator agrees with us
    reason: str

    def covers(self, verdict):
        return ((verdict.op in self.ops or "*" in self.ops) and self.tags <= verdict.tags
                and (verdict.reference_agrees or not self.reference))


def read_rules():
    rules = []
    for line in LIST.read_text().splitlines():
        if line and not line.startswith("#"):
            op, tags, who, reason = line.split(None, 3)
            if who not in ("reference", "any"):
                raise SystemExit(f"differential.list: '{who}' is neither reference nor any: {line}")
            rules.append(Rule(op.split(","), frozenset(tags.split(",")) - {"-"}, who == "reference", reason))
    return rules


@dataclasses.dataclass
class Verdict:
    """What came of a case: agreed, reference (agrees, ONNX Runtime refuses), known (a rule says
    why not), alone (nobody else runs it), refused (nobody does), or wrong."""
    op: str
    kind: str = "wrong"
    why: str = ""       # of ours; "" when it agrees
    ort: str = ""       # why ONNX Runtime refuses it
    reference: str = ""
    reference_agrees: bool = False
    tags: frozenset = frozenset()
    rule: Rule = None

    def sort(self):
        """The way it goes wrong, without the numbers."""
        way = re.match(r"crashed|no end|data set 0: output", self.why)
        return self.kind, self.ort and ort_tag(self.ort), way and way[0]


def ort_tag(message):
    """A word for the kind of refusal, for rules; all have ort:any, too."""
    for pattern, word in [("NOT_IMPLEMENTED|not supported|not support double", "not-implemented"), ("under development", "opset"), ("not a registered", "unknown"),
                          ("Type Error|INVALID_GRAPH", "invalid-graph"), ("INVALID_ARGUMENT", "invalid-argument"),
                          ("RUNTIME_EXCEPTION", "runtime")]:
        if re.search(pattern, message):
            return f"ort:{word}"
    return "ort:fails"


class Judge:
    """Owns a folder of cases, which close() removes."""

    def __init__(self, signetctl, rules):
        self.signetctl, self.rules = signetctl, rules
        shm = pathlib.Path("/dev/shm")
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="signet-diff-", dir=shm if shm.is_dir() else None))

    def close(self):
        shutil.rmtree(self.root, ignore_errors=True)

    def tidy(self):
        """Away with what a case left that could not even be written."""
        for folder in self.root.iterdir():
            shutil.rmtree(folder)

    def run_folders(self, parent):
        """{folder name: "" or why it fails}"""
        r = subprocess.run([self.signetctl, "test", "--verbose", str(parent)], text=True, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, errors="replace")
        results = {}
        for line in r.stdout.splitlines():
            found = re.match(r"(ok|FAIL|skip) (\S+?)(?:: (.*))?$", line)
            if found:
                why = (found[3] or found[1]).replace(f"{parent}/", "")
                results[pathlib.Path(found[2]).name] = "" if found[1] == "ok" else why
        return results

    def judge(self, batch):
        """A verdict for every case of a list."""
        verdicts, models, wants = [], [], []
        here = self.root / "first"
        here.mkdir()
        for i, c in enumerate(batch):
            v = Verdict(c.nodes[0].op if len(c.nodes) == 1 else "graph")
            model, want = self.ask_peers(c, v)
            cases.write_folder(here / f"c{i:05}", c, model, want)
            verdicts.append(v), models.append(model), wants.append(want)
        results = self.run_folders(here)
        for i, v in enumerate(verdicts):
            v.why = results.get(f"c{i:05}", "signetctl says nothing of it")
        shutil.rmtree(here)
        self.ask_again(batch, verdicts, models)
        for c, v, want in zip(batch, verdicts, wants):
            v.tags = frozenset(cases.tags(c) | ({"ort:any", ort_tag(v.ort)} if v.ort else set()))
            self.decide(v, want)
        return verdicts

    def ask_peers(self, c, v):
        """The model, and what it gives by the first who runs it."""
        try:
            model = cases.to_model(c)
        except Exception as e:  # noqa: BLE001 - onnx raises its own
            v.ort = f"onnx: {e}"
            return cases.bare_model(c), None
        given = [cases.feed(x) for n, x in c.values.items() if n not in c.constants]
        try:
            return model, peers.run_ort(model, given)
        except peers.Refused as e:
            v.ort = str(e)
        try:
            return model, peers.run_reference(model, given)
        except peers.Refused as e:
            v.reference = str(e)
        return model, None

    def ask_again(self, batch, verdicts, models):
        """The reference evaluator's opinion where we differ from ONNX Runtime."""
        here = self.root / "second"
        here.mkdir()
        for i, (c, v, model) in enumerate(zip(batch, verdicts, models)):
            if not v.why or v.ort:
                continue
            try:
                given = [cases.feed(x) for n, x in c.values.items() if n not in c.constants]
                want = peers.run_reference(model, given)
                cases.write_folder(here / f"c{i:05}", c, model, want)
            except peers.Refused as e:
                v.reference = str(e)
        if any(here.iterdir()):
            for name, why in self.run_folders(here).items():
                verdicts[int(name[1:])].reference_agrees = why == ""
                verdicts[int(name[1:])].reference = why
        shutil.rmtree(here)

    def decide(self, v, want):
        crashed = re.match(r"crashed|no end|ended with", v.why)
        if not v.why:
            v.kind = "reference" if v.ort else "agreed"
            v.reference_agrees = True
            if v.ort:
                self.apply_rules(v, "reference")
        elif want is None and not crashed:
            # Ours ran, if the missing output is all that it lacks.
            v.kind = "alone" if "output_0.pb" in v.why else "refused"
        elif not crashed:
            self.apply_rules(v, "known")

    def apply_rules(self, v, kind):
        v.rule = next((r for r in self.rules if r.covers(v)), None)
        v.kind = kind if v.rule else "wrong"
        if v.kind == "wrong" and not v.why:
            v.why = "ONNX Runtime refuses it, and no row of differential.list says why"
