/* SPDX-License-Identifier: Apache-2.0 */
/* ModelStatistics: Triton's statistics extension, which its perf_analyzer reads. */
#include "server/grpc/methods.h"
#include "server/grpc/oip/oip_call.h"
#include "server/stats.h"

/* Names and numbers as in proto/inference.proto. */
enum { STATS_MODEL = 1 };
enum { STATS_NAME = 1, STATS_VERSION, STATS_LAST, STATS_ROWS, STATS_BATCHES, STATS_INFER,
	STATS_BATCH };
enum { INFER_SUCCESS = 1, INFER_FAIL, INFER_QUEUE, INFER_INPUT, INFER_COMPUTE, INFER_OUTPUT };
enum { BATCH_SIZE = 1, BATCH_INPUT, BATCH_COMPUTE, BATCH_OUTPUT };
enum { DURATION_COUNT = 1, DURATION_NS };

struct walk {
	struct oip_question q;
	struct version_spec spec;
	struct buf b;
};

static void put_duration(struct buf *b, uint32_t field, uint64_t count, uint64_t ns)
{
	struct buf one = buf_of(b->arena, 0);
	wire_put_uint(&one, DURATION_COUNT, count);
	wire_put_uint(&one, DURATION_NS, ns);
	wire_put_message(b, field, &one);
}

/* One message per batch size that was run; returns how many batches there were. */
static uint64_t put_batches(struct buf *b, const struct stats *s, uint64_t *gather_ns,
	uint64_t *scatter_ns)
{
	uint64_t batches = 0;
	for (int rows = 0; rows <= STATS_BATCH_MAX; rows++) {
		struct stats_batch at = stats_batch(s, rows);
		struct buf one = buf_of(b->arena, 0);
		if (at.count == 0)
			continue;
		batches += at.count;
		*gather_ns += at.gather_ns;
		*scatter_ns += at.scatter_ns;
		wire_put_uint(&one, BATCH_SIZE, (uint64_t)rows);
		put_duration(&one, BATCH_INPUT, at.count, at.gather_ns);
		put_duration(&one, BATCH_COMPUTE, at.count, at.compute_ns);
		put_duration(&one, BATCH_OUTPUT, at.count, at.scatter_ns);
		wire_put_message(b, STATS_BATCH, &one);
	}
	return batches;
}

static void put_stats(void *ctx, const struct stats *s)
{
	struct walk *k = ctx;
	struct buf one = buf_of(k->b.arena, 0), infer = buf_of(k->b.arena, 0);
	uint64_t gather_ns = 0, scatter_ns = 0, ok = stats_requests(s, 0, 1);
	if (!s->loaded || (k->q.name.len && !slice_is(k->q.name, s->model)) ||
		(k->spec.pick == VERSION_PICK_NUMBER && k->spec.number != s->number))
		return;
	wire_put_bytes(&one, STATS_NAME, slice_of(s->model));
	oip_put_number(&one, STATS_VERSION, s->number);
	wire_put_uint(&one, STATS_LAST, (uint64_t)s->last_ms);
	wire_put_uint(&one, STATS_ROWS, s->rows);
	wire_put_uint(&one, STATS_BATCHES, put_batches(&one, s, &gather_ns, &scatter_ns));
	put_duration(&infer, INFER_SUCCESS, ok, s->success_ns);
	put_duration(&infer, INFER_FAIL, stats_requests(s, 1, STATS_CODES), s->fail_ns);
	put_duration(&infer, INFER_QUEUE, ok, (uint64_t)s->queue.sum);
	put_duration(&infer, INFER_INPUT, ok, gather_ns);
	put_duration(&infer, INFER_COMPUTE, ok, (uint64_t)s->compute.sum);
	put_duration(&infer, INFER_OUTPUT, ok, scatter_ns);
	wire_put_message(&one, STATS_INFER, &infer);
	wire_put_message(&k->b, STATS_MODEL, &one);
}

enum err_code oip_statistics(struct rpc_call *c, struct wire w, struct err *err)
{
	struct walk k = { .b = buf_of(c->request->arena, 0) };
	struct version *v;
	TRY(oip_read_question(c, w, &k.q, err));
	TRY(oip_spec(k.q.version, &k.spec, err));
	/* A model that is not there, or not ready, is an error as everywhere else. */
	if (k.q.name.len) {
		TRY(oip_acquire(c, &k.q, &v, err));
		version_release(v);
	}
	stats_walk(put_stats, &k);
	return rpc_reply(c, &k.b, err);
}
