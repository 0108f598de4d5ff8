/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/ctl/import.h"

#include <inttypes.h>
#include "base/parse.h"
#include "base/utf8.h"
#include "tools/ctl/outline.h"

#define VALUE_BYTES_MAX 4096

/* Keys of [model NAME], in the order in which they are written. */
#define SETTINGS(X) \
	X(PATH, "path") X(VERSIONS, "versions") X(LABELS, "labels") X(MAX_BATCH, "max_batch") \
	X(BATCH_DELAY, "batch_delay") X(QUEUE_ROWS, "queue_rows") X(BATCHES_MAX, "batches_max") \
	X(DEVICE, "device")

enum setting {
	SET_NONE,
#define X(id, key) SET_##id,
	SETTINGS(X)
#undef X
	SET_COUNT_
};

static const char *const keys[SET_COUNT_] = {
#define X(id, key) [SET_##id] = key,
	SETTINGS(X)
#undef X
};

enum import_as {
	AS_MODEL,    /* the message is one model */
	AS_EVERY,    /* the message is of batching parameters, which hold for every model */
	AS_NAME,
	AS_PATH,
	AS_PLATFORM, /* remarkable unless it is ONNX's */
	AS_FILE,     /* remarkable unless it is ours */
	AS_NUMBER,
	AS_ADD,
	AS_MICROS,
	AS_BATCH,    /* 0 is 1; as a message as AS_EVERY */
	AS_LATEST,   /* the message, or the number in it */
	AS_ALL,
	AS_APPEND,   /* one of a list */
	AS_LABELLED, /* what the label that came last is for */
	AS_DEVICE,
	AS_GPU,      /* its number */
	AS_REMARK,   /* has no counterpart */
	AS_NOTHING,  /* needs none */
};

static const struct row {
	const char *path;
	enum import_as as;
	enum setting set;
	const char *remark;
} rows[] = {
#define ROW(path, as, set, remark) { path, AS_##as, SET_##set, remark },
#include "tools/ctl/import.def"
};

struct import {
	struct buf *to;
	const char *file;
	/* Of the section that is being gathered: */
	const char *name;
	const char *value[SET_COUNT_];
	struct buf remarks;
	bool used;
	bool listed; /* the file is a list of models: what is around them is none */
	bool known;  /* the file has names that are in rows */
};

/* -- the rows -------------------------------------------------------------------------------- */

/* The row of the path, or of the nearest name above it. */
static const struct row *find_row(const char *path)
{
	const struct row *best = NULL;
	size_t best_len = 0;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t len = strlen(rows[i].path);
		if (len > best_len && strncmp(path, rows[i].path, len) == 0 &&
			(path[len] == '.' || !path[len])) {
			best = &rows[i];
			best_len = len;
		}
	}
	return best;
}

/* -- sections -------------------------------------------------------------------------------- */

static void begin(struct import *im)
{
	*im = (struct import){ .to = im->to, .file = im->file, .remarks = buf_of(im->to->arena, 0),
		.listed = im->listed, .known = im->known };
}

/* Triton lets a model be called as its directory. */
static const char *directory_name(const struct import *im)
{
	const char *end = strrchr(im->file, '/'), *from = end;
	while (from && from > im->file && from[-1] != '/')
		from--;
	return end ? arena_strndup(im->to->arena, from, (size_t)(end - from)) : NULL;
}

/* What was said of none of the listed models. */
static void put_loose(struct import *im)
{
	if (im->remarks.len)
		buf_printf(im->to, "\n# %s\n%.*s", im->file, (int)im->remarks.len, im->remarks.ptr);
}

static enum err_code end(struct import *im, const char *name, struct err *err)
{
	if (!name)
		return err_set(err, ERR_INVALID_ARGUMENT, "the model has no name");
	buf_printf(im->to, "\n# %s\n[model %s]\n", im->file, name);
	for (int i = 0; i < SET_COUNT_; i++)
		if (im->value[i])
			buf_printf(im->to, "%s = %s\n", keys[i], im->value[i]);
	buf_bytes(im->to, im->remarks.ptr, im->remarks.len);
	begin(im);
	return ERR_OK;
}

/* -- values ---------------------------------------------------------------------------------- */

static bool is_plain(struct slice v)
{
	struct err err;
	return utf8_check_name(v, VALUE_BYTES_MAX, "", &err) == ERR_OK;
}

static enum err_code remark(struct import *im, const struct outline_item *item, const char *why)
{
	if (item->kind == OUTLINE_CLOSE)
		return ERR_OK;
	buf_printf(&im->remarks, "# %s", item->path);
	if (item->kind == OUTLINE_VALUE && is_plain(item->value))
		buf_printf(&im->remarks, " = %.*s", SLICE_ARG(item->value));
	buf_printf(&im->remarks, ": %s\n", why);
	return ERR_OK;
}

static enum err_code put(struct import *im, enum setting set, const char *text, struct err *err)
{
	if (!text)
		return err_oom(err);
	im->value[set] = text;
	return ERR_OK;
}

static enum err_code put_number(
	struct import *im, const struct row *row, const struct outline_item *item, struct err *err)
{
	int64_t n, sum = 0;
	if (!parse_i64(item->value, 0, INT32_MAX, &n))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"%s is '%.*s', must be: a whole number up to %d", item->path,
			SLICE_ARG(item->value), INT32_MAX);
	if (row->as == AS_NUMBER && n == 0)
		return ERR_OK; /* protobuf's default: nothing was said */
	if (row->as == AS_ADD && im->value[row->set])
		(void)!parse_i64(slice_of(im->value[row->set]), 0, INT32_MAX, &sum);
	if (row->as == AS_BATCH && n == 0)
		n = 1;
	return put(im, row->set,
		arena_printf(im->to->arena, "%s%" PRId64 "%s",
			row->as == AS_LATEST ? "latest " : "", n + sum,
			row->as == AS_MICROS ? "us" : ""),
		err);
}

static enum err_code append(
	struct import *im, enum setting set, const char *between, struct slice v, struct err *err)
{
	const char *before = im->value[set];
	return put(im, set,
		arena_printf(im->to->arena, "%s%s%.*s", before ? before : "", before ? between : "",
			SLICE_ARG(v)),
		err);
}

/* Triton's KIND_GPU and the number that follows, OpenVINO's GPU and GPU.1; what it calls AUTO
   is left to [server] device. */
static enum err_code put_device(
	struct import *im, const struct row *row, const struct outline_item *item, struct err *err)
{
	struct arena *arena = im->to->arena;
	struct slice v = item->value;
	int64_t n;
	if (row->as == AS_GPU && parse_i64(v, 0, 1023, &n)) {
		if (im->value[SET_DEVICE] && strchr(im->value[SET_DEVICE], ':'))
			return remark(im, item, "a model runs on one device");
		return put(im, SET_DEVICE, arena_printf(arena, "gpu:%" PRId64, n), err);
	}
	if (slice_is(v, "KIND_CPU") || slice_is(v, "CPU"))
		return put(im, SET_DEVICE, "cpu", err);
	bool gpu = slice_is(v, "KIND_GPU") || slice_is(v, "GPU");
	if (gpu)
		return put(
			im, SET_DEVICE, im->value[SET_DEVICE] ? im->value[SET_DEVICE] : "gpu", err);
	if (v.len > 4 && memcmp(v.ptr, "GPU.", 4) == 0 &&
		parse_i64((struct slice){ v.ptr + 4, v.len - 4 }, 0, 1023, &n))
		return put(im, SET_DEVICE, arena_printf(arena, "gpu:%" PRId64, n), err);
	return remark(im, item, "it runs where [server] device says");
}

static enum err_code put_path(struct import *im, const struct outline_item *item, struct err *err)
{
	for (size_t i = 0; i + 2 < item->value.len; i++)
		if (memcmp(item->value.ptr + i, "://", 3) == 0)
			return remark(
				im, item, "buckets are not read; copy it beneath a model root");
	return append(im, SET_PATH, "", item->value, err);
}

static enum err_code put_platform(struct import *im, const struct outline_item *item)
{
	static const char *const onnx[] = { "onnx", "onnx_onnxv1", "onnxruntime_onnx",
		"onnxruntime", "" };
	for (size_t i = 0; i < sizeof(onnx) / sizeof(onnx[0]); i++)
		if (slice_is(item->value, onnx[i]))
			return ERR_OK;
	return remark(im, item, "what is served are ONNX files, so it has to be converted");
}

/* -- items ----------------------------------------------------------------------------------- */

static enum err_code take_value(
	struct import *im, const struct row *row, const struct outline_item *item, struct err *err)
{
	struct slice v = item->value;
	if (v.len == 0)
		return ERR_OK; /* as if it were not there */
	/* inih would take the rest for a comment. */
	if (!is_plain(v) || memmem(v.ptr, v.len, " ;", 2))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"%s: its value cannot stand in a line of signetd.conf", item->path);
	switch (row->as) {
	case AS_NAME:
		im->name = arena_strndup(im->to->arena, v.ptr, v.len);
		return im->name ? ERR_OK : err_oom(err);
	case AS_PATH:
		return put_path(im, item, err);
	case AS_PLATFORM:
		return put_platform(im, item);
	case AS_FILE:
		return slice_is(v, "model.onnx")
			? ERR_OK
			: remark(im, item, "the file of a version is model.onnx");
	case AS_NUMBER:
	case AS_ADD:
	case AS_MICROS:
	case AS_BATCH:
	case AS_LATEST:
		return put_number(im, row, item, err);
	case AS_APPEND:
		return append(im, row->set, ", ", v, err);
	case AS_LABELLED:
		return append(im, row->set, "=", v, err);
	case AS_DEVICE:
	case AS_GPU:
		return put_device(im, row, item, err);
	default:
		return ERR_OK;
	}
}

/* Messages that say something by being there. */
static enum err_code take_message(
	struct import *im, const struct row *row, const struct outline_item *item, struct err *err)
{
	bool opens = item->kind == OUTLINE_OPEN;
	switch (row->as) {
	case AS_MODEL:
		im->listed = true;
		if (!opens)
			return end(im, im->name, err);
		put_loose(im);
		begin(im);
		return ERR_OK;
	case AS_BATCH:
	case AS_EVERY:
		im->name = "*";
		return ERR_OK;
	case AS_ALL:
		return opens ? put(im, row->set, "all", err) : ERR_OK;
	case AS_LATEST:
		return opens ? put(im, row->set, "latest", err) : ERR_OK;
	default:
		return ERR_OK;
	}
}

static enum err_code on_item(void *ctx, const struct outline_item *item, struct err *err)
{
	struct import *im = ctx;
	const struct row *row = find_row(item->path);
	bool own = row && strcmp(row->path, item->path) == 0;
	im->known |= row != NULL;
	im->used |= item->kind == OUTLINE_VALUE;
	if (row && row->as == AS_REMARK)
		return own ? remark(im, item, row->remark) : ERR_OK;
	if (item->kind != OUTLINE_VALUE)
		return own ? take_message(im, row, item, err) : ERR_OK;
	/* A number of versions is the one name of its message, so it has no row. */
	if (own || (row && row->as == AS_LATEST))
		return take_value(im, row, item, err);
	return row && row->as == AS_NOTHING ? ERR_OK : remark(im, item, "not known here");
}

enum err_code import_text(struct slice text, const char *file, struct buf *to, struct err *err)
{
	struct import im = { .to = to, .file = file };
	begin(&im);
	TRY(outline_read(text, to->arena, on_item, &im, err));
	if (!im.known)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"none of its names is known: it is no model_config_list, "
			"config.pbtxt or batching parameters");
	if (im.used && !im.listed)
		return end(&im, im.name ? im.name : directory_name(&im), err);
	put_loose(&im);
	return ERR_OK;
}
