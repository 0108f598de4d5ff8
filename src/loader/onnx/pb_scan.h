/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pb_scan.h -- walk a protobuf message before protobuf-c does
 *
 * protobuf-c recurses as deep as its input says, and turns two bytes of input into two
 * hundred of memory. This walk is iterative, needs no memory, and follows the message
 * tree of a descriptor: depth, number of messages, tags, lengths, varints, groups,
 * strings (UTF-8, no NUL: protobuf-c cuts at it), and how much memory unpacking will
 * take. What passes can be unpacked safely.
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include "base/err.h"
#include "base/slice.h"

#define PB_DEPTH_MAX 64
#define PB_STRING_MAX (1 << 20)

/* Unpacking may take ratio times the input and slack on top: honest files stay far below. */
#define PB_UNPACK_RATIO 16
#define PB_UNPACK_SLACK ((size_t)64 << 20)

struct pb_limits {
	size_t messages_max;     /* submessages, all levels together */
	size_t unpack_bytes_max; /* estimated memory of the unpacked message */
	const char *free_text;   /* name of a string field whose bytes are not looked at, or NULL */
};

/* INVALID_ARGUMENT: no message of this kind; RESOURCE_EXHAUSTED: beyond the limits.
   *ret_bytes: the estimate. */
MUST_CHECK enum err_code pb_scan(const ProtobufCMessageDescriptor *root, struct slice bytes,
	const struct pb_limits *limits, size_t *ret_bytes, struct err *err);
