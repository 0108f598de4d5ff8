/* SPDX-License-Identifier: Apache-2.0 */
/*
 * axis.h -- one axis of a tensor, as kernels go along it
 */
#pragma once

#include "exec/graph.h"

/* The three sizes of a tensor seen from one axis. */
struct axis_view {
	int64_t outer, n, inner;
};

static inline struct axis_view axis_view(const struct shape *s, int axis)
{
	return (struct axis_view){ shape_count_range(s, 0, axis), s->dim[axis],
		shape_count_range(s, axis + 1, s->rank) };
}

/* The axis of an attribute that infer has checked. */
static inline int node_axis(const struct node *n, const char *name, int64_t otherwise, int rank)
{
	int64_t axis = node_int(n, name, otherwise);
	return (int)(axis < 0 ? axis + rank : axis);
}
