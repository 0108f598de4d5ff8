/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signet/op.h -- operators of your own: the interface of libraries for --op-library
 *
 * A library exports one function, signet_op_library(), that gives a table of operators. Three
 * moments, as for signetd's own: infer says what types and shapes an operator makes of its
 * inputs (when a model is loaded, where dimensions may be unknown, and again when they are
 * numbers), prepare chooses how to compute them (once for each set of input shapes), run
 * computes. What can fail fails in infer or prepare; run cannot fail, and must not allocate,
 * lock or wait: it is on the way of every request.
 *
 * Ownership: the table and all it points at live as long as the process. What the host hands
 *            out is good until the call returns, but for alloc()'s memory, which lives as
 *            long as the prepared kernel.
 * Threads:   infer and prepare may be called by several threads at once for different nodes,
 *            run by several at once for disjoint ranges of one.
 *
 * The interface is as stable as its number: a library says by which it was built, and signetd
 * refuses any other.
 */
#ifndef SIGNET_OP_H
#define SIGNET_OP_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SIGNET_OP_ABI 1
#define SIGNET_OP_IO_MAX 32    /* inputs, and outputs, of an operator */
#define SIGNET_OP_RANK_MAX 12
#define SIGNET_OP_TYPES 8

/* Element types, by ONNX's numbers; bools are bytes of 0 or 1. */
enum signet_type {
	SIGNET_FLOAT = 1,
	SIGNET_UINT8 = 2,
	SIGNET_INT8 = 3,
	SIGNET_UINT16 = 4,
	SIGNET_INT16 = 5,
	SIGNET_INT32 = 6,
	SIGNET_INT64 = 7,
	SIGNET_BOOL = 9,
	SIGNET_FLOAT16 = 10,
	SIGNET_DOUBLE = 11,
	SIGNET_UINT32 = 12,
	SIGNET_UINT64 = 13,
	SIGNET_BFLOAT16 = 16,
};
#define SIGNET_TYPE(type) (UINT64_C(1) << (type))

/* Dense, row-major. */
struct signet_tensor {
	void *data;         /* NULL: absent; in infer and prepare also: not known before run */
	int32_t type;       /* 0: absent, or not known yet */
	int32_t rank;       /* -1: not known yet */
	const int64_t *dim; /* negative: not known yet; equal negative ones are equal dimensions */
};

enum signet_attr_kind { SIGNET_ATTR_INT, SIGNET_ATTR_FLOAT, SIGNET_ATTR_STRING, SIGNET_ATTR_INTS,
	SIGNET_ATTR_FLOATS };

struct signet_op_attr {
	const char *name; /* NULL ends the list */
	int32_t kind;     /* enum signet_attr_kind */
	int32_t required;
};

/* A node of a model; only the host looks inside. */
struct signet_node;

/* What signetd does for a library. A result of attr_*() is the attribute's, or otherwise;
   lists and strings are not ended by a zero. */
struct signet_host {
	uint32_t abi;
	int64_t (*attr_int)(const struct signet_node *node, const char *name, int64_t otherwise);
	float (*attr_float)(const struct signet_node *node, const char *name, float otherwise);
	const char *(*attr_string)(
		const struct signet_node *node, const char *name, size_t *ret_len);
	const int64_t *(*attr_ints)(
		const struct signet_node *node, const char *name, size_t *ret_n);
	const float *(*attr_floats)(
		const struct signet_node *node, const char *name, size_t *ret_n);

	/* infer: output i is of this type and shape. Dimensions may be copied from inputs, the
	   negative ones too; rank -1: not known. While dimensions are numbers, it must be known. */
	void (*set_output)(struct signet_node *node, int32_t i, int32_t type, int32_t rank,
		const int64_t *dim);
	/* infer: the shapes depend on the value of input i, whose data is NULL: call again when it
	   is there, and return 0. */
	void (*need_data)(struct signet_node *node, int32_t i);
	/* infer and prepare: the node is wrong; the message, which reaches whoever loads the model,
	   says why, and the node is put before it. Returns what infer and prepare return then. */
	int32_t (*refuse)(struct signet_node *node, const char *fmt, ...)
		__attribute__((format(printf, 2, 3)));
	/* prepare: zeroed memory, 64-byte aligned. NULL: none left. */
	void *(*alloc)(struct signet_node *node, size_t bytes);
};

struct signet_run {
	const struct signet_tensor *in, *out; /* absent ones have data NULL */
	int32_t n_in, n_out;
	const void *state;  /* what prepare left; shared */
	void *scratch;      /* of this call alone, 64-byte aligned */
	/* The data is wrong (an index out of range, say): the request fails with this number in its
	   message. Nothing may be read or written out of bounds all the same. */
	void (*fault)(const struct signet_run *run, int64_t value);
};

/* Does the units [begin, end) of the kernel's. */
typedef void (*signet_run_fn)(const struct signet_run *run, int64_t begin, int64_t end);

/* What prepare fills in; zeroed before, but for units, which is 1. */
struct signet_kernel {
	signet_run_fn run;
	const void *state;    /* from alloc() */
	size_t scratch_bytes; /* for each thread */
	int64_t units;        /* how finely the work can be split; 1: not at all */
	int64_t unit_cost_ns; /* of one unit, roughly: whether to split at all */
};

struct signet_op {
	/* As models have them; not a domain of ONNX's or signetd's own. */
	const char *domain, *name;
	int32_t since;             /* first opset of the domain that has it */
	int32_t in_min, in_max, out_min, out_max;
	/* What input i may be, as SIGNET_TYPE() | ...; 0: as the one before it. */
	uint64_t in_types[SIGNET_OP_TYPES];
	const struct signet_op_attr *attrs; /* NULL: none */
	/* 0, or refuse()'s result. out_max outputs at most are asked for: n_out. */
	int32_t (*infer)(const struct signet_host *host, struct signet_node *node,
		const struct signet_tensor *in, int32_t n_in, int32_t n_out);
	int32_t (*prepare)(const struct signet_host *host, struct signet_node *node,
		const struct signet_tensor *in, int32_t n_in, const struct signet_tensor *out,
		int32_t n_out, struct signet_kernel *ret);
};

struct signet_op_library {
	uint32_t abi; /* SIGNET_OP_ABI */
	uint32_t n_op;
	const struct signet_op *op;
};

/* The one symbol that a library must have. */
const struct signet_op_library *signet_op_library(void);

#ifdef __cplusplus
}
#endif
#endif
