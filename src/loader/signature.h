/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signature.h -- the typed interface of a version
 *
 * Life of a request: listen -> decode -> [SIGNATURE CHECK] -> batch -> plan -> kernels -> encode
 *
 * "serving_default" is the graph's own interface; others come from the model's
 * configuration or ONNX metadata: a subset of inputs and outputs under names of their
 * own. Each has a program that computes only what its outputs need.
 *
 * Ownership: the version's arena; immutable once published.
 * Threads:   any from then on; before it the loading thread.
 */
#pragma once

#include "exec/infer/ml/ml_params.h"
#include "exec/run/program.h"

#define SIGNATURE_DEFAULT "serving_default"

struct signature_io {
	const char *name;  /* in requests */
	const char *value; /* in the graph */
	struct type type;
	struct shape shape;  /* dimensions: numbers, or DIM_UNKNOWN, or DIM_SYMBOL(i) */
	const char *dim_name[RANK_MAX]; /* NULL, or the symbol's name */
	bool optional;
	int32_t slot; /* its place among the graph's inputs or outputs */
	/* Names of the last dimension's indices: of an output that the model puts into maps
	   (ZipMap), which are served as the tensor of their values. n 0: none. */
	struct ml_labels labels;
};

struct signature {
	const char *name;
	struct signature_io *in, *out;
	int n_in, n_out;
	struct program *program;

	/* Set at warm-up. batchable: dimension 0 of every input and output is one and the
	   same number of rows, and a batch was shown to give, row for row, what single
	   requests give. If not, why says so, in words for a log line. */
	bool batchable;
	const char *why_not_batchable;
	int max_batch; /* rows; 1 when not batchable */
	/* Rows of the batch that is best for a row's time: larger ones leave the caches.
	   0: max_batch. */
	int part_rows;
	int64_t *latency_ns; /* [0 .. max_batch]: learnt time of a batch of n rows, filled by
	                        interpolation between the sizes tried; NULL before warm-up */

	int32_t *rows_as; /* [0 .. max_batch]: how many rows a batch of n is run as, where sizes
	                     share plans; NULL: as it is */

	void *queue; /* the server's batcher; set before publish by repo_hooks */
};

/* Rows of one run, where max_batch is the most: no more than are best for a row's time. */
static inline int signature_part_rows(const struct signature *s, int max_batch)
{
	return s->part_rows > 0 && s->part_rows < max_batch ? s->part_rows : max_batch;
}

/* Inputs of a request against the signature, in the signature's order (in[i].data NULL:
   absent). Exact messages: "input 'x': dimension 1 is 5, signature says 64". Sets
   *ret_rows: dimension 0 when batchable, else 1. */
MUST_CHECK enum err_code signature_check(const struct signature *s, const struct tensor *in,
	int64_t *ret_rows, struct err *err);

/* May requests name it? They carry tensors, and inputs may be left out; no protocol has a
   form for a sequence, a map or an output that is perhaps there. UNIMPLEMENTED names it. */
MUST_CHECK enum err_code signature_check_carried(const struct signature *s, struct err *err);

/* -1 when there is none. */
int signature_find_in(const struct signature *s, struct slice name);
int signature_find_out(const struct signature *s, struct slice name);

/* Would callers of `old` break with `new`? NULL: no; else the first break in words
   ("input 'x' is gone", "output 'y' was float32 and is int64"). In buf. */
const char *signature_break(const struct signature *old, const struct signature *new, char *buf,
	size_t size);
