/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include "loader/repo/models.h"

/* Of several instances of one number the one that answers is shown; else the newest. */
static const struct instance *shown_of_number(const struct instance *x)
{
	for (const struct instance *y = x; y && y->number == x->number; y = y->next)
		if (y->version)
			return y;
	return x;
}

static const struct instance *next_number(const struct instance *x)
{
	int64_t number = x->number;
	while (x && x->number == number)
		x = x->next;
	return x;
}

static const char *reason_aside(const struct instance *x)
{
	if (!x->model->held)
		return "left aside by the option 'versions'";
	return x->state == VERSION_UNLOADED ? "unloaded" : "nobody has asked for it";
}

/* Why it failed, or waits; of one that answers, why it does so with other options than it
   should. */
static const char *reason_of(const struct instance *x)
{
	if (x->aside)
		return reason_aside(x);
	if (x->state == VERSION_FOUND && !x->settled)
		return "waits until its files have stopped changing";
	const struct instance *heir = instance_failed_heir(x);
	if (x->state == VERSION_FAILED)
		return x->why.msg;
	if (heir)
		return heir->why.msg;
	return x->version && x->model->file.err.code != ERR_OK ? x->model->file.err.msg : "";
}

static struct registry_version row_of(const struct instance *x)
{
	return (struct registry_version){
		.version = x->version,
		.status = { .number = x->number,
			.state = x->state,
			.code = x->state == VERSION_FAILED ? x->why.code : ERR_OK,
			.reason = reason_of(x),
			.aside = x->aside,
			.since_ms = x->since_ms,
			.memory_bytes = x->memory_bytes },
	};
}

static int count_rows(const struct models *ms)
{
	int n = 0;
	for (int i = 0; i < ms->n; i++)
		for (const struct instance *x = ms->model[i]->first; x; x = next_number(x))
			n++;
	return n;
}

enum err_code models_publish(const struct models *ms, struct registry *r, struct err *err)
{
	struct registry_model *model = calloc((size_t)ms->n + 1, sizeof(*model));
	struct registry_version *row = calloc((size_t)count_rows(ms) + 1, sizeof(*row)), *at = row;
	enum err_code rc = ERR_OK;
	if (!model || !row) {
		rc = err_oom(err);
		goto out;
	}
	for (int i = 0; i < ms->n; i++) {
		const struct model *m = ms->model[i];
		model[i] = (struct registry_model){
			.name = m->name, .version = at, .label = m->label, .n_label = m->n_label
		};
		for (const struct instance *x = m->first; x; x = next_number(x))
			*at++ = row_of(shown_of_number(x));
		model[i].n_version = (int)(at - model[i].version);
	}
	rc = registry_set(r, model, ms->n, err);
out:
	free(model);
	free(row);
	return rc;
}
