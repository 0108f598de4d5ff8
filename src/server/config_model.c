/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config_model.h"

#include <string.h>
#include "base/clock.h"
#include "base/parse.h"
#include "exec/module.h"
#include "loader/repo/layout.h"
#include "loader/repo/settings.h"

static enum err_code at_line(struct making *m, const struct conf_block *b, int line)
{
	const char *space = b->name ? " " : "", *name = b->name ? b->name : "";
	if (line == 0 && !b->name)
		return err_prefix(m->err, "[%s]", b->section->name);
	if (line == 0)
		return err_prefix(m->err, "%s '%s'", b->section->name, name);
	return err_prefix(
		m->err, "%s:%d: [%s%s%s]", m->conf->file, line, b->section->name, space, name);
}

enum err_code config_at_block(struct making *m, const struct conf_block *b)
{
	return at_line(m, b, b->line);
}

/* -- lists ------------------------------------------------------------------------------------- */

/* What follows "latest": " N". */
static bool parse_count(struct slice text, int64_t *ret)
{
	struct slice number = { text.ptr + 1, text.len - 1 };
	return text.ptr[0] == ' ' && parse_i64(number, 1, 1000, ret);
}

/* "latest", "latest N", "all", or numbers. */
static enum err_code make_versions(
	struct making *m, const struct conf_list *list, struct model_conf *to)
{
	int64_t n = 1;
	struct slice first = list->n > 0 ? slice_of(list->item[0]) : SLICE_LIT("");
	if (list->n == 1 && slice_is(first, "all")) {
		to->policy = POLICY_ALL;
		return ERR_OK;
	}
	if (list->n == 1 && first.len >= 6 && memcmp(first.ptr, "latest", 6) == 0) {
		struct slice rest = { first.ptr + 6, first.len - 6 };
		if (rest.len > 0 && !parse_count(rest, &n))
			return err_set(m->err, ERR_INVALID_ARGUMENT,
				"versions is '%s', must be: latest N, with N from 1 to 1000",
				list->item[0]);
		to->policy = POLICY_LATEST;
		to->latest_n = (int)n;
		return ERR_OK;
	}
	int64_t *numbers = ARENA_ARRAY(m->arena, int64_t, (size_t)list->n + 1);
	if (!numbers)
		return err_oom(m->err);
	for (int i = 0; i < list->n; i++) {
		if (!parse_i64(slice_of(list->item[i]), 0, INT64_MAX, &numbers[i]))
			return err_set(m->err, ERR_INVALID_ARGUMENT,
				"versions has '%s', must be: latest, latest N, all, or numbers",
				list->item[i]);
	}
	if (list->n == 0)
		return err_set(m->err, ERR_INVALID_ARGUMENT, "versions is empty");
	to->policy = POLICY_SPECIFIC;
	to->versions = numbers;
	to->n_versions = list->n;
	return ERR_OK;
}

/* "NAME=REST"; NULL when there is no "=": *ret_rest is then all. */
static enum err_code split_pair(struct making *m, const char *item, const char **ret_name,
	const char **ret_rest)
{
	const char *eq = strchr(item, '=');
	*ret_name = NULL;
	*ret_rest = item;
	if (!eq)
		return ERR_OK;
	char *name = arena_strndup(m->arena, item, (size_t)(eq - item));
	if (!name)
		return err_oom(m->err);
	for (size_t len = strlen(name); len > 0 && name[len - 1] == ' '; len--)
		name[len - 1] = '\0';
	*ret_name = name;
	*ret_rest = eq + 1 + strspn(eq + 1, " ");
	return ERR_OK;
}

static enum err_code make_labels(
	struct making *m, const struct conf_list *list, struct model_conf *to)
{
	struct model_label *labels = ARENA_ARRAY(m->arena, struct model_label, (size_t)list->n + 1);
	if (!labels)
		return err_oom(m->err);
	for (int i = 0; i < list->n; i++) {
		const char *number;
		enum err_code rc = split_pair(m, list->item[i], &labels[i].name, &number);
		if (rc != ERR_OK)
			return rc;
		if (!labels[i].name || !layout_is_model_name(slice_of(labels[i].name)) ||
			!parse_i64(slice_of(number), 0, INT64_MAX, &labels[i].number))
			return err_set(m->err, ERR_INVALID_ARGUMENT,
				"labels has '%s', must be: NAME=VERSION", list->item[i]);
		for (int k = 0; k < i; k++) {
			if (strcmp(labels[k].name, labels[i].name) == 0)
				return err_set(m->err, ERR_INVALID_ARGUMENT,
					"label '%s' is given twice", labels[i].name);
		}
	}
	to->labels = labels;
	to->n_labels = list->n;
	return ERR_OK;
}

static enum err_code make_pairs(struct making *m, const char *key, const struct conf_list *list,
	const struct signature_name_pair **ret, int *ret_n)
{
	struct signature_name_pair *pairs =
		ARENA_ARRAY(m->arena, struct signature_name_pair, (size_t)list->n + 1);
	if (!pairs)
		return err_oom(m->err);
	for (int i = 0; i < list->n; i++) {
		enum err_code rc = split_pair(m, list->item[i], &pairs[i].name, &pairs[i].value);
		if (rc != ERR_OK)
			return rc;
		if (!pairs[i].name)
			pairs[i].name = pairs[i].value;
		if (!*pairs[i].name || !*pairs[i].value)
			return err_set(m->err, ERR_INVALID_ARGUMENT,
				"%s has '%s', must be: NAME=VALUE or VALUE", key, list->item[i]);
	}
	*ret = pairs;
	*ret_n = list->n;
	return ERR_OK;
}

/* -- a model ----------------------------------------------------------------------------------- */

enum err_code config_check_device(struct making *m, const char *device, const struct conf_block *b)
{
	if (!*device || backend_is_device_name(device))
		return ERR_OK;
	enum err_code rc = err_set(m->err, ERR_INVALID_ARGUMENT,
		"device is '%.40s', must be: cpu, gpu, or gpu:N with N below %d", device,
		BACKEND_DEVICES_MAX);
	return b ? at_line(m, b, conf_line(b, "device")) : rc;
}

enum err_code config_make_model(struct making *m, const struct options_model *o,
	const struct conf_block *b, const char *name, struct model_conf *to)
{
	static const char *const on_break[] = { "publish", "warn", "refuse" };
	*to = (struct model_conf){
		.name = name,
		.path = *o->path ? o->path : NULL,
		.on_break = on_break[o->on_break],
		.max_batch = (int)o->max_batch,
		.batch_dim = *o->batch_dim ? o->batch_dim : NULL,
		.batch_delay_ns = o->batch_delay,
		.queue_rows = (int)o->queue_rows,
		.queue_bytes = o->queue_bytes,
		.batches_max = (int)o->batches_max,
		.precision = (enum precision)o->precision, /* in the order of the row's choices */
		.device = *o->device ? o->device : NULL,
	};
	TRY(config_check_device(m, o->device, b));
	enum err_code rc = make_versions(m, &o->versions, to);
	if (rc != ERR_OK)
		return b ? at_line(m, b, conf_line(b, "versions")) : rc;
	rc = make_labels(m, &o->labels, to);
	if (rc != ERR_OK)
		return b ? at_line(m, b, conf_line(b, "labels")) : rc;
	return ERR_OK;
}

/* -- its signatures ---------------------------------------------------------------------------- */

bool config_belongs_to(const struct conf_block *signature, const char *model)
{
	size_t len = strcspn(signature->name, "/");
	return strncmp(signature->name, model, len) == 0 && model[len] == '\0';
}

/* The signature's own name; NULL: it is another model's. In a model's own file, where model
   is NULL, all are its own. */
static const char *own_name(const struct conf_block *b, const char *model)
{
	if (!model)
		return b->name;
	return config_belongs_to(b, model) ? strchr(b->name, '/') + 1 : NULL;
}

static enum err_code make_signature(
	struct making *m, const struct conf_block *b, struct signature_conf *s)
{
	const struct options_signature *o = b->values;
	enum err_code rc = make_pairs(m, "inputs", &o->inputs, &s->in, &s->n_in);
	if (rc != ERR_OK)
		return at_line(m, b, conf_line(b, "inputs"));
	rc = make_pairs(m, "outputs", &o->outputs, &s->out, &s->n_out);
	if (rc == ERR_OK && s->n_out == 0)
		rc = err_set(m->err, ERR_INVALID_ARGUMENT, "outputs is empty");
	return rc == ERR_OK ? ERR_OK : at_line(m, b, conf_line(b, "outputs"));
}

static struct signature_conf *find_signature(struct signature_conf *sig, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (strcmp(sig[i].name, name) == 0)
			return &sig[i];
	return NULL;
}

enum err_code config_make_signatures(struct making *m, const char *model, struct model_conf *to)
{
	const struct conf_block *b = NULL;
	int n = to->n_sig;
	while ((b = conf_next(m->conf, "signature", b)))
		n += own_name(b, model) != NULL;
	struct signature_conf *sig = ARENA_ARRAY(m->arena, struct signature_conf, (size_t)n + 1);
	if (!sig)
		return err_oom(m->err);
	if (to->n_sig)
		memcpy(sig, to->sig, (size_t)to->n_sig * sizeof(*sig));
	to->sig = sig;
	while ((b = conf_next(m->conf, "signature", b))) {
		const char *name = own_name(b, model);
		struct signature_conf made = { .name = name }, *at;
		if (!name)
			continue;
		enum err_code rc = make_signature(m, b, &made);
		if (rc != ERR_OK)
			return rc;
		at = find_signature(sig, to->n_sig, name);
		*(at ? at : &sig[to->n_sig++]) = made;
	}
	return ERR_OK;
}

/* -- a model's own file ------------------------------------------------------------------------ */

/* [model *], over it the file, over that [model NAME]: the daemon's operator has the last
   word. */
static enum err_code make_layers(const struct config *c, struct making *file, const char *name,
	struct model_conf *ret)
{
	struct making central = { .conf = c->conf, .arena = file->arena, .err = file->err };
	const struct conf_block *b = conf_block_of(file->conf, "model"),
				*named = config_model_block(c, name);
	struct options_model o = *c->model_defaults;
	struct model_conf made;
	conf_overlay(b, &o);
	TRY(config_make_model(file, &o, b, name, &made));
	TRY(config_make_signatures(file, NULL, &made));
	if (named)
		conf_overlay(named, &o);
	TRY(config_make_model(&central, &o, named, name, ret));
	ret->sig = made.sig;
	ret->n_sig = made.n_sig;
	return config_make_signatures(&central, name, ret);
}

enum err_code config_model_file(const struct config *c, const char *name, struct slice text,
	const char *file, struct arena *arena, struct model_conf *ret, struct err *err)
{
	struct conf *conf;
	struct model_conf made;
	TRY(conf_parse(config_model_sections, &(struct conf_source){ .text = text, .file = file },
		arena, &conf, err));
	struct making m = { .conf = conf, .arena = arena, .err = err };
	TRY(make_layers(c, &m, name, &made));
	return settings_copy_model(&made, arena, ret, err);
}
