/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oip.h -- what the Open Inference Protocol says of tensors, on either wire
 *
 * Life of a request: listen -> [DECODE] -> signature check -> batch -> ... -> [ENCODE]
 *
 * Ownership: all memory is the request's arena. Threads: the request's.
 */
#pragma once

#include "server/regions.h"
#include "server/request.h"

/* The client's name for a request: short, and nothing that spoils a log. */
bool oip_id_is_clean(struct slice id);

struct oip_input {
	struct slice name, datatype;
	struct shape shape;
};

/* The request's tensor of this name, with type and shape set, still without data. */
MUST_CHECK enum err_code oip_place_input(
	struct request *r, const struct oip_input *in, struct tensor **ret, struct err *err);

/* t gets its data from raw bytes, which are the request's to change: used where they lie
   when they are aligned. Strings stay where they are. */
MUST_CHECK enum err_code oip_take_raw(struct arena *arena, struct slice bytes, struct tensor *t,
	struct slice name, struct err *err);

/* Marks an output as wanted; *ret: its index in the signature. */
MUST_CHECK enum err_code oip_want_output(
	struct request *r, struct slice name, int *ret, struct err *err);

/* t gets its data from a window of shared memory. */
MUST_CHECK enum err_code oip_take_region(struct request *r, struct regions *all,
	const struct region_window *w, struct tensor *t, struct slice name, struct err *err);

/* A tensor in raw form. Strings: each its length in four bytes, then itself. */
MUST_CHECK enum err_code oip_raw(
	struct request *r, const struct tensor *t, struct slice *ret, struct err *err);

/* Where an output goes that is not to be in the reply. */
struct oip_target {
	struct region *region; /* NULL: it is in the reply */
	struct region_window window;
};

/* The window that parameters name, if they do, is there and stays until the reply is out. */
MUST_CHECK enum err_code oip_aim(struct request *r, struct regions *all,
	const struct region_window *w, struct oip_target *ret, struct err *err);

/* Output `out`, in raw form, to where it goes. */
MUST_CHECK enum err_code oip_store(struct request *r, int out, struct slice raw,
	const struct oip_target *to, struct err *err);

/* A parameter of a repository's load: a model is loaded as it lies there. UNIMPLEMENTED: the
   client brings files or a configuration of its own. */
MUST_CHECK enum err_code oip_check_load(struct slice key, struct err *err);

/* Classification extension: output `out`, [batch, n], becomes strings [batch, k]. */
MUST_CHECK enum err_code oip_classify(
	struct request *r, int out, struct tensor *t, int64_t k, struct err *err);

/* CUDA's shared memory: why it is refused. */
enum err_code oip_refuse_cuda(struct err *err);
