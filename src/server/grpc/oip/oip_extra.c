/* SPDX-License-Identifier: Apache-2.0 */
/* Triton's trace and logging extensions. */
#include "server/grpc/methods.h"
#include "server/grpc/oip/oip_call.h"
#include "server/dialect/oip_setting.h"

/* Requests and responses for settings are maps in field 1; a log's value is one of three
   fields, a trace's is a list. Names and numbers as in proto/inference.proto. */
enum { SETTINGS = 1, TRACE_MODEL = 2 };
enum { MAP_KEY = 1, MAP_VALUE };
enum { LOG_BOOL = 1, LOG_UINT32, LOG_STRING };
enum { TRACE_VALUE = 1 };

static enum err_code malformed(struct err *err)
{
	return err_set(err, ERR_INVALID_ARGUMENT, "the message is not well-formed");
}

/* Field of a value to what it is; false: none that we know. */
typedef bool (*type_fn)(uint32_t field, enum oip_setting_type *ret);

static bool log_type(uint32_t field, enum oip_setting_type *ret)
{
	*ret = field == LOG_BOOL   ? OIP_SETTING_BOOL :
	       field == LOG_UINT32 ? OIP_SETTING_UINT :
				     OIP_SETTING_TEXT;
	return field >= LOG_BOOL && field <= LOG_STRING;
}

static bool trace_type(uint32_t field, enum oip_setting_type *ret)
{
	*ret = OIP_SETTING_TEXT;
	return field == TRACE_VALUE;
}

/* A value without fields asks for the default, which is what it is. */
static enum err_code read_value(struct rpc_call *c, struct wire w, struct slice key,
	type_fn type_of, struct oip_settings *s, struct err *err)
{
	uint32_t field;
	enum wire_type type;
	while (wire_next(&w, &field, &type)) {
		struct oip_setting one = { .key = key, .text = SLICE_LIT("") };
		if (!type_of(field, &one.type)) {
			wire_skip(&w, type);
			continue;
		}
		if (one.type == OIP_SETTING_TEXT)
			one.text = wire_string(&w, type, OIP_NAME_MAX_BYTES, c->request->arena);
		else
			one.number = wire_varint(&w, type);
		TRY(oip_setting_add(s, &one, err));
	}
	return wire_ok(&w) ? ERR_OK : malformed(err);
}

static enum err_code read_settings(struct rpc_call *c, struct wire w, type_fn type_of,
	struct oip_settings *s, struct slice *ret_model, struct err *err)
{
	uint32_t field;
	enum wire_type type;
	*s = (struct oip_settings){ 0 };
	*ret_model = SLICE_LIT("");
	while (wire_next(&w, &field, &type)) {
		struct wire_entry e;
		if (field == SETTINGS) {
			e = wire_map_entry(&w, type, OIP_NAME_MAX_BYTES, c->request->arena);
			TRY(read_value(c, e.value, e.key, type_of, s, err));
		} else if (field == TRACE_MODEL && type_of == trace_type) {
			*ret_model = wire_string(&w, type, OIP_NAME_MAX_BYTES, c->request->arena);
		} else {
			wire_skip(&w, type);
		}
	}
	return wire_ok(&w) ? ERR_OK : malformed(err);
}

/* Written even when it is 0 or empty: it is one of several. */
static void put_value(struct buf *b, const struct oip_setting *s, type_fn type_of)
{
	enum oip_setting_type type;
	uint32_t field = 1;
	while (type_of(field, &type) && type != s->type)
		field++;
	if (s->type == OIP_SETTING_TEXT) {
		wire_put_head(b, field, s->text.len);
		buf_slice(b, s->text);
	} else {
		wire_put_tag(b, field, WIRE_VARINT);
		wire_put_varint(b, s->number);
	}
}

static enum err_code reply_settings(
	struct rpc_call *c, const struct oip_extension *x, type_fn type_of, struct err *err)
{
	struct arena *arena = c->request->arena;
	struct buf b = buf_of(arena, 0);
	struct oip_settings now;
	x->get(&now);
	for (int i = 0; i < now.n; i++) {
		struct buf entry = buf_of(arena, 0), value = buf_of(arena, 0);
		put_value(&value, &now.item[i], type_of);
		wire_put_bytes(&entry, MAP_KEY, now.item[i].key);
		wire_put_message(&entry, MAP_VALUE, &value);
		wire_put_message(&b, SETTINGS, &entry);
	}
	return rpc_reply(c, &b, err);
}

static enum err_code settings(struct rpc_call *c, struct wire w, const struct oip_extension *x,
	type_fn type_of, struct err *err)
{
	struct oip_settings changes;
	struct slice model;
	TRY(read_settings(c, w, type_of, &changes, &model, err));
	if (model.len) {
		const struct version_spec latest = { .pick = VERSION_PICK_LATEST };
		struct version *v;
		TRY(registry_acquire(c->rpc->registry, model, &latest, &v, err));
		version_release(v);
	}
	TRY(oip_setting_apply(x, &changes, c->rpc->conf.allow_admin, err));
	return reply_settings(c, x, type_of, err);
}

enum err_code oip_log_settings(struct rpc_call *c, struct wire w, struct err *err)
{
	return settings(c, w, &oip_logging, log_type, err);
}

enum err_code oip_trace_setting(struct rpc_call *c, struct wire w, struct err *err)
{
	return settings(c, w, &oip_tracing, trace_type, err);
}
