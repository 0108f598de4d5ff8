/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scores.h -- outputs of a signature as what Classify and Regress answer
 *
 * Life of a request: listen -> [DECODE] -> signature check -> ... -> [ENCODE]
 *
 * Any signature can classify that has scores: the output named "scores", or else the only
 * one of floats with two dimensions, [batch, classes]. Labels of the classes are the output
 * "classes", or "labels", of strings or integers with the same shape; or those of the scores
 * themselves (ZipMap's); without them labels are empty, as with TensorFlow Serving. One with
 * classes and no scores has scores of 0. Any signature can regress whose output "outputs", or else
 * whose only output of floats, has one value per example: [batch] or [batch, 1].
 *
 * Memory: the request's arena. Threads: one.
 */
#pragma once

#include "server/request.h"

struct scores {
	int scores, classes; /* outputs; -1: none */
	int64_t k;           /* classes of an example, when it has been computed */
};

/* Chooses outputs by the signature and marks them as wanted. INVALID_ARGUMENT: it cannot
   classify, or regress; the value is in *ret's scores then. */
MUST_CHECK enum err_code scores_want_classes(
	struct request *r, struct scores *ret, struct err *err);
MUST_CHECK enum err_code scores_want_value(struct request *r, struct scores *ret, struct err *err);

/* What was computed has the shape that it must have for n examples. Sets k. */
MUST_CHECK enum err_code scores_check_classes(
	const struct request *r, struct scores *s, int64_t n, struct err *err);
MUST_CHECK enum err_code scores_check_value(
	const struct request *r, struct scores *s, int64_t n, struct err *err);

/* The i-th of n * k: score or value, and label. A number's label is its digits, in text. */
float scores_score(const struct request *r, const struct scores *s, int64_t i);
#define SCORES_LABEL_MAX 24
struct slice scores_label(
	const struct request *r, const struct scores *s, int64_t i, char text[SCORES_LABEL_MAX]);
