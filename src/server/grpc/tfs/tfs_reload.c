/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HandleReloadConfigRequest: a whole new set of models. What is not in it is unloaded. A set
 * that is wrong anywhere changes nothing; one that is well-formed is applied as a whole, and
 * the answer waits until each of its models is ready or has failed.
 */
#include "server/grpc/methods.h"
#include "server/grpc/tfs/tfs_spec.h"

#define MODELS_MAX 4096
#define VERSIONS_MAX 4096
#define LABELS_MAX 64
#define PATH_MAX_BYTES 4096

/* Names and numbers as in proto/tensorflow_serving.proto. */
enum { REQ_CONFIG = 1 };
enum { CONFIG_LIST = 1, CONFIG_CUSTOM };
enum { LIST_CONFIG = 1 };
enum { MODEL_NAME = 1, MODEL_PATH, MODEL_LOGGING = 6, MODEL_POLICY, MODEL_LABELS };
enum { POLICY_FIELD_LATEST = 100, POLICY_FIELD_ALL, POLICY_FIELD_SPECIFIC };
enum { LATEST_N = 1 };
enum { SPECIFIC_VERSIONS = 1 };
enum { RES_STATUS = 1 };

/* A list in the making; add_room() makes room for one more. */
struct list {
	void *item;
	int n, room;
};

static void *add_room(struct list *l, size_t size, int max, struct arena *arena)
{
	if (l->n == l->room) {
		int room = l->room ? 2 * l->room : 8;
		void *more = room / 2 < max ? arena_calloc(arena, (size_t)room, size) : NULL;
		if (!more)
			return NULL;
		if (l->n)
			memcpy(more, l->item, (size_t)l->n * size);
		l->item = more;
		l->room = room;
	}
	return l->n < max ? (char *)l->item + (size_t)l->n++ * size : NULL;
}

/* NULL: an error, which stands in w. */
static const char *read_text(struct wire *w, enum wire_type type, size_t max, struct arena *arena)
{
	struct slice s = wire_string(w, type, max, arena);
	const char *text = w->bad ? NULL : arena_strndup(arena, s.ptr, s.len);
	w->bad |= !text;
	return text;
}

/* --- versions --- */

static void read_latest(struct wire *w, enum wire_type outer, struct model_conf *m)
{
	struct wire inner = wire_message(w, outer);
	uint32_t field;
	enum wire_type type;
	uint64_t n = 0;
	while (wire_next(&inner, &field, &type)) {
		if (field == LATEST_N)
			n = wire_varint(&inner, type);
		else
			wire_skip(&inner, type);
	}
	w->bad |= inner.bad || n > INT32_MAX;
	m->policy = POLICY_LATEST;
	m->latest_n = n ? (int)n : 1;
}

static void add_version(struct wire *w, struct list *l, uint64_t number, struct arena *arena)
{
	int64_t *to = number > INT64_MAX ? NULL : add_room(l, sizeof(*to), VERSIONS_MAX, arena);
	if (to)
		*to = (int64_t)number;
	else
		w->bad = true;
}

static void read_specific(
	struct wire *w, enum wire_type outer, struct model_conf *m, struct arena *arena)
{
	struct wire inner = wire_message(w, outer);
	struct list l = { 0 };
	uint32_t field;
	enum wire_type type;
	while (wire_next(&inner, &field, &type)) {
		if (field == SPECIFIC_VERSIONS && type == WIRE_BYTES) {
			struct wire packed = wire_message(&inner, type);
			while (packed.left && wire_ok(&inner))
				add_version(&inner, &l, wire_raw_varint(&packed), arena);
			inner.bad |= packed.bad;
		} else if (field == SPECIFIC_VERSIONS) {
			add_version(&inner, &l, wire_varint(&inner, type), arena);
		} else {
			wire_skip(&inner, type);
		}
	}
	w->bad |= inner.bad;
	m->policy = POLICY_SPECIFIC;
	m->versions = l.item;
	m->n_versions = l.n;
}

static void read_policy(
	struct wire *w, enum wire_type outer, struct model_conf *m, struct arena *arena)
{
	struct wire inner = wire_message(w, outer);
	uint32_t field;
	enum wire_type type;
	while (wire_next(&inner, &field, &type)) {
		if (field == POLICY_FIELD_LATEST)
			read_latest(&inner, type, m);
		else if (field == POLICY_FIELD_SPECIFIC)
			read_specific(&inner, type, m, arena);
		else
			wire_skip(&inner, type);
		if (field == POLICY_FIELD_ALL)
			m->policy = POLICY_ALL;
	}
	w->bad |= inner.bad;
}

/* --- models --- */

static void read_label(struct wire *w, enum wire_type outer, struct list *l, struct arena *arena)
{
	struct wire inner = wire_message(w, outer);
	struct model_label *to = add_room(l, sizeof(*to), LABELS_MAX, arena);
	uint32_t field;
	enum wire_type type;
	while (to && wire_next(&inner, &field, &type)) {
		if (field == TFS_KEY)
			to->name = read_text(&inner, type, TFS_NAME_MAX, arena);
		else if (field == TFS_VALUE)
			to->number = (int64_t)wire_varint(&inner, type);
		else
			wire_skip(&inner, type);
	}
	w->bad |= inner.bad || !to || !to->name;
}

static enum err_code read_model(
	struct wire w, struct arena *arena, struct model_conf *m, struct err *err)
{
	struct list labels = { 0 };
	uint32_t field;
	enum wire_type type;
	*m = (struct model_conf){ .name = "", .policy = POLICY_LATEST, .latest_n = 1 };
	while (wire_next(&w, &field, &type)) {
		switch (field) {
		case MODEL_NAME: m->name = read_text(&w, type, TFS_NAME_MAX, arena); break;
		case MODEL_PATH: m->path = read_text(&w, type, PATH_MAX_BYTES, arena); break;
		case MODEL_POLICY: read_policy(&w, type, m, arena); break;
		case MODEL_LABELS: read_label(&w, type, &labels, arena); break;
		case MODEL_LOGGING:
			return err_set(err, ERR_INVALID_ARGUMENT,
				"logging_config is not supported: requests are not logged");
		default: wire_skip(&w, type); break;
		}
	}
	if (!wire_ok(&w))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"the message is not a well-formed ModelConfig, or has more than %d "
			"versions or %d labels",
			VERSIONS_MAX, LABELS_MAX);
	if (m->path && !*m->path)
		m->path = NULL;
	m->labels = labels.item;
	m->n_labels = labels.n;
	return ERR_OK;
}

static enum err_code add_model(
	struct list *l, struct wire w, struct arena *arena, struct err *err)
{
	struct model_conf m, *to, *other = l->item;
	TRY(read_model(w, arena, &m, err));
	for (int i = 0; i < l->n; i++)
		if (strcmp(other[i].name, m.name) == 0)
			return err_set(err, ERR_INVALID_ARGUMENT,
				"Illegal to list model %s multiple times in config list", m.name);
	to = add_room(l, sizeof(*to), MODELS_MAX, arena);
	if (!to)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, "a configuration has at most %d models",
			MODELS_MAX);
	*to = m;
	return ERR_OK;
}

static enum err_code read_list(
	struct wire w, struct arena *arena, struct list *ret, struct err *err)
{
	uint32_t field;
	enum wire_type type;
	while (wire_next(&w, &field, &type)) {
		struct wire one = w;
		if (field == LIST_CONFIG)
			one = wire_message(&w, type);
		else
			wire_skip(&w, type);
		if (field == LIST_CONFIG && wire_ok(&w))
			TRY(add_model(ret, one, arena, err));
	}
	return wire_ok(&w) ? ERR_OK : tfs_malformed(err, "ModelConfigList");
}

/* --- the request --- */

/* The list of models, if it is one; of a oneof the last counts. */
static enum err_code find_list(struct wire w, struct wire *ret, struct err *err)
{
	uint32_t field, kind = 0;
	enum wire_type type;
	struct wire config = { 0 };
	while (wire_next(&w, &field, &type)) {
		if (field == REQ_CONFIG)
			config = wire_message(&w, type);
		else
			wire_skip(&w, type);
	}
	while (wire_next(&config, &field, &type)) {
		if (field == CONFIG_LIST || field == CONFIG_CUSTOM) {
			*ret = wire_message(&config, type);
			kind = field;
		} else {
			wire_skip(&config, type);
		}
	}
	if (!wire_ok(&w) || !wire_ok(&config))
		return tfs_malformed(err, "ReloadConfigRequest");
	if (kind != CONFIG_LIST)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"ServerModelConfig type not supported by HandleReloadConfigRequest. Only "
			"ModelConfigList is currently supported");
	return ERR_OK;
}

enum err_code tfs_reload(struct rpc_call *c, struct wire w, struct err *err)
{
	struct arena *arena = c->request->arena;
	struct buf b = buf_of(arena, 0), ok = buf_of(arena, 0);
	struct list models = { 0 };
	struct wire list;
	TRY(find_list(w, &list, err));
	TRY(read_list(list, arena, &models, err));
	TRY(c->rpc->conf.set_models(c->rpc->conf.models_ctx, models.item, models.n, arena, err));
	wire_put_message(&b, RES_STATUS, &ok);
	return rpc_reply(c, &b, err);
}
