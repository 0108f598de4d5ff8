# SPDX-License-Identifier: Apache-2.0
"""Models with state and control flow against ONNX Runtime: a voice detector over many chunks,
recurrent layers as PyTorch exports them, a decoder that is a Loop."""
import importlib.util
import json
import pathlib

import numpy as np
import peer
import pytest
from onnx import TensorProto, helper, numpy_helper
from signet_server import Server

RANDOM = np.random.default_rng(11)
CHUNKS = 100
RATE = 16000


def floats(*shape, scale=1.0):
    return (RANDOM.standard_normal(shape) * scale).astype(np.float32)


# -- silero-vad: nested If, an LSTM whose weights are put together in a body, state in and out ----

def silero(name):
    return pathlib.Path(importlib.util.find_spec("silero_vad").origin).parent / "data" / name


def speech_like(chunks, size):
    """Buzzing that comes and goes, in noise."""
    t = np.arange(chunks * size) / RATE
    buzz = sum(np.sin(2 * np.pi * 120 * k * t) / k for k in range(1, 12))
    loud = np.clip(np.sin(2 * np.pi * 1.1 * t), 0, 1) ** 2
    sound = 0.1 * loud * buzz + 0.01 * RANDOM.standard_normal(t.size)
    return sound.astype(np.float32).reshape(chunks, 1, size)


def infer(server, feeds):
    kind = {"float32": "FP32", "int64": "INT64"}
    body = {"inputs": [{"name": n, "datatype": kind[str(a.dtype)], "shape": list(a.shape),
                        "data": a.ravel().tolist()} for n, a in feeds.items()]}
    status, _, reply = server.call("POST", "/v2/models/silero/infer", json.dumps(body).encode())
    assert status == 200, reply
    return {o["name"]: np.array(o["data"], np.float32).reshape(o["shape"])
            for o in json.loads(reply)["outputs"]}


@pytest.mark.parametrize("name", ["silero_vad.onnx", "silero_vad_op18_ifless.onnx",
                                  "silero_vad_half.onnx"])
def test_a_voice_detector_hears_what_onnx_runtime_hears(tmp_path, name):
    """Each side goes on from its own state, so that differences would add up."""
    version = tmp_path / "silero" / "1"
    version.mkdir(parents=True)
    (version / "model.onnx").write_bytes(silero(name).read_bytes())
    session = peer.session(silero(name))
    names = {i.name for i in session.get_inputs()}
    ours = theirs = np.zeros((2, 1, 128), np.float32)
    heard = []
    with Server(root=str(tmp_path)) as server:
        for chunk in speech_like(CHUNKS, 512 + 64):
            fixed = {"input": chunk, "sr": np.array(RATE, np.int64)}
            fixed = {n: a for n, a in fixed.items() if n in names}
            got = infer(server, {**fixed, "state": ours})
            want = dict(zip(["output", "stateN"],
                            session.run(["output", "stateN"], {**fixed, "state": theirs})))
            np.testing.assert_allclose(got["output"], want["output"], 1e-3, 1e-5)
            np.testing.assert_allclose(got["stateN"], want["stateN"], 1e-3, 1e-4)
            ours, theirs = got["stateN"], want["stateN"]
            heard.append(float(want["output"].max()))
    assert max(heard) > 2 * min(heard), "the chunks all sound alike"


# -- as PyTorch exports them --------------------------------------------------------------------------

def check(signetctl, folder, graph, feeds, opset=17):
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    peer.write_case(folder, model, feeds, peer.answers(model, feeds))
    peer.compare(signetctl, [folder])


def int64s(name, *values):
    return numpy_helper.from_array(np.array(values, np.int64), name)


class Layer:
    """Nodes of one recurrent layer over batch_first input, with initial states of zeros made
    from the batch's size; and the weights."""

    def __init__(self, op, size, hidden, directions):
        gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[op]
        scale = 0.6 / hidden ** 0.5 # as PyTorch begins; more, and small differences grow
        shapes = [("w", (gates * hidden, size)), ("r", (gates * hidden, hidden)),
                  ("b", (2 * gates * hidden,))]
        self.weights = [numpy_helper.from_array(floats(directions, *s, scale=scale), n)
                        for n, s in shapes]
        self.weights += [int64s("dirs", directions), int64s("hidden", hidden), int64s("one", 1),
                         int64s("joined", 0, 0, directions * hidden), int64s("zero", 0)]
        states = ["h0", "h0"] if op == "LSTM" else ["h0"]
        outs = ["all", "h", "c"] if op == "LSTM" else ["all", "h"]
        attrs = {"linear_before_reset": 1} if op == "GRU" else {}
        if directions == 2:
            attrs["direction"] = "bidirectional"
        self.nodes = [
            helper.make_node("Transpose", ["x"], ["xt"], perm=[1, 0, 2]),
            helper.make_node("Shape", ["xt"], ["xs"]),
            helper.make_node("Gather", ["xs", "one"], ["batch"], axis=0),
            helper.make_node("Concat", ["dirs", "batch", "hidden"], ["hs"], axis=0),
            helper.make_node("ConstantOfShape", ["hs"], ["h0"]),
            helper.make_node(op, ["xt", "w", "r", "b", "", *states], outs, hidden_size=hidden,
                             **attrs),
            helper.make_node("Transpose", ["all"], ["by_step"], perm=[0, 2, 1, 3]),
            helper.make_node("Reshape", ["by_step", "joined"], ["flat"]),
            helper.make_node("Transpose", ["flat"], ["y"], perm=[1, 0, 2]),
        ]


@pytest.mark.parametrize("op", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("batch, steps, size, hidden", [(1, 1, 3, 5), (3, 7, 10, 16), (2, 50, 4, 33)])
def test_a_recurrent_layer(signetctl, tmp_path, op, directions, batch, steps, size, hidden):
    layer = Layer(op, size, hidden, directions)
    graph = helper.make_graph(
        layer.nodes, "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "time", size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None),
         helper.make_tensor_value_info("h", TensorProto.FLOAT, None)], layer.weights)
    check(signetctl, tmp_path / "case", graph, {"x": floats(batch, steps, size)})


VOCABULARY, WIDTH, END = 13, 8, 0


def decoder_body():
    """(round, go on, token, h) -> (go on, token, h, token): embed, one step of a GRU, the best
    word, stop at END. The weights are captured."""
    nodes = [
        helper.make_node("Gather", ["embedding", "token"], ["e"]),
        helper.make_node("Unsqueeze", ["e", "zero"], ["step"]),
        helper.make_node("GRU", ["step", "w", "r", "b", "", "h"], ["all", "h_next"],
                         hidden_size=WIDTH, linear_before_reset=1),
        helper.make_node("Squeeze", ["h_next", "zero"], ["last"]),
        helper.make_node("MatMul", ["last", "words"], ["scores"]),
        helper.make_node("ArgMax", ["scores"], ["best"], axis=1, keepdims=0),
        helper.make_node("Equal", ["best", "end"], ["ended"]),
        helper.make_node("Squeeze", ["ended"], ["over"]),
        helper.make_node("Not", ["over"], ["go_on"]),
        helper.make_node("Identity", ["best"], ["said"]),
    ]
    value = helper.make_tensor_value_info
    return helper.make_graph(
        nodes, "body",
        [value("round", TensorProto.INT64, []), value("go", TensorProto.BOOL, []),
         value("token", TensorProto.INT64, [1]), value("h", TensorProto.FLOAT, [1, 1, WIDTH])],
        [value("go_on", TensorProto.BOOL, []), value("best", TensorProto.INT64, [1]),
         value("h_next", TensorProto.FLOAT, [1, 1, WIDTH]), value("said", TensorProto.INT64, [1])])


@pytest.mark.parametrize("seed", range(4))
def test_a_decoder_that_loops_until_it_says_the_end(signetctl, tmp_path, seed):
    random = np.random.default_rng(seed)
    weights = {"embedding": (VOCABULARY, WIDTH), "w": (1, 3 * WIDTH, WIDTH),
               "r": (1, 3 * WIDTH, WIDTH), "b": (1, 6 * WIDTH), "words": (WIDTH, VOCABULARY)}
    fixed = [numpy_helper.from_array(random.standard_normal(s).astype(np.float32), n)
             for n, s in weights.items()]
    fixed += [int64s("zero", 0), int64s("end", END), int64s("first", 1),
              numpy_helper.from_array(np.array(25, np.int64), "most"),
              numpy_helper.from_array(np.array(True), "yes")]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Loop", ["most", "yes", "first", "h0"], ["t", "h_last", "said_all"],
                          body=decoder_body())], "g",
        [value("h0", TensorProto.FLOAT, [1, 1, WIDTH])],
        [value("said_all", TensorProto.INT64, None), value("h_last", TensorProto.FLOAT, None)],
        fixed)
    check(signetctl, tmp_path / "case", graph,
          {"h0": random.standard_normal((1, 1, WIDTH)).astype(np.float32)})
