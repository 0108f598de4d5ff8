/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_gpu.c -- networks and single operators on the device, timed
 *
 * usage: bench_gpu [--models NAME,...] [--batch N,...] [--precision fp16|f32|tf32|bf16] [--seconds
 * S]
 *
 * Prints a line per network (networks.h) and batch: name, precision, batch, microseconds of a run,
 * rows per second, TFLOP/s, and the GB/s that reading the weights once comes to. What enters is one
 * number, by which a constant image is multiplied on the device, so that copies from the host are
 * no part of it; --copies makes the image the input. The workbenches' TFLOP/s over the chip's peak
 * is what a version of the kernels is judged by; check_gpu checks them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "exec/infer/infer.h"
#include "exec/module.h"
#include "exec/packs.h"
#include "exec/pass/passes.h"
#include "exec/run/program.h"
#include "bench/gpu/networks.h"
#include "support/models.h"

#define WARM_RUNS 6 /* a segment is recorded by then */

static void die(const char *what, const struct err *err)
{
	fprintf(stderr, "bench_gpu: %s: %s\n", what, err->msg);
	exit(1);
}

/* -- timing ------------------------------------------------------------------------------------ */

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

/* What stands beside what is computed. */
static size_t weight_bytes(const struct graph *g)
{
	size_t bytes = 0;
	for (int32_t i = 0; i < g->n_node; i++)
		for (int32_t k = 1; k < g->node[i].n_in && !g->node[i].dead; k++)
			if (node_has_in(&g->node[i], k) && g->value[g->node[i].in[k]].constant)
				bytes += tensor_bytes(g->value[g->node[i].in[k]].constant);
	return bytes;
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
	network_flops = 0;
	network_element_bytes =
		o->precision == PRECISION_FP16 || o->precision == PRECISION_BF16 ? 2 : 4;
	model_output(g, networks[which].build(g, batch));
	struct passes_opts passes = passes_opts_for(o->backend, o->precision);
	struct program_conf conf = { .backend = o->backend, .packs = packs_new(),
		.precision = o->precision, .choices = choices_new(), .threads = 1 };
	if (infer_graph(g, &err) != ERR_OK || passes_run(g, &passes, &err) != ERR_OK ||
		program_new(g, &conf, &p, &err) != ERR_OK)
		die(networks[which].name, &err);
	const struct type *type = &g->value[g->input[0]].type;
	struct tensor in = { .dtype = type->dtype, .shape = g->value[g->input[0]].shape };
	size_t bytes = tensor_bytes(&in);
	in.data = aligned_alloc(64, bytes + 64 - bytes % 64);
	memset(in.data, 0, bytes);
	for (int64_t i = 0; i < tensor_count(&in) && in.dtype == DTYPE_F32; i++)
		((float *)in.data)[i] = 0.5F;
	double us = time_runs(p, &in, o->seconds);
	printf("%-14s %-5s %5lld %10.1f us %12.1f /s %9.2f T %8.1f GB/s\n", networks[which].name,
		o->precision_name, (long long)batch, us, (double)batch * 1e6 / us,
		network_flops / us / 1e6, (double)weight_bytes(g) / us / 1e3);
	fflush(stdout);
	free(in.data);
	program_free(p);
	packs_free(conf.packs);
	choices_free(conf.choices);
	model_free(g);
}

/* -- the command line -------------------------------------------------------------------------- */

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
	static const char *const names[PRECISION_COUNT_] = { [PRECISION_FAST] = "f32",
		[PRECISION_EXACT] = "exact",
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
			network_copies = true;
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
	for (int m = 0; m < networks_count; m++)
		for (const char *at = batches;
			*at && (!wanted || in_list(wanted, networks[m].name));) {
			char *next;
			bench(m, strtoll(at, &next, 10), &o);
			at = *next == ',' ? next + 1 : "";
		}
	return 0;
}
