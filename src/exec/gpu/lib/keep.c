/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/gpu/lib/keep.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
#include "base/hash.h"

/* Before the data and the key. The hash may change from build to build: then all is made again. */
struct header {
	char magic[8];
	uint64_t key_bytes, data_bytes, check;
};
#define MAGIC "SIGKEPT1"

static uint64_t check_of(struct slice key, struct slice data)
{
	return hash_slice(data, hash_slice(key, 1));
}

static void name_of(struct slice key, char *ret, size_t size)
{
	snprintf(ret, size, "%016" PRIx64, hash_slice(key, 0));
}

/* -1: it is not there, and cannot be made. */
static int open_folder(int state)
{
	if (state < 0)
		return -1;
	(void)mkdirat(state, KEEP_FOLDER, 0755);
	return openat(state, KEEP_FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static bool is_whole(struct slice file, struct slice key, struct slice *ret_data)
{
	struct header h;
	if (file.len < sizeof(h))
		return false;
	memcpy(&h, file.ptr, sizeof(h));
	size_t rest = file.len - sizeof(h);
	if (memcmp(h.magic, MAGIC, sizeof(h.magic)) != 0 || h.key_bytes != key.len ||
		rest < key.len || h.data_bytes != rest - key.len ||
		memcmp(file.ptr + file.len - key.len, key.ptr, key.len) != 0)
		return false;
	*ret_data = (struct slice){ file.ptr + sizeof(h), rest - key.len };
	return h.check == check_of(key, *ret_data);
}

bool keep_find(int state, struct slice key, struct arena *arena, struct slice *ret)
{
	char name[24];
	struct slice file;
	int folder = open_folder(state);
	if (folder < 0)
		return false;
	name_of(key, name, sizeof(name));
	bool found = file_read(folder, name, KEEP_ENTRY_BYTES_MAX, arena, &file, NULL) == ERR_OK &&
		     is_whole(file, key, ret);
	if (found)
		(void)utimensat(folder, name, NULL, 0);
	close(folder);
	return found;
}

void keep_put(int state, struct slice key, struct slice data, struct arena *arena)
{
	char name[24];
	struct header h = { .magic = MAGIC,
		.key_bytes = key.len,
		.data_bytes = data.len,
		.check = check_of(key, data) };
	size_t bytes = sizeof(h) + key.len + data.len;
	char *file = bytes <= KEEP_ENTRY_BYTES_MAX ? arena_alloc(arena, bytes) : NULL;
	int folder = file ? open_folder(state) : -1;
	if (folder < 0)
		return;
	memcpy(file, &h, sizeof(h));
	memcpy(file + sizeof(h), data.ptr, data.len);
	memcpy(file + sizeof(h) + data.len, key.ptr, key.len);
	keep_prune(state, KEEP_FILES_MAX - 1, KEEP_BYTES_MAX - bytes, arena);
	name_of(key, name, sizeof(name));
	(void)!file_write_atomic(folder, name, file, bytes, 0644, NULL);
	close(folder);
}

/* -- room ------------------------------------------------------------------------------------ */

struct entry {
	struct entry *next;
	const char *name;
	struct timespec used;
	uint64_t bytes;
};

static int by_use(const void *a, const void *b)
{
	const struct timespec *x = &(*(struct entry *const *)a)->used,
			      *y = &(*(struct entry *const *)b)->used;
	if (x->tv_sec != y->tv_sec)
		return x->tv_sec < y->tv_sec ? -1 : 1;
	return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

/* The folder's files, as far as there is memory for them. */
static struct entry *list(DIR *dir, struct arena *arena, size_t *ret_n)
{
	struct entry *first = NULL;
	struct dirent *d;
	for (*ret_n = 0; (d = readdir(dir));) {
		struct stat st;
		struct entry *e;
		if (fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
			!S_ISREG(st.st_mode))
			continue;
		e = ARENA_NEW(arena, struct entry);
		if (!e || !(e->name = arena_strndup(arena, d->d_name, strlen(d->d_name))))
			break;
		e->used = st.st_mtim;
		e->bytes = (uint64_t)st.st_size;
		e->next = first;
		first = e;
		++*ret_n;
	}
	return first;
}

void keep_prune(int state, size_t files_max, uint64_t bytes_max, struct arena *arena)
{
	DIR *dir = state < 0 ? NULL : file_open_dir(state, KEEP_FOLDER, O_NOFOLLOW);
	size_t n = 0, i = 0;
	uint64_t bytes = 0;
	if (!dir)
		return;
	struct entry *first = list(dir, arena, &n),
		     **all = ARENA_ARRAY(arena, struct entry *, n + 1);
	for (struct entry *e = first; e && all; e = e->next) {
		all[i++] = e;
		bytes += e->bytes;
	}
	if (all)
		qsort(all, i, sizeof(all[0]), by_use);
	for (size_t k = 0; k < i && (n > files_max || bytes > bytes_max); k++, n--) {
		(void)unlinkat(dirfd(dir), all[k]->name, 0);
		bytes -= all[k]->bytes;
	}
	closedir(dir);
}
