/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <stdio.h>
#include <string.h>

enum err_code err_vset(struct err *err, enum err_code code, const char *fmt, va_list ap)
{
	if (!err)
		return code;
	/* Arguments may point into err->msg itself, hence the detour. */
	char msg[ERR_MSG_MAX];
	vsnprintf(msg, sizeof(msg), fmt, ap);
	memcpy(err->msg, msg, sizeof(msg));
	err->code = code;
	return code;
}

enum err_code err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	err_vset(err, code, fmt, ap);
	va_end(ap);
	return code;
}

enum err_code err_prefix(struct err *err, const char *fmt, ...)
{
	if (!err)
		return ERR_INTERNAL;
	char head[ERR_MSG_MAX];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(head, sizeof(head), fmt, ap);
	va_end(ap);
	/* A long prefix must not push the cause out of the buffer. */
	return err_set(err, err->code, "%.*s: %s", ERR_MSG_MAX / 2, head, err->msg);
}

enum err_code err_oom(struct err *err)
{
	return err_set(err, ERR_RESOURCE_EXHAUSTED, "out of memory");
}

enum err_code err_copy(struct err *dst, const struct err *src)
{
	if (dst && dst != src)
		*dst = *src;
	return src->code;
}

bool err_all_take(struct err_all *all, const struct err *err)
{
	if (!all || err->code == ERR_RESOURCE_EXHAUSTED || all->n == ERR_ALL_MAX)
		return false;
	if (all->n++ == 0)
		all->first = *err;
	all->tell(all->ctx, err);
	return true;
}

enum err_code err_all_end(const struct err_all *all, struct err *err)
{
	return all && all->n ? err_copy(err, &all->first) : ERR_OK;
}

const char *err_name(enum err_code code)
{
	switch (code) {
#define X(id, number, name, http) case ERR_##id: return name;
	ERR_CODES(X)
#undef X
	}
	return "UNKNOWN";
}

int err_http(enum err_code code)
{
	switch (code) {
#define X(id, number, name, http) case ERR_##id: return http;
	ERR_CODES(X)
#undef X
	}
	return 500;
}
