/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/lent.h"
#include "support/lending.h"
#include "support/tempdir.h"

/* Of the file, lent of it (not whole huge pages), and the area. */
enum { BYTES = (9 << 20) + 100, LENT = (9 << 20), ROOM = BYTES + 5000 };

static struct tempdir dir;
static char *content;
static int fd;

static void setup(void)
{
	dir = tempdir_new();
	content = malloc(BYTES);
	ck_assert_ptr_nonnull(content);
	for (int i = 0; i < BYTES; i++)
		content[i] = (char)(i * 7 + (i >> 12));
	tempdir_put(&dir, "lent.bin", content, BYTES);
	fd = openat(dir.fd, "lent.bin", O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
}

static void teardown(void)
{
	lent_hold(false);
	close(fd);
	free(content);
	tempdir_free(&dir);
}

static struct lent *given_lent(void)
{
	struct lent *l = lent_map(fd, LENT, ROOM);
	ck_assert_ptr_nonnull(l);
	ck_assert(lent_fetch(l, 0, LENT));
	lent_fetched(l);
	return l;
}

/* -1: somebody has a lease. */
static int open_to_write(int flags)
{
	int to_write = openat(dir.fd, "lent.bin", O_WRONLY | O_CLOEXEC | O_NONBLOCK | flags);
	ck_assert(to_write >= 0 || errno == EWOULDBLOCK);
	return to_write;
}

START_TEST(lent_pages_are_the_files_and_zeros_behind_them_may_be_written)
{
	struct lent *l = given_lent();
	ck_assert(lending_is_mapped("lent.bin"));
	ck_assert_uint_eq((uintptr_t)lent_at(l) % ((size_t)2 << 20), 0);
	ck_assert_mem_eq(lent_at(l), content, LENT);
	for (int i = LENT; i < ROOM; i++)
		ck_assert_int_eq(lent_at(l)[i], 0);
	memset(lent_at(l) + LENT, 1, ROOM - LENT);
	lent_free(l);
	ck_assert(!lending_is_mapped("lent.bin"));
}
END_TEST

START_TEST(what_is_settled_is_ones_own_at_the_same_place)
{
	struct lent *l = given_lent();
	lent_at(l)[LENT] = 5;

	lent_settle();

	ck_assert(!lending_is_mapped("lent.bin"));
	int to_write = open_to_write(O_TRUNC);
	ck_assert_int_ge(to_write, 0);
	close(to_write);
	ck_assert_mem_eq(lent_at(l), content, LENT);
	ck_assert_int_eq(lent_at(l)[LENT], 5);
	lent_free(l);
}
END_TEST

/* A process that truncates the file; what it returns is readable when it has. */
static int given_a_process_that_truncates(pid_t *ret)
{
	int ends[2];
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	*ret = fork();
	ck_assert_int_ge(*ret, 0);
	if (*ret == 0) {
		int to_write = openat(dir.fd, "lent.bin", O_WRONLY | O_TRUNC | O_CLOEXEC);
		_exit(to_write < 0 || write(ends[1], "x", 1) != 1);
	}
	close(ends[1]);
	return ends[0];
}

static bool is_readable(int end, int patience_ms)
{
	return poll(&(struct pollfd){ .fd = end, .events = POLLIN }, 1, patience_ms) == 1;
}

START_TEST(who_truncates_it_waits_until_all_is_copied)
{
	struct lent *l = given_lent();
	struct stat st;
	pid_t pid;
	int status;
	lent_hold(true);
	int end = given_a_process_that_truncates(&pid);
	ck_assert(!is_readable(end, 300));
	ck_assert(lending_is_mapped("lent.bin"));

	lent_hold(false);

	ck_assert(is_readable(end, 20000));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert(fstat(fd, &st) == 0 && st.st_size == 0);
	ck_assert(!lending_is_mapped("lent.bin"));
	ck_assert_mem_eq(lent_at(l), content, LENT);
	close(end);
	lent_free(l);
}
END_TEST

START_TEST(nothing_is_copied_before_all_was_fetched)
{
	struct lent *l = lent_map(fd, LENT, ROOM);
	ck_assert_ptr_nonnull(l);
	lent_settle();
	ck_assert(lending_is_mapped("lent.bin"));

	lent_fetched(l);
	lent_settle();

	ck_assert(!lending_is_mapped("lent.bin"));
	lent_free(l);
}
END_TEST

START_TEST(what_is_freed_is_nobodys_any_more)
{
	struct lent *kept = given_lent(), *freed = given_lent();
	lent_hold(true);
	lent_free(freed);
	lent_free(kept);
	int to_write = open_to_write(0);
	ck_assert_int_ge(to_write, 0);
	close(to_write);
}
END_TEST

struct reader {
	const struct lent *lent;
	atomic_bool enough;
	int wrong;
};

static void *read_until_told(void *ctx)
{
	struct reader *r = ctx;
	while (!atomic_load(&r->enough))
		r->wrong += memcmp(lent_at(r->lent), content, LENT) != 0;
	return NULL;
}

START_TEST(who_reads_while_it_is_copied_sees_no_difference)
{
	struct lent *l = given_lent();
	struct reader r = { .lent = l };
	pthread_t thread;
	ck_assert_int_eq(pthread_create(&thread, NULL, read_until_told, &r), 0);
	lent_settle();
	atomic_store(&r.enough, true);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(r.wrong, 0);
	lent_free(l);
}
END_TEST

START_TEST(what_somebody_may_write_is_not_lent)
{
	int to_write = open_to_write(0);
	ck_assert_ptr_null(lent_map(fd, LENT, ROOM));
	close(to_write);
	struct lent *l = lent_map(fd, LENT, ROOM);
	ck_assert_ptr_nonnull(l);
	lent_free(l);
}
END_TEST

START_TEST(what_is_shorter_than_said_or_too_small_is_not_lent)
{
	ck_assert_ptr_null(lent_map(fd, LENT + (1 << 20), ROOM + (1 << 20)));
	ck_assert_ptr_null(lent_map(fd, 1 << 20, ROOM));
	ck_assert_ptr_null(lent_map(fd, LENT, LENT - 4096));
	int to_write = open_to_write(0); /* no lease was left behind */
	ck_assert_int_ge(to_write, 0);
	close(to_write);
}
END_TEST

START_TEST(other_file_systems_lend_nothing)
{
	int other = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	ck_assert_ptr_null(lent_map(other, LENT, ROOM));
	close(other);
}
END_TEST

Suite *suite_lent(void);
Suite *suite_lent(void)
{
	Suite *s = suite_create("lent");
	TCase *t = tcase_create("lent");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, what_is_shorter_than_said_or_too_small_is_not_lent);
	tcase_add_test(t, other_file_systems_lend_nothing);
	if (lending_is_possible("/tmp", 2 * LENT)) {
		tcase_add_test(t, lent_pages_are_the_files_and_zeros_behind_them_may_be_written);
		tcase_add_test(t, what_is_settled_is_ones_own_at_the_same_place);
		tcase_add_test(t, who_truncates_it_waits_until_all_is_copied);
		tcase_add_test(t, nothing_is_copied_before_all_was_fetched);
		tcase_add_test(t, what_is_freed_is_nobodys_any_more);
		tcase_add_test(t, who_reads_while_it_is_copied_sees_no_difference);
		tcase_add_test(t, what_somebody_may_write_is_not_lent);
	}
	suite_add_tcase(s, t);
	return s;
}
