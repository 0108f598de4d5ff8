/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify.h -- talk to systemd, without its library: one datagram per message
 *
 * notify_init() takes NOTIFY_SOCKET, WATCHDOG_* and LISTEN_* from the environment, so that
 * no child believes they are meant for it. Where there is no systemd every call does
 * nothing. A message that cannot be sent is lost: telling must never stop serving.
 *
 * Threads: notify_init() and notify_take_fd() at start, by one; notify_send() from any.
 * Memory:  none.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"

/* INVALID_ARGUMENT: of the sockets; all else has its effect even then. */
MUST_CHECK enum err_code notify_init(struct err *err);

/* VARIABLE=VALUE lines: "READY=1\nSTATUS=serving". */
void notify_send(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* RELOADING=1 with the time that systemd wants beside it; READY=1 ends it. */
void notify_reloading(void);

/* How often systemd wants to hear WATCHDOG=1; 0: not at all. */
int64_t notify_watchdog_ns(void);

/* The listening socket that systemd passed under this name, or -1. It is the caller's from
   then on. With one unnamed socket that one answers to every name. */
int notify_take_fd(const char *name);

/* Once all are taken that somebody wants: has systemd passed one on which clients would wait
   for ever? */
MUST_CHECK enum err_code notify_check_fds(struct err *err);

/* The directory that systemd gave us to keep things in, of several the first. false: none. */
bool notify_state_dir(char *buf, size_t size);
