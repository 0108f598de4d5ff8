/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <string.h>
#include "exec/cpu/conv/wino.h"

static const struct wino_form forms[] = { { 2, 1 }, { 4, 1 }, { 2, 2 }, { 4, 2 } };

#define PIXELS_MAX 21

/* Every point of the span's patches has a place of its own among those of its kind, and these
   leave none over. */
static void check_span(const struct wino_axis *a, int64_t first, int64_t n)
{
	bool taken[WINO_KINDS_MAX][2 * PIXELS_MAX];
	struct wino_span s = wino_span_of(a, first, n);
	int64_t at[WINO_POINTS_MAX], points = 0;
	memset(taken, 0, sizeof(taken));
	for (int64_t i = 0; i < n; i++) {
		wino_span_places(a, &s, i, 1, at);
		for (int p = 0; p < wino_points(a->form); p++) {
			int kind = wino_kind(a->form, p);
			if (at[p] < 0)
				continue;
			ck_assert_int_lt(at[p], s.count[kind]);
			ck_assert(!taken[kind][at[p]]);
			taken[kind][at[p]] = true;
			points++;
		}
	}
	ck_assert_int_eq(points, wino_span_points(a, &s));
}

START_TEST(points_of_a_span_fill_their_places)
{
	for (int64_t pixels = 1; pixels <= PIXELS_MAX; pixels++) {
		struct wino_axis a = wino_axis_of(forms[_i], pixels);
		for (int64_t first = 0; first < a.patches; first++)
			for (int64_t n = 1; first + n <= a.patches; n++)
				check_span(&a, first, n);
	}
}
END_TEST

static int64_t points_of(struct wino_form form, int64_t pixels)
{
	struct wino_axis a = wino_axis_of(form, pixels);
	struct wino_span s = wino_span_of(&a, 0, a.patches);
	return wino_span_points(&a, &s);
}

START_TEST(half_a_patch_takes_fewer_points)
{
	ck_assert_int_eq(points_of((struct wino_form){ 4, 1 }, 12), 18);
	ck_assert_int_eq(points_of((struct wino_form){ 4, 1 }, 14), 22);
	ck_assert_int_eq(points_of((struct wino_form){ 4, 1 }, 15), 24);
	ck_assert_int_eq(points_of((struct wino_form){ 2, 1 }, 7), 15);
	ck_assert_int_eq(points_of((struct wino_form){ 4, 2 }, 14), 32);
	ck_assert_int_eq(points_of((struct wino_form){ 2, 2 }, 7), 18);
}
END_TEST

Suite *suite_wino(void);
Suite *suite_wino(void)
{
	Suite *s = suite_create("wino");
	TCase *t = tcase_create("wino");
	tcase_add_loop_test(
		t, points_of_a_span_fill_their_places, 0, (int)(sizeof(forms) / sizeof(forms[0])));
	tcase_add_test(t, half_a_patch_takes_fewer_points);
	suite_add_tcase(s, t);
	return s;
}
