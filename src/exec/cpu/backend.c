/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CPU as a backend: walks the rows of kernels.def.
 *
 * Rows of one operator stand best first. With inputs in a blocked layout the rows that
 * take such inputs are asked first; if none accepts, all are asked for plain inputs and
 * the planner reorders. So it is where one of them was rounded to bfloat16.
 */
#include "exec/cpu/cpu.h"

#include <assert.h>
#include <stdio.h>
#include "exec/backend.h"
#include "exec/op_library.h"
#include "exec/cpu/onednn/onednn.h"
#include "exec/cpu/trial.h"

const struct cpu_row cpu_rows[] = {
#define KERNEL(op, types, needs, layout, prepare) \
	{ OP_##op, types, needs, TAKES_##layout, prepare, #prepare },
#include "exec/cpu/kernels.def"
#undef KERNEL
};
const int cpu_rows_count = sizeof(cpu_rows) / sizeof(cpu_rows[0]);

enum dtype cpu_key_dtype(const struct prep *p)
{
	int key = p->node->op == OP_WHERE ? 1 : p->node->op == OP_ONE_HOT ? 2 : 0;
	if (p->n_in == 0 || p->node->op == OP_CONSTANT_OF_SHAPE)
		return p->out[0].dtype;
	return p->in[key].dtype;
}

static bool is_candidate(const struct cpu_row *row, const struct prep *p, enum cpu_takes least)
{
	return row->op == p->node->op && dtype_in(cpu_key_dtype(p), row->types) &&
	       cpu_row_runs_here(row) && row->takes >= least;
}

/* Rows that have to be timed wait for the first one that has not, and run against it. */
static enum err_code
ask_rows(struct prep *p, enum cpu_takes least, struct kernel *ret, struct err *err)
{
	const struct cpu_row *rival[TRIAL_ROWS_MAX];
	int n = 0, best = 0;
	for (int i = 0; i < cpu_rows_count; i++) {
		const struct cpu_row *row = &cpu_rows[i];
		if (!is_candidate(row, p, least))
			continue;
		assert(n < TRIAL_ROWS_MAX);
		rival[n++] = row;
		if (row->needs & CPU_TIMED)
			continue;
		enum err_code rc = n > 1 ? trial_choose(p, rival, n, &best, err) : ERR_OK;
		if (rc != ERR_OK)
			return rc;
		*ret = (struct kernel){ .name = rival[best]->name, .units = 1 };
		rc = rival[best]->prepare(p, ret, err);
		/* Remembered, but by another build. */
		if (rc == ERR_UNIMPLEMENTED && best < n - 1) {
			*ret = (struct kernel){ .name = row->name, .units = 1 };
			rc = row->prepare(p, ret, err);
		}
		if (rc != ERR_UNIMPLEMENTED)
			return rc;
		n = best = 0;
	}
	return ERR_UNIMPLEMENTED;
}

static enum err_code no_kernel(const struct prep *p, struct err *err)
{
	char types[160] = "", label[NODE_LABEL_MAX];
	size_t at = 0;
	for (int i = 0; i < p->n_in && at < sizeof(types) - 1; i++)
		if (prep_has_in(p, i))
			at += (size_t)snprintf(types + at, sizeof(types) - at, "%s%s",
				at ? ", " : "", dtype_name(p->in[i].dtype));
	return err_set(err, ERR_UNIMPLEMENTED, "%s: no CPU kernel for (%s)",
		node_label(p->graph, p->node, label, sizeof(label)), types);
}

/* What a row has to take for these inputs to come as they are. */
static enum cpu_takes least_taken(const struct prep *p)
{
	enum cpu_takes least = TAKES_PLAIN;
	for (int i = 0; i < p->n_in; i++) {
		if (!prep_has_in(p, i) || p->in[i].layout == LAYOUT_PLAIN)
			continue;
		enum cpu_takes takes = layout_is_bf16(p->in[i].layout) ? TAKES_BF16 : TAKES_BLOCKED;
		least = takes > least ? takes : least;
	}
	return least;
}

enum err_code
cpu_prepare(struct prep *p, struct kernel *ret, bool *ret_want_plain, struct err *err)
{
	bool blocked, custom = op_is_custom(p->node->op);
	struct prep q;
	TRY(prep_with_plain(p, &q, &blocked, err));
	*ret_want_plain = false;

	enum err_code rc = ERR_UNIMPLEMENTED;
	if (blocked && !custom)
		rc = ask_rows(p, least_taken(p), ret, err);
	if (rc != ERR_UNIMPLEMENTED)
		return rc;
	rc = custom ? op_library_prepare(&q, ret, err) : ask_rows(&q, TAKES_PLAIN, ret, err);
	*ret_want_plain = blocked;
	return rc == ERR_UNIMPLEMENTED ? no_kernel(p, err) : rc;
}

static void machine(char *ret, size_t size)
{
	char name[CPU_NAME_MAX];
	cpu_name(name);
	snprintf(ret, size, "%s, features %x, oneDNN %s", name, cpu_features(), onednn_version());
}

static const char *lacks(enum precision precision)
{
	if (precision == PRECISION_TF32 || precision == PRECISION_FP16)
		return "precision tf32 and fp16 are for device gpu";
	bool able = precision != PRECISION_BF16 || cpu_features() & CPU_BF16;
	return able ? NULL : "precision bf16 needs a processor with AVX512-BF16";
}

/* A row says it for all nodes of its operator; convolutions in groups are floats' still, and so are
   those whose weights come with the request. */
static bool takes_bf16(const struct graph *g, const struct node *n, int input)
{
	bool takes = false;
	for (int i = 0; i < cpu_rows_count && !takes; i++)
		takes = cpu_rows[i].op == n->op && cpu_rows[i].takes >= TAKES_BF16 &&
			cpu_row_runs_here(&cpu_rows[i]);
	if (!takes || (n->op != OP_CONV && n->op != OP_FUSED_CONV))
		return takes && input == 0 && n->n_out == 1;
	return (input == 0 || input == 3) && node_int(n, "group", 1) == 1 &&
	       g->value[n->in[1]].constant;
}

const struct backend cpu_backend = {
	.name = "cpu",
	.prepare = cpu_prepare,
	.prepare_copy = prepare_copy,
	.takes_bf16 = takes_bf16,
	.machine = machine,
	.lacks = lacks,
};
