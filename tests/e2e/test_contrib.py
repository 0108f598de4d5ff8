# SPDX-License-Identifier: Apache-2.0
"""com.microsoft's operators of transformers against ONNX Runtime: random shapes and attributes
from fixed seeds, some constants, all that ONNX Runtime's CPU takes."""
import numpy as np
import peer
import pytest

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


OPERATORS = {
    "Gelu": gelu,
    "BiasGelu": bias_gelu,
    "FastGelu": fast_gelu,
    "QuickGelu": quick_gelu,
    "SkipLayerNormalization": skip_norm,
    "SkipSimplifiedLayerNormalization": skip_simplified_norm,
    "SimplifiedLayerNormalization": simplified_norm,
    "EmbedLayerNormalization": embed_layer_norm,
    "RotaryEmbedding": rotary,
    "Attention": attention,
    "MultiHeadAttention": multi_head_attention,
    "GroupQueryAttention": group_query_attention,
    "DynamicQuantizeLSTM": dynamic_quantize_lstm,
}

# What models have as initializers.
CONSTANTS = ("w", "r", "w_scale", "r_scale", "w_zero", "r_zero", "bias", "cos", "sin", "gamma", "beta", "word", "position", "segment")


@pytest.mark.parametrize("op", OPERATORS)
def test_gives_onnx_runtimes_answers(signetctl, tmp_path, op):
    folders = []
    for seed in range(CASES):
        draw = Draw((seed, *op.encode()))
        feeds, outputs, attrs = OPERATORS[op](draw)
        domain = "" if op == "SimplifiedLayerNormalization" else MS
        model = peer.model_of(op, feeds, outputs, attrs, domain, opset=17,
                              constants=CONSTANTS if seed % 2 else ("w",))
        folders.append(tmp_path / f"{op}_{seed}")
        peer.write_case(folders[-1], model, feeds, peer.answers(model, feeds))
    peer.compare(signetctl, folders)
