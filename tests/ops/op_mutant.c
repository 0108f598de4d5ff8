/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/op_mutant.h"

#include <assert.h>
#include <string.h>
#include "support/models.h"
#include "support/odd.h"
#include "support/tensors.h"

#define INPUT_BYTES_MAX ((size_t)1 << 20)

static struct node *node_of(const struct op_mutant *m)
{
	return &m->g->node[m->node];
}

bool op_mutant_init(struct op_mutant *m, const struct op_case *c, enum dtype dtype)
{
	struct op_node n;
	bool good = op_node_init(&n, c, dtype);
	*m = (struct op_mutant){ .g = n.graph, .node = (int32_t)(n.node - n.graph->node),
		.n_in = n.n_in };
	memcpy(m->in, n.in, sizeof(m->in));
	memcpy(m->type, n.type, sizeof(m->type));
	memcpy(m->known, n.known, sizeof(m->known));
	for (int i = 0; i < OP_CASE_IO_MAX; i++)
		tensors_free(&n.want[i]);
	graph_symbol(m->g, SLICE_LIT("n"));
	graph_symbol(m->g, SLICE_LIT("m"));
	return good;
}

/* -- with bodies ---------------------------------------------------------------------------- */

static void add_input(struct op_mutant *m, enum dtype dtype, struct shape s, double first)
{
	struct tensor *t = &m->in[m->n_in];
	*t = tensors_new(dtype, s);
	tensors_fill(t, TENSORS_ANY, (uint32_t)m->n_in);
	tensors_set(t, 0, first);
	m->type[m->n_in++].dtype = dtype;
}

static void add_control(struct op_mutant *m, enum op_id op, int n_out)
{
	int32_t value[OP_CASE_IO_MAX];
	for (int i = 0; i < m->n_in; i++)
		value[i] = model_input(m->g, "", m->in[i].dtype, m->in[i].shape);
	m->node = m->g->value[model_node(m->g, op, n_out, m->n_in, value)].producer;
}

static struct graph *branch(struct graph *g, enum op_id op)
{
	struct graph *body = model_body(g, "branch");
	model_output(body, MODEL_NODE(body, op, model_capture(body)));
	return body;
}

static void add_if(struct op_mutant *m)
{
	add_input(m, DTYPE_BOOL, SHAPE_SCALAR, 1);
	add_input(m, DTYPE_F32, shape_of(2, 3), 1);
	add_input(m, DTYPE_F32, shape_of(2, 3), 1);
	add_control(m, OP_IF, 1);
	model_attr_graph(m->g, "then_branch", branch(m->g, OP_RELU));
	model_attr_graph(m->g, "else_branch", branch(m->g, OP_NEG));
}

/* Three turns that double a value and keep what it was. */
static void add_loop(struct op_mutant *m)
{
	add_input(m, DTYPE_I64, SHAPE_SCALAR, 3);
	add_input(m, DTYPE_BOOL, SHAPE_SCALAR, 1);
	add_input(m, DTYPE_F32, shape_of(2, 3), 1);
	add_control(m, OP_LOOP, 2);
	struct graph *body = model_body(m->g, "turn");
	model_input(body, "i", DTYPE_I64, SHAPE_SCALAR);
	int32_t go = model_input(body, "go", DTYPE_BOOL, SHAPE_SCALAR);
	int32_t v = model_input(body, "v", DTYPE_F32, shape_of(2, 3));
	model_output(body, MODEL_NODE(body, OP_IDENTITY, go));
	model_output(body, MODEL_NODE(body, OP_ADD, v, v));
	model_output(body, MODEL_NODE(body, OP_IDENTITY, v));
	model_attr_graph(m->g, "body", body);
}

/* Running sums of the rows. */
static void add_scan(struct op_mutant *m, enum op_id op)
{
	bool batched = op == OP_BATCHED_SCAN;
	if (batched) /* lengths of the sequences */
		add_input(m, DTYPE_I64, shape_of(2), 4);
	add_input(m, DTYPE_F32, batched ? shape_of(2, 3) : shape_of(3), 0);
	add_input(m, DTYPE_F32, batched ? shape_of(2, 4, 3) : shape_of(4, 3), 1);
	add_control(m, op, 2);
	struct graph *body = model_body(m->g, "row");
	int32_t s = model_input(body, "s", DTYPE_F32, shape_of(3));
	int32_t x = model_input(body, "x", DTYPE_F32, shape_of(3));
	int32_t sum = MODEL_NODE(body, OP_ADD, s, x);
	model_output(body, sum);
	model_output(body, MODEL_NODE(body, OP_IDENTITY, sum));
	model_attr_graph(m->g, "body", body);
	model_attr_int(m->g, "num_scan_inputs", 1);
}

static void add_map(struct op_mutant *m)
{
	struct tensor *t = &m->in[m->n_in];
	*t = tensors_new(DTYPE_TENSOR, shape_of(2));
	for (int i = 0; i < 2; i++) {
		struct tensor item = tensors_new(DTYPE_F32, shape_of(2, i));
		tensors_fill(&item, TENSORS_ANY, 1);
		((struct tensor *)t->data)[i] = item;
	}
	m->type[m->n_in++] = (struct type){ .dtype = DTYPE_F32, .is_sequence = true };
	add_control(m, OP_SEQUENCE_MAP, 1);
	struct graph *body = model_body(m->g, "each");
	model_output(
		body, MODEL_NODE(body, OP_NEG, model_input(body, "x", DTYPE_F32, SHAPE_UNKNOWN)));
	model_attr_graph(m->g, "body", body);
}

void op_mutant_init_control(struct op_mutant *m, enum op_id op)
{
	*m = (struct op_mutant){ .g = model_new() };
	switch (op) {
	case OP_IF: add_if(m); break;
	case OP_LOOP: add_loop(m); break;
	case OP_SCAN:
	case OP_BATCHED_SCAN: add_scan(m, op); break;
	case OP_SEQUENCE_MAP: add_map(m); break;
	default: assert(!"an operator has bodies, and no example here");
	}
}

void op_mutant_done(struct op_mutant *m)
{
	for (int i = 0; i < OP_CASE_IO_MAX; i++)
		tensors_free(&m->in[i]);
	model_free(m->g);
}

/* -- steps ---------------------------------------------------------------------------------- */

static void drop_attr(struct node *n, int i)
{
	n->attr[i] = n->attr[--n->n_attr];
}

static const struct attr_spec *some_spec(const struct node *n)
{
	int count = 0;
	const struct attr_spec *s = op_info(n->op)->attrs;
	while (s[count].name)
		count++;
	return count ? &s[odd_draw((uint32_t)count)] : NULL;
}

/* One of the operator's own, with an odd value or of another kind. */
static void mutate_attr(struct op_mutant *m)
{
	struct node *n = node_of(m);
	const struct attr_spec *s = some_spec(n);
	m->what = "an attribute";
	if (!s || odd_draw(12) == 0) {
		odd_attr(m->g, "no_such_attribute", ATTR_INT);
		return;
	}
	for (int i = n->n_attr - 1; i >= 0; i--)
		if (strcmp(n->attr[i].name, s->name) == 0)
			drop_attr(n, i);
	if (odd_draw(8))
		odd_attr(m->g, s->name,
			odd_draw(8) ? (enum attr_kind)s->kind
				    : (enum attr_kind)odd_draw(ATTR_TYPE + 1));
}

static void refill(struct op_mutant *m, int i, enum dtype dtype, struct shape s)
{
	tensors_free(&m->in[i]);
	m->in[i] = tensors_new(dtype, s);
	tensors_fill(&m->in[i], odd_draw(4) ? TENSORS_ANY : TENSORS_SPECIAL, odd_draw(1000));
	m->type[i] = (struct type){ .dtype = dtype, .is_optional = odd_draw(30) == 0 };
}

/* A present tensor among the inputs; -1: there is none. */
static int some_input(const struct op_mutant *m)
{
	for (int tries = 0; m->n_in && tries < 8; tries++) {
		int i = (int)odd_draw((uint32_t)m->n_in);
		if (m->in[i].data && m->in[i].dtype != DTYPE_TENSOR)
			return i;
	}
	return -1;
}

static void mutate_type(struct op_mutant *m)
{
	int i = some_input(m);
	m->what = "a type";
	if (i >= 0)
		refill(m, i, (enum dtype)(1 + odd_draw(DTYPE_I2)), m->in[i].shape);
}

/* As many axes as there may be, or nearly: ones before the others. */
static struct shape widened(struct shape s)
{
	int more = RANK_MAX - (int)odd_draw(2) - s.rank;
	if (more <= 0)
		return s;
	memmove(s.dim + more, s.dim, (size_t)s.rank * sizeof(*s.dim));
	for (int k = 0; k < more; k++)
		s.dim[k] = odd_draw(8) ? 1 : 2;
	s.rank += more;
	return s;
}

/* Of no elements, and large all the same. */
static struct shape hollowed(struct shape s)
{
	uint32_t at = odd_draw((uint32_t)s.rank), log2 = odd_draw(41);
	s.dim[at] = 0;
	s.dim[(at + 1) % (uint32_t)s.rank] = INT64_C(1) << log2;
	return s;
}

static void mutate_shape(struct op_mutant *m)
{
	static const int64_t dims[] = { 0, 1, 2, 3, 4, 7, 8, 16 };
	int i = some_input(m);
	m->what = "a shape";
	if (i < 0)
		return;
	struct shape s = m->in[i].shape;
	uint32_t how = odd_draw(6);
	if (how == 0 && s.rank < RANK_MAX)
		s.dim[s.rank++] = dims[odd_draw(8)];
	else if (how == 4)
		s = widened(s);
	else if (how == 5 && s.rank > 1)
		s = hollowed(s);
	else if (how == 1 && s.rank > 0)
		s.rank--;
	else if (s.rank > 0)
		s.dim[odd_draw((uint32_t)s.rank)] = dims[odd_draw(8)];
	size_t bytes;
	if (!tensor_bytes_overflow(m->in[i].dtype, &s, &bytes) && bytes < INPUT_BYTES_MAX)
		refill(m, i, m->in[i].dtype, s);
}

static void mutate_arity(struct op_mutant *m)
{
	struct node *n = node_of(m);
	uint32_t how = odd_draw(4);
	m->what = "the arity";
	if (how == 0 && m->n_in > 0) {
		tensors_free(&m->in[--m->n_in]);
		m->in[m->n_in] = tensor_absent();
	} else if (how == 1 && m->n_in > 0) {
		int i = (int)odd_draw((uint32_t)m->n_in);
		tensors_free(&m->in[i]);
		m->in[i] = tensor_absent();
		m->type[i] = (struct type){ 0 };
	} else if (how == 2 && m->n_in + 1 < OP_CASE_IO_MAX) {
		m->known[m->n_in] = false;
		refill(m, m->n_in++, DTYPE_F32, shape_of(2, 3));
	} else if (n->n_out > 1) {
		n->n_out--;
	} else {
		n->n_out = 0;
	}
}

/* Axes, sizes, indices and the like become odd, and known to the planner or not. */
static void mutate_value(struct op_mutant *m)
{
	int i = some_input(m);
	m->what = "a value";
	if (i < 0 || node_of(m)->op == OP_LOOP) /* which may go on for as long as it is told to */
		return;
	enum dtype_class class = dtype_info(m->in[i].dtype)->class;
	m->known[i] = odd_draw(3) != 0;
	bool whole = class == DTYPE_CLASS_INT || class == DTYPE_CLASS_UINT;
	if (!whole && class != DTYPE_CLASS_FLOAT)
		return;
	for (int64_t k = 0; k < tensor_count(&m->in[i]); k++)
		if (odd_draw(2) && m->in[i].dtype == DTYPE_I64)
			((int64_t *)m->in[i].data)[k] = odd_int();
		else if (odd_draw(2))
			tensors_set(&m->in[i], k, whole ? (double)odd_int() : odd_float());
}

void op_mutant_step(struct op_mutant *m)
{
	static void (*const steps[])(struct op_mutant *) = { mutate_attr, mutate_attr, mutate_type,
		mutate_shape, mutate_shape, mutate_arity, mutate_value, mutate_value };
	steps[odd_draw(8)](m);
}

void op_mutant_settle(struct op_mutant *m, struct tensor *ret_in)
{
	struct graph *g = m->g;
	struct err err;
	int32_t in[OP_CASE_IO_MAX];
	g->n_input = 0;
	for (int i = 0; i < m->n_in; i++) {
		in[i] = VALUE_NONE;
		if (!m->in[i].data && !m->type[i].is_optional)
			continue;
		if (m->known[i] && m->in[i].data) {
			enum err_code rc = graph_add_constant(
				g, arena_printf(g->arena, "known%d", i), &m->in[i], &in[i], &err);
			assert(rc == ERR_OK);
			(void)rc;
			continue;
		}
		ret_in[g->n_input] = m->in[i];
		in[i] = model_input(
			g, arena_printf(g->arena, "given%d", i), m->in[i].dtype, m->in[i].shape);
		g->value[in[i]].type = m->type[i];
		if (m->type[i].is_sequence)
			g->value[in[i]].shape = SHAPE_UNKNOWN;
	}
	struct node *n = node_of(m);
	n->n_in = m->n_in;
	n->in = ARENA_ARRAY(g->arena, int32_t, OP_CASE_IO_MAX);
	assert(n->in);
	memcpy(n->in, in, (size_t)n->n_in * sizeof(*in));
	for (int k = 0; k < n->n_out; k++)
		model_output(g, n->out[k]);
}
