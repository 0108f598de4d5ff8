/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/checked.h"
#include "base/pages.h"

#define OPEN_FLAGS (O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

enum err_code file_err(struct err *err, int errnum, const char *name)
{
	static const struct {
		int errnum;
		enum err_code code;
	} codes[] = {
		{ ENOENT, ERR_NOT_FOUND }, { ENOTDIR, ERR_NOT_FOUND },
			{ ENAMETOOLONG, ERR_INVALID_ARGUMENT },
		{ EACCES, ERR_PERMISSION_DENIED }, { EPERM, ERR_PERMISSION_DENIED },
		{ ENOMEM, ERR_RESOURCE_EXHAUSTED }, { EMFILE, ERR_RESOURCE_EXHAUSTED },
		{ ENFILE, ERR_RESOURCE_EXHAUSTED }, { ENOSPC, ERR_RESOURCE_EXHAUSTED },
		{ EDQUOT, ERR_RESOURCE_EXHAUSTED }, { EFBIG, ERR_RESOURCE_EXHAUSTED },
	};
	if (errnum == ELOOP || errnum == EXDEV)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"%s: goes through a symbolic link or leaves its directory", name);
	enum err_code code = ERR_UNAVAILABLE;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		if (codes[i].errnum == errnum)
			code = codes[i].code;
	}
	char text[128];
	return err_set(err, code, "%s: %s", name, strerror_r(errnum, text, sizeof(text)));
}

/* Length of the component that path begins with. */
static size_t component(const char *path)
{
	return strcspn(path, "/");
}

/* openat2() would let "a/../b" pass; the walk would not. One rule for both. */
static enum err_code check_path(const char *path, struct err *err)
{
	if (path[0] == '\0' || path[0] == '/' || strlen(path) >= PATH_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT, "%s: not a relative path", path);
	for (const char *p = path; *p; p += component(p), p += strspn(p, "/")) {
		if (component(p) == 2 && memcmp(p, "..", 2) == 0)
			return err_set(
				err, ERR_INVALID_ARGUMENT, "%s: has a component \"..\"", path);
	}
	return ERR_OK;
}

/* -1: errno. O_NOFOLLOW says ENOTDIR of a symbolic link that should be a directory. */
static int walk(int dirfd, const char *path, int flags)
{
	int at = dirfd;
	for (;;) {
		char name[NAME_MAX + 1];
		size_t len = component(path);
		const char *rest = path + len + strspn(path + len, "/");
		bool last = *rest == '\0';
		if (len > NAME_MAX) {
			errno = ENAMETOOLONG;
			break;
		}
		memcpy(name, path, len);
		name[len] = '\0';
		struct stat st;
		if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode)) {
			errno = ELOOP;
			break;
		}
		/* A trailing slash asks for a directory. */
		int how =
			last ? flags | (path[len] == '/' ? O_DIRECTORY : 0) : O_PATH | O_DIRECTORY;
		int fd = openat(at, name, how | O_NOFOLLOW | OPEN_FLAGS);
		int saved = errno;
		if (at != dirfd)
			close(at);
		errno = saved;
		if (fd < 0 || last)
			return fd;
		at = fd;
		path = rest;
	}
	int saved = errno;
	if (at != dirfd)
		close(at);
	errno = saved;
	return -1;
}

enum err_code file_walk_beneath(
	int dirfd, const char *path, int flags, int *ret_fd, struct err *err)
{
	enum err_code rc = check_path(path, err);
	if (rc != ERR_OK)
		return rc;
	int fd = walk(dirfd, path, flags);
	if (fd < 0)
		return file_err(err, errno, path);
	*ret_fd = fd;
	return ERR_OK;
}

enum err_code file_open_beneath(
	int dirfd, const char *path, int flags, int *ret_fd, struct err *err)
{
	enum err_code rc = check_path(path, err);
	if (rc != ERR_OK)
		return rc;
	struct open_how how = {
		.flags = (uint64_t)(flags | OPEN_FLAGS),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	int fd;
	/* EAGAIN: something was renamed meanwhile and the kernel could not tell. */
	int tries = 8;
	do
		fd = (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
	while (fd < 0 && (errno == EINTR || (errno == EAGAIN && --tries > 0)));
	/* An old kernel, or a seccomp filter that does not know the call. */
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		return file_walk_beneath(dirfd, path, flags, ret_fd, err);
	if (fd < 0)
		return file_err(err, errno, path);
	*ret_fd = fd;
	return ERR_OK;
}

enum err_code file_check_regular(int fd, const char *name, size_t bytes_max, size_t *ret_bytes,
	struct err *err)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return file_err(err, errno, name);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_INVALID_ARGUMENT, "%s: not a regular file", name);
	if (st.st_size < 0 || (uintmax_t)st.st_size > bytes_max)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			"%s: has %jd bytes, at most %zu are allowed", name, (intmax_t)st.st_size,
			bytes_max);
	*ret_bytes = (size_t)st.st_size;
	return ERR_OK;
}

enum err_code file_open_regular(int dirfd, const char *path, size_t bytes_max, int *ret_fd,
	size_t *ret_bytes, struct err *err)
{
	int fd;
	enum err_code rc = file_open_beneath(dirfd, path, O_RDONLY, &fd, err);
	if (rc != ERR_OK)
		return rc;
	rc = file_check_regular(fd, path, bytes_max, ret_bytes, err);
	if (rc != ERR_OK) {
		close(fd);
		return rc;
	}
	*ret_fd = fd;
	return ERR_OK;
}

enum err_code file_read_at(int fd, const char *name, uint64_t offset, void *to, size_t bytes,
	struct err *err)
{
	if (offset > INT64_MAX || bytes > INT64_MAX - offset)
		return err_set(err, ERR_OUT_OF_RANGE, "%s: no bytes at offset %ju", name,
			(uintmax_t)offset);
	size_t done = 0;
	while (done < bytes) {
		ssize_t n = pread(fd, (char *)to + done, bytes - done, (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return file_err(err, errno, name);
		if (n == 0)
			return err_set(err, ERR_FAILED_PRECONDITION,
				"%s: ends after %ju bytes, %zu more were expected", name,
				(uintmax_t)(offset + done), bytes - done);
		done += (size_t)n;
	}
	return ERR_OK;
}

enum err_code file_read_new(int fd, const char *name, uint64_t offset, void *to, size_t bytes,
	struct err *err)
{
	huge_expect(to, bytes);
	return file_read_at(fd, name, offset, to, bytes, err);
}

/* Closes fd. */
static enum err_code read_and_close(int fd, size_t bytes, const char *name, struct arena *arena,
	struct slice *ret, struct err *err)
{
	size_t with_nul;
	char *to = add_overflows(bytes, 1, &with_nul) ? NULL : arena_alloc(arena, with_nul);
	enum err_code rc = to ? file_read_at(fd, name, 0, to, bytes, err) : err_oom(err);
	close(fd);
	if (rc != ERR_OK)
		return rc;
	to[bytes] = '\0';
	*ret = (struct slice){ to, bytes };
	return ERR_OK;
}

DIR *file_open_dir(int dirfd, const char *path, int flags)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | OPEN_FLAGS | flags);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (fd >= 0 && !dir)
		close(fd);
	return dir;
}

enum err_code file_follow_beneath(const char *dir, const char *file, struct arena *arena,
	const char **ret_dir, const char **ret_file, struct err *err)
{
	struct stat st;
	char real[PATH_MAX], base[PATH_MAX], path[PATH_MAX];
	if (snprintf(path, sizeof(path), "%s/%s", dir, file) >= (int)sizeof(path))
		return file_err(err, ENAMETOOLONG, file);
	if (lstat(path, &st) != 0)
		return file_err(err, errno, file);
	*ret_dir = dir;
	*ret_file = file;
	if (!S_ISLNK(st.st_mode))
		return ERR_OK;
	if (!realpath(path, real) || !realpath(dir, base))
		return file_err(err, errno, file);
	size_t n = strlen(base);
	if (strncmp(real, base, n) != 0 || real[n] != '/')
		return err_set(err, ERR_FAILED_PRECONDITION,
			"%s is a link that leaves its directory", file);
	char *slash = strrchr(real, '/');
	*ret_file = arena_strdup(arena, slash + 1);
	*ret_dir = arena_strndup(arena, real, (size_t)(slash - real));
	return *ret_file && *ret_dir ? ERR_OK : err_oom(err);
}

enum err_code file_read(int dirfd, const char *path, size_t bytes_max, struct arena *arena,
	struct slice *ret, struct err *err)
{
	int fd;
	size_t bytes;
	enum err_code rc = file_open_regular(dirfd, path, bytes_max, &fd, &bytes, err);
	return rc == ERR_OK ? read_and_close(fd, bytes, path, arena, ret, err) : rc;
}

enum err_code file_read_path(
	const char *path, size_t bytes_max, struct arena *arena, struct slice *ret, struct err *err)
{
	size_t bytes;
	int fd = open(path, O_RDONLY | OPEN_FLAGS);
	if (fd < 0)
		return file_err(err, errno, path);
	enum err_code rc = file_check_regular(fd, path, bytes_max, &bytes, err);
	if (rc == ERR_OK)
		return read_and_close(fd, bytes, path, arena, ret, err);
	close(fd);
	return rc;
}

enum err_code file_mem_new(size_t bytes, struct file_mem *ret, struct err *err)
{
	void *p = bytes ? pages_map(bytes) : NULL;
	if (bytes && !p)
		return err_oom(err);
	*ret = (struct file_mem){ p, bytes };
	return ERR_OK;
}

void file_mem_free(struct file_mem *m)
{
	if (m->ptr)
		pages_unmap(m->ptr, m->bytes);
	*m = (struct file_mem){ 0 };
}

void file_mem_shrink(struct file_mem *m, size_t bytes)
{
	if (bytes == 0) {
		file_mem_free(m);
		return;
	}
	pages_shrink(m->ptr, m->bytes, bytes);
	m->bytes = bytes;
}

enum err_code file_read_mem(int fd, const char *name, size_t bytes_max, struct file_mem *ret,
	struct err *err)
{
	size_t bytes;
	struct file_mem m;
	enum err_code rc = file_check_regular(fd, name, bytes_max, &bytes, err);
	if (rc != ERR_OK)
		return rc;
	rc = file_mem_new(bytes, &m, err);
	if (rc != ERR_OK)
		return rc;
	rc = file_read_new(fd, name, 0, m.ptr, bytes, err);
	if (rc != ERR_OK) {
		file_mem_free(&m);
		return rc;
	}
	*ret = m;
	return ERR_OK;
}

static int write_all(int fd, const char *data, size_t bytes)
{
	while (bytes > 0) {
		ssize_t n = write(fd, data, bytes);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		data += n;
		bytes -= (size_t)n;
	}
	return 0;
}

/* 0, or -1 with errno; the temporary file is closed either way. */
static int write_and_rename(int dirfd, int fd, const char *tmp, const char *path, struct slice data)
{
	bool ok = write_all(fd, data.ptr, data.len) == 0 && fsync(fd) == 0;
	int saved = errno;
	if (close(fd) != 0 && ok) {
		ok = false;
		saved = errno;
	}
	if (ok && renameat(dirfd, tmp, dirfd, path) != 0) {
		ok = false;
		saved = errno;
	}
	errno = saved;
	return ok ? 0 : -1;
}

/* dirfd may be AT_FDCWD or O_PATH; fsync needs a directory opened for reading. */
static int sync_directory(int dirfd)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	int rc = fsync(fd);
	int saved = errno;
	close(fd);
	errno = saved;
	return rc;
}

enum err_code file_write_atomic(
	int dirfd, const char *path, const void *data, size_t bytes, mode_t mode, struct err *err)
{
	char tmp[NAME_MAX + 1];
	uint64_t unique;
	if (path[component(path)] != '\0' || strlen(path) > NAME_MAX - 24)
		return err_set(err, ERR_INVALID_ARGUMENT, "%s: not the name of one file", path);
	if (getrandom(&unique, sizeof(unique), 0) != sizeof(unique))
		return file_err(err, errno, path);
	snprintf(tmp, sizeof(tmp), ".%s.%016jx.tmp", path, (uintmax_t)unique);
	int fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		return file_err(err, errno, path);
	if (write_and_rename(dirfd, fd, tmp, path, (struct slice){ data, bytes }) != 0) {
		int saved = errno;
		unlinkat(dirfd, tmp, 0);
		return file_err(err, saved, path);
	}
	if (sync_directory(dirfd) != 0)
		return file_err(err, errno, path);
	return ERR_OK;
}
