/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/shape.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include "base/checked.h"

/* Largest tensor that is worth an attempt, in elements. */
#define COUNT_MAX ((int64_t)1 << 48)

struct shape shape_from(int rank, const int64_t *dim)
{
	assert(rank >= 0 && rank <= RANK_MAX);
	struct shape s = { .rank = rank };
	memcpy(s.dim, dim, (size_t)rank * sizeof(*dim));
	return s;
}

bool shape_is_static(const struct shape *s)
{
	if (s->rank < 0)
		return false;
	for (int i = 0; i < s->rank; i++)
		if (s->dim[i] < 0)
			return false;
	return true;
}

bool shape_is_named(const struct shape *s)
{
	for (int i = 0; i < s->rank; i++)
		if (s->dim[i] == DIM_UNKNOWN)
			return false;
	return s->rank >= 0;
}

bool shape_equal(const struct shape *a, const struct shape *b)
{
	if (a->rank != b->rank)
		return false;
	for (int i = 0; i < a->rank; i++)
		if (a->dim[i] != b->dim[i])
			return false;
	return true;
}

bool shape_count_overflows(const struct shape *s, int64_t *ret)
{
	/* A zero anywhere makes the product zero, but the others still must be sane. */
	int64_t n = 1, nonzero = 1;
	for (int i = 0; i < s->rank; i++) {
		int64_t d = s->dim[i];
		if (d < 0 || mul_i64_overflows(nonzero, d ? d : 1, &nonzero) || nonzero > COUNT_MAX)
			return true;
		n = d ? n * d : 0;
	}
	*ret = n;
	return false;
}

int64_t shape_count(const struct shape *s)
{
	int64_t n = 0;
	bool overflow = shape_count_overflows(s, &n);
	assert(!overflow);
	(void)overflow;
	return n;
}

int64_t shape_count_range(const struct shape *s, int from, int to)
{
	int64_t n = 1;
	for (int i = from; i < to; i++)
		n *= s->dim[i];
	return n;
}

static bool broadcast_dim(int64_t a, int64_t b, int64_t *ret)
{
	if (a == b && a != DIM_UNKNOWN)
		*ret = a;
	else if (a == 1)
		*ret = b;
	else if (b == 1)
		*ret = a;
	else if (a >= 0 && b >= 0)
		return false;
	else if (a >= 0)
		*ret = a;
	else if (b >= 0)
		*ret = b;
	else
		*ret = DIM_UNKNOWN;
	return true;
}

enum err_code
shape_broadcast(const struct shape *a, const struct shape *b, struct shape *ret, struct err *err)
{
	if (a->rank < 0 || b->rank < 0) {
		*ret = SHAPE_UNKNOWN;
		return ERR_OK;
	}
	struct shape out = { .rank = a->rank > b->rank ? a->rank : b->rank };
	for (int i = 0; i < out.rank; i++) {
		int ia = i - (out.rank - a->rank), ib = i - (out.rank - b->rank);
		int64_t da = ia < 0 ? 1 : a->dim[ia], db = ib < 0 ? 1 : b->dim[ib];
		if (!broadcast_dim(da, db, &out.dim[i]))
			return err_set(err, ERR_INVALID_ARGUMENT,
				"shapes %s and %s do not broadcast: dimension %d is %lld and %lld",
				SHAPE_TEXT(a), SHAPE_TEXT(b), i, (long long)da, (long long)db);
	}
	*ret = out;
	return ERR_OK;
}

void shape_strides(const struct shape *s, int64_t *ret_strides)
{
	int64_t stride = 1;
	for (int i = s->rank - 1; i >= 0; i--) {
		ret_strides[i] = stride;
		stride *= s->dim[i];
	}
}

void shape_broadcast_strides(const struct shape *s, const struct shape *to, int64_t *ret_strides)
{
	int64_t own[RANK_MAX];
	shape_strides(s, own);
	int lead = to->rank - s->rank;
	for (int i = 0; i < to->rank; i++)
		ret_strides[i] = i < lead || s->dim[i - lead] == 1 ? 0 : own[i - lead];
}

bool shape_axis(int64_t axis, int rank, int *ret)
{
	if (axis < -(int64_t)rank || axis >= rank)
		return false;
	*ret = (int)(axis < 0 ? axis + rank : axis);
	return true;
}

const char *shape_format(const struct shape *s, char *buf, int size)
{
	if (s->rank < 0) {
		snprintf(buf, (size_t)size, "[...]");
		return buf;
	}
	int at = snprintf(buf, (size_t)size, "[");
	for (int i = 0; i < s->rank && at < size - 1; i++) {
		const char *comma = i ? "," : "";
		if (s->dim[i] >= 0)
			at += snprintf(buf + at, (size_t)(size - at), "%s%lld", comma,
				(long long)s->dim[i]);
		else
			at += snprintf(buf + at, (size_t)(size - at), "%s?", comma);
	}
	if (at < size - 1)
		snprintf(buf + at, (size_t)(size - at), "]");
	return buf;
}
