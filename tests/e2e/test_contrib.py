# SPDX-License-Identifier: Apache-2.0
"""Operators of transformers and of recurrence, com.microsoft's and ai.onnx's, against ONNX Runtime:
random shapes and attributes from fixed seeds, some constants, all that ONNX Runtime's CPU takes.
What it does not take is compared with the same thing said in other words."""
import numpy as np
import peer
import pytest
from onnx import TensorProto, helper

CASES = 24
MS = "com.microsoft"


class Draw:
    """Random choices of one case."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)

    def floats(self, *shape, scale=1.0):
        return (self.random.standard_normal(shape) * scale).astype(np.float32)

    def ints(self, low, high, *shape, dtype=np.int32):
        return self.random.integers(low, high, shape, dtype=dtype)

    def mask(self, *shape):
        """Each row sees something: else its scores are what float leaves of them beside -10000."""
        mask = self.ints(0, 2, *shape)
        mask[..., 0] = 1
        return mask

    def pick(self, *choices):
        return choices[self.random.integers(len(choices))]

    def maybe(self, value, chance=0.5):
        return value if self.random.random() < chance else None


def gelu(d):
    return dict(x=d.floats(d.pick(1, 3), d.pick(1, 5), 7, scale=2)), ["y"], {}


def bias_gelu(d):
    n = d.pick(1, 7, 33)
    return dict(x=d.floats(3, 5, n), b=d.floats(n)), ["y"], {}


def fast_gelu(d):
    n = d.pick(1, 7, 33)
    return dict(x=d.floats(3, 5, n, scale=2), b=d.maybe(d.floats(n))), ["y"], {}


def quick_gelu(d):
    return dict(x=d.floats(3, 17)), ["y"], d.pick({}, {"alpha": 1.0}, {"alpha": -0.5})


def skip_norm(d):
    b, s, n = d.pick(1, 2), d.pick(1, 5), d.pick(1, 8, 65)
    skip = d.floats(*d.pick((b, s, n), (1, s, n), (s, n)))
    feeds = dict(x=d.floats(b, s, n), skip=skip, gamma=d.floats(n), beta=d.maybe(d.floats(n)),
                 bias=d.maybe(d.floats(n)))
    return feeds, d.pick(["y"], ["y", "", "", "sum"]), d.pick({}, {"epsilon": 1e-3})


def skip_simplified_norm(d):
    b, s, n = d.pick(1, 2), d.pick(1, 5), d.pick(1, 8, 65)
    feeds = dict(x=d.floats(b, s, n), skip=d.floats(b, s, n), gamma=d.floats(n),
                 bias=d.maybe(d.floats(n)))
    return feeds, d.pick(["y"], ["y", "", "", "sum"]), d.pick({}, {"epsilon": 1e-3})


def simplified_norm(d):
    n = d.pick(1, 8, 65)
    attrs = d.pick({}, {"epsilon": 1e-3}, {"axis": 2})
    return dict(x=d.floats(2, 3, n), scale=d.floats(n)), d.pick(["y"], ["y", "inv"]), attrs


def embed_layer_norm(d):
    b, s, n = d.pick(1, 3), d.pick(1, 6), d.pick(4, 9)
    segments = d.pick(True, False)
    feeds = dict(ids=d.ints(0, 11, b, s), segments=d.ints(0, 2, b, s) if segments else None,
                 word=d.floats(11, n), position=d.floats(8, n),
                 segment=d.floats(2, n) if segments else None, gamma=d.floats(n), beta=d.floats(n),
                 mask=d.maybe(d.ints(0, 2, b, s)),
                 positions=d.maybe(d.ints(0, 8, d.pick(1, b), s)))
    return feeds, d.pick(["y", "mask_index"], ["y", "mask_index", "sum"]), {}


def rotary(d):
    b, h, s, n = d.pick(1, 2), d.pick(1, 3), d.pick(1, 5), d.pick(4, 8)
    turned = d.pick(0, 4)
    half = (turned or n) // 2
    rank4 = d.pick(True, False)
    x = d.floats(b, h, s, n) if rank4 else d.floats(b, s, h * n)
    at = d.pick(d.ints(0, 4, 1, dtype=np.int64), d.ints(0, 9, b, s, dtype=np.int64))
    attrs = {"interleaved": d.pick(0, 1)}
    if turned or (not rank4 and d.pick(True, False)):
        attrs["num_heads"] = h
    if turned:
        attrs["rotary_embedding_dim"] = turned
    return dict(x=x, at=at, cos=d.floats(9, half), sin=d.floats(9, half)), ["y"], attrs


def attention(d):
    b, s, past, heads, n = d.pick(1, 3), d.pick(1, 5), d.pick(0, 4), d.pick(1, 2), d.pick(4, 6)
    past = past if d.pick(True, False) else 0
    total, q, wide = s + past, heads * n, 10
    v = q if past else d.pick(q, heads * 3)
    mask = d.pick(None, d.mask(b, total), d.mask(b, s, total), d.ints(1, total + 1, b),
                  np.concatenate([d.ints(2, total + 1, b), d.ints(0, 2, b)]) if total > 1 else None)
    feeds = dict(x=d.floats(b, s, wide), w=d.floats(wide, 2 * q + v, scale=0.3),
                 bias=d.floats(2 * q + v), mask=mask,
                 past=d.floats(2, b, heads, past, n) if past else None,
                 scores=None if past else d.maybe(d.floats(d.pick(1, b), d.pick(1, heads), s, total)))
    attrs = dict(num_heads=heads, unidirectional=d.pick(0, 1))
    if v != q:
        attrs["qkv_hidden_sizes"] = [q, q, v]
    attrs.update(d.pick({}, {"scale": 0.7}, {"mask_filter_value": -5.0}))
    return feeds, ["y", "present"] if v == q else ["y"], attrs


def eight_bit(d, *shape, kind=np.uint8):
    low = np.iinfo(kind).min
    return d.ints(low, low + 256, *shape, dtype=kind)


def qattention(d):
    b, s, heads, n = d.pick(1, 3), d.pick(1, 5), d.pick(1, 2), d.pick(4, 6)
    past, q, wide = d.pick(0, 4), heads * n, 10
    total, kind, columns = s + past, d.pick(np.uint8, np.int8), d.pick((), (3 * q,))
    mask = d.pick(None, d.mask(b, total), d.mask(b, s, total), d.ints(1, total + 1, b))
    feeds = dict(x=eight_bit(d, b, s, wide), w=eight_bit(d, wide, 3 * q, kind=kind), bias=d.floats(3 * q),
                 x_scale=np.float32(0.01), w_scale=np.abs(d.floats(*columns, scale=0.01)) + np.float32(0.001),
                 mask=mask, x_zero=d.maybe(eight_bit(d)), w_zero=d.maybe(eight_bit(d, *columns, kind=kind)),
                 past=d.floats(2, b, heads, past, n) if past else None)
    attrs = dict(num_heads=heads, unidirectional=d.pick(0, 1))
    attrs.update(d.pick({}, {"mask_filter_value": -5.0}))
    return {k: None if v is None else np.asarray(v) for k, v in feeds.items()}, ["y", "present"] if past else ["y"], attrs


def q_embed_layer_norm(d):
    b, s, n = d.pick(1, 3), d.pick(1, 6), d.pick(4, 9)
    segments, kind = d.pick(True, False), d.pick(np.uint8, np.int8)
    feeds = dict(ids=d.ints(0, 11, b, s), segments=d.ints(0, 2, b, s) if segments else None,
                 word=eight_bit(d, 11, n, kind=kind), position=eight_bit(d, 8, n, kind=kind),
                 segment=eight_bit(d, 2, n, kind=kind) if segments else None, gamma=eight_bit(d, n, kind=kind),
                 beta=eight_bit(d, n, kind=kind), mask=d.maybe(d.ints(0, 2, b, s)))
    parts = ["word", "position", "segment", "gamma", "beta"]
    given = lambda part, value: None if part == "segment" and not segments else np.asarray(value)
    feeds.update({f"{p}_scale": given(p, np.float32(0.01 * (i + 1))) for i, p in enumerate(parts)})
    feeds.update({f"{p}_zero": given(p, eight_bit(d, kind=kind)) for p in parts})
    return feeds, ["y", "mask_index"], {}


def multi_head_attention(d):
    b, s, heads, n = d.pick(1, 3), d.pick(1, 5), d.pick(1, 2), d.pick(4, 6)
    past, kv, q = d.pick(0, 3), d.pick(s, 4), heads * n
    given = d.pick(True, False) and not past # keys and values of cross attention
    v = q if past or given else d.pick(q, heads * 3)
    total = kv + past
    mask = d.pick(None, d.mask(b, total), d.mask(b, s, total), d.ints(1, total + 1, b))
    feeds = dict(q=d.floats(b, s, q),
                 k=d.floats(b, heads, kv, n) if given else d.floats(b, kv, q),
                 v=d.floats(b, heads, kv, n) if given else d.floats(b, kv, v),
                 bias=d.maybe(d.floats(2 * q + v)) if not given else None, mask=mask,
                 scores=d.maybe(d.floats(d.pick(1, b), d.pick(1, heads), s, total), 0.3),
                 past_k=d.floats(b, heads, past, n) if past else None,
                 past_v=d.floats(b, heads, past, n) if past else None)
    attrs = dict(num_heads=heads, unidirectional=d.pick(0, 1) if s == kv else 0)
    attrs.update(d.pick({}, {"scale": 0.7}, {"mask_filter_value": -5.0}))
    # Where nobody asks for the presents, ONNX Runtime passes over the pasts.
    return feeds, ["y", "present_k", "present_v"] if past else d.pick(["y"], ["y", "present_k"]), attrs


def group_query_attention(d):
    b, kv, group, n = d.pick(1, 2), d.pick(1, 2), d.pick(1, 3), d.pick(16, 32)
    heads, prompt = kv * group, d.pick(True, False)
    s = d.pick(1, 6) if prompt else d.pick(1, 1, 3) if b == 1 else 1
    room = 0 if prompt else d.pick(4, 9)
    # Lengths with what is new; the longest makes the total. A cache has room for what is new,
    # or grows by just that.
    ends = d.ints(s, room + 1, b) if room else np.full(b, s)
    ends[0] = d.pick(s + 1, room, room + s) if room else s
    total = int(ends.max())
    packed, rotary = d.pick(True, False), d.pick(True, False)
    q, k, v = d.floats(b, s, heads * n), d.floats(b, s, kv * n), d.floats(b, s, kv * n)
    half = d.pick(8, n // 2)
    # Of a prompt ONNX Runtime looks at the first position only.
    first = d.ints(0, 9, 1 if prompt else b, 1, dtype=np.int64)
    positions = np.broadcast_to(first + np.arange(s), (b, s)).copy() if d.pick(True, False) else None
    feeds = dict(q=np.concatenate([q, k, v], 2) if packed else q, k=None if packed else k,
                 v=None if packed else v,
                 past_k=d.floats(b, kv, room, n) if room else None,
                 past_v=d.floats(b, kv, room, n) if room else None,
                 lengths=(ends - 1).astype(np.int32), total=np.array(total, np.int32),
                 cos=d.floats(32, half) if rotary else None,
                 sin=d.floats(32, half) if rotary else None,
                 positions=positions if rotary else None,
                 scores=d.maybe(d.floats(d.pick(1, b), d.pick(1, heads), s, total), 0.3),
                 sink=d.maybe(d.floats(heads), 0.3))
    attrs = dict(num_heads=heads, kv_num_heads=kv)
    if rotary:
        attrs.update(do_rotary=1, rotary_interleaved=d.pick(0, 1))
    attrs.update(d.pick({}, {"scale": 0.7}, {"softcap": 2.0}, {"local_window_size": 2}))
    if feeds["sink"] is None:
        attrs.update(d.pick({}, {"smooth_softmax": 1}))
    return feeds, ["y", "present_k", "present_v"], attrs


def dynamic_quantize_lstm(d):
    steps, b, size, n, dirs = d.pick(1, 5), d.pick(1, 3), d.pick(1, 9), d.pick(4, 6), d.pick(1, 2)
    each = d.pick(True, False)
    low, kind = d.pick((-128, np.int8), (0, np.uint8))
    scale = (dirs, 4 * n) if each else (dirs,)
    zero = np.zeros(scale, kind) # ONNX Runtime takes no other
    feeds = dict(x=d.floats(steps, b, size),
                 w=d.ints(low, low + 256, dirs, size, 4 * n, dtype=kind),
                 r=d.ints(low, low + 256, dirs, n, 4 * n, dtype=kind),
                 b=d.maybe(d.floats(dirs, 8 * n)), lengths=None, h=d.maybe(d.floats(dirs, b, n)),
                 c=d.maybe(d.floats(dirs, b, n)), peepholes=d.maybe(d.floats(dirs, 3 * n)),
                 w_scale=np.abs(d.floats(*scale)) / 100 + 1e-3, w_zero=zero,
                 r_scale=np.abs(d.floats(*scale)) / 100 + 1e-3, r_zero=zero)
    attrs = dict(hidden_size=n, direction="bidirectional" if dirs == 2 else d.pick("forward", "reverse"))
    return feeds, ["y", "h_last", "c_last"], attrs


def functions(d, count):
    """Activations of a recurrent cell, with parameters for those that have some."""
    if d.pick(True, False):
        return {}
    known = {"Relu": 0, "Tanh": 0, "Sigmoid": 0, "Affine": 2, "LeakyRelu": 1, "ThresholdedRelu": 1,
             "ScaledTanh": 2, "HardSigmoid": 2, "Elu": 1, "Softsign": 0, "Softplus": 0}
    names = [d.pick(*known) for _ in range(count)]
    number = lambda: float(np.round(d.random.uniform(0.1, 0.9), 2))
    return dict(activations=names,
                activation_alpha=[number() for n in names if known[n] >= 1],
                activation_beta=[number() for n in names if known[n] == 2])


def recurrent(d, gates, count, states, attrs):
    steps, b, size, n, dirs = d.pick(1, 6), d.pick(1, 4), d.pick(1, 9), d.pick(1, 5), d.pick(1, 2)
    scale = 0.5 / n ** 0.5
    feeds = dict(x=d.floats(steps, b, size), w=d.floats(dirs, gates * n, size, scale=scale),
                 r=d.floats(dirs, gates * n, n, scale=scale),
                 b=d.maybe(d.floats(dirs, 2 * gates * n)),
                 lengths=d.maybe(d.ints(0, steps + 1, b)), h=d.maybe(d.floats(dirs, b, n)))
    attrs = dict(hidden_size=n, **attrs, **functions(d, count * dirs))
    attrs["direction"] = "bidirectional" if dirs == 2 else d.pick("forward", "reverse")
    if d.pick(True, False):
        attrs["clip"] = 0.8
    attrs = {k: v for k, v in attrs.items() if v != []}
    if states == 2:
        feeds.update(c=d.maybe(d.floats(dirs, b, n)), peepholes=d.maybe(d.floats(dirs, 3 * n)))
    return feeds, ["y", "h_last", "c_last"][:1 + states], attrs


def rnn(d):
    return recurrent(d, 1, 1, 1, {})


def gru(d):
    return recurrent(d, 3, 2, 1, {"linear_before_reset": d.pick(0, 1)})


def lstm(d):
    return recurrent(d, 4, 3, 2, {"input_forget": d.pick(0, 1)})


def attention_23(d):
    b, kv, group, n, v = d.pick(1, 2), d.pick(1, 2), d.pick(1, 3), d.pick(4, 9), d.pick(4, 8)
    s, t, past, heads = d.pick(1, 5, 100), d.pick(1, 5, 300), d.pick(0, 0, 3), kv * group
    flat = d.pick(True, False)
    shape = (lambda h, l, n: (b, l, h * n)) if flat else (lambda h, l, n: (b, h, l, n))
    total = t + past
    mask = d.pick(None, d.floats(s, total), d.floats(d.pick(1, b), d.pick(1, heads), s, total),
                  d.mask(s, total).astype(bool))
    feeds = dict(q=d.floats(*shape(heads, s, n)), k=d.floats(*shape(kv, t, n)),
                 v=d.floats(*shape(kv, t, v)), mask=mask,
                 past_k=d.floats(b, kv, past, n) if past else None,
                 past_v=d.floats(b, kv, past, v) if past else None)
    attrs = dict(q_num_heads=heads, kv_num_heads=kv) if flat else {}
    # One query sees all keys in ONNX Runtime, also those that come after it.
    attrs.update(is_causal=d.pick(0, 1) if s > 1 or t == 1 else 0)
    attrs.update(d.pick({}, {"scale": 0.7}, {"softcap": 2.0}))
    return feeds, ["y", "present_k", "present_v"] if past else ["y"], attrs


def rotary_23(d):
    feeds, outputs, attrs = rotary(d)
    x, at = feeds["x"], feeds["at"]
    b, s = x.shape[0], x.shape[-2]
    if at.ndim == 1:
        at = np.broadcast_to(at + np.arange(s), (b, s)).copy()
    half = feeds["cos"].shape[1]
    if x.ndim == 3:
        attrs.setdefault("num_heads", x.shape[2] // (2 * half))
    return dict(x=x, cos=feeds["cos"], sin=feeds["sin"], at=at), outputs, attrs


def linear_attention(d):
    b, s, kv, group, n, v = d.pick(1, 2), d.pick(1, 5), d.pick(1, 2), d.pick(1, 2), d.pick(4, 8), d.pick(4, 6)
    rule = d.pick("linear", "gated", "delta", "gated_delta")
    feeds = dict(q=d.floats(b, s, kv * group * n), k=d.floats(b, s, kv * n, scale=0.3), v=d.floats(b, s, kv * v),
                 past=d.maybe(d.floats(b, kv, n, v)),
                 decay=-np.abs(d.floats(b, s, kv * d.pick(1, n))) if "gated" in rule else None,
                 beta=np.abs(d.floats(b, s, kv, scale=0.3)) if "delta" in rule else None)
    attrs = dict(q_num_heads=kv * group, kv_num_heads=kv, update_rule=rule, **d.pick({}, {"scale": 0.7}))
    return feeds, ["y", "present"], attrs


def causal_conv(d):
    b, n, s, taps = d.pick(1, 2), d.pick(3, 8), d.pick(1, 5), d.pick(2, 4)
    feeds = dict(x=d.floats(b, n, s), w=d.floats(n, 1, taps), bias=d.maybe(d.floats(n)),
                 past=d.maybe(d.floats(b, n, taps - 1)))
    return feeds, ["y", "present"], d.pick({}, {"activation": "silu"}, {"activation": "none", "ndim": 1})


# domain, opset of ai.onnx, operator
OPERATORS = [
    (MS, 17, "Gelu", gelu),
    (MS, 17, "BiasGelu", bias_gelu),
    (MS, 17, "FastGelu", fast_gelu),
    (MS, 17, "QuickGelu", quick_gelu),
    (MS, 17, "SkipLayerNormalization", skip_norm),
    (MS, 17, "SkipSimplifiedLayerNormalization", skip_simplified_norm),
    ("", 17, "SimplifiedLayerNormalization", simplified_norm),
    (MS, 17, "EmbedLayerNormalization", embed_layer_norm),
    (MS, 17, "QEmbedLayerNormalization", q_embed_layer_norm),
    (MS, 17, "RotaryEmbedding", rotary),
    (MS, 17, "Attention", attention),
    (MS, 17, "QAttention", qattention),
    (MS, 17, "MultiHeadAttention", multi_head_attention),
    (MS, 17, "GroupQueryAttention", group_query_attention),
    (MS, 17, "LinearAttention", linear_attention),
    (MS, 17, "CausalConvWithState", causal_conv),
    (MS, 17, "DynamicQuantizeLSTM", dynamic_quantize_lstm),
    ("", 14, "RNN", rnn),
    ("", 14, "GRU", gru),
    ("", 14, "LSTM", lstm),
    ("", 23, "Attention", attention_23),
    ("", 23, "RotaryEmbedding", rotary_23),
]

# What models have as initializers.
CONSTANTS = ("w", "r", "w_scale", "r_scale", "w_zero", "r_zero", "bias", "cos", "sin", "gamma", "beta", "word", "position", "segment")


@pytest.mark.parametrize("domain, opset, op, draw", OPERATORS,
                         ids=[f"{d or 'ai.onnx'}-{op}" for d, _, op, _ in OPERATORS])
def test_gives_onnx_runtimes_answers(signetctl, tmp_path, domain, opset, op, draw):
    folders = []
    for seed in range(CASES):
        feeds, outputs, attrs = draw(Draw((seed, *op.encode())))
        model = peer.model_of(op, feeds, outputs, attrs, domain, opset,
                              constants=CONSTANTS if seed % 2 else ("w",))
        folders.append(tmp_path / f"{op}_{seed}")
        peer.write_case(folders[-1], model, feeds, peer.answers(model, feeds))
    peer.compare(signetctl, folders)


# -- what ONNX Runtime's CPU does not take --------------------------------------------------------------

def softmax(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


@pytest.mark.parametrize("axis, bias, inner", [(3, (2, 1, 1, 7), 1), (3, (1, 1, 5, 7), 0),
                                               (2, (2, 1, 5, 7), 1), (-1, (2, 3, 5, 7), 0)])
def test_bias_softmax(signetctl, tmp_path, axis, bias, inner):
    d = Draw(axis + 1)
    feeds = dict(x=d.floats(2, 3, 5, 7), b=d.floats(*bias))
    model = peer.model_of("BiasSoftmax", feeds, ["y"], dict(axis=axis, is_inner_broadcast=inner), MS)
    want = softmax(feeds["x"] + feeds["b"], (2, 3) if axis == 2 else 3)
    peer.write_case(tmp_path / "case", model, feeds, [want])
    peer.compare(signetctl, [tmp_path / "case"])


@pytest.mark.parametrize("parts", [2, 3])
def test_packed_operands_are_the_same_as_apart(signetctl, tmp_path, parts):
    d, heads, n = Draw(parts), 2, 4
    q, k, v = (d.floats(2, 3, heads, n) for _ in range(3))
    flat = [a.reshape(2, 3, heads * n) for a in (q, k, v)]
    attrs = dict(num_heads=heads, unidirectional=1)
    apart = dict(zip("qkv", flat))
    want = peer.answers(peer.model_of("MultiHeadAttention", apart, ["y"], attrs, MS), apart)
    if parts == 3:
        feeds = dict(q=np.stack([q, k, v], 3))
    else:
        feeds = dict(q=flat[0], kv=np.stack([k, v], 3))
    model = peer.model_of("MultiHeadAttention", feeds, ["y"], attrs, MS)
    peer.write_case(tmp_path / "case", model, feeds, want)
    peer.compare(signetctl, [tmp_path / "case"])


@pytest.mark.parametrize("heads", [2, 6])
def test_flex_attention_with_bodies_that_capture(signetctl, tmp_path, heads):
    """score * slope, then softmax, then probability + shift, both from outside of the body."""
    d = Draw(heads)
    feeds = dict(q=d.floats(2, heads, 3, 4), k=d.floats(2, 2, 5, 4), v=d.floats(2, 2, 5, 7),
                 slope=d.floats(1), shift=d.floats(5))

    def body(op, name):
        value = helper.make_tensor_value_info
        return helper.make_graph([helper.make_node(op, ["s", name], ["t"])], op,
                                 [value("s", TensorProto.FLOAT, [2, heads, 3, 5])],
                                 [value("t", TensorProto.FLOAT, [2, heads, 3, 5])])

    attrs = dict(score_mod=body("Mul", "slope"), prob_mod=body("Add", "shift"))
    model = peer.model_of("FlexAttention", feeds, ["y"], attrs, "ai.onnx.preview", opset=23)
    del model.graph.node[0].input[3:] # the bodies have them
    k, v = (np.repeat(feeds[n], heads // 2, 1) for n in "kv")
    scores = feeds["q"] @ k.swapaxes(2, 3) / 2 * feeds["slope"]
    peer.write_case(tmp_path / "case", model, feeds, [(softmax(scores, 3) + feeds["shift"]) @ v])
    peer.compare(signetctl, [tmp_path / "case"])
