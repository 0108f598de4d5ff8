/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/repo/stamp.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
#include "base/hash.h"
#include "loader/repo/layout.h"

static int64_t ms_of(const struct statx_timestamp *t)
{
	return t->tv_sec * 1000 + t->tv_nsec / 1000000;
}

static uint64_t ns_of(const struct statx_timestamp *t)
{
	return (uint64_t)t->tv_sec * UINT64_C(1000000000) + t->tv_nsec;
}

static uint64_t dev_of(const struct statx *x)
{
	return (uint64_t)x->stx_dev_major << 32 | x->stx_dev_minor;
}

static void add_file(struct stamp *s, const char *name, const struct statx *x)
{
	uint64_t fact[] = { dev_of(x), x->stx_ino, x->stx_size, ns_of(&x->stx_mtime), x->stx_mode };
	s->hash += hash_bytes(fact, sizeof(fact), hash_slice(slice_of(name), 0));
	s->bytes += x->stx_size;
	s->n_files++;
	if (ms_of(&x->stx_ctime) > s->changed_ms)
		s->changed_ms = ms_of(&x->stx_ctime);
}

enum err_code stamp_file(int dirfd, const char *file, struct stamp *ret, struct err *err)
{
	struct statx x;
	if (statx(dirfd, file, 0, STATX_BASIC_STATS, &x) < 0)
		return file_err(err, errno, file);
	*ret = (struct stamp){ 0 };
	add_file(ret, file, &x);
	return ERR_OK;
}

/* Directories below the version's own are entered without following links, so that the
   walk ends. */
static DIR *open_below(int dirfd, const char *name)
{
	return file_open_dir(dirfd, name, O_NOFOLLOW);
}

/* A flat directory holds the model's options too; they are no part of its version. */
static bool is_part(const char *name, int depth)
{
	return strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
	       (depth > 1 || strcmp(name, LAYOUT_CONF) != 0);
}

/* One entry of the innermost directory; false: that one has ended. */
static bool stamp_entry(DIR **stack, int *depth, struct stamp *s)
{
	DIR *dir = stack[*depth - 1];
	const struct dirent *e = readdir(dir);
	if (!e)
		return false;
	struct statx x;
	if (!is_part(e->d_name, *depth) ||
		statx(dirfd(dir), e->d_name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &x) < 0)
		return true;
	/* A link counts as what it points to: a ConfigMap's files change that way. */
	if (S_ISLNK(x.stx_mode) && statx(dirfd(dir), e->d_name, 0, STATX_BASIC_STATS, &x) < 0)
		return true;
	add_file(s, e->d_name, &x);
	if (S_ISDIR(x.stx_mode) && *depth <= STAMP_DEPTH_MAX) {
		DIR *below = open_below(dirfd(dir), e->d_name);
		if (below)
			stack[(*depth)++] = below;
	}
	return true;
}

static enum err_code stamp_dir(int dirfd, int64_t *budget, struct stamp *ret, struct err *err)
{
	DIR *stack[STAMP_DEPTH_MAX + 1];
	int depth = 0;
	*ret = (struct stamp){ 0 };
	stack[0] = open_below(dirfd, ".");
	if (!stack[0])
		return file_err(err, errno, "version directory");
	depth = 1;
	while (depth) {
		if (*budget > 0 && ret->n_files < SCAN_FILES_MAX && stamp_entry(stack, &depth, ret))
			(*budget)--;
		else
			closedir(stack[--depth]);
	}
	return ERR_OK;
}

/* Where the file system keeps no birth time, a directory's mtime has to do: it changes
   when an entry is added or renamed in, which loads a version once too often. */
static uint64_t born(const struct statx *x, bool is_dir)
{
	if (x->stx_mask & STATX_BTIME)
		return ns_of(&x->stx_btime);
	return is_dir ? ns_of(&x->stx_mtime) : 0;
}

static enum err_code stamp_id(int dirfd, const char *file, struct scan_id *ret, struct err *err)
{
	struct statx d, f;
	if (statx(dirfd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &d) < 0)
		return file_err(err, errno, "version directory");
	if (statx(dirfd, file, 0, STATX_BASIC_STATS | STATX_BTIME, &f) < 0)
		return file_err(err, errno, file);
	if (!S_ISREG(f.stx_mode))
		return err_set(err, ERR_FAILED_PRECONDITION, "%s is not a regular file", file);
	*ret = (struct scan_id){
		.dir_dev = dev_of(&d), .dir_ino = d.stx_ino, .dir_born_ns = born(&d, true),
		.file_dev = dev_of(&f), .file_ino = f.stx_ino, .file_born_ns = born(&f, false),
	};
	return ERR_OK;
}

enum err_code stamp_look(int dirfd, const char *file, bool file_only, int64_t *budget,
	struct scan_id *ret_id, struct stamp *ret, struct err *err)
{
	enum err_code rc = stamp_id(dirfd, file, ret_id, err);
	if (rc != ERR_OK)
		return rc;
	return file_only ? stamp_file(dirfd, file, ret, err) : stamp_dir(dirfd, budget, ret, err);
}
