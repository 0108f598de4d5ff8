/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tfs_spec.h -- ModelSpec: which model, version and signature a call is about
 *
 * Life of a request: listen -> [PIN A VERSION -> DECODE] -> signature check -> ...
 *
 * Every message of TensorFlow Serving's services has one, every reply gives it back with
 * the version that answered.
 *
 * Memory: the request's arena. Threads: one.
 */
#pragma once

#include "server/grpc/rpc_state.h"

#define TFS_NAME_MAX 1024

/* Of every map. */
enum { TFS_KEY = 1, TFS_VALUE };

struct tfs_spec {
	bool given;
	struct slice model, signature;
	struct version_spec version;
};

/* INVALID_ARGUMENT, for every message that cannot be read. */
enum err_code tfs_malformed(struct err *err, const char *message);

/* The value of a field that was just read; what is wrong with it stands in w. */
void tfs_spec_read(struct wire *w, enum wire_type type, struct arena *arena, struct tfs_spec *ret);

/* INVALID_ARGUMENT: there is none, or it names no model. */
MUST_CHECK enum err_code tfs_spec_check(const struct tfs_spec *s, struct err *err);

/* Checks, and pins the call's request; errors are the original's. */
MUST_CHECK enum err_code tfs_spec_pin(
	struct rpc_call *c, const struct tfs_spec *s, struct err *err);

/* As above for a signature of the version that is pinned. */
MUST_CHECK enum err_code tfs_spec_pick(struct rpc_call *c, struct slice signature, struct err *err);

/* The request's version and, if there is one, signature. */
void tfs_spec_put(
	struct buf *b, uint32_t field, const struct version *v, const struct signature *sig);
