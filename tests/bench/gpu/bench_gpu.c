/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_gpu.c -- networks and single operators on the device, timed
 *
 * usage: bench_gpu [--models NAME,...] [--batch N,...] [--precision fp16|f32|tf32|bf16] [--seconds S]
 *
 * Prints a line per network and batch: name, precision, batch, microseconds of a run, rows per
 * second, TFLOP/s. Networks are those of tests/bench/ort_compare.py, with weights from a fixed
 * seed. What enters is one number, by which a constant image is multiplied on the device, so that
 * copies from the host are no part of it; --copies makes the image the input.
 *
 * matmul and conv are the workbenches: one product of 4096 x 4096 matrices per row of the batch
 * up to 8, one 3 x 3 convolution of 256 channels at 28 x 28. Their TFLOP/s over the chip's peak
 * is what a version of the kernels is judged by; check_gpu checks them.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "exec/infer/infer.h"
#include "exec/module.h"
#include "exec/pass/passes.h"
#include "exec/run/program.h"
#include "support/models.h"

#define WARM_RUNS 6 /* a segment is recorded by then */

static bool copies;
static double flops; /* of the graph that is being built, per run */

static void die(const char *what, const struct err *err)
{
	fprintf(stderr, "bench_gpu: %s: %s\n", what, err->msg);
	exit(1);
}

/* -- parts of networks ---------------------------------------------------------------------------- */

static int32_t weights(struct graph *g, struct shape shape, double scale)
{
	return MODEL_NODE(g, OP_MUL, model_floats(g, shape, NULL), model_scalar(g, (float)scale));
}

/* What the network reads. */
static int32_t image(struct graph *g, struct shape shape)
{
	if (copies)
		return model_input(g, "x", DTYPE_F32, shape);
	int32_t by = model_input(g, "x", DTYPE_F32, shape_of(1));
	return MODEL_NODE(g, OP_MUL, model_floats(g, shape, NULL), by);
}

static int32_t conv(struct graph *g, int32_t x, int64_t n, int64_t from, int64_t to, int64_t k, int64_t stride,
	int64_t group, int64_t *size)
{
	double scale = sqrt(2.0 / (double)(from / group * k * k));
	*size = (*size + stride - 1) / stride;
	flops += 2.0 * (double)(n * to * *size * *size) * (double)(from / group * k * k);
	x = MODEL_NODE(g, OP_CONV, x, weights(g, shape_of(to, from / group, k, k), scale), weights(g, shape_of(to), 0.1));
	MODEL_ATTR_INTS(g, "pads", k / 2, k / 2, k / 2, k / 2);
	MODEL_ATTR_INTS(g, "strides", stride, stride);
	model_attr_int(g, "group", group);
	return x;
}

static int32_t linear(struct graph *g, int32_t x, int64_t rows, int64_t from, int64_t to)
{
	flops += 2.0 * (double)rows * (double)(from * to);
	x = MODEL_NODE(g, OP_MATMUL, x, weights(g, shape_of(from, to), 1 / sqrt((double)from)));
	return MODEL_NODE(g, OP_ADD, x, weights(g, shape_of(to), 0.1));
}

static int32_t classifier(struct graph *g, int32_t x, int64_t n, int64_t channels)
{
	x = MODEL_NODE(g, OP_FLATTEN, MODEL_NODE(g, OP_GLOBAL_AVERAGE_POOL, x));
	return linear(g, x, n, channels, 1000);
}

/* -- networks ---------------------------------------------------------------------------------------- */

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
	static const int64_t stage[][4] = { { 1, 16, 1, 1 }, { 6, 24, 2, 2 }, { 6, 32, 3, 2 }, { 6, 64, 4, 2 },
		{ 6, 96, 3, 1 }, { 6, 160, 3, 2 }, { 6, 320, 1, 1 } };
	int64_t size = 224, from = 32;
	int32_t x = relu6(g, conv(g, image(g, shape_of(n, 3, 224, 224)), n, 3, 32, 3, 2, 1, &size));
	for (int s = 0; s < 7; s++)
		for (int64_t i = 0; i < stage[s][2]; i++) {
			int64_t hidden = from * stage[s][0], to = stage[s][1], stride = i ? 1 : stage[s][3];
			int32_t y = stage[s][0] > 1 ? relu6(g, conv(g, x, n, from, hidden, 1, 1, 1, &size)) : x;
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

static int32_t heads_of(struct graph *g, int32_t x, int64_t n)
{
	x = linear(g, x, n * LENGTH, WIDTH, WIDTH);
	x = MODEL_NODE(g, OP_RESHAPE, x, MODEL_INTS(g, n, LENGTH, HEADS, WIDTH / HEADS));
	x = MODEL_NODE(g, OP_TRANSPOSE, x);
	MODEL_ATTR_INTS(g, "perm", 0, 2, 1, 3);
	return x;
}

static int32_t attention(struct graph *g, int32_t x, int64_t n)
{
	int32_t q = heads_of(g, x, n), k = heads_of(g, x, n), v = heads_of(g, x, n);
	flops += 4.0 * (double)(n * LENGTH) * (double)(LENGTH * WIDTH);
	x = MODEL_NODE(g, OP_ATTENTION, q, k, v);
	x = MODEL_NODE(g, OP_TRANSPOSE, x);
	MODEL_ATTR_INTS(g, "perm", 0, 2, 1, 3);
	x = MODEL_NODE(g, OP_RESHAPE, x, MODEL_INTS(g, n, LENGTH, WIDTH));
	return linear(g, x, n * LENGTH, WIDTH, WIDTH);
}

static int32_t layer_norm(struct graph *g, int32_t x, int32_t y)
{
	x = MODEL_NODE(g, OP_LAYER_NORM, MODEL_NODE(g, OP_ADD, y, x), weights(g, shape_of(WIDTH), 1),
		weights(g, shape_of(WIDTH), 0.1));
	model_attr_int(g, "axis", -1);
	return x;
}

static int32_t bert_base(struct graph *g, int64_t n)
{
	int32_t x = image(g, shape_of(n, LENGTH, WIDTH));
	for (int layer = 0; layer < 12; layer++) {
		x = layer_norm(g, x, attention(g, x, n));
		int32_t y = MODEL_NODE(g, OP_GELU, linear(g, x, n * LENGTH, WIDTH, 4 * WIDTH));
		x = layer_norm(g, x, linear(g, y, n * LENGTH, 4 * WIDTH, WIDTH));
	}
	return x;
}

static int32_t mlp(struct graph *g, int64_t n)
{
	int32_t x = image(g, shape_of(n, 64));
	x = MODEL_NODE(g, OP_RELU, linear(g, x, n, 64, 256));
	x = MODEL_NODE(g, OP_RELU, linear(g, x, n, 256, 256));
	return linear(g, x, n, 256, 10);
}

/* -- workbenches -------------------------------------------------------------------------------------- */

static int32_t matmul(struct graph *g, int64_t n)
{
	int64_t rows = 4096 * (n < 8 ? n : 8);
	int32_t x = image(g, shape_of(rows, 4096));
	for (int i = 0; i < 8; i++) {
		flops += 2.0 * (double)rows * 4096.0 * 4096.0;
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

/* Reads and writes a number per element and step; the rate is printed as GB/s. */
static int32_t stream(struct graph *g, int64_t n)
{
	int32_t x = image(g, shape_of(n, 1 << 22));
	for (int i = 0; i < 8; i++) {
		x = MODEL_NODE(g, OP_TANH, x);
		flops += 8.0 * (double)n * (double)(1 << 22) * 1e3; /* bytes, and TFLOP/s becomes GB/s */
	}
	return MODEL_NODE(g, OP_REDUCE_MAX, x);
}

static const struct {
	const char *name;
	int32_t (*build)(struct graph *g, int64_t n);
} models[] = { { "matmul", matmul }, { "conv3x3", conv3x3 }, { "stream", stream }, { "resnet50", resnet50 },
	{ "bert_base", bert_base }, { "mobilenet_v2", mobilenet_v2 }, { "mlp", mlp } };

/* -- timing ------------------------------------------------------------------------------------------- */

struct result {
	void *mem;
	size_t room;
};

static void *take(void *ctx, int i, const struct tensor *t)
{
	struct result *r = ctx;
	(void)i;
	if (tensor_bytes(t) > r->room) {
		free(r->mem);
		r->room = tensor_bytes(t) + 63;
		r->room -= r->room % 64;
		r->mem = aligned_alloc(64, r->room + 64);
	}
	return r->mem;
}

static void run(struct program *p, const struct tensor *in, struct result *to)
{
	struct run_opts opts = { .output = take, .output_ctx = to };
	struct err err = { 0 };
	if (program_run(p, in, &opts, &err) != ERR_OK)
		die("running", &err);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

#define SAMPLES_MAX 20000

/* The median, in microseconds. */
static double time_runs(struct program *p, const struct tensor *in, double seconds)
{
	static double us[SAMPLES_MAX];
	struct result to = { 0 };
	int n = 0;
	for (int i = 0; i < WARM_RUNS; i++)
		run(p, in, &to);
	int64_t began = clock_now_ns(), end = began + (int64_t)(seconds * 1e9);
	while (n < SAMPLES_MAX && (n < 5 || clock_now_ns() < end)) {
		int64_t at = clock_now_ns();
		run(p, in, &to);
		us[n++] = (double)(clock_now_ns() - at) / 1e3;
	}
	free(to.mem);
	qsort(us, (size_t)n, sizeof(us[0]), by_value);
	return us[n / 2];
}

struct options {
	const struct backend *backend;
	enum precision precision;
	const char *precision_name;
	double seconds;
};

static void bench(int which, int64_t batch, const struct options *o)
{
	struct graph *g = model_new();
	struct err err = { 0 };
	struct program *p;
	flops = 0;
	model_output(g, models[which].build(g, batch));
	struct passes_opts passes = passes_opts_for(o->backend, o->precision);
	struct program_conf conf = { .backend = o->backend, .packs = packs_new(), .precision = o->precision,
		.choices = choices_new(), .threads = 1 };
	if (infer_graph(g, &err) != ERR_OK || passes_run(g, &passes, &err) != ERR_OK ||
		program_new(g, &conf, &p, &err) != ERR_OK)
		die(models[which].name, &err);
	struct tensor in = { .dtype = DTYPE_F32, .shape = g->value[g->input[0]].shape };
	size_t bytes = tensor_bytes(&in);
	in.data = aligned_alloc(64, bytes + 64 - bytes % 64);
	for (int64_t i = 0; i < tensor_count(&in); i++)
		((float *)in.data)[i] = 0.5F;
	double us = time_runs(p, &in, o->seconds);
	printf("%-14s %-5s %5lld %10.1f us %12.1f /s %9.2f T\n", models[which].name, o->precision_name,
		(long long)batch, us, (double)batch * 1e6 / us, flops / us / 1e6);
	fflush(stdout);
	free(in.data);
	program_free(p);
	packs_free(conf.packs);
	choices_free(conf.choices);
	model_free(g);
}

/* -- the command line ------------------------------------------------------------------------------------ */

static bool in_list(const char *list, const char *name)
{
	size_t n = strlen(name);
	for (const char *at = list; at; at = strchr(at, ',')) {
		at += *at == ',';
		if (strncmp(at, name, n) == 0 && (at[n] == ',' || at[n] == '\0'))
			return true;
	}
	return false;
}

static enum precision precision_of(const char *name)
{
	static const char *const names[PRECISION_COUNT_] = { [PRECISION_FAST] = "f32", [PRECISION_EXACT] = "exact",
		[PRECISION_BF16] = "bf16", [PRECISION_TF32] = "tf32", [PRECISION_FP16] = "fp16" };
	for (int i = 0; i < PRECISION_COUNT_; i++)
		if (strcmp(names[i], name) == 0)
			return (enum precision)i;
	fprintf(stderr, "bench_gpu: no precision '%s'\n", name);
	exit(2);
}

int main(int argc, char **argv)
{
	const char *wanted = NULL, *batches = "1,8,32,128", *device = "gpu";
	struct options o = { .precision_name = "fp16", .seconds = 1 };
	struct err err = { 0 };
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";
		if (strcmp(argv[i], "--copies") == 0) {
			copies = true;
			continue;
		}
		if (strcmp(argv[i], "--models") == 0)
			wanted = value;
		else if (strcmp(argv[i], "--batch") == 0)
			batches = value;
		else if (strcmp(argv[i], "--precision") == 0)
			o.precision_name = value;
		else if (strcmp(argv[i], "--seconds") == 0)
			o.seconds = atof(value);
		else if (strcmp(argv[i], "--device") == 0)
			device = value;
		else
			return fprintf(stderr, "bench_gpu: no option '%s'\n", argv[i]), 2;
		i++;
	}
	o.precision = precision_of(o.precision_name);
	if (backend_open(device, &o.backend, &err) != ERR_OK)
		die("opening the device", &err);
	for (size_t m = 0; m < sizeof(models) / sizeof(models[0]); m++)
		for (const char *at = batches; *at && (!wanted || in_list(wanted, models[m].name));) {
			char *next;
			bench((int)m, strtoll(at, &next, 10), &o);
			at = *next == ',' ? next + 1 : "";
		}
	return 0;
}
