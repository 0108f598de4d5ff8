/* SPDX-License-Identifier: Apache-2.0 */
/* The types of options: text to value, comparison, and the rule in words. */
#include "base/conf.h"

#include "base/parse.h"

#define LIST_MAX 1024

static struct slice trim(struct slice s)
{
	while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
		s = (struct slice){ s.ptr + 1, s.len - 1 };
	while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* A number in its type's spelling: INT, SIZE or DURATION. */
static bool parse_number(enum conf_type type, struct slice text, int64_t *ret)
{
	if (type == CONF_INT)
		return parse_i64(text, INT64_MIN, INT64_MAX, ret);
	if (type == CONF_DURATION)
		return parse_duration_ns(text, ret);
	size_t bytes;
	if (!parse_size(text, &bytes) || bytes > INT64_MAX)
		return false;
	*ret = (int64_t)bytes;
	return true;
}

static bool parse_bounded(const struct conf_option *o, struct slice text, int64_t *ret)
{
	int64_t v, bound;
	if (!parse_number(o->type, text, &v))
		return false;
	if (o->min && (!parse_number(o->type, slice_of(o->min), &bound) || v < bound))
		return false;
	if (o->max && (!parse_number(o->type, slice_of(o->max), &bound) || v > bound))
		return false;
	*ret = v;
	return true;
}

static bool parse_choice(const struct conf_option *o, struct slice text, int *ret)
{
	const char *at = o->choices;
	for (int i = 0; *at; i++) {
		size_t len = strcspn(at, " ");
		if (slice_eq(text, (struct slice){ at, len })) {
			*ret = i;
			return true;
		}
		at += len + (at[len] == ' ');
	}
	return false;
}

/* false: an empty item, too many, or (*ret_oom) no memory. */
static bool parse_list(struct slice text, struct arena *arena, struct conf_list *ret, bool *ret_oom)
{
	size_t n = text.len > 0;
	for (size_t i = 0; i < text.len; i++)
		n += text.ptr[i] == ',';
	if (n > LIST_MAX)
		return false;
	const char **items = ARENA_ARRAY(arena, const char *, n + 1);
	*ret_oom = !items;
	for (size_t i = 0; i < n && !*ret_oom; i++) {
		const char *comma = memchr(text.ptr, ',', text.len);
		size_t len = comma ? (size_t)(comma - text.ptr) : text.len;
		struct slice item = trim((struct slice){ text.ptr, len });
		if (item.len == 0)
			return false;
		items[i] = arena_strndup(arena, item.ptr, item.len);
		*ret_oom = !items[i];
		if (comma)
			text = (struct slice){ comma + 1, text.len - len - 1 };
	}
	*ret = (struct conf_list){ items, (int)n };
	return !*ret_oom;
}

static enum err_code complain(const struct conf_option *o, struct slice text, struct arena *arena,
	struct err *err)
{
	struct buf rule = buf_of(arena, 0);
	struct slice words;
	conf_value_rule(o, &rule);
	enum err_code rc = buf_finish(&rule, &words, err);
	if (rc != ERR_OK)
		return rc;
	return err_set(err, ERR_INVALID_ARGUMENT, "%s is '%.*s', must be: %.*s", o->key,
		SLICE_ARG(text), SLICE_ARG(words));
}

enum err_code conf_value_set(const struct conf_option *o, struct slice text, void *values,
	struct arena *arena, struct err *err)
{
	void *at = (char *)values + o->offset;
	int64_t number;
	bool good, oom = false;
	switch (o->type) {
	case CONF_STRING: {
		char *copy = arena_strndup(arena, text.ptr, text.len);
		good = copy;
		oom = !copy;
		*(const char **)at = copy;
		break;
	}
	case CONF_BOOL:
		good = parse_bool(text, at);
		break;
	case CONF_ENUM:
		good = parse_choice(o, text, at);
		break;
	case CONF_LIST:
		good = parse_list(text, arena, at, &oom);
		break;
	case CONF_SIZE:
		good = parse_bounded(o, text, &number);
		if (good)
			*(size_t *)at = (size_t)number;
		break;
	default:
		good = parse_bounded(o, text, &number);
		if (good)
			*(int64_t *)at = number;
		break;
	}
	if (oom)
		return err_oom(err);
	return good ? ERR_OK : complain(o, text, arena, err);
}

bool conf_value_equal(const struct conf_option *o, const void *a, const void *b)
{
	a = (const char *)a + o->offset;
	b = (const char *)b + o->offset;
	switch (o->type) {
	case CONF_STRING:
		return strcmp(*(const char *const *)a, *(const char *const *)b) == 0;
	case CONF_BOOL:
		return *(const bool *)a == *(const bool *)b;
	case CONF_ENUM:
		return *(const int *)a == *(const int *)b;
	case CONF_SIZE:
		return *(const size_t *)a == *(const size_t *)b;
	case CONF_LIST: {
		const struct conf_list *x = a, *y = b;
		for (int i = 0; x->n == y->n && i < x->n; i++)
			if (strcmp(x->item[i], y->item[i]) != 0)
				return false;
		return x->n == y->n;
	}
	default:
		return *(const int64_t *)a == *(const int64_t *)b;
	}
}

void conf_value_copy(const struct conf_option *o, void *to, const void *from)
{
#define X(type) [CONF_##type] = sizeof(CONF_C_##type)
	static const size_t bytes[CONF_TYPE_COUNT_] = { X(STRING), X(BOOL), X(INT), X(SIZE),
		X(DURATION), X(ENUM), X(LIST) };
#undef X
	memcpy((char *)to + o->offset, (const char *)from + o->offset, bytes[o->type]);
}

void conf_value_rule(const struct conf_option *o, struct buf *to)
{
	static const char *const words[CONF_TYPE_COUNT_] = {
		[CONF_STRING] = "text",
		[CONF_BOOL] = "true or false",
		[CONF_INT] = "whole number",
		[CONF_SIZE] = "bytes (512, 64K, 1M, 2G)",
		[CONF_DURATION] = "time (0, 500us, 10ms, 2s, 1m, 1h)",
		[CONF_ENUM] = "one of",
		[CONF_LIST] = "list separated by commas",
	};
	buf_str(to, words[o->type]);
	if (o->choices)
		buf_printf(to, ": %s", o->choices);
	if (o->min && o->max)
		buf_printf(to, ", %s to %s", o->min, o->max);
	else if (o->min)
		buf_printf(to, ", at least %s", o->min);
	else if (o->max)
		buf_printf(to, ", at most %s", o->max);
}
