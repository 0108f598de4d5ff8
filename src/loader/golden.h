/* SPDX-License-Identifier: Apache-2.0 */
/*
 * golden.h -- examples that come with a version and that it has to answer right
 *
 * Life of a version: ... -> compile -> [WARM] -> publish -> ...
 *
 * In the version's directory, as in ONNX test cases, for serving_default:
 *
 *     golden/input_0.pb  golden/output_0.pb        one example, or
 *     golden/NAME/input_0.pb ...                   one a folder
 *     warmup/...                                   the same; outputs may be left out
 *
 * The i of input_i is the place in the signature, unless the tensor has the name of one.
 *
 * Threads: the loading thread. Memory: an arena of its own, gone afterwards.
 */
#pragma once

#include "loader/version.h"

#define GOLDEN_CASES_MAX 64

/* FAILED_PRECONDITION: an answer is wrong; the message names example, output and element.
   *ret_n: how many there were. */
MUST_CHECK enum err_code golden_check(int dirfd, const struct version *v,
	const struct version_conf *conf, int *ret_n, struct err *err);
