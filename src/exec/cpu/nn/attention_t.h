/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attention_t.h -- the reference of attention for one float type: E, N(name), included by
 * attention.c
 */

/* What row i scores with key k, shown where it is asked for. */
static double N(score)(const struct attention_job *j, int64_t i, int64_t k, bool visible)
{
	int part = k >= j->past;
	const E *q = (const E *)j->q + i * j->q_row;
	const E *key = (const E *)j->k[part] + (part ? k - j->past : k) * j->k_row[part];
	double s = 0, shown;
	for (int64_t d = 0; d < j->head; d++)
		s += (double)q[d] * (double)key[d];
	s *= j->scale;
	shown = s;
	if (j->softcap > 0)
		s = j->softcap * tanh(s / j->softcap);
	if (j->mode == ATTENTION_CAPPED)
		shown = s;
	if (!visible)
		s = -INFINITY;
	else if (j->mask && j->mask_is_bool)
		s = ((const uint8_t *)j->mask)[i * j->mask_row + k] ? s : -INFINITY;
	else if (j->mask)
		s += (double)((const E *)j->mask)[i * j->mask_row + k];
	if (j->mode == ATTENTION_MASKED)
		shown = s;
	if (j->scores)
		((E *)j->scores)[i * j->scores_row + k] = (E)shown;
	return s;
}

/* Scores to exponentials; returns their sum. A row that sees nothing gives NaN, as the
   formula does. */
static double N(exponentials)(const struct attention_job *j, int64_t i, double *p)
{
	int64_t from, to;
	double top = j->has_sink ? j->sink : -INFINITY, sum;
	attention_visible(j, i, &from, &to);
	for (int64_t k = 0; k < j->keys; k++) {
		bool visible = k >= from && k < to;
		p[k] = visible || j->scores ? N(score)(j, i, k, visible) : -INFINITY;
		top = p[k] > top ? p[k] : top;
	}
	sum = j->has_sink ? exp(j->sink - top) : 0;
	for (int64_t k = 0; k < j->keys; k++) {
		p[k] = exp(p[k] - top);
		sum += p[k];
	}
	for (int64_t k = 0; k < j->keys && j->scores && j->mode == ATTENTION_SOFTMAX; k++)
		((E *)j->scores)[i * j->scores_row + k] = (E)(p[k] / sum);
	return sum;
}

/* In double; all that a job may ask. scratch: 8 bytes per key. */
static void N(ref)(const struct attention_job *j)
{
	double *p = j->scratch;
	for (int64_t i = 0; i < j->rows; i++) {
		double sum = N(exponentials)(j, i, p);
		int64_t from, to;
		attention_visible(j, i, &from, &to);
		for (int64_t d = 0; d < j->v_head; d++) {
			double y = 0;
			for (int64_t k = from; k < to; k++) {
				int part = k >= j->past;
				int64_t row = part ? k - j->past : k;
				y += p[k] *
				     (double)((const E *)j->v[part])[row * j->v_row[part] + d];
			}
			((E *)j->out)[i * j->out_row + d] = (E)(y / sum);
		}
	}
}
#undef E
#undef N
