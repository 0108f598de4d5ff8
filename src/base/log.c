/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/utf8.h"

/* Longer messages are cut. Each byte may need four when it is escaped. */
#define MESSAGE_MAX 2048
#define LINE_MAX_BYTES (4 * MESSAGE_MAX + 64)

static atomic_int level_max = LOG_LEVEL_INFO;
static bool to_journal;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static const struct {
	enum log_level level;
	const char *name;
} levels[] = {
	{ LOG_LEVEL_ERR, "err" },
	{ LOG_LEVEL_WARNING, "warning" },
	{ LOG_LEVEL_NOTICE, "notice" },
	{ LOG_LEVEL_INFO, "info" },
	{ LOG_LEVEL_DEBUG, "debug" },
};
#define LEVELS_N (sizeof(levels) / sizeof(levels[0]))

void log_set_level(enum log_level max)
{
	atomic_store_explicit(&level_max, max, memory_order_relaxed);
}

enum log_level log_get_level(void)
{
	return (enum log_level)atomic_load_explicit(&level_max, memory_order_relaxed);
}

/* JOURNAL_STREAM is inherited by children whose stderr went elsewhere: compare. */
static void find_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat st;
	if (!stream || fstat(STDERR_FILENO, &st) != 0)
		return;
	char here[64];
	snprintf(here, sizeof(here), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	to_journal = strcmp(here, stream) == 0;
}

static size_t put_head(char *line, size_t size, enum log_level level)
{
	if (to_journal)
		return (size_t)snprintf(line, size, "<%d>", (int)level);
	const char *name = "?";
	for (size_t i = 0; i < LEVELS_N; i++)
		name = levels[i].level == level ? levels[i].name : name;
	int64_t ms = clock_wall_ms();
	time_t s = (time_t)(ms / 1000);
	struct tm tm;
	char when[32];
	gmtime_r(&s, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	return (size_t)snprintf(line, size, "%s.%03dZ %-7s ", when, (int)(ms % 1000), name);
}

/* The backslash too, so that what stands in the log has one reading. */
static size_t put_escaped(char *to, const char *msg, size_t len)
{
	size_t out = 0;
	uint32_t c;
	for (size_t at = 0, n; at < len; at += n) {
		n = utf8_decode(msg + at, len - at, &c);
		if (n > 0 && !utf8_is_control(c) && c != '\\') {
			memcpy(to + out, msg + at, n);
			out += n;
			continue;
		}
		n = n ? n : 1;
		for (size_t i = 0; i < n; i++)
			out += (size_t)snprintf(to + out, 5, "\\x%02x", (uint8_t)msg[at + i]);
	}
	return out;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	if ((int)level > atomic_load_explicit(&level_max, memory_order_relaxed))
		return;
	pthread_once(&once, find_journal);

	char msg[MESSAGE_MAX];
	va_list ap;
	va_start(ap, fmt);
	int len = vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	if (len < 0)
		return;
	size_t msg_len = (size_t)len < sizeof(msg) ? (size_t)len : sizeof(msg) - 1;

	char line[LINE_MAX_BYTES];
	size_t used = put_head(line, sizeof(line), level);
	used += put_escaped(line + used, msg, msg_len);
	if ((size_t)len > msg_len) {
		memcpy(line + used, "...", 3);
		used += 3;
	}
	line[used++] = '\n';
	/* One write, so that lines of two threads do not mix. A log that cannot be written
	   must not stop the service. */
	ssize_t done = write(STDERR_FILENO, line, used);
	(void)done;
}

bool log_limit_allow(struct log_limit *l, int per_s, int *ret_suppressed)
{
	/* Held for a few instructions; zero-initialised places need no init call. */
	while (__atomic_exchange_n(&l->lock, 1, __ATOMIC_ACQUIRE))
		sched_yield();
	long now_s = (long)(clock_now_ns() / NS_PER_S);
	if (l->window_s != now_s) {
		l->window_s = now_s;
		l->in_window = 0;
	}
	bool allowed = l->in_window < per_s;
	if (allowed) {
		l->in_window++;
		*ret_suppressed = l->suppressed;
		l->suppressed = 0;
	} else {
		l->suppressed++;
	}
	__atomic_store_n(&l->lock, 0, __ATOMIC_RELEASE);
	return allowed;
}
