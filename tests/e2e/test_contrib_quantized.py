# SPDX-License-Identifier: Apache-2.0
"""com.microsoft's fused, quantized and aliased operators against ONNX Runtime, on random numbers.

Seeds are fixed: a case is the same in every run. 8-bit results may differ by one where a number
lies between two of them, as the order of float operations is not the same.
"""
import zlib

import ml_dtypes
import numpy as np
import onnx
import peer
import pytest

F32 = np.float32


def expect_alike(got, want, rtol=1e-5, atol=1e-6, quanta=0):
    """quanta: how far whole numbers may be from each other, in one of a hundred places."""
    assert (got.dtype, got.shape) == (want.dtype, want.shape)
    if quanta and np.issubdtype(want.dtype, np.integer):
        off = np.abs(got.astype(np.int64) - want.astype(np.int64))
        assert off.max(initial=0) <= quanta, f"off by {off.max()}"
        assert np.count_nonzero(off) <= 1 + off.size // 100, f"{np.count_nonzero(off)} of {off.size} are off"
    else:
        np.testing.assert_allclose(got.astype(np.float64), want.astype(np.float64), rtol, atol)


def compare(signetctl, folder, op, inputs, attrs=None, feed=(0,), **bounds):
    """inputs: arrays, or None where absent; those not in feed are initializers."""
    feeds = {f"in{i}": v for i, v in enumerate(inputs)}
    constants = [n for i, n in enumerate(feeds) if i not in feed]
    model = peer.model_of(op, feeds, ["y"], attrs or {}, "com.microsoft", constants=constants)
    want, = peer.answers(model, feeds)
    model.graph.output[0].type.tensor_type.elem_type = onnx.helper.np_dtype_to_tensor_dtype(want.dtype)
    onnx.save(model, folder / "model.onnx")
    args = []
    for name in (i.name for i in model.graph.input):
        np.save(folder / f"{name}.npy", feeds[name])
        args += ["--input", f"{name}={folder}/{name}.npy"]
    signetctl("run", folder / "model.onnx", *args, "--output", f"y={folder}/y.npy")
    expect_alike(np.load(folder / "y.npy"), want, **bounds)


@pytest.fixture
def rng(request):
    return np.random.default_rng(zlib.crc32(request.node.name.encode()))


def real(rng, *shape, dtype=F32):
    return rng.standard_normal(shape).astype(dtype)


def eight_bit(rng, dtype, *shape):
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max + 1, shape, dtype)


def scale(rng, *shape):
    return rng.uniform(0.01, 0.1, shape).astype(F32)


def operand(rng, dtype, *shape):
    """Numbers, scale, zero point."""
    return [eight_bit(rng, dtype, *shape), scale(rng), eight_bit(rng, dtype)]


# -- elementwise, and what moves ----------------------------------------------------------------

BROADCASTS = [((2, 3, 4), (2, 3, 4)), ((2, 3, 4), (4,)), ((3, 1), (1, 5)), ((1,), (2, 2)), ((0, 3), (3,))]


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("op", ["QLinearAdd", "QLinearMul"])
@pytest.mark.parametrize("a, b", BROADCASTS)
def test_binary(signetctl, tmp_path, rng, op, dtype, a, b):
    inputs = operand(rng, dtype, *a) + operand(rng, dtype, *b) + [scale(rng) * F32(20), eight_bit(rng, dtype)]
    compare(signetctl, tmp_path, op, inputs, feed=(0, 3), quanta=1)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("op, attrs", [
    ("QLinearSigmoid", {}), ("QLinearLeakyRelu", {}), ("QLinearLeakyRelu", dict(alpha=0.3)),
    ("QLinearSoftmax", dict(opset=13)), ("QLinearSoftmax", dict(opset=13, axis=1)),
    ("QLinearSoftmax", dict(opset=12, axis=1)), ("QLinearSoftmax", dict(opset=11, axis=2))])
def test_unary(signetctl, tmp_path, rng, op, attrs, dtype):
    y = [F32(1 / 256), eight_bit(rng, dtype)] if op != "QLinearLeakyRelu" else [scale(rng), eight_bit(rng, dtype)]
    if op == "QLinearSoftmax":
        y = [F32(1 / 256), np.array(np.iinfo(dtype).min, dtype)]
    inputs = operand(rng, dtype, 2, 5, 7) + [np.array(v) for v in y]
    # The peer's Softmax looks exponentials up in a table of rounded ones.
    compare(signetctl, tmp_path, op, inputs, attrs, quanta=1)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_where(signetctl, tmp_path, rng, dtype):
    inputs = ([rng.integers(0, 2, (2, 3, 4)).astype(bool)] + operand(rng, dtype, 2, 3, 4)
              + operand(rng, dtype, 4) + [scale(rng), eight_bit(rng, dtype)])
    compare(signetctl, tmp_path, "QLinearWhere", inputs, feed=(0, 1, 4), quanta=1)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("axis, shapes", [(1, [(2, 3), (2, 1), (2, 4)]), (-1, [(2, 3)]), (0, [(1, 2, 3), (4, 2, 3)])])
def test_concat(signetctl, tmp_path, rng, dtype, axis, shapes):
    inputs = [scale(rng), eight_bit(rng, dtype)]
    for shape in shapes:
        inputs += operand(rng, dtype, *shape)
    compare(signetctl, tmp_path, "QLinearConcat", inputs, dict(axis=axis), feed=(2,), quanta=1)


# -- pools ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("attrs", [
    dict(kernel_shape=[2, 3]), dict(kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 1]),
    dict(kernel_shape=[2, 2], pads=[1, 0, 0, 1], count_include_pad=1), dict(kernel_shape=[3, 2], channels_last=1)])
def test_average_pool(signetctl, tmp_path, rng, attrs, dtype):
    inputs = operand(rng, dtype, 2, 5, 6, 7) + [scale(rng), eight_bit(rng, dtype)]
    compare(signetctl, tmp_path, "QLinearAveragePool", inputs, attrs, quanta=1)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("last", [0, 1])
def test_global_average_pool(signetctl, tmp_path, rng, last, dtype):
    inputs = operand(rng, dtype, 2, 5, 6, 7) + [scale(rng), eight_bit(rng, dtype)]
    compare(signetctl, tmp_path, "QLinearGlobalAveragePool", inputs, dict(channels_last=last), quanta=1)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("attrs", [
    dict(kernel_shape=[2, 3]), dict(kernel_shape=[3, 3], pads=[1, 1, 0, 1], strides=[2, 1], dilations=[1, 2])])
def test_nhwc_max_pool(signetctl, tmp_path, rng, attrs, dtype):
    compare(signetctl, tmp_path, "NhwcMaxPool", [eight_bit(rng, dtype, 2, 7, 6, 5)], attrs)


# -- products of 8-bit numbers --------------------------------------------------------------------

PRODUCTS = [((4, 5), (5, 6)), ((2, 3, 5), (5, 6)), ((1, 33), (33, 2)), ((3, 2, 7), (3, 7, 4))]


@pytest.mark.parametrize("a, b", PRODUCTS)
@pytest.mark.parametrize("a_type, b_type, per_column, bias", [
    (np.uint8, np.int8, False, False), (np.uint8, np.uint8, True, True), (np.uint8, np.int8, True, True),
    (np.int8, np.int8, False, True)])
def test_matmul_integer_to_float(signetctl, tmp_path, rng, a, b, a_type, b_type, per_column, bias):
    per_column &= len(b) == 2
    n = (b[-1],) if per_column else ()
    inputs = [eight_bit(rng, a_type, *a), eight_bit(rng, b_type, *b), scale(rng), scale(rng, *n),
              eight_bit(rng, a_type), eight_bit(rng, b_type, *n), real(rng, b[-1]) if bias else None]
    compare(signetctl, tmp_path, "MatMulIntegerToFloat", inputs, feed=(0,), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("b_type", [np.uint8, np.int8])
@pytest.mark.parametrize("a, b", PRODUCTS[:3])
@pytest.mark.parametrize("per_column, zero, bias", [(False, True, True), (True, True, False), (False, False, False)])
def test_dynamic_quantize_matmul(signetctl, tmp_path, rng, a, b, b_type, per_column, zero, bias):
    n = (b[-1],) if per_column else ()
    inputs = [real(rng, *a), eight_bit(rng, b_type, *b), scale(rng, *n),
              eight_bit(rng, b_type, *n) if zero else None, real(rng, b[-1]) if bias else None]
    compare(signetctl, tmp_path, "DynamicQuantizeMatMul", inputs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("a_type, b_type", [(np.uint8, np.uint8), (np.uint8, np.int8), (np.int8, np.int8)])
@pytest.mark.parametrize("per_column, c, y", [(False, False, True), (True, True, True), (False, True, False)])
@pytest.mark.parametrize("trans_a, trans_b", [(0, 0), (0, 1), (1, 0)])
def test_qgemm(signetctl, tmp_path, rng, a_type, b_type, per_column, c, y, trans_a, trans_b):
    m, k, n = 5, 9, 7
    columns = (n,) if per_column else ()
    inputs = [eight_bit(rng, a_type, *((k, m) if trans_a else (m, k))), scale(rng), eight_bit(rng, a_type),
              eight_bit(rng, b_type, *((n, k) if trans_b else (k, n))), scale(rng, *columns),
              eight_bit(rng, b_type, *columns), rng.integers(-999, 999, n).astype(np.int32) if c else None]
    if y:
        inputs += [scale(rng) * F32(50), eight_bit(rng, a_type)]
    attrs = dict(transA=trans_a, transB=trans_b, alpha=0.5)
    compare(signetctl, tmp_path, "QGemm", inputs, attrs, quanta=1, rtol=1e-4, atol=1e-4)


# -- fused floats -----------------------------------------------------------------------------------

@pytest.mark.parametrize("activation, params", [
    ("Relu", None), ("Tanh", None), ("Sigmoid", None), ("LeakyRelu", [0.3]), ("Clip", [-0.5, 0.5]),
    ("HardSigmoid", [0.3, 0.4])])
@pytest.mark.parametrize("z", [False, True])
def test_fused_conv(signetctl, tmp_path, rng, activation, params, z):
    attrs = dict(activation=activation, kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=2)
    if params:
        attrs["activation_params"] = params
    inputs = [real(rng, 2, 4, 5, 6), real(rng, 6, 2, 3, 3), real(rng, 6), real(rng, 2, 6, 5, 6) if z else None]
    compare(signetctl, tmp_path, "FusedConv", inputs, attrs, feed=(0, 3) if z else (0,), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("attrs", [
    dict(activation="Relu"), dict(activation="LeakyRelu", activation_alpha=0.2, transB=1, alpha=0.5),
    dict(activation="Tanh", transA=1, beta=2.0), dict(activation="Sigmoid"),
    dict(activation="HardSigmoid", activation_alpha=0.3, activation_beta=0.4)])
def test_fused_gemm(signetctl, tmp_path, rng, attrs):
    a = real(rng, *((7, 5) if attrs.get("transA") else (5, 7)))
    b = real(rng, *((3, 7) if attrs.get("transB") else (7, 3)))
    compare(signetctl, tmp_path, "FusedGemm", [a, b, real(rng, 3)], attrs, rtol=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("a, b, attrs", [
    ((5, 7), (7, 3), dict(alpha=0.5)), ((7, 5), (7, 3), dict(transA=1)), ((2, 5, 7), (2, 3, 7), dict(transB=1)),
    ((2, 4, 7, 5), (3, 7), dict(transA=1, transB=1)), ((5, 2, 7), (2, 7, 3), dict(transBatchA=1)),
    ((2, 5, 7), (7, 2, 3), dict(transBatchB=1)), ((7, 2, 4, 5), (3, 2, 4, 7), dict(
        transA=1, transB=1, transBatchA=1, transBatchB=1))])
def test_fused_matmul(signetctl, tmp_path, rng, dtype, a, b, attrs):
    inputs = [real(rng, *a, dtype=dtype), real(rng, *b, dtype=dtype)]
    compare(signetctl, tmp_path, "FusedMatMul", inputs, attrs, feed=(0, 1), rtol=1e-4)


def test_transpose_matmul_is_its_older_name(signetctl, tmp_path, rng):
    inputs = [real(rng, 2, 5, 7), real(rng, 2, 3, 7)]
    compare(signetctl, tmp_path, "TransposeMatMul", inputs, dict(transB=1, alpha=0.5), feed=(0, 1), rtol=1e-4)


@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize("kind, group", [(np.uint8, 1), (np.int8, 2)])
@pytest.mark.parametrize("bias, each", [(False, False), (True, True)])
def test_qlinear_conv(signetctl, tmp_path, rng, last, kind, group, bias, each):
    zero = np.zeros(6, np.int8) if each else np.int8(0)
    inputs = [eight_bit(rng, kind, *((2, 7, 8, 4) if last else (2, 4, 7, 8))), scale(rng), eight_bit(rng, kind),
              eight_bit(rng, np.int8, 6, 4 // group, 3, 3), scale(rng, *((6,) if each else ())), np.array(zero),
              F32(2), eight_bit(rng, kind), rng.integers(-999, 999, 6).astype(np.int32) if bias else None]
    inputs = [None if v is None else np.asarray(v) for v in inputs]
    compare(signetctl, tmp_path, "QLinearConv", inputs, dict(channels_last=last, group=group, pads=[1, 1, 0, 1]), quanta=1)


# -- tables of few bits --------------------------------------------------------------------------------

@pytest.mark.parametrize("bits, rows, axis", [(4, (9, 32), 1), (8, (9, 40), 1), (2, (9, 64), 1), (4, (5, 3, 48), 2)])
@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_gather_block_quantized(signetctl, tmp_path, rng, bits, rows, axis, zero, dtype, index):
    per = 8 // bits
    scales = [-(-n // 16) if i == axis else n for i, n in enumerate(rows)]
    table = eight_bit(rng, np.uint8, *rows[:-1], rows[-1] // per)
    zeros = eight_bit(rng, np.uint8, *scales[:-1], -(-scales[-1] // per)) if zero else None
    indices = rng.integers(-rows[0], rows[0], (2, 3)).astype(index)
    indices[1, 1:] = rows[0], -rows[0] - 1 # of no row: zeros
    inputs = [table, indices, scale(rng, *scales).astype(dtype), zeros]
    compare(signetctl, tmp_path, "GatherBlockQuantized", inputs, feed=(1,),
            attrs=dict(bits=bits, block_size=16, gather_axis=0, quantize_axis=axis), rtol=1e-3 if dtype != F32 else 1e-6)


@pytest.mark.parametrize("kind", ["int4", "uint4"])
@pytest.mark.parametrize("gather, axis", [(0, 1), (1, 0), (0, 0), (-1, -1)])
@pytest.mark.parametrize("zero", [False, True])
def test_gather_block_quantized_of_four_bits(signetctl, tmp_path, rng, kind, gather, axis, zero):
    low, kind = (-8, ml_dtypes.int4) if kind == "int4" else (0, ml_dtypes.uint4)
    rows = (33, 32)
    scales = [-(-n // 16) if i == axis % 2 else n for i, n in enumerate(rows)]
    table, zeros = (rng.integers(low, low + 16, shape).astype(kind) for shape in (rows, scales))
    inputs = [table, rng.integers(-32, 32, 5), scale(rng, *scales), zeros if zero else None]
    compare(signetctl, tmp_path, "GatherBlockQuantized", inputs, feed=(1,),
            attrs=dict(block_size=16, gather_axis=gather, quantize_axis=axis), rtol=1e-6)


# -- other names --------------------------------------------------------------------------------------

@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("upper, k", [(1, None), (0, None), (1, 2), (0, -1)])
def test_trilu(signetctl, tmp_path, rng, dtype, upper, k):
    x = (rng.standard_normal((2, 4, 5)) * 50).astype(dtype)
    compare(signetctl, tmp_path, "Trilu", [x, None if k is None else np.array(k, np.int64)], dict(upper=upper))


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("align", [0, 1])
def test_grid_sample(signetctl, tmp_path, rng, mode, padding, align):
    grid = rng.uniform(-1.5, 1.5, (2, 5, 4, 2)).astype(F32)
    attrs = dict(mode=mode, padding_mode=padding, align_corners=align)
    compare(signetctl, tmp_path, "GridSample", [real(rng, 2, 3, 6, 7), grid], attrs, feed=(0, 1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int32])
@pytest.mark.parametrize("delta", [None, 3])
def test_range(signetctl, tmp_path, dtype, delta):
    inputs = [np.array(2, dtype), np.array(11, dtype), None if delta is None else np.array(delta, dtype)]
    compare(signetctl, tmp_path, "Range", inputs)


@pytest.mark.parametrize("shape", [(3, 3), (2, 4, 4), (1, 1), (2, 3, 5, 5)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inverse(signetctl, tmp_path, rng, shape, dtype):
    x = rng.standard_normal(shape).astype(dtype) + 4 * np.eye(shape[-1], dtype=dtype)
    compare(signetctl, tmp_path, "Inverse", [x], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16])
def test_quantize_and_back(signetctl, tmp_path, rng, dtype):
    info = np.iinfo(dtype)
    zero = rng.integers(info.min, info.max, 3).astype(dtype)
    compare(signetctl, tmp_path, "QuantizeLinear", [real(rng, 2, 3, 4) * F32(9), scale(rng, 3), zero],
            dict(axis=1), quanta=1)
    x = rng.integers(info.min, info.max, (2, 3, 4)).astype(dtype)
    compare(signetctl, tmp_path, "DequantizeLinear", [x, scale(rng, 3), zero], dict(axis=1))


# -- weights of few bits --------------------------------------------------------------------------------

def few_bits(rng, a_shape, n, bits, block, zero, bias, index=False, dtype=F32):
    k = a_shape[-1]
    blocks = (k + block - 1) // block
    inputs = [real(rng, *a_shape, dtype=dtype),
              rng.integers(0, 256, (n, blocks, block * bits // 8)).astype(np.uint8),
              scale(rng, n, blocks).astype(dtype)]
    packed = rng.integers(0, 256, (n, (blocks * bits + 7) // 8)).astype(np.uint8)
    inputs.append({"packed": packed, "unpacked": rng.uniform(0, 2**bits, (n, blocks)).astype(dtype), None: None}[zero])
    inputs.append(rng.permutation(np.arange(blocks).repeat(block)[:k]).astype(np.int32) if index else None)
    inputs.append(real(rng, n, dtype=dtype) if bias else None)
    return inputs, dict(K=k, N=n, bits=bits, block_size=block)


# Of 8 bits ONNX Runtime takes no zero points that are floats.
@pytest.mark.parametrize("bits, zero, bias", [
    (4, None, False), (4, "packed", True), (4, "unpacked", False), (8, None, True), (8, "packed", False)])
@pytest.mark.parametrize("block", [16, 32, 128])
@pytest.mark.parametrize("a, n", [((1, 96), 8), ((1, 1, 300), 33), ((2, 3, 128), 70), ((40, 257), 37)])
def test_matmul_nbits(signetctl, tmp_path, rng, bits, block, a, n, zero, bias):
    inputs, attrs = few_bits(rng, a, n, bits, block, zero, bias)
    compare(signetctl, tmp_path, "MatMulNBits", inputs, attrs, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("a", [(1, 64), (9, 80)])
def test_matmul_nbits_by_group_index(signetctl, tmp_path, rng, a):
    # Without zero points: with an index ONNX Runtime 1.32 does not read them.
    inputs, attrs = few_bits(rng, a, 24, 4, 16, None, False, index=True)
    compare(signetctl, tmp_path, "MatMulNBits", inputs, attrs, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("a", [(1, 64), (9, 80)])
def test_matmul_nbits_of_float16(signetctl, tmp_path, rng, a):
    inputs, attrs = few_bits(rng, a, 24, 4, 32, "packed", False, dtype=np.float16)
    compare(signetctl, tmp_path, "MatMulNBits", inputs, attrs, rtol=1e-2, atol=1e-1)
