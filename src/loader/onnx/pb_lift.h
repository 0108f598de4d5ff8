/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pb_lift.h -- a protobuf file without its big fields of bytes, which are read where they stay
 *
 * protobuf-c takes a file from memory and copies every field of bytes out of it: a model
 * would be there twice, and its weights copied once more than needed. So the file is walked
 * by descriptor first. What is small goes into a skeleton, a valid message of the same kind;
 * a big field is left where it lies in the file, and in its place stands an unknown field,
 * PB_LIFT_FIELD, with its number among the pieces.
 *
 * A file that is odd in any way is not lifted: INVALID_ARGUMENT, and whoever reads it whole
 * will say what is wrong, and where. PB_LIFT_FIELD of the file's own is left out, as
 * unknown fields are.
 *
 * Threads: any. Memory: the arena's, but for the skeleton, which is the caller's.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include "base/arena.h"
#include "base/file.h"

#define PB_LIFT_FIELD ((1u << 29) - 1) /* fixed64 */

struct pb_lift_conf {
	const ProtobufCMessageDescriptor *root;
	const ProtobufCMessageDescriptor *message; /* whose field `field` is lifted */
	uint32_t field;
	size_t least_bytes; /* more than the place in the skeleton: 16 */
};

struct pb_piece {
	uint64_t offset; /* in the file */
	size_t bytes;
	void *data; /* once it is read */
};

struct pb_lifted {
	struct file_mem skeleton;
	size_t skeleton_bytes;
	struct pb_piece *piece;
	size_t n;
};

/* The file behind fd is file_bytes long. */
MUST_CHECK enum err_code pb_lift(int fd, const char *file, size_t file_bytes,
	const struct pb_lift_conf *conf, struct arena *arena, struct pb_lifted *ret,
	struct err *err);

/* The piece that stands in m for the field; NULL: none. */
struct pb_piece *pb_lifted_piece(const struct pb_lifted *l, const ProtobufCMessage *m);
