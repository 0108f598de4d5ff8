/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Windows made of cosines (Hann, Hamming, Blackman), and the triangles of MelWeightMatrix.
 * Both come out in float64; the loader puts a Cast behind them.
 */
#include "exec/cpu/cpu.h"

#include <math.h>
#include <string.h>
#include "exec/attrs.h"

/* a[0] - a[1] cos(t) + a[2] cos(2 t) */
static const double windows[WINDOW_COUNT_][3] = {
	[WINDOW_HANN] = { 0.5, 0.5, 0 },
	[WINDOW_HAMMING] = { 25.0 / 46, 21.0 / 46, 0 },
	[WINDOW_BLACKMAN] = { 0.42, 0.5, 0.08 },
};

struct window_state {
	const double *a;
	bool periodic;
};

static void run_window(const struct kernel_args *args, int64_t begin, int64_t end)
{
	const struct window_state *s = args->state;
	double *y = args->out[0].data;
	int64_t n = tensor_count(&args->out[0]);
	double period = (double)(s->periodic ? n : n - 1);
	(void)begin, (void)end;
	for (int64_t i = 0; i < n; i++) {
		double t = 2 * M_PI * (double)i / period;
		y[i] = s->a[0] - s->a[1] * cos(t) + s->a[2] * cos(2 * t);
	}
}

enum err_code prepare_cosine_window(struct prep *p, struct kernel *ret, struct err *err)
{
	struct window_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->a = windows[node_int(p->node, "kind", WINDOW_HANN)];
	s->periodic = node_int(p->node, "periodic", 1) != 0;
	ret->run = run_window;
	return ERR_OK;
}

/* -- MelWeightMatrix --------------------------------------------------------------------------- */

static double to_mel(double hertz)
{
	return 2595 * log10(1 + hertz / 700);
}

static double to_hertz(double mel)
{
	return 700 * (pow(10, mel / 2595) - 1);
}

/* The spectrum's bin in which edge i of the bands is; -1: it is none of theirs. */
static int64_t edge_bin(const struct kernel_args *a, int64_t i, int64_t bins)
{
	double low = to_mel(tensor_float(&a->in[3], 0)), high = to_mel(tensor_float(&a->in[4], 0));
	int64_t bands = tensor_int(&a->in[0], 0), points = tensor_int(&a->in[1], 0);
	double hertz = to_hertz(low + (double)i * (high - low) / (double)(bands + 2));
	double bin = floor((double)(points + 1) * hertz / (double)tensor_int(&a->in[2], 0));
	return bin >= 0 && bin < (double)bins ? (int64_t)bin : -1;
}

/* Band `band` rises from its lower edge to its centre and falls to its upper edge. */
static void fill_band(
	double *y, int64_t band, int64_t bands, int64_t low, int64_t centre, int64_t high)
{
	if (centre == low)
		y[centre * bands + band] = 1;
	for (int64_t k = low; k <= centre && centre > low; k++)
		y[k * bands + band] = (double)(k - low) / (double)(centre - low);
	for (int64_t k = centre; k < high; k++)
		y[k * bands + band] = (double)(high - k) / (double)(high - centre);
}

static void run_mel_weights(const struct kernel_args *a, int64_t begin, int64_t end)
{
	double *y = a->out[0].data;
	int64_t bins = a->out[0].shape.dim[0], bands = a->out[0].shape.dim[1];
	(void)begin, (void)end;
	memset(y, 0, tensor_bytes(&a->out[0]));
	for (int64_t i = 0; i < bands; i++) {
		int64_t edge[3];
		for (int k = 0; k < 3; k++) {
			edge[k] = edge_bin(a, i + k, bins);
			if (edge[k] < 0) {
				kernel_fault(a, FAULT_VALUE, (int64_t)i + k);
				return;
			}
		}
		fill_band(y, i, bands, edge[0], edge[1], edge[2]);
	}
}

enum err_code prepare_mel_weights(struct prep *p, struct kernel *ret, struct err *err)
{
	(void)p, (void)err;
	ret->run = run_mel_weights;
	return ERR_OK;
}
