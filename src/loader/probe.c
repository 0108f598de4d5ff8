/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/probe.h"

#include <math.h>
#include <string.h>
#include "base/clock.h"

struct sink {
	const struct signature *s;
	struct arena *arena;
	struct tensor *out;
};

static void *on_output(void *ctx, int i, const struct tensor *t)
{
	struct sink *k = ctx;
	size_t bytes;
	k->out[i] = *t;
	if (t->data)
		return t->data;
	if (tensor_bytes_overflow(t->dtype, &t->shape, &bytes))
		return NULL;
	k->out[i].data = arena_alloc_aligned(k->arena, bytes ? bytes : 1, ARENA_ALIGN_TENSOR);
	return k->out[i].data;
}

enum err_code probe_run(const struct signature *s, const struct tensor *in, struct arena *arena,
	struct tensor **ret_out, int64_t *ret_ns, struct err *err)
{
	struct sink sink = { .s = s, .arena = arena,
		.out = ARENA_ARRAY(arena, struct tensor, (size_t)s->n_out + 1) };
	if (!sink.out)
		return err_oom(err);
	struct run_opts opts = { .arena = arena, .output = on_output, .output_ctx = &sink };
	int64_t began_ns = clock_now_ns();
	enum err_code rc = program_run(s->program, in, &opts, err);
	*ret_ns = clock_now_ns() - began_ns;
	if (rc == ERR_OK)
		*ret_out = sink.out;
	return rc;
}

enum err_code probe_warm_lanes(
	const struct signature *s, const struct tensor *in, struct arena *arena, struct err *err)
{
	struct sink sink = { .s = s, .arena = arena,
		.out = ARENA_ARRAY(arena, struct tensor, (size_t)s->n_out + 1) };
	struct run_opts opts = { .arena = arena, .output = on_output, .output_ctx = &sink,
		.every_lane = true };
	return sink.out ? program_run(s->program, in, &opts, err) : err_oom(err);
}

static bool is_float(enum dtype d)
{
	return dtype_in(d, T_FLOAT);
}

enum err_code probe_check_finite(
	const struct signature *s, const struct tensor *out, struct err *err)
{
	for (int i = 0; i < s->n_out; i++) {
		if (!is_float(out[i].dtype))
			continue;
		for (int64_t k = 0, n = tensor_count(&out[i]); k < n; k++)
			if (!isfinite(tensor_float(&out[i], k)))
				return err_set(err, ERR_INTERNAL,
					"output '%.100s': element %lld of %s is %f for every input "
					"tried",
					s->out[i].name, (long long)k, SHAPE_TEXT(&out[i].shape),
					tensor_float(&out[i], k));
	}
	return ERR_OK;
}

/* A row computed in a batch goes through other kernels than one computed alone (a matrix
   product instead of a matrix-vector one), which add up in another order. A sum of n
   float32 products is then off by some sqrt(n) * 6e-8 of its terms, layers multiply that,
   and 1e-3 covers a thousand layers of a thousand terms; rows that are mixed up, or that
   see each other, differ by as much as the random rows do, which is a thousand times
   that. Types of 10 and 7 bits carry 3 and 2 digits to begin with, and where a program computes
   in them every layer rounds to so many, whatever type its outputs have. The absolute part is
   taken times the largest element, since what cancels out is off by as much as what it was made
   of; outputs that are all nearly zero count as 0.01. */
struct tolerance tolerance_of(enum dtype dtype, enum precision precision)
{
	if (precision == PRECISION_BF16)
		return (struct tolerance){ 5e-2, 5e-2 };
	if (dtype == DTYPE_BF16)
		return (struct tolerance){ 5e-2, 1e-2 };
	if (precision == PRECISION_FP16 || precision == PRECISION_TF32)
		return (struct tolerance){ 1e-2, 1e-2 };
	if (dtype == DTYPE_F16)
		return (struct tolerance){ 1e-2, 1e-3 };
	return (struct tolerance){ 1e-3, 1e-5 };
}

static bool close_enough(double a, double b, double slack, double rtol)
{
	if (isnan(a) || isnan(b))
		return isnan(a) && isnan(b);
	return a == b || fabs(a - b) <= slack + rtol * fabs(b);
}

static double largest(const struct tensor *t, int64_t count)
{
	double most = 0;
	for (int64_t i = 0; i < count; i++) {
		double x = fabs(tensor_float(t, i));
		if (x > most && isfinite(x))
			most = x;
	}
	return most;
}

bool probe_equal(const struct tensor *a, int64_t from, const struct tensor *b, int64_t count,
	struct tolerance tol, int64_t *ret_at)
{
	bool floats = is_float(b->dtype), strings = b->dtype == DTYPE_STRING;
	size_t bytes = dtype_bytes(b->dtype);
	double slack = floats ? tol.atol * fmax(0.01, largest(b, count)) : 0;
	for (int64_t i = 0; i < count; i++) {
		bool same;
		if (floats)
			same = close_enough(
				tensor_float(a, from + i), tensor_float(b, i), slack, tol.rtol);
		else if (strings)
			same = slice_eq(
				((struct slice *)a->data)[from + i], ((struct slice *)b->data)[i]);
		else
			same = memcmp((char *)a->data + (size_t)(from + i) * bytes,
				       (char *)b->data + (size_t)i * bytes, bytes) == 0;
		if (!same) {
			*ret_at = i;
			return false;
		}
	}
	return true;
}
