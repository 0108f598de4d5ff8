/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lower_image.c -- Upsample and the first Resize: what they computed has a name today,
 * asymmetric coordinates and rounding down
 */
#include "loader/onnx/lower/lower.h"

const struct attr_spec old_upsample_1[] = { { "height_scale", ATTR_FLOAT, true },
	{ "width_scale", ATTR_FLOAT, true }, { "mode", ATTR_STRING, false }, { NULL, 0, false } };
const struct attr_spec old_upsample_7[] = { { "scales", ATTR_FLOATS, true }, { NULL, 0, false } };

const struct attr_spec old_mode[] = { { "mode", ATTR_STRING, false }, { NULL, 0, false } };
const struct attr_spec old_lp_pool_1[] = { { "p", ATTR_FLOAT, false },
	{ "kernel_shape", ATTR_INTS, true }, { NULL, 0, false } };
const struct attr_spec old_global_lp_pool_1[] = { { "p", ATTR_FLOAT, false }, { NULL, 0, false } };

static struct attr text(const char *name, const char *value)
{
	return (struct attr){ .name = name, .kind = ATTR_STRING, .s = slice_of(value) };
}

static void to_resize(struct lower *x, int32_t scales)
{
	x->op = OP_RESIZE;
	lower_set_in(x, 1, VALUE_NONE); /* roi */
	lower_set_in(x, 2, scales);
	lower_set(x, text("coordinate_transformation_mode", "asymmetric"));
	lower_set(x, text("nearest_mode", "floor"));
}

void lower_resize_10(struct lower *x)
{
	to_resize(x, lower_in(x, 1));
}

void lower_upsample_7(struct lower *x)
{
	const struct attr *scales = lower_take(x, "scales");
	to_resize(x, lower_floats(x, scales->floats, scales->n));
}

void lower_upsample_1(struct lower *x)
{
	const float scales[4] = { 1, 1, lower_take_float(x, "height_scale", 1),
		lower_take_float(x, "width_scale", 1) };
	const struct attr *mode = lower_take(x, "mode");
	if (mode && slice_is(mode->s, "bilinear"))
		lower_set(x, text("mode", "linear"));
	else if (mode && !slice_is(mode->s, "nearest"))
		lower_fail(x, ERR_INVALID_ARGUMENT, "mode '%.*s' is none", SLICE_ARG(mode->s));
	to_resize(x, lower_floats(x, scales, 4));
}

/* Linear and cubic had the names that they have in a plane. */
void lower_grid_sample_16(struct lower *x)
{
	const struct attr *mode = lower_take(x, "mode");
	x->op = OP_GRID_SAMPLE; /* com.microsoft's too */
	if (!mode || slice_is(mode->s, "bilinear"))
		lower_set(x, text("mode", "linear"));
	else if (slice_is(mode->s, "bicubic"))
		lower_set(x, text("mode", "cubic"));
	else
		lower_set(x, *mode);
}

void lower_roi_align_10(struct lower *x)
{
	lower_set(x, text("coordinate_transformation_mode", "output_half_pixel"));
}

/* p was a float; what is not whole has no kernel. */
void lower_lp_pool_1(struct lower *x)
{
	float p = lower_take_float(x, "p", 2);
	if (!(p >= 1 && p <= 1024 && p == (float)(int)p))
		lower_fail(x, ERR_UNIMPLEMENTED, "p is %g, it must be a whole number in [1,1024]",
			(double)p);
	else
		lower_default_int(x, "p", (int64_t)p);
}

/* roi, scales and sizes were required for a while: an empty tensor meant none. */
void lower_resize_11(struct lower *x)
{
	for (int i = 1; i < x->n_in; i++) {
		const struct tensor *t =
			lower_has_in(x, i) ? x->graph->value[x->in[i]].constant : NULL;
		if (t && tensor_count(t) == 0)
			x->in[i] = VALUE_NONE;
	}
}
