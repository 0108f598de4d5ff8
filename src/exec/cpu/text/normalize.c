/* SPDX-License-Identifier: Apache-2.0 */
/*
 * StringNormalizer: drops stop words, then changes the case of the rest
 *
 * Case is changed character by character, by the C library's tables for a locale. en_US, the
 * default, is taken from C.UTF-8, which every glibc has and which maps the same; another
 * locale must be installed, since Turkish, say, maps otherwise.
 */
#include "exec/cpu/cpu.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <wctype.h>
#include "base/utf8.h"
#include "exec/cpu/text/words.h"

enum change { CHANGE_NONE, CHANGE_LOWER, CHANGE_UPPER };

struct normalize_state {
	struct words stop; /* in lower case, if that does not matter */
	enum change change;
	bool any_case;
	locale_t locale;
};

/* -- case -------------------------------------------------------------------------------------- */

/* A character's other case takes at most twice its bytes. */
#define CASE_GROWTH 2

static size_t change_case(
	const struct normalize_state *s, enum change change, struct slice from, char *to)
{
	size_t len = 0;
	for (size_t at = 0, n; at < from.len; at += n) {
		uint32_t c;
		n = utf8_decode(from.ptr + at, from.len - at, &c);
		if (n == 0) { /* no UTF-8: stays as it is */
			n = 1;
			to[len++] = from.ptr[at];
			continue;
		}
		wint_t other = change == CHANGE_LOWER ? towlower_l((wint_t)c, s->locale)
						      : towupper_l((wint_t)c, s->locale);
		len += utf8_encode((uint32_t)other, to + len);
	}
	return len;
}

static void free_locale(void *ctx)
{
	freelocale((locale_t)ctx);
}

static enum err_code open_locale(struct normalize_state *s, struct prep *p, struct err *err)
{
	struct slice name = node_string(p->node, "locale", "en_US");
	bool plain = name.len == 0 || (name.len >= 5 && memcmp(name.ptr, "en_US", 5) == 0);
	char *copy = arena_strndup(p->tmp, name.ptr, name.len);
	if (!copy)
		return err_oom(err);
	s->locale = newlocale(LC_CTYPE_MASK, plain ? "C.UTF-8" : copy, (locale_t)0);
	if (!s->locale)
		return prep_fail(p, err, ERR_FAILED_PRECONDITION,
			"locale '%.80s' is not installed on this machine",
			plain ? "C.UTF-8" : copy);
	if (prep_defer(p, free_locale, s->locale) == ERR_OK)
		return ERR_OK;
	freelocale(s->locale);
	return err_oom(err);
}

/* -- stop words -------------------------------------------------------------------------------- */

static enum err_code read_stop_words(struct normalize_state *s, struct prep *p, struct err *err)
{
	const struct attr *given = node_attr(p->node, "stopwords");
	int32_t n = given ? given->n : 0;
	struct slice *word = prep_alloc(p, (size_t)n * sizeof(*word));
	if (!word)
		return err_oom(err);
	for (int32_t i = 0; i < n; i++) {
		word[i] = given->strings[i];
		if (!s->any_case)
			continue;
		char *low = prep_alloc(p, CASE_GROWTH * word[i].len);
		if (!low)
			return err_oom(err);
		word[i] = (struct slice){ low, change_case(s, CHANGE_LOWER, word[i], low) };
	}
	return words_init(&s->stop, p, word, n, err);
}

/* Room for the other case of any of the strings; NULL: a fault. */
static char *new_room(const struct kernel_args *a, const struct slice *text, int64_t n)
{
	size_t longest = 0;
	for (int64_t i = 0; i < n; i++)
		longest = text[i].len > longest ? text[i].len : longest;
	char *room = arena_alloc(a->arena, CASE_GROWTH * longest + 1);
	if (!room)
		kernel_fault(a, FAULT_MEMORY, (int64_t)(CASE_GROWTH * longest));
	return room;
}

static bool is_stop_word(const struct normalize_state *s, struct slice text, char *room)
{
	if (s->stop.n && s->any_case)
		text = (struct slice){ room, change_case(s, CHANGE_LOWER, text, room) };
	return s->stop.n && words_find(&s->stop, text) >= 0;
}

/* -- running ----------------------------------------------------------------------------------- */

static struct slice changed(const struct kernel_args *a, struct slice text, char *room)
{
	const struct normalize_state *s = a->state;
	if (s->change == CHANGE_NONE)
		return text;
	size_t len = change_case(s, s->change, text, room);
	char *copy = arena_strndup(a->arena, room, len);
	if (!copy)
		kernel_fault(a, FAULT_MEMORY, (int64_t)len);
	return (struct slice){ copy, copy ? len : 0 };
}

static void run_normalize(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct normalize_state *s = a->state;
	const struct tensor *x = &a->in[0];
	const struct slice *text = x->data;
	int64_t n = tensor_count(x), kept = 0, at = 0;
	char *room = new_room(a, text, n);
	(void)begin, (void)end;
	for (int64_t i = 0; room && i < n; i++)
		kept += !is_stop_word(s, text[i], room);
	struct shape shape = x->shape;
	shape.dim[0] = 1;
	shape.dim[shape.rank - 1] = kept ? kept : 1;
	struct slice *to = room ? kernel_output(a, 0, DTYPE_STRING, &shape) : NULL;
	if (to && !kept)
		to[0] = (struct slice){ "", 0 };
	for (int64_t i = 0; to && i < n; i++)
		if (!is_stop_word(s, text[i], room))
			to[at++] = changed(a, text[i], room);
}

enum err_code prepare_string_normalizer(struct prep *p, struct kernel *ret, struct err *err)
{
	struct normalize_state *s = kernel_state(p, ret, sizeof(*s));
	struct slice change = node_string(p->node, "case_change_action", "NONE");
	if (!s)
		return err_oom(err);
	s->change = slice_is(change, "LOWER") ? CHANGE_LOWER : slice_is(change, "UPPER")
		? CHANGE_UPPER : CHANGE_NONE;
	s->any_case = node_int(p->node, "is_case_sensitive", 0) == 0;
	TRY(open_locale(s, p, err));
	TRY(read_stop_words(s, p, err));
	ret->run = run_normalize;
	return ERR_OK;
}
