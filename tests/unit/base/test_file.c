/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
#include "support/tempdir.h"

static struct tempdir dir;
static struct arena *arena;
static struct err err;

static void setup(void)
{
	dir = tempdir_new();
	arena = arena_new(4096, 1 << 20);
	tempdir_put_str(&dir, "a/b/data", "weights");
	tempdir_put_str(&dir, "secret", "secret");
}

static void teardown(void)
{
	arena_free(arena);
	tempdir_free(&dir);
}

typedef enum err_code (*open_fn)(
	int dirfd, const char *path, int flags, int *ret_fd, struct err *err);
/* Both ways of opening have to agree on all of this. */
static const open_fn ways[] = { file_open_beneath, file_walk_beneath };

START_TEST(opens_what_is_beneath)
{
	static const char *const paths[] = { "secret", "a/b/data", "./a//b/./data", "a/b", "a/b/" };
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		int fd;
		ck_assert_msg(ways[_i](dir.fd, paths[i], O_RDONLY, &fd, &err) == ERR_OK, "%s: %s",
			paths[i], err.msg);
		ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
		close(fd);
	}
}
END_TEST

START_TEST(refuses_to_leave)
{
	int inner = openat(dir.fd, "a", O_RDONLY | O_DIRECTORY);
	ck_assert_int_eq(symlinkat("../secret", inner, "up"), 0);
	ck_assert_int_eq(symlinkat("/etc", inner, "etc"), 0);
	ck_assert_int_eq(symlinkat("b", inner, "same"), 0);
	ck_assert_int_eq(symlinkat("loop", inner, "loop"), 0);
	static const char *const paths[] = { "", "/etc/passwd", "..", "../secret", "b/../../secret",
		"b/../b/data", "b/..", "up", "etc/passwd", "same/data", "loop" };
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		int fd = -7;
		ck_assert_msg(
			ways[_i](inner, paths[i], O_RDONLY, &fd, &err) == ERR_INVALID_ARGUMENT,
			"%s: %s", paths[i], err.msg);
		ck_assert_int_eq(fd, -7);
	}
	close(inner);
}
END_TEST

START_TEST(says_what_is_missing)
{
	int fd;
	ck_assert_int_eq(ways[_i](dir.fd, "a/none", O_RDONLY, &fd, &err), ERR_NOT_FOUND);
	ck_assert_str_eq(err.msg, "a/none: No such file or directory");
	ck_assert_int_eq(ways[_i](dir.fd, "secret/x", O_RDONLY, &fd, &err), ERR_NOT_FOUND);
	char longer[400];
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	ck_assert_int_eq(ways[_i](dir.fd, longer, O_RDONLY, &fd, &err), ERR_INVALID_ARGUMENT);
}
END_TEST

START_TEST(a_fifo_neither_blocks_nor_passes)
{
	struct slice s;
	ck_assert_int_eq(mkfifoat(dir.fd, "fifo", 0600), 0);
	ck_assert_int_eq(file_read(dir.fd, "fifo", 100, arena, &s, &err), ERR_INVALID_ARGUMENT);
	ck_assert_str_eq(err.msg, "fifo: not a regular file");
	ck_assert_int_eq(file_read(dir.fd, "a", 100, arena, &s, &err), ERR_INVALID_ARGUMENT);
}
END_TEST

START_TEST(reads_whole_files_up_to_the_limit)
{
	struct slice s;
	ck_assert_int_eq(file_read(dir.fd, "a/b/data", 7, arena, &s, &err), ERR_OK);
	ck_assert(slice_is(s, "weights"));
	ck_assert_int_eq(s.ptr[s.len], '\0');
	ck_assert_int_eq(file_read(dir.fd, "a/b/data", 6, arena, &s, &err), ERR_RESOURCE_EXHAUSTED);
	ck_assert_str_eq(err.msg, "a/b/data: has 7 bytes, at most 6 are allowed");
	tempdir_put_str(&dir, "empty", "");
	ck_assert_int_eq(file_read(dir.fd, "empty", 6, arena, &s, &err), ERR_OK);
	ck_assert_uint_eq(s.len, 0);
}
END_TEST

START_TEST(the_ceiling_of_the_arena_is_an_error)
{
	struct slice s = { NULL, 0 };
	static char big[2 << 20];
	tempdir_put(&dir, "big", big, sizeof(big));
	ck_assert_int_eq(
		file_read(dir.fd, "big", SIZE_MAX, arena, &s, &err), ERR_RESOURCE_EXHAUSTED);
	ck_assert_ptr_null(s.ptr);
}
END_TEST

START_TEST(reads_into_private_memory)
{
	struct file_mem m;
	int fd;
	size_t bytes;
	ck_assert_int_eq(file_open_regular(dir.fd, "secret", 100, &fd, &bytes, &err), ERR_OK);
	ck_assert_uint_eq(bytes, 6);
	ck_assert_int_eq(file_read_mem(fd, "secret", 100, &m, &err), ERR_OK);
	/* M24: what happens to the file afterwards is no concern of ours. */
	tempdir_put_str(&dir, "secret", "");
	ck_assert_mem_eq(m.ptr, "secret", 6);
	ck_assert_uint_eq((uintptr_t)m.ptr % 64, 0);
	file_mem_free(&m);
	file_mem_free(&m);

	char buffer[6];
	ck_assert_int_eq(file_read_at(fd, "secret", 0, buffer, 6, &err), ERR_FAILED_PRECONDITION);
	ck_assert_int_eq(file_read_at(fd, "secret", UINT64_MAX, buffer, 6, &err), ERR_OUT_OF_RANGE);
	ck_assert_int_eq(file_read_mem(fd, "secret", 100, &m, &err), ERR_OK);
	ck_assert_uint_eq(m.bytes, 0);
	close(fd);
}
END_TEST

START_TEST(memory_that_is_not_there_is_an_error)
{
	struct file_mem m;
	ck_assert_int_eq(file_mem_new(SIZE_MAX / 2, &m, &err), ERR_RESOURCE_EXHAUSTED);
}
END_TEST

START_TEST(writes_all_or_nothing)
{
	struct slice s;
	ck_assert_int_eq(file_write_atomic(dir.fd, "secret", "new", 3, 0600, &err), ERR_OK);
	ck_assert_int_eq(file_read(dir.fd, "secret", 100, arena, &s, &err), ERR_OK);
	ck_assert(slice_is(s, "new"));

	/* C9: a full disk, here a limit on the size of files, leaves the old one. */
	static char big[65536];
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 4096, 4096 });
	ck_assert_int_eq(file_write_atomic(dir.fd, "secret", big, sizeof(big), 0600, &err),
		ERR_RESOURCE_EXHAUSTED);
	ck_assert_int_eq(file_read(dir.fd, "secret", 100, arena, &s, &err), ERR_OK);
	ck_assert(slice_is(s, "new"));
	/* Nothing else is left behind: the directory holds "a" and "secret". */
	struct stat st;
	ck_assert_int_eq(unlinkat(dir.fd, "secret", 0), 0);
	ck_assert_int_eq(unlinkat(dir.fd, "a/b/data", 0), 0);
	ck_assert_int_eq(unlinkat(dir.fd, "a/b", AT_REMOVEDIR), 0);
	ck_assert_int_eq(unlinkat(dir.fd, "a", AT_REMOVEDIR), 0);
	ck_assert_int_eq(rmdir(dir.path), 0);
	ck_assert_int_eq(stat(dir.path, &st), -1);
}
END_TEST

START_TEST(writes_one_component_only)
{
	ck_assert_int_eq(
		file_write_atomic(dir.fd, "a/x", "new", 3, 0600, &err), ERR_INVALID_ARGUMENT);
}
END_TEST

Suite *suite_file(void);
Suite *suite_file(void)
{
	Suite *s = suite_create("file");
	TCase *t = tcase_create("file");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, opens_what_is_beneath, 0, 2);
	tcase_add_loop_test(t, refuses_to_leave, 0, 2);
	tcase_add_loop_test(t, says_what_is_missing, 0, 2);
	tcase_add_test(t, a_fifo_neither_blocks_nor_passes);
	tcase_add_test(t, reads_whole_files_up_to_the_limit);
	tcase_add_test(t, the_ceiling_of_the_arena_is_an_error);
	tcase_add_test(t, reads_into_private_memory);
	tcase_add_test(t, memory_that_is_not_there_is_an_error);
	tcase_add_test(t, writes_all_or_nothing);
	tcase_add_test(t, writes_one_component_only);
	suite_add_tcase(s, t);
	return s;
}
