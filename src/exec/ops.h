/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ops.h -- the operator table: ops.def as enum, rows and lookup
 *
 * Threads: any; rows of libraries are registered before any model is read.
 * Memory:  none but for those rows, which stay.
 */
#pragma once

#include <stdint.h>
#include "base/err.h"
#include "base/slice.h"

enum op_id {
	OP_NONE,
#define OP(id, ...) OP_##id,
#include "exec/ops.def"
#undef OP
	OP_COUNT_ /* rows of libraries are numbered from here on: op_library.h */
};
#define OP_CUSTOM_MAX 256

enum op_domain {
	DOMAIN_ONNX,   /* "" or "ai.onnx" */
	DOMAIN_ML,     /* "ai.onnx.ml" */
	DOMAIN_MS,     /* "com.microsoft" */
	DOMAIN_TRAINING, /* "ai.onnx.preview.training" */
	DOMAIN_PREVIEW, /* "ai.onnx.preview" */
	DOMAIN_SIGNET, /* made by our passes, never read from a file */
	DOMAIN_CUSTOM, /* any other: its rows come from libraries */
	DOMAIN_COUNT_
};

/* Variadic: as many as the graph's bounds allow. */
#define ARITY_ANY 16384

enum op_flags {
	OP_PURE = 0,
	OP_VIEW = 1 << 0,         /* output 0 is input 0's bytes under another shape */
	OP_DATA_DEPENDENT = 1 << 1, /* output shape depends on values: run.c cuts the plan */
	OP_RANDOM = 1 << 2,       /* never folded */
	OP_CONTROL = 1 << 3,      /* has subgraphs */
	OP_SHAPE_ONLY = 1 << 4,   /* reads its input's shape, never its data */
	OP_CONTAINERS = 1 << 5,   /* takes sequences, optionals or maps; all others take tensors */
};

struct attr_spec {
	const char *name; /* NULL ends the list */
	int kind;         /* enum attr_kind */
	bool required;
};

struct infer;
typedef enum err_code (*infer_fn)(struct infer *x, struct err *err);

struct op_info {
	const char *id;   /* "GEMM" */
	const char *name; /* "Gemm" */
	enum op_domain domain;
	int since; /* opset from which the meaning we compute holds */
	int in_min, in_max, out_min, out_max;
	unsigned flags;
	infer_fn infer;
	const struct attr_spec *attrs;
	const char *custom_domain; /* of DOMAIN_CUSTOM */
};

const struct op_info *op_info(enum op_id op);

/* OP_NONE: no row. domain as in files ("" and "ai.onnx" are the same). */
enum op_id op_find(struct slice domain, struct slice name);

/* NULL: DOMAIN_CUSTOM, whose rows have their own. */
const char *op_domain_name(enum op_domain domain);
const char *op_domain_of(const struct op_info *op);
/* A domain of ONNX's or ours. */
bool op_domain_is_known(struct slice domain);

/* Appends a row, which outlives all use of it; its number is OP_COUNT_ + the count before.
   Before any graph is made, by one thread, and at most OP_CUSTOM_MAX times. */
void op_register(const struct op_info *row);
int op_custom_count(void);
