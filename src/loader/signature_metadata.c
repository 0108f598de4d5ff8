/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/signature_metadata.h"

#include <string.h>

#define KEY_PREFIX "signet.signature."

/* One side of a signature as written: pairs in the arena. */
struct side {
	struct signature_name_pair *pair;
	int n;
};

static struct slice trim(struct slice s)
{
	while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\n')) {
		s.ptr++;
		s.len--;
	}
	while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\n'))
		s.len--;
	return s;
}

static struct slice cut(struct slice *rest, char at)
{
	const char *p = rest->len ? memchr(rest->ptr, at, rest->len) : NULL;
	struct slice head = { rest->ptr, p ? (size_t)(p - rest->ptr) : rest->len };
	size_t skip = p ? head.len + 1 : head.len;
	*rest = (struct slice){ rest->ptr + skip, rest->len - skip };
	return head;
}

/* "a=x, b" -> a=x, b=b. */
static enum err_code parse_side(
	struct arena *arena, const char *key, const char *text, struct side *ret, struct err *err)
{
	struct slice rest = slice_of(text);
	int commas = 0;
	for (size_t i = 0; i < rest.len; i++)
		commas += rest.ptr[i] == ',';
	if (commas >= GRAPH_NODE_IO_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"metadata '%.100s' lists more than %d values", key, GRAPH_NODE_IO_MAX);
	ret->n = 0;
	ret->pair = ARENA_ARRAY(arena, struct signature_name_pair, (size_t)commas + 1);
	if (!ret->pair)
		return err_oom(err);
	while (rest.len) {
		struct slice value = cut(&rest, ','), name;
		bool is_pair = value.len && memchr(value.ptr, '=', value.len);
		name = is_pair ? trim(cut(&value, '=')) : trim(value);
		value = trim(value);
		if (name.len == 0 || value.len == 0)
			return err_set(err, ERR_INVALID_ARGUMENT,
				"metadata '%.100s' has an empty name", key);
		struct signature_name_pair *p = &ret->pair[ret->n++];
		p->name = arena_strndup(arena, name.ptr, name.len);
		p->value = arena_strndup(arena, value.ptr, value.len);
		if (!p->name || !p->value)
			return err_oom(err);
	}
	return ERR_OK;
}

/* "signet.signature.NAME.inputs" -> NAME; len 0: another key. */
static struct slice name_in_key(const char *key, const char *suffix)
{
	struct slice k = slice_of(key);
	size_t head = strlen(KEY_PREFIX), tail = strlen(suffix);
	if (k.len <= head + tail || strncmp(k.ptr, KEY_PREFIX, head) != 0 || !slice_ends(k, suffix))
		return (struct slice){ NULL, 0 };
	return (struct slice){ k.ptr + head, k.len - head - tail };
}

struct slice signature_metadata_name(const char *key)
{
	struct slice name = name_in_key(key, ".outputs");
	return name.len ? name : name_in_key(key, ".inputs");
}

static const struct metadata_prop *find_prop(
	const struct version *v, struct slice name, const char *suffix)
{
	for (int i = 0; i < v->n_prop; i++)
		if (slice_eq(name_in_key(v->prop[i].key, suffix), name))
			return &v->prop[i];
	return NULL;
}

enum err_code signature_metadata_find(const struct version *v, struct slice name,
	struct signature_conf *ret, bool *ret_found, struct err *err)
{
	const struct metadata_prop *in = find_prop(v, name, ".inputs");
	const struct metadata_prop *out = find_prop(v, name, ".outputs");
	struct side inputs = { 0 }, outputs = { 0 };
	*ret_found = in || out;
	if (!*ret_found)
		return ERR_OK;
	if (!in || !out)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"metadata '%.100s' has no counterpart '%s%.*s%s'", in ? in->key : out->key,
			KEY_PREFIX, SLICE_ARG(name), in ? ".outputs" : ".inputs");
	enum err_code rc = parse_side(v->arena, in->key, in->value, &inputs, err);
	if (rc == ERR_OK)
		rc = parse_side(v->arena, out->key, out->value, &outputs, err);
	const char *copy = arena_strndup(v->arena, name.ptr, name.len);
	if (rc == ERR_OK && !copy)
		return err_oom(err);
	*ret = (struct signature_conf){ .name = copy, .in = inputs.pair, .n_in = inputs.n,
		.out = outputs.pair, .n_out = outputs.n };
	return rc;
}
