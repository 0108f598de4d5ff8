/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tfs.h -- what TensorFlow Serving says of models, on either wire
 *
 * Life of a request: listen -> [PIN A VERSION -> DECODE] -> signature check -> ...
 *
 * Ownership: all memory is the arena given. Threads: the request's.
 */
#pragma once

#include "server/request.h"

#define TFS_METHOD_PREDICT "tensorflow/serving/predict"
#define TFS_METHOD_CLASSIFY "tensorflow/serving/classify"
#define TFS_METHOD_REGRESS "tensorflow/serving/regress"

/* Says of a model, version or label that was not found what clients look for. err is that
   of registry_acquire() or request_pin(), rc its code; returns what it is now. */
enum err_code tfs_not_found(
	enum err_code rc, struct slice model, const struct version_spec *spec, struct err *err);

/* The versions that a status lists, newest first: all, or the one of spec's number; a label
   does not narrow it down. NOT_FOUND: there is none. */
MUST_CHECK enum err_code tfs_versions(struct registry *r, struct slice model,
	const struct version_spec *spec, struct arena *arena, struct version_status **ret,
	int *ret_n, struct err *err);
