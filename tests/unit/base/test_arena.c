/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include "base/arena.h"
#include "base/room.h"

START_TEST(pieces_are_aligned_and_apart)
{
	static const size_t aligns[] = { 1, 8, 16, 64, 4096 };
	struct arena *a = arena_new(1024, 0);
	char *last = NULL;
	size_t last_bytes = 0;
	for (size_t i = 0; i < 200; i++) {
		size_t align = aligns[i % 5], bytes = i * 37 % 3001;
		char *p = arena_alloc_aligned(a, bytes, align);
		ck_assert_ptr_nonnull(p);
		ck_assert_uint_eq((uintptr_t)p % align, 0);
		ck_assert(!last || p >= last + last_bytes || p + bytes <= last);
		memset(p, (int)i, bytes);
		last = p;
		last_bytes = bytes;
	}
	arena_free(a);
}
END_TEST

START_TEST(calloc_zeroes_recycled_memory)
{
	struct arena *a = arena_new(4096, 0);
	memset(arena_alloc(a, 2000), 0xff, 2000);
	arena_reset(a, SIZE_MAX);

	unsigned char *p = arena_calloc(a, 500, 4);

	for (int i = 0; i < 2000; i++)
		ck_assert_uint_eq(p[i], 0);
	arena_free(a);
}
END_TEST

START_TEST(ceiling_bounds_what_is_held)
{
	struct arena *a = arena_new(1024, 8192);
	size_t n = 0;
	while (arena_alloc(a, 512))
		n++;

	ck_assert_uint_ge(n, 8);
	ck_assert_uint_le(arena_held_bytes(a), 8192);
	ck_assert_ptr_null(arena_alloc(a, 8192));
	arena_reset(a, SIZE_MAX);
	ck_assert_ptr_nonnull(arena_alloc(a, 512));
	arena_free(a);
}
END_TEST

START_TEST(arenas_that_share_a_room_have_no_more_together)
{
	struct room room = { .max = 8192 };
	struct arena *a = arena_new(1024, 0), *b = arena_new(1024, 0);
	arena_share(a, &room);
	arena_share(b, &room);
	ck_assert_ptr_nonnull(arena_alloc(a, 5000));
	ck_assert_ptr_null(arena_alloc(b, 5000));
	ck_assert(room_is_scarce(&room));

	arena_reset(a, SIZE_MAX);
	ck_assert_ptr_null(arena_alloc(b, 5000)); /* what is kept is not there for others */
	arena_reset(a, 0);
	ck_assert_ptr_nonnull(arena_alloc(b, 5000));
	arena_reset(b, SIZE_MAX);
	ck_assert_ptr_nonnull(arena_alloc(b, 7000)); /* its own idle ones make way */

	arena_free(a);
	arena_free(b);
	ck_assert(room_take(&room, 8192));
	ck_assert(!room_take(&room, 1));
}
END_TEST

START_TEST(idle_chunks_make_way_for_a_bigger_one)
{
	struct arena *a = arena_new(1024, 8192);
	for (int i = 0; i < 6; i++)
		ck_assert_ptr_nonnull(arena_alloc(a, 900));
	arena_reset(a, SIZE_MAX);

	ck_assert_ptr_nonnull(arena_alloc(a, 6000));

	ck_assert_uint_le(arena_held_bytes(a), 8192);
	arena_free(a);
}
END_TEST

START_TEST(absurd_sizes_are_refused)
{
	struct arena *a = arena_new(1024, 0);
	ck_assert_ptr_null(arena_alloc(a, SIZE_MAX));
	ck_assert_ptr_null(arena_alloc(a, SIZE_MAX - 64));
	ck_assert_ptr_null(arena_calloc(a, SIZE_MAX / 2, 3));
	ck_assert_ptr_null(arena_alloc_array(a, SIZE_MAX / 2, 3));
	ck_assert_ptr_null(arena_strndup(a, "x", SIZE_MAX));
	ck_assert_ptr_nonnull(arena_alloc(a, 1));
	arena_free(a);
}
END_TEST

START_TEST(a_reset_arena_asks_the_system_for_nothing)
{
	struct arena *a = arena_new(1024, 0);
	unsigned long before = 0;
	/* Chunks of different sizes may be handed out in another order at first. */
	for (int round = 0; round < 8; round++) {
		for (int i = 0; i < 50; i++)
			ck_assert_ptr_nonnull(arena_alloc(a, (size_t)i * 100));
		if (round == 3)
			before = arena_chunk_count();
		arena_reset(a, SIZE_MAX);
		ck_assert_uint_eq(arena_used_bytes(a), 0);
	}

	ck_assert_uint_eq(arena_chunk_count(), before);
	arena_free(a);
}
END_TEST

START_TEST(reset_gives_back_what_it_may_not_keep)
{
	struct arena *a = arena_new(1024, 0);
	ck_assert_ptr_nonnull(arena_alloc(a, 3u << 20));
	ck_assert_ptr_nonnull(arena_alloc(a, 100));

	arena_reset(a, 64 * 1024);

	ck_assert_uint_le(arena_held_bytes(a), 64 * 1024);
	arena_free(a);
}
END_TEST

START_TEST(what_has_become_large_grows_in_large_chunks)
{
	struct arena *a = arena_new(64 << 10, 0);
	unsigned long before = arena_chunk_count();
	for (int i = 0; i < 64 << 10; i++) /* 64 MiB */
		ck_assert_ptr_nonnull(arena_alloc(a, 1008));

	ck_assert_uint_le(arena_chunk_count() - before, 64 + 20);
	ck_assert_uint_le(arena_held_bytes(a), (64 + 8) << 20);
	arena_free(a);
}
END_TEST

START_TEST(growth_goes_no_further_than_the_ceiling)
{
	struct arena *a = arena_new(64 << 10, 7 << 20);
	size_t n = 0;
	while (arena_alloc(a, 1008))
		n++;

	ck_assert_uint_ge(n * 1008, (7 << 20) - (128 << 10));
	ck_assert_uint_le(arena_held_bytes(a), 7 << 20);
	arena_free(a);
}
END_TEST

static int order[4], n_order;
static void note(void *ctx)
{
	order[n_order++] = *(int *)ctx;
}

START_TEST(deferred_calls_run_last_first_and_once)
{
	static int ids[] = { 1, 2, 3 };
	struct arena *a = arena_new(1024, 0);
	n_order = 0;
	ck_assert_int_eq(arena_defer(a, note, &ids[0]), ERR_OK);
	ck_assert_int_eq(arena_defer(a, note, &ids[1]), ERR_OK);
	arena_reset(a, 0);
	ck_assert_int_eq(arena_defer(a, note, &ids[2]), ERR_OK);
	arena_free(a);
	ck_assert_int_eq(n_order, 3);
	ck_assert_int_eq(order[0], 2);
	ck_assert_int_eq(order[1], 1);
	ck_assert_int_eq(order[2], 3);
}
END_TEST

START_TEST(strings_are_copied_with_their_end)
{
	struct arena *a = arena_new(1024, 0);
	ck_assert_str_eq(arena_strndup(a, "abcdef", 3), "abc");
	ck_assert_str_eq(arena_strndup(a, NULL, 0), "");
	ck_assert_str_eq(arena_strdup(a, "signet"), "signet");
	ck_assert_str_eq(arena_printf(a, "%s/%d", "digits", 7), "digits/7");
	arena_free(a);
	arena_free(NULL);
}
END_TEST

Suite *suite_arena(void);
Suite *suite_arena(void)
{
	Suite *s = suite_create("arena");
	TCase *t = tcase_create("arena");
	tcase_add_test(t, pieces_are_aligned_and_apart);
	tcase_add_test(t, calloc_zeroes_recycled_memory);
	tcase_add_test(t, ceiling_bounds_what_is_held);
	tcase_add_test(t, arenas_that_share_a_room_have_no_more_together);
	tcase_add_test(t, idle_chunks_make_way_for_a_bigger_one);
	tcase_add_test(t, absurd_sizes_are_refused);
	tcase_add_test(t, a_reset_arena_asks_the_system_for_nothing);
	tcase_add_test(t, reset_gives_back_what_it_may_not_keep);
	tcase_add_test(t, what_has_become_large_grows_in_large_chunks);
	tcase_add_test(t, growth_goes_no_further_than_the_ceiling);
	tcase_add_test(t, deferred_calls_run_last_first_and_once);
	tcase_add_test(t, strings_are_copied_with_their_end);
	suite_add_tcase(s, t);
	return s;
}
