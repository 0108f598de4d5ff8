/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/gpu/conv/filters.h"

#include <string.h>

#define LANES 32
#define SHORT_BYTES 2

struct source {
	const struct filters *f;
	const struct tensor *w;
};

int64_t filters_sets(const struct filters *f, int64_t channels)
{
	int64_t set = f->groups * FILTERS_GROUP;
	return (channels + set - 1) / set;
}

int64_t filters_set_bytes(const struct filters *f)
{
	return f->steps * f->groups * (int64_t)FILTERS_STEP_BYTES;
}

/* Sixteen numbers of each lane, four for each product; their halves are apart, since a lane's
   access has 16 bytes. */
static void pack_step(char *dst, const struct source *s, int64_t step, int64_t first_channel)
{
	const struct tensor *w = s->w;
	int64_t per_filter = shape_count_range(&w->shape, 1, w->shape.rank);
	for (int64_t n = 0; n < FILTERS_GROUP * 16; n++) {
		int64_t lane = n / 8 % LANES, i = n / (8 * LANES) * 8 + n % 8, column = lane / 4;
		int64_t channel =
			first_channel + column / 2 * FILTERS_WIDE + i / 4 * 2 + column % 2;
		int64_t at = s->f->source(s->f, w, step, lane % 4, i % 4);
		if (channel < w->shape.dim[0] && at >= 0) /* it comes zeroed */
			memcpy(dst + n * SHORT_BYTES,
				(const char *)w->data + (channel * per_filter + at) * SHORT_BYTES,
				SHORT_BYTES);
	}
}

static void pack_sets(void *dst, void *ctx)
{
	const struct source *s = ctx;
	const struct filters *f = s->f;
	int64_t sets = filters_sets(f, s->w->shape.dim[0]), set_bytes = filters_set_bytes(f);
	for (int64_t set = 0; set < sets; set++)
		for (int64_t step = 0; step < f->steps; step++)
			for (int64_t g = 0; g < f->groups; g++) {
				int64_t at =
					f->steps_first ? step * f->groups + g : g * f->steps + step;
				pack_step((char *)dst + set * set_bytes +
						  at * (int64_t)FILTERS_STEP_BYTES,
					s, step, (set * f->groups + g) * FILTERS_GROUP);
			}
}

enum err_code filters_pack(struct prep *p, const struct filters *f, void **ret, struct err *err)
{
	struct tensor w = p->in[1];
	struct source s = { f, &w };
	struct {
		const void *data;
		int32_t form, groups;
	} key = { w.data, f->form, (int32_t)f->groups };
	int64_t bytes = filters_sets(f, w.shape.dim[0]) * filters_set_bytes(f);
	return gpu_pack(p, &key, sizeof(key), (size_t)bytes, pack_sets, &s, ret, err);
}
