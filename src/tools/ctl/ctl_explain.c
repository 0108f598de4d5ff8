/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl_explain.c -- signetctl explain: what becomes of a model: its passes, its steps, where
 * and by which kernel each runs, and what memory it takes
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exec/packs.h"
#include "tools/ctl/ctl.h"
#include "tools/ctl/graph_print.h"
#include "tools/ctl/offline.h"
#include "tools/ctl/table.h"
#include "tools/model_inputs.h"

struct explain {
	struct ctl *c;
	const char *dump_after; /* NULL: no dump */
	bool dumped;
	int nodes_before;
};

static void print_graph(const struct graph *g)
{
	struct arena *arena = arena_new(1 << 20, 0);
	if (!arena)
		return;
	struct buf b = buf_of(arena, 0);
	struct slice text;
	graph_print(&b, g);
	if (buf_finish(&b, &text, NULL) == ERR_OK)
		fwrite(text.ptr, 1, text.len, stdout);
	arena_free(arena);
}

static void on_pass(void *ctx, const char *pass, const struct graph *g)
{
	struct explain *x = ctx;
	if (*pass)
		printf("pass %-24s %d -> %d nodes\n", pass, x->nodes_before, (int)g->n_node);
	else
		printf("read: %d nodes\n", (int)g->n_node);
	x->nodes_before = (int)g->n_node;
	if (x->dump_after && strcmp(x->dump_after, *pass ? pass : "read") == 0) {
		print_graph(g);
		x->dumped = true;
	}
}

static void print_values(struct ctl *c, const struct graph *g)
{
	struct table t;
	table_init(&t, c->arena, (const char *const[]){ "", "NAME", "TYPE", NULL });
	for (int32_t i = 0; i < g->n_input + g->n_output; i++) {
		bool in = i < g->n_input;
		const struct gvalue *v = &g->value[in ? g->input[i] : g->output[i - g->n_input]];
		struct buf b = buf_of(c->arena, 0);
		struct slice type;
		graph_print_type(&b, g, v);
		if (buf_finish(&b, &type, NULL) == ERR_OK)
			TABLE_ROW(&t, in ? "in" : "out", v->name, type.ptr);
	}
	putchar('\n');
	table_print(&t, stdout);
}

struct steps {
	struct arena *arena;
	struct table table, refused;
	int n, n_folded, n_refused, n_copies;
};

static void on_step(void *ctx, const struct step_text *s)
{
	struct steps *x = ctx;
	x->n_folded += s->folded;
	if (s->folded)
		return;
	x->n_copies += !*s->node;
	x->n_refused += s->refused != NULL;
	if (s->refused)
		TABLE_ROW(&x->refused, "", s->op, s->node, s->refused);
	const char *number = arena_printf(x->arena, "%d", x->n++);
	const char *units = arena_printf(x->arena, "%" PRId64, s->units);
	const char *op = *s->inner ? arena_printf(x->arena, "%s(%s)", s->op, s->inner) : s->op;
	TABLE_ROW(&x->table, number, op, s->kernel, s->backend, units, s->shapes, s->node);
}

static enum err_code print_steps(
	struct ctl *c, struct offline *o, const struct tensor *in, struct err *err)
{
	struct steps x = { .arena = c->arena };
	struct program_stats stats;
	table_init(&x.table, c->arena,
		(const char *const[]){
			"STEP", "OPERATOR", "KERNEL", "ON", "UNITS", "SHAPES", "NODE", NULL });
	table_init(
		&x.refused, c->arena, (const char *const[]){ "", "OPERATOR", "NODE", "WHY", NULL });
	enum err_code rc = program_explain(o->program, in, on_step, &x, err);
	if (rc != ERR_OK)
		return rc;
	putchar('\n');
	table_print(&x.table, stdout);
	if (x.n_refused) {
		printf("\n%d steps run on the CPU and split the plan, which has %d copies:\n",
			x.n_refused, x.n_copies);
		table_print(&x.refused, stdout);
	}
	program_stats(o->program, &stats);
	int64_t rows = o->info.n_in && in[0].shape.rank > 0 ? in[0].shape.dim[0] : 0;
	if (program_part_rows(o->program, rows) != rows)
		printf("\n%" PRId64 " rows are run %" PRId64
		       " at a time, which these steps are for\n",
			rows, program_part_rows(o->program, rows));
	if (o->backend->without)
		printf("\n%s: %s\n", o->backend->name, o->backend->without);
	printf("\n%d steps, %d more computed while planning\n"
	       "memory: %zu bytes of weights and graph, %zu of packed weights, %zu of "
	       "activations\n",
		x.n, x.n_folded, arena_used_bytes(o->arena), packs_bytes(o->packs),
		stats.workspace_plan_bytes);
	return ERR_OK;
}

static enum err_code no_files(const struct model_io *io, const char *file, struct arena *arena,
	struct tensor *ret, struct err *err)
{
	(void)arena, (void)ret;
	return err_set(
		err, ERR_INVALID_ARGUMENT, "input '%s': '%s' is not read here", io->name, file);
}

static enum err_code explain_model(struct ctl *c, const struct offline_conf *conf,
	const struct args_list *shapes, int64_t batch, struct err *err)
{
	const struct args_list none = { 0 };
	struct model_inputs_conf inputs = { &none, shapes, batch, no_files };
	struct offline o = { 0 };
	struct rng rng = { 1 };
	enum err_code rc = offline_open(c->argv[1], conf, &o, err);
	if (rc != ERR_OK)
		return rc;
	struct tensor *in = ARENA_ARRAY(c->arena, struct tensor, (size_t)o.info.n_in + 1);
	print_values(c, o.model.graph);
	rc = in ? model_inputs_check(&o.info, &inputs, err) : err_oom(err);
	if (rc == ERR_OK)
		rc = model_inputs_make(&o.info, &inputs, &rng, c->arena, in, err);
	if (rc == ERR_OK)
		rc = print_steps(c, &o, in, err);
	offline_close(&o);
	return rc;
}

static bool pass_exists(const char *name)
{
	if (strcmp(name, "read") == 0)
		return true;
	for (const char *const *p = passes_names(); *p; p++) {
		if (strcmp(*p, name) == 0)
			return true;
	}
	return false;
}

enum err_code ctl_explain(struct ctl *c, struct err *err)
{
	struct explain x = { .c = c };
	struct args_list shapes = { 0 };
	int64_t batch = 1, threads = 0;
	const char *precision = NULL, *device = NULL;
	const struct args_option options[] = {
		{ "dump-after", ARGS_TEXT, &x.dump_after, "PASS",
			"print the graph after this pass; \"read\": as it was read" },
		{ "shape", ARGS_LIST, &shapes, "NAME=2,3", "shape of an input, where it varies" },
		{ "batch", ARGS_COUNT, &batch, "N",
			"its leading dimension, where it varies (default 1)" },
		{ "threads", ARGS_COUNT, &threads, "N", "plan for N threads; default: all" },
		{ "precision", ARGS_TEXT, &precision, "P",
			"fast, exact, bf16, tf32 or fp16: how results may be rounded" },
		{ "device", ARGS_TEXT, &device, "D", "cpu (default), gpu or gpu:N" },
		CTL_LIBRARIES(c),
		{ 0 },
	};
	enum err_code rc = ctl_options(c, options, 1, 1, err);
	if (rc != ERR_OK)
		return rc;
	if (x.dump_after && !pass_exists(x.dump_after)) {
		fputs("passes: read", stderr);
		for (const char *const *p = passes_names(); *p; p++)
			fprintf(stderr, ", %s", *p);
		fputc('\n', stderr);
		return err_set(
			err, ERR_INVALID_ARGUMENT, "--dump-after '%s': no such pass", x.dump_after);
	}
	struct offline_conf conf = { .threads = (int)threads, .device = device, .on_pass = on_pass,
		.ctx = &x };
	rc = args_precision(precision, &conf.precision, err);
	if (rc == ERR_OK)
		rc = explain_model(c, &conf, &shapes, batch, err);
	if (rc == ERR_OK && x.dump_after && !x.dumped)
		printf("\npass %s changed nothing\n", x.dump_after);
	return rc;
}
