/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/infer/move_geometry.h"

#include <inttypes.h>
#include <string.h>
#include "base/checked.h"

#define STEP_MAX (INT64_C(1) << 48)

/* Exporters write 10^9, INT32_MAX or INT64_MAX for "to the end"; no axis that is served
   is as long. */
#define END_OPEN INT64_C(1000000000)

/* The axis that entry i of a list is about: axes[i], or i itself without a list. Each
   only once: *seen has the bits of those before. */
static enum err_code take_axis(const struct tensor *axes, int64_t i, int rank, uint32_t *seen,
	int *ret, struct err *err)
{
	int64_t axis = axes ? tensor_int(axes, i) : i;
	if (!shape_axis(axis, rank, ret))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"axis %" PRId64 " is out of range for rank %d", axis, rank);
	if (*seen >> *ret & 1)
		return err_set(err, ERR_INVALID_ARGUMENT, "axis %d is listed twice", *ret);
	*seen |= 1u << *ret;
	return ERR_OK;
}

enum err_code axes_mask(const struct tensor *axes, int rank, uint32_t *ret_mask, struct err *err)
{
	uint32_t mask = 0;
	for (int64_t i = 0; i < tensor_count(axes); i++) {
		int axis;
		enum err_code rc = take_axis(axes, i, rank, &mask, &axis, err);
		if (rc != ERR_OK)
			return rc;
	}
	*ret_mask = mask;
	return ERR_OK;
}

enum err_code reduce_axes(const struct node *n, const struct tensor *axes, int rank,
	uint32_t *ret_mask, struct err *err)
{
	if (axes && tensor_count(axes) > 0)
		return axes_mask(axes, rank, ret_mask, err);
	*ret_mask = node_int(n, "noop_with_empty_axes", 0) ? 0 : (1u << rank) - 1;
	return ERR_OK;
}

static int64_t clamp(int64_t v, int64_t low, int64_t high)
{
	return v < low ? low : v > high ? high : v;
}

/* One axis of a slice whose size d is known. */
static void slice_known(int64_t d, int64_t start, int64_t end, int64_t step,
	struct slice_geometry *g, int axis)
{
	int64_t down = step < 0 ? 1 : 0; /* a descending slice ends at -1 at the lowest */
	start = clamp(start < 0 ? start + d : start, 0, d - down);
	end = clamp(end < 0 ? end + d : end, -down, d - down);
	int64_t span = step < 0 ? start - end : end - start, stride = step < 0 ? -step : step;
	g->start[axis] = start;
	g->count[axis] = d == 0 || span <= 0 ? 0 : (span + stride - 1) / stride;
}

/* One axis whose size is not known: the whole axis stays what it is. */
static void slice_unknown(int64_t d, int64_t start, int64_t end, int64_t step,
	struct slice_geometry *g, int axis)
{
	bool whole = start == 0 && end >= END_OPEN && step == 1;
	g->start[axis] = start;
	g->count[axis] = whole ? d : DIM_UNKNOWN;
}

static enum err_code check_lists(const struct tensor *starts, const struct tensor *ends,
	const struct tensor *axes, const struct tensor *steps, struct err *err)
{
	int64_t n = tensor_count(starts);
	if (tensor_count(ends) != n || (axes && tensor_count(axes) != n) ||
		(steps && tensor_count(steps) != n))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"starts has %" PRId64 " entries and ends %" PRId64
			"; they, axes and steps must have as many",
			n, tensor_count(ends));
	return ERR_OK;
}

enum err_code slice_geometry(const struct shape *x, const struct tensor *starts,
	const struct tensor *ends, const struct tensor *axes, const struct tensor *steps,
	struct slice_geometry *ret, struct err *err)
{
	struct slice_geometry g = { .rank = x->rank };
	uint32_t seen = 0;
	enum err_code rc = check_lists(starts, ends, axes, steps, err);
	for (int i = 0; i < x->rank; i++) {
		g.step[i] = 1;
		g.count[i] = x->dim[i];
	}
	for (int64_t i = 0; rc == ERR_OK && i < tensor_count(starts); i++) {
		int axis;
		rc = take_axis(axes, i, x->rank, &seen, &axis, err);
		if (rc != ERR_OK)
			break;
		int64_t step = steps ? tensor_int(steps, i) : 1, d = x->dim[axis];
		if (step == 0)
			return err_set(err, ERR_INVALID_ARGUMENT, "steps[%" PRId64 "] is 0", i);
		step = clamp(step, -STEP_MAX, STEP_MAX);
		g.step[axis] = step;
		(d < 0 ? slice_unknown : slice_known)(
			d, tensor_int(starts, i), tensor_int(ends, i), step, &g, axis);
	}
	if (rc == ERR_OK)
		*ret = g;
	return rc;
}

/* Adds begin and end to dimension d. */
static enum err_code pad_axis(struct pad_geometry *g, int axis, int64_t d, struct err *err)
{
	int64_t both, out;
	if (add_i64_overflows(g->begin[axis], g->end[axis], &both) ||
		add_i64_overflows(both, d < 0 ? 0 : d, &out) || (d >= 0 && out < 0))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"pads of axis %d are %" PRId64 " and %" PRId64
			", the padded size must be from 0 to 2^63-1",
			axis, g->begin[axis], g->end[axis]);
	g->out[axis] = d >= 0 ? out : both == 0 ? d : DIM_UNKNOWN;
	return ERR_OK;
}

enum err_code pad_geometry(const struct shape *x, const struct tensor *pads,
	const struct tensor *axes, struct pad_geometry *ret, struct err *err)
{
	struct pad_geometry g = { .rank = x->rank };
	uint32_t seen = 0;
	int64_t n = axes ? tensor_count(axes) : x->rank;
	if (tensor_count(pads) != 2 * n)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"pads has %" PRId64 " entries, %" PRId64 " are needed for %" PRId64 " axes",
			tensor_count(pads), 2 * n, n);
	for (int64_t i = 0; i < n; i++) {
		int axis;
		enum err_code rc = take_axis(axes, i, x->rank, &seen, &axis, err);
		if (rc != ERR_OK)
			return rc;
		g.begin[axis] = tensor_int(pads, i);
		g.end[axis] = tensor_int(pads, n + i);
	}
	for (int i = 0; i < x->rank; i++) {
		enum err_code rc = pad_axis(&g, i, x->dim[i], err);
		if (rc != ERR_OK)
			return rc;
	}
	*ret = g;
	return ERR_OK;
}

/* Size `want` of an axis of d: what is added or taken away is halved; the odd one is added
   at the end, and taken away there. */
static enum err_code
center_axis(struct pad_geometry *g, int axis, int64_t d, int64_t want, struct err *err)
{
	if (want < 0)
		return err_set(err, ERR_INVALID_ARGUMENT, "the size of axis %d is %" PRId64
			", it must not be negative", axis, want);
	if (d >= 0) {
		g->begin[axis] = (want - d) / 2; /* towards 0 */
		g->end[axis] = want - d - g->begin[axis];
	}
	g->out[axis] = want;
	return ERR_OK;
}

enum err_code center_geometry(const struct node *n, const struct shape *x,
	const struct tensor *shape, struct pad_geometry *ret, struct err *err)
{
	struct pad_geometry g = { .rank = x->rank };
	int32_t n_axes;
	const int64_t *axes = node_ints(n, "axes", &n_axes);
	uint32_t seen = 0;
	int64_t count = tensor_count(shape);
	memcpy(g.out, x->dim, sizeof(g.out));
	if (count != (axes ? n_axes : x->rank))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"shape has %" PRId64 " entries for %d axes", count,
			axes ? n_axes : x->rank);
	for (int i = 0; i < count; i++) {
		int axis = i;
		if (axes && (!shape_axis(axes[i], x->rank, &axis) || seen >> axis & 1))
			return err_set(err, ERR_INVALID_ARGUMENT,
				"axes[%d] is %" PRId64 ", twice or not an axis of %s", i, axes[i],
				SHAPE_TEXT(x));
		seen |= 1u << axis;
		enum err_code rc = center_axis(&g, axis, x->dim[axis], tensor_int(shape, i), err);
		if (rc != ERR_OK)
			return rc;
	}
	*ret = g;
	return ERR_OK;
}

void shape_span(const struct node *n, int rank, int *ret_from, int *ret_to)
{
	int64_t from = node_int(n, "start", 0), to = node_int(n, "end", rank);
	from = clamp(from < 0 ? from + rank : from, 0, rank);
	to = clamp(to < 0 ? to + rank : to, 0, rank);
	*ret_from = (int)from;
	*ret_to = (int)(to < from ? from : to);
}

static enum err_code split_listed(const struct tensor *split, int n_out, int64_t total,
	int64_t *ret_sizes, struct err *err)
{
	int64_t sum = 0;
	if (tensor_count(split) != n_out)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"split has %" PRId64 " entries for %d outputs", tensor_count(split), n_out);
	for (int i = 0; i < n_out; i++) {
		ret_sizes[i] = tensor_int(split, i);
		if (ret_sizes[i] < 0 || add_i64_overflows(sum, ret_sizes[i], &sum))
			return err_set(err, ERR_INVALID_ARGUMENT, "split[%d] is %" PRId64, i,
				ret_sizes[i]);
	}
	if (total >= 0 && sum != total)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"the entries of split make %" PRId64 ", the axis has %" PRId64, sum, total);
	return ERR_OK;
}

enum err_code split_sizes(const struct tensor *split, int n_out, int64_t total, int64_t *ret_sizes,
	struct err *err)
{
	if (split)
		return split_listed(split, n_out, total, ret_sizes, err);
	int64_t each = total < 0 ? DIM_UNKNOWN : (total + n_out - 1) / n_out;
	for (int i = 0; i < n_out; i++)
		ret_sizes[i] = total < 0 ? DIM_UNKNOWN : clamp(total - i * each, 0, each);
	return ERR_OK;
}

struct block_geometry block_geometry(const struct node *n, const struct shape *x)
{
	static const int dcr[] = { 0, 3, 4, 1, 5, 2 }, crd[] = { 0, 1, 4, 2, 5, 3 },
			 deep[] = { 0, 3, 5, 1, 2, 4 };
	const int64_t *d = x->dim, b = node_int(n, "blocksize", 1), c = d[1] / (b * b);
	if (n->op == OP_SPACE_TO_DEPTH)
		return (struct block_geometry){ shape_of(d[0], d[1], d[2] / b, b, d[3] / b, b),
			deep };
	if (slice_is(node_string(n, "mode", "DCR"), "CRD"))
		return (struct block_geometry){ shape_of(d[0], c, b, b, d[2], d[3]), crd };
	return (struct block_geometry){ shape_of(d[0], b, b, c, d[2], d[3]), dcr };
}
