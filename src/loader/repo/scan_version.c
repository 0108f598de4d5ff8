/* SPDX-License-Identifier: Apache-2.0 */
/* One version: which file it is, whether it can be read and who may write it, its stamp. */
#include "loader/repo/scanner.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
#include "loader/foreign.h"
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
		return ERR_OK; /* what cannot be looked at cannot be read either, and
				says so then */
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

static enum err_code look_inside(struct scanner *s, struct scan_version *v, struct err *err)
{
	/* The version is then what the link of a ConfigMap points to. */
	TRY(file_follow_beneath(v->dir, v->file, s->arena, &v->dir, &v->file, err));
	return stamp_version(s, v, err);
}

/* What is put into it later is an event there, and none of the directory that it is in. */
static void note_empty(struct scanner *s, const char *path, int fd)
{
	char hint[FOREIGN_HINT_MAX];
	struct scan_dir *d = ARENA_NEW(s->arena, struct scan_dir);
	foreign_hint(fd, hint);
	scanner_remark(
		s, "%s: no %s or %s in it (yet)%s", path, layout_files[1], layout_files[0], hint);
	if (!d) {
		s->oom = true;
		return;
	}
	*d = (struct scan_dir){ path, s->out->empty };
	s->out->empty = d;
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
			note_empty(s, v->dir, fd);
		else
			v->code = look_inside(s, v, &err);
		close(fd);
	}
	if (v->code != ERR_OK) {
		v->reason = arena_strdup(s->arena, err.msg);
		s->oom |= !v->reason;
	}
	return (v->file || v->code != ERR_OK) && v->code != ERR_NOT_FOUND;
}

void scanner_look_conf(struct scanner *s, struct scan_model *m, int dirfd)
{
	struct stamp stamp;
	struct err err;
	enum err_code rc = stamp_file(dirfd, LAYOUT_CONF, &stamp, &err);
	if (rc == ERR_NOT_FOUND)
		return;
	m->conf.stamp = 1; /* what cannot be looked at cannot be read either, and says so then */
	if (rc == ERR_OK)
		m->conf = (struct scan_conf_file){ .stamp = stamp.hash | 1,
			.changed_ms = stamp.changed_ms };
	m->conf.code = scanner_check_writers(s, dirfd, LAYOUT_CONF, m->dir, &err);
	if (m->conf.code == ERR_OK)
		return;
	m->conf.reason = arena_strdup(s->arena, err.msg);
	s->oom |= !m->conf.reason;
}

enum err_code scan_look(int dirfd, const struct scan_version *v, struct scan_id *ret_id,
	uint64_t *ret_stamp, struct err *err)
{
	struct stamp stamp;
	int64_t budget = SCAN_FILES_MAX + 1;
	enum err_code rc = stamp_look(dirfd, v->file, v->file_only, &budget, ret_id, &stamp, err);
	if (rc == ERR_OK)
		*ret_stamp = stamp.hash;
	return rc;
}
