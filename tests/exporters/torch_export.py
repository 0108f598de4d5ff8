# SPDX-License-Identifier: Apache-2.0
"""What the scripts that write models of PyTorch share: its two exporters, by the name of a model's folder."""
import contextlib
import dataclasses
import inspect
import io
import pathlib
import sys
import warnings

import torch
from write import write_all

SCRIPT_OPSET, DYNAMO_OPSET = 17, 20


@dataclasses.dataclass
class Spec:
    """make() gives the module; each input is (name, tensor, {axis: name of an open dimension})."""
    make: callable
    inputs: list
    opset: int = SCRIPT_OPSET


def image(*shape, name="x", open={0: "batch"}):
    return (name, torch.randn(shape), open)


def randomize(module):
    """Means and variances of normalizations as if it had been trained."""
    for m in module.modules():
        if getattr(m, "running_var", None) is not None:
            m.running_mean.normal_(0, 0.1)
            m.running_var.uniform_(0.5, 1.5)
    return module.eval()


def by_script(module, spec, path):
    names = [name for name, _, _ in spec.inputs]
    torch.onnx.export(module, tuple(t for _, t, _ in spec.inputs), path, dynamo=False, opset_version=spec.opset,
                      input_names=names, dynamic_axes={name: open for name, _, open in spec.inputs if open})


def by_dynamo(module, spec, path):
    """Dimensions are open as far as the model lets them be; those that inputs share have one name, and a batch 2 rows:
    1 would be a constant."""
    past = torch.export.Dim("past", max=512)
    dims = {"batch": torch.export.Dim("batch", max=64), "past": past, "past + 4": past + 4}
    tensors = [t.repeat(2, *[1] * (t.dim() - 1)) if open.get(0) == "batch" and len(t) == 1 else t for _, t, open in spec.inputs]
    opens = [{axis: dims.get(said, torch.export.Dim.AUTO) for axis, said in open.items()} for _, _, open in spec.inputs]
    taken = list(inspect.signature(module.forward).parameters.values())
    if taken[-1].kind == inspect.Parameter.VAR_POSITIONAL:
        opens[len(taken) - 1:] = [tuple(opens[len(taken) - 1:])]
    torch.onnx.export(module, tuple(tensors), path, dynamo=True, external_data=False, verbose=False,
                      opset_version=max(spec.opset, DYNAMO_OPSET), input_names=[name for name, _, _ in spec.inputs],
                      dynamic_shapes=tuple(opens))


def main(family, specs):
    """specs of both exporters: a folder for each, so that compare.py makes a row of it."""
    def write(made, path):
        export, spec = made
        pathlib.Path(path).parent.mkdir(exist_ok=True)
        torch.manual_seed(1)
        with torch.no_grad(), contextlib.redirect_stdout(io.StringIO()):  # they print graphs that they cannot write
            export(randomize(spec.make()), spec, path)

    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    models = {f"{family}_script/{name}": (by_script, spec) for name, spec in specs.items()}
    models |= {f"{family}_dynamo/{name}": (by_dynamo, spec) for name, spec in specs.items()}
    write_all(sys.argv, models, write)
