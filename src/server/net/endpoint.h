/* SPDX-License-Identifier: Apache-2.0 */
/*
 * endpoint.h -- a listening socket, however it is named
 *
 * Life of a request: [LISTEN] -> decode -> ...
 *
 * Ownership: a socket that was passed in is closed by endpoint_close() alone, so that who
 *            fails to start leaves it to the caller. Threads: one at a time.
 */
#pragma once

#include <stdbool.h>
#include "base/err.h"

struct endpoint {
	int fd; /* -1: none */
	bool passed;
	int port; /* 0: a unix socket */
	bool is_local; /* a unix socket, or a loopback address */
	char address[128]; /* "127.0.0.1:8000", "unix:/run/..." */
	const char *unlink_path; /* NULL: no file of ours */
};

/* where: "HOST:PORT", ":PORT", "unix:PATH", borrowed until endpoint_done(); port 0: any free
   one. passed_fd >= 0: this socket instead. who begins every message. On an error there is
   something for endpoint_done() all the same. */
MUST_CHECK enum err_code endpoint_open(const char *who, const char *where, int passed_fd,
	struct endpoint *e, struct err *err);

/* Is it written as endpoint_open() wants it? */
MUST_CHECK enum err_code endpoint_check(const char *who, const char *where, struct err *err);

/* No more connections. */
void endpoint_close(struct endpoint *e);
void endpoint_done(struct endpoint *e);
