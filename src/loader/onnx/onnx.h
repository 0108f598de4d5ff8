/* SPDX-License-Identifier: Apache-2.0 */
/*
 * onnx.h -- an ONNX file becomes a graph
 *
 * Life of a version: watch -> [LOAD] -> check -> compile -> ...
 *
 * Bytes of strangers: an iterative pre-scan bounds depth, counts and sizes before
 * protobuf-c sees them, protobuf-c allocates from a budget, every reference and size is
 * checked, external data stays inside the model's directory. IR 3 to 13, opsets 1 to 28.
 *
 * Ownership: graph, strings and weights live in the arena given.
 * Threads:   any; one read is one thread's.
 */
#pragma once

#include "exec/graph.h"

struct onnx_limits {
	size_t file_bytes_max;  /* 0: 2 GiB - 1, protobuf's own limit */
	/* Of everything the read allocates; 0: what the machine has, 64 GiB at most. */
	size_t memory_bytes_max;
	bool allow_hardlinks;
};

struct onnx_model {
	struct graph *graph;
	int64_t ir_version;
	int64_t opset; /* of ai.onnx; 0: not imported */
	const char *producer; /* "pytorch 2.1", "" */
	const struct metadata_prop *prop;
	int n_prop;
};

/* dirfd: the directory that the file and its external data are in. */
MUST_CHECK enum err_code onnx_read(int dirfd, const char *file, const struct onnx_limits *limits,
	struct arena *arena, struct onnx_model *ret, struct err *err);

/* The same from memory; dirfd -1: no external data. bytes are borrowed for the call. */
MUST_CHECK enum err_code onnx_parse(struct slice bytes, int dirfd, const struct onnx_limits *limits,
	struct arena *arena, struct onnx_model *ret, struct err *err);

/* A TensorProto (serialized) as a tensor in the arena: test cases, initializers. */
MUST_CHECK enum err_code onnx_parse_tensor(struct slice bytes, struct arena *arena,
	struct tensor *ret, const char **ret_name, struct err *err);

/* A TensorProto, SequenceProto or OptionalProto: which of them, only the type says. An
   absent optional has no data and no rank. */
MUST_CHECK enum err_code onnx_parse_value(struct slice bytes, const struct type *type,
	struct arena *arena, struct tensor *ret, const char **ret_name, struct err *err);

/* What onnx_parse_value() reads; a map has no such form: UNIMPLEMENTED. */
MUST_CHECK enum err_code onnx_format_value(const struct tensor *t, const struct type *type,
	const char *name, struct arena *arena, struct slice *ret, struct err *err);
