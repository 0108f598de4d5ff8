/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pb_lift.h -- a protobuf file without its big fields, which are read where they stay
 *
 * protobuf-c takes a file from memory and copies every field of bytes out of it: a model
 * would be there twice, and its weights copied once more than needed. So the file is walked
 * by descriptor first. What is small goes into a skeleton, a valid message of the same kind;
 * a big field of bytes is left where it lies in the file, a long list is read at once
 * (pb_list.h), and in its place stands an unknown field, PB_LIFT_FIELD, with its number among the
 * pieces. A list that is packed, or not all in one place, is left to protobuf-c.
 *
 * A file that is odd in any way is not lifted: INVALID_ARGUMENT, and whoever reads it whole
 * will say what is wrong, and where. PB_LIFT_FIELD of the file's own is left out, as
 * unknown fields are.
 *
 * Threads: any. Memory: the arenas', but for the skeleton, which is the caller's.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include "base/arena.h"
#include "base/file.h"
#include "loader/onnx/pb_list.h"

#define PB_LIFT_FIELD ((1u << 29) - 1) /* fixed64 */
#define PB_LIFT_BYTES_MIN 16 /* more than the place in the skeleton */

struct pb_lift_field {
	const ProtobufCMessageDescriptor *message;
	uint32_t number; /* of a list: less than 16 */
	enum pb_kind kind;
};

struct pb_lift_conf {
	const ProtobufCMessageDescriptor *root;
	const struct pb_lift_field *field;
	int n_field;
	size_t least_bytes; /* of bytes, and of a message with a list; at least PB_LIFT_BYTES_MIN */
	struct arena *lists; /* gets what is in lists */
	size_t list_bytes_max; /* of all lists, while they are read */
};

struct pb_piece {
	enum pb_kind kind;
	uint64_t offset; /* of bytes: in the file */
	size_t bytes;
	size_t n; /* of a list: elements */
	void *data; /* of bytes: once they are read */
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
