/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/gpu/math/fused_source.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/buf.h"
#include "base/hash.h"
#include "exec/gpu/math/functions.h"
#include "exec/unary.h"

/* -- types ------------------------------------------------------------------------------------ */

/* In memory. Bools are bytes of 0 and 1. */
static const char *stored(enum dtype dtype)
{
	switch (dtype) {
	case DTYPE_F32:
		return "float";
	case DTYPE_F16:
		return "half";
	case DTYPE_BF16:
		return "bfloat";
	case DTYPE_I64:
		return "int64_t";
	case DTYPE_I32:
		return "int32_t";
	case DTYPE_I8:
		return "int8_t";
	default:
		return "uint8_t";
	}
}

static const char *computed(enum dtype dtype)
{
	return dtype_in(dtype, T_HALF) ? "float" : stored(dtype);
}

static enum dtype type_of(const struct graph *body, int32_t v)
{
	return body->value[v].type.dtype;
}

/* -- operators: the right side of a node's line ------------------------------------------------ */

static uint32_t bits(float f)
{
	uint32_t b;
	memcpy(&b, &f, sizeof(b));
	return b;
}

static void put_call(struct buf *b, int fn, float alpha, float beta)
{
	buf_printf(b,
		"gpu_call{ %d, __uint_as_float(0x%" PRIx32 "), __uint_as_float(0x%" PRIx32 ") }",
		fn, bits(alpha), bits(beta));
}

static void put_unary(struct buf *b, const struct graph *body, const struct node *n)
{
	struct unary_call call = {0};
	const char *type = stored(type_of(body, n->out[0]));
	(void)unary_of(n, &call); /* all of the form are */
	buf_printf(b, "rounded<%s>(apply_for<%s>(", type, type);
	put_call(b, (int)call.id, call.alpha, call.beta);
	buf_printf(b, ", v%d))", n->in[0]);
}

static void put_not(struct buf *b, const struct graph *body, const struct node *n)
{
	(void)body;
	buf_printf(b, "!v%d", n->in[0]);
}

static void put_clip(struct buf *b, const struct graph *body, const struct node *n)
{
	(void)body;
	if (node_has_in(n, 1) && node_has_in(n, 2))
		buf_printf(b, "clip(v%d, v%d, v%d)", n->in[0], n->in[1], n->in[2]);
	else if (node_has_in(n, 1))
		buf_printf(b, "clip_below(v%d, v%d)", n->in[0], n->in[1]);
	else if (node_has_in(n, 2))
		buf_printf(b, "clip_above(v%d, v%d)", n->in[0], n->in[2]);
	else
		buf_printf(b, "v%d", n->in[0]);
}

static void put_cast(struct buf *b, const struct graph *body, const struct node *n)
{
	enum dtype to = type_of(body, n->out[0]);
	buf_printf(b, "widen(cast_to<%s, %s>::of(v%d))", to == DTYPE_BOOL ? "bool" : stored(to),
		computed(type_of(body, n->in[0])), n->in[0]);
}

/* f(f(a, b), c), rounded after each. */
static void put_fold(struct buf *b, const struct graph *body, const struct node *n)
{
	enum dtype dtype = type_of(body, n->out[0]);
	for (int32_t k = n->n_in - 1; k > 0; k--) {
		buf_printf(b, "rounded<%s>(apply2(", stored(dtype));
		put_call(b, (int)gpu_binary_of(n, dtype), 0, 0);
		buf_str(b, ", f, ");
	}
	buf_printf(b, "v%d", n->in[0]);
	for (int32_t k = 1; k < n->n_in; k++)
		buf_printf(b, ", v%d))", n->in[k]);
}

static void put_compare(struct buf *b, const struct graph *body, const struct node *n)
{
	(void)body;
	buf_printf(
		b, "holds(%d, v%d, v%d)", (int)gpu_compare_of(n->op), n->in[0], n->in[n->n_in > 1]);
}

static void put_where(struct buf *b, const struct graph *body, const struct node *n)
{
	(void)body;
	buf_printf(b, "v%d ? v%d : v%d", n->in[0], n->in[1], n->in[2]);
}

/* Without a zero point it is 0. */
static void put_zero(struct buf *b, const struct node *n, enum dtype dtype)
{
	if (node_has_in(n, 2))
		buf_printf(b, "v%d", n->in[2]);
	else
		buf_printf(b, "(%s)0", stored(dtype));
}

static void put_quantize(struct buf *b, const struct graph *body, const struct node *n)
{
	enum dtype to = type_of(body, n->out[0]);
	buf_printf(b, "quantized<%s, %s>(v%d, v%d, ", stored(type_of(body, n->in[0])), stored(to),
		n->in[0], n->in[1]);
	put_zero(b, n, to);
	buf_str(b, to == DTYPE_I8 ? ", -128, 127)" : ", 0, 255)");
}

static void put_dequantize(struct buf *b, const struct graph *body, const struct node *n)
{
	buf_printf(b, "widen(dequantized<%s>(v%d, ", stored(type_of(body, n->out[0])), n->in[0]);
	put_zero(b, n, type_of(body, n->in[0]));
	buf_printf(b, ", v%d))", n->in[1]);
}

typedef void (*put_fn)(struct buf *b, const struct graph *body, const struct node *n);
static const put_fn forms[] = {
	[FUSED_UNARY] = put_unary,
	[FUSED_NOT] = put_not,
	[FUSED_CLIP] = put_clip,
	[FUSED_CAST] = put_cast,
	[FUSED_FOLD] = put_fold,
	[FUSED_COMPARE] = put_compare,
	[FUSED_WHERE] = put_where,
	[FUSED_QUANTIZE] = put_quantize,
	[FUSED_DEQUANTIZE] = put_dequantize,
};

/* -- the kernel -------------------------------------------------------------------------------- */

struct source {
	struct buf b;
	const struct graph *body;
	const struct fused_shape *s;
};

static void put_params(struct source *x)
{
	const struct graph *body = x->body;
	buf_printf(&x->b, ", (struct gpu_walk w, struct gpu_complaint f, %s *out",
		stored(type_of(body, body->output[0])));
	for (int32_t i = 0; i < body->n_input; i++)
		buf_printf(&x->b, ", const %s *in%d", stored(type_of(body, body->input[i])), i);
	buf_str(&x->b, "))\n{\n");
}

static void put_single(struct source *x)
{
	for (int32_t i = 0; i < x->body->n_input; i++)
		if (x->s->reach[i] == REACH_ONE)
			buf_printf(
				&x->b, "\tconst auto v%d = widen(*in%d);\n", x->body->input[i], i);
}

static void put_places(struct source *x)
{
	int n = 0;
	for (int32_t i = 0; i < x->body->n_input; i++)
		n += fused_is_walked(x->s->reach[i]);
	if (n)
		buf_printf(&x->b,
			"\t\tuint32_t at[%d];\n\t\twalk_to<%d>(w, %d, (uint32_t)i, at);\n", n, n,
			x->s->rank);
}

static void put_loads(struct source *x)
{
	int walked = 0;
	for (int32_t i = 0; i < x->body->n_input; i++) {
		const char *type = stored(type_of(x->body, x->body->input[i]));
		enum fused_reach r = x->s->reach[i];
		if (r == REACH_ONE)
			continue;
		buf_printf(&x->b, "\t\tconst auto g%d = load_group<%s, %d>(in%d + ", i, type,
			x->s->wide, i);
		if (fused_is_walked(r))
			buf_printf(&x->b, "at[%d], %s);\n", walked++,
				r == REACH_WALK ? "false" : "true");
		else
			buf_printf(&x->b, "i * %d, true);\n", x->s->wide);
	}
}

static void put_elements(struct source *x)
{
	const struct graph *body = x->body;
	for (int32_t i = 0; i < body->n_input; i++)
		if (x->s->reach[i] != REACH_ONE)
			buf_printf(&x->b, "\t\t\tconst auto v%d = widen(g%d.v[k]);\n",
				body->input[i], i);
	for (int32_t i = 0; i < body->n_node; i++) {
		const struct node *n = &body->node[i];
		buf_printf(&x->b, "\t\t\tconst %s v%d = ", computed(type_of(body, n->out[0])),
			n->out[0]);
		forms[fused_form(n->op)](&x->b, body, n);
		buf_printf(&x->b, "; /* %s */\n", op_info(n->op)->name);
	}
}

static void put_kernel(struct source *x)
{
	int32_t result = x->body->output[0];
	const char *type = stored(type_of(x->body, result));
	put_params(x);
	put_single(x);
	buf_str(&x->b, "\tfor (int64_t i = thread_index(); i < w.count; i += thread_stride()) {\n");
	put_places(x);
	put_loads(x);
	buf_printf(&x->b, "\t\tgroup<%s, %d> to;\n\t\tfor (int k = 0; k < %d; k++) {\n", type,
		x->s->wide, x->s->wide);
	put_elements(x);
	buf_printf(&x->b,
		"\t\t\tto.v[k] = narrow<%s>(v%d);\n\t\t}\n\t\tstore_group<%s, %d>(out + i * %d, "
		"to);\n\t}\n}\n",
		type, result, type, x->s->wide, x->s->wide);
}

enum err_code fused_source(const struct graph *body, const struct fused_shape *s,
	struct arena *arena, char ret_name[FUSED_NAME_MAX], struct slice *ret, struct err *err)
{
	struct source x = {.b = buf_of(arena, 0), .body = body, .s = s};
	struct buf whole = buf_of(arena, 0);
	struct slice kernel;
	put_kernel(&x);
	TRY(buf_finish(&x.b, &kernel, err));
	snprintf(ret_name, FUSED_NAME_MAX, "fused_%016" PRIx64, hash_slice(kernel, 0));
	buf_printf(&whole, "#include \"exec/gpu/math/functions.cuh\"\nKERNEL(%s", ret_name);
	buf_slice(&whole, kernel);
	return buf_finish(&whole, ret, err);
}
