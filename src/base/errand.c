/* SPDX-License-Identifier: Apache-2.0 */
#include "base/errand.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum err_code errand_init(struct errand *e, struct err *err)
{
	*e = (struct errand){ .over_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	return e->over_fd >= 0
		       ? ERR_OK
		       : err_set(err, ERR_RESOURCE_EXHAUSTED, "no eventfd: %s", strerror(errno));
}

static void *run(void *arg)
{
	struct errand *e = arg;
	const uint64_t one = 1;
	e->run(e->ctx);
	(void)!write(e->over_fd, &one, sizeof(one));
	return NULL;
}

void errand_begin(struct errand *e, const char *thread_name, void (*what)(void *ctx), void *ctx)
{
	e->run = what;
	e->ctx = ctx;
	e->begun = true;
	e->has_thread = pthread_create(&e->thread, NULL, run, e) == 0;
	if (e->has_thread)
		pthread_setname_np(e->thread, thread_name);
	else
		run(e);
}

void errand_end(struct errand *e)
{
	uint64_t n;
	if (!e->begun)
		return;
	if (e->has_thread)
		pthread_join(e->thread, NULL);
	(void)!read(e->over_fd, &n, sizeof(n));
	e->begun = e->has_thread = false;
}

void errand_done(struct errand *e)
{
	if (e->over_fd >= 0)
		close(e->over_fd);
	e->over_fd = -1;
}
