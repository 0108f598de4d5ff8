/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What fused_source.c writes, as NVRTC itself sees it: where the library is installed it compiles
 * for devices that are not there, so that no GPU is needed to know that every operator and
 * type makes a kernel.
 */
#include <check.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "exec/gpu/math/fused_source.h"
#include "exec/gpu/lib/gpu_libs.h"
#include "exec/gpu/lib/nvrtc.h"
#include "exec/infer/infer.h"
#include "support/models.h"

static const struct row {
	enum op_id op;
	uint64_t types;
} rows[] = {
#define FUSED_OP(op, types, form) { OP_##op, types },
#include "exec/fused.def"
#undef FUSED_OP
};

static bool open_library(void)
{
	void *lib = dlopen(CUDA_LIBS "/libnvrtc.so.13", RTLD_NOW | RTLD_LOCAL);
	if (!lib)
		return false;
#define X(fn) *(void **)&nvrtc.fn = dlsym(lib, #fn);
	NVRTC_FUNCTIONS(X)
#undef X
	return nvrtc.nvrtcCreateProgram && nvrtc.nvrtcGetCUBIN;
}

/* Operators of one type, each of what came out of the one before. */
struct chain {
	struct graph *g;
	enum dtype dtype;
	int32_t v, other, bound;
	int n;
};

#define CHAIN_LONG 20

static void begin(struct chain *c, enum dtype dtype)
{
	*c = (struct chain){ .g = model_new(), .dtype = dtype };
	c->v = model_input(c->g, "", dtype, shape_of(3, 4));
	c->other = model_input(c->g, "", dtype, shape_of(3, 4));
	c->bound = model_input(c->g, "", dtype, SHAPE_SCALAR);
}

/* In turns: all dense in groups, one at a time and walked, single elements. */
static const struct fused_shape shapes[] = {
	{ .wide = 2, .reach = { REACH_DENSE, REACH_DENSE, REACH_ONE }},
	{ .wide = 1, .rank = 3, .reach = { REACH_DENSE, REACH_WALK, REACH_ONE }},
	{ .wide = 2, .rank = 2, .reach = { REACH_WALK_DENSE, REACH_WALK, REACH_ONE }},
	{ .wide = 2, .reach = { REACH_DENSE, REACH_ONE, REACH_ONE }},
};

static void compile(struct chain *c, const struct fused_shape *s)
{
	struct err err;
	struct slice text;
	struct nvrtc_code code;
	char name[FUSED_NAME_MAX];
	model_output(c->g, c->v);
	ck_assert_msg(infer_graph(c->g, &err) == ERR_OK, "%s", err.msg);
	ck_assert_msg(
		fused_source(c->g, s, c->g->arena, name, &text, &err) == ERR_OK, "%s", err.msg);
	for (int capability = 80; capability <= 90; capability += 10) {
		ck_assert_msg(nvrtc_compile(text.ptr, capability, &code, &err) == ERR_OK, "%s\n%s",
			err.msg, text.ptr);
		ck_assert(code.bytes > 4 && memcmp(code.data,
						    "\x7f"
						    "ELF",
						    4) == 0);
		free(code.data);
	}
	model_free(c->g);
}

static int32_t cast(struct chain *c, int32_t v, enum dtype to)
{
	v = MODEL_NODE(c->g, OP_CAST, v);
	model_attr_int(c->g, "to", to);
	return v;
}

static void add_casts(struct chain *c, uint64_t types)
{
	for (enum dtype to = DTYPE_UNDEFINED + 1; to < DTYPE_TENSOR; to++)
		if (dtype_in(to, types))
			c->v = cast(c, cast(c, c->v, to), c->dtype);
}

static void add(struct chain *c, const struct row *row)
{
	int32_t two[] = { c->v, c->other }, bounds[] = { c->v, c->bound, c->bound };
	c->n++;
	switch (fused_form(row->op)) {
	case FUSED_CAST:
		add_casts(c, row->types);
		break;
	case FUSED_CLIP:
		c->v = model_node(c->g, row->op, 1, 3, bounds);
		break;
	case FUSED_FOLD:
		c->v = model_node(c->g, row->op, 1, 2, two);
		if (row->op == OP_MOD && dtype_in(c->dtype, T_FLOAT))
			model_attr_int(c->g, "fmod", 1);
		break;
	case FUSED_COMPARE:
		c->v = MODEL_NODE(c->g, OP_WHERE,
			model_node(c->g, row->op, 1, row->op == OP_IS_NAN ? 1 : 2, two), c->v,
			c->other);
		break;
	case FUSED_QUANTIZE:
		c->v = cast(c, MODEL_NODE(c->g, row->op, c->v, c->bound), c->dtype);
		break;
	case FUSED_DEQUANTIZE:
		c->v = MODEL_NODE(c->g, row->op, c->v, cast(c, c->bound, DTYPE_BF16), c->bound);
		c->v = cast(c, c->v, c->dtype);
		break;
	case FUSED_WHERE:
		c->v = MODEL_NODE(c->g, OP_WHERE, cast(c, c->v, DTYPE_BOOL), c->other, c->v);
		break;
	default:
		c->v = model_node(c->g, row->op, 1, 1, two);
	}
}

static void compile_type(enum dtype dtype)
{
	struct chain c;
	int turn = 0;
	begin(&c, dtype);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (dtype_in(dtype, rows[i].types))
			add(&c, &rows[i]);
		if (c.n < CHAIN_LONG)
			continue;
		compile(&c, &shapes[turn++ % 4]);
		begin(&c, dtype);
	}
	compile(&c, &shapes[turn % 4]);
}

START_TEST(every_operator_and_type_compiles)
{
	uint64_t types = 0;
	if (!open_library()) {
		fprintf(stderr, "no NVRTC in %s: what is generated is not compiled for devices\n",
			CUDA_LIBS);
		return;
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		types |= rows[i].types;
	for (enum dtype d = DTYPE_UNDEFINED + 1; d < DTYPE_TENSOR; d++)
		if (dtype_in(d, types))
			compile_type(d);
}
END_TEST

START_TEST(what_does_not_compile_is_said_in_a_line)
{
	struct nvrtc_code code;
	struct err err;
	if (!open_library())
		return;
	ck_assert_int_eq(nvrtc_compile("no kernel\n", 90, &code, &err), ERR_INTERNAL);
	ck_assert_msg(strstr(err.msg, "NVRTC: NVRTC_ERROR_COMPILATION: fused.cu(1): error: ") ==
				      err.msg &&
			      !strchr(err.msg, '\n'),
		"%s", err.msg);
}
END_TEST

START_TEST(a_library_that_is_not_there_is_named)
{
	struct err err;
	nvrtc = (struct nvrtc_functions){ 0 };
	ck_assert_int_eq(nvrtc_try(90, &err), ERR_UNAVAILABLE);
	ck_assert_str_eq(err.msg, "NVRTC (libnvrtc.so.13 or .12 of the CUDA toolkit) is not there");
}
END_TEST

Suite *suite_gpu_nvrtc(void);
Suite *suite_gpu_nvrtc(void)
{
	Suite *s = suite_create("gpu_nvrtc");
	TCase *t = tcase_create("nvrtc");
	tcase_set_timeout(t, 300);
	tcase_add_test(t, every_operator_and_type_compiles);
	tcase_add_test(t, what_does_not_compile_is_said_in_a_line);
	tcase_add_test(t, a_library_that_is_not_there_is_named);
	suite_add_tcase(s, t);
	return s;
}
