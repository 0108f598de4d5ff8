/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signature_metadata.h -- signatures that a model's own metadata declares
 *
 * Life of a version: ... -> [LOAD] -> check -> compile -> ...
 *
 * In ONNX metadata_props a signature NAME is two entries:
 *
 *     signet.signature.NAME.inputs  = image=pixels,size
 *     signet.signature.NAME.outputs = probs=softmax_out
 *
 * name in requests = value in the graph; without "=" they are the same. Spaces around
 * names are not part of them.
 *
 * Memory: the version's arena. Threads: one.
 */
#pragma once

#include "loader/version.h"

/* Of which signature a key speaks; len 0: of none. */
struct slice signature_metadata_name(const char *key);

/* What metadata says of the signature NAME; *ret_found false: nothing. */
MUST_CHECK enum err_code signature_metadata_find(const struct version *v, struct slice name,
	struct signature_conf *ret, bool *ret_found, struct err *err);
