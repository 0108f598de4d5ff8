/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/repo/watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>
#include "base/hash.h"

#define MOVED_MAX 256
#define READS_MAX 64 /* of 60 to 1,000 events each */
#define EVENTS (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE | IN_MODIFY | \
		IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

/* One watch. The kernel numbers them upwards, so the array stays sorted by itself. */
struct spot {
	int wd;
	char *path;
	bool used; /* by the latest scan */
};

struct watch {
	int fd;
	struct spot *spot;
	int n, cap;
	uint64_t moved[MOVED_MAX]; /* hashes of paths; beyond that many the settle rule does */
	int n_moved;
	const char *trouble;
	bool told_overflow, told_limit;
};

enum err_code watch_new(struct watch **ret, struct err *err)
{
	struct watch *w = calloc(1, sizeof(*w));
	if (!w)
		return err_oom(err);
	w->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (w->fd < 0)
		w->trouble = "inotify cannot be used; the model repository is polled";
	*ret = w;
	return ERR_OK;
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	if (w->fd >= 0)
		close(w->fd);
	for (int i = 0; i < w->n; i++)
		free(w->spot[i].path);
	free(w->spot);
	free(w);
}

int watch_fd(const struct watch *w)
{
	return w->fd;
}

const char *watch_trouble(struct watch *w)
{
	const char *t = w->trouble;
	w->trouble = NULL;
	return t;
}

/* Index of the first spot whose number is not below wd. */
static int place_of(const struct watch *w, int wd)
{
	int low = 0, high = w->n;
	while (low < high) {
		int mid = low + (high - low) / 2;
		if (w->spot[mid].wd < wd)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct spot *find_spot(struct watch *w, int wd)
{
	int i = place_of(w, wd);
	return i < w->n && w->spot[i].wd == wd ? &w->spot[i] : NULL;
}

/* -- events ---------------------------------------------------------------------------------- */

static void note_moved(struct watch *w, const struct inotify_event *e)
{
	char path[4096];
	const struct spot *s = find_spot(w, e->wd);
	if (!s || w->n_moved == MOVED_MAX ||
		snprintf(path, sizeof(path), "%s/%s", s->path, e->name) >= (int)sizeof(path))
		return;
	w->moved[w->n_moved++] = hash_slice(slice_of(path), 0);
}

static void take_event(struct watch *w, const struct inotify_event *e)
{
	if (e->mask & IN_Q_OVERFLOW) {
		if (!w->told_overflow)
			w->trouble = "inotify events were lost; the whole repository is scanned";
		w->told_overflow = true;
	}
	if ((e->mask & (IN_MOVED_TO | IN_ISDIR)) == (IN_MOVED_TO | IN_ISDIR))
		note_moved(w, e);
	struct spot *s = e->mask & IN_IGNORED ? find_spot(w, e->wd) : NULL;
	if (s) { /* the kernel has dropped it: the directory is gone */
		free(s->path);
		memmove(s, s + 1, (size_t)(&w->spot[w->n] - (s + 1)) * sizeof(*s));
		w->n--;
	}
}

bool watch_read(struct watch *w)
{
	_Alignas(struct inotify_event) char buf[16384];
	bool any = false;
	/* Bounded: a writer without end must not keep us from scanning. The rest is read later. */
	for (int i = 0; i < READS_MAX && w->fd >= 0; i++) {
		ssize_t n = read(w->fd, buf, sizeof(buf));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		any = true;
		for (ssize_t at = 0; at < n;) {
			const struct inotify_event *e = (const struct inotify_event *)(buf + at);
			take_event(w, e);
			at += (ssize_t)(sizeof(*e) + e->len);
		}
	}
	return any;
}

static bool is_moved(const struct watch *w, struct slice path)
{
	uint64_t hash = hash_slice(path, 0);
	for (int i = 0; i < w->n_moved; i++)
		if (w->moved[i] == hash)
			return true;
	return false;
}

bool watch_moved_in(const struct watch *w, const char *dir)
{
	const char *slash = strrchr(dir, '/');
	if (!w->n_moved)
		return false;
	return is_moved(w, slice_of(dir)) ||
	       (slash && is_moved(w, (struct slice){ dir, (size_t)(slash - dir) }));
}

/* -- following the scan ---------------------------------------------------------------------- */

static bool add_spot(struct watch *w, int wd, const char *path)
{
	if (w->n == w->cap) {
		int cap = w->cap ? w->cap * 2 : 64;
		struct spot *grown = realloc(w->spot, (size_t)cap * sizeof(*grown));
		if (!grown)
			return false;
		w->spot = grown;
		w->cap = cap;
	}
	char *copy = strdup(path);
	if (!copy)
		return false;
	int at = place_of(w, wd);
	memmove(&w->spot[at + 1], &w->spot[at], (size_t)(w->n - at) * sizeof(*w->spot));
	w->spot[at] = (struct spot){ .wd = wd, .path = copy, .used = true };
	w->n++;
	return true;
}

/* true: it is new. The kernel gives the number it gave before for a directory that is watched
   already. */
static bool follow(struct watch *w, const char *path)
{
	int wd = inotify_add_watch(w->fd, path, EVENTS);
	if (wd < 0) {
		if (errno == ENOSPC && !w->told_limit) {
			w->trouble = "no inotify watches are left (fs.inotify.max_user_watches); "
				     "part of the model repository is polled";
			w->told_limit = true;
		}
		return false;
	}
	struct spot *s = find_spot(w, wd);
	if (!s) {
		bool added = add_spot(w, wd, path);
		if (!added)
			inotify_rm_watch(w->fd, wd);
		return added;
	}
	s->used = true;
	if (strcmp(s->path, path) != 0) { /* renamed: it has another name now */
		char *copy = strdup(path);
		if (copy) {
			free(s->path);
			s->path = copy;
		}
	}
	return false;
}

static void drop_unused(struct watch *w)
{
	int n = 0;
	for (int i = 0; i < w->n; i++) {
		if (w->spot[i].used) {
			w->spot[n++] = w->spot[i];
			continue;
		}
		inotify_rm_watch(w->fd, w->spot[i].wd);
		free(w->spot[i].path);
	}
	w->n = n;
}

bool watch_follow(struct watch *w, const char *const *roots, const struct scan *scan)
{
	bool news = false;
	w->n_moved = 0;
	if (w->fd < 0)
		return false;
	for (int i = 0; i < w->n; i++)
		w->spot[i].used = false;
	for (int i = 0; roots && roots[i]; i++)
		news |= follow(w, roots[i]);
	for (int i = 0; i < scan->n_model; i++) {
		const struct scan_model *m = &scan->model[i];
		news |= follow(w, m->dir);
		for (int k = 0; k < m->n_version; k++)
			news |= follow(w, m->version[k].dir);
	}
	for (const struct scan_dir *d = scan->empty; d; d = d->next)
		news |= follow(w, d->path);
	drop_unused(w);
	return news;
}
