/* SPDX-License-Identifier: Apache-2.0 */
/*
 * onednn_op.h -- inside of an op: for the files of this folder only
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...
 *
 * onednn_op_new() gives an empty op, its maker puts a primitive descriptor into it, and
 * onednn_op_finish() makes the rest. See onednn.c for the design.
 *
 * Ownership: the plan's; freed with it, however far an op got.
 * Threads:   an op is made by one thread; onednn_run() is for any number.
 */
#pragma once

#include <stdatomic.h>

#include "exec/cpu/onednn/onednn_compat.h"

#define ONEDNN_SLOTS_MAX 64       /* bits of a mask */
#define ONEDNN_WEIGHTS_RANK_MAX 6 /* group, O, I, D, H, W */

enum onednn_port { PORT_SRC, PORT_WEIGHTS, PORT_BIAS, PORT_DST, PORT_SCRATCH, PORT_COUNT_ };

/* The handles that one call needs. */
struct onednn_slot {
	dnnl_stream_t stream;
	dnnl_memory_t mem[PORT_COUNT_]; /* NULL: the op has no such port */
};

struct onednn_op {
	dnnl_primitive_desc_t pd;
	dnnl_primitive_t primitive;
	onednn_md_ref md[PORT_COUNT_]; /* pd's own; NULL: the op has no such port */
	int64_t weights_dim[ONEDNN_WEIGHTS_RANK_MAX];
	int weights_rank;
	dnnl_format_tag_t weights_tag; /* of ONNX's form */
	_Atomic uint64_t taken, ready;
	struct onednn_slot slot[ONEDNN_SLOTS_MAX];
};

/* The processor's one engine, or NULL. Says, too, that this thread wants no others beside it. */
dnnl_engine_t onednn_engine(void);

MUST_CHECK enum err_code onednn_op_new(struct prep *p, struct onednn_op **ret, struct err *err);
/* Of an op with its pd: the primitive, what its ports are, the first slot. */
MUST_CHECK enum err_code onednn_op_finish(struct onednn_op *op, struct err *err);

/* What every op wants: a scratchpad that is the caller's. The caller destroys *ret, which is
   NULL or one even if this fails. */
bool onednn_attr_new(dnnl_primitive_attr_t *ret);

dnnl_data_type_t onednn_type(bool bf16);
bool onednn_image_md(onednn_md *d, const struct onednn_image *i);
