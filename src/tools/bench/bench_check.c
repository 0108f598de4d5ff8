/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bench/bench.h"

#include <string.h>

#include "tools/npy.h"
#include "tools/values.h"

/* "FILE.npy" (of the first output) or "OUTPUT=FILE.npy". */
static enum err_code read_reference(struct bench_check *c, const char *item, struct arena *arena,
	struct err *err)
{
	const struct model_info *m = c->model;
	int output = 0;
	const char *file = item;
	if (strchr(item, '=')) {
		struct slice name;
		enum err_code rc = args_split("--check", item, &name, &file, err);
		if (rc != ERR_OK)
			return rc;
		output = model_info_find(m->out, m->n_out, name);
		if (output < 0)
			return err_set(err, ERR_INVALID_ARGUMENT,
				"--check: '%.*s' is not an output of the model", SLICE_ARG(name));
	}
	enum err_code rc = npy_read(file, arena, &c->ref[c->n_ref].want, err);
	if (rc != ERR_OK)
		return err_prefix(err, "--check");
	c->ref[c->n_ref++].output = output;
	return ERR_OK;
}

enum err_code bench_check_init(struct bench_check *c, const struct bench_opts *opts,
	const struct model_info *model, struct arena *arena, struct err *err)
{
	*c = (struct bench_check){ .opts = opts, .model = model };
	if (opts->check.n > BENCH_CHECKS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT, "--check: more than %d references",
			BENCH_CHECKS_MAX);
	for (int i = 0; i < opts->check.n; i++) {
		enum err_code rc = read_reference(c, opts->check.item[i], arena, err);
		if (rc != ERR_OK)
			return rc;
	}
	c->out = ARENA_ARRAY(arena, struct tensor, (size_t)model->n_out + 1);
	c->arena = arena_new(64 << 10, 0);
	return c->out && c->arena ? ERR_OK : err_oom(err);
}

void bench_check_done(struct bench_check *c)
{
	arena_free(c->arena);
}

bool bench_check_answer(struct bench_check *c, struct slice body, size_t json_bytes)
{
	struct err err = { 0 };
	arena_reset(c->arena, SIZE_MAX);
	memset(c->out, 0, (size_t)c->model->n_out * sizeof(*c->out));
	enum err_code rc =
		c->opts->protocol->decode(c->model, body, json_bytes, c->arena, c->out, &err);
	for (int i = 0; rc == ERR_OK && i < c->n_ref; i++) {
		const struct tensor *got = &c->out[c->ref[i].output];
		if (!got->data)
			err_set(&err, ERR_UNKNOWN, "output '%s' is not in the answer",
				c->model->out[c->ref[i].output].name);
		else if (values_compare(got, &c->ref[i].want, c->opts->rtol, c->opts->atol, &err) ==
			ERR_OK) {
			c->ref[i].equal++;
			return true;
		}
	}
	if (c->first_bad.code == ERR_OK)
		c->first_bad = err;
	return false;
}
