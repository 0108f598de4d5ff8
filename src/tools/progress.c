/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

void progress_begin(struct progress *p)
{
	bool terminal = isatty(STDERR_FILENO);
	*p = (struct progress){
		.shown_ns = clock_now_ns(),
		.every_ns = terminal ? NS_PER_S : 10 * NS_PER_S,
		.terminal = terminal,
	};
}

void progress_show(struct progress *p, const char *fmt, ...)
{
	int64_t now = clock_now_ns();
	if (now - p->shown_ns < p->every_ns)
		return;
	p->shown_ns = now;
	p->visible = true;
	va_list ap;
	va_start(ap, fmt);
	fputs(p->terminal ? "\r\033[K" : "", stderr);
	vfprintf(stderr, fmt, ap);
	fputs(p->terminal ? "" : "\n", stderr);
	va_end(ap);
	fflush(stderr);
}

void progress_end(struct progress *p)
{
	if (p->visible && p->terminal)
		fputs("\r\033[K", stderr);
	p->visible = false;
}
