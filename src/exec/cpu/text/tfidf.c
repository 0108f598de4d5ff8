/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TfIdfVectorizer: how often each of a list of n-grams occurs in a row of words or numbers
 *
 * The n-grams are a trie over the distinct items of the pool, whose edges are in a hash
 * table, so that one walk from a place in the row meets all n-grams that begin there. An
 * n-gram may skip: its items are then 2, 3, ... max_skip_count + 1 apart, all alike.
 */
#include "exec/cpu/cpu.h"

#include <string.h>
#include "base/hash.h"
#include "exec/cpu/text/words.h"

#define ROOT 0
#define NOTHING (-1)

struct edge {
	int32_t node, word, child; /* child 0: a free place */
};

enum tfidf_mode { MODE_TF, MODE_IDF, MODE_TFIDF };

struct tfidf_state {
	struct split split; /* of rows */
	struct words words;
	struct edge *edge;
	uint32_t mask;
	int32_t n_node;
	int32_t *ngram; /* per node: the n-gram that ends there, or NOTHING */
	const int64_t *index; /* per n-gram: its place in the output */
	const float *weight;  /* NULL: all 1 */
	enum tfidf_mode mode;
	int64_t min_length, max_length, max_skip, row, width;
};

/* -- making the trie --------------------------------------------------------------------------- */

static struct edge *find_edge(const struct tfidf_state *s, int32_t node, int32_t word)
{
	uint32_t at = (uint32_t)hash_mix((uint64_t)node << 32 | (uint32_t)word, 0) & s->mask;
	while (s->edge[at].child && (s->edge[at].node != node || s->edge[at].word != word))
		at = (at + 1) & s->mask;
	return &s->edge[at];
}

/* The n-gram that ends where this one does; NOTHING: there was none, and now it is this. */
static int32_t
add_ngram(struct tfidf_state *s, const struct slice *item, int length, int32_t number)
{
	int32_t node = ROOT;
	for (int i = 0; i < length; i++) {
		int32_t word = words_find(&s->words, item[i]);
		struct edge *e = find_edge(s, node, word);
		if (!e->child)
			*e = (struct edge){ node, word, ++s->n_node };
		node = e->child;
	}
	int32_t other = s->ngram[node];
	if (other == NOTHING)
		s->ngram[node] = number;
	return other;
}

/* The pool's items as keys: strings, or the bytes of integers. */
static const struct slice *pool_items(struct prep *p, int32_t *ret_n)
{
	const struct attr *words = node_attr(p->node, "pool_strings");
	*ret_n = words ? words->n : 0;
	if (words)
		return words->strings;
	const int64_t *ints = node_ints(p->node, "pool_int64s", ret_n);
	struct slice *item = prep_alloc(p, (size_t)*ret_n * sizeof(*item));
	for (int32_t i = 0; item && i < *ret_n; i++)
		item[i] = (struct slice){ (const char *)&ints[i], sizeof(ints[i]) };
	return item;
}

static enum err_code make_trie(struct tfidf_state *s, struct prep *p, struct err *err)
{
	int32_t n_item, n_count, number = 0;
	const int64_t *count = node_ints(p->node, "ngram_counts", &n_count);
	const struct slice *item = pool_items(p, &n_item);
	uint32_t places = 4;
	while (places < 2 * (uint32_t)n_item)
		places *= 2;
	s->mask = places - 1;
	s->edge = prep_alloc(p, places * sizeof(*s->edge));
	s->ngram = prep_alloc(p, ((size_t)n_item + 1) * sizeof(*s->ngram));
	if (!item || !s->edge || !s->ngram)
		return err_oom(err);
	for (int32_t i = 0; i <= n_item; i++)
		s->ngram[i] = NOTHING;
	TRY(words_init(&s->words, p, item, n_item, err));
	for (int32_t i = 0; i < n_count; i++) {
		int64_t end = i + 1 < n_count ? count[i + 1] : n_item;
		bool wanted = i + 1 >= s->min_length && i + 1 <= s->max_length;
		for (int64_t at = count[i]; at < end; at += i + 1, number++) {
			int32_t other = wanted ? add_ngram(s, item + at, i + 1, number) : NOTHING;
			if (other != NOTHING)
				return prep_fail(p, err, ERR_INVALID_ARGUMENT,
					"n-gram %d of the pool is the same as n-gram %d", number,
					other);
		}
	}
	return ERR_OK;
}

/* -- counting ---------------------------------------------------------------------------------- */

static void score(const struct tfidf_state *s, int32_t ngram, float *out)
{
	float weight = s->weight && s->mode != MODE_TF ? s->weight[ngram] : 1;
	if (s->mode == MODE_IDF)
		out[s->index[ngram]] = weight;
	else
		out[s->index[ngram]] += weight;
}

/* All n-grams of at least that length that begin at one place. */
static void walk_from(const struct tfidf_state *s, const int32_t *word, int64_t at, int64_t step,
	int64_t least, float *out)
{
	int32_t node = ROOT;
	for (int64_t length = 1; length <= s->max_length && at < s->row; length++, at += step) {
		node = word[at] < 0 ? ROOT : find_edge(s, node, word[at])->child;
		if (node == ROOT)
			return;
		if (length >= least && s->ngram[node] != NOTHING)
			score(s, s->ngram[node], out);
	}
}

static void count_row(const struct tfidf_state *s, const int32_t *word, float *out)
{
	int64_t least = s->min_length;
	for (int64_t step = 1; step <= s->max_skip + 1; step++) {
		for (int64_t at = 0; at < s->row; at++)
			walk_from(s, word, at, step, least, out);
		/* A single item skips nothing: it counts once. */
		least = least > 1 ? least : 2;
		if (least > s->max_length)
			return;
	}
}

static int32_t word_at(const struct tfidf_state *s, const struct tensor *x, int64_t i)
{
	if (x->dtype == DTYPE_STRING)
		return words_find(&s->words, ((const struct slice *)x->data)[i]);
	int64_t v = tensor_int(x, i);
	return words_find(&s->words, (struct slice){ (const char *)&v, sizeof(v) });
}

static void run_tfidf(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct tfidf_state *s = a->state;
	int32_t *word = a->scratch;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t row = from; row < to; row++) {
		float *out = (float *)a->out[0].data + row * s->width;
		for (int64_t i = 0; i < s->row; i++)
			word[i] = word_at(s, &a->in[0], row * s->row + i);
		memset(out, 0, (size_t)s->width * sizeof(*out));
		count_row(s, word, out);
	}
}

enum err_code prepare_tf_idf(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *x = &p->in[0].shape;
	const struct attr *weights = node_attr(p->node, "weights");
	struct slice mode = node_string(p->node, "mode", "");
	struct tfidf_state *s = kernel_state(p, ret, sizeof(*s));
	int32_t n;
	if (!s)
		return err_oom(err);
	s->row = x->dim[x->rank - 1];
	s->width = p->out[0].shape.dim[x->rank - 1];
	s->mode = slice_is(mode, "TF") ? MODE_TF : slice_is(mode, "IDF") ? MODE_IDF : MODE_TFIDF;
	s->min_length = node_int(p->node, "min_gram_length", 0);
	s->max_length = node_int(p->node, "max_gram_length", 0);
	/* Steps longer than the row lead out of it. */
	s->max_skip = min_i64(node_int(p->node, "max_skip_count", 0), s->row);
	s->index = node_ints(p->node, "ngram_indexes", &n);
	s->weight = weights ? weights->floats : NULL;
	s->split = split_work(p, ret, shape_count_range(x, 0, x->rank - 1),
		(double)(s->row * (s->max_skip + 1)) * 20 + (double)s->width / 4);
	ret->scratch_bytes = (size_t)s->row * sizeof(int32_t);
	ret->run = run_tfidf;
	return make_trie(s, p, err);
}
