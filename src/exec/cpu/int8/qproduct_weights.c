/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/cpu/int8/qproduct_weights.h"

#include <string.h>

int64_t qweights_run_bytes(const struct qweights *x)
{
	return x->joined ? x->kernel[1] * x->c : x->c * x->block;
}

int64_t qweights_runs(const struct qweights *x)
{
	return x->joined ? x->kernel[0] : x->kernel[0] * x->kernel[1];
}

int64_t qweights_slots(const struct qweights *x)
{
	return (qweights_run_bytes(x) + QPRODUCT_SLOT - 1) / QPRODUCT_SLOT;
}

size_t qweights_job_bytes(const struct qweights *x)
{
	int64_t channels = x->m / qweights_jobs(x);
	return (size_t)(qweights_filled(channels) * qweights_runs(x) * qweights_slots(x) *
			QPRODUCT_SLOT);
}

static size_t packed_bytes(const struct qweights *x)
{
	return (size_t)qweights_jobs(x) * qweights_job_bytes(x);
}

/* One channel's slots of a run, from byte `at` on; those of the next follow a
   panel's width behind. */
static void pack_run(
	uint8_t *to, const struct qweights *x, const uint8_t *from, int64_t taps, int64_t at)
{
	to += at / QPRODUCT_SLOT * QPRODUCT_SLOT * QPRODUCT_PANEL;
	at %= QPRODUCT_SLOT;
	for (int64_t tap = 0; tap < taps; tap++)
		for (int64_t c = 0; c < x->c; c++) {
			to[at++] = from[tap + c * x->c_stride] ^ (uint8_t)x->flip;
			if (at == QPRODUCT_SLOT) {
				to += QPRODUCT_SLOT * QPRODUCT_PANEL;
				at = 0;
			}
		}
}

/* Channel by channel, each along its weights. */
static void pack(void *dst, void *ctx)
{
	const struct qweights *x = ctx;
	int64_t runs = qweights_runs(x), bytes = qweights_slots(x) * QPRODUCT_SLOT;
	int64_t taps = x->joined ? x->kernel[1] : 1;
	int64_t job_m = x->m / qweights_jobs(x), group_m = x->m / x->groups;
	memset(dst, 0, packed_bytes(x));
	for (int64_t m = 0; m < x->m; m++) {
		int64_t channel = m % job_m;
		uint8_t *lane = (uint8_t *)dst + m / job_m * (int64_t)qweights_job_bytes(x) +
				channel / QPRODUCT_PANEL * runs * bytes * QPRODUCT_PANEL +
				channel % QPRODUCT_PANEL * QPRODUCT_SLOT;
		for (int64_t r = 0; r < runs; r++)
			pack_run(lane + r * bytes * QPRODUCT_PANEL, x,
				x->w + m * x->m_stride + r * taps, taps, channel / group_m * x->c);
	}
}

enum err_code
qweights_get(struct prep *p, const struct qweights *x, const void **ret, struct err *err)
{
	struct qweights key = *x;
	return packs_get(p->packs, &key, sizeof(key), packed_bytes(x), pack, &key, ret, err);
}

enum err_code
qweights_ones(struct prep *p, const struct qweights *like, const void **ret, struct err *err)
{
	struct qweights one = *like;
	one.c *= one.block;
	size_t bytes = (size_t)(one.c * one.kernel[0] * one.kernel[1]);
	one.m = one.groups = one.block = 1;
	one.flip = 0;
	one.c_stride = one.kernel[0] * one.kernel[1];
	uint8_t *ones = arena_alloc(p->tmp, bytes);
	void *packed = prep_alloc(p, packed_bytes(&one));
	if (!ones || !packed)
		return err_oom(err);
	memset(ones, 1, bytes);
	one.w = ones;
	pack(packed, &one);
	*ret = packed;
	return ERR_OK;
}

enum err_code qweights_apart(struct prep *p, const struct qweights *x, const int32_t *zero,
	const void **ret, struct err *err)
{
	int64_t taps = x->kernel[0] * x->kernel[1], filled = qweights_filled(x->m);
	int32_t *packed = prep_alloc(p, (size_t)(taps * filled) * sizeof(*packed));
	if (!packed)
		return err_oom(err);
	for (int64_t tap = 0; tap < taps; tap++)
		for (int64_t m = 0; m < x->m; m++)
			packed[tap * filled + m] = (int8_t)(x->w[m * x->m_stride + tap] ^ x->flip) -
						   (zero ? zero[m] : 0);
	*ret = packed;
	return ERR_OK;
}

static int32_t sum_of(const uint8_t *w, int64_t n, uint8_t flip)
{
	int32_t sum = 0;
	for (int64_t i = 0; i < n; i++)
		sum += (int8_t)(w[i] ^ flip);
	return sum;
}

int32_t qweights_sum(const struct qweights *x, int64_t m)
{
	int32_t sum = 0;
	int64_t taps = x->kernel[0] * x->kernel[1];
	const uint8_t *w = x->w + m * x->m_stride, flip = (uint8_t)x->flip;
	if (x->c_stride == taps)
		return sum_of(w, x->c * taps, flip);
	for (int64_t c = 0; c < x->c; c++)
		sum += sum_of(w + c * x->c_stride, taps, flip);
	return sum;
}
