/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of permuted boxes, each byte against a walk over single elements. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "exec/cpu/ncopy.h"
#include "support/random.h"

#define RANK 4
#define GUARD 64 /* bytes behind, which nobody may write */

struct box {
	int64_t dim[RANK], src[RANK], dst[RANK]; /* in the destination's order, in elements */
	int64_t n;
};

/* The source's dimensions are in[], and the destination's in[perm[0]], in[perm[1]]... */
static struct box given_box(const int64_t *in, const int *perm)
{
	struct box b = { .n = 1 };
	int64_t stride[RANK];
	for (int i = RANK - 1; i >= 0; i--) {
		stride[i] = b.n;
		b.n *= in[i];
	}
	int64_t dst = 1;
	for (int i = RANK - 1; i >= 0; i--) {
		b.dim[i] = in[perm[i]];
		b.src[i] = stride[perm[i]];
		b.dst[i] = dst;
		dst *= b.dim[i];
	}
	return b;
}

static void copy_singly(const struct box *b, char *dst, const char *src, int64_t elem)
{
	for (int64_t at = 0; at < b->n; at++) {
		int64_t rest = at, from = 0;
		for (int i = RANK - 1; i >= 0; i--) {
			from += rest % b->dim[i] * b->src[i];
			rest /= b->dim[i];
		}
		memcpy(dst + at * elem, src + from * elem, (size_t)elem);
	}
}

/* In two parts, as two threads do it, and at odd addresses. */
static void check_box(const int64_t *in, const int *perm, int64_t elem, uint64_t *r)
{
	struct box b = given_box(in, perm);
	size_t bytes = (size_t)(b.n * elem);
	char *src = malloc(bytes + 1), *got = malloc(bytes + 1 + GUARD), *want = malloc(bytes);
	ck_assert(src && got && want);
	for (size_t i = 0; i < bytes + 1; i++)
		src[i] = (char)random_next(r);
	memset(got, 7, bytes + 1 + GUARD);
	copy_singly(&b, want, src + 1, elem);
	struct ncopy c;
	ncopy_init(&c, RANK, b.dim, b.src, b.dst, (size_t)elem);
	int64_t half = c.items / 2;
	ncopy_run(&c, got + 1, src + 1, half, c.items);
	ncopy_run(&c, got + 1, src + 1, 0, half);
	ck_assert_msg(memcmp(got + 1, want, bytes) == 0,
		"%lld x %lld x %lld x %lld by %d %d %d %d, %lld bytes each, mode %d",
		(long long)in[0], (long long)in[1], (long long)in[2], (long long)in[3], perm[0],
		perm[1], perm[2], perm[3], (long long)elem, (int)c.mode);
	for (int i = 0; i < GUARD; i++)
		ck_assert_int_eq(got[bytes + 1 + (size_t)i], 7);
	free(src);
	free(got);
	free(want);
}

static const int64_t elems[] = { 1, 2, 4, 8, 16 };
#define N_ELEMS (int)(sizeof(elems) / sizeof(elems[0]))
static const int to_planes[RANK] = { 0, 3, 1, 2 }, to_picture[RANK] = { 0, 2, 3, 1 };

START_TEST(a_few_channels_are_dealt)
{
	static const int64_t sides[] = { 1, 3, 31, 32, 33, 100, 16385 };
	uint64_t r = 1;
	for (int k = 2; k <= 5; k++)
		for (int s = 0; s < 7; s++)
			for (int64_t batch = 1; batch <= 2; batch++) {
				const int64_t picture[] = { batch, sides[s], 1, k };
				const int64_t planes[] = { batch, k, sides[s], 1 };
				check_box(picture, to_planes, elems[_i], &r);
				check_box(planes, to_picture, elems[_i], &r);
			}
}
END_TEST

START_TEST(squares_and_what_is_beside_them_are_turned)
{
	static const int64_t sides[] = { 4, 7, 8, 15, 16, 17, 32, 47, 100 };
	uint64_t r = 2;
	for (int a = 0; a < 9; a++)
		for (int b = 0; b < 9; b++) {
			const int64_t in[] = { 2, sides[a], 1, sides[b] };
			check_box(in, to_planes, elems[_i], &r);
		}
}
END_TEST

START_TEST(any_box_is_copied)
{
	static const int64_t sides[] = { 1, 2, 3, 4, 5, 8, 16, 33 };
	uint64_t r = 3 + (uint64_t)_i;
	for (int turn = 0; turn < 400; turn++) {
		int64_t in[RANK];
		int perm[RANK] = { 0, 1, 2, 3 };
		for (int i = 0; i < RANK; i++)
			in[i] = sides[random_next(&r) % 8];
		for (int i = RANK - 1; i > 0; i--) {
			int j = (int)(random_next(&r) % (unsigned)(i + 1)), kept = perm[i];
			perm[i] = perm[j];
			perm[j] = kept;
		}
		check_box(in, perm, elems[_i], &r);
	}
}
END_TEST

Suite *suite_ncopy(void);
Suite *suite_ncopy(void)
{
	Suite *s = suite_create("ncopy");
	TCase *t = tcase_create("ncopy");
	tcase_add_loop_test(t, a_few_channels_are_dealt, 0, N_ELEMS);
	tcase_add_loop_test(t, squares_and_what_is_beside_them_are_turned, 0, N_ELEMS);
	tcase_add_loop_test(t, any_box_is_copied, 0, N_ELEMS);
	suite_add_tcase(s, t);
	return s;
}
