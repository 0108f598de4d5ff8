/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wino.h -- Winograd's minimal filtering with three taps, along one axis
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...
 *
 * An axis is cut into patches of `size` pixels of the result. A patch becomes points, as many as
 * it reads of the source; every point is multiplied by the weights of its kind, and pixels are
 * sums of points. Windows at every pixel have a kind for every point. Windows at every other one
 * meet the pixels between them with their middle tap alone: size + 1 points are those of two taps
 * on what is left, the others such pixels as they are, all of one kind.
 *
 * A last patch of at most half as many pixels does with fewer points: some kinds are left out.
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define WINO_SIZE_MAX 4
#define WINO_KINDS_MAX (WINO_SIZE_MAX + 2)
#define WINO_POINTS_MAX (2 * WINO_SIZE_MAX + 1)

struct wino_form {
	int size;   /* 2 or 4 */
	int stride; /* 1 or 2 */
};

/* Of a patch, and pixels of the source that it reads. */
static inline int wino_points(struct wino_form f)
{
	return f.stride == 1 ? f.size + 2 : 2 * f.size + 1;
}

static inline int wino_kinds(struct wino_form f)
{
	return f.size + 2;
}

static inline int wino_kind(struct wino_form f, int point)
{
	return point <= f.size ? point : f.size + 1;
}

struct wino_axis {
	struct wino_form form;
	int64_t pixels, patches;
	bool half; /* the last patch */
};
struct wino_axis wino_axis_of(struct wino_form form, int64_t pixels);

/* Some neighbouring patches of an axis, and how many points of each kind they have. */
struct wino_span {
	int64_t first, n;
	int64_t count[WINO_KINDS_MAX];
};
struct wino_span wino_span_of(const struct wino_axis *a, int64_t first, int64_t n);

/* Points of all kinds. */
int64_t wino_span_points(const struct wino_axis *a, const struct wino_span *s);

bool wino_patch_is_half(const struct wino_axis *a, int64_t patch);

/* Which ones of their kind in the span the points of its i-th patch are, times step; -1: there is
   no such point. */
void wino_span_places(const struct wino_axis *a, const struct wino_span *s, int64_t i, int64_t step,
	int64_t ret[WINO_POINTS_MAX]);
