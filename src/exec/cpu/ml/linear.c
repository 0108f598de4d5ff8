/* SPDX-License-Identifier: Apache-2.0 */
/* LinearClassifier and LinearRegressor; an item is a row. */
#include "exec/cpu/ml/ml.h"

struct linear_state {
	struct split split;
	struct ml_linear m;
	size_t row_at; /* in scratch, behind the scores */
};

static void
scores_of(const struct linear_state *s, const struct kernel_args *a, int64_t row, double *score)
{
	const struct ml_linear *m = &s->m;
	float *room = (float *)((char *)a->scratch + s->row_at);
	const float *x = ml_row(&a->in[0], row, m->features, room);
	for (int32_t t = 0; t < m->targets; t++) {
		score[t] = (double)ml_dot(x, m->coefficients + t * m->features, m->features);
		if (m->intercepts)
			score[t] += (double)m->intercepts[t];
	}
}

static void run_linear_regressor(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct linear_state *s = a->state;
	double *score = a->scratch;
	int64_t from, to, n = s->m.targets;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t row = from; row < to; row++) {
		scores_of(s, a, row, score);
		ml_transform(score, n, s->m.post);
		ml_put_floats((float *)a->out[0].data + row * n, score, n);
	}
}

static void run_linear_classifier(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct linear_state *s = a->state;
	const struct ml_linear *m = &s->m;
	double *score = a->scratch;
	int64_t from, to, n = m->second_class ? 2 : m->targets;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t row = from; row < to; row++) {
		scores_of(s, a, row, score);
		if (m->targets > 1)
			ml_put_label(&a->out[0], row, &m->labels, ml_argmax(score, n));
		else if (m->labels.n == 1 && m->labels.strings)
			ml_put_label(&a->out[0], row, &m->labels, 0);
		else if (m->labels.n == 1)
			((int64_t *)a->out[0].data)[row] = score[0] > 0;
		else
			ml_put_label(&a->out[0], row, &m->labels, score[0] > 0);
		if (m->second_class)
			ml_put_two(score, score[0], ML_SECOND_OPPOSITE, m->post);
		else
			ml_transform(score, n, m->post);
		if (args_has_out(a, 1))
			ml_put_floats((float *)a->out[1].data + row * n, score, n);
	}
}

static enum err_code finish_linear(struct linear_state *s, struct prep *p, struct kernel *ret)
{
	s->row_at = ((size_t)s->m.targets + 1) * sizeof(double);
	ret->scratch_bytes = s->row_at + (size_t)s->m.features * sizeof(float);
	s->split = split_work(p, ret, ml_rows(&p->in[0].shape).rows,
		10 + 0.2 * (double)s->m.features * s->m.targets);
	return ERR_OK;
}

enum err_code prepare_linear_regressor(struct prep *p, struct kernel *ret, struct err *err)
{
	struct linear_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	TRY(ml_linear_regressor(p->node, &p->in[0].shape, &s->m, err));
	ret->run = run_linear_regressor;
	return finish_linear(s, p, ret);
}

enum err_code prepare_linear_classifier(struct prep *p, struct kernel *ret, struct err *err)
{
	struct linear_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	TRY(ml_linear_classifier(p->node, &p->in[0].shape, &s->m, err));
	ret->run = run_linear_classifier;
	return finish_linear(s, p, ret);
}
