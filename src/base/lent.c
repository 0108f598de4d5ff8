/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN
 *
 * The file is mapped over a reserved area. Copies are made in a second one, a huge page at a time,
 * and moved over the mapping (mremap); the system keeps who touches the page meanwhile waiting,
 * and what he then finds are the same bytes. Each part of the second area is used once: where
 * it was, others may map since.
 *
 * When somebody opens the file to write or truncate it, the system has him wait, and sends us a
 * signal: SIGURG, which nobody hears unless he asked for it. The watcher asks what became of the
 * lease instead. It is as quick as other threads; who settles is not, and leaves it to the
 * watcher then. After /proc/sys/fs/lease-break-time, 45 s, the system would let the other go on;
 * BYTES_MAX is copied in a quarter of that where huge pages are slow.
 *
 * INVARIANTS
 *
 * 1. What is lent is read only: nothing is written between the copy and its move.
 * 2. The lease is held until the last page is copied or unmapped.
 * 3. Fetched pages stay (mlock): a disk that fails later is not asked again.
 *
 * NOT DONE
 *
 * A process that is stopped (SIGSTOP) for longer than the system waits, while somebody truncates
 * what it was just loading, loses its lease; so does one that is slower than a much shorter wait.
 */
#include "base/lent.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>
#include "base/checked.h"
#include "base/clock.h"
#include "base/pages.h"

#define PAGE_BYTES ((size_t)4096)
#define BYTES_MIN ((size_t)8 << 20) /* what is less is read as quickly */
#define BYTES_MAX ((size_t)4 << 30)
#define MISSING_PART 16 /* the cache may lack one page of so many */
#define WATCH_MS 20
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14 */
#endif

struct lent {
	struct lent *next;
	int fd;		   /* the lease's; -1: none */
	char *at, *copies; /* on huge pages both */
	size_t bytes, room;
	size_t copied;
	bool fetched;
	atomic_bool unwanted;
};

static struct {
	pthread_mutex_t lock; /* held while a huge page is copied, at most */
	pthread_cond_t some;
	struct lent *first;   /* that have a lease */
	bool watched, held;
} all = { .lock = PTHREAD_MUTEX_INITIALIZER, .some = PTHREAD_COND_INITIALIZER };

/* -- the lease --------------------------------------------------------------------------------- */

/* Whoever changes a file there does it through this system, which asks for leases. */
static bool is_local(int fd)
{
	static const unsigned magic[] = { EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC,
		TMPFS_MAGIC };
	struct statfs s;
	bool local = false;
	if (fstatfs(fd, &s) != 0)
		return false;
	for (size_t i = 0; i < sizeof(magic) / sizeof(magic[0]); i++)
		local |= (unsigned)s.f_type == magic[i];
	return local;
}

static bool take_lease(struct lent *l, int fd)
{
	struct stat st;
	l->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return l->fd >= 0 && fcntl(l->fd, F_SETSIG, SIGURG) == 0 &&
	       fcntl(l->fd, F_SETLEASE, F_RDLCK) == 0 &&
	       fstat(l->fd, &st) == 0 && (uintmax_t)st.st_size >= l->bytes;
}

/* The descriptor alone would not do: the caller's has the same lease. */
static void give_up_lease(struct lent *l)
{
	if (l->fd < 0)
		return;
	(void)fcntl(l->fd, F_SETLEASE, F_UNLCK);
	close(l->fd);
	l->fd = -1;
}

static bool is_wanted_back(const struct lent *l)
{
	return fcntl(l->fd, F_GETLEASE) != F_RDLCK;
}

static bool is_left_to_us(const struct lent *l)
{
	return !is_wanted_back(l);
}

/* -- copying, all under the lock --------------------------------------------------------------- */

static void unlist(struct lent *l)
{
	for (struct lent **at = &all.first; *at; at = &(*at)->next)
		if (*at == l) {
			*at = l->next;
			return;
		}
}

static bool copy_part(struct lent *l)
{
	size_t rest = l->bytes - l->copied, n = rest < HUGE_BYTES ? rest : HUGE_BYTES;
	char *from = l->at + l->copied, *to = l->copies + l->copied;
	memcpy(to, from, n);
	if (mremap(to, n, n, MREMAP_MAYMOVE | MREMAP_FIXED, from) == MAP_FAILED)
		return false;
	l->copied += n;
	if (l->copied == l->bytes) {
		unlist(l);
		give_up_lease(l);
	}
	return true;
}

/* A part of the first of those; false: there is none, or it did not work for now. */
static bool copy_some(bool (*is_one)(const struct lent *l))
{
	pthread_mutex_lock(&all.lock);
	struct lent *l = all.held ? NULL : all.first;
	while (l && !(l->fetched && !atomic_load(&l->unwanted) && is_one(l)))
		l = l->next;
	bool copied = l && copy_part(l);
	pthread_mutex_unlock(&all.lock);
	return copied;
}

/* What somebody waits for is the watcher's. */
void lent_settle(void)
{
	while (copy_some(is_left_to_us))
		;
}

void lent_hold(bool held)
{
	pthread_mutex_lock(&all.lock);
	all.held = held;
	pthread_mutex_unlock(&all.lock);
}

/* -- the watcher ------------------------------------------------------------------------------- */

static void wait_for_some(void)
{
	pthread_mutex_lock(&all.lock);
	while (!all.first)
		pthread_cond_wait(&all.some, &all.lock);
	pthread_mutex_unlock(&all.lock);
}

static void *watch(void *ctx)
{
	const struct timespec pause = { .tv_nsec = WATCH_MS * NS_PER_MS };
	(void)ctx;
	for (;;) {
		wait_for_some();
		while (copy_some(is_wanted_back))
			;
		nanosleep(&pause, NULL);
	}
	return NULL;
}

/* Signals are other threads'. */
static bool start_thread(void)
{
	pthread_t thread;
	sigset_t every, before;
	sigfillset(&every);
	pthread_sigmask(SIG_SETMASK, &every, &before);
	bool started = pthread_create(&thread, NULL, watch, NULL) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (started) {
		pthread_setname_np(thread, "lent");
		pthread_detach(thread);
	}
	return started;
}

bool lent_watch(void)
{
	pthread_mutex_lock(&all.lock);
	if (!all.watched)
		all.watched = start_thread();
	bool watched = all.watched;
	pthread_mutex_unlock(&all.lock);
	return watched;
}

static void list(struct lent *l)
{
	pthread_mutex_lock(&all.lock);
	l->next = all.first;
	all.first = l;
	pthread_cond_signal(&all.some);
	pthread_mutex_unlock(&all.lock);
}

/* -- mapping ----------------------------------------------------------------------------------- */

/* One page of each huge one is looked at. */
static bool is_cached(const struct lent *l)
{
	size_t missing = 0, looked = 0;
	for (size_t at = 0; at < l->bytes; at += HUGE_BYTES, looked++) {
		unsigned char there;
		if (mincore(l->at + at, PAGE_BYTES, &there) != 0)
			return false;
		missing += !(there & 1);
	}
	return missing <= looked / MISSING_PART;
}

static bool map_file(struct lent *l)
{
	l->at = pages_reserve(l->room);
	l->copies = pages_reserve(l->bytes);
	if (!l->at || !l->copies)
		return false;
	(void)madvise(l->copies, l->bytes, MADV_HUGEPAGE);
	return mmap(l->at, l->bytes, PROT_READ, MAP_PRIVATE | MAP_FIXED, l->fd, 0) != MAP_FAILED &&
	       is_cached(l) && mlock2(l->at, l->bytes, MLOCK_ONFAULT) == 0;
}

struct lent *lent_map(int fd, size_t bytes, size_t room)
{
	/* Of nothing: does the system know the call? */
	if (bytes < BYTES_MIN || bytes > BYTES_MAX || room < bytes || !is_local(fd) ||
		madvise(NULL, 0, MADV_POPULATE_READ) != 0)
		return NULL;
	struct lent *l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	l->fd = -1;
	l->bytes = bytes;
	l->room = round_up(room, PAGE_BYTES);
	if (!lent_watch() || !take_lease(l, fd) || !map_file(l)) {
		lent_free(l);
		return NULL;
	}
	list(l);
	return l;
}

char *lent_at(const struct lent *l)
{
	return l->at;
}

bool lent_fetch(const struct lent *l, size_t offset, size_t bytes)
{
	size_t begin = offset & ~(PAGE_BYTES - 1), end = round_up(offset + bytes, PAGE_BYTES);
	end = end < l->bytes ? end : l->bytes;
	return begin >= end || madvise(l->at + begin, end - begin, MADV_POPULATE_READ) == 0;
}

void lent_fetched(struct lent *l)
{
	pthread_mutex_lock(&all.lock);
	l->fetched = true;
	pthread_mutex_unlock(&all.lock);
}

void lent_free(struct lent *l)
{
	if (!l)
		return;
	atomic_store(&l->unwanted, true); /* who copies lets us in soon */
	pthread_mutex_lock(&all.lock);
	unlist(l);
	pthread_mutex_unlock(&all.lock);
	if (l->at)
		munmap(l->at, l->room);
	if (l->copies && l->copied < l->bytes)
		munmap(l->copies + l->copied, l->bytes - l->copied);
	give_up_lease(l);
	free(l);
}
