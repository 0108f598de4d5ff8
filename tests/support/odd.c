/* SPDX-License-Identifier: Apache-2.0 */
#include "support/odd.h"

#include <math.h>
#include "support/models.h"

static uint32_t state;

void odd_seed(uint32_t seed)
{
	state = seed;
}

uint32_t odd_draw(uint32_t below)
{
	state = state * 1664525u + 1013904223u;
	return (state >> 10) % below;
}

int64_t odd_int(void)
{
	static const int64_t odd[] = { 0, 1, -1, 2, 3, -2, 4, 7, 1 << 20, INT32_MAX, INT64_MAX,
		INT64_MIN, INT64_C(1) << 40, -12 };
	return odd[odd_draw(odd_draw(2) ? 5 : 14)];
}

double odd_float(void)
{
	static const double odd[] = { 0, 1, -1, 0.5, 2, -0.0, 3, 1e-3, 0x1p-43, 0x1p-140, 0x1p31,
		-0x1p31, 0x1p60, 1e30, -1e30, INFINITY, -INFINITY, NAN };
	return odd[odd_draw(odd_draw(2) ? 5 : 18)];
}

struct shape odd_shape(void)
{
	static const int64_t dims[] = { 1, 2, 3, 4, 4, 8, 0, DIM_UNKNOWN, DIM_SYMBOL(0),
		DIM_SYMBOL(1), INT64_C(1) << 31, INT64_C(1) << 47, INT64_MAX };
	struct shape s = { .rank = (int)odd_draw(6) };
	if (odd_draw(12) == 0)
		s.rank = odd_draw(2) ? RANK_MAX : RANK_UNKNOWN;
	for (int i = 0; i < s.rank; i++)
		s.dim[i] = dims[odd_draw(odd_draw(6) ? 6 : 13)];
	return s;
}

int32_t odd_constant(struct graph *g)
{
	struct shape s = odd_draw(3) ? shape_of((int64_t)odd_draw(6)) : SHAPE_SCALAR;
	if (odd_draw(3) == 0)
		return model_floats(g, s, (float[]){ 2, 0, -1, 1e30f, 0.5f, 1 });
	int64_t v[6];
	for (int i = 0; i < 6; i++)
		v[i] = odd_int();
	return model_int64s(g, s, v);
}

static const char *odd_word(void)
{
	static const char *const words[] = { "", "none", "SAME_UPPER", "VALID", "linear", "cubic",
		"tf_crop_and_resize", "reflect", "ij,jk->ik", "...i,...j", "->", "tanh", "add",
		"CRD", "not_larger", "\xff" };
	return words[odd_draw(16)];
}

static struct graph *odd_body(struct graph *g)
{
	struct graph *body = model_body(g, "body");
	for (uint32_t i = odd_draw(4); i > 0; i--)
		model_input(body, "b", DTYPE_F32, odd_shape());
	int32_t v = odd_constant(body);
	for (uint32_t i = odd_draw(4); i > 0; i--)
		model_output(body, v);
	return body;
}

static void odd_strings(struct graph *g, const char *name)
{
	struct slice words[6];
	for (int i = 0; i < 6; i++)
		words[i] = slice_of(odd_draw(2) ? "tanh" : odd_word());
	model_attr_strings(g, name, (int)odd_draw(6) + 1, words);
}

void odd_attr(struct graph *g, const char *name, enum attr_kind kind)
{
	static const struct type type = { .dtype = DTYPE_F16, .is_sequence = true };
	int64_t list[6];
	for (int i = 0; i < 6; i++)
		list[i] = odd_int();
	switch (kind) {
	case ATTR_INT: model_attr_int(g, name, odd_int()); break;
	case ATTR_FLOAT: model_attr_float(g, name, odd_draw(2) ? -1.0f : 0.5f); break;
	case ATTR_STRING: model_attr_string(g, name, odd_word()); break;
	case ATTR_INTS: model_attr_ints(g, name, (int)odd_draw(6), list); break;
	case ATTR_FLOATS:
		model_attr_floats(g, name, (int)odd_draw(4), (const float[]){ -1, 0.5f, 3, 0 });
		break;
	case ATTR_STRINGS: odd_strings(g, name); break;
	case ATTR_GRAPH: model_attr_graph(g, name, odd_body(g)); break;
	case ATTR_TYPE: model_attr_type(g, name, &type); break;
	case ATTR_TENSOR:
	case ATTR_TENSORS: {
		int32_t v = odd_constant(g);
		model_attr_tensor(g, name, g->value[v].constant);
		break;
	}
	}
}

void *odd_output(void *arena, int i, const struct tensor *t)
{
	size_t bytes;
	(void)i;
	if (t->dtype == DTYPE_TENSOR || tensor_is_absent(t))
		return t->data;
	if (tensor_bytes_overflow(t->dtype, &t->shape, &bytes))
		return NULL;
	return arena_alloc_aligned(arena, bytes ? bytes : 1, ARENA_ALIGN_TENSOR);
}
