/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explain.c -- what a plan does, step by step, in words
 */
#include <stdio.h>
#include "exec/fused.h"
#include "exec/run/program_impl.h"

static void list_inner(const struct graph *body, char *ret, size_t size)
{
	size_t at = 0;
	for (int32_t i = 0; i < body->n_node && at < size; i++)
		at += (size_t)snprintf(
			ret + at, size - at, "%s%s", i ? "," : "", op_info(body->node[i].op)->name);
}

/* How it lies, behind its shape. */
static const char *layout_mark(enum layout layout)
{
	switch (layout) {
	case LAYOUT_PLAIN: return "";
	case LAYOUT_NCHW16C_BF16: return "bf16";
	case LAYOUT_COLUMNS: return "c";
	default: return "b";
	}
}

static void explain_step(const struct plan *e, const struct step *s, struct step_text *t)
{
	t->op = s->node ? op_info(s->node->op)->name : "copy";
	t->kernel = s->k.name;
	t->backend = s->backend->name;
	t->refused = s->refused;
	t->units = s->k.units;
	if (s->node && s->node->op == OP_FUSED_ELEMENTWISE)
		list_inner(fused_body(s->node), t->inner, sizeof(t->inner));
	size_t at = 0;
	for (int32_t i = 0; i < s->n_in + s->n_out && at < sizeof(t->shapes); i++) {
		if (s->slot[i] == VALUE_NONE)
			continue;
		const struct slot *slot = &e->slot[s->slot[i]];
		at += (size_t)snprintf(t->shapes + at, sizeof(t->shapes) - at, "%s%s%s",
			i == 0 ? "" : i == s->n_in ? " -> " : " ", SHAPE_TEXT(&slot->t.shape),
			layout_mark(slot->t.layout));
		if (i >= s->n_in)
			t->out_bytes += slot->bytes;
	}
}

static void explain_plan(const struct program *p, const struct plan *e,
	void (*fn)(void *ctx, const struct step_text *step), void *ctx)
{
	char label[NODE_LABEL_MAX];
	for (int32_t i = 0; i < e->n_folded; i++) {
		const struct node *n = e->folded[i];
		struct step_text t = { .op = op_info(n->op)->name, .kernel = "folded",
			.backend = "plan", .folded = true,
			.node = node_label(p->graph, n, label, sizeof(label)) };
		fn(ctx, &t);
	}
	for (int32_t i = 0; i < e->n_step; i++) {
		const struct node *n = e->step[i].node;
		struct step_text t = {
			.node = n ? node_label(p->graph, n, label, sizeof(label)) : "" };
		explain_step(e, &e->step[i], &t);
		fn(ctx, &t);
	}
}

enum err_code program_explain(struct program *p, const struct tensor *in,
	void (*fn)(void *ctx, const struct step_text *step), void *ctx, struct err *err)
{
	struct program_use u;
	TRY(program_enter(&u, p, in, 0, err));
	explain_plan(p, u.plan, fn, ctx);
	program_leave(&u, p);
	return ERR_OK;
}
