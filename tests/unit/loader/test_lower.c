/* SPDX-License-Identifier: Apache-2.0 */
/* Every rewrite of an older opset: a node then, and what it is now. */
#include <check.h>
#include <stdlib.h>
#include "loader/onnx/onnx.h"
#include "support/arena_case.h"
#include "support/onnx_text.h"

struct rewrite {
	const char *opset;
	const char *then; /* y is the output; x is [2,3,4,5] */
	const char *now;
};

#define MS "com.microsoft 1\nopset 17"

static const struct rewrite rewrites[] = {
	{ "1", "node Relu x -> y consumed_inputs=[0]", "Relu(x) -> y\n" },
	{ "1", "node LeakyRelu x -> y consumed_inputs=[0] alpha=0.5",
		"LeakyRelu(x) alpha=0.5 -> y\n" },
	{ "1", "node Selu x -> y", "Selu(x) alpha=1.6732 gamma=1.0507 -> y\n" },
	{ "6", "node Selu x -> y", "Selu(x) -> y\n" },
	{ "1", "node Max x,x -> y consumed_inputs=[0,0]", "Max(x, x) -> y\n" },

	{ "6", "node Add x,c -> y broadcast=1 axis=1",
		"Unsqueeze(c, {1,2}) -> %0\nAdd(x, %0) -> y\n" },
	{ "6", "node Add x,c -> y axis=-3 broadcast=1",
		"Unsqueeze(c, {1,2}) -> %0\nAdd(x, %0) -> y\n" },
	{ "6", "node Mul x,last -> y broadcast=1 axis=3", "Mul(x, last) -> y\n" },
	{ "6", "node Sub x,last -> y broadcast=1", "Sub(x, last) -> y\n" },
	{ "1", "node Div x,x -> y consumed_inputs=[0,0]", "Div(x, x) -> y\n" },
	{ "1", "node Pow x,c -> y broadcast=1 axis=1",
		"Unsqueeze(c, {1,2}) -> %0\nPow(x, %0) -> y\n" },
	{ "7", "node Pow x,last -> y", "Pow(x, last) -> y\n" },
	{ "6", "node Relu x -> r\nnode Add r,c -> y broadcast=1 axis=1",
		"Relu(x) -> r\nUnsqueeze(c, {1,2}) -> %0\nAdd(r, %0) -> y\n" },
	{ "6", "node PRelu x,c -> y", "Unsqueeze(c, {1,2}) -> %0\nPRelu(x, %0) -> y\n" },
	{ "6", "node PRelu x,one -> y", "PRelu(x, one) -> y\n" },
	{ "6", "node Gemm m,m,m -> y broadcast=1 transB=1", "Gemm(m, m, m) transB=1 -> y\n" },

	{ "6", "node AveragePool x -> y kernel_shape=[2,2]",
		"AveragePool(x) kernel_shape=2,2 -> y\n" },
	{ "7", "node MaxPool x -> y kernel_shape=[2,2]", "MaxPool(x) kernel_shape=2,2 -> y\n" },
	{ "10", "node DepthToSpace x -> y blocksize=2", "DepthToSpace(x) blocksize=2 -> y\n" },
	{ "11", "node ArgMax x -> y axis=1", "ArgMax(x) axis=1 -> y\n" },
	{ "11", "node GatherND x,i -> y", "GatherND(x, i) -> y\n" },

	{ "10", "node Clip x -> y min=0.0 max=6.0", "Clip(x, 0, 6) -> y\n" },
	{ "6", "node Clip x -> y max=6.0", "Clip(x, _, 6) -> y\n" },
	{ "10", "node Clip x -> y", "Clip(x) -> y\n" },
	{ "10", "node Pad x -> y pads=[0,0,1,1,0,0,1,1]", "Pad(x, {0,0,1,1,0,0,1,1}) -> y\n" },
	{ "2", "node Pad x -> y pads=[0,0,1,1,0,0,1,1] value=2.0 mode=\"constant\"",
		"Pad(x, {0,0,1,1,0,0,1,1}, 2) mode=constant -> y\n" },
	{ "1", "node Pad x -> y paddings=[0,0,1,1,0,0,1,1]", "Pad(x, {0,0,1,1,0,0,1,1}) -> y\n" },
	{ "17", "node ReduceMean x -> y axes=[1] keepdims=0",
		"ReduceMean(x, {1}) keepdims=0 -> y\n" },
	{ "17", "node ReduceMax x -> y", "ReduceMax(x) -> y\n" },
	{ "12", "node ReduceSum x -> y axes=[-1]", "ReduceSum(x, {-1}) -> y\n" },
	{ "13", "node ReduceSum x,i -> y", "ReduceSum(x, i) -> y\n" },
	{ "4", "node Reshape x -> y shape=[2,-1]", "Reshape(x, {2,-1}) -> y\n" },
	{ "9", "node Slice x -> y starts=[0,1] ends=[2,3]", "Slice(x, {0,1}, {2,3}) -> y\n" },
	{ "9", "node Slice x -> y axes=[1] starts=[0] ends=[2]", "Slice(x, {0}, {2}, {1}) -> y\n" },
	{ "11", "node Split x -> y,z axis=1 split=[1,2]", "Split(x, {1,2}) axis=1 -> y, z\n" },
	{ "11", "node Split x -> y,z", "Split(x) num_outputs=2 -> y, z\n" },
	{ "13", "node Split x -> y,z", "Split(x) num_outputs=2 -> y, z\n" },
	{ "13", "node Split x,i -> y,z", "Split(x, i) -> y, z\n" },
	{ "11", "node Squeeze x -> y axes=[0]", "Squeeze(x, {0}) -> y\n" },
	{ "11", "node Squeeze x -> y", "Squeeze(x) -> y\n" },
	{ "11", "node Unsqueeze x -> y axes=[0,2]", "Unsqueeze(x, {0,2}) -> y\n" },
	{ "9", "node TopK x -> y,z k=2 axis=1", "TopK(x, {2}) axis=1 -> y, z\n" },
	{ "10", "node TopK x,i -> y,z", "TopK(x, i) -> y, z\n" },

	{ "10", "node Resize x,s -> y mode=\"linear\"",
		"Resize(x, _, s) mode=linear coordinate_transformation_mode=asymmetric "
		"nearest_mode=floor -> y\n" },
	{ "11", "node Resize x,empty,s -> y", "Resize(x, _, s) -> y\n" },
	{ "11", "node Resize x,empty,empty,i -> y", "Resize(x, _, _, i) -> y\n" },
	{ "9", "node Upsample x,s -> y",
		"Resize(x, _, s) coordinate_transformation_mode=asymmetric nearest_mode=floor -> "
		"y\n" },
	{ "7", "node Upsample x -> y scales=[1.0,1.0,2.0,2.0]",
		"Resize(x, _, {1,1,2,2}) coordinate_transformation_mode=asymmetric "
		"nearest_mode=floor -> y\n" },
	{ "1", "node Upsample x -> y height_scale=2.0 width_scale=3.0 mode=\"bilinear\"",
		"Resize(x, _, {1,1,2,3}) mode=linear coordinate_transformation_mode=asymmetric "
		"nearest_mode=floor -> y\n" },

	{ "16", "node GridSample x,g -> y mode=\"bicubic\"", "GridSample(x, g) mode=cubic -> y\n" },
	{ "16", "node GridSample x,g -> y", "GridSample(x, g) mode=linear -> y\n" },
	{ "10", "node RoiAlign x,m,i -> y output_width=2",
		"RoiAlign(x, m, i) output_width=2 coordinate_transformation_mode=output_half_pixel "
		"-> y\n" },
	{ "1", "node LpPool x -> y p=3.0 kernel_shape=[2,2]",
		"LpPool(x) kernel_shape=2,2 p=3 -> y\n" },
	{ "1", "node GlobalLpPool x -> y", "GlobalLpPool(x) p=2 -> y\n" },

	{ "17", "node DFT x -> y onesided=1", "DFT(x, _, 1) onesided=1 -> y\n" },
	{ "19", "node DFT x,one -> y axis=2", "DFT(x, one, 2) -> y\n" },
	{ "17", "node HannWindow n -> y",
		"CosineWindow(n) kind=0 periodic=1 -> %0\nCast(%0) to=1 -> y\n" },
	{ "17", "node HammingWindow n -> y periodic=0",
		"CosineWindow(n) kind=1 periodic=0 -> %0\nCast(%0) to=1 -> y\n" },
	{ "17", "node BlackmanWindow n -> y output_datatype=11",
		"CosineWindow(n) kind=2 periodic=1 -> %0\nCast(%0) to=11 -> y\n" },
	{ "17", "node MelWeightMatrix n,n,n,one,one -> y",
		"MelWeights(n, n, n, one, one) -> %0\nCast(%0) to=1 -> y\n" },

	{ "1",
		"node BatchNormalization x,c,c,c,c -> y is_test=1 consumed_inputs=[0,0,0,1,1] "
		"epsilon=0.5",
		"BatchNormalization(x, c, c, c, c) epsilon=0.5 -> y\n" },
	{ "7", "node BatchNormalization x,c,c,c,c -> y,_,_ spatial=1",
		"BatchNormalization(x, c, c, c, c) -> y\n" },
	{ "7", "node BatchNormalization x,e,e,e,e -> y spatial=0 momentum=0.5 epsilon=0.25",
		"Add(e, 0.25) -> %0\nSqrt(%0) -> %1\nSub(x, e) -> %2\nDiv(%2, %1) -> %3\n"
		"Mul(%3, e) -> %4\nAdd(%4, e) -> y\n" },
	{ "14", "node BatchNormalization x,c,c,c,c -> y training_mode=0",
		"BatchNormalization(x, c, c, c, c) training_mode=0 -> y\n" },
	{ "1", "node Dropout x -> y is_test=1 ratio=0.5 consumed_inputs=[0]", "Dropout(x) -> y\n" },
	{ "10", "node Dropout x -> y,mask ratio=0.5", "Dropout(x) -> y, mask\n" },
	{ "9", "node Dropout x -> y,z ratio=0.5",
		"Shape(x) -> %0\nExpand(1, %0) -> %1\nIdentity(%1) -> z\nDropout(x) -> y\n" },
	{ "18", "node GroupNormalization x,one,one -> y num_groups=1",
		"Shape(x) start=1 end=2 -> %0\nDiv(%0, {1}) -> %1\nConcat({1}, %1) axis=0 -> %2\n"
		"Unsqueeze(one, {1}) -> %3\nExpand(%3, %2) -> %4\nReshape(%4, {-1}) -> %5\n"
		"Unsqueeze(one, {1}) -> %6\nExpand(%6, %2) -> %7\nReshape(%7, {-1}) -> %8\n"
		"GroupNormalization(x, %5, %8) num_groups=1 -> y\n" },

	{ "6", "node LSTM m,m,m -> y output_sequence=1 hidden_size=4",
		"LSTM(m, m, m) hidden_size=4 -> y\n" },

	{ "5", "node Cast x -> y to=\"INT64\"", "Cast(x) to=7 -> y\n" },
	{ "3", "node Concat x,x -> y", "Concat(x, x) axis=1 -> y\n" },
	{ "12", "node Softmax x -> y axis=1",
		"Shape(x) -> %0\nFlatten(x) axis=1 -> %1\nSoftmax(%1) axis=-1 -> %2\n"
		"Reshape(%2, %0) allowzero=1 -> y\n" },
	{ "12", "node LogSoftmax x -> y axis=3", "LogSoftmax(x) axis=-1 -> y\n" },
	{ "11", "node Softmax x -> y axis=-1", "Softmax(x) axis=-1 -> y\n" },
	{ "11", "node Flatten x -> f\nnode Softmax f -> y",
		"Flatten(x) -> f\nSoftmax(f) axis=-1 -> y\n" },
	{ "10", "node OneHot i,one,s -> y",
		"Cast(i) to=7 -> %0\nLess(%0, 0) -> %1\nWhere(%1, 9.22337204e+18, %0) -> %2\n"
		"OneHot(%2, one, s) -> y\n" },
	{ "8",
		"body step\nin p float32 [3,5]\nin q float32 [3,5]\nnode Add p,q -> r\n"
		"node Relu r -> z\nout r\nout z\nend\n"
		"node Scan _,x,x -> a,y body=@step num_scan_inputs=1 directions=[1]",
		"BatchedScan(_, x, x) body=@step num_scan_inputs=1 scan_input_directions=1 -> a, "
		"y\n" },
	{ "9", "node Scatter x,i,x -> y axis=1", "ScatterElements(x, i, x) axis=1 -> y\n" },
	{ "5", "node Tile x,one,one -> y",
		"Cast(one) to=7 -> %0\nReshape(%0, {-1}) -> %1\nCast(one) to=7 -> %2\n"
		"Reshape(%2, {-1}) -> %3\nShape(x) -> %4\nShape(%4) -> %5\n"
		"ConstantOfShape(%5) value={1} -> %6\nScatterElements(%6, %3, %1) -> %7\n"
		"Tile(x, %7) -> y\n" },
	{ "12", "node Hardmax x -> y axis=3", "Hardmax(x) axis=-1 -> y\n" },

	{ "13", "node MeanVarianceNormalization x -> y axes=[1]",
		"ReduceMean(x, {1}) -> %0\nSub(x, %0) -> %1\nMul(%1, %1) -> %2\n"
		"ReduceMean(%2, {1}) -> %3\nSqrt(%3) -> %4\nAdd(%4, 9.99999972e-10) -> %5\n"
		"Div(%1, %5) -> y\n" },
	{ "13", "node NegativeLogLikelihoodLoss m,t -> y reduction=\"sum\"",
		"Unsqueeze(t, {1}) -> %0\nGatherElements(m, %0) axis=1 -> %1\n"
		"Squeeze(%1, {1}) -> %2\nNeg(%2) -> %3\nReduceSum(%3) keepdims=0 -> y\n" },
	{ "13", "node NegativeLogLikelihoodLoss m,t,last -> y ignore_index=2",
		"CastLike(2, t) -> %0\nEqual(t, %0) -> %1\nCastLike(0, t) -> %2\n"
		"Where(%1, %2, t) -> %3\nGather(last, %3) axis=0 -> %4\n"
		"CastLike(0, %4) -> %5\nWhere(%1, %5, %4) -> %6\nUnsqueeze(%3, {1}) -> %7\n"
		"GatherElements(m, %7) axis=1 -> %8\nSqueeze(%8, {1}) -> %9\nNeg(%9) -> %10\n"
		"Mul(%10, %6) -> %11\nReduceSum(%11) keepdims=0 -> %12\n"
		"ReduceSum(%6) keepdims=0 -> %13\nDiv(%12, %13) -> y\n" },
	{ "13", "node SoftmaxCrossEntropyLoss m,t -> y,z reduction=\"none\"",
		"LogSoftmax(m) axis=1 -> z\nUnsqueeze(t, {1}) -> %0\n"
		"GatherElements(z, %0) axis=1 -> %1\nSqueeze(%1, {1}) -> %2\nNeg(%2) -> %3\n"
		"Identity(%3) -> y\n" },
	{ "10", "node MatMulInteger u,u -> y", "IntegerMatMul(u, u) -> y\n" },
	{ "10", "node MatMulInteger u,u,_,zero -> y", "IntegerMatMul(u, u, _, zero) -> y\n" },
	{ "10", "node MatMulInteger u,v -> y",
		"Cast(u) to=6 -> %0\nCast(v) to=6 -> %1\nMatMul(%0, %1) -> y\n" },
	{ "10", "node MatMulInteger u,u,zeros,zero -> y",
		"Cast(u) to=6 -> %0\nCast(zeros) to=6 -> %1\nUnsqueeze(%1, {1}) -> %2\n"
		"Sub(%0, %2) -> %3\nCast(u) to=6 -> %4\nCast(zero) to=6 -> %5\n"
		"Sub(%4, %5) -> %6\nMatMul(%3, %6) -> y\n" },
	{ "10", "node ConvInteger v,k,zero -> y pads=[1,1,1,1]",
		"IntegerConv(v, k, zero) pads=1,1,1,1 -> y\n" },
	{ "10", "node ConvInteger v,k,zeros -> y pads=[1,1,1,1]",
		"Cast(v) to=11 -> %0\nCast(zeros) to=11 -> %1\nSub(%0, %1) -> %2\n"
		"Cast(k) to=11 -> %3\nConv(%2, %3) pads=1,1,1,1 -> %4\nCast(%4) to=6 -> y\n" },
	{ "10", "node QLinearMatMul u,one,zero,u,one,zero,one,zero -> y",
		"DequantizeLinear(u, one, zero) -> %0\nDequantizeLinear(u, one, zero) -> %1\n"
		"MatMul(%0, %1) -> %2\nQuantizeLinear(%2, one, zero) -> y\n" },
	{ "10", "node QLinearConv v,one,zero,k,one,zero,one,zero,units -> y strides=[2,2]",
		"DequantizeLinear(v, one, zero) -> %0\nDequantizeLinear(k, one, zero) -> %1\n"
		"DequantizeLinear(units, {1}) -> %2\n"
		"Conv(%0, %1, %2) strides=2,2 -> %3\nQuantizeLinear(%3, one, zero) -> y\n" },
	{ MS, "node com.microsoft:QGemm u,one,zero,u,one,zero,units,one,zero -> y transB=1",
		"DequantizeLinear(u, one, zero) -> %0\nDequantizeLinear(u, one, zero) -> %1\n"
		"DequantizeLinear(units, {1}) -> %2\n"
		"Gemm(%0, %1, %2) transA=0 transB=1 -> %3\nQuantizeLinear(%3, one, zero) -> y\n" },
	/* A scale per column and one zero point for all are not alike. */
	{ "10", "node QLinearMatMul u,one,zero,u,last,zero,one,zero -> y",
		"Cast(u) to=6 -> %0\nCast(zero) to=6 -> %1\nUnsqueeze(%1, {1}) -> %2\n"
		"Sub(%0, %2) -> %3\nCast(u) to=6 -> %4\nCast(zero) to=6 -> %5\n"
		"Sub(%4, %5) -> %6\nUnsqueeze(one, {1}) -> %7\nMul(%7, last) -> %8\n"
		"MatMul(%3, %6) -> %9\nCastLike(%9, %8) -> %10\nMul(%10, %8) -> %11\n"
		"QuantizeLinear(%11, one, zero) -> y\n" },
	{ "10", "node QLinearConv v,one,zero,k,c,zero,one,zero -> y strides=[2,2]",
		"Cast(v) to=11 -> %0\nCast(zero) to=11 -> %1\nSub(%0, %1) -> %2\n"
		"Cast(k) to=11 -> %3\nCast(zero) to=11 -> %4\nUnsqueeze(%4, {1,2,3}) -> %5\n"
		"Sub(%3, %5) -> %6\nConv(%2, %6) strides=2,2 -> %7\n"
		"Unsqueeze(c, {1,2}) -> %8\nMul(one, %8) -> %9\nCastLike(%7, %9) -> %10\n"
		"Mul(%10, %9) -> %11\nQuantizeLinear(%11, one, zero) -> y\n" },

	{ "28", "node SimplifiedLayerNormalization tok,last -> y,z epsilon=0.5",
		"Cast(tok) to=1 -> %0\nMul(%0, %0) -> %1\nReduceMean(%1, {-1}) -> %2\n"
		"Add(%2, 0.5) -> %3\nSqrt(%3) -> %4\nReciprocal(%4) -> z\n"
		"RMSNormalization(tok, last) epsilon=0.5 -> y\n" },
	{ MS, "node com.microsoft:SimplifiedLayerNormalization tok,last -> y",
		"RMSNormalization(tok, last) epsilon=1e-05 -> y\n" },
	{ MS, "node com.microsoft:SkipLayerNormalization tok,tok,last,_,last -> y,_,_,z",
		"Add(tok, tok) -> %0\nAdd(%0, last) -> %1\nIdentity(%1) -> z\n"
		"LayerNormalization(%1, last) epsilon=1e-12 -> y\n" },
	{ MS, "node com.microsoft:SkipSimplifiedLayerNormalization tok,tok,last,last -> y",
		"Add(tok, tok) -> %0\nAdd(%0, last) -> %1\n"
		"RMSNormalization(%1, last) epsilon=1e-12 -> y\n" },
	{ MS,
		"node com.microsoft:EmbedLayerNormalization i,_,m,m,_,one,one -> y,z "
		"mask_index_type=1",
		"Shape(i) start=1 end=2 -> %0\nSlice(m, {0}, %0, {0}) -> %1\n"
		"Gather(m, i) axis=0 -> %2\nAdd(%2, %1) -> %3\nSub(i, i) -> %4\n"
		"Cast(%4) to=6 -> %5\nReduceSum(%5, {1}) keepdims=0 -> %6\nIdentity(%6) -> z\n"
		"LayerNormalization(%3, one, one) epsilon=1e-12 -> y\n" },
	{ MS,
		"node com.microsoft:QEmbedLayerNormalization i,_,u,u,_,zeros,zeros,_,one,one,_,one,"
		"one,zero,zero,_,zero,zero -> y",
		"Gather(u, i) axis=0 -> %0\nDequantizeLinear(%0, one, zero) -> %1\n"
		"Shape(i) start=1 end=2 -> %2\nSlice(u, {0}, %2, {0}) -> %3\n"
		"DequantizeLinear(%3, one, zero) -> %4\nAdd(%1, %4) -> %5\n"
		"DequantizeLinear(zeros, one, zero) -> %6\n"
		"DequantizeLinear(zeros, one, zero) -> %7\n"
		"LayerNormalization(%5, %6, %7) epsilon=1e-12 -> y\n" },
	{ MS,
		"init ew float32 [1,2,1] 1 2\ninit eo float32 [1,5,1] 1 1 1 1 1\n"
		"node com.microsoft:MoE last,x,eo,_,ew -> y k=1 activation_type=\"gelu\"",
		"Softmax(x) axis=-1 -> %0\nTopK(%0, {1}) axis=-1 -> %1, %2\n"
		"Shape(last) -> %3\nReshape(last, {-1,1,1}) -> %4\n"
		"Experts(%4, %2, eo) -> %5\nGelu(%5) approximate=tanh -> %6\n"
		"Experts(%6, %2, ew) -> %7\nUnsqueeze(%1, {2}) -> %8\n"
		"Mul(%7, %8) -> %9\nReduceSum(%9, {1}) keepdims=0 -> %10\n"
		"Reshape(%10, %3) -> y\n" },
	{ MS,
		"init eq uint8 [1,2,8] 1 2 3 4 5 6 7 8 1 2 3 4 5 6 7 8\ninit es float32 [1,2] 1 2\n"
		"node com.microsoft:QMoE m,x,eq,es,_,eq,es -> y k=1 activation_type=\"silu\"",
		"Softmax(x) axis=-1 -> %0\nTopK(%0, {1}) axis=-1 -> %1, %2\n"
		"ReduceSum(%1, {-1}) -> %3\nDiv(%1, %3) -> %4\nShape(m) -> %5\n"
		"Reshape(m, {-1,1,16}) -> %6\nUnsqueeze(es, {2}) -> %7\n"
		"Expand(%7, {1,1,1}) -> %8\n"
		"Experts(%6, %2, eq, %8) bits=4 block_size=16 -> %9\n"
		"Swish(%9) alpha=1 -> %10\nUnsqueeze(es, {2}) -> %11\n"
		"Expand(%11, {1,1,1}) -> %12\n"
		"Experts(%10, %2, eq, %12) bits=4 block_size=16 -> %13\n"
		"Unsqueeze(%4, {2}) -> %14\nMul(%13, %14) -> %15\n"
		"ReduceSum(%15, {1}) keepdims=0 -> %16\nReshape(%16, %5) -> y\n" },
	{ MS,
		"node com.microsoft:LinearAttention tok,tok,tok -> y q_num_heads=2 kv_num_heads=2 "
		"update_rule=\"linear\"",
		"LinearAttention(tok, tok, tok) q_num_heads=2 kv_num_heads=2 update_rule=li"
		"near -> y\n" },
	{ MS,
		"init taps float32 [4,1,1] 1 2 3 4\n"
		"node com.microsoft:CausalConvWithState tok,taps -> y dilation=1",
		"CausalConvWithState(tok, taps) -> y\n" },
	{ MS,
		"init cs float32 [] 1\ninit cz uint8 [] 3\n"
		"node com.microsoft:QLinearConv v,cs,cz,k,cs,cz,cs,cz -> y channels_last=1",
		"Transpose(v) perm=0,3,1,2 -> %0\nDequantizeLinear(%0, cs, cz) -> %1\n"
		"DequantizeLinear(k, cs, cz) -> %2\nConv(%1, %2) -> %3\n"
		"QuantizeLinear(%3, cs, cz) -> %4\nTranspose(%4) perm=0,2,3,1 -> y\n" },
	{ MS, "node com.microsoft:DequantizeLinear u,one,zero -> y",
		"DequantizeLinear(u, one, zero) -> y\n" },
	{ MS, "node com.microsoft:QuantizeLinear m,one,zero -> y",
		"QuantizeLinear(m, one, zero) -> y\n" },
	{ MS, "node com.microsoft:GatherND x,i -> y", "GatherND(x, i) -> y\n" },
	{ MS, "node com.microsoft:Pad x,i,one -> y", "Pad(x, i, one) -> y\n" },
	{ MS, "node com.microsoft:Trilu x -> y upper=0", "Trilu(x) upper=0 -> y\n" },
	{ MS, "node com.microsoft:Range n,n -> y", "CastLike(1, n) -> %0\nRange(n, n, %0) -> y\n" },
	{ MS, "node com.microsoft:GridSample x,g -> y mode=\"bicubic\"",
		"GridSample(x, g) mode=cubic -> y\n" },
	{ MS, "node com.microsoft:DynamicQuantizeMatMul m,u,one,zero,one -> y",
		"DynamicQuantizeLinear(m) -> %0, %1, %2\nIntegerMatMul(%0, u, %2, zero) -> %3\n"
		"Mul(%1, one) -> %4\nCast(%3) to=1 -> %5\nMul(%5, %4) -> %6\n"
		"Add(%6, one) -> %7\nIdentity(%7) -> y\n" },
	{ MS, "node com.microsoft:MatMulIntegerToFloat u,u,one,one -> y",
		"IntegerMatMul(u, u) -> %0\nMul(one, one) -> %1\nCast(%0) to=1 -> %2\n"
		"Mul(%2, %1) -> %3\nIdentity(%3) -> y\n" },
	{ MS, "node com.microsoft:QGemm u,one,zero,u,one,zero,_,one,zero -> y transB=1 alpha=0.5",
		"Cast(u) to=6 -> %0\nCast(zero) to=6 -> %1\nSub(%0, %1) -> %2\n"
		"Cast(u) to=6 -> %3\nCast(zero) to=6 -> %4\nUnsqueeze(%4, {1}) -> %5\n"
		"Sub(%3, %5) -> %6\nGemm(%2, %6) transA=0 transB=1 -> %7\n"
		"Mul(one, one) -> %8\nMul(%8, 0.5) -> %9\nCastLike(%7, %9) -> %10\n"
		"Mul(%10, %9) -> %11\nQuantizeLinear(%11, one, zero) -> y\n" },
	{ MS, "node com.microsoft:QGemm u,one,zero,u,one,zero -> y",
		"Cast(u) to=6 -> %0\nCast(zero) to=6 -> %1\nSub(%0, %1) -> %2\n"
		"Cast(u) to=6 -> %3\nCast(zero) to=6 -> %4\nSub(%3, %4) -> %5\n"
		"Gemm(%2, %5) transA=0 transB=0 -> %6\nMul(one, one) -> %7\n"
		"Cast(%6) to=1 -> %8\nMul(%8, %7) -> y\n" },
	{ MS,
		"node com.microsoft:FusedConv x,w,_,x -> y activation=\"LeakyRelu\" "
		"activation_params=[0.5]",
		"Conv(x, w) -> %0\nAdd(%0, x) -> %1\nLeakyRelu(%1) alpha=0.5 -> y\n" },
	{ MS,
		"node com.microsoft:FusedConv x,w -> y activation=\"Clip\" "
		"activation_params=[0.0,6.0]",
		"Conv(x, w) -> %0\nClip(%0, 0, 6) -> y\n" },
	{ MS, "node com.microsoft:FusedConv x,w -> y", "Conv(x, w) -> %0\nIdentity(%0) -> y\n" },
	{ MS,
		"node com.microsoft:FusedGemm m,m,m -> y transA=1 activation=\"LeakyRelu\" "
		"activation_alpha=0.5",
		"Gemm(m, m, m) transA=1 -> %0\nLeakyRelu(%0) alpha=0.5 -> y\n" },
	{ MS, "node com.microsoft:FusedGemm m,m -> y", "Gemm(m, m) -> y\n" },
	{ MS, "node com.microsoft:FusedMatMul x,x -> y transA=1 transB=1 alpha=0.5",
		"Transpose(x) perm=0,1,3,2 -> %0\n"
		"FusedMatMul(%0, x) scale=0.5 trans_b=1 -> y\n" },
	{ MS, "node com.microsoft:FusedMatMul x,x -> y transBatchA=1",
		"Transpose(x) perm=1,2,0,3 -> %0\n"
		"FusedMatMul(%0, x) scale=1 trans_b=0 -> y\n" },
	{ MS, "node com.microsoft:TransposeMatMul m,m -> y transB=1",
		"FusedMatMul(m, m) scale=1 trans_b=1 -> y\n" },
	{ MS, "node com.microsoft:FusedMatMulActivation m,m -> y activation=\"Relu\"",
		"FusedMatMul(m, m) scale=1 trans_b=0 -> %0\nRelu(%0) -> y\n" },
	{ MS, "node com.microsoft:NhwcMaxPool v -> y kernel_shape=[1,1]",
		"Transpose(v) perm=0,3,1,2 -> %0\nMaxPool(%0) kernel_shape=1,1 -> %1\n"
		"Transpose(%1) perm=0,2,3,1 -> y\n" },
	{ MS, "node com.microsoft:QLinearAdd u,one,zero,u,one,zero,one,zero -> y",
		"DequantizeLinear(u, one, zero) -> %0\n"
		"DequantizeLinear(u, one, zero) -> %1\nAdd(%0, %1) -> %2\n"
		"QuantizeLinear(%2, one, zero) -> y\n" },
	{ MS, "node com.microsoft:QLinearMul u,one,_,u,one,_,one -> y",
		"DequantizeLinear(u, one) -> %0\nDequantizeLinear(u, one) -> %1\n"
		"Mul(%0, %1) -> %2\nQuantizeLinear(%2, one) output_dtype=2 -> y\n" },
	{ MS, "node com.microsoft:QLinearSigmoid u,one,zero,one,zero -> y",
		"DequantizeLinear(u, one, zero) -> %0\nSigmoid(%0) -> %1\n"
		"QuantizeLinear(%1, one, zero) -> y\n" },
	{ MS, "node com.microsoft:QLinearLeakyRelu u,one,zero,one,zero -> y alpha=0.5",
		"DequantizeLinear(u, one, zero) -> %0\nLeakyRelu(%0) alpha=0.5 -> %1\n"
		"QuantizeLinear(%1, one, zero) -> y\n" },
	{ MS, "node com.microsoft:QLinearSoftmax u,one,zero,one,zero -> y opset=13",
		"DequantizeLinear(u, one, zero) -> %0\nSoftmax(%0) axis=-1 -> %1\n"
		"QuantizeLinear(%1, one, zero) -> y\n" },
	{ MS, "node com.microsoft:QLinearSoftmax u,one,zero,one,zero -> y opset=12",
		"DequantizeLinear(u, one, zero) -> %0\nShape(%0) -> %1\n"
		"Flatten(%0) axis=1 -> %2\nSoftmax(%2) axis=-1 -> %3\n"
		"Reshape(%3, %1) allowzero=1 -> %4\nQuantizeLinear(%4, one, zero) -> y\n" },
	{ MS, "node com.microsoft:QLinearWhere yes,u,one,zero,u,one,zero,one,zero -> y",
		"DequantizeLinear(u, one, zero) -> %0\n"
		"DequantizeLinear(u, one, zero) -> %1\nWhere(yes, %0, %1) -> %2\n"
		"QuantizeLinear(%2, one, zero) -> y\n" },
	{ MS, "node com.microsoft:QLinearConcat one,zero,u,one,zero,u,one,zero -> y axis=1",
		"DequantizeLinear(u, one, zero) -> %0\n"
		"DequantizeLinear(u, one, zero) -> %1\nConcat(%0, %1) axis=1 -> %2\n"
		"QuantizeLinear(%2, one, zero) -> y\n" },
	{ MS, "node com.microsoft:QLinearAveragePool v,one,zero,one,zero -> y kernel_shape=[1,1]",
		"DequantizeLinear(v, one, zero) -> %0\n"
		"AveragePool(%0) kernel_shape=1,1 -> %1\n"
		"QuantizeLinear(%1, one, zero) -> y\n" },
	{ MS,
		"node com.microsoft:QLinearGlobalAveragePool v,one,zero,one,zero -> y "
		"channels_last=1",
		"DequantizeLinear(v, one, zero) -> %0\nTranspose(%0) perm=0,3,1,2 -> %1\n"
		"GlobalAveragePool(%1) -> %2\nTranspose(%2) perm=0,2,3,1 -> %3\n"
		"QuantizeLinear(%3, one, zero) -> y\n" },
	{ MS, "node com.microsoft:Gelu x -> y", "Gelu(x) -> y\n" },
	{ MS, "node com.microsoft:BiasGelu x,last -> y", "Add(x, last) -> %0\nGelu(%0) -> y\n" },
	{ MS, "node com.microsoft:FastGelu x,last -> y",
		"Add(x, last) -> %0\nGelu(%0) approximate=tanh -> y\n" },
	{ MS, "node com.microsoft:QuickGelu x -> y", "Swish(x) alpha=1.702 -> y\n" },
	{ MS, "node com.microsoft:BiasSoftmax x,last -> y axis=3 is_inner_broadcast=0",
		"Add(x, last) -> %0\nSoftmax(%0) axis=-1 -> y\n" },
	{ MS, "node com.microsoft:Attention tok,wide -> y num_heads=2 unidirectional=1",
		"Slice(wide, {0}, {6}, {1}) -> %0\nMatMul(tok, %0) -> %1\n"
		"Slice(wide, {6}, {12}, {1}) -> %2\nMatMul(tok, %2) -> %3\n"
		"Slice(wide, {12}, {18}, {1}) -> %4\nMatMul(tok, %4) -> %5\n"
		"Attention(%1, %3, %5) is_causal=1 q_num_heads=2 kv_num_heads=2 -> %6\n"
		"Identity(%6) -> y\n" },
	{ MS,
		"in q uint8 [2,4,6]\nin qw uint8 [6,18]\n"
		"node com.microsoft:QAttention q,qw,last,one,one,_,zero -> y num_heads=2",
		"IntegerMatMul(q, qw, zero) -> %0\nMul(one, one) -> %1\n"
		"Cast(%0) to=1 -> %2\nMul(%2, %1) -> %3\nAdd(%3, last) -> %4\n"
		"Slice(%4, {0}, {6}, {-1}) -> %5\nSlice(%4, {6}, {12}, {-1}) -> %6\n"
		"Slice(%4, {12}, {18}, {-1}) -> %7\n"
		"Attention(%5, %6, %7) is_causal=0 q_num_heads=2 kv_num_heads=2 -> %8\n"
		"Identity(%8) -> y\n" },
	{ MS,
		"node com.microsoft:MultiHeadAttention tok,tok,tok,_,_,_,x,x -> y num_heads=2 "
		"scale=0.5",
		"Attention(tok, tok, tok, _, x, x) is_causal=0 q_num_heads=2 kv_num_heads=2 "
		"scale=0.5 -> %0\n"
		"Identity(%0) -> y\n" },
	{ MS, "node com.microsoft:RotaryEmbedding tok,i,m,m -> y num_heads=2 interleaved=1",
		"Shape(tok) start=-2 end=-1 -> %0\nSqueeze(%0) -> %1\nRange(0, %1, 1) -> %2\n"
		"Shape(tok) start=0 end=1 -> %3\nConcat(%3, %0) axis=0 -> %4\nAdd(%2, i) -> %5\n"
		"Expand(%5, %4) -> %6\n"
		"RotaryEmbedding(tok, m, m, %6) interleaved=1 num_heads=2 -> y\n" },

	{ "ai.onnx.ml 1\nopset 17", "node ai.onnx.ml:LabelEncoder t -> y classes_strings=[a,b]",
		"LabelEncoder(t) values_strings=a,b keys_int64s=0,1 -> y\n" },
	{ "ai.onnx.ml 1\nopset 17",
		"node ai.onnx.ml:LabelEncoder words -> y classes_strings=[a,b] default_int64=-7",
		"LabelEncoder(words) default_int64=-7 keys_strings=a,b values_int64s=0,1 -> y\n" },
	{ "ai.onnx.preview 1\nopset 23", "node ai.onnx.preview:FlexAttention x,x,x -> y scale=0.5",
		"Attention(x, x, x) scale=0.5 -> y\n" },
	{ "ai.onnx.preview 1\nopset 23",
		"body mod\nin s float32\nnode Add s,one -> t\nnode Neg t -> r\nout r\nend\n"
		"node ai.onnx.preview:FlexAttention x,x,x -> y scale=0.5 score_mod=@mod",
		"Cast(0.5) to=1 -> %0\nCast(x) to=1 -> %1\n"
		"Transpose(%1) perm=0,1,3,2 -> %2\nCast(x) to=1 -> %3\n"
		"MatMul(%3, %2) -> %4\nMul(%4, %0) -> %5\n"
		"Add(%5, {1}) -> %6\nNeg(%6) -> %7\n"
		"Softmax(%7) axis=-1 -> %8\nCast(x) to=1 -> %9\n"
		"MatMul(%8, %9) -> %10\nCastLike(%10, x) -> y\n" },
};

/* The opset of a case's own domain: of "13", or of "com.microsoft 1\nopset 17". */
static int opset_of(const char *text)
{
	const char *space = strchr(text, ' ');
	return atoi(space ? space : text);
}

static enum err_code read_node(const char *opset, const char *node, const char **ret_text)
{
	struct onnx_model model;
	const char *text = arena_printf(arena,
		"ir 4\nopset %s\nin x float32 [2,3,4,5]\nin m float32 [4,4]\nin e float32 [3,4,5]\n"
		"init c float32 [3] 1 2 3\ninit last float32 [5] 1 2 3 4 5\ninit one float32 [1] "
		"1\n"
		"in g float32 [2,6,7,2]\ninit n int64 [] 5\nin u uint8 [4,4]\nin t int64 [4]\nin "
		"words string [4]\nin v uint8 [1,1,4,4]\nin k uint8 [1,1,2,2]\n"
		"in w float32 [3,3,1,1]\nin yes bool [4,4]\nin tok float32 [2,4,6]\nin wide "
		"float32 [6,18]\n"
		"init zero uint8 [1] 3\ninit zeros uint8 [4] 1 2 3 4\ninit units int32 [1] 2\ninit "
		"i int64 [2] 0 1\ninit s float32 [4] 1 1 2 2\ninit empty float32 [0]\n%s\nout y\n",
		opset, node);
	struct slice bytes = onnx_text_pack(arena, &onnx_text_model(arena, text)->base);
	enum err_code rc = onnx_parse(bytes, -1, NULL, arena, &model, &err);
	if (rc == ERR_OK)
		*ret_text = onnx_text_graph(arena, model.graph);
	return rc;
}

START_TEST(old_node_becomes_what_it_means_today)
{
	const struct rewrite *r = &rewrites[_i];
	const char *is = NULL;

	enum err_code rc = read_node(r->opset, r->then, &is);

	ck_assert_msg(rc == ERR_OK, "opset %s, %s: %s", r->opset, r->then, err.msg);
	ck_assert_msg(strcmp(is, r->now) == 0, "opset %s, %s is\n%snot\n%s", r->opset, r->then, is,
		r->now);
}
END_TEST

/* Each name with an old row, once: a row without a case here fails. */
START_TEST(every_row_has_a_case)
{
	static const struct {
		const char *name;
		int from, to;
		enum op_domain domain;
	} rows[] = {
#define OP_OLD(domain, name, from, to, fn, attrs) { name, from, to, DOMAIN_##domain },
#include "exec/ops_old.def"
#undef OP_OLD
	};
	/* Of the rows that only drop consumed_inputs or match axes, one stands for all. */
	static const char *const alike =
		" Abs Ceil Elu Exp Floor HardSigmoid InstanceNormalization "
		"Log Neg Reciprocal Sigmoid Sqrt Tanh Mean Min Sum And Equal "
		"Greater Less Or Xor ArgMin ReduceL1 ReduceL2 ReduceLogSum "
		"ReduceLogSumExp ReduceMin ReduceProd ReduceSumSquare "
		"RNN GRU ";
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *padded = arena_printf(arena, " %s ", rows[i].name);
		bool found = strstr(alike, padded);
		for (size_t k = 0; k < sizeof(rewrites) / sizeof(rewrites[0]) && !found; k++) {
			int opset = opset_of(rewrites[k].opset);
			bool main = rows[i].domain == DOMAIN_ONNX;
			const char *op = arena_printf(arena, "node %s%s%s ",
				main ? "" : op_domain_name(rows[i].domain), main ? "" : ":",
				rows[i].name);
			found = strstr(rewrites[k].then, op) && rows[i].from <= opset &&
				opset <= rows[i].to;
		}
		ck_assert_msg(found, "%s of opset %d to %d has no case", rows[i].name, rows[i].from,
			rows[i].to);
	}
}
END_TEST

static const struct refusal {
	const char *opset, *node, *says;
	enum err_code code;
} refusals[] = {
	{ "12", "node Upsample x,s -> y", "Upsample of opset 12", ERR_UNIMPLEMENTED },
	{ "6", "node Where x,x,x -> y", "Where of opset 6", ERR_UNIMPLEMENTED },
	{ "29", "node Relu x -> y", "known up to opset 28", ERR_UNIMPLEMENTED },
	{ "1000000000", "node Relu x -> y", "known up to opset 28", ERR_UNIMPLEMENTED },
	{ "9", "node BatchNormalization x,c,c,c,c -> y,p,q", "training", ERR_UNIMPLEMENTED },
	{ "9", "node Unsqueeze x -> y", "'axes' is missing", ERR_INVALID_ARGUMENT },
	{ "9", "node Unsqueeze x -> y axes=1", "'axes' is of the wrong type",
		ERR_INVALID_ARGUMENT },
	{ "9", "node Clip - -> y min=1.0", "input 0 is required", ERR_INVALID_ARGUMENT },
	{ "6", "node Add x,c -> y broadcast=1 axis=4", "axis 4", ERR_INVALID_ARGUMENT },
	{ "6", "node Add x -> y broadcast=1 axis=1", "input 1 is required", ERR_INVALID_ARGUMENT },
	{ "5", "node Cast x -> y to=\"INT65\"", "'INT65'", ERR_INVALID_ARGUMENT },
	{ "1", "node Upsample x -> y height_scale=2.0 width_scale=2.0 mode=\"cubic\"", "'cubic'",
		ERR_INVALID_ARGUMENT },
	{ MS, "node com.microsoft:FusedConv x,w -> y activation=\"Sine\"", "'Sine'",
		ERR_UNIMPLEMENTED },
	{ MS, "node com.microsoft:FusedConv x -> y", "input 1 is required", ERR_INVALID_ARGUMENT },
	{ MS, "node com.microsoft:QLinearConcat one,zero,u,one -> y axis=1", "4 inputs",
		ERR_INVALID_ARGUMENT },
	{ MS, "node com.microsoft:QLinearSoftmax u,one,zero,one,zero -> y", "'opset' is missing",
		ERR_INVALID_ARGUMENT },
	{ MS, "node com.microsoft:QGemm u -> y", "input 3 is required", ERR_INVALID_ARGUMENT },
	{ "1", "node LpPool x -> y p=0.5 kernel_shape=[2,2]", "p is 0.5", ERR_UNIMPLEMENTED },
	{ "6", "node Clip i -> y min=1.0", "int64", ERR_UNIMPLEMENTED },
	{ "13", "node Relu x -> y consumed_inputs=[0]", "no attribute", ERR_INVALID_ARGUMENT },
};

START_TEST(M13_what_an_opset_does_not_have_is_refused_by_name)
{
	const struct refusal *r = &refusals[_i];
	const char *is = NULL;

	enum err_code rc = read_node(r->opset, r->node, &is);

	ck_assert_msg(rc == r->code, "%s: %d, not %d: %s", r->node, rc, r->code, err.msg);
	ck_assert_msg(strstr(err.msg, r->says), "%s says: %s", r->node, err.msg);
}
END_TEST

Suite *suite_lower(void);
Suite *suite_lower(void)
{
	Suite *s = suite_create("lower");
	TCase *t = tcase_create("lower");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, old_node_becomes_what_it_means_today, 0,
		(int)(sizeof(rewrites) / sizeof(rewrites[0])));
	tcase_add_test(t, every_row_has_a_case);
	tcase_add_loop_test(t, M13_what_an_opset_does_not_have_is_refused_by_name, 0,
		(int)(sizeof(refusals) / sizeof(refusals[0])));
	suite_add_tcase(s, t);
	return s;
}
