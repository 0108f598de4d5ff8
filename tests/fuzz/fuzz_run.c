/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model file as a version and a request use it: read, checked, compiled, and run on values that
 * it did not expect. Whatever it asks for, it gives a result or is refused with words, in bounded
 * time and memory. The first three bytes choose the values, the fourth the only output that is
 * asked for, 0: all; the rest is the file.
 */
#include <stdlib.h>
#include "base/clock.h"
#include "exec/infer/infer.h"
#include "exec/packs.h"
#include "exec/pass/passes.h"
#include "exec/run/program.h"
#include "loader/onnx/onnx.h"
#include "support/odd.h"

#define MEMORY_MAX ((size_t)32 << 20) /* of a model, and of a run */
#define ELEMENTS_MAX 4096             /* of an input */
#define RUNS 3
#define HEAD_BYTES 4
#define RUN_NS (20 * NS_PER_MS)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_said(enum err_code rc, const struct err *err)
{
	check(rc == ERR_OK || (rc == err->code && err->msg[0]));
}

/* So that what goes wrong at one node hides none of the others. */
static void choose_output(struct graph *g, uint8_t which)
{
	if (!which)
		return;
	g->output[0] = g->output[(which - 1) % g->n_output];
	g->n_output = 1;
}

static enum err_code read_model(
	struct slice bytes, uint8_t which, struct arena *arena, struct graph **ret, struct err *err)
{
	const struct onnx_limits limits = { .memory_bytes_max = MEMORY_MAX };
	const struct passes_opts passes = passes_opts_for(&cpu_backend, PRECISION_FAST);
	struct onnx_model model;
	TRY(onnx_parse(bytes, -1, &limits, arena, &model, err));
	TRY(graph_check(model.graph, err));
	TRY(infer_graph(model.graph, err));
	*ret = model.graph;
	choose_output(model.graph, which);
	return passes_run(model.graph, &passes, err);
}

/* -- inputs ---------------------------------------------------------------------------------- */

static struct slice odd_text(void)
{
	static const struct slice texts[] = { SLICE_LIT(""), SLICE_LIT("a"), SLICE_LIT("-1"),
		SLICE_LIT("1e999"), SLICE_LIT("nan"), SLICE_LIT("0x1p"), SLICE_LIT("\xff\xc3"),
		SLICE_LIT("a b  c,d"), SLICE_LIT("9223372036854775808") };
	return texts[odd_draw(9)];
}

/* Any bits are a number of any type, but that of a truth. */
static void fill_one(enum dtype dtype, void *at)
{
	union {
		int64_t whole;
		double real;
		float narrow;
		char bytes[16];
	} v = { .bytes = { 0 } };
	if (dtype == DTYPE_STRING) {
		*(struct slice *)at = odd_text();
		return;
	}
	if (dtype == DTYPE_F32)
		v.narrow = (float)odd_float();
	else if (dtype == DTYPE_F64)
		v.real = odd_float();
	else
		v.whole = odd_int();
	if (dtype == DTYPE_BOOL)
		v.whole &= 1;
	memcpy(at, v.bytes, dtype_bytes(dtype));
}

static bool make_input(const struct gvalue *v, struct arena *arena, struct tensor *ret)
{
	struct shape s = v->shape;
	size_t bytes;
	if (!type_is_tensor(&v->type))
		return false;
	if (s.rank < 0)
		s = shape_of(2, 3);
	for (int i = 0; i < s.rank; i++)
		if (s.dim[i] < 0)
			s.dim[i] = DIM_SYMBOL_INDEX(s.dim[i]) % 2 ? 3 : 2;
	if (tensor_bytes_overflow(v->type.dtype, &s, &bytes) || bytes > ELEMENTS_MAX * 16)
		return false;
	*ret = (struct tensor){ .dtype = v->type.dtype, .shape = s };
	ret->data = arena_alloc_aligned(arena, bytes + 16, ARENA_ALIGN_TENSOR);
	check(ret->data != NULL);
	for (int64_t i = 0; i < tensor_count(ret); i++)
		fill_one(ret->dtype, (char *)ret->data + (size_t)i * dtype_bytes(ret->dtype));
	return true;
}

static struct tensor *make_inputs(const struct graph *g, struct arena *arena)
{
	struct tensor *in = ARENA_ARRAY(arena, struct tensor, (size_t)g->n_input + 1);
	check(in != NULL);
	for (int32_t i = 0; i < g->n_input; i++)
		if (!make_input(&g->value[g->input[i]], arena, &in[i]))
			return NULL;
	return in;
}

/* -- running ----------------------------------------------------------------------------------- */

static void run_once(struct program *p)
{
	struct arena *arena = arena_new(1 << 16, MEMORY_MAX);
	check(arena != NULL);
	struct tensor *in = make_inputs(program_graph(p), arena);
	struct run_opts opts = { .arena = arena, .output = odd_output, .output_ctx = arena,
		.deadline_ns = clock_now_ns() + RUN_NS };
	struct err err = { .code = ERR_OK };
	if (in)
		check_said(program_run(p, in, &opts, &err), &err);
	arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < HEAD_BYTES)
		return 0;
	const struct slice bytes = { (const char *)data + HEAD_BYTES, size - HEAD_BYTES };
	struct arena *arena = arena_new(1 << 16, MEMORY_MAX);
	struct packs *packs = packs_new();
	struct program *p = NULL;
	struct graph *g;
	struct err err = { .code = ERR_OK };
	const struct program_conf conf = { .backend = &cpu_backend, .packs = packs, .threads = 1,
		.dynamic_bytes_max = MEMORY_MAX };
	check(arena && packs);
	odd_seed((uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8);
	enum err_code rc = read_model(bytes, data[3], arena, &g, &err);
	if (rc == ERR_OK)
		rc = program_new(g, &conf, &p, &err);
	check_said(rc, &err);
	for (int i = 0; i < RUNS && rc == ERR_OK; i++)
		run_once(p);
	program_free(p);
	packs_free(packs);
	arena_free(arena);
	return 0;
}
