/* SPDX-License-Identifier: Apache-2.0 */
/* Directories entry by entry, within what one scan may read; and what is said of it all. */
#include "loader/repo/scanner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/hash.h"

/* Of all remarks: a heap of strays must not hide that something could not be looked at. */
#define SERIOUS_ROOM 32

static void PRINTF_LIKE(3, 0) remark(struct scanner *s, bool serious, const char *fmt, va_list ap)
{
	char text[600];
	if (s->out->n_remark >= SCAN_REMARKS_MAX - (serious ? 0 : SERIOUS_ROOM))
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	const char *copy = arena_strdup(s->arena, text);
	if (!copy) {
		s->oom = true;
		return;
	}
	s->out->remark[s->out->n_remark++] = (struct scan_remark){
		.text = copy, .serious = serious, .hash = hash_slice(slice_of(copy), 0)
	};
}

void scanner_remark(struct scanner *s, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	remark(s, false, fmt, ap);
	va_end(ap);
}

void scanner_complain(struct scanner *s, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	remark(s, true, fmt, ap);
	va_end(ap);
}

const struct dirent *scanner_next(struct scanner *s, struct scanner_list *l)
{
	/* Hidden ones ("..data", ".snapshot", ".2.tmp") are nobody's models and not
	   worth a word. */
	const struct dirent *e;
	do {
		errno = 0;
		l->cut = s->budget <= 0;
		e = l->cut ? NULL : readdir(l->dir);
		l->errnum = errno;
		if (!e)
			return NULL;
		s->budget--;
		if (++l->n > s->most) {
			s->most = l->n;
			s->most_path = l->path;
		}
	} while (e->d_name[0] == '.');
	return e;
}

bool scanner_is_dir(const struct scanner_list *l, const struct dirent *e)
{
	struct stat st;
	if (e->d_type == DT_DIR)
		return true;
	if (e->d_type != DT_LNK && e->d_type != DT_UNKNOWN)
		return false;
	return fstatat(dirfd(l->dir), e->d_name, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

bool scanner_complain_of_end(struct scanner *s, const struct scanner_list *l)
{
	if (l->errnum)
		scanner_complain(s, "%s: %s", l->path, strerror(l->errnum));
	s->cut |= l->cut;
	return l->errnum || l->cut;
}

void scanner_complain_of_cut(struct scanner *s)
{
	if (!s->cut)
		return;
	scanner_complain(s,
		"the scan has stopped after %lld directory entries ([repository] entries_max), "
		"most of them, %ld, in %s; what was not looked at stays as it is",
		(long long)s->conf->entries_max, s->most, s->most_path);
}
