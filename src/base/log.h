/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h -- one line per event, on stderr, with a journald priority
 *
 * Only main.c, server*.c and lifecycle*.c log; everything else reports. Lines are
 * written whole, with control characters and bytes that are no UTF-8 escaped, so that
 * nothing from outside makes a second record. Under systemd (JOURNAL_STREAM) a line
 * starts with "<N>", else with time and level.
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include <stdbool.h>
#include "base/err.h"

enum log_level { LOG_LEVEL_ERR = 3, LOG_LEVEL_WARNING = 4, LOG_LEVEL_NOTICE = 5, LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7 };

/* Levels above max are dropped. Default LOG_LEVEL_INFO. */
void log_set_level(enum log_level max);
enum log_level log_get_level(void);

void log_line(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define log_err(...) log_line(LOG_LEVEL_ERR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...) log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* At most `per_s` lines a second from one place; the next line that gets through says how
   many were left out. For what a client can cause. */
struct log_limit {
	long window_s;
	int in_window, suppressed;
	int lock;
};
bool log_limit_allow(struct log_limit *l, int per_s, int *ret_suppressed);
