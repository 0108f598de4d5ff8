/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io.h -- the IO threads: each drives a libmicrohttpd daemon round by round
 *
 * Life of a request: listen -> [READ -> DECODE] -> ... -> [ENCODE -> WRITE]
 *
 * Ownership: io_add() takes the descriptor.
 * Threads:   io_add() on the listener's, io_resume() on any; start and stop before and after.
 * Memory:    none but libmicrohttpd's; connections under way to a thread are chained through
 *            their slots.
 */
#pragma once

#include "server/http/http_state.h"

/* After an error io_stop() is still to be called. */
MUST_CHECK enum err_code io_start(struct io *io, struct err *err);

/* Every request of this IO thread must have been answered or cancelled. */
void io_stop(struct io *io);

/* A suspended connection goes on. On any thread. */
void io_resume(struct io *io, struct MHD_Connection *mhd);

/* A new connection, whose slot is open, is that thread's from here on. */
void io_add(struct io *io, int fd);
