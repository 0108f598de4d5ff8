/* SPDX-License-Identifier: Apache-2.0 */
/*
 * native.h -- a compiled model in one file: the graph after its passes, its weights, and
 * what kernels have made of them
 *
 * Life of a version: watch -> [LOAD] -> check -> warm -> ...
 *
 * signetctl compile writes it, the loader reads it at the speed of the disk: nothing is
 * parsed but the graph, weights lie ready aligned, and packed weights are taken as they are
 * where processor and libraries are those they were packed for. Elsewhere the portable
 * weights are packed anew. Every byte that is used is covered by a checksum, every offset
 * and count is checked once. native_format.h has the format.
 *
 * Ownership: the graph and its weights live in the arena given; packed weights in memory
 *            that the arena frees, so packs must go before it.
 * Threads:   one, and the pool's while it reads.
 */
#pragma once

#include "base/buf.h"
#include "base/file.h"
#include "exec/backend.h"
#include "exec/run/pool.h"
#include "loader/version.h"

struct native_model {
	struct graph *graph;
	const struct metadata_prop *prop;
	int n_prop;
	enum precision precision; /* what its passes were allowed */
};

struct native_conf {
	const struct backend *backend; /* whose machine text packed weights are for */
	struct packs *packs;	       /* (optional) get what the file has */
	struct choices *choices;       /* (optional) likewise */
	struct pool *pool;	       /* (optional) helps to read */
	/* Leave weights in the file that the packs have; packs fetch them if need be. */
	bool packed_only;
	bool may_lend; /* weights need not be written: lent.h */
	size_t memory_bytes_max;       /* 0: no limit */
};

/* file: one component below dirfd. */
MUST_CHECK enum err_code native_read(int dirfd, const char *file, const struct native_conf *conf,
	struct arena *arena, struct native_model *ret, struct err *err);

/* The whole file, for file_write_atomic(). packs, choices: what was packed and chosen when
   the model was warmed here, or NULL. UNIMPLEMENTED: the graph has a constant that is a
   sequence. */
MUST_CHECK enum err_code native_format(const struct native_model *m, const struct native_conf *conf,
	struct file_mem *ret, struct err *err);

/* native_put.c, native_take.c: the graph as bytes, its tensors aside. */
struct native_tensor {
	const struct tensor *t;
	uint64_t offset; /* as the file has it; strings have none */
};

struct native_tensors {
	struct native_tensor *row; /* as they occur in the graph */
	int64_t n;
	uint64_t bytes, source_bytes; /* of WEIGHTS, of SOURCES */
};

/* packs (optional): what they have retired goes to SOURCES. */
MUST_CHECK enum err_code native_collect(const struct graph *g, struct packs *packs,
	struct arena *arena, struct native_tensors *ret, struct err *err);
void native_put_graph(struct buf *b, const struct native_model *m, const struct native_tensors *t);

/* Both sections' bytes. */
struct native_weights {
	struct slice weights, sources;
};

/* Where an offset points to, bytes long; NULL: outside. */
const char *native_weight(const struct native_weights *w, uint64_t offset, uint64_t bytes);

/* bytes and weights must outlive the graph. ret: rows in the arena, for packs. */
MUST_CHECK enum err_code native_take_graph(struct slice bytes, const struct native_weights *weights,
	struct arena *arena, struct native_model *ret, struct native_tensors *ret_tensors,
	struct err *err);
