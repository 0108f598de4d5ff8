/* SPDX-License-Identifier: Apache-2.0 */
/*
 * onnx_reader.h -- what the parts of the ONNX reader share
 *
 * Life of a version: watch -> [LOAD] -> check -> compile -> ...
 *
 *   onnx.c           the file: read, scan, unpack, model-level rules
 *   onnx_graph.c     a graph: initializers, inputs, nodes, outputs; scopes and captures
 *   onnx_node.c      a node: its operator, inputs, outputs; Constant
 *   onnx_attr.c      attributes, also those that refer to a function's
 *   onnx_function.c  calls of model functions, inlined
 *   onnx_tensor.c    the one place where a TensorProto becomes a tensor
 *   onnx_external.c  its bytes in another file
 *   onnx_sparse.c    sparse tensors made dense
 *   onnx_type.c      types and shapes of inputs and outputs
 *   onnx_value.c     values in files of their own
 *   pb_lift.c        big raw_data and long lists of attributes read past protobuf-c
 *   lower*.c         older opsets rewritten
 *
 * Recursion: a body is read inside its node and a call inside its caller; both together
 * go at most ONNX_NESTING_MAX deep.
 *
 * Ownership: the graph's arena has what stays; the pb_mem what is needed while reading.
 * Threads:   one.
 */
#pragma once

#include "exec/graph.h"
#include "loader/onnx/lower/lower.h"
#include "loader/onnx/onnx.h"
#include "loader/onnx/onnx_map.h"
#include "loader/onnx/pb_lift.h"
#include "loader/onnx/pb_mem.h"
#include "onnx.pb-c.h"

#define ONNX_IR_MIN 3
#define ONNX_IR_MAX 13
#define ONNX_NESTING_MAX 64
#define ONNX_IMPORTS_MAX 256
#define ONNX_SYMBOLS_MAX 4096
#define ONNX_ABSENT INT32_MAX
#define ONNX_INTERFACE_MAX 16384 /* inputs, outputs */
#define ONNX_LIFT_FIELDS 4

struct onnx_reader {
	struct arena *arena; /* what stays */
	struct pb_mem mem;   /* the file, unpacked, and scratch */
	struct pb_lifted lifted; /* what is big of onnx_lift_fields, in the arena that stays */
	size_t memory_max;
	size_t arena_start;  /* used before us */
	int dirfd;           /* -1: no external data */
	bool allow_hardlinks;
	int64_t ir_version;
	Onnx__FunctionProto **function;
	struct onnx_map functions; /* by domain, name, overload */
	bool *active;              /* functions that we are inside of */
	struct onnx_map summed;    /* checksums of files that were right */
	/* Of sparse tensors so far: in the file, and as they are kept. */
	size_t sparse_said_bytes, dense_bytes;
	int64_t n_nodes;           /* read so far; those of a function at each call */
	int nesting;
};

struct onnx_imports {
	Onnx__OperatorSetIdProto **opset;
	size_t n;
};

/* Names that nodes may use: those of a graph, or of one call of a function. */
struct onnx_scope {
	struct onnx_reader *reader;
	struct graph *graph;
	struct onnx_map names;    /* values of graph */
	struct onnx_scope *outer; /* of the node whose body this is; NULL */
	struct onnx_capture {
		int32_t outer, inner;
	} *captured; /* graph->n_capture */
	int32_t cap_captured;
	struct onnx_imports imports;
	const struct onnx_call *call; /* NULL: not in a function */
	bool nameless;                /* its values go into the graph without their names */
	const char *prefix;           /* before names of nodes: "" or "call/" */
	struct lower_known *known;    /* see lower.h */
};

struct onnx_call {
	const Onnx__FunctionProto *function;
	const Onnx__NodeProto *node;
	struct onnx_scope *scope; /* the caller's */
};

static inline struct arena *onnx_scratch(struct onnx_reader *r)
{
	return r->mem.small;
}

/* -- onnx.c -- */
extern const struct pb_lift_field onnx_lift_fields[ONNX_LIFT_FIELDS];
/* Done with pb_mem_done(&r->mem). limits may be NULL. */
MUST_CHECK enum err_code onnx_reader_init(struct onnx_reader *r, int dirfd,
	const struct onnx_limits *limits, struct arena *arena, struct err *err);
/* Scans and unpacks; what comes back lives in r->mem. */
MUST_CHECK enum err_code onnx_unpack(struct onnx_reader *r, const ProtobufCMessageDescriptor *what,
	struct slice bytes, ProtobufCMessage **ret, struct err *err);
/* Strings of the file are checked for NUL and UTF-8 by the scan; this one for length. */
MUST_CHECK enum err_code onnx_check_name(const char *name, const char *what, struct err *err);
/* A copy in the arena that stays; NULL makes "". NULL: no memory. */
const char *onnx_keep_name(struct onnx_reader *r, const char *name);
/* The name that a value of scope has in the graph. NULL: no memory. */
const char *onnx_value_name(struct onnx_scope *scope, const char *name);
/* Opset imports: bounded, no domain twice. */
MUST_CHECK enum err_code onnx_check_imports(const struct onnx_imports *imports, struct err *err);
/* 0: not imported. "" and "ai.onnx" are one. */
int64_t onnx_imported_version(const struct onnx_imports *imports, const char *domain);

/* -- onnx_graph.c -- */
MUST_CHECK enum err_code
onnx_read_graph(struct onnx_scope *scope, const Onnx__GraphProto *proto, struct err *err);
/* A body: its graph, and the values of outer that it captures, in scratch memory. */
MUST_CHECK enum err_code onnx_read_body(struct onnx_scope *outer, const Onnx__GraphProto *proto,
	struct graph **ret, int32_t **ret_captured, struct err *err);
/* The value of that name, captured from outer scopes if need be. VALUE_NONE: there is none;
   ONNX_ABSENT: an input that a call has left out. */
MUST_CHECK enum err_code
onnx_find_value(struct onnx_scope *scope, const char *name, int32_t *ret, struct err *err);
/* Makes the name known; INVALID_ARGUMENT when it is taken. */
MUST_CHECK enum err_code
onnx_bind(struct onnx_scope *scope, const char *name, int32_t value, struct err *err);

/* -- onnx_node.c -- */
MUST_CHECK enum err_code onnx_read_nodes(struct onnx_scope *scope, Onnx__NodeProto **node, size_t n,
	struct err *err);

/* -- onnx_attr.c -- */
/* Follows ref_attr_name to what a call gives; NULL: it gives none and there is no default.
   *ret_scope is where the names of a graph in it are looked up. */
MUST_CHECK enum err_code onnx_attr_resolve(struct onnx_scope *scope, const Onnx__AttributeProto *a,
	const Onnx__AttributeProto **ret, struct onnx_scope **ret_scope, struct err *err);
/* captured: see onnx_read_body(); untouched unless it is a graph. */
MUST_CHECK enum err_code onnx_read_attr(struct onnx_scope *scope, const Onnx__AttributeProto *a,
	struct attr *ret, int32_t **ret_captured, struct err *err);

/* -- onnx_function.c -- */
MUST_CHECK enum err_code
onnx_index_functions(struct onnx_reader *r, const Onnx__ModelProto *model, struct err *err);
/* -1: no such function. */
int32_t onnx_find_function(struct onnx_reader *r, const Onnx__NodeProto *node);
/* in: values of scope's graph, n_input of the node. Binds the outputs. */
MUST_CHECK enum err_code onnx_inline(struct onnx_scope *scope, const Onnx__NodeProto *node,
	int32_t function, const int32_t *in, struct err *err);

/* -- onnx_tensor.c, onnx_external.c, onnx_sparse.c, onnx_type.c -- */
MUST_CHECK enum err_code onnx_read_tensor(struct onnx_reader *r, const Onnx__TensorProto *proto,
	struct tensor **ret, struct err *err);
/* 64-byte aligned, staying memory within the reader's limit, with its tensor; from
   PB_BIG_BYTES on mapped, so that it goes back to the system by itself. */
MUST_CHECK enum err_code onnx_new_tensor(struct onnx_reader *r, enum dtype dtype,
	const struct shape *shape, struct tensor **ret, struct err *err);
/* What may be had of r->memory_max. */
size_t onnx_memory_left(const struct onnx_reader *r);
/* Pages of their own for big data, so that unloading gives them back, in the arena that
   stays and within the reader's limit. bytes is not 0. */
MUST_CHECK enum err_code
onnx_alloc_mapped(struct onnx_reader *r, size_t bytes, void **ret, struct err *err);
MUST_CHECK enum err_code
onnx_read_dims(const int64_t *dim, size_t n, struct shape *ret, struct err *err);
/* The bytes of a tensor whose data_location is EXTERNAL, as raw_data has them. */
MUST_CHECK enum err_code onnx_read_external(struct onnx_reader *r, const Onnx__TensorProto *proto,
	void *to, size_t bytes, struct err *err);
MUST_CHECK enum err_code onnx_read_sparse(struct onnx_reader *r,
	const Onnx__SparseTensorProto *proto, struct tensor **ret, struct err *err);
/* g: for symbols. */
MUST_CHECK enum err_code onnx_read_type(struct graph *g, const Onnx__TypeProto *proto,
	struct type *ret_type, struct shape *ret_shape, struct err *err);
