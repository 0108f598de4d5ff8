/* SPDX-License-Identifier: Apache-2.0 */
#include "support/served.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define IO(n, t, ...) \
	{ .name = n, .value = n, .type.dtype = DTYPE_##t, .dim_name = { "batch" }, \
		.shape = { (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), \
			{ __VA_ARGS__ } } }
#define BATCH DIM_SYMBOL(0)

static struct signature_io one_in[] = { IO("x", F32, BATCH, 2) };
static struct signature_io one_out[] = { IO("y", F32, BATCH, 2) };

static struct signature_io judge_in[] = { IO("f", F32, BATCH, 2), IO("n", I64, BATCH),
	IO("s", STRING, BATCH), IO("h", F16, BATCH, DIM_UNKNOWN) };
static struct signature_io judge_out[] = { IO("scores", F32, BATCH, 3),
	IO("classes", STRING, BATCH, 3) };
static struct signature_io value_out[] = { IO("outputs", F64, BATCH, 1) };
static struct signature_io both_out[] = { IO("label", I64, BATCH),
	IO("probabilities", F32, BATCH, 3) };
static struct signature_io none_out[] = { IO("a", F32, BATCH, 3), IO("b", F32, BATCH, 3) };

static const enum dtype many_types[] = { DTYPE_F32, DTYPE_F64, DTYPE_I8, DTYPE_I16, DTYPE_I32,
	DTYPE_I64, DTYPE_U8, DTYPE_U16, DTYPE_U32, DTYPE_U64, DTYPE_BOOL, DTYPE_STRING };
static const enum dtype wire_types[] = { DTYPE_F16, DTYPE_BF16, DTYPE_C64, DTYPE_C128,
	DTYPE_F8E5M2 };
#define MANY (int)(sizeof(many_types) / sizeof(many_types[0]))
#define WIRE (int)(sizeof(wire_types) / sizeof(wire_types[0]))
static struct signature_io many_io[MANY + WIRE];

#define SIGNATURE(n, inputs, outputs) \
	{ .name = n, .in = inputs, .out = outputs, .n_in = sizeof(inputs) / sizeof(inputs[0]), \
		.n_out = sizeof(outputs) / sizeof(outputs[0]), .batchable = true, .max_batch = 8 }
static struct signature many_sig[] = {
	{ .name = SIGNATURE_DEFAULT, .in = many_io, .out = many_io, .n_in = MANY, .n_out = MANY,
		.batchable = true, .max_batch = 8 },
	{ .name = "wire", .in = many_io, .out = many_io, .n_in = MANY + WIRE, .n_out = MANY + WIRE,
		.batchable = true, .max_batch = 8 },
};
static struct signature one_sig[] = { SIGNATURE(SIGNATURE_DEFAULT, one_in, one_out) };
static struct signature judge_sig[] = { SIGNATURE(SIGNATURE_DEFAULT, judge_in, judge_out),
	SIGNATURE("value", judge_in, value_out), SIGNATURE("both", judge_in, both_out),
	SIGNATURE("none", judge_in, none_out) };

/* By name. */
#define VERSION(m, s) \
	{ .model = m, .number = 3, .sig = s, .n_sig = sizeof(s) / sizeof(s[0]), \
		.platform = "onnx_onnxv1", .refs = 1, .state = VERSION_READY }
static struct version versions[] = { VERSION("judge", judge_sig), VERSION("many", many_sig),
	VERSION("one", one_sig) };
#define MODELS (int)(sizeof(versions) / sizeof(versions[0]))

static void require(bool holds)
{
	if (!holds)
		abort();
}

struct registry *served_registry(void)
{
	static const struct registry_label label = { "stable", 3 };
	static struct registry *registry;
	struct registry_version row[MODELS];
	struct registry_model model[MODELS];
	struct err err;
	if (registry)
		return registry;
	judge_in[2].optional = judge_in[3].optional = true;
	for (int i = 0; i < MANY + WIRE; i++) {
		enum dtype dtype = i < MANY ? many_types[i] : wire_types[i - MANY];
		many_io[i] = (struct signature_io){ .name = dtype_name(dtype), .value = "v",
			.type.dtype = dtype, .shape = { 1, { BATCH } }, .optional = true };
	}
	for (int i = 0; i < MODELS; i++) {
		row[i] = (struct registry_version){ .version = &versions[i],
			.status = { .model = versions[i].model, .number = 3, .state = VERSION_READY,
				.reason = "" } };
		model[i] = (struct registry_model){ .name = versions[i].model, .version = &row[i],
			.n_version = 1, .label = &label, .n_label = 1 };
	}
	require(registry_new(&registry, &err) == ERR_OK);
	require(registry_set(registry, model, MODELS, &err) == ERR_OK);
	return registry;
}

struct regions *served_regions(void)
{
	static struct regions *regions;
	char dir[] = "/tmp/signet-test-XXXXXX", file[64];
	const float bytes[16] = { 1, 2, 3, 4 };
	const struct region_spec r = { SLICE_LIT("r"), SLICE_LIT("object"), 0, sizeof(bytes) };
	struct err err;
	if (regions)
		return regions;
	require(mkdtemp(dir) && snprintf(file, sizeof(file), "%s/object", dir) > 0);
	FILE *f = fopen(file, "wb");
	require(f && fwrite(bytes, sizeof(bytes), 1, f) == 1 && fclose(f) == 0);
	require(regions_new(dir, &regions, &err) == ERR_OK);
	require(regions_register(regions, &r, &err) == ERR_OK);
	unlink(file);
	rmdir(dir);
	return regions;
}

static void make_output(struct request *r, int i)
{
	struct tensor *t = &r->out[i];
	t->dtype = r->sig->out[i].type.dtype;
	t->shape = r->sig->out[i].shape;
	t->shape.dim[0] = r->rows;
	t->data = arena_calloc(r->arena, tensor_bytes(t) + 1, 1);
	require(t->data != NULL);
	for (int64_t k = 0; t->dtype == DTYPE_STRING && k < tensor_count(t); k++)
		((struct slice *)t->data)[k] = SLICE_LIT("");
}

enum err_code served_run(struct request *r, void (*fill)(struct request *r), struct err *err)
{
	bool all = true;
	TRY(signature_check(r->sig, r->in, &r->rows, err));
	for (int i = 0; i < r->sig->n_out; i++)
		all &= !r->wanted[i];
	for (int i = 0; i < r->sig->n_out; i++) {
		r->wanted[i] |= all;
		if (r->wanted[i])
			make_output(r, i);
	}
	if (fill)
		fill(r);
	return ERR_OK;
}
