/* SPDX-License-Identifier: Apache-2.0 */
/* SVMClassifier and SVMRegressor; an item is a row. */
#include <math.h>
#include <string.h>
#include "exec/cpu/ml/ml.h"

struct svm_state {
	struct split split;
	struct ml_svm m;
	size_t start_at, work_at; /* of class i's vectors; see room */
	const int32_t *start;
};

/* Scratch of one row. */
struct room {
	double *score;   /* pairs or classes */
	double *pair;    /* [classes, classes]: probability of the one against the other */
	double *q, *qp;  /* [classes, classes], [classes]: of coupling */
	int32_t *votes;  /* classes */
	float *kernel;   /* vectors */
	float *row;      /* features */
};

static size_t carve(const struct ml_svm *m, struct room *r, char *mem)
{
	size_t at = 0, c = (size_t)m->classes + 1;
#define CARVE(field, n) \
	do { \
		if (mem) \
			r->field = (void *)(mem + at); \
		at += ((size_t)(n) * sizeof(*r->field) + 63) & ~(size_t)63; \
	} while (0)
	CARVE(score, (size_t)m->pairs + c + 2);
	CARVE(pair, m->prob_a ? c * c : 0);
	CARVE(q, m->prob_a ? c * c : 0);
	CARVE(qp, c);
	CARVE(votes, c);
	CARVE(kernel, m->vectors);
	CARVE(row, m->features);
#undef CARVE
	return at;
}

static float distance2(const float *a, const float *b, int64_t n)
{
	float sum = 0;
	for (int64_t i = 0; i < n; i++)
		sum += (a[i] - b[i]) * (a[i] - b[i]);
	return sum;
}

static float kernel_of(const struct ml_svm *m, const float *x, const float *v)
{
	if (m->kernel == ML_KERNEL_RBF)
		return expf(-m->gamma * distance2(x, v, m->features));
	float dot = ml_dot(x, v, m->features);
	switch (m->kernel) {
	case ML_KERNEL_POLY: return powf(m->gamma * dot + m->coef0, m->degree);
	case ML_KERNEL_SIGMOID: return tanhf(m->gamma * dot + m->coef0);
	default: return dot;
	}
}

static void kernels_of(const struct ml_svm *m, const float *x, float *kernel)
{
	for (int32_t i = 0; i < m->vectors; i++)
		kernel[i] = kernel_of(m, x, m->support + i * m->features);
}

/* -- the regressor --------------------------------------------------------------------------- */

static double weigh(const float *coef, const float *kernel, int64_t n)
{
	double sum = 0;
	for (int64_t i = 0; i < n; i++)
		sum += (double)(coef[i] * kernel[i]);
	return sum;
}

static void run_svm_regressor(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct svm_state *s = a->state;
	const struct ml_svm *m = &s->m;
	struct room r;
	int64_t from, to;
	carve(m, &r, a->scratch);
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t row = from; row < to; row++) {
		const float *x = ml_row(&a->in[0], row, m->features, r.row);
		double y;
		if (m->vectors) {
			kernels_of(m, x, r.kernel);
			y = weigh(m->coefficients, r.kernel, m->vectors);
		} else {
			y = (double)ml_dot(x, m->coefficients, m->features);
		}
		y += (double)m->rho[0];
		if (m->one_class)
			y = y > 0 ? 1 : -1;
		((float *)a->out[0].data)[row] = (float)y;
	}
}

/* -- the classifier -------------------------------------------------------------------------- */

/* Each pair of classes is one machine; row i of the coefficients weighs the vectors of class
   j > i against i, row j - 1 those of i against j. */
static void run_pairs(const struct svm_state *s, struct room *r)
{
	const struct ml_svm *m = &s->m;
	const int64_t *n = m->per_class;
	int32_t pair = 0;
	memset(r->votes, 0, (size_t)m->classes * sizeof(*r->votes));
	for (int32_t i = 0; i < m->classes; i++)
		for (int32_t j = i + 1; j < m->classes; j++, pair++) {
			const float *of_i =
				m->coefficients + (int64_t)(j - 1) * m->vectors + s->start[i];
			const float *of_j = m->coefficients + (int64_t)i * m->vectors + s->start[j];
			double sum = weigh(of_i, r->kernel + s->start[i], n[i]) +
				     weigh(of_j, r->kernel + s->start[j], n[j]) +
				     (double)m->rho[pair];
			r->score[pair] = sum;
			r->votes[sum > 0 ? i : j]++;
		}
}

static void set_pair_probabilities(const struct ml_svm *m, struct room *r)
{
	int32_t pair = 0;
	for (int32_t i = 0; i < m->classes; i++)
		for (int32_t j = i + 1; j < m->classes; j++, pair++) {
			double p = 1 - ml_logistic(r->score[pair] * (double)m->prob_a[pair] +
						   (double)m->prob_b[pair]);
			p = p < 1e-7 ? 1e-7 : p > 1 - 1e-7 ? 1 - 1e-7 : p;
			r->pair[i * m->classes + j] = p;
			r->pair[j * m->classes + i] = 1 - p;
		}
}

/* Wu, Lin, Weng: "Probability estimates for multi-class classification by pairwise coupling",
   the second method: minimizes p'Qp by turns, as LIBSVM does. */
static double quadratic(const struct ml_svm *m, struct room *r, const double *p, double *ret_error)
{
	int32_t k = m->classes;
	double pqp = 0;
	for (int32_t i = 0; i < k; i++) {
		r->qp[i] = 0;
		for (int32_t j = 0; j < k; j++)
			r->qp[i] += r->q[i * k + j] * p[j];
		pqp += p[i] * r->qp[i];
	}
	*ret_error = 0;
	for (int32_t i = 0; i < k; i++)
		*ret_error = fmax(*ret_error, fabs(r->qp[i] - pqp));
	return pqp;
}

static void set_quadratic(const struct ml_svm *m, struct room *r)
{
	int32_t k = m->classes;
	for (int32_t i = 0; i < k; i++) {
		double sum = 0;
		for (int32_t j = 0; j < k; j++) {
			if (j == i)
				continue;
			sum += r->pair[j * k + i] * r->pair[j * k + i];
			r->q[i * k + j] = -r->pair[j * k + i] * r->pair[i * k + j];
		}
		r->q[i * k + i] = sum;
	}
}

#define COUPLING_ROUNDS 100

static void couple(const struct ml_svm *m, struct room *r)
{
	int32_t k = m->classes;
	double *p = r->score, error;
	set_pair_probabilities(m, r);
	set_quadratic(m, r);
	for (int32_t i = 0; i < k; i++)
		p[i] = 1.0 / k;
	for (int round = 0; round < COUPLING_ROUNDS; round++) {
		double pqp = quadratic(m, r, p, &error);
		if (error < 0.005 / k)
			break;
		for (int32_t i = 0; i < k; i++) {
			double diff = (pqp - r->qp[i]) / r->q[i * k + i];
			p[i] += diff;
			pqp = (pqp + diff * (diff * r->q[i * k + i] + 2 * r->qp[i])) / (1 + diff) /
			      (1 + diff);
			for (int32_t j = 0; j < k; j++) {
				r->qp[j] = (r->qp[j] + diff * r->q[i * k + j]) / (1 + diff);
				p[j] /= 1 + diff;
			}
		}
	}
}

static int64_t most_votes(const struct ml_svm *m, const struct room *r)
{
	int64_t best = 0;
	for (int32_t i = 1; i < m->classes; i++)
		if (r->votes[i] > r->votes[best])
			best = i;
	return best;
}

static int64_t classify(const struct svm_state *s, const float *x, struct room *r)
{
	const struct ml_svm *m = &s->m;
	if (m->vectors == 0) {
		for (int32_t i = 0; i < m->classes; i++)
			r->score[i] =
				(double)(ml_dot(x, m->coefficients + i * m->features, m->features) +
					 m->rho[0]);
		return ml_argmax(r->score, m->classes);
	}
	kernels_of(m, x, r->kernel);
	run_pairs(s, r);
	if (m->prob_a)
		couple(m, r);
	return most_votes(m, r);
}

static void run_svm_classifier(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct svm_state *s = a->state;
	const struct ml_svm *m = &s->m;
	bool one_pair = m->vectors && !m->prob_a && m->classes == 2;
	struct room r;
	int64_t from, to;
	carve(m, &r, a->scratch);
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t row = from; row < to; row++) {
		const float *x = ml_row(&a->in[0], row, m->features, r.row);
		ml_put_label(&a->out[0], row, &m->labels, classify(s, x, &r));
		/* The score of a pair is the first class's, ONNX Runtime writes it
		   as the second's. */
		if (one_pair)
			ml_put_two(r.score, r.score[0],
				m->post == ML_POST_NONE ? ML_SECOND_OPPOSITE : ML_SECOND_COMPLEMENT,
				m->post);
		else
			ml_transform(r.score, m->scores, m->post);
		if (args_has_out(a, 1))
			ml_put_floats(
				(float *)a->out[1].data + row * m->scores, r.score, m->scores);
	}
}

static enum err_code finish_svm(struct svm_state *s, struct prep *p, struct kernel *ret)
{
	ret->scratch_bytes = carve(&s->m, NULL, NULL);
	s->split = split_work(p, ret, ml_rows(&p->in[0].shape).rows,
		20 + (10 + 0.3 * (double)s->m.features) * s->m.vectors);
	return ERR_OK;
}

enum err_code prepare_svm_classifier(struct prep *p, struct kernel *ret, struct err *err)
{
	struct svm_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	TRY(ml_svm_classifier(p->node, &p->in[0].shape, &s->m, err));
	int32_t *start = prep_alloc(p, (size_t)s->m.classes * sizeof(*start));
	if (!start)
		return err_oom(err);
	for (int32_t i = 1; s->m.vectors && i < s->m.classes; i++)
		start[i] = start[i - 1] + (int32_t)s->m.per_class[i - 1];
	s->start = start;
	ret->run = run_svm_classifier;
	return finish_svm(s, p, ret);
}

enum err_code prepare_svm_regressor(struct prep *p, struct kernel *ret, struct err *err)
{
	struct svm_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	TRY(ml_svm_regressor(p->node, &p->in[0].shape, &s->m, err));
	ret->run = run_svm_regressor;
	return finish_svm(s, p, ret);
}
