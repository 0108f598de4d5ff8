/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include "loader/repo/load.h"

/* -- the policy's view of a model ------------------------------------------------------------ */

static struct policy_version view_of(const struct instance *x, int64_t now_ns)
{
	return (struct policy_version){ .number = x->number,
		.state = x->state,
		.present = x->present,
		.stands_in = instance_failed_heir(x) != NULL,
		.loadable = instance_is_loadable(x, now_ns),
		.cancelling = x->load && atomic_load(&x->load->cancel) };
}

static struct policy_rule rule_of(const struct model_conf *c, bool enabled, int64_t *labelled)
{
	for (int i = 0; i < c->n_labels; i++)
		labelled[i] = c->labels[i].number;
	return (struct policy_rule){ .enabled = enabled,
		.policy = c->policy,
		.latest_n = c->latest_n,
		.versions = c->versions,
		.n_versions = c->n_versions,
		.labelled = labelled,
		.n_labelled = c->n_labels };
}

static bool note_aside(const struct model *m, const struct policy_version *v)
{
	bool news = false;
	for (struct instance *x = m->first; x; x = x->next, v++) {
		bool aside = !v->wanted && x->settled && x->present &&
			     (x->state == VERSION_FOUND || x->state == VERSION_UNLOADED);
		news |= aside != x->aside;
		x->aside = aside;
	}
	return news;
}

struct wish model_next(const struct model *m, bool enabled, int64_t now_ns)
{
	struct wish next = { POLICY_NOTHING, NULL, false };
	int64_t labelled[MODEL_LABELS_MAX];
	int n = 0, i = 0;
	for (struct instance *x = m->first; x; x = x->next)
		n++;
	struct policy_version *v = calloc((size_t)n + 1, sizeof(*v));
	if (!v)
		return next; /* the next round asks again */
	for (struct instance *x = m->first; x; x = x->next)
		v[i++] = view_of(x, now_ns);
	struct policy_rule rule = rule_of(m->conf, enabled, labelled);
	policy_want(&rule, v, n);
	struct policy_action a = policy_next(&rule, v, n);
	next.act = a.act;
	next.news = note_aside(m, v);
	free(v);
	if (a.act == POLICY_NOTHING)
		return next;
	next.x = m->first;
	while (a.index--)
		next.x = next.x->next;
	return next;
}

/* -- labels ---------------------------------------------------------------------------------- */

static bool is_ready(const struct model *m, int64_t number)
{
	for (const struct instance *x = m->first; x; x = x->next)
		if (x->number == number && x->version)
			return true;
	return false;
}

static int64_t target_of(const struct model *m, const struct model_label *want)
{
	for (int i = 0; i < m->n_label && !is_ready(m, want->number); i++)
		if (strcmp(m->label[i].name, want->name) == 0 && is_ready(m, m->label[i].number))
			return m->label[i].number;
	return want->number;
}

static bool is_up_to_date(const struct model *m, const struct registry_label *next, int n)
{
	bool same = n == m->n_label;
	for (int i = 0; same && i < n; i++)
		same = strcmp(next[i].name, m->label[i].name) == 0 &&
		       next[i].number == m->label[i].number;
	return same;
}

static void free_labels(struct registry_label *label, int n)
{
	for (int i = 0; label && i < n; i++)
		free((char *)label[i].name);
	free(label);
}

bool model_update_labels(struct model *m)
{
	const struct model_conf *c = m->conf;
	struct registry_label *next = calloc((size_t)c->n_labels + 1, sizeof(*next));
	bool ok = next != NULL;
	for (int i = 0; ok && i < c->n_labels; i++) {
		next[i].number = target_of(m, &c->labels[i]);
		next[i].name = strdup(c->labels[i].name);
		ok = next[i].name != NULL;
	}
	if (!ok || is_up_to_date(m, next, c->n_labels)) {
		free_labels(next, c->n_labels);
		return false;
	}
	free_labels(m->label, m->n_label);
	m->label = next;
	m->n_label = c->n_labels;
	return true;
}
