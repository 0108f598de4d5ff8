/* SPDX-License-Identifier: Apache-2.0 */
/* One version: which file it is, whether it can be read and who may write it, its stamp. */
#include "loader/repo/scanner.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
#include "loader/repo/layout.h"
#include "loader/repo/stamp.h"

/* A model is code of a kind: whoever can write it decides what is answered. A directory
   with the sticky bit lets everybody add, but not replace. */
static bool is_open_to_all(const struct stat *st)
{
	return (st->st_mode & S_IWOTH) && !(S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX));
}

enum err_code scanner_check_writers(
	struct scanner *s, int fd, const char *file, const char *what, struct err *err)
{
	struct stat st;
	int flags = *file ? 0 : AT_EMPTY_PATH;
	if (fstatat(fd, file, &st, flags) < 0 || !is_open_to_all(&st))
		return ERR_OK; /* what cannot be looked at cannot be read either, and says so then
				*/
	if (!s->conf->strict_permissions) {
		scanner_remark(s, "%s%s%s: anyone may write it (mode %04o)", what, *file ? "/" : "",
			file, (unsigned)st.st_mode & 07777);
		return ERR_OK;
	}
	return err_set(err, ERR_PERMISSION_DENIED,
		"%s: anyone may write it (mode %04o), which strict_permissions forbids",
		*file ? file : "its directory", (unsigned)st.st_mode & 07777);
}

static enum err_code stamp_version(struct scanner *s, struct scan_version *v, struct err *err)
{
	struct stamp stamp;
	int fd = open(v->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return file_err(err, errno, "version directory");
	enum err_code rc = stamp_look(fd, v->file, v->file_only, &s->budget, &v->id, &stamp, err);
	if (rc == ERR_OK)
		rc = scanner_check_writers(s, fd, "", v->dir, err);
	if (rc == ERR_OK)
		rc = scanner_check_writers(s, fd, v->file, v->dir, err);
	if (rc == ERR_OK && faccessat(fd, v->file, R_OK, AT_EACCESS) < 0)
		rc = file_err(err, errno, v->file);
	close(fd);
	if (rc != ERR_OK)
		return rc;
	v->stamp = stamp.hash;
	v->changed_ms = stamp.changed_ms;
	v->bytes = stamp.bytes;
	return ERR_OK;
}

/* A ConfigMap's file is a link into a directory beside it that is exchanged as a whole.
   The version is then what the link points to; it must lie beneath the version's own
   directory. */
static enum err_code follow_link(
	struct scanner *s, int dirfd, struct scan_version *v, struct err *err)
{
	struct stat st;
	char real[PATH_MAX], base[PATH_MAX], path[PATH_MAX];
	if (fstatat(dirfd, v->file, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return file_err(err, errno, v->file);
	if (!S_ISLNK(st.st_mode))
		return ERR_OK;
	if (snprintf(path, sizeof(path), "%s/%s", v->dir, v->file) >= (int)sizeof(path))
		return file_err(err, ENAMETOOLONG, v->file);
	if (!realpath(path, real) || !realpath(v->dir, base))
		return file_err(err, errno, v->file);
	size_t n = strlen(base);
	if (strncmp(real, base, n) != 0 || real[n] != '/')
		return err_set(err, ERR_FAILED_PRECONDITION,
			"%s is a link that leaves its directory", v->file);
	char *slash = strrchr(real, '/');
	v->file = arena_strdup(s->arena, slash + 1);
	v->dir = arena_strndup(s->arena, real, (size_t)(slash - real));
	return v->file && v->dir ? ERR_OK : err_oom(err);
}

static enum err_code look_inside(
	struct scanner *s, int dirfd, struct scan_version *v, struct err *err)
{
	enum err_code rc = follow_link(s, dirfd, v, err);
	return rc == ERR_OK ? stamp_version(s, v, err) : rc;
}

bool scanner_look(struct scanner *s, struct scan_version *v)
{
	struct err err = {0};
	v->moved_in = s->conf->moved_in && s->conf->moved_in(s->conf->ctx, v->dir);
	int fd = open(v->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return false;
	if (fd < 0) {
		v->code = file_err(&err, errno, "version directory");
	} else {
		v->file = v->file ? v->file : layout_find_file(fd);
		if (!v->file)
			scanner_remark(s, "%s: no %s or %s in it (yet)", v->dir, layout_files[1], layout_files[0]);
		else
			v->code = look_inside(s, fd, v, &err);
		close(fd);
	}
	if (v->code != ERR_OK) {
		v->reason = arena_strdup(s->arena, err.msg);
		s->oom |= !v->reason;
	}
	return (v->file || v->code != ERR_OK) && v->code != ERR_NOT_FOUND;
}

enum err_code scan_look(int dirfd, const struct scan_version *v, struct scan_id *ret_id,
	uint64_t *ret_stamp, struct err *err)
{
	struct stamp stamp;
	long budget = SCAN_FILES_MAX + 1;
	enum err_code rc = stamp_look(dirfd, v->file, v->file_only, &budget, ret_id, &stamp, err);
	if (rc == ERR_OK)
		*ret_stamp = stamp.hash;
	return rc;
}
