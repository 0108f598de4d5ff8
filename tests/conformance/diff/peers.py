# SPDX-License-Identifier: Apache-2.0
"""Who else computes a model: ONNX Runtime, and the onnx package's reference evaluator."""
import re
import warnings

import numpy as np
import onnxruntime
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

onnxruntime.set_default_logger_severity(4)


class Refused(Exception):
    """A peer does not run the model; the message is its own."""


def session(model):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def feeds_of(model, values):
    return {i.name: v for i, v in zip(model.graph.input, values, strict=True)}


def run_ort(model, values):
    """The outputs as ONNX Runtime has them, its own optimizations off."""
    try:
        return session(model).run(None, feeds_of(model, values))
    except Exception as e:  # noqa: BLE001 - it raises many kinds, and RuntimeError
        raise Refused(re.sub(r"\s+", " ", str(e))) from None


def run_reference(model, values):
    """The outputs as the reference evaluator has them, in the types that the model declares."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            out = ReferenceEvaluator(model).run(None, feeds_of(model, values))
        # Text in numpy's own type for it, of one length for all.
        out = [x.astype(object) if isinstance(x, np.ndarray) and x.dtype.kind == "U" else x for x in out]
        for x, o in zip(out, model.graph.output, strict=True):
            if isinstance(x, np.ndarray) and x.dtype != helper.tensor_dtype_to_np_dtype(o.type.tensor_type.elem_type):
                raise TypeError(f"gives {x.dtype} for {o.name}")
            numpy_helper.from_list(x) if isinstance(x, list) else numpy_helper.from_array(np.asarray(x))
        return out
    except Exception as e:  # noqa: BLE001 - whatever numpy raises
        raise Refused(f"{type(e).__name__}: {e}") from None
