/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/ctl/run_profile.h"

#include <stdlib.h>
#include <string.h>

struct profile_row {
	const char *node, *op, *kernel;
	int64_t run_ns; /* of the run under way */
	int64_t ns, least_ns; /* of those before: all together, the shortest */
	int64_t steps;
};

static bool is_row(const struct profile_row *r, const char *node, const char *kernel)
{
	return strcmp(r->node, node) == 0 && strcmp(r->kernel, kernel) == 0;
}

static struct profile_row *find(struct run_profile *p, const char *node, const char *kernel)
{
	/* Steps of one name (copies) come in the same order in each run. */
	for (int k = 0; k < p->n; k++) {
		int i = (p->next + k) % p->n;
		if (is_row(&p->row[i], node, kernel)) {
			p->next = i + 1;
			return &p->row[i];
		}
	}
	return NULL;
}

static struct profile_row *add(
	struct run_profile *p, const char *node, const char *op, const char *kernel)
{
	if (p->n == p->cap) {
		int cap = p->cap ? 2 * p->cap : 256;
		struct profile_row *row = ARENA_ARRAY(p->arena, struct profile_row, (size_t)cap);
		if (!row)
			return NULL;
		if (p->n)
			memcpy(row, p->row, (size_t)p->n * sizeof(*row));
		p->row = row;
		p->cap = cap;
	}
	struct profile_row *r = &p->row[p->n];
	*r = (struct profile_row){.node = arena_strdup(p->arena, node), .op = op, .kernel = kernel};
	if (!r->node)
		return NULL;
	p->next = ++p->n;
	return r;
}

static void on_step(void *ctx, const char *node, const char *op, const char *kernel, int64_t ns)
{
	struct run_profile *p = ctx;
	kernel = kernel ? kernel : "";
	struct profile_row *r = find(p, node, kernel);
	if (!r)
		r = add(p, node, op, kernel);
	if (!r) {
		p->out_of_memory = true;
		return;
	}
	r->run_ns += ns;
	r->steps++;
}

void run_profile_init(struct run_profile *p, struct arena *arena)
{
	*p = (struct run_profile){.profile = {.step = on_step, .ctx = p}, .arena = arena};
}

void run_profile_ran(struct run_profile *p)
{
	for (int i = 0; i < p->n; i++) {
		struct profile_row *r = &p->row[i];
		if (r->run_ns && (!r->least_ns || r->run_ns < r->least_ns))
			r->least_ns = r->run_ns;
		r->ns += r->run_ns;
		r->run_ns = 0;
	}
}

void run_profile_restart(struct run_profile *p)
{
	for (int i = 0; i < p->n; i++)
		p->row[i].run_ns = p->row[i].ns = p->row[i].least_ns = p->row[i].steps = 0;
}

static int longest_first(const void *a, const void *b)
{
	int64_t x = ((const struct profile_row *)a)->ns, y = ((const struct profile_row *)b)->ns;
	return (x < y) - (x > y);
}

static void print_rows(
	FILE *to, struct profile_row *row, int n, int64_t runs, int64_t total, bool steps)
{
	qsort(row, (size_t)n, sizeof(*row), longest_first);
	for (int i = 0; i < n && row[i].steps; i++)
		fprintf(to, "%10.1f %10.1f %5.1f%% %7.1f  %-28s %s\n",
			(double)row[i].ns / (double)runs / 1e3, (double)row[i].least_ns / 1e3,
			total ? 100 * (double)row[i].ns / (double)total : 0.0,
			(double)row[i].steps / (double)runs, steps ? row[i].kernel : row[i].op,
			steps ? row[i].node : "");
}

enum err_code run_profile_print(
	const struct run_profile *p, int64_t runs, FILE *to, struct err *err)
{
	struct profile_row *row = ARENA_ARRAY(p->arena, struct profile_row, 2 * (size_t)p->n + 1);
	int64_t total = 0;
	if (!row || p->out_of_memory)
		return err_oom(err);
	struct profile_row *op = row + p->n;
	int n_op = 0;
	for (int i = 0; i < p->n; i++) {
		int k = 0;
		while (k < n_op && strcmp(op[k].op, p->row[i].op) != 0)
			k++;
		if (k == n_op)
			op[n_op++] = (struct profile_row){.op = p->row[i].op};
		op[k].ns += p->row[i].ns;
		op[k].least_ns += p->row[i].least_ns;
		op[k].steps += p->row[i].steps;
		total += p->row[i].ns;
		row[i] = p->row[i];
	}
	fputs("    US/RUN      LEAST  SHARE   STEPS  KERNEL                       NODE\n", to);
	print_rows(to, row, p->n, runs, total, true);
	fputs("\n    US/RUN      LEAST  SHARE   STEPS  OPERATOR\n", to);
	print_rows(to, op, n_op, runs, total, false);
	return ERR_OK;
}
