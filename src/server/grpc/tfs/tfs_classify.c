/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classify, Regress, and MultiInference, which is several of these over the same examples.
 *
 * DESIGN. A task is a signature and what is made of its outputs. A call of several runs them
 * one after the other: each has a program of its own. The message is read again for each;
 * the result of each is kept until the last has been run.
 */
#include "server/grpc/methods.h"
#include "server/grpc/tfs/tfs_example.h"
#include "server/grpc/tfs/tfs_spec.h"
#include "server/dialect/scores.h"
#include "server/dialect/tfs.h"

#define TASKS_MAX 64

/* ClassificationRequest and RegressionRequest are alike, and so are the responses. */
enum { REQ_SPEC = 1, REQ_INPUT };
enum { RES_RESULT = 1, RES_SPEC };
enum { MULTI_TASKS = 1, MULTI_INPUT };
enum { TASK_SPEC = 1, TASK_METHOD };
enum { MULTI_RESULTS = 1 };
enum { RESULT_SPEC = 1, RESULT_CLASSES, RESULT_VALUES };
enum { RESULT_LIST = 1, LIST_CLASSES = 1 };
enum { CLASS_LABEL = 1, CLASS_SCORE };
enum { REGRESSION_VALUE = 1 };

struct task {
	struct tfs_spec spec;
	struct slice method;
	bool regress;
};

struct tasks {
	struct task task[TASKS_MAX];
	int n, at;
	struct wire input;
	struct scores scores; /* of the one that runs */
	int64_t examples;
	struct buf results; /* of those that have run */
};

static struct tasks *new_tasks(struct rpc_call *c)
{
	struct tasks *t = ARENA_NEW(c->request->arena, struct tasks);
	if (t)
		t->results = buf_of(c->request->arena, 0);
	c->dialect = t;
	return t;
}

/* Inputs and outputs of the task at hand, its signature being picked. */
static enum err_code take_task(struct rpc_call *c, struct tasks *t, struct err *err)
{
	struct request *r = c->request;
	if (t->task[t->at].regress)
		TRY(scores_want_value(r, &t->scores, err));
	else
		TRY(scores_want_classes(r, &t->scores, err));
	return tfs_example_take(c, t->input, &t->examples, err);
}

/* --- one task --- */

static enum err_code take_one(struct rpc_call *c, struct wire w, bool regress, struct err *err)
{
	struct tasks *t = new_tasks(c);
	uint32_t field;
	enum wire_type type;
	if (!t)
		return err_oom(err);
	while (wire_next(&w, &field, &type)) {
		if (field == REQ_SPEC)
			tfs_spec_read(&w, type, c->request->arena, &t->task[0].spec);
		else if (field == REQ_INPUT)
			t->input = wire_message(&w, type);
		else
			wire_skip(&w, type);
	}
	if (!wire_ok(&w))
		return tfs_malformed(err, regress ? "RegressionRequest" : "ClassificationRequest");
	t->n = 1;
	t->task[0].regress = regress;
	TRY(tfs_spec_pin(c, &t->task[0].spec, err));
	return take_task(c, t, err);
}

enum err_code tfs_classify(struct rpc_call *c, struct wire w, struct err *err)
{
	return take_one(c, w, false, err);
}

enum err_code tfs_regress(struct rpc_call *c, struct wire w, struct err *err)
{
	return take_one(c, w, true, err);
}

/* --- several --- */

static enum err_code read_task(
	struct wire w, struct arena *arena, struct task *ret, struct err *err)
{
	uint32_t field;
	enum wire_type type;
	*ret = (struct task){ .method = SLICE_LIT("") };
	while (wire_next(&w, &field, &type)) {
		if (field == TASK_SPEC)
			tfs_spec_read(&w, type, arena, &ret->spec);
		else if (field == TASK_METHOD)
			ret->method = wire_string(&w, type, TFS_NAME_MAX, arena);
		else
			wire_skip(&w, type);
	}
	if (!wire_ok(&w))
		return tfs_malformed(err, "InferenceTask");
	if (ret->spec.signature.len == 0)
		ret->spec.signature = SLICE_LIT(SIGNATURE_DEFAULT);
	ret->regress = slice_is(ret->method, TFS_METHOD_REGRESS);
	if (!ret->regress && !slice_is(ret->method, TFS_METHOD_CLASSIFY))
		return err_set(err, ERR_UNIMPLEMENTED, "Unsupported signature method_name: %.*s",
			SLICE_ARG(ret->method));
	return ERR_OK;
}

static enum err_code add_task(struct tasks *t, struct wire w, struct arena *arena, struct err *err)
{
	if (t->n == TASKS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"a MultiInferenceRequest has at most %d tasks", TASKS_MAX);
	struct task *new = &t->task[t->n];
	TRY(read_task(w, arena, new, err));
	TRY(tfs_spec_check(&new->spec, err));
	if (!slice_eq(new->spec.model, t->task[0].spec.model))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"All ModelSpecs in a MultiInferenceRequest must access the same model "
			"name.");
	for (int i = 0; i < t->n; i++)
		if (slice_eq(new->spec.signature, t->task[i].spec.signature))
			return err_set(err, ERR_INVALID_ARGUMENT,
				"Duplicate evaluation of signature: %.*s",
				SLICE_ARG(new->spec.signature));
	t->n++;
	return ERR_OK;
}

enum err_code tfs_multi_inference(struct rpc_call *c, struct wire w, struct err *err)
{
	struct tasks *t = new_tasks(c);
	uint32_t field;
	enum wire_type type;
	if (!t)
		return err_oom(err);
	while (wire_next(&w, &field, &type)) {
		struct wire inner;
		if (field != MULTI_TASKS && field != MULTI_INPUT) {
			wire_skip(&w, type);
			continue;
		}
		inner = wire_message(&w, type);
		if (field == MULTI_INPUT)
			t->input = inner;
		else if (wire_ok(&w))
			TRY(add_task(t, inner, c->request->arena, err));
	}
	if (!wire_ok(&w))
		return tfs_malformed(err, "MultiInferenceRequest");
	if (t->n == 0)
		return err_set(err, ERR_INVALID_ARGUMENT, "a MultiInferenceRequest has no tasks");
	TRY(tfs_spec_pin(c, &t->task[0].spec, err));
	c->in_turn = true;
	return take_task(c, t, err);
}

/* --- results --- */

static void put_classes(struct buf *b, const struct request *r, const struct tasks *t)
{
	char text[SCORES_LABEL_MAX];
	for (int64_t row = 0; row < t->examples; row++) {
		struct buf classes = buf_of(b->arena, 0);
		for (int64_t k = 0; k < t->scores.k; k++) {
			int64_t i = row * t->scores.k + k;
			struct buf one = buf_of(b->arena, 0);
			wire_put_bytes(&one, CLASS_LABEL, scores_label(r, &t->scores, i, text));
			wire_put_float(&one, CLASS_SCORE, scores_score(r, &t->scores, i));
			wire_put_message(&classes, LIST_CLASSES, &one);
		}
		wire_put_message(b, RESULT_LIST, &classes);
	}
}

static void put_values(struct buf *b, const struct request *r, const struct tasks *t)
{
	for (int64_t row = 0; row < t->examples; row++) {
		struct buf one = buf_of(b->arena, 0);
		wire_put_float(&one, REGRESSION_VALUE, scores_score(r, &t->scores, row));
		wire_put_message(b, RESULT_LIST, &one);
	}
}

/* A ClassificationResult or RegressionResult. */
static enum err_code put_result(
	struct buf *b, const struct request *r, struct tasks *t, struct err *err)
{
	if (t->task[t->at].regress) {
		TRY(scores_check_value(r, &t->scores, t->examples, err));
		put_values(b, r, t);
	} else {
		TRY(scores_check_classes(r, &t->scores, t->examples, err));
		put_classes(b, r, t);
	}
	return ERR_OK;
}

enum err_code tfs_classify_reply(struct rpc_call *c, struct err *err)
{
	struct buf b = buf_of(c->request->arena, 0), result = buf_of(c->request->arena, 0);
	TRY(put_result(&result, c->request, c->dialect, err));
	wire_put_message(&b, RES_RESULT, &result);
	tfs_spec_put(&b, RES_SPEC, c->request->version, c->request->sig);
	return rpc_reply(c, &b, err);
}

enum err_code tfs_multi_inference_reply(struct rpc_call *c, struct err *err)
{
	struct tasks *t = c->dialect;
	struct buf one = buf_of(c->request->arena, 0), result = buf_of(c->request->arena, 0);
	TRY(put_result(&result, c->request, t, err));
	tfs_spec_put(&one, RESULT_SPEC, c->request->version, c->request->sig);
	wire_put_message(&one, t->task[t->at].regress ? RESULT_VALUES : RESULT_CLASSES, &result);
	wire_put_message(&t->results, MULTI_RESULTS, &one);
	if (++t->at == t->n)
		return rpc_reply(c, &t->results, err);
	TRY(tfs_spec_pick(c, t->task[t->at].spec.signature, err));
	TRY(take_task(c, t, err));
	c->again = true;
	return ERR_OK;
}
