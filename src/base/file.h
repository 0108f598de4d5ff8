/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.h -- files that others put there: regular, whole, bounded, beneath their directory
 *
 * Whatever the tree opens by a name from outside is opened by file_open_beneath(). Files
 * are read whole into memory of our own: a file that is truncated under a mapping would
 * raise SIGBUS in a request (lent.h has what a lease allows). Messages carry the name as given,
 * never where it is.
 *
 * Ownership: descriptors and file_mem are the caller's.
 * Threads:   any.
 */
#pragma once

#include <dirent.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/arena.h"

/* Opens path, relative to dirfd, where no component is "..", absolute or a symbolic link:
   INVALID_ARGUMENT if one is. Adds O_CLOEXEC and O_NONBLOCK (a FIFO must not block the
   open); flags without O_CREAT. */
MUST_CHECK enum err_code file_open_beneath(int dirfd, const char *path, int flags, int *ret_fd,
	struct err *err);

/* The same one component after the other; what file_open_beneath() does where openat2()
   is missing or forbidden. */
MUST_CHECK enum err_code file_walk_beneath(int dirfd, const char *path, int flags, int *ret_fd,
	struct err *err);

/* file_open_beneath() for reading, of a regular file of at most bytes_max bytes. */
MUST_CHECK enum err_code file_open_regular(int dirfd, const char *path, size_t bytes_max,
	int *ret_fd, size_t *ret_bytes, struct err *err);

/* INVALID_ARGUMENT: not a regular file. RESOURCE_EXHAUSTED: over bytes_max. */
MUST_CHECK enum err_code file_check_regular(int fd, const char *name, size_t bytes_max,
	size_t *ret_bytes, struct err *err);

/* Exactly bytes bytes from offset. FAILED_PRECONDITION: the file has become shorter. */
MUST_CHECK enum err_code file_read_at(
	int fd, const char *name, uint64_t offset, void *to, size_t bytes, struct err *err);

/* The same, into memory that nobody has written to yet: huge_expect(). */
MUST_CHECK enum err_code file_read_new(
	int fd, const char *name, uint64_t offset, void *to, size_t bytes, struct err *err);

/* path, relative to dirfd or AT_FDCWD, to be read; NULL: errno says why not. flags: further
   ones of open(). */
DIR *file_open_dir(int dirfd, const char *path, int flags);

/* A ConfigMap's files are links into a directory beside them that is exchanged as a whole:
   where such a one leads, which must be beneath dir, FAILED_PRECONDITION if not. Other files
   stay what they are. Results lie in the arena, or are dir and file. */
MUST_CHECK enum err_code file_follow_beneath(const char *dir, const char *file, struct arena *arena,
	const char **ret_dir, const char **ret_file, struct err *err);

/* The whole file, with a NUL behind it that is not counted. */
MUST_CHECK enum err_code file_read(int dirfd, const char *path, size_t bytes_max,
	struct arena *arena, struct slice *ret, struct err *err);

/* The same of a path that the operator gave, on the command line say: it may be absolute and
   go through symbolic links. */
MUST_CHECK enum err_code file_read_path(const char *path, size_t bytes_max, struct arena *arena,
	struct slice *ret, struct err *err);

/* Page-aligned private memory, of the size asked for; zeroed. */
struct file_mem {
	void *ptr;
	size_t bytes;
};
MUST_CHECK enum err_code file_mem_new(size_t bytes, struct file_mem *ret, struct err *err);
void file_mem_free(struct file_mem *m); /* an empty one is fine */
void file_mem_shrink(struct file_mem *m, size_t bytes); /* 0: frees it */

/* The whole of a descriptor's file, for weights. */
MUST_CHECK enum err_code file_read_mem(
	int fd, const char *name, size_t bytes_max, struct file_mem *ret, struct err *err);

/* Under a temporary name, synced, renamed over path, directory synced: after a crash the
   old file or the new one is there. path is one component. */
MUST_CHECK enum err_code file_write_atomic(
	int dirfd, const char *path, const void *data, size_t bytes, mode_t mode, struct err *err);

/* What errno says, as a code and as "NAME: reason". */
enum err_code file_err(struct err *err, int errnum, const char *name);
