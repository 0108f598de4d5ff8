/* SPDX-License-Identifier: Apache-2.0 */
/*
 * infer_text.c -- operators on strings, and TfIdfVectorizer, which counts them
 */
#include "exec/infer/infer.h"

#include <inttypes.h>

enum err_code infer_string_concat(struct infer *x, struct err *err)
{
	struct shape s;
	TRY(infer_want_one_type(x, 0, T(STRING), err));
	TRY(infer_broadcast(x, 0, &s, err));
	infer_set(x, 0, DTYPE_STRING, &s);
	return ERR_OK;
}

enum err_code infer_string_split(struct infer *x, struct err *err)
{
	struct shape s = x->in[0]->shape;
	TRY(infer_want_type(x, 0, T(STRING), err));
	TRY(infer_want_rank(x, 0, 0, RANK_MAX - 1, err));
	infer_set(x, 1, DTYPE_I64, &s);
	if (s.rank >= 0)
		s.dim[s.rank++] = DIM_UNKNOWN;
	infer_set(x, 0, DTYPE_STRING, &s);
	return ERR_OK;
}

enum err_code infer_tokenizer(struct infer *x, struct err *err)
{
	struct shape s = x->in[0]->shape;
	int32_t n = 0;
	const struct slice *separator = node_strings(x->node, "separators", &n);
	bool characters = n == 1 && separator[0].len == 0;
	TRY(infer_want_type(x, 0, T(STRING), err));
	TRY(infer_want_rank(x, 0, 1, 2, err));
	TRY(infer_want_int(x, "mincharnum", 1, 1, characters ? 1 : INT32_MAX, err));
	if (n == 0 && node_string(x->node, "tokenexp", "").len == 0)
		return infer_fail(x, err, "it must have separators or tokenexp");
	if (s.rank >= 0)
		s.dim[s.rank++] = DIM_UNKNOWN;
	infer_set(x, 0, DTYPE_STRING, &s);
	return ERR_OK;
}

enum err_code infer_regex_full_match(struct infer *x, struct err *err)
{
	TRY(infer_want_type(x, 0, T(STRING), err));
	infer_set(x, 0, DTYPE_BOOL, &x->in[0]->shape);
	return ERR_OK;
}

enum err_code infer_string_normalizer(struct infer *x, struct err *err)
{
	struct shape s = x->in[0]->shape;
	struct slice change = node_string(x->node, "case_change_action", "NONE");
	TRY(infer_want_type(x, 0, T(STRING), err));
	TRY(infer_want_rank(x, 0, 1, 2, err));
	TRY(infer_want_int(x, "is_case_sensitive", 0, 0, 1, err));
	if (!slice_is(change, "NONE") && !slice_is(change, "LOWER") && !slice_is(change, "UPPER"))
		return infer_fail(x, err,
			"case_change_action is '%.*s', it must be NONE, LOWER or UPPER",
			SLICE_ARG(change));
	if (s.rank == 2 && dim_conflict(s.dim[0], 1))
		return infer_fail(
			x, err, "input 0 is %s, it must be a list or have one row", SHAPE_TEXT(&s));
	if (s.rank > 0) {
		s.dim[0] = s.rank == 2 ? 1 : DIM_UNKNOWN;
		s.dim[s.rank - 1] = DIM_UNKNOWN;
	}
	infer_set(x, 0, DTYPE_STRING, &s);
	return ERR_OK;
}

/* -- TfIdfVectorizer --------------------------------------------------------------------------- */

/* Exactly one pool, of the input's kind; its length. */
static enum err_code check_pool(const struct infer *x, int32_t *ret_n, struct err *err)
{
	const struct attr *ints = node_attr(x->node, "pool_int64s"),
			  *words = node_attr(x->node, "pool_strings");
	if (!ints == !words)
		return infer_fail(x, err, "it must have one of pool_int64s and pool_strings");
	TRY(infer_want_type(x, 0, ints ? T(I32) | T(I64) : T(STRING), err));
	*ret_n = ints ? ints->n : words->n;
	return ERR_OK;
}

/* The n-grams of each length fill their part of the pool; how many there are. */
static enum err_code count_ngrams(
	const struct infer *x, int32_t pool, int64_t *ret_n, struct err *err)
{
	int32_t n_count;
	const int64_t *count = node_ints(x->node, "ngram_counts", &n_count);
	*ret_n = 0;
	for (int32_t i = 0; i < n_count; i++) {
		int64_t end = i + 1 < n_count ? count[i + 1] : pool;
		if (count[i] < 0 || count[i] > end || end > pool || (end - count[i]) % (i + 1) != 0)
			return infer_fail(x, err,
				"ngram_counts[%d] is %" PRId64
				": the %d-grams do not fill [%" PRId64 ",%" PRId64
				") of a pool of %d",
				i, count[i], i + 1, count[i], end, pool);
		*ret_n += (end - count[i]) / (i + 1);
	}
	if (n_count == 0 || count[0] != 0)
		return infer_fail(x, err, "ngram_counts must begin with 0");
	return ERR_OK;
}

static enum err_code output_width(
	const struct infer *x, int64_t ngrams, int64_t *ret, struct err *err)
{
	int32_t n, n_weight;
	const int64_t *index = node_ints(x->node, "ngram_indexes", &n);
	if (n != ngrams || n == 0)
		return infer_fail(
			x, err, "ngram_indexes has %d entries for %" PRId64 " n-grams", n, ngrams);
	const struct attr *weights = node_attr(x->node, "weights");
	n_weight = weights ? weights->n : n;
	if (n_weight != n)
		return infer_fail(x, err, "weights has %d entries for %d n-grams", n_weight, n);
	*ret = 0;
	for (int32_t i = 0; i < n; i++) {
		if (index[i] < 0 || index[i] >= INT32_MAX)
			return infer_fail(x, err, "ngram_indexes[%d] is %" PRId64, i, index[i]);
		*ret = index[i] >= *ret ? index[i] + 1 : *ret;
	}
	return ERR_OK;
}

enum err_code infer_tf_idf(struct infer *x, struct err *err)
{
	struct shape s = x->in[0]->shape;
	struct slice mode = node_string(x->node, "mode", "");
	int32_t pool, n_count;
	int64_t ngrams, width = 0;
	TRY(check_pool(x, &pool, err));
	TRY(infer_want_rank(x, 0, 1, 2, err));
	TRY(count_ngrams(x, pool, &ngrams, err));
	TRY(output_width(x, ngrams, &width, err));
	(void)node_ints(x->node, "ngram_counts", &n_count);
	TRY(infer_want_int(x, "min_gram_length", 0, 1, n_count, err));
	TRY(infer_want_int(
		x, "max_gram_length", 0, node_int(x->node, "min_gram_length", 0), n_count, err));
	TRY(infer_want_int(x, "max_skip_count", 0, 0, INT64_MAX, err));
	if (!slice_is(mode, "TF") && !slice_is(mode, "IDF") && !slice_is(mode, "TFIDF"))
		return infer_fail(
			x, err, "mode is '%.*s', it must be TF, IDF or TFIDF", SLICE_ARG(mode));
	if (s.rank > 0)
		s.dim[s.rank - 1] = width;
	infer_set(x, 0, DTYPE_F32, &s);
	return ERR_OK;
}
