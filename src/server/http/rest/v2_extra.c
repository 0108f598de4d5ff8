/* SPDX-License-Identifier: Apache-2.0 */
/* Triton's trace and logging extensions. */
#include "base/json.h"
#include "server/http/http_state.h"
#include "server/dialect/oip_setting.h"

static void read_value(struct json *j, struct oip_setting *s)
{
	bool flag = false;
	int64_t number = 0;
	switch (json_peek(j)) {
	case JSON_BOOL:
		s->type = OIP_SETTING_BOOL;
		json_bool(j, &flag);
		s->number = flag;
		break;
	case JSON_NUMBER:
		s->type = OIP_SETTING_UINT;
		if (json_i64(j, &number) && number < 0)
			json_fail(j, "a number that is not negative");
		s->number = (uint64_t)number;
		break;
	default:
		s->type = OIP_SETTING_TEXT;
		json_string(j, &s->text);
	}
}

/* One value or a list; null asks for the default, which is what it is. */
static enum err_code read_member(
	struct json *j, struct slice key, struct oip_settings *s, struct err *err)
{
	struct oip_setting one = { .key = key };
	if (json_peek(j) == JSON_NULL) {
		json_null(j);
		return ERR_OK;
	}
	if (json_peek(j) != JSON_ARRAY) {
		read_value(j, &one);
		return oip_setting_add(s, &one, err);
	}
	json_enter_array(j);
	while (json_next(j)) {
		read_value(j, &one);
		TRY(oip_setting_add(s, &one, err));
	}
	return ERR_OK;
}

static enum err_code read_settings(struct call *c, struct oip_settings *s, struct err *err)
{
	struct json j;
	struct slice key;
	*s = (struct oip_settings){ 0 };
	if (!call_enter_json(c, &j))
		return ERR_OK;
	while (json_member(&j, &key))
		TRY(read_member(&j, key, s, err));
	json_end(&j);
	return json_error(&j, err);
}

static void put_value(struct buf *b, const struct oip_setting *s)
{
	if (s->type == OIP_SETTING_TEXT)
		json_put_string(b, s->text);
	else if (s->type == OIP_SETTING_BOOL)
		buf_str(b, s->number ? "true" : "false");
	else
		json_put_u64(b, s->number);
}

static enum err_code settings(struct call *c, const struct oip_extension *x, struct err *err)
{
	struct oip_settings changes, now;
	struct buf b = buf_of(c->arena, 0);
	TRY(read_settings(c, &changes, err));
	TRY(oip_setting_apply(x, &changes, c->http->conf.allow_admin, err));
	x->get(&now);
	for (int i = 0; i < now.n; i++) {
		bool is_list = x->list_key && slice_is(now.item[i].key, x->list_key);
		buf_char(&b, i ? ',' : '{');
		json_put_string(&b, now.item[i].key);
		buf_str(&b, is_list ? ":[" : ":");
		put_value(&b, &now.item[i]);
		buf_str(&b, is_list ? "]" : "");
	}
	buf_char(&b, '}');
	return call_reply_json(c, &b, err);
}

enum err_code v2_logging(struct call *c, struct err *err)
{
	return settings(c, &oip_logging, err);
}

enum err_code v2_trace(struct call *c, struct err *err)
{
	if (c->model.len)
		TRY(call_check_version(c, err));
	return settings(c, &oip_tracing, err);
}
