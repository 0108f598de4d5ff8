/* SPDX-License-Identifier: Apache-2.0 */
#include "server/dialect/oip.h"

#include <math.h>
#include <stdlib.h>
#include "base/buf.h"
#include "base/cursor.h"

#define ID_MAX_BYTES 256

bool oip_id_is_clean(struct slice id)
{
	for (size_t i = 0; i < id.len; i++)
		if ((unsigned char)id.ptr[i] < ' ' || id.ptr[i] == 0x7f)
			return false;
	return id.len <= ID_MAX_BYTES;
}

enum err_code oip_check_load(struct slice key, struct err *err)
{
	if (!slice_is(key, "config") && !(key.len >= 5 && memcmp(key.ptr, "file:", 5) == 0))
		return ERR_OK;
	return err_set(err, ERR_UNIMPLEMENTED,
		"parameter '%.*s': a model is loaded as it lies in the repository", SLICE_ARG(key));
}

/* Strings of the binary extension: each its length in four bytes, then itself. */
static enum err_code split_strings(struct arena *arena, struct cursor *c, struct tensor *t,
	struct slice name, struct err *err)
{
	int64_t n = tensor_count(t);
	if ((uint64_t)n > cursor_left(c) / 4)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"input '%.*s': binary data of %zu bytes cannot hold the %lld strings of "
			"its shape",
			SLICE_ARG(name), cursor_left(c), (long long)n);
	struct slice *to = arena_alloc(arena, (size_t)n * sizeof(*to) + 1);
	if (!to)
		return err_oom(err);
	for (int64_t i = 0; i < n; i++)
		to[i] = cursor_slice(c, cursor_u32(c));
	if (c->failed || cursor_left(c))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"input '%.*s': the lengths of its strings do not add up to its binary data",
			SLICE_ARG(name));
	t->data = to;
	return ERR_OK;
}

enum err_code oip_take_raw(struct arena *arena, struct slice bytes, struct tensor *t,
	struct slice name, struct err *err)
{
	struct cursor c = cursor_of(bytes.ptr, bytes.len);
	if (t->dtype == DTYPE_STRING)
		return split_strings(arena, &c, t, name, err);
	size_t want = tensor_bytes(t);
	if (bytes.len != want)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"input '%.*s': binary data has %zu bytes, its shape and datatype say %zu",
			SLICE_ARG(name), bytes.len, want);
	char *data = (char *)(uintptr_t)bytes.ptr;
	if ((uintptr_t)data % ARENA_ALIGN_TENSOR != 0 || want == 0) {
		data = arena_alloc_aligned(arena, want ? want : 1, ARENA_ALIGN_TENSOR);
		if (!data)
			return err_oom(err);
		if (want)
			memcpy(data, bytes.ptr, want);
	}
	for (size_t i = 0; t->dtype == DTYPE_BOOL && i < want; i++)
		data[i] = data[i] != 0;
	t->data = data;
	return ERR_OK;
}

enum err_code oip_place_input(
	struct request *r, const struct oip_input *in, struct tensor **ret, struct err *err)
{
	size_t bytes;
	int i = signature_find_in(r->sig, in->name);
	if (i < 0)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"unexpected inference input '%.*s' for model '%s'", SLICE_ARG(in->name),
			r->version->model);
	struct tensor *t = &r->in[i];
	if (t->data)
		return err_set(err, ERR_INVALID_ARGUMENT, "input '%.*s' is given twice",
			SLICE_ARG(in->name));
	t->dtype = dtype_find_oip(in->datatype);
	t->shape = in->shape;
	if (t->dtype == DTYPE_UNDEFINED)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"input '%.*s': datatype '%.*s' is not known", SLICE_ARG(in->name),
			SLICE_ARG(in->datatype));
	if (tensor_bytes_overflow(t->dtype, &t->shape, &bytes))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"input '%.*s': its shape has too many elements", SLICE_ARG(in->name));
	*ret = t;
	return ERR_OK;
}

enum err_code oip_want_output(struct request *r, struct slice name, int *ret, struct err *err)
{
	int i = signature_find_out(r->sig, name);
	if (i < 0)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"unexpected inference output '%.*s' for model '%s'", SLICE_ARG(name),
			r->version->model);
	if (r->wanted[i])
		return err_set(err, ERR_INVALID_ARGUMENT, "output '%.*s' is asked for twice",
			SLICE_ARG(name));
	r->wanted[i] = true;
	*ret = i;
	return ERR_OK;
}

static enum err_code join_strings(
	struct arena *arena, const struct tensor *t, struct slice *ret, struct err *err)
{
	struct buf b = buf_of(arena, 0);
	const struct slice *s = t->data;
	for (int64_t i = 0; i < tensor_count(t); i++) {
		uint32_t len = (uint32_t)s[i].len;
		unsigned char prefix[4] = { (unsigned char)len, (unsigned char)(len >> 8),
			(unsigned char)(len >> 16), (unsigned char)(len >> 24) };
		buf_bytes(&b, prefix, sizeof(prefix));
		buf_slice(&b, s[i]);
	}
	return buf_finish(&b, ret, err);
}

enum err_code oip_raw(
	struct request *r, const struct tensor *t, struct slice *ret, struct err *err)
{
	if (t->dtype == DTYPE_STRING)
		return join_strings(r->arena, t, ret, err);
	*ret = (struct slice){ t->data, tensor_bytes(t) };
	return ERR_OK;
}

/* --- shared memory --- */

enum err_code oip_take_region(struct request *r, struct regions *all,
	const struct region_window *w, struct tensor *t, struct slice name, struct err *err)
{
	struct slice bytes;
	/* Before as much memory is asked for. */
	if (t->dtype != DTYPE_STRING && w->bytes != tensor_bytes(t))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"input '%.*s': shared_memory_byte_size is %ju, its shape and datatype say "
			"%zu",
			SLICE_ARG(name), (uintmax_t)w->bytes, tensor_bytes(t));
	if (regions_read(all, w, r->arena, &bytes, err) != ERR_OK)
		return err_prefix(err, "input '%.*s'", SLICE_ARG(name));
	return oip_take_raw(r->arena, bytes, t, name, err);
}

enum err_code oip_aim(struct request *r, struct regions *all, const struct region_window *w,
	struct oip_target *ret, struct err *err)
{
	*ret = (struct oip_target){ .window = *w };
	return w->region.len ? regions_hold(all, w, r->arena, &ret->region, err) : ERR_OK;
}

enum err_code oip_store(struct request *r, int out, struct slice raw, const struct oip_target *to,
	struct err *err)
{
	if (region_write(to->region, &to->window, raw, err) != ERR_OK)
		return err_prefix(err, "output '%s'", r->sig->out[out].name);
	return ERR_OK;
}

enum err_code oip_refuse_cuda(struct err *err)
{
	return err_set(err, ERR_UNIMPLEMENTED,
		"CUDA shared memory is not supported: its client could free it while it is in "
		"use; system shared memory is");
}

/* --- classification --- */

/* Falling values, of equals the earlier first; NaN last. */
static int by_value(const void *a, const void *b, void *ctx)
{
	int64_t i = *(const int64_t *)a, j = *(const int64_t *)b;
	double v = tensor_float(ctx, i), w = tensor_float(ctx, j);
	if (isnan(v) || isnan(w))
		return isnan(v) != isnan(w) ? isnan(v) - isnan(w) : (i > j) - (i < j);
	return v != w ? (v < w) - (v > w) : (i > j) - (i < j);
}

/* ":label", or nothing. */
static const char *label_text(struct arena *arena, const struct ml_labels *l, int64_t i)
{
	if (i >= l->n)
		return "";
	return l->strings ? arena_printf(arena, ":%.*s", (int)l->strings[i].len, l->strings[i].ptr)
			  : arena_printf(arena, ":%lld", (long long)l->ints[i]);
}

/* The k largest of the n values from `first` on, as "value:index", or "value:index:label". */
static bool put_top(struct arena *arena, const struct tensor *t, const struct ml_labels *labels,
	int64_t first, int64_t n, int64_t k, struct slice *to)
{
	int64_t *order = ARENA_ARRAY(arena, int64_t, (size_t)n + 1);
	if (!order)
		return false;
	for (int64_t i = 0; i < n; i++)
		order[i] = first + i;
	qsort_r(order, (size_t)n, sizeof(*order), by_value, (void *)(uintptr_t)t);
	for (int64_t i = 0; i < k; i++) {
		const char *label = label_text(arena, labels, order[i] - first);
		char *text = arena_printf(arena, "%f:%lld%s", tensor_float(t, order[i]),
			(long long)(order[i] - first), label ? label : "");
		if (!text || !label)
			return false;
		to[i] = slice_of(text);
	}
	return true;
}

enum err_code oip_classify(struct request *r, int out, struct tensor *t, int64_t k, struct err *err)
{
	const struct ml_labels *labels = &r->sig->out[out].labels;
	enum dtype_class class = dtype_info(t->dtype)->class;
	if (class != DTYPE_CLASS_INT && class != DTYPE_CLASS_UINT && !dtype_in(t->dtype, T_FLOAT))
		return err_set(err, ERR_INVALID_ARGUMENT, "classification of an output of type %s",
			dtype_name(t->dtype));
	bool batched = r->sig->batchable && t->shape.rank > 0;
	int64_t rows = batched ? t->shape.dim[0] : 1;
	int64_t n = rows ? tensor_count(t) / rows : 0;
	k = k < n ? k : n;
	struct slice *top = ARENA_ARRAY(r->arena, struct slice, (size_t)(rows * k) + 1);
	if (!top)
		return err_oom(err);
	for (int64_t i = 0; i < rows; i++)
		if (!put_top(r->arena, t, labels, i * n, n, k, top + i * k))
			return err_oom(err);
	*t = (struct tensor){ .data = top, .dtype = DTYPE_STRING,
		.shape = batched ? shape_of(rows, k) : shape_of(k) };
	return ERR_OK;
}
