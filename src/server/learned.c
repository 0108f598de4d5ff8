/* SPDX-License-Identifier: Apache-2.0 */
#include "server/learned.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"
#include "exec/module.h"
#include "server/notify.h"

#define FILE_NAME "kernels"
#define FILE_BYTES_MAX ((size_t)CHOICES_MAX * (CHOICE_KEY_MAX + CHOICE_NAME_MAX + 2))
#define MACHINE_MAX 256

struct learned {
	struct choices *choices;
	uint64_t saved; /* choices_count() of what the file holds */
	int dirfd;	/* -1: no directory */
	char machine[MACHINE_MAX];
};

/* The server starts all the same when the file is missing or cannot be read. */
static void read_file(struct learned *l)
{
	struct slice text;
	struct arena *arena = arena_new(1 << 16, 0);
	if (arena && file_read(l->dirfd, FILE_NAME, FILE_BYTES_MAX, arena, &text, NULL) == ERR_OK &&
		choices_read(l->choices, l->machine, text))
		l->saved = choices_count(l->choices);
	arena_free(arena);
}

enum err_code learned_open(
	const char *dir, const struct backend *backend, struct learned **ret, struct err *err)
{
	struct learned *l = calloc(1, sizeof(*l));
	char path[4096] = "";
	if (!l || !(l->choices = choices_new())) {
		free(l);
		return err_oom(err);
	}
	l->dirfd = -1;
	backend->machine(l->machine, sizeof(l->machine));
	if (!*dir && notify_state_dir(path, sizeof(path)))
		dir = path;
	if (*dir) {
		l->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (l->dirfd < 0) {
			(void)file_err(err, errno, dir);
			learned_close(l);
			return err_prefix(err, "state_dir");
		}
		read_file(l);
		backend_keep_in(l->dirfd);
	}
	*ret = l;
	return ERR_OK;
}

void learned_close(struct learned *l)
{
	if (!l)
		return;
	choices_free(l->choices);
	backend_keep_in(-1);
	if (l->dirfd >= 0)
		close(l->dirfd);
	free(l);
}

struct choices *learned_choices(struct learned *l)
{
	return l->choices;
}

enum err_code learned_save(struct learned *l, struct err *err)
{
	uint64_t count = choices_count(l->choices);
	struct slice text;
	if (l->dirfd < 0 || count == l->saved)
		return ERR_OK;
	struct arena *arena = arena_new(1 << 16, 0);
	if (!arena)
		return err_oom(err);
	struct buf b = buf_of(arena, 0);
	choices_write(l->choices, l->machine, &b);
	enum err_code rc = buf_finish(&b, &text, err);
	if (rc == ERR_OK)
		rc = file_write_atomic(l->dirfd, FILE_NAME, text.ptr, text.len, 0644, err);
	if (rc == ERR_OK)
		l->saved = count;
	arena_free(arena);
	return rc;
}
