/* SPDX-License-Identifier: Apache-2.0 */
/* GET .../stats: Triton's statistics extension, which its perf_analyzer reads. */
#include "base/json.h"
#include "server/http/http_state.h"
#include "server/stats.h"

struct walk {
	struct call *call;
	struct buf b;
	bool any;
};

static void put_duration(struct buf *b, const char *name, uint64_t count, uint64_t ns)
{
	buf_printf(b, "\"%s\":{\"count\":%llu,\"ns\":%llu}", name, (unsigned long long)count,
		(unsigned long long)ns);
}

struct totals {
	uint64_t batches, gather_ns, scatter_ns;
};

static struct totals sum_batches(const struct stats *s)
{
	struct totals t = { 0 };
	for (int rows = 0; rows <= STATS_BATCH_MAX; rows++) {
		struct stats_batch at = stats_batch(s, rows);
		t.batches += at.count;
		t.gather_ns += at.gather_ns;
		t.scatter_ns += at.scatter_ns;
	}
	return t;
}

static void put_inference_stats(struct buf *b, const struct stats *s, const struct totals *t)
{
	uint64_t ok = stats_requests(s, 0, 1);
	buf_str(b, "\"inference_stats\":{");
	put_duration(b, "success", ok, s->success_ns);
	buf_char(b, ',');
	put_duration(b, "fail", stats_requests(s, 1, STATS_CODES), s->fail_ns);
	buf_char(b, ',');
	put_duration(b, "queue", ok, (uint64_t)s->queue.sum);
	buf_char(b, ',');
	put_duration(b, "compute_input", ok, t->gather_ns);
	buf_char(b, ',');
	put_duration(b, "compute_infer", ok, (uint64_t)s->compute.sum);
	buf_char(b, ',');
	put_duration(b, "compute_output", ok, t->scatter_ns);
	buf_str(b, ",\"cache_hit\":{\"count\":0,\"ns\":0},\"cache_miss\":{\"count\":0,\"ns\":0}}");
}

static void put_batch_stats(struct buf *b, const struct stats *s)
{
	bool any = false;
	buf_str(b, "\"batch_stats\":[");
	for (int rows = 0; rows <= STATS_BATCH_MAX; rows++) {
		struct stats_batch at = stats_batch(s, rows);
		if (at.count == 0)
			continue;
		buf_printf(b, "%s{\"batch_size\":%d,", any ? "," : "", rows);
		any = true;
		put_duration(b, "compute_input", at.count, at.gather_ns);
		buf_char(b, ',');
		put_duration(b, "compute_infer", at.count, at.compute_ns);
		buf_char(b, ',');
		put_duration(b, "compute_output", at.count, at.scatter_ns);
		buf_char(b, '}');
	}
	buf_char(b, ']');
}

static void put_version(void *ctx, const struct stats *s)
{
	struct walk *w = ctx;
	const struct call *c = w->call;
	if (!s->loaded || (c->model.len && !slice_is(c->model, s->model)) ||
		(c->has_spec && c->spec.number != s->number))
		return;
	struct totals t = sum_batches(s);
	buf_str(&w->b, w->any ? ",{\"name\":" : "{\"name\":");
	w->any = true;
	json_put_cstr(&w->b, s->model);
	buf_printf(&w->b, ",\"version\":\"%lld\",\"last_inference\":%lld,\"inference_count\":%llu,"
			  "\"execution_count\":%llu,",
		(long long)s->number, (long long)s->last_ms, (unsigned long long)s->rows,
		(unsigned long long)t.batches);
	put_inference_stats(&w->b, s, &t);
	buf_str(&w->b, ",\"response_stats\":{},");
	put_batch_stats(&w->b, s);
	buf_str(&w->b, ",\"memory_usage\":[]}");
}

enum err_code v2_stats(struct call *c, struct err *err)
{
	struct walk w = { .call = c, .b = buf_of(c->arena, 0) };
	/* A model that is not there, or not ready, is an error as everywhere else. */
	if (c->model.len)
		TRY(call_check_version(c, err));
	buf_str(&w.b, "{\"model_stats\":[");
	stats_walk(put_version, &w);
	buf_str(&w.b, "]}");
	return call_reply_json(c, &w.b, err);
}
