/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lent.h -- a file's own pages as memory, until there is time to copy them
 *
 * To read a large file is to copy it, and fresh memory is most of what that costs (huge.h). Its
 * pages in the system's cache are memory already, but not one's own: a mapping follows every write
 * to the file, and raises SIGBUS when it is truncated. So pages are lent only as long as a read
 * lease (fcntl(2), F_SETLEASE) keeps others from opening the file to change it; who does waits
 * until all is copied, which begins at once then, else with lent_settle(). The copy takes the
 * place of the mapping: no pointer changes.
 *
 * Replacing or removing the file by its name concerns nobody here.
 *
 * Ownership: lent_map() returns owned; the caller's descriptor stays the caller's.
 * Threads:   any; lent_free() when nobody reads there. While something is lent, a thread of this
 *            file looks every 20 ms whether it is wanted back.
 * Memory:    none but addresses until it is copied.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct lent;

/* Starts that thread, as quick as the caller: for who lends on slow ones. False: there is none. */
bool lent_watch(void);

/* room bytes, from where a huge page may begin on: the first `bytes` of the file, whole pages,
   to be read only, then zeros that may be written. NULL: they cannot be lent, read the file;
   too few or too many bytes, not in the cache, a file system, an owner, a limit of locked memory
   or another descriptor in the way. */
struct lent *lent_map(int fd, size_t bytes, size_t room);
char *lent_at(const struct lent *l);

/* Gets the pages there that bytes from offset on are in, as far as they are lent. Before they are
   touched: false is an error of the disk's, which would be a SIGBUS. */
bool lent_fetch(const struct lent *l, size_t offset, size_t bytes);

/* All that is lent was fetched: it may be copied from now on. */
void lent_fetched(struct lent *l);

/* Copies whatever is lent and nobody waits for yet, and gives the leases up. */
void lent_settle(void);

void lent_free(struct lent *l); /* NULL is fine */

/* Nothing is copied while it is held, for tests. */
void lent_hold(bool held);
