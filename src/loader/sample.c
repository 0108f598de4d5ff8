/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/sample.h"

#include <string.h>
#include "base/checked.h"
#include "exec/half.h"

/* -- sizes ----------------------------------------------------------------------------------- */

/* Guesses, best first. Images: a size that survives being halved five times and is cheap,
   then what classifiers and detectors are trained at. Sequences: short ones. */
static const int64_t image_sizes[SAMPLE_SIZES] = { 64, 224, 320, 640, 1 };
static const int64_t sequence_sizes[SAMPLE_SIZES] = { 16, 64, 128, 512, 1 };
static const int64_t channel_sizes[SAMPLE_SIZES] = { 3, 3, 1, 3, 1 };

static int64_t guess(const struct signature_io *io, int d, int sizes)
{
	if (io->shape.rank < 4)
		return sequence_sizes[sizes];
	/* N,C,H,W unless the last dimension is known to be small: N,H,W,C. */
	int64_t last = io->shape.dim[io->shape.rank - 1];
	bool channels_last = last >= 1 && last <= 4;
	return d == 1 && !channels_last ? channel_sizes[sizes] : image_sizes[sizes];
}

const char *sample_obstacle(const struct signature *s, bool *ret_guessed)
{
	*ret_guessed = false;
	for (int i = 0; i < s->n_in; i++) {
		const struct signature_io *io = &s->in[i];
		if (io->type.is_sequence || io->type.map_key != DTYPE_UNDEFINED)
			return "a sequence or map cannot be made up";
		if (io->optional)
			return "an optional input cannot be made up";
		if (io->shape.rank == RANK_UNKNOWN)
			return "an input's rank is not known";
		for (int d = 1; d < io->shape.rank; d++)
			*ret_guessed |= io->shape.dim[d] < 0;
	}
	return NULL;
}

/* Is dimension d of an input the first place of its symbol? */
static bool is_first_place(const struct signature *s, int input, int d)
{
	int64_t dim = s->in[input].shape.dim[d];
	for (int i = 0; i <= input; i++)
		for (int k = 0; k < (i < input ? s->in[i].shape.rank : d); k++)
			if (s->in[i].shape.dim[k] == dim)
				return false;
	return true;
}

int64_t sample_symbol(const struct signature *s, int n)
{
	for (int i = 0; i < s->n_in; i++)
		for (int d = 0; d < s->in[i].shape.rank; d++) {
			int64_t dim = s->in[i].shape.dim[d];
			if (dim <= DIM_SYMBOL(0) && is_first_place(s, i, d) && d > 0 && n-- == 0)
				return dim;
		}
	return 0;
}

/* One symbol is one size wherever it stands: the size where it is met first. */
static int64_t size_of(const struct signature *s, const struct sample_spec *spec, int input, int d)
{
	int64_t dim = s->in[input].shape.dim[d];
	if (dim >= 0)
		return dim;
	for (int i = 0; i <= input && dim <= DIM_SYMBOL(0); i++)
		for (int k = 0; k < s->in[i].shape.rank; k++)
			if (s->in[i].shape.dim[k] == dim && is_first_place(s, i, k)) {
				input = i;
				d = k;
			}
	if (d == 0)
		return spec->rows;
	if (!spec->sum)
		return guess(&s->in[input], d, spec->sizes);
	/* Only sequences have sums, whatever their rank is. */
	return sequence_sizes[spec->sizes] * (dim == spec->sum ? 2 : 1);
}

/* -- values ---------------------------------------------------------------------------------- */

static uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* Kind 0 has no zeros among its integers, since a mask that is all zero gives NaN, and
   none above 2, since they may be indices; bytes are taken for pixels. */
static int64_t integer_of(uint64_t random, enum dtype dtype, int kind)
{
	if (kind == 0)
		return dtype == DTYPE_U8 ? (int64_t)(random % 256) : 1 + (int64_t)(random % 2);
	return kind == 1 ? (int64_t)(random % 2) : 0;
}

static float float_of(uint64_t random, int kind)
{
	float unit = (float)(random >> 40) * 0x1p-24f;
	return kind == 0 ? unit : kind == 1 ? 2 * unit - 1 : 0;
}

static void set_element(const struct tensor *t, int64_t i, uint64_t random, int kind)
{
	int64_t n = integer_of(random, t->dtype, kind);
	float f = float_of(random, kind);
	switch (t->dtype) {
	case DTYPE_F32:
		((float *)t->data)[i] = f;
		break;
	case DTYPE_F64:
		((double *)t->data)[i] = f;
		break;
	case DTYPE_F16:
		((uint16_t *)t->data)[i] = float_to_half(f);
		break;
	case DTYPE_BF16:
		((uint16_t *)t->data)[i] = float_to_bfloat(f);
		break;
	case DTYPE_I64:
	case DTYPE_U64:
		((int64_t *)t->data)[i] = n;
		break;
	case DTYPE_I32:
	case DTYPE_U32:
		((int32_t *)t->data)[i] = (int32_t)n;
		break;
	case DTYPE_I16:
	case DTYPE_U16:
		((int16_t *)t->data)[i] = (int16_t)n;
		break;
	case DTYPE_I8:
	case DTYPE_U8:
		((uint8_t *)t->data)[i] = (uint8_t)n;
		break;
	case DTYPE_BOOL:
		((uint8_t *)t->data)[i] = kind != 2;
		break;
	case DTYPE_STRING:
		((struct slice *)t->data)[i] = random & 1 ? SLICE_LIT("a") : SLICE_LIT("b");
		break;
	default: /* the small floats and integers: zeros are among their values */
		break;
	}
}

static enum err_code make_one(const struct signature *s, const struct sample_spec *spec, int input,
	struct arena *arena, struct tensor *t, struct err *err)
{
	const struct signature_io *io = &s->in[input];
	size_t bytes;
	*t = (struct tensor){ .dtype = io->type.dtype, .shape = io->shape };
	for (int d = 0; d < io->shape.rank; d++)
		t->shape.dim[d] = size_of(s, spec, input, d);
	if (tensor_bytes_overflow(t->dtype, &t->shape, &bytes))
		return err_set(err, ERR_RESOURCE_EXHAUSTED, "input '%.100s' of shape %s is too big",
			io->name, SHAPE_TEXT(&t->shape));
	t->data = arena_alloc_aligned(arena, bytes ? bytes : 1, ARENA_ALIGN_TENSOR);
	if (!t->data)
		return err_oom(err);
	memset(t->data, 0, bytes);
	uint64_t state = (uint64_t)(input + 1) << 32 | (uint64_t)spec->kind;
	for (int64_t i = 0, n = tensor_count(t); i < n; i++)
		set_element(t, i, next_random(&state), spec->kind);
	return ERR_OK;
}

enum err_code sample_make(const struct signature *s, const struct sample_spec *spec,
	struct arena *arena, struct tensor **ret, struct err *err)
{
	struct tensor *t = ARENA_ARRAY(arena, struct tensor, (size_t)s->n_in + 1);
	enum err_code rc = t ? ERR_OK : err_oom(err);
	for (int i = 0; i < s->n_in && rc == ERR_OK; i++)
		rc = make_one(s, spec, i, arena, &t[i], err);
	if (rc == ERR_OK)
		*ret = t;
	return rc;
}

enum err_code sample_row(const struct signature *s, const struct tensor *in, int64_t row,
	struct arena *arena, struct tensor **ret, struct err *err)
{
	struct tensor *t = ARENA_ARRAY(arena, struct tensor, (size_t)s->n_in + 1);
	if (!t)
		return err_oom(err);
	for (int i = 0; i < s->n_in; i++) {
		t[i] = in[i];
		t[i].shape.dim[0] = 1;
		t[i].data = (char *)in[i].data + (size_t)row * tensor_bytes(&t[i]);
	}
	*ret = t;
	return ERR_OK;
}
