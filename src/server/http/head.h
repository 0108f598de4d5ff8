/* SPDX-License-Identifier: Apache-2.0 */
/*
 * head.h -- the headers that we act upon, checked again
 *
 * libmicrohttpd is lax about framing (two lengths, length and chunks at once, odd names);
 * what two parsers could read in two ways is refused here, before a byte of the body is
 * taken for anything. Headers that we do not know are never interpreted nor forwarded.
 *
 * Ownership: slices point into libmicrohttpd's memory of the connection: valid until the
 *            call ends.
 * Threads:   the IO thread.
 */
#pragma once

#include <stdint.h>
#include "base/err.h"
#include "base/slice.h"
#include "server/inflate.h"

struct MHD_Connection;

struct head {
	int hosts;
	bool has_length, chunked;
	uint64_t length;
	struct slice content_type;
	enum inflate_coding coding; /* of the body */
	int64_t json_len;        /* Inference-Header-Content-Length; -1: none */
	bool expects_continue;
	bool wants_openmetrics;
	struct slice origin;
	bool is_preflight;          /* a browser asks what a page of that origin may send */
	struct slice asked_headers; /* which headers it would */
	int64_t timeout_us; /* of the client; 0: none */
};

/* What is wrong with it, as an HTTP status, or 0. ret_msg is static. is_fatal: the framing
   is in doubt and the connection must not be used again. */
int head_read(struct MHD_Connection *mhd, struct head *ret, const char **ret_msg, bool *ret_fatal);

enum head_type { HEAD_TYPE_JSON, HEAD_TYPE_BINARY, HEAD_TYPE_OTHER };
/* Absent counts as JSON. */
enum head_type head_type(const struct head *h);
