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
    mask = d.pick(None, d.ints(0, 2, b, total), d.ints(0, 2, b, s, total), d.ints(1, total + 1, b),
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
    mask = d.pick(None, d.ints(0, 2, b, total), d.ints(0, 2, b, s, total), d.ints(1, total + 1, b))
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
}

# What models have as initializers.
CONSTANTS = ("w", "bias", "cos", "sin", "gamma", "beta", "word", "position", "segment")


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
