/* SPDX-License-Identifier: Apache-2.0 */
/*
 * norm.c -- Layer-, RMS-, Group-, Instance-, BatchNormalization, LRN
 */
#include <stdio.h>
#include "exec/gpu/walk.h"

#define BLOCK 256

static void *data_of(const struct tensor *t, int n, int i) { return i < n ? t[i].data : NULL; }

/* Are inputs [from, to), where they are there, of the type of input 0? */
static bool same_types(const struct prep *p, int from, int to)
{
	for (int i = from; i < to; i++)
		if (gpu_has_in(p, i) && p->in[i].dtype != p->in[0].dtype)
			return false;
	return true;
}

/* -- rows ------------------------------------------------------------------------------------- */

struct norm_state {
	struct gpu_launch launch;
	struct gpu_norm norm;
};

static void run_norm(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct norm_state *s = a->state;
	void *bias = data_of(a->in, a->n_in, 2), *mean = data_of(a->out, a->n_out, 1),
	     *inverse = data_of(a->out, a->n_out, 2);
	void *params[] = { (void *)&s->norm, (void *)&a->out[0].data, (void *)&a->in[0].data,
		(void *)&a->in[1].data, &bias, &mean, &inverse };
	gpu_launch(a, &s->launch, params);
}

static enum err_code ready(
	struct prep *p, struct kernel *ret, struct norm_state *s, struct err *err)
{
	bool columns = s->norm.groups.d == 1 && s->norm.inner.d == 1;
	unsigned held = columns ? gpu_held_threads(p->in[0].dtype, s->norm.n) : 0;
	char name[24];
	if (tensor_count(&p->in[0]) > INT32_MAX)
		return prep_refuse(err, "so many elements");
	ret->run = run_norm;
	ret->inplace = true;
	snprintf(name, sizeof(name), "norm_%s_%s", held ? "held" : "rows",
		gpu_type_name(p->in[0].dtype));
	if (held)
		return gpu_launch_held(p, name, s->norm.rows, held, &s->launch, err);
	TRY(gpu_launch_over(p, name, s->norm.n ? s->norm.rows : 0, 1, &s->launch, err));
	s->launch.block[0] = s->norm.n <= 64 ? 32 : s->norm.n <= 512 ? 128 : BLOCK;
	return ERR_OK;
}

/* One number for each element of a row, or one for all; else it is broadcast in a way of its
   own. */
static bool fits_row(const struct prep *p, int i, int axis, int32_t *ret_one)
{
	const struct shape *x = &p->in[0].shape, *s = &p->in[i].shape;
	*ret_one = 0;
	if (!gpu_has_in(p, i))
		return true;
	*ret_one = tensor_count(&p->in[i]) == 1;
	if (*ret_one)
		return true;
	for (int d = 1; d <= s->rank; d++) {
		int64_t want = d <= x->rank - axis ? x->dim[x->rank - d] : 1;
		if (s->dim[s->rank - d] != want)
			return false;
	}
	return tensor_count(&p->in[i]) == shape_count_range(x, axis, x->rank);
}

enum err_code gpu_prepare_layer_norm(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *x = &p->in[0].shape;
	int axis = node_axis(p->node, "axis", -1, x->rank);
	struct norm_state *s = gpu_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	bool statistics = p->n_out > 1 &&
		(p->out[1].dtype != DTYPE_F32 || (p->n_out > 2 && p->out[2].dtype != DTYPE_F32));
	if (!same_types(p, 1, 3) || statistics || !fits_row(p, 1, axis, &s->norm.one_scale) ||
		!fits_row(p, 2, axis, &s->norm.one_bias))
		return prep_refuse(err, "scale or bias of another type, or broadcast within a row");
	s->norm.rows = (uint32_t)shape_count_range(x, 0, axis);
	s->norm.n = (uint32_t)shape_count_range(x, axis, x->rank);
	s->norm.groups = s->norm.inner = gpu_div(1);
	s->norm.rms = p->node->op == OP_RMS_NORM;
	s->norm.epsilon = node_float(p->node, "epsilon", 1e-5f);
	return ready(p, ret, s, err);
}

enum err_code gpu_prepare_group_norm(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *x = &p->in[0].shape;
	int64_t channels = x->dim[1], inner = shape_count_range(x, 2, x->rank);
	int64_t groups =
		p->node->op == OP_GROUP_NORM ? node_int(p->node, "num_groups", 1) : channels;
	struct norm_state *s = gpu_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	if (!same_types(p, 1, 3))
		return prep_refuse(err, "scale or bias of another type");
	s->norm.per = groups ? (uint32_t)(channels / groups) : 0;
	s->norm.rows = (uint32_t)(x->dim[0] * groups);
	s->norm.n = s->norm.per * (uint32_t)inner;
	s->norm.groups = gpu_div(groups);
	s->norm.inner = gpu_div(inner);
	s->norm.epsilon = node_float(p->node, "epsilon", 1e-5f);
	return ready(p, ret, s, err);
}

/* -- channels --------------------------------------------------------------------------------- */

struct channel_state {
	struct gpu_launch launch;
	uint32_t count;
	struct gpu_div inner, channels;
	int32_t before, after;
	float epsilon, bias, alpha, beta;
};

static struct channel_state *channel_state(struct prep *p, struct kernel *ret, run_fn run)
{
	const struct tensor *x = &p->in[0];
	struct channel_state *s = gpu_state(p, ret, sizeof(*s));
	if (!s)
		return NULL;
	bool flat = x->shape.rank < 2; /* [N]: one channel */
	s->count = (uint32_t)tensor_count(x);
	s->channels = gpu_div(flat ? 1 : x->shape.dim[1]);
	s->inner = gpu_div(flat || x->layout == LAYOUT_NHWC
			? 1
			: shape_count_range(&x->shape, 2, x->shape.rank));
	ret->out_layout = x->layout;
	ret->run = run;
	return s;
}

static enum err_code launch_channels(
	struct prep *p, struct channel_state *s, const char *family, struct err *err)
{
	char name[24];
	if (tensor_count(&p->in[0]) > INT32_MAX)
		return prep_refuse(err, "so many elements");
	snprintf(name, sizeof(name), "%s_%s", family, gpu_type_name(p->in[0].dtype));
	return gpu_launch_over(p, name, s->count, BLOCK, &s->launch, err);
}

static void run_batch_norm(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct channel_state *s = a->state;
	void *params[] = { (void *)&s->count, (void *)&s->inner, (void *)&s->channels,
		(void *)&s->epsilon, (void *)&a->out[0].data, (void *)&a->in[0].data,
		(void *)&a->in[1].data, (void *)&a->in[2].data, (void *)&a->in[3].data,
		(void *)&a->in[4].data };
	gpu_launch(a, &s->launch, params);
}

enum err_code gpu_prepare_batch_norm(struct prep *p, struct kernel *ret, struct err *err)
{
	struct channel_state *s = channel_state(p, ret, run_batch_norm);
	if (!s)
		return err_oom(err);
	if (node_int(p->node, "training_mode", 0) || !same_types(p, 1, 5))
		return prep_refuse(err, "training, or numbers of another type");
	s->epsilon = node_float(p->node, "epsilon", 1e-5f);
	ret->inplace = true;
	return launch_channels(p, s, "batch_norm", err);
}

static void run_lrn(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct channel_state *s = a->state;
	void *params[] = { (void *)&s->count, (void *)&s->inner, (void *)&s->channels,
		(void *)&s->before, (void *)&s->after, (void *)&s->bias, (void *)&s->alpha,
		(void *)&s->beta, (void *)&a->out[0].data, (void *)&a->in[0].data };
	gpu_launch(a, &s->launch, params);
}

enum err_code gpu_prepare_lrn(struct prep *p, struct kernel *ret, struct err *err)
{
	int64_t size = node_int(p->node, "size", 1);
	struct channel_state *s = channel_state(p, ret, run_lrn);
	if (!s)
		return err_oom(err);
	if (size < 1 || size > INT32_MAX / 2)
		return prep_refuse(err, "a window of that size");
	s->before = (int32_t)((size - 1) / 2);
	s->after = (int32_t)(size / 2);
	s->alpha = node_float(p->node, "alpha", 0.0001f) / (float)size;
	s->beta = node_float(p->node, "beta", 0.75f);
	s->bias = node_float(p->node, "bias", 1);
	return launch_channels(p, s, "lrn", err);
}
