/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dnn_plan.c -- engines of cuDNN's for a graph: which it proposes, and one that was written down
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "exec/gpu/lib/dnn_impl.h"

#define PROPOSALS_MAX 64 /* of one heuristic */
/* Plans that are compiled now, which can take a second; others take none. */
#define COMPILED_MAX 2

/* -- what an engine is ------------------------------------------------------------------------ */

static bool get(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
	cudnnBackendAttributeType_t type, int64_t room, int64_t *ret_n, void *ret)
{
	return dnn.cudnnBackendGetAttribute(d, name, type, room, ret_n, ret) ==
		CUDNN_STATUS_SUCCESS;
}

/* Makes as many of `most` as there is memory for. */
static int64_t make_empty(
	cudnnBackendDescriptorType_t type, int64_t most, cudnnBackendDescriptor_t *ret)
{
	int64_t n = 0;
	while (n < most && dnn.cudnnBackendCreateDescriptor(type, &ret[n]) == CUDNN_STATUS_SUCCESS)
		n++;
	return n;
}

static void destroy(cudnnBackendDescriptor_t *d, int64_t n)
{
	while (n > 0)
		dnn.cudnnBackendDestroyDescriptor(d[--n]);
}

static bool read_knobs(cudnnBackendDescriptor_t config, struct dnn_config *ret)
{
	cudnnBackendDescriptor_t choice[DNN_KNOBS_MAX + 1]; /* one more: are there more? */
	int64_t room = make_empty(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, DNN_KNOBS_MAX + 1, choice),
		n = 0, one;
	bool ok = get(config, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR,
			  room, &n, choice) &&
		n <= DNN_KNOBS_MAX && n <= room;
	for (int64_t i = 0; i < n && ok; i++) {
		cudnnBackendKnobType_t type;
		ok = get(choice[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &one,
			     &type) &&
			get(choice[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1, &one,
				&ret->value[i]);
		ret->type[i] = ok ? (int64_t)type : 0;
	}
	ret->n_knob = ok ? (int)n : 0;
	destroy(choice, room);
	return ok;
}

/* What an engine says of itself. */
struct notes {
	uint32_t numerics; /* bit i: cudnnBackendNumericalNote_t i; all bits: it does not say */
	bool compiles;
};

static bool compiles(cudnnBackendDescriptor_t engine)
{
	cudnnBackendBehaviorNote_t note[CUDNN_BEHAVIOR_NOTE_TYPE_COUNT];
	int64_t n = 0;
	bool yes = false;
	if (get(engine, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE,
		    CUDNN_BEHAVIOR_NOTE_TYPE_COUNT, &n, note))
		for (int64_t i = 0; i < n; i++)
			yes |= note[i] == CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION;
	return yes;
}

/* Which engine a configuration is of. */
static struct notes read_config(cudnnBackendDescriptor_t config, struct dnn_config *ret)
{
	cudnnBackendNumericalNote_t note[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
	cudnnBackendDescriptor_t engine;
	int64_t n = 0, one;
	struct notes said = { .numerics = UINT32_MAX };
	ret->engine = -1;
	if (make_empty(CUDNN_BACKEND_ENGINE_DESCRIPTOR, 1, &engine) == 0)
		return said;
	if (get(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &one,
		    &engine)) {
		if (!read_knobs(config, ret) ||
			!get(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &one,
				&ret->engine))
			ret->engine = -1;
		if (get(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
			    CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &n, note))
			for (said.numerics = 0; n > 0; n--)
				said.numerics |= 1U << note[n - 1];
		said.compiles = compiles(engine);
	}
	destroy(&engine, 1);
	return said;
}

void dnn_config_write(const struct dnn_config *c, char *ret, size_t size)
{
	int n = c->engine < 0 ? -1 : snprintf(ret, size, "%" PRId64, c->engine);
	for (int i = 0; i < c->n_knob && n >= 0 && (size_t)n < size; i++)
		n += snprintf(ret + n, size - (size_t)n, " %" PRId64 "=%" PRId64, c->type[i],
			c->value[i]);
	if (n < 0 || (size_t)n >= size)
		ret[0] = '\0';
}

static bool take_number(const char **text, int64_t *ret)
{
	char *end;
	long v = strtol(*text, &end, 10);
	bool ok = end != *text && **text != ' ';
	*ret = v;
	*text = end;
	return ok;
}

bool dnn_config_read(const char *text, struct dnn_config *ret)
{
	*ret = (struct dnn_config){ 0 };
	bool ok = take_number(&text, &ret->engine) && ret->engine >= 0;
	while (ok && *text == ' ' && ret->n_knob < DNN_KNOBS_MAX) {
		int i = ret->n_knob++;
		text++;
		ok = take_number(&text, &ret->type[i]) && *text++ == '=' &&
			take_number(&text, &ret->value[i]);
	}
	return ok && *text == '\0';
}

/* -- plans ------------------------------------------------------------------------------------- */

static bool set(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
	cudnnBackendAttributeType_t type, const void *value)
{
	return dnn.cudnnBackendSetAttribute(d, name, type, 1, value) == CUDNN_STATUS_SUCCESS;
}

static bool finalize(const struct dnn_target *t, cudnnBackendDescriptor_t config,
	const struct dnn_limits *l, struct dnn_plan *p)
{
	int64_t n;
	bool ok = t->handle
		? set(p->plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, &t->handle)
		: set(p->plan, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR,
			  &t->properties);
	return ok &&
		set(p->plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR,
			&config) &&
		dnn.cudnnBackendFinalize(p->plan) == CUDNN_STATUS_SUCCESS &&
		get(p->plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &n,
			&p->workspace_bytes) &&
		p->workspace_bytes >= 0 && (uint64_t)p->workspace_bytes <= l->workspace_bytes;
}

/* A plan of the configuration; NULL: it cannot be, or wants too much. *compiled: plans that were
   compiled so far. */
static struct dnn_plan *try_config(const struct dnn_target *t, cudnnBackendDescriptor_t config,
	const struct dnn_limits *l, int *compiled)
{
	struct dnn_plan *p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	pthread_mutex_init(&p->lock, NULL);
	struct notes said = read_config(config, &p->config);
	if (!(said.numerics & l->forbidden) && (!said.compiles || *compiled < COMPILED_MAX) &&
		make_empty(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, 1, &p->plan) == 1 &&
		finalize(t, config, l, p)) {
		*compiled += said.compiles;
		return p;
	}
	dnn_plan_free(p);
	return NULL;
}

void dnn_plan_free(struct dnn_plan *p)
{
	if (!p)
		return;
	if (p->plan)
		dnn.cudnnBackendDestroyDescriptor(p->plan);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

size_t dnn_workspace_bytes(const struct dnn_plan *p)
{
	return (size_t)p->workspace_bytes;
}

const struct dnn_config *dnn_plan_config(const struct dnn_plan *p)
{
	return &p->config;
}

/* -- asking ------------------------------------------------------------------------------------ */

static cudnnBackendDescriptor_t operation_graph(struct dnn_graph *g)
{
	const struct dnn_attribute a[] = {
		{ CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, g->n_operation,
			g->operation },
		{ CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, g->target.handle != NULL,
			&g->target.handle },
	};
	return dnn_describe(
		g, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, "the operations together", DNN_ROWS(a));
}

static enum err_code refused(const struct dnn_graph *g, struct err *err)
{
	char text[160] = "";
	dnn.cudnnGetLastErrorString(text, sizeof(text));
	return err_set(err, ERR_UNIMPLEMENTED, "cuDNN refuses %s: %s %s", g->what,
		dnn.cudnnGetErrorString(g->status), text);
}

/* What the library proposes in this mode, best first, as far as it does. */
static void try_mode(struct dnn_graph *g, cudnnBackendDescriptor_t operations,
	cudnnBackendHeurMode_t mode, const struct dnn_limits *l, int most, struct dnn_plan **ret,
	int *ret_n)
{
	const struct dnn_attribute a[] = {
		{ CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
			&operations },
		{ CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode },
		{ CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR,
			g->target.properties != NULL, &g->target.properties },
	};
	cudnnBackendDescriptor_t config[PROPOSALS_MAX];
	cudnnBackendDescriptor_t heuristic = dnn_describe(
		g, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, "a question for engines", DNN_ROWS(a));
	int compiled = 0;
	int64_t n = 0,
		room = heuristic
		? make_empty(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, PROPOSALS_MAX, config)
		: 0;
	if (heuristic &&
		get(heuristic, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, room,
			&n, config))
		for (int64_t i = 0; i < n && i < room && *ret_n < most; i++) {
			struct dnn_plan *p = try_config(&g->target, config[i], l, &compiled);
			if (p)
				ret[(*ret_n)++] = p;
		}
	destroy(config, room);
}

enum err_code dnn_plans(struct dnn_graph *g, const struct dnn_limits *l, int most,
	struct dnn_plan **ret, int *ret_n, struct err *err)
{
	cudnnBackendDescriptor_t operations = operation_graph(g);
	*ret_n = 0;
	if (!operations)
		return refused(g, err);
	try_mode(g, operations, CUDNN_HEUR_MODE_A, l, most, ret, ret_n);
	if (*ret_n == 0) {
		g->status = CUDNN_STATUS_SUCCESS; /* what the one mode cannot, the other may */
		try_mode(g, operations, CUDNN_HEUR_MODE_FALLBACK, l, most, ret, ret_n);
	}
	return *ret_n ? ERR_OK : err_set(err, ERR_UNIMPLEMENTED, "cuDNN has no engine for it");
}

static cudnnBackendDescriptor_t knob(struct dnn_graph *g, const struct dnn_config *c, int i)
{
	cudnnBackendKnobType_t type = (cudnnBackendKnobType_t)c->type[i];
	const struct dnn_attribute a[] = {
		{ CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &type },
		{ CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1, &c->value[i] },
	};
	return dnn_describe(g, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, "a knob", DNN_ROWS(a));
}

static cudnnBackendDescriptor_t configuration(
	struct dnn_graph *g, cudnnBackendDescriptor_t operations, const struct dnn_config *c)
{
	cudnnBackendDescriptor_t knobs[DNN_KNOBS_MAX];
	const struct dnn_attribute of_engine[] = {
		{ CUDNN_ATTR_ENGINE_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
			&operations },
		{ CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &c->engine },
		{ CUDNN_ATTR_ENGINE_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR,
			g->target.properties != NULL, &g->target.properties },
	};
	cudnnBackendDescriptor_t engine =
		dnn_describe(g, CUDNN_BACKEND_ENGINE_DESCRIPTOR, "an engine", DNN_ROWS(of_engine));
	for (int i = 0; i < c->n_knob; i++)
		knobs[i] = knob(g, c, i);
	const struct dnn_attribute a[] = {
		{ CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &engine },
		{ CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR, c->n_knob,
			knobs },
	};
	return dnn_describe(
		g, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, "an engine's knobs", DNN_ROWS(a));
}

enum err_code dnn_plan_as(struct dnn_graph *g, const struct dnn_limits *l,
	const struct dnn_config *c, struct dnn_plan **ret, struct err *err)
{
	cudnnBackendDescriptor_t operations = operation_graph(g);
	cudnnBackendDescriptor_t config = operations ? configuration(g, operations, c) : NULL;
	if (!config)
		return refused(g, err);
	int compiled = 0;
	*ret = try_config(&g->target, config, l, &compiled);
	return *ret ? ERR_OK : err_set(err, ERR_UNIMPLEMENTED, "the engine does not do it");
}
