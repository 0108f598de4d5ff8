/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/repo/inbox.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/file.h"

enum err_code inbox_init(struct inbox *b, struct err *err)
{
	atomic_init(&b->top, NULL);
	b->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return b->fd < 0 ? file_err(err, errno, "eventfd") : ERR_OK;
}

void inbox_done(struct inbox *b)
{
	if (b->fd >= 0)
		close(b->fd);
	b->fd = -1;
}

/* A full counter (EAGAIN) is readable too. */
void inbox_wake(struct inbox *b)
{
	uint64_t one = 1;
	ssize_t n = write(b->fd, &one, sizeof(one));
	(void)n;
}

void inbox_post(struct inbox *b, struct inbox_item *item)
{
	item->next = atomic_load_explicit(&b->top, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(
		&b->top, &item->next, item, memory_order_release, memory_order_relaxed))
		;
	inbox_wake(b);
}

void inbox_take(struct inbox *b, void *ctx)
{
	uint64_t count;
	ssize_t n = read(b->fd, &count, sizeof(count));
	(void)n;
	struct inbox_item *item = atomic_exchange_explicit(&b->top, NULL, memory_order_acquire);
	struct inbox_item *in_order = NULL;
	while (item) {
		struct inbox_item *next = item->next;
		item->next = in_order;
		in_order = item;
		item = next;
	}
	while (in_order) {
		struct inbox_item *next = in_order->next;
		in_order->take(ctx, in_order);
		in_order = next;
	}
}
