/* SPDX-License-Identifier: Apache-2.0 */
#include "base/conf_block.h"

#include <assert.h>

enum err_code conf_set(struct conf *c, const char *section, const char *name, const char *key,
	const char *value, struct err *err)
{
	const struct conf_section *s = conf_block_find_section(c->sections, slice_of(section));
	if (!s || s->named != (name != NULL))
		return conf_block_no_section(
			c->sections, slice_of(section), slice_of(section), err);
	struct conf_block *b = conf_block_find(c, s, name);
	if (!b) {
		char *copy = arena_strdup(c->arena, name);
		if (!copy)
			return err_oom(err);
		TRY(conf_block_new(c, s, copy, &b, err));
	}
	return conf_block_set(c, b, key, value, 0, err);
}

const struct conf_block *conf_block_of(const struct conf *c, const char *section)
{
	const struct conf_section *s = conf_block_find_section(c->sections, slice_of(section));
	assert(s && !s->named);
	return conf_block_find(c, s, NULL);
}

const void *conf_get(const struct conf *c, const char *section)
{
	return conf_block_of(c, section)->values;
}

void conf_overlay(const struct conf_block *b, void *values)
{
	for (int i = 0; i < b->section->n_options; i++)
		if (b->given & UINT64_C(1) << i)
			conf_value_copy(&b->section->option[i], values, b->values);
}

int conf_line(const struct conf_block *b, const char *key)
{
	const struct conf_option *o = conf_block_find_option(b->section, key);
	int line = o ? b->line_of[o - b->section->option] : 0;
	return line ? line : b->line;
}

const struct conf_block *conf_next(const struct conf *c, const char *section,
	const struct conf_block *after)
{
	const struct conf_block *b = after ? after->next : c->first;
	while (b &&
		(!b->name || strcmp(b->section->name, section) != 0 || strcmp(b->name, "*") == 0))
		b = b->next;
	return b;
}

enum err_code conf_defaults(
	const struct conf *c, const char *section, const void **ret, struct err *err)
{
	const struct conf_section *s = conf_block_find_section(c->sections, slice_of(section));
	assert(s && s->named);
	const struct conf_block *b = conf_block_find(c, s, "*");
	if (b) {
		*ret = b->values;
		return ERR_OK;
	}
	void *values = arena_calloc(c->arena, 1, s->bytes);
	enum err_code rc = values ? conf_block_defaults(s, values, c->arena, err) : err_oom(err);
	if (rc == ERR_OK)
		*ret = values;
	return rc;
}

enum err_code conf_check_reload(const struct conf *old, const struct conf *next, struct err *err)
{
	for (const struct conf_section *s = old->sections; s->name; s++) {
		for (int i = 0; i < s->n_options && !s->named; i++) {
			const struct conf_option *o = &s->option[i];
			if (!o->reload &&
				!conf_value_equal(
					o, conf_get(old, s->name), conf_get(next, s->name)))
				return err_set(err, ERR_FAILED_PRECONDITION,
					"[%s] %s has changed, which needs a restart", s->name,
					o->key);
		}
	}
	return ERR_OK;
}

const struct conf_option *conf_find_option(const struct conf_section *sections, const char *section,
	const char *key)
{
	const struct conf_section *s = conf_block_find_section(sections, slice_of(section));
	return s ? conf_block_find_option(s, key) : NULL;
}
