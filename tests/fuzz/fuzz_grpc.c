/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of both gRPC dialects. The first byte chooses the method, the second into pieces of
 * how many bytes the message is cut; the rest is the message. What is answered well is a
 * message again.
 */
#include <stdlib.h>
#include "support/rpc_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Those that read more than a name. */
static const char *const methods[] = {
	"/tensorflow.serving.PredictionService/Predict",
	"/inference.GRPCInferenceService/ModelInfer",
	"/tensorflow.serving.PredictionService/Classify",
	"/tensorflow.serving.PredictionService/Regress",
	"/tensorflow.serving.PredictionService/MultiInference",
	"/tensorflow.serving.PredictionService/GetModelMetadata",
	"/tensorflow.serving.ModelService/GetModelStatus",
	"/tensorflow.serving.ModelService/HandleReloadConfigRequest",
};
#define METHODS (sizeof(methods) / sizeof(methods[0]))

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* Every text and number is there to be read. */
static enum err_code set_models(
	void *ctx, struct model_conf *model, int n, struct arena *arena, struct err *err)
{
	size_t sum = 0;
	(void)ctx;
	(void)arena;
	for (int i = 0; i < n; i++) {
		sum += strlen(model[i].name) + (model[i].path ? strlen(model[i].path) : 0);
		for (int k = 0; k < model[i].n_versions; k++)
			check(model[i].versions[k] >= 0);
		for (int k = 0; k < model[i].n_labels; k++)
			sum += strlen(model[i].labels[k].name);
	}
	return sum == SIZE_MAX ? err_oom(err) : ERR_OK;
}

static bool is_message(struct slice reply)
{
	struct wire w = wire_over(&reply, 1);
	uint32_t field;
	enum wire_type type;
	while (wire_next(&w, &field, &type))
		wire_skip(&w, type);
	return wire_ok(&w);
}

/* What came in is echoed where inputs and outputs correspond. */
static void echo(struct request *r)
{
	for (int i = 0; i < r->sig->n_in && i < r->sig->n_out; i++)
		if (r->in[i].data && r->out[i].data && r->in[i].dtype == r->out[i].dtype &&
			shape_equal(&r->in[i].shape, &r->out[i].shape))
			r->out[i] = r->in[i];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rpc_result r;
	if (size < 2)
		return 0;
	struct rpc_opts o = { .method = methods[data[0] % METHODS], .piece_bytes = data[1] % 64,
		.tensor_content = data[0] & 64, .set_models = set_models, .fill = echo,
		/* So that no tensor is of a size that an arena maps by itself: a leak checker
		   sees no pointers there. */
		.message_bytes_max = 1 << 14 };
	struct slice message = { (const char *)data + 2, size - 2 };
	rpc_run(&o, message, &r);
	if (r.code == ERR_OK)
		check(is_message(r.reply));
	else
		check(r.err.code == r.code && r.err.msg[0]);
	rpc_done(&r);
	return 0;
}
