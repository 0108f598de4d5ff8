/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/pass/passes.h"

#include <stdlib.h>
#include "exec/infer/infer.h"
#include "exec/pass/pass.h"

struct pass {
	const char *name;
	pass_fn fn;
	unsigned flags;
};

enum { EXACT = 1, HOST = 2, LAST = 4, FUSES = 8, COLUMNS = 16 };

static const struct pass table[] = {
#define PASS(name, fn, flags) { name, fn, flags },
#include "exec/pass/passes.def"
#undef PASS
};

static const char *const names[] = {
#define PASS(name, fn, flags) name,
#include "exec/pass/passes.def"
#undef PASS
	NULL,
};

#define PASS_COUNT (sizeof(table) / sizeof(table[0]))

const char *const *passes_names(void)
{
	return names;
}

/* -- one pass over one graph ------------------------------------------------------------------ */

static void ctx_done(struct pass_ctx *c)
{
	free(c->uses);
	free(c->alias);
	free(c->is_output);
}

static enum err_code ctx_init(struct pass_ctx *c, struct graph *g, const struct passes_opts *opts,
	struct err *err)
{
	size_t cap = (size_t)g->n_value + 64;
	*c = (struct pass_ctx){ .graph = g, .backend = opts->backend, .lower_to = opts->lower_to,
		.cap = (int32_t)cap, .uses = calloc(cap, sizeof(*c->uses)),
		.alias = calloc(cap, sizeof(*c->alias)),
		.is_output = calloc(cap, sizeof(*c->is_output)) };
	if (!c->uses || !c->alias || !c->is_output) {
		ctx_done(c);
		return err_oom(err);
	}
	graph_count_uses(g, c->uses);
	for (int32_t i = 0; i < g->n_output; i++)
		c->is_output[g->output[i]] = true;
	for (int32_t i = 0; i < c->cap; i++)
		c->alias[i] = i;
	return ERR_OK;
}

static void apply_aliases(struct pass_ctx *c)
{
	for (int32_t i = 0; i < c->graph->n_node; i++) {
		struct node *n = &c->graph->node[i];
		for (int k = 0; k < n->n_in && !n->dead; k++)
			n->in[k] = pass_in(c, n, k);
	}
}

/* Marks nodes dead whose outputs nobody reads, in a graph whose nodes are sorted. */
static void drop_unread(struct graph *g, int32_t *uses)
{
	graph_count_uses(g, uses);
	for (int32_t i = g->n_node - 1; i >= 0; i--) {
		struct node *n = &g->node[i];
		bool read = false;
		for (int k = 0; k < n->n_out; k++)
			read |= n->out[k] != VALUE_NONE && uses[n->out[k]] > 0;
		n->dead |= !read;
		for (int k = 0; k < n->n_in && !read; k++)
			if (n->in[k] != VALUE_NONE)
				uses[n->in[k]]--;
	}
}

/* Sorted, without what nobody reads. */
static enum err_code tidy(struct pass_ctx *c, struct err *err)
{
	apply_aliases(c);
	TRY(graph_compact(c->graph, err));
	drop_unread(c->graph, c->uses);
	return graph_compact(c->graph, err);
}

static enum err_code run_one(const struct pass *p, struct graph *g, const struct passes_opts *opts,
	int *ret_changes, struct err *err)
{
	struct pass_ctx c;
	TRY(ctx_init(&c, g, opts, err));
	enum err_code rc = p->fn(&c, err);
	if (rc == ERR_OK && c.changes)
		rc = tidy(&c, err);
	*ret_changes += c.changes;
	ctx_done(&c);
	return rc == ERR_OK ? rc : err_prefix(err, "pass %s", p->name);
}

/* -- the graph and its bodies ------------------------------------------------------------------ */

struct graph_list {
	struct graph **g;
	int32_t n, cap;
};

static enum err_code list_add(struct graph_list *l, struct graph *g, struct err *err)
{
	if (l->n == l->cap) {
		int32_t cap = l->cap ? l->cap * 2 : 8;
		struct graph **p = realloc(l->g, (size_t)cap * sizeof(*p));
		if (!p)
			return err_oom(err);
		l->g = p;
		l->cap = cap;
	}
	l->g[l->n++] = g;
	return ERR_OK;
}

/* Of a fused node the body is done. */
static enum err_code list_bodies(struct graph_list *l, const struct node *n, struct err *err)
{
	for (int32_t a = 0; a < n->n_attr && op_info(n->op)->flags & OP_CONTROL; a++)
		if (n->attr[a].kind == ATTR_GRAPH)
			TRY(list_add(l, n->attr[a].g, err));
	return ERR_OK;
}

/* The graph, then its bodies, then theirs: the list is its own queue. */
static enum err_code list_graphs(struct graph_list *l, struct graph *g, struct err *err)
{
	l->n = 0;
	TRY(list_add(l, g, err));
	for (int32_t i = 0; i < l->n; i++)
		for (int32_t k = 0; k < l->g[i]->n_node; k++)
			TRY(list_bodies(l, &l->g[i]->node[k], err));
	return ERR_OK;
}

static enum err_code run_everywhere(const struct pass *p, struct graph *g, struct graph_list *l,
	const struct passes_opts *opts, int *ret_changes, struct err *err)
{
	*ret_changes = 0;
	TRY(list_graphs(l, g, err));
	/* What a body captures keeps its type, so a pass that changes types leaves bodies alone. */
	bool changes_types = p->flags & LAST && !(p->flags & (FUSES | COLUMNS));
	int32_t n = changes_types ? 1 : l->n;
	for (int32_t i = 0; i < n; i++)
		TRY(run_one(p, l->g[i], opts, ret_changes, err));
	if (*ret_changes == 0)
		return ERR_OK;
	enum err_code rc = infer_graph(g, err);
	if (rc != ERR_OK)
		return err_prefix(err, "after pass %s", p->name);
	if (opts->on_pass)
		opts->on_pass(opts->ctx, p->name, g);
	return ERR_OK;
}

struct passes_opts passes_opts_for(const struct backend *backend, enum precision precision)
{
	struct passes_opts o = { .backend = backend, .exact_only = precision == PRECISION_EXACT };
	if (backend->device && precision == PRECISION_FP16)
		o.lower_to = DTYPE_F16;
	if (backend->device && precision == PRECISION_BF16)
		o.lower_to = DTYPE_BF16;
	return o;
}

static bool is_wanted(const struct pass *p, const struct passes_opts *opts, bool last)
{
	bool on_device = opts->backend && opts->backend->device;
	if (last && p->flags & FUSES)
		return opts->backend && opts->backend->fuses;
	if (last && p->flags & COLUMNS)
		return opts->backend && opts->backend->columns;
	if (last)
		return p->flags & LAST && opts->lower_to != DTYPE_UNDEFINED;
	return !(p->flags & LAST) && !(opts->exact_only && !(p->flags & EXACT)) &&
	       !(on_device && p->flags & HOST);
}

static enum err_code run_round(struct graph *g, struct graph_list *l,
	const struct passes_opts *opts, bool last, int *ret_changes, struct err *err)
{
	*ret_changes = 0;
	for (size_t i = 0; i < PASS_COUNT; i++) {
		int here = 0;
		if (!is_wanted(&table[i], opts, last))
			continue;
		TRY(run_everywhere(&table[i], g, l, opts, &here, err));
		*ret_changes += here;
	}
	return ERR_OK;
}

enum err_code passes_run(struct graph *g, const struct passes_opts *opts, struct err *err)
{
	struct graph_list list = { 0 };
	enum err_code rc = ERR_OK;
	int changes = !opts->compiled;
	for (int round = 0; round < PASS_ROUNDS_MAX && changes && rc == ERR_OK; round++)
		rc = run_round(g, &list, opts, false, &changes, err);
	if (rc == ERR_OK)
		rc = run_round(g, &list, opts, true, &changes, err);
	free(list.g);
	return rc == ERR_OK ? graph_check(g, err) : rc;
}
