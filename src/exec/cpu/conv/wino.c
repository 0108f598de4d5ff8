/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/cpu/conv/wino.h"

#include "exec/cpu/cpu.h"

struct wino_axis wino_axis_of(struct wino_form form, int64_t pixels)
{
	int64_t over = pixels % form.size;
	return (struct wino_axis){ .form = form, .pixels = pixels,
		.patches = (pixels + form.size - 1) / form.size,
		.half = over > 0 && over <= form.size / 2 };
}

/* Does half a patch have points of this kind? wino_points.h says which points they are. */
static bool is_in_half(struct wino_form f, int kind)
{
	static const unsigned char kinds[2][2] = {
		/* size 2             4 */
		{ 1 | 2 | 8,          1 | 2 | 4 | 32 },  /* 0, 1, infinity;   0, 1, -1, infinity */
		{ 1 | 4 | 8,          1 | 2 | 16 | 32 }, /* 0, infinity;      0, 1, infinity */
	};
	return kinds[f.stride - 1][f.size / 2 - 1] >> kind & 1;
}

/* Pixels that no window has in its middle but as they are. */
static bool is_between(struct wino_form f, int kind)
{
	return f.stride == 2 && kind > f.size;
}

bool wino_patch_is_half(const struct wino_axis *a, int64_t patch)
{
	return a->half && patch == a->patches - 1;
}

struct wino_span wino_span_of(const struct wino_axis *a, int64_t first, int64_t n)
{
	struct wino_span s = { .first = first, .n = n };
	bool half = wino_patch_is_half(a, first + n - 1);
	int64_t from = first * a->form.size, to = min_i64((first + n) * a->form.size, a->pixels);
	for (int k = 0; k < wino_kinds(a->form); k++)
		s.count[k] =
			is_between(a->form, k) ? to - from : n - (half && !is_in_half(a->form, k));
	return s;
}

int64_t wino_span_points(const struct wino_axis *a, const struct wino_span *s)
{
	int64_t sum = 0;
	for (int k = 0; k < wino_kinds(a->form); k++)
		sum += s->count[k];
	return sum;
}

void wino_span_places(const struct wino_axis *a, const struct wino_span *s, int64_t i, int64_t step,
	int64_t ret[WINO_POINTS_MAX])
{
	struct wino_form f = a->form;
	bool half = wino_patch_is_half(a, s->first + i);
	for (int p = 0; p < wino_points(f); p++) {
		int kind = wino_kind(f, p);
		int64_t at = is_between(f, kind) ? i * f.size + p - kind : i;
		bool there = at < s->count[kind] && (!half || is_in_half(f, kind));
		ret[p] = there ? at * step : -1;
	}
}
