/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/gpu/networks.h"

#include <math.h>
#include "support/models.h"

bool network_copies;
double network_flops, network_element_bytes;

/* -- parts of networks ------------------------------------------------------------------------- */

static int32_t weights(struct graph *g, struct shape shape, double scale)
{
	int32_t v = model_floats(g, shape, NULL);
	const struct tensor *t = g->value[v].constant; /* this memory is the model's own */
	for (int64_t i = 0; i < tensor_count(t); i++)
		((float *)t->data)[i] *= (float)scale;
	return v;
}

/* What the network reads. */
static int32_t image(struct graph *g, struct shape shape)
{
	if (network_copies || shape.dim[0] == DIM_UNKNOWN)
		return model_input(g, "x", DTYPE_F32, shape);
	int32_t by = model_input(g, "x", DTYPE_F32, shape_of(1));
	return MODEL_NODE(g, OP_MUL, model_floats(g, shape, NULL), by);
}

static int32_t conv(struct graph *g, int32_t x, int64_t n, int64_t from, int64_t to, int64_t k,
	int64_t stride, int64_t group, int64_t *size)
{
	double scale = sqrt(2.0 / (double)(from / group * k * k));
	*size = (*size + stride - 1) / stride;
	network_flops += 2.0 * (double)(n * to * *size * *size) * (double)(from / group * k * k);
	x = MODEL_NODE(g, OP_CONV, x, weights(g, shape_of(to, from / group, k, k), scale),
		weights(g, shape_of(to), 0.1));
	MODEL_ATTR_INTS(g, "pads", k / 2, k / 2, k / 2, k / 2);
	MODEL_ATTR_INTS(g, "strides", stride, stride);
	model_attr_int(g, "group", group);
	return x;
}

static int32_t linear(struct graph *g, int32_t x, int64_t rows, int64_t from, int64_t to)
{
	network_flops += 2.0 * (double)rows * (double)(from * to);
	x = MODEL_NODE(g, OP_MATMUL, x, weights(g, shape_of(from, to), 1 / sqrt((double)from)));
	return MODEL_NODE(g, OP_ADD, x, weights(g, shape_of(to), 0.1));
}

static int32_t classifier(struct graph *g, int32_t x, int64_t n, int64_t channels)
{
	x = MODEL_NODE(g, OP_FLATTEN, MODEL_NODE(g, OP_GLOBAL_AVERAGE_POOL, x));
	return linear(g, x, n, channels, 1000);
}

/* -- networks ---------------------------------------------------------------------------------- */

static int32_t resnet50(struct graph *g, int64_t n)
{
	static const struct {
		int64_t width, blocks, stride;
	} stage[] = { { 64, 3, 1 }, { 128, 4, 2 }, { 256, 6, 2 }, { 512, 3, 2 } };
	int64_t size = 224, from = 64;
	int32_t x = image(g, shape_of(n, 3, 224, 224));
	x = MODEL_NODE(g, OP_RELU, conv(g, x, n, 3, 64, 7, 2, 1, &size));
	x = MODEL_NODE(g, OP_MAX_POOL, x);
	MODEL_ATTR_INTS(g, "kernel_shape", 3, 3);
	MODEL_ATTR_INTS(g, "strides", 2, 2);
	MODEL_ATTR_INTS(g, "pads", 1, 1, 1, 1);
	size /= 2;
	for (int s = 0; s < 4; s++)
		for (int64_t i = 0; i < stage[s].blocks; i++) {
			int64_t w = stage[s].width, stride = i ? 1 : stage[s].stride, before = size;
			int32_t y = MODEL_NODE(g, OP_RELU, conv(g, x, n, from, w, 1, 1, 1, &size));
			y = MODEL_NODE(g, OP_RELU, conv(g, y, n, w, w, 3, stride, 1, &size));
			y = conv(g, y, n, w, 4 * w, 1, 1, 1, &size);
			if (i == 0)
				x = conv(g, x, n, from, 4 * w, 1, stride, 1, &before);
			x = MODEL_NODE(g, OP_RELU, MODEL_NODE(g, OP_ADD, y, x));
			from = 4 * w;
		}
	return classifier(g, x, n, from);
}

static int32_t relu6(struct graph *g, int32_t x)
{
	return MODEL_NODE(g, OP_CLIP, x, model_scalar(g, 0), model_scalar(g, 6));
}

static int32_t mobilenet_v2(struct graph *g, int64_t n)
{
	static const int64_t stage[][4] = { { 1, 16, 1, 1 }, { 6, 24, 2, 2 }, { 6, 32, 3, 2 },
		{ 6, 64, 4, 2 }, { 6, 96, 3, 1 }, { 6, 160, 3, 2 }, { 6, 320, 1, 1 } };
	int64_t size = 224, from = 32;
	int32_t x = relu6(g, conv(g, image(g, shape_of(n, 3, 224, 224)), n, 3, 32, 3, 2, 1, &size));
	for (int s = 0; s < 7; s++)
		for (int64_t i = 0; i < stage[s][2]; i++) {
			int64_t hidden = from * stage[s][0], to = stage[s][1],
				stride = i ? 1 : stage[s][3];
			int32_t y = stage[s][0] > 1
					    ? relu6(g, conv(g, x, n, from, hidden, 1, 1, 1, &size))
					    : x;
			y = relu6(g, conv(g, y, n, hidden, hidden, 3, stride, hidden, &size));
			y = conv(g, y, n, hidden, to, 1, 1, 1, &size);
			x = stride == 1 && from == to ? MODEL_NODE(g, OP_ADD, x, y) : y;
			from = to;
		}
	return classifier(g, relu6(g, conv(g, x, n, from, 1280, 1, 1, 1, &size)), n, 1280);
}

#define WIDTH INT64_C(768)
#define HEADS INT64_C(12)
#define LENGTH INT64_C(128)
#define WORDS INT64_C(30522)

static int32_t heads_of(struct graph *g, int32_t x, int64_t n)
{
	x = linear(g, x, n * LENGTH, WIDTH, WIDTH);
	x = MODEL_NODE(g, OP_RESHAPE, x, MODEL_INTS(g, 0, LENGTH, HEADS, WIDTH / HEADS));
	x = MODEL_NODE(g, OP_TRANSPOSE, x);
	MODEL_ATTR_INTS(g, "perm", 0, 2, 1, 3);
	return x;
}

static int32_t attention(struct graph *g, int32_t x, int64_t n)
{
	int32_t q = heads_of(g, x, n), k = heads_of(g, x, n), v = heads_of(g, x, n);
	network_flops += 4.0 * (double)(n * LENGTH) * (double)(LENGTH * WIDTH);
	x = MODEL_NODE(g, OP_ATTENTION, q, k, v);
	x = MODEL_NODE(g, OP_TRANSPOSE, x);
	MODEL_ATTR_INTS(g, "perm", 0, 2, 1, 3);
	x = MODEL_NODE(g, OP_RESHAPE, x, MODEL_INTS(g, 0, LENGTH, WIDTH));
	return linear(g, x, n * LENGTH, WIDTH, WIDTH);
}

static int32_t layer_norm(struct graph *g, int32_t x, int32_t y)
{
	x = MODEL_NODE(g, OP_LAYER_NORM, MODEL_NODE(g, OP_ADD, y, x),
		weights(g, shape_of(WIDTH), 1), weights(g, shape_of(WIDTH), 0.1));
	model_attr_int(g, "axis", -1);
	return x;
}

static int32_t bert_layers(struct graph *g, int32_t x, int64_t n)
{
	for (int layer = 0; layer < 12; layer++) {
		x = layer_norm(g, x, attention(g, x, n));
		int32_t y = MODEL_NODE(g, OP_GELU, linear(g, x, n * LENGTH, WIDTH, 4 * WIDTH));
		x = layer_norm(g, x, linear(g, y, n * LENGTH, 4 * WIDTH, WIDTH));
	}
	return x;
}

/* What the first word has become. */
static int32_t pooler(struct graph *g, int32_t x, int64_t n)
{
	x = MODEL_NODE(g, OP_GATHER, x, model_int64s(g, SHAPE_SCALAR, (int64_t[]){ 0 }));
	model_attr_int(g, "axis", 1);
	return MODEL_NODE(g, OP_TANH, linear(g, x, n, WIDTH, WIDTH));
}

static int32_t bert_base(struct graph *g, int64_t n)
{
	return pooler(g, bert_layers(g, image(g, shape_of(n, LENGTH, WIDTH)), n), n);
}

/* As it is served: words enter. */
static int32_t bert_words(struct graph *g, int64_t n)
{
	int32_t ids = model_input(g, "ids", DTYPE_I64, shape_of(n, LENGTH));
	int32_t x = MODEL_NODE(g, OP_GATHER, weights(g, shape_of(WORDS, WIDTH), 1), ids);
	x = layer_norm(g, x, weights(g, shape_of(LENGTH, WIDTH), 1));
	return pooler(g, bert_layers(g, x, n), n);
}

static int32_t mlp(struct graph *g, int64_t n)
{
	int32_t x = image(g, shape_of(n, 64));
	x = MODEL_NODE(g, OP_RELU, linear(g, x, n, 64, 256));
	x = MODEL_NODE(g, OP_RELU, linear(g, x, n, 256, 256));
	return linear(g, x, n, 256, 10);
}

/* -- workbenches ------------------------------------------------------------------------------- */

static int32_t matmul(struct graph *g, int64_t n)
{
	int64_t rows = 4096 * (n < 8 ? n : 8);
	int32_t x = image(g, shape_of(rows, 4096));
	for (int i = 0; i < 8; i++) {
		network_flops += 2.0 * (double)rows * 4096.0 * 4096.0;
		x = MODEL_NODE(g, OP_MATMUL, x, weights(g, shape_of(4096, 4096), 1.0 / 64));
	}
	return MODEL_NODE(g, OP_REDUCE_MAX, x);
}

static int32_t conv3x3(struct graph *g, int64_t n)
{
	int64_t size = 28;
	int32_t x = image(g, shape_of(n, 256, 28, 28));
	for (int i = 0; i < 8; i++)
		x = MODEL_NODE(g, OP_RELU, conv(g, x, n, 256, 256, 3, 1, 1, &size));
	return MODEL_NODE(g, OP_GLOBAL_AVERAGE_POOL, x);
}

/* -- single operators: what they move is counted, and printed as GB/s -------------------------- */

#define TIMES 8 /* in a row, so that the image and the end are little beside them */

static void moves(double elements) { network_flops += elements * network_element_bytes * 1e3; }

/* Rows in another order. */
static int32_t stream(struct graph *g, int64_t n)
{
	static int64_t order[128 * 1024];
	int64_t rows = 1024 * (n < 128 ? n : 128);
	int32_t x = image(g, shape_of(rows, 4096));
	for (int64_t i = 0; i < rows; i++)
		order[i] = rows - 1 - i;
	int32_t to = model_int64s(g, shape_of(rows), order);
	for (int i = 0; i < TIMES; i++) {
		x = MODEL_NODE(g, OP_GATHER, x, to);
		moves(2.0 * (double)(rows * 4096));
	}
	return MODEL_NODE(g, OP_REDUCE_MAX, x);
}

static int32_t norm(struct graph *g, int64_t n)
{
	int32_t x = image(g, shape_of(n, LENGTH, WIDTH)), scale = weights(g, shape_of(WIDTH), 1);
	for (int i = 0; i < TIMES; i++) {
		x = MODEL_NODE(g, OP_LAYER_NORM, x, scale, scale);
		model_attr_int(g, "axis", -1);
		moves(2.0 * (double)(n * LENGTH * WIDTH));
	}
	return MODEL_NODE(g, OP_REDUCE_MAX, x);
}

/* Rows are normalized in between, so that it is not one kernel. */
static int32_t gelu(struct graph *g, int64_t n)
{
	int32_t x = image(g, shape_of(n, LENGTH, 4 * WIDTH)),
		scale = weights(g, shape_of(4 * WIDTH), 1);
	for (int i = 0; i < TIMES; i++) {
		x = MODEL_NODE(g, OP_GELU, MODEL_NODE(g, OP_RMS_NORM, x, scale));
		moves(4.0 * (double)(n * LENGTH * 4 * WIDTH));
	}
	return MODEL_NODE(g, OP_REDUCE_MAX, x);
}

static int32_t softmax(struct graph *g, int64_t n)
{
	int32_t x = image(g, shape_of(n * HEADS, LENGTH, LENGTH));
	for (int i = 0; i < TIMES; i++) {
		x = MODEL_NODE(g, OP_SOFTMAX, x);
		moves(2.0 * (double)(n * HEADS * LENGTH * LENGTH));
	}
	return MODEL_NODE(g, OP_REDUCE_MAX, x);
}

/* To one number, several ways. */
static int32_t reduce(struct graph *g, int64_t n)
{
	static const enum op_id ways[] = { OP_REDUCE_MAX, OP_REDUCE_MIN, OP_REDUCE_SUM,
		OP_REDUCE_L1 };
	int32_t x = image(g, shape_of(n, 1 << 20)), all = model_scalar(g, 0);
	for (int i = 0; i < 4; i++) {
		all = MODEL_NODE(g, OP_ADD, all, MODEL_NODE(g, ways[i], x));
		moves((double)(n << 20));
	}
	return all;
}

static int32_t global_pool(struct graph *g, int64_t n)
{
	int64_t size = 7;
	int32_t x = conv(g, image(g, shape_of(n, 16, 7, 7)), n, 16, 2048, 1, 1, 1, &size);
	network_flops = 0;
	moves(2.0 * (double)(n * 2048 * 7 * 7));
	return MODEL_NODE(g, OP_ADD, MODEL_NODE(g, OP_GLOBAL_AVERAGE_POOL, x),
		MODEL_NODE(g, OP_GLOBAL_MAX_POOL, x));
}

static int32_t max_pool(struct graph *g, int64_t n)
{
	int64_t size = 112;
	int32_t x = conv(g, image(g, shape_of(n, 16, 112, 112)), n, 16, 64, 1, 1, 1, &size);
	network_flops = 0;
	for (int i = 0; i < TIMES; i++) {
		x = MODEL_NODE(g, OP_MAX_POOL, x);
		MODEL_ATTR_INTS(g, "kernel_shape", 3, 3);
		MODEL_ATTR_INTS(g, "pads", 1, 1, 1, 1);
		moves(2.0 * (double)(n * 64 * 112 * 112));
	}
	return MODEL_NODE(g, OP_GLOBAL_MAX_POOL, x);
}

/* Channels are put last, and what comes out is taken as channels first. */
static int32_t layout(struct graph *g, int64_t n)
{
	int32_t x = image(g, shape_of(n, 64, 112 * 112));
	for (int i = 0; i < TIMES; i++) {
		x = MODEL_NODE(g, OP_TRANSPOSE, x);
		MODEL_ATTR_INTS(g, "perm", 0, 2, 1);
		x = MODEL_NODE(g, OP_RESHAPE, x, MODEL_INTS(g, 0, 64, 112 * 112));
		moves(2.0 * (double)(n * 64 * 112 * 112));
	}
	return MODEL_NODE(g, OP_REDUCE_MAX, x);
}

const struct network networks[] = { { "matmul", matmul }, { "conv3x3", conv3x3 },
	{ "stream", stream }, { "norm", norm }, { "gelu", gelu }, { "softmax", softmax },
	{ "reduce", reduce }, { "global_pool", global_pool }, { "max_pool", max_pool },
	{ "layout", layout },

	{ "resnet50", resnet50 }, { "bert_base", bert_base }, { "bert_words", bert_words },
	{ "mobilenet_v2", mobilenet_v2 }, { "mlp", mlp } };
const int networks_count = sizeof(networks) / sizeof(networks[0]);
