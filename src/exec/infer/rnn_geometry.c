/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/infer/rnn_geometry.h"

#include <inttypes.h>
#include <strings.h>

static enum err_code bad(struct err *err, const char *what, int64_t is, const char *rule)
{
	return err_set(
		err, ERR_INVALID_ARGUMENT, "%s is %" PRId64 ", it must be %s", what, is, rule);
}

/* -- activation functions -------------------------------------------------------------------- */

static const struct {
	const char *name;
	bool has_alpha, has_beta;
	float alpha, beta;
} functions[RNN_FUNCTION_COUNT_] = {
	[RNN_AFFINE] = { "Affine", true, true, 1, 0 },
	[RNN_ELU] = { "Elu", true, false, 1, 0 },
	[RNN_HARD_SIGMOID] = { "HardSigmoid", true, true, 0.2f, 0.5f },
	[RNN_LEAKY_RELU] = { "LeakyRelu", true, false, 0.01f, 0 },
	[RNN_RELU] = { "Relu", false, false, 0, 0 },
	[RNN_SCALED_TANH] = { "ScaledTanh", true, true, 1, 1 },
	[RNN_SIGMOID] = { "Sigmoid", false, false, 0, 0 },
	[RNN_SOFTPLUS] = { "Softplus", false, false, 0, 0 },
	[RNN_SOFTSIGN] = { "Softsign", false, false, 0, 0 },
	[RNN_TANH] = { "Tanh", false, false, 0, 0 },
	[RNN_THRESHOLDED_RELU] = { "ThresholdedRelu", true, false, 1, 0 },
};

static enum rnn_function_id find_function(struct slice name)
{
	int i = 0;
	while (i < RNN_FUNCTION_COUNT_ &&
		(strlen(functions[i].name) != name.len ||
			strncasecmp(functions[i].name, name.ptr, name.len) != 0))
		i++;
	return (enum rnn_function_id)i;
}

/* The next number of the list, if the function has such a parameter and there is one left. */
static float parameter(const struct attr *list, bool has, int32_t *at, float otherwise)
{
	return has && list && *at < list->n ? list->floats[(*at)++] : otherwise;
}

static enum err_code read_functions(const struct node *n, struct rnn_geometry *g, struct err *err)
{
	static const enum rnn_function_id usual[RNN_FUNCTIONS] = { RNN_SIGMOID, RNN_TANH,
		RNN_TANH };
	const struct attr *names = node_attr(n, "activations");
	const struct attr *alpha = node_attr(n, "activation_alpha");
	const struct attr *beta = node_attr(n, "activation_beta");
	int32_t at_alpha = 0, at_beta = 0, want = g->functions * g->directions;
	/* RNN's default is a list of two, also for one direction. */
	if (names && names->n < want)
		return err_set(
			err, ERR_INVALID_ARGUMENT, "%d activations, %d are needed", names->n, want);
	for (int i = 0; i < want; i++) {
		struct rnn_function *f = &g->function[i / g->functions][i % g->functions];
		f->id = names ? find_function(names->strings[i])
			      : usual[g->functions == 1 ? 1 : i % g->functions];
		if (f->id == RNN_FUNCTION_COUNT_)
			return err_set(err, ERR_INVALID_ARGUMENT, "activation '%.*s' is not known",
				SLICE_ARG(names->strings[i]));
		f->alpha = parameter(
			alpha, functions[f->id].has_alpha, &at_alpha, functions[f->id].alpha);
		f->beta =
			parameter(beta, functions[f->id].has_beta, &at_beta, functions[f->id].beta);
	}
	return ERR_OK;
}

/* -- attributes ------------------------------------------------------------------------------ */

static enum err_code read_direction(const struct node *n, struct rnn_geometry *g, struct err *err)
{
	struct slice d = node_string(n, "direction", "forward");
	g->reverse = slice_is(d, "reverse");
	g->directions = slice_is(d, "bidirectional") ? 2 : 1;
	if (g->reverse || g->directions == 2 || slice_is(d, "forward"))
		return ERR_OK;
	return err_set(err, ERR_INVALID_ARGUMENT,
		"direction is '%.*s', it must be forward, reverse or bidirectional", SLICE_ARG(d));
}

static enum err_code
read_flag(const struct node *n, const char *name, bool *ret, struct err *err)
{
	int64_t v = node_int(n, name, 0);
	*ret = v != 0;
	return v == 0 || v == 1 ? ERR_OK : bad(err, name, v, "0 or 1");
}

static enum err_code read_attrs(const struct node *n, struct rnn_geometry *g, struct err *err)
{
	g->gates = n->op == OP_RNN ? 1 : n->op == OP_GRU ? 3 : 4;
	g->functions = n->op == OP_RNN ? 1 : n->op == OP_GRU ? 2 : 3;
	g->transposed = n->op == OP_DYNAMIC_QUANTIZE_LSTM;
	g->clip = node_float(n, "clip", 0);
	if (!(g->clip >= 0))
		return err_set(err, ERR_INVALID_ARGUMENT, "clip is %g, it must not be negative",
			(double)g->clip);
	TRY(read_direction(n, g, err));
	TRY(read_flag(n, "layout", &g->batch_first, err));
	TRY(read_flag(n, "input_forget", &g->coupled, err));
	g->reset_after = node_int(n, "linear_before_reset", 0) != 0;
	return read_functions(n, g, err);
}

/* -- shapes ---------------------------------------------------------------------------------- */

/* Input i is of these dimensions, as far as both are known; what is better known there is
   taken over. */
static enum err_code want_shape(const struct shape *in, int i, const char *name, int rank,
	int64_t *const want[], struct err *err)
{
	if (in[i].rank == RANK_UNKNOWN)
		return ERR_OK;
	if (in[i].rank != rank)
		return err_set(err, ERR_INVALID_ARGUMENT, "%s is %s, its rank must be %d", name,
			SHAPE_TEXT(&in[i]), rank);
	for (int k = 0; k < rank; k++) {
		if (dim_conflict(in[i].dim[k], *want[k]))
			return err_set(err, ERR_INVALID_ARGUMENT,
				"%s is %s, its dimension %d must be %" PRId64, name,
				SHAPE_TEXT(&in[i]), k, *want[k]);
		*want[k] = dim_merge(*want[k], in[i].dim[k]);
	}
	return ERR_OK;
}

/* DIM_UNKNOWN stays what it is. */
static int64_t times(int64_t dim, int64_t by)
{
	return dim >= 0 ? dim * by : DIM_UNKNOWN;
}

static enum err_code read_hidden(const struct node *n, const struct shape *in,
	struct rnn_geometry *g, struct err *err)
{
	const struct shape *r = &in[RNN_R];
	int64_t said = node_int(n, "hidden_size", DIM_UNKNOWN);
	if (r->rank == 3)
		g->hidden = r->dim[g->transposed ? 1 : 2];
	if (said == DIM_UNKNOWN)
		return ERR_OK;
	if (said < 1 || said > INT32_MAX)
		return bad(err, "hidden_size", said, "positive");
	if (dim_conflict(said, g->hidden))
		return err_set(err, ERR_INVALID_ARGUMENT, "hidden_size is %" PRId64 ", but R is %s",
			said, SHAPE_TEXT(r));
	g->hidden = said;
	return ERR_OK;
}

static enum err_code read_shapes(const struct shape *in, struct rnn_geometry *g, struct err *err)
{
	int64_t directions = g->directions, *first = &directions, *second = &g->batch;
	int64_t width = times(g->hidden, g->gates), biases = times(width, 2);
	int64_t peepholes = times(g->hidden, 3);
	int64_t *steps = g->batch_first ? second : &g->steps;
	int64_t *batch = g->batch_first ? &g->steps : second;
	bool across = g->transposed;
	if (g->batch_first) {
		first = &g->batch;
		second = &directions;
	}
	TRY(want_shape(in, RNN_X, "X", 3, (int64_t *[]){ steps, batch, &g->input }, err));
	TRY(want_shape(in, RNN_W, "W", 3,
		(int64_t *[]){
			&directions, across ? &g->input : &width, across ? &width : &g->input },
		err));
	TRY(want_shape(in, RNN_R, "R", 3,
		(int64_t *[]){
			&directions, across ? &g->hidden : &width, across ? &width : &g->hidden },
		err));
	TRY(want_shape(in, RNN_B, "B", 2, (int64_t *[]){ &directions, &biases }, err));
	TRY(want_shape(in, RNN_LENGTHS, "sequence_lens", 1, (int64_t *[]){ &g->batch }, err));
	for (int i = RNN_INITIAL_H; i <= RNN_INITIAL_C; i++)
		TRY(want_shape(in, i, i == RNN_INITIAL_H ? "initial_h" : "initial_c", 3,
			(int64_t *[]){ first, second, &g->hidden }, err));
	return want_shape(in, RNN_PEEPHOLES, "P", 2, (int64_t *[]){ &directions, &peepholes }, err);
}

enum err_code rnn_geometry(const struct node *n, const struct shape *in, struct rnn_geometry *ret,
	struct err *err)
{
	*ret = (struct rnn_geometry){ .steps = DIM_UNKNOWN, .batch = DIM_UNKNOWN,
		.input = DIM_UNKNOWN, .hidden = DIM_UNKNOWN };
	TRY(read_attrs(n, ret, err));
	TRY(read_hidden(n, in, ret, err));
	return read_shapes(in, ret, err);
}
