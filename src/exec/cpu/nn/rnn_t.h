/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rnn_t.h -- the cells of RNN, GRU and LSTM for one float type: E, N(name)
 *
 * Included by rnn.c. Rows of a batch whose sequence is over keep what they have.
 */

static void N(activate)(const struct rnn_unit *u, int function, E *v, int64_t n)
{
	const struct rnn_activation *f = &u->s->act[u->direction][function];
	E clip = (E)u->s->g.clip;
	if (clip > 0)
		IVDEP for (int64_t i = 0; i < n; i++)
			v[i] = v[i] < -clip ? -clip : v[i] > clip ? clip : v[i];
	f->fn(v, v, n, f->param);
}

static const E *N(weights_of)(const struct rnn_unit *u, int input)
{
	const struct tensor *t = &u->a->in[input];
	if (!args_has_in(u->a, input))
		return NULL;
	return (const E *)t->data + u->direction * t->shape.dim[1];
}

/* -- one row: its sums to its new state ------------------------------------------------------ */

static void N(rnn_row)(const struct rnn_unit *u, E *sum, E *h, E *c)
{
	int64_t n = u->s->g.hidden;
	(void)c;
	N(activate)(u, 0, sum, n);
	memcpy(h, sum, (size_t)n * sizeof(E));
}

/* Gates stand as input, output, forget, cell; peepholes as input, output, forget. The cell's
   own value is not clipped on its way to the output: ONNX Runtime does not either. */
static void N(lstm_row)(const struct rnn_unit *u, E *sum, E *h, E *c)
{
	const struct rnn_activation *out = &u->s->act[u->direction][2];
	int64_t n = u->s->g.hidden;
	E *i = sum, *o = sum + n, *f = sum + 2 * n, *g = sum + 3 * n;
	const E *p = N(weights_of)(u, RNN_PEEPHOLES);
	for (int64_t k = 0; p && k < n; k++) {
		i[k] += p[k] * c[k];
		f[k] += p[2 * n + k] * c[k];
	}
	N(activate)(u, 0, i, n);
	if (u->s->g.coupled)
		for (int64_t k = 0; k < n; k++)
			f[k] = 1 - i[k];
	else
		N(activate)(u, 0, f, n);
	N(activate)(u, 1, g, n);
	IVDEP for (int64_t k = 0; k < n; k++)
		c[k] = f[k] * c[k] + i[k] * g[k];
	for (int64_t k = 0; p && k < n; k++)
		o[k] += p[n + k] * c[k];
	N(activate)(u, 0, o, n);
	out->fn(g, c, n, out->param);
	IVDEP for (int64_t k = 0; k < n; k++)
		h[k] = o[k] * g[k];
}

/* Gates stand as update, reset, hidden; the hidden one is ready. */
static void N(gru_row)(const struct rnn_unit *u, E *sum, E *h, E *c)
{
	int64_t n = u->s->g.hidden;
	const E *z = sum;
	E *g = sum + 2 * n;
	(void)c;
	N(activate)(u, 1, g, n);
	IVDEP for (int64_t k = 0; k < n; k++)
		h[k] = (1 - z[k]) * g[k] + z[k] * h[k];
}

/* -- one step of all rows -------------------------------------------------------------------- */

/* The hidden gate of all rows, once update and reset gate are there. */
static void N(gru_hidden)(const struct rnn_unit *u, const E *gates)
{
	int64_t n = u->s->g.hidden;
	E *sum = u->part[RNN_PART_SUM], *reset = u->part[RNN_PART_RESET], *h = u->part[RNN_PART_H];
	const E *bias = u->part[RNN_PART_BIAS_LAST];
	bool after = u->s->g.reset_after;
	for (int64_t i = 0; i < u->rows; i++) {
		N(activate)(u, 0, sum + i * 3 * n, 2 * n);
		for (int64_t k = 0; !after && k < n; k++)
			reset[i * n + k] = sum[i * 3 * n + n + k] * h[i * n + k];
	}
	if (!after) {
		u->s->multiply(u, RNN_MATRIX_R_LAST, sum + 2 * n, 3 * n, reset, u->rows,
			gates + 2 * n, 3 * n);
		return;
	}
	u->s->multiply(u, RNN_MATRIX_R_LAST, sum + 2 * n, 3 * n, h, u->rows, bias, 0);
	for (int64_t i = 0; i < u->rows; i++)
		for (int64_t k = i * 3 * n; k < i * 3 * n + n; k++)
			sum[k + 2 * n] = gates[k + 2 * n] + sum[k + n] * sum[k + 2 * n];
}

static void N(step)(const struct rnn_unit *u, int64_t step, const E *gates)
{
	const struct rnn_geometry *g = &u->s->g;
	int64_t n = g->hidden, width = g->gates * n;
	E *sum = u->part[RNN_PART_SUM], *h = u->part[RNN_PART_H], *c = u->part[RNN_PART_C];
	u->s->multiply(u, RNN_MATRIX_R, sum, width, h, u->rows, gates, width);
	if (g->gates == 3)
		N(gru_hidden)(u, gates);
	for (int64_t i = 0; i < u->rows; i++) {
		if (step >= rnn_length(u, i))
			continue;
		E *row = sum + i * width, *to = h + i * n;
		if (g->gates == 1)
			N(rnn_row)(u, row, to, NULL);
		else if (g->gates == 3)
			N(gru_row)(u, row, to, NULL);
		else
			N(lstm_row)(u, row, to, c + i * n);
		if (args_has_out(u->a, 0))
			memcpy((E *)u->a->out[0].data + rnn_out_at(u, i, rnn_time(u, i, step)), to,
				(size_t)n * sizeof(E));
	}
}

/* -- a unit ---------------------------------------------------------------------------------- */

static void N(add_biases)(const struct rnn_unit *u)
{
	const struct rnn_geometry *g = &u->s->g;
	int64_t n = g->gates * g->hidden,
		last = g->gates == 3 && g->reset_after ? n - g->hidden : n;
	E *bias = u->part[RNN_PART_BIAS], *bias_last = u->part[RNN_PART_BIAS_LAST];
	const E *b = N(weights_of)(u, RNN_B);
	for (int64_t k = 0; k < n; k++) {
		bias[k] = b ? b[k] + (k < last ? b[n + k] : 0) : 0;
		if (k >= last)
			bias_last[k - last] = b ? b[n + k] : 0;
	}
}

/* initial_h or initial_c, or zeros. */
static void N(begin)(const struct rnn_unit *u, int input, E *state)
{
	int64_t n = u->s->g.hidden;
	for (int64_t i = 0; i < u->rows; i++)
		if (args_has_in(u->a, input))
			memcpy(state + i * n, (const E *)u->a->in[input].data + rnn_state_at(u, i),
				(size_t)n * sizeof(E));
		else
			memset(state + i * n, 0, (size_t)n * sizeof(E));
}

/* What the specification leaves open for a sequence of no steps: zeros, as in ONNX Runtime. */
static void N(finish)(const struct rnn_unit *u, int output, const E *state)
{
	int64_t n = u->s->g.hidden;
	for (int64_t i = 0; args_has_out(u->a, output) && i < u->rows; i++) {
		E *to = (E *)u->a->out[output].data + rnn_state_at(u, i);
		if (rnn_length(u, i) == 0 && args_has_in(u->a, RNN_LENGTHS))
			memset(to, 0, (size_t)n * sizeof(E));
		else
			memcpy(to, state + i * n, (size_t)n * sizeof(E));
	}
	for (int64_t i = 0; output == 1 && args_has_out(u->a, 0) && i < u->rows; i++)
		for (int64_t t = rnn_length(u, i); t < u->s->g.steps; t++)
			memset((E *)u->a->out[0].data + rnn_out_at(u, i, t), 0,
				(size_t)n * sizeof(E));
}

/* The inputs of the steps [from, to), step by step and row by row. */
static void N(gather)(const struct rnn_unit *u, int64_t from, int64_t to)
{
	const struct rnn_geometry *g = &u->s->g;
	const E *x = u->a->in[RNN_X].data;
	E *at = u->part[RNN_PART_X];
	for (int64_t step = from; step < to; step++)
		for (int64_t i = 0; i < u->rows; i++, at += g->input) {
			int64_t t = rnn_time(u, i, step), b = u->first + i;
			int64_t row = g->batch_first ? b * g->steps + t : t * g->batch + b;
			memcpy(at, x + row * g->input, (size_t)g->input * sizeof(E));
		}
}

static void N(run_unit)(const struct rnn_unit *u)
{
	const struct rnn_geometry *g = &u->s->g;
	E *h = u->part[RNN_PART_H], *c = u->part[RNN_PART_C], *gates = u->part[RNN_PART_GATES];
	int64_t width = g->gates * g->hidden;
	N(add_biases)(u);
	N(begin)(u, RNN_INITIAL_H, h);
	if (g->gates == 4)
		N(begin)(u, RNN_INITIAL_C, c);
	for (int64_t from = 0; from < g->steps; from += u->s->chunk) {
		int64_t to = min_i64(from + u->s->chunk, g->steps);
		N(gather)(u, from, to);
		u->s->multiply(u, RNN_MATRIX_W, gates, width, u->part[RNN_PART_X],
			(to - from) * u->rows, u->part[RNN_PART_BIAS], 0);
		for (int64_t step = from; step < to; step++)
			N(step)(u, step, gates + (step - from) * u->rows * width);
	}
	N(finish)(u, 1, h);
	if (g->gates == 4)
		N(finish)(u, 2, c);
}

static void N(run)(const struct kernel_args *a, int64_t begin, int64_t end)
{
	struct rnn_unit u;
	for (int64_t i = begin; i < end; i++) {
		rnn_unit_init(&u, a, i);
		N(run_unit)(&u);
	}
}

/* The reference's product: row by row, in double. */
static void N(multiply)(const struct rnn_unit *u, enum rnn_matrix_id matrix, void *c, int64_t c_row,
	const void *a, int64_t m, const void *add, int64_t add_row)
{
	struct rnn_view v = rnn_view(&u->s->g, u->a->in, u->direction, matrix);
	for (int64_t i = 0; i < m; i++)
		for (int64_t j = 0; j < v.n; j++) {
			const E *x = (const E *)a + i * v.k, *w = (const E *)v.data + j * v.k;
			double sum = add ? (double)((const E *)add)[i * add_row + j] : 0;
			for (int64_t k = 0; k < v.k; k++)
				sum += (double)x[k] * (double)w[k];
			((E *)c)[i * c_row + j] = (E)sum;
		}
}
#undef E
#undef N
