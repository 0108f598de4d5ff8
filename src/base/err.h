/* SPDX-License-Identifier: Apache-2.0 */
/*
 * err.h -- how a failure travels
 *
 * A function that can fail returns an enum err_code and takes a struct err last, which
 * the caller owns and which is never allocated. Codes are gRPC's numbers, so that
 * encoding them is the identity; err_http() maps them for REST.
 *
 * Messages reach the client as they are: which thing, what it is, what the rule is; no
 * paths, no pointers.
 *
 * Threads: any; a struct err is its caller's. Memory: none.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))

/* id, gRPC number, name on the wire, HTTP status */
#define ERR_CODES(X) \
	X(OK, 0, "OK", 200) \
	X(CANCELLED, 1, "CANCELLED", 499) \
	X(UNKNOWN, 2, "UNKNOWN", 500) \
	X(INVALID_ARGUMENT, 3, "INVALID_ARGUMENT", 400) \
	X(DEADLINE_EXCEEDED, 4, "DEADLINE_EXCEEDED", 504) \
	X(NOT_FOUND, 5, "NOT_FOUND", 404) \
	X(ALREADY_EXISTS, 6, "ALREADY_EXISTS", 409) \
	X(PERMISSION_DENIED, 7, "PERMISSION_DENIED", 403) \
	X(RESOURCE_EXHAUSTED, 8, "RESOURCE_EXHAUSTED", 429) \
	X(FAILED_PRECONDITION, 9, "FAILED_PRECONDITION", 400) \
	X(ABORTED, 10, "ABORTED", 409) \
	X(OUT_OF_RANGE, 11, "OUT_OF_RANGE", 400) \
	X(UNIMPLEMENTED, 12, "UNIMPLEMENTED", 501) \
	X(INTERNAL, 13, "INTERNAL", 500) \
	X(UNAVAILABLE, 14, "UNAVAILABLE", 503) \
	X(DATA_LOSS, 15, "DATA_LOSS", 500) \
	X(UNAUTHENTICATED, 16, "UNAUTHENTICATED", 401)

enum err_code {
#define X(id, number, name, http) ERR_##id = number,
	ERR_CODES(X)
#undef X
};

#define ERR_MSG_MAX 480

struct err {
	enum err_code code;
	char msg[ERR_MSG_MAX];
};

/* Sets code and message, returns code: "return err_set(err, ...)". err may be NULL. */
enum err_code err_set(struct err *err, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);

enum err_code err_vset(struct err *err, enum err_code code, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));

/* Puts "<prefix>: " before the message that is there; returns the code that is there. */
enum err_code err_prefix(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* RESOURCE_EXHAUSTED, "out of memory". */
enum err_code err_oom(struct err *err);

/* Copies src to dst (dst may be NULL), returns its code. */
enum err_code err_copy(struct err *dst, const struct err *src);

/* For who checks much and does not end at the first failure: tell() hears of each of them. */
struct err_all {
	void (*tell)(void *ctx, const struct err *err);
	void *ctx;
	int n;            /* told of; ERR_ALL_MAX at most */
	struct err first;
};
#define ERR_ALL_MAX 100

/* Tells of err; true: it is not the end. all NULL, no memory, or too many: false. */
MUST_CHECK bool err_all_take(struct err_all *all, const struct err *err);

/* ERR_OK, or the first that was told of. all may be NULL. */
MUST_CHECK enum err_code err_all_end(const struct err_all *all, struct err *err);

/* TRY() that goes on as long as `all` takes what err says. */
#define TRY_ALL(all, err, call) \
	do { \
		enum err_code try_rc_ = (call); \
		if (try_rc_ != ERR_OK && !err_all_take(all, err)) \
			return try_rc_; \
	} while (0)

/* "INVALID_ARGUMENT", ...; "UNKNOWN" for a number that is none of ours. */
const char *err_name(enum err_code code);

/* The HTTP status of a code, by the table above. */
int err_http(enum err_code code);

/* Returns the call's code unless it is ERR_OK: for functions that hold nothing which has
   to be let go of. */
#define TRY(call) \
	do { \
		enum err_code try_rc_ = (call); \
		if (try_rc_ != ERR_OK) \
			return try_rc_; \
	} while (0)
