# SPDX-License-Identifier: Apache-2.0
"""Generators: recurrent networks and attention."""
import numpy as np

from .ops import Known, generator

FLOATS = ("float", "double", "float16")
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
ACTIVATIONS = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}
OTHERS = ["Relu", "HardSigmoid", "Softsign", "LeakyRelu", "Elu", "ThresholdedRelu", "Affine", "Softplus", "ScaledTanh"]


@generator(*GATES)
def recurrent(d):
    t, b, i, h = d.int(1, 7), d.int(1, 4), d.int(1, 9), d.int(1, 9)
    direction = d.pick([None, "forward", "reverse", "bidirectional"])
    n, gates, layout = 2 if direction == "bidirectional" else 1, GATES[d.op], d.pick([None, None, 0, 1])
    dtype = d.dtype(only=FLOATS)
    def some(*shape):
        return d.values(dtype, list(shape), low=-0.8, high=0.8)
    def state():
        return d.maybe(some(b, n, h) if layout else some(n, b, h))
    lens = d.maybe(d.rng.integers(1, t + 1, b).astype(np.int32), 0.3)
    inputs = [some(b, t, i) if layout else some(t, b, i), Known(some(n, gates * h, i)), Known(some(n, gates * h, h)),
              d.maybe(Known(some(n, 2 * gates * h)), 0.7), lens, state()]
    attrs = {"hidden_size": h, "direction": direction, "layout": layout, "clip": d.maybe(d.float(0.3, 2), 0.15)}
    if d.op == "LSTM":
        inputs += [state(), d.maybe(Known(some(n, 3 * h)), 0.3)]
        attrs["input_forget"] = d.pick([None, None, None, 0])
    if d.op == "GRU":
        attrs["linear_before_reset"] = d.pick([None, 0, 1])
    if d.chance(0.2):
        names = [d.pick(OTHERS[:4]) if d.chance(0.5) else a for a in ACTIVATIONS[d.op] * n]
        attrs["activations"] = names
    return inputs, attrs, d.int(1, 3 if d.op == "LSTM" else 2), (2e-2, 4e-3) if dtype == np.float16 else (1e-3, 1e-4)


@generator("Attention")
def attention(d):
    dtype = d.dtype(only=FLOATS)
    b, sq, sk = d.int(1, 3), d.int(1, 6), d.int(1, 7)
    kv = d.int(1, 3)
    q, hd, hv = kv * d.int(1, 3), d.int(1, 8), d.int(1, 8)
    flat = d.chance(0.4)
    def some(*shape):
        return d.values(dtype, list(shape), "plain")
    def heads(n, s, size):
        return some(b, s, n * size) if flat else some(b, n, s, size)
    past = d.int(1, 4) if d.chance(0.3) else 0
    mask = None
    if d.chance(0.5):
        shape = d.pick([[sq, sk + past], [1, 1, sq, sk + past], [b, 1, sq, sk + past], [b, q, sq, sk + past]])
        mask = d.rng.random(shape) < 0.8 if d.chance(0.5) else some(*shape)
        if mask.dtype == np.bool_:
            mask[..., 0] = True
    attrs = {"scale": d.maybe(d.float(0.1, 1), 0.4), "is_causal": d.pick([None, None, 0, 1]),
             "softcap": d.maybe(d.float(1, 5), 0.2)}
    if flat:
        attrs.update(q_num_heads=q, kv_num_heads=kv)
    n_out = 3 if past or d.chance(0.3) else 1
    return [heads(q, sq, hd), heads(kv, sk, hd), heads(kv, sk, hv), mask, some(b, kv, past, hd) if past else None,
            some(b, kv, past, hv) if past else None], attrs, n_out, (1e-2, 4e-3) if dtype == np.float16 else (1e-3, 1e-4)


@generator("RotaryEmbedding")
def rotary_embedding(d):
    dtype = d.dtype(only=("float", "float16"))
    b, s, n, half = d.int(1, 3), d.int(1, 5), d.int(1, 3), d.int(1, 4)
    rest = 2 * d.int(0, 2)
    size, flat, ids = 2 * half + rest, d.chance(0.4), d.chance(0.6)
    x = d.values(dtype, [b, s, n * size] if flat else [b, n, s, size], "plain")
    table = [9, half] if ids else [b, s, half]
    return [x, d.values(dtype, table, low=-1, high=1), d.values(dtype, table, low=-1, high=1),
            d.values(np.int64, [b, s], low=0, high=8) if ids else None], \
        {"num_heads": n if flat else None, "rotary_embedding_dim": 2 * half if rest else None,
         "interleaved": d.pick([None, 0, 1])}, 1


@generator("TensorScatter")
def tensor_scatter(d):
    b, length = d.int(1, 3), d.int(1, 7)
    shape = [b] + [d.int(1, 4) for _ in range(d.int(1, 3))]
    axis = d.int(1, len(shape) - 1)
    update = list(shape)
    shape[axis], update[axis] = length, d.int(1, length)
    mode = d.pick([None, "linear", "circular"])
    room = length - 1 if mode == "circular" else length - update[axis]
    dtype = d.dtype(only=("float", "int64", "float16", "uint8", "bool"))
    at = d.values(np.int64, [b], low=0, high=room) if d.chance(0.8) else None
    return [d.values(dtype, shape), d.values(dtype, update), at], \
        {"mode": mode, "axis": axis - len(shape) if d.chance(0.3) or axis != len(shape) - 2 else None}, 1


@generator("LinearAttention")
def linear_attention(d):
    b, t, kv, dk, dv = d.int(1, 2), d.int(1, 5), d.int(1, 2), d.int(1, 4), d.int(1, 4)
    q, rule = kv * d.int(1, 2), d.pick([None, "linear", "gated", "delta", "gated_delta"])
    gated = rule in (None, "gated", "gated_delta")
    delta = rule in (None, "delta", "gated_delta")
    def some(*shape):
        return d.values(np.float32, list(shape), low=-0.7, high=0.7)
    decay = d.values(np.float32, [b, t, kv * (dk if d.chance(0.5) else 1)], low=-1, high=0) if gated else None
    beta = d.values(np.float32, [b, t, kv], low=0, high=1) if delta else None
    return [some(b, t, q * dk), some(b, t, kv * dk), some(b, t, kv * dv), d.maybe(some(b, kv, dk, dv)), decay, beta], \
        {"q_num_heads": q, "kv_num_heads": kv, "update_rule": rule, "scale": d.maybe(d.float(0.2, 1), 0.3)}, 2, (1e-3, 1e-4)


@generator("CausalConvWithState")
def causal_conv(d):
    b, c, t, k = d.int(1, 3), d.int(1, 5), d.int(1, 7), d.int(1, 4)
    def some(*shape):
        return d.values(np.float32, list(shape), "plain")
    return [some(b, c, t), some(c, 1, k), d.maybe(some(c)), d.maybe(some(b, c, k - 1)) if k > 1 else None], \
        {"activation": d.pick([None, "none", "silu", "swish"])}, 2, (1e-3, 1e-4)
