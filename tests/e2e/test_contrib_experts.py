# SPDX-License-Identifier: Apache-2.0
"""Mixtures of experts of com.microsoft against ONNX Runtime: floats, and weights of few bits."""
import itertools

import numpy as np
import peer
import pytest

F32 = np.float32
MS = "com.microsoft"
GATED = dict(activation_type="swiglu", activation_alpha=1.702, activation_beta=1.0, swiglu_limit=2.0)


def test_moe(signetctl, tmp_path):
    folders, rng = [], np.random.default_rng(7)
    floats = lambda *shape: rng.standard_normal(shape).astype(F32) / 2
    for tokens, experts, k, normalize, kind in itertools.product(
            [(1,), (2, 3), (90,)], [4, 9], [1, 3], [0, 1], ["relu", "gelu", "silu", "identity", "swiglu"]):
        h, i = 16, 40
        gated = kind == "swiglu"
        n = 2 * i if gated else i
        bias = rng.random() < 0.5
        feeds = dict(x=floats(*tokens, h), router=floats(int(np.prod(tokens)), experts), w1=floats(experts, n, h),
                     b1=floats(experts, n) if bias else None, w2=floats(experts, h, i),
                     b2=floats(experts, h) if bias else None)
        attrs = dict(k=k, normalize_routing_weights=normalize, activation_type=kind)
        attrs |= GATED | dict(swiglu_fusion=1) if gated else {}
        model = peer.model_of("MoE", feeds, ["y"], attrs, MS, constants=("w1", "b1", "w2", "b2"))
        folders.append(tmp_path / f"{len(folders)}_{kind}_{k}_{experts}_{normalize}")
        peer.write_case(folders[-1], model, feeds, peer.answers(model, feeds))
    peer.compare(signetctl, folders, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("bits, block, zero", [(4, 16, True), (4, 32, False), (8, 32, False), (8, 32, True), (4, 0, False),
                                               (8, 0, False), (2, 16, True)])
@pytest.mark.parametrize("kind", ["swiglu", "silu"])
def test_qmoe(signetctl, tmp_path, bits, block, zero, kind):
    folders, rng = [], np.random.default_rng(bits + block)
    floats = lambda *shape: rng.standard_normal(shape).astype(F32)
    byte = lambda *shape: rng.integers(0, 256, shape).astype(np.uint8)
    scale = lambda *shape: rng.uniform(0.5, 1, shape).astype(F32) / F32(2**bits)
    for tokens, experts, k, normalize in itertools.product([(1,), (2, 3), (60,)], [3, 8], [1, 2], [0, 1]):
        h, i = 64, 96
        n = 2 * i if kind == "swiglu" else i
        def layer(name, n, length):
            blocks = (length // block,) if block else ()
            zeros = byte(experts, n, (length // block * bits + 7) // 8) if zero else None
            return {f"{name}_w": byte(experts, n, length * bits // 8), f"{name}_s": scale(experts, n, *blocks),
                    f"{name}_b": floats(experts, n) if experts == 8 else None}, zeros
        first, first_zeros = layer("fc1", n, h)
        second, second_zeros = layer("fc2", h, i)
        feeds = dict(x=floats(*tokens, h), router=floats(int(np.prod(tokens)), experts), **first, **second, fc3_w=None,
                     fc3_s=None, fc3_b=None, z1=first_zeros, z2=second_zeros, z3=None,
                     mix=rng.random((int(np.prod(tokens)), experts)).astype(F32) if k == 2 else None)
        attrs = dict(k=k, normalize_routing_weights=normalize, activation_type=kind, expert_weight_bits=bits)
        attrs |= dict(block_size=block) if block else {}
        attrs |= GATED | dict(swiglu_fusion=1) if kind == "swiglu" else {}
        model = peer.model_of("QMoE", feeds, ["y"], attrs, MS, constants=[n for n in feeds if n not in ("x", "router", "mix")])
        folders.append(tmp_path / f"{len(folders)}_{k}_{experts}_{normalize}")
        peer.write_case(folders[-1], model, feeds, peer.answers(model, feeds))
    # Of 8 bits ONNX Runtime rounds the rows to 8 bits, too.
    peer.compare(signetctl, folders, rtol=3e-2 if bits == 8 else 2e-3, atol=1 if bits == 8 else 1e-2)
