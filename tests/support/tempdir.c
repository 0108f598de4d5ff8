/* SPDX-License-Identifier: Apache-2.0 */
#include "support/tempdir.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct tempdir tempdir_new(void)
{
	struct tempdir d = { .path = "/tmp/signet-test-XXXXXX" };
	ck_assert_ptr_nonnull(mkdtemp(d.path));
	d.fd = open(d.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(d.fd, 0);
	return d;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

void tempdir_free(struct tempdir *d)
{
	close(d->fd);
	nftw(d->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void tempdir_put(const struct tempdir *d, const char *path, const void *data, size_t bytes)
{
	char part[256];
	for (const char *p = strchr(path, '/'); p; p = strchr(p + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(p - path), path);
		ck_assert(mkdirat(d->fd, part, 0755) == 0 || errno == EEXIST);
	}
	int fd = openat(d->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, data, bytes), bytes);
	close(fd);
}

void tempdir_put_str(const struct tempdir *d, const char *path, const char *text)
{
	tempdir_put(d, path, text, strlen(text));
}
