/* SPDX-License-Identifier: Apache-2.0 */
#include "server/dialect/oip_setting.h"

#include "base/log.h"

enum err_code oip_setting_add(
	struct oip_settings *s, const struct oip_setting *one, struct err *err)
{
	if (s->n == OIP_SETTINGS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT, "a request has at most %d settings",
			OIP_SETTINGS_MAX);
	s->item[s->n++] = *one;
	return ERR_OK;
}

enum err_code oip_setting_apply(const struct oip_extension *x, const struct oip_settings *changes,
	bool allowed, struct err *err)
{
	if (changes->n == 0)
		return ERR_OK;
	if (!allowed)
		return err_set(err, ERR_PERMISSION_DENIED,
			"changing settings is not allowed by the configuration");
	return x->set(changes, err);
}

/* --- logging --- */

/* One level is several switches there: each says whether lines of its level are logged. */
static const struct log_switch {
	const char *key;
	enum oip_setting_type type;
	enum log_level on, off; /* at least, and at most */
} switches[] = {
	{ "log_info", OIP_SETTING_BOOL, LOG_LEVEL_INFO, LOG_LEVEL_NOTICE },
	{ "log_warning", OIP_SETTING_BOOL, LOG_LEVEL_WARNING, LOG_LEVEL_ERR },
	{ "log_error", OIP_SETTING_BOOL, LOG_LEVEL_ERR, 0 },
	{ "log_verbose_level", OIP_SETTING_UINT, LOG_LEVEL_DEBUG, LOG_LEVEL_INFO },
};

static void log_get(struct oip_settings *ret)
{
	*ret = (struct oip_settings){ .n = 1 };
	ret->item[0] =
		(struct oip_setting){ SLICE_LIT("log_file"), OIP_SETTING_TEXT, 0, SLICE_LIT("") };
	for (size_t i = 0; i < sizeof(switches) / sizeof(*switches); i++)
		ret->item[ret->n++] = (struct oip_setting){ slice_of(switches[i].key),
			switches[i].type, log_get_level() >= switches[i].on, SLICE_LIT("") };
	ret->item[ret->n++] = (struct oip_setting){
		SLICE_LIT("log_format"), OIP_SETTING_TEXT, 0, SLICE_LIT("default") };
}

static const struct log_switch *find_switch(struct slice key)
{
	for (size_t i = 0; i < sizeof(switches) / sizeof(*switches); i++)
		if (slice_is(key, switches[i].key))
			return &switches[i];
	return NULL;
}

/* Texts may only be set to what they are. */
static enum err_code check_text(
	const struct oip_extension *x, const struct oip_setting *s, struct err *err)
{
	struct oip_settings now;
	x->get(&now);
	for (int i = 0; i < now.n; i++) {
		if (!slice_eq(now.item[i].key, s->key) || now.item[i].type != OIP_SETTING_TEXT)
			continue;
		if (s->type != OIP_SETTING_TEXT)
			return err_set(err, ERR_INVALID_ARGUMENT, "setting '%.*s' is a string",
				SLICE_ARG(s->key));
		if (slice_eq(now.item[i].text, s->text))
			return ERR_OK;
		return err_set(err, ERR_UNIMPLEMENTED, "setting '%.*s' cannot be changed to '%.*s'",
			SLICE_ARG(s->key), SLICE_ARG(s->text));
	}
	return err_set(err, ERR_INVALID_ARGUMENT, "there is no setting '%.*s'", SLICE_ARG(s->key));
}

static enum err_code log_set(const struct oip_settings *s, struct err *err)
{
	int low = 0, high = LOG_LEVEL_DEBUG;
	for (int i = 0; i < s->n; i++) {
		const struct oip_setting *one = &s->item[i];
		const struct log_switch *w = find_switch(one->key);
		if (!w) {
			TRY(check_text(&oip_logging, one, err));
			continue;
		}
		if (one->type != w->type)
			return err_set(err, ERR_INVALID_ARGUMENT, "setting '%.*s' is a %s",
				SLICE_ARG(one->key),
				w->type == OIP_SETTING_BOOL ? "bool" : "number");
		if (one->number && (int)w->on > low)
			low = w->on;
		if (!one->number && (int)w->off < high)
			high = w->off;
	}
	if (high < LOG_LEVEL_ERR)
		return err_set(err, ERR_INVALID_ARGUMENT, "errors are always logged");
	if (low > high)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"a level is logged with all that are more urgent, or not at all");
	int level = log_get_level();
	log_set_level((enum log_level)(level < low ? low : level > high ? high : level));
	return ERR_OK;
}

/* --- tracing --- */

static void trace_get(struct oip_settings *ret)
{
	static const char *const off[][2] = { { "trace_level", "OFF" }, { "trace_rate", "1000" },
		{ "trace_count", "-1" }, { "log_frequency", "0" }, { "trace_file", "" },
		{ "trace_mode", "triton" } };
	*ret = (struct oip_settings){ 0 };
	for (size_t i = 0; i < sizeof(off) / sizeof(*off); i++)
		ret->item[ret->n++] = (struct oip_setting){
			slice_of(off[i][0]), OIP_SETTING_TEXT, 0, slice_of(off[i][1]) };
}

static enum err_code trace_set(const struct oip_settings *s, struct err *err)
{
	for (int i = 0; i < s->n; i++)
		TRY(check_text(&oip_tracing, &s->item[i], err));
	return ERR_OK;
}

const struct oip_extension oip_logging = { NULL, log_get, log_set };
const struct oip_extension oip_tracing = { "trace_level", trace_get, trace_set };
