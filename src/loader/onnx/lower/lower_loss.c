/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lower_loss.c -- the losses of classification, in terms of Gather and reductions
 */
#include "loader/onnx/lower/lower.h"

#define END { NULL, 0, false }

const struct attr_spec old_loss[] = { { "ignore_index", ATTR_INT, false },
	{ "reduction", ATTR_STRING, false }, END };

/* The number as one of v's type. */
static int32_t number_like(struct lower *x, int64_t number, int32_t v)
{
	return LOWER_EMIT(x, CAST_LIKE, lower_scalar(x, number), v);
}

static int32_t sum_all(struct lower *x, int32_t v)
{
	lower_with_int(x, "keepdims", 0);
	return LOWER_EMIT(x, REDUCE_SUM, v);
}

/* What each target weighs: its class's weight, 0 where it is to be ignored; VALUE_NONE when
   all weigh the same. *target becomes one that is a class everywhere. */
static int32_t weights(struct lower *x, int32_t log_prob, int32_t *target)
{
	const struct attr *ignore = lower_take(x, "ignore_index");
	int32_t mask = VALUE_NONE, weight = VALUE_NONE;
	if (ignore) {
		mask = LOWER_EMIT(x, EQUAL, *target, number_like(x, ignore->i, *target));
		*target = LOWER_EMIT(x, WHERE, mask, number_like(x, 0, *target), *target);
	}
	if (lower_has_in(x, 2)) {
		lower_with_int(x, "axis", 0);
		weight = LOWER_EMIT(x, GATHER, x->in[2], *target);
	}
	if (!ignore)
		return weight;
	if (weight == VALUE_NONE)
		return LOWER_EMIT(x, CAST_LIKE, LOWER_EMIT(x, NOT, mask), log_prob);
	return LOWER_EMIT(x, WHERE, mask, number_like(x, 0, weight), weight);
}

/* The draft becomes the loss of log_prob [N, C, ...] and its input 1, the targets. */
static void negative_log_likelihood(struct lower *x, int32_t log_prob)
{
	const struct attr *reduction = lower_take(x, "reduction");
	struct slice how = reduction ? reduction->s : slice_of("mean");
	int32_t target = lower_in(x, 1), weight = weights(x, log_prob, &target);
	int32_t channel = lower_int(x, 1);
	int32_t index = LOWER_EMIT(x, UNSQUEEZE, target, channel);
	lower_with_int(x, "axis", 1);
	int32_t found = LOWER_EMIT(x, GATHER_ELEMENTS, log_prob, index);
	int32_t loss = LOWER_EMIT(x, NEG, LOWER_EMIT(x, SQUEEZE, found, channel));
	bool weighs = weight != VALUE_NONE;
	if (weighs)
		loss = LOWER_EMIT(x, MUL, loss, weight);

	x->n_in = 0;
	lower_set_in(x, 0, loss);
	if (slice_is(how, "none")) {
		x->op = OP_IDENTITY;
	} else if (slice_is(how, "sum") || slice_is(how, "mean")) {
		bool divide = weighs && slice_is(how, "mean");
		x->op = divide ? OP_DIV : slice_is(how, "sum") ? OP_REDUCE_SUM : OP_REDUCE_MEAN;
		if (divide) {
			lower_set_in(x, 0, sum_all(x, loss));
			lower_set_in(x, 1, sum_all(x, weight));
		} else {
			lower_default_int(x, "keepdims", 0);
		}
	} else {
		lower_fail(x, ERR_INVALID_ARGUMENT,
			"reduction is '%.*s', it must be none, sum or mean", SLICE_ARG(how));
	}
}

void lower_negative_log_likelihood(struct lower *x)
{
	negative_log_likelihood(x, lower_in(x, 0));
}

/* Its second output is the logarithm of the probabilities. */
void lower_softmax_cross_entropy(struct lower *x)
{
	int32_t scores = lower_in(x, 0);
	lower_with_int(x, "axis", 1);
	int32_t log_prob = x->n_out > 1 && x->out[1] != VALUE_NONE
				   ? lower_emit_out(x, OP_LOG_SOFTMAX, scores, 1)
				   : LOWER_EMIT(x, LOG_SOFTMAX, scores);
	x->n_out = 1;
	negative_log_likelihood(x, log_prob);
}
