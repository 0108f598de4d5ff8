/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn.h -- libmicrohttpd's callbacks: from bytes to a call, from a reply to bytes
 *
 * Life of a request: listen -> [READ -> DECODE] -> ... -> [ENCODE -> WRITE]
 *
 * Threads: everything runs on the connection's IO thread, but for the outcome of a
 *          request, which wakes it.
 */
#pragma once

#include "server/http/http_state.h"

MUST_CHECK enum err_code conn_start_io(struct io *io, struct err *err);

/* Every request of this IO thread must have been answered or cancelled. */
void conn_stop_io(struct io *io);
