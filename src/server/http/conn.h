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

/* A daemon without a thread, which the IO thread drives; NULL: none. */
struct MHD_Daemon *conn_daemon_new(struct io *io);
