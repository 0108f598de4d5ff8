/* SPDX-License-Identifier: Apache-2.0 */
#include "base/conf_block.h"

#include <assert.h>
#include "base/near.h"

const struct conf_section *conf_block_find_section(const struct conf_section *s, struct slice name)
{
	for (; s->name; s++) {
		if (slice_is(name, s->name))
			return s;
	}
	return NULL;
}

const struct conf_option *conf_block_find_option(const struct conf_section *s, const char *key)
{
	for (int i = 0; i < s->n_options; i++) {
		if (strcmp(s->option[i].key, key) == 0)
			return &s->option[i];
	}
	return NULL;
}

enum err_code conf_block_no_section(
	const struct conf_section *s, struct slice word, struct slice head, struct err *err)
{
	struct near n;
	near_init(&n, word);
	for (; s->name; s++)
		near_offer(&n, s->name);
	return err_set(err, ERR_INVALID_ARGUMENT, "there is no section [%.*s]%s", SLICE_ARG(head),
		near_hint(&n, ""));
}

/* Another section's, or nearly the name of one here? */
static enum err_code no_option(const struct conf *c, const struct conf_section *s, const char *key,
	struct err *err)
{
	struct near n;
	for (const struct conf_section *other = c->sections; other->name; other++)
		if (conf_block_find_option(other, key))
			return err_set(err, ERR_INVALID_ARGUMENT,
				"section [%s] has no option '%s'; section [%s] has", s->name, key,
				other->name);
	near_init(&n, slice_of(key));
	for (int i = 0; i < s->n_options; i++)
		near_offer(&n, s->option[i].key);
	return err_set(err, ERR_INVALID_ARGUMENT, "section [%s] has no option '%s'%s", s->name, key,
		near_hint(&n, ""));
}

struct conf_block *conf_block_find(
	const struct conf *c, const struct conf_section *s, const char *name)
{
	for (struct conf_block *b = c->first; b; b = b->next) {
		if (b->section == s && (!name || strcmp(b->name, name) == 0))
			return b;
	}
	return NULL;
}

enum err_code conf_block_defaults(const struct conf_section *s, void *values, struct arena *arena,
	struct err *err)
{
	for (int i = 0; i < s->n_options; i++) {
		const struct conf_option *o = &s->option[i];
		TRY(conf_value_set(o, slice_of(o->init), values, arena, err));
	}
	return ERR_OK;
}

enum err_code conf_block_new(struct conf *c, const struct conf_section *s, const char *name,
	struct conf_block **ret, struct err *err)
{
	assert(s->n_options <= CONF_OPTIONS_MAX);
	struct conf_block *b = ARENA_NEW(c->arena, struct conf_block);
	void *values = arena_calloc(c->arena, 1, s->bytes);
	int *line_of = ARENA_ARRAY(c->arena, int, (size_t)s->n_options);
	if (!b || !values || !line_of)
		return err_oom(err);
	*b = (struct conf_block){ .section = s, .name = name, .values = values,
		.line_of = line_of };
	struct conf_block *from = name ? conf_block_find(c, s, "*") : NULL;
	if (from)
		memcpy(values, from->values, s->bytes);
	else
		TRY(conf_block_defaults(s, values, c->arena, err));
	struct conf_block **tail = &c->first;
	while (*tail)
		tail = &(*tail)->next;
	*tail = b;
	*ret = b;
	return ERR_OK;
}

/* line 0: from elsewhere, which may say otherwise than the file does. */
enum err_code conf_block_set(struct conf *c, struct conf_block *b, const char *key,
	const char *value, int line, struct err *err)
{
	const struct conf_option *o = conf_block_find_option(b->section, key);
	if (!o)
		return no_option(c, b->section, key, err);
	int i = (int)(o - b->section->option);
	uint64_t bit = UINT64_C(1) << i;
	if (line && (b->given & bit))
		return err_set(
			err, ERR_INVALID_ARGUMENT, "'%s' is given twice in this section", key);
	b->given |= bit;
	b->line_of[i] = line;
	return conf_value_set(o, slice_of(value), b->values, c->arena, err);
}
