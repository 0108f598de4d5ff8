/* SPDX-License-Identifier: Apache-2.0 */
/*
 * INVARIANTS
 * 1. A region's name, descriptor, offset and size never change; offset + bytes <= INT64_MAX.
 * 2. A window was checked against its region when it was read or held, so that sums of
 *    offsets do not overflow afterwards. Only the object's size is asked for again.
 */
#include "server/regions.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"
#include "base/utf8.h"

struct region {
	atomic_int refs; /* one is the registry's */
	int fd;
	struct region_spec spec; /* texts lie behind */
	char text[];             /* name, NUL, key without its '/', NUL */
};

struct regions {
	int dirfd;
	pthread_mutex_t lock; /* of what follows */
	struct region *at[REGIONS_MAX]; /* by name */
	int n;
};

static enum err_code refuse(struct err *err)
{
	return err_set(err, ERR_PERMISSION_DENIED,
		"shared memory is not allowed by the configuration: [server] shared_memory");
}

static enum err_code unknown(struct slice name, struct err *err)
{
	return err_set(
		err, ERR_NOT_FOUND, "there is no shared memory region '%.*s'", SLICE_ARG(name));
}

/* --- one region --- */

static void release(void *region)
{
	struct region *r = region;
	if (atomic_fetch_sub(&r->refs, 1) > 1)
		return;
	close(r->fd);
	free(r);
}

/* The name of a file in the one directory where such objects are. Semaphores are there too:
   they are nobody's tensors. */
static bool is_key(struct slice key)
{
	return key.len > 0 && key.ptr[0] != '.' && !memchr(key.ptr, '/', key.len) &&
	       !(key.len > 3 && memcmp(key.ptr, "sem.", 4) == 0);
}

static enum err_code check_spec(const struct region_spec *s, struct slice key, struct err *err)
{
	TRY(utf8_check_name(s->name, REGION_NAME_MAX_BYTES, "the name of a region", err));
	if (!is_key(key))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"region '%.*s': a key is a '/' and a name without another one, which "
			"begins neither with '.' nor with 'sem.'",
			SLICE_ARG(s->name));
	TRY(utf8_check_name(key, REGION_NAME_MAX_BYTES, "the key of a region", err));
	if (s->bytes == 0 || s->offset > INT64_MAX || s->bytes > INT64_MAX - s->offset)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"region '%.*s': no object has %ju bytes at offset %ju", SLICE_ARG(s->name),
			(uintmax_t)s->bytes, (uintmax_t)s->offset);
	return ERR_OK;
}

/* Is [offset, offset + bytes) of the region in the object, as it is now? */
static enum err_code check_object(
	const struct region *r, uint64_t offset, uint64_t bytes, struct err *err)
{
	size_t size;
	TRY(file_check_regular(r->fd, r->spec.key.ptr, SIZE_MAX, &size, err));
	uint64_t end = r->spec.offset + offset + bytes;
	if (end > size)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"region '%s' needs %ju bytes of its object, which has %zu", r->text,
			(uintmax_t)end, size);
	return ERR_OK;
}

static struct region *new_region(const struct region_spec *s, struct slice key)
{
	struct region *r = malloc(sizeof(*r) + s->name.len + key.len + 2);
	if (!r)
		return NULL;
	*r = (struct region){ .refs = 1, .fd = -1, .spec = *s };
	char *to = r->text + s->name.len + 1;
	memcpy(r->text, s->name.ptr, s->name.len);
	memcpy(to, key.ptr, key.len);
	to[-1] = to[key.len] = '\0';
	r->spec.name.ptr = r->text;
	r->spec.key = (struct slice){ to, key.len };
	return r;
}

/* By the rules of all files that others name: no links, no waiting for a FIFO or a lease. */
static enum err_code open_region(
	struct regions *all, const struct region_spec *s, struct region **ret, struct err *err)
{
	struct slice key = s->key;
	if (key.len && key.ptr[0] == '/')
		key = (struct slice){ key.ptr + 1, key.len - 1 };
	TRY(check_spec(s, key, err));
	struct region *r = new_region(s, key);
	if (!r)
		return err_oom(err);
	enum err_code rc = file_open_beneath(all->dirfd, r->spec.key.ptr, O_RDWR, &r->fd, err);
	if (rc != ERR_OK) {
		free(r);
		return err_prefix(err, "region '%.*s'", SLICE_ARG(s->name));
	}
	rc = check_object(r, 0, s->bytes, err);
	if (rc != ERR_OK)
		release(r);
	else
		*ret = r;
	return rc;
}

/* --- all of them --- */

enum err_code regions_new(const char *dir, struct regions **ret, struct err *err)
{
	struct regions *all = calloc(1, sizeof(*all));
	if (!all)
		return err_oom(err);
	all->dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (all->dirfd < 0) {
		free(all);
		return file_err(err, errno, dir);
	}
	pthread_mutex_init(&all->lock, NULL);
	*ret = all;
	return ERR_OK;
}

void regions_free(struct regions *all)
{
	if (!all)
		return;
	regions_unregister(all, SLICE_LIT(""));
	pthread_mutex_destroy(&all->lock);
	close(all->dirfd);
	free(all);
}

static int compare(struct slice a, struct slice b)
{
	int c = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
	return c ? c : (a.len > b.len) - (a.len < b.len);
}

/* Where it is, or would be. */
static int find(const struct regions *all, struct slice name, bool *ret_found)
{
	int low = 0, high = all->n;
	*ret_found = false;
	while (low < high) {
		int mid = (low + high) / 2;
		int c = compare(all->at[mid]->spec.name, name);
		if (c == 0) {
			*ret_found = true;
			return mid;
		}
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Under the lock. */
static enum err_code insert(struct regions *all, struct region *r, struct err *err)
{
	bool is_there;
	int i = find(all, r->spec.name, &is_there);
	if (is_there)
		return err_set(err, ERR_ALREADY_EXISTS,
			"shared memory region '%s' is already registered", r->text);
	if (all->n == REGIONS_MAX)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			"there are %d shared memory regions already, which is the limit",
			REGIONS_MAX);
	memmove(all->at + i + 1, all->at + i, (size_t)(all->n++ - i) * sizeof(all->at[0]));
	all->at[i] = r;
	return ERR_OK;
}

enum err_code regions_register(
	struct regions *all, const struct region_spec *spec, struct err *err)
{
	struct region *r;
	if (!all)
		return refuse(err);
	TRY(open_region(all, spec, &r, err));
	pthread_mutex_lock(&all->lock);
	enum err_code rc = insert(all, r, err);
	pthread_mutex_unlock(&all->lock);
	if (rc != ERR_OK)
		release(r);
	return rc;
}

void regions_unregister(struct regions *all, struct slice name)
{
	struct region *gone[REGIONS_MAX];
	bool is_there;
	if (!all)
		return;
	pthread_mutex_lock(&all->lock);
	int i = name.len ? find(all, name, &is_there) : 0;
	int n = name.len ? is_there : all->n;
	memcpy(gone, all->at + i, (size_t)n * sizeof(all->at[0]));
	all->n -= n;
	memmove(all->at + i, all->at + i + n, (size_t)(all->n - i) * sizeof(all->at[0]));
	pthread_mutex_unlock(&all->lock);
	/* The last close of an object frees all of it, which may take a while. */
	for (int k = 0; k < n; k++)
		release(gone[k]);
}

static bool copy_spec(struct region_spec *to, const struct region_spec *from, struct arena *arena)
{
	*to = *from;
	to->name.ptr = arena_strndup(arena, from->name.ptr, from->name.len);
	to->key.ptr = arena_printf(arena, "/%s", from->key.ptr);
	to->key.len++;
	return to->name.ptr && to->key.ptr;
}

/* Under the lock. */
static enum err_code list(struct regions *all, struct slice name, struct arena *arena,
	struct region_spec **ret, int *ret_n, struct err *err)
{
	bool is_there;
	int i = name.len ? find(all, name, &is_there) : 0;
	int n = name.len ? is_there : all->n;
	if (name.len && !is_there)
		return unknown(name, err);
	*ret = ARENA_ARRAY(arena, struct region_spec, (size_t)n + 1);
	*ret_n = n;
	for (int k = 0; *ret && k < n; k++)
		if (!copy_spec(*ret + k, &all->at[i + k]->spec, arena))
			return err_oom(err);
	return *ret ? ERR_OK : err_oom(err);
}

enum err_code regions_list(struct regions *all, struct slice name, struct arena *arena,
	struct region_spec **ret, int *ret_n, struct err *err)
{
	*ret = NULL;
	*ret_n = 0;
	if (!all)
		return name.len ? unknown(name, err) : ERR_OK;
	pthread_mutex_lock(&all->lock);
	enum err_code rc = list(all, name, arena, ret, ret_n, err);
	pthread_mutex_unlock(&all->lock);
	return rc;
}

/* --- a request's --- */

static enum err_code check_window(
	const struct region *r, const struct region_window *w, struct err *err)
{
	if (w->offset <= r->spec.bytes && w->bytes <= r->spec.bytes - w->offset)
		return ERR_OK;
	return err_set(err, ERR_INVALID_ARGUMENT,
		"shared_memory_byte_size %ju at shared_memory_offset %ju: region '%s' has %ju "
		"bytes",
		(uintmax_t)w->bytes, (uintmax_t)w->offset, r->text, (uintmax_t)r->spec.bytes);
}

/* With a reference. */
static enum err_code acquire(struct regions *all, const struct region_window *w,
	struct region **ret, struct err *err)
{
	bool is_there;
	if (!all)
		return refuse(err);
	pthread_mutex_lock(&all->lock);
	int i = find(all, w->region, &is_there);
	struct region *r = is_there ? all->at[i] : NULL;
	if (r)
		atomic_fetch_add(&r->refs, 1);
	pthread_mutex_unlock(&all->lock);
	if (!r)
		return unknown(w->region, err);
	enum err_code rc = check_window(r, w, err);
	if (rc != ERR_OK)
		release(r);
	else
		*ret = r;
	return rc;
}

static enum err_code read_window(struct region *r, const struct region_window *w,
	struct arena *arena, struct slice *ret, struct err *err)
{
	size_t n = (size_t)w->bytes;
	char *to = arena_alloc_aligned(arena, n ? n : 1, ARENA_ALIGN_TENSOR);
	if (!to)
		return err_oom(err);
	if (file_read_at(r->fd, r->spec.key.ptr, r->spec.offset + w->offset, to, n, err) != ERR_OK)
		return err_prefix(err, "region '%s'", r->text);
	*ret = (struct slice){ to, n };
	return ERR_OK;
}

enum err_code regions_read(struct regions *all, const struct region_window *w, struct arena *arena,
	struct slice *ret, struct err *err)
{
	struct region *r;
	TRY(acquire(all, w, &r, err));
	enum err_code rc = read_window(r, w, arena, ret, err);
	release(r);
	return rc;
}

enum err_code regions_hold(struct regions *all, const struct region_window *w, struct arena *arena,
	struct region **ret, struct err *err)
{
	struct region *r;
	TRY(acquire(all, w, &r, err));
	enum err_code rc = arena_defer(arena, release, r);
	if (rc != ERR_OK) {
		release(r);
		return err_oom(err);
	}
	*ret = r;
	return ERR_OK;
}

enum err_code region_write(struct region *r, const struct region_window *w, struct slice bytes,
	struct err *err)
{
	if (bytes.len > w->bytes)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"%zu bytes do not fit into shared_memory_byte_size %ju of region '%s'",
			bytes.len, (uintmax_t)w->bytes, r->text);
	/* A write behind the end would make the object longer. One that is cut short after
	   this grows again, by what its client has asked for. */
	TRY(check_object(r, w->offset, bytes.len, err));
	uint64_t at = r->spec.offset + w->offset;
	for (size_t done = 0; done < bytes.len;) {
		ssize_t n = pwrite(r->fd, bytes.ptr + done, bytes.len - done, (off_t)(at + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			file_err(err, n ? errno : EIO, r->spec.key.ptr);
			return err_prefix(err, "region '%s'", r->text);
		}
		done += (size_t)n;
	}
	return ERR_OK;
}
