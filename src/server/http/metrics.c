/* SPDX-License-Identifier: Apache-2.0 */
/* GET /metrics: metrics.def as Prometheus text, or as OpenMetrics for who asks for it. */
#include "base/json.h"
#include "exec/module.h"
#include "server/grpc/rpc.h"
#include "server/http/http_state.h"
#include "server/process.h"
#include "server/stats.h"

#include <config.h>

enum metric_type { COUNTER, GAUGE, ALIAS };

struct scrape {
	struct http *http;
	struct buf b;
	bool openmetrics;
	const struct version_status *version;
	int n_version;
};

/* --- text --- */

static void put_label(struct scrape *s, const char *name, const char *value)
{
	buf_str(&s->b, name);
	buf_str(&s->b, "=\"");
	for (; *value; value++) {
		if (*value == '\n')
			buf_str(&s->b, "\\n");
		else if (*value == '"' || *value == '\\')
			buf_bytes(&s->b, (char[]){ '\\', *value }, 2);
		else
			buf_char(&s->b, *value);
	}
	buf_char(&s->b, '"');
}

static void put_version_labels(struct scrape *s, const char *model, int64_t number)
{
	put_label(s, "model", model);
	buf_printf(&s->b, ",version=\"%lld\"", (long long)number);
}

static void put_value(struct scrape *s, double v)
{
	if (v == (double)(int64_t)v)
		json_put_i64(&s->b, (int64_t)v);
	else
		json_put_f64(&s->b, v, true);
	buf_char(&s->b, '\n');
}

static void put_header(
	struct scrape *s, const char *name, const char *type, const char *suffix, const char *help)
{
	buf_printf(
		&s->b, "# HELP %s%s %s\n# TYPE %s%s %s\n", name, suffix, help, name, suffix, type);
}

/* OpenMetrics names a counter's family without what its samples end in. */
static void begin_family(
	struct scrape *s, enum metric_type type, const char *name, const char *help)
{
	static const char *const names[] = { "counter", "gauge", "counter" };
	bool suffixed = type == COUNTER && !s->openmetrics;
	put_header(s, name, s->openmetrics && type == ALIAS ? "unknown" : names[type],
		suffixed ? "_total" : "", help);
}

static const char *suffix_of(enum metric_type type)
{
	return type == COUNTER ? "_total" : "";
}

static void put_single(struct scrape *s, const char *name, const char *suffix, double v)
{
	if (v < 0)
		return;
	buf_printf(&s->b, "%s%s ", name, suffix);
	put_value(s, v);
}

/* --- values of a version --- */

static double succeeded(const struct stats *s)
{
	return (double)stats_requests(s, 0, 1);
}

static double failed(const struct stats *s)
{
	return (double)stats_requests(s, 1, STATS_CODES);
}

static double batches(const struct stats *s)
{
	return (double)s->batch.cumulative[s->batch.n_bounds];
}

struct per_version {
	struct scrape *scrape;
	const char *name, *suffix;
	double (*get)(const struct stats *s);
	const struct hist_reading *(*hist)(const struct stats *s);
	double scale;
};

static void put_sample(
	const struct per_version *p, const struct stats *s, const char *suffix, double v)
{
	buf_printf(&p->scrape->b, "%s%s{", p->name, suffix);
	put_version_labels(p->scrape, s->model, s->number);
	buf_str(&p->scrape->b, "} ");
	put_value(p->scrape, v);
}

static void put_scalar(void *ctx, const struct stats *s)
{
	const struct per_version *p = ctx;
	put_sample(p, s, p->suffix, p->get(s));
}

static void put_histogram(void *ctx, const struct stats *s)
{
	const struct per_version *p = ctx;
	const struct hist_reading *h = p->hist(s);
	char le[NUMBER_TEXT_MAX + 1];
	for (int i = 0; i <= h->n_bounds; i++) {
		if (i < h->n_bounds)
			le[number_format_f64(le, (double)h->bounds[i] * p->scale)] = '\0';
		buf_printf(&p->scrape->b, "%s_bucket{", p->name);
		put_version_labels(p->scrape, s->model, s->number);
		buf_printf(&p->scrape->b, ",le=\"%s\"} ", i < h->n_bounds ? le : "+Inf");
		put_value(p->scrape, (double)h->cumulative[i]);
	}
	put_sample(p, s, "_sum", (double)h->sum * p->scale);
	put_sample(p, s, "_count", (double)h->cumulative[h->n_bounds]);
}

/* --- families --- */

static void put_codes(void *ctx, const struct stats *st)
{
	struct scrape *s = ctx;
	for (int api = 0; api < STATS_API_COUNT_; api++)
		for (int code = 0; code < STATS_CODES; code++) {
			double n = (double)st->code[api][code];
			if (n == 0)
				continue;
			buf_str(&s->b, "signet_requests_total{");
			put_version_labels(s, st->model, st->number);
			buf_printf(&s->b, ",protocol=\"%s\",code=\"%s\"} ", stats_api_names[api],
				err_name((enum err_code)code));
			put_value(s, n);
		}
}

static void emit_requests(struct scrape *s)
{
	stats_walk(put_codes, s);
}

static void emit_states(struct scrape *s)
{
	for (int i = 0; i < s->n_version; i++) {
		const struct version_status *v = &s->version[i];
		if (v->number < 0)
			continue;
		buf_str(&s->b, "signet_model_state{");
		put_version_labels(s, v->model, v->number);
		buf_printf(&s->b, ",state=\"%s\"} 1\n", version_state_info(v->state)->text);
	}
}

static void emit_memory(struct scrape *s)
{
	for (int i = 0; i < s->n_version; i++) {
		const struct version_status *v = &s->version[i];
		if (v->number < 0 || v->memory_bytes == 0)
			continue;
		buf_str(&s->b, "signet_model_memory_bytes{");
		put_version_labels(s, v->model, v->number);
		buf_printf(&s->b, "} %zu\n", v->memory_bytes);
	}
}

static int64_t queued_rows(const struct version *v)
{
	int64_t sum = 0, rows;
	size_t bytes;
	for (int i = 0; i < v->n_sig; i++)
		if (v->sig[i].queue) {
			batcher_load(v->sig[i].queue, &rows, &bytes);
			sum += rows;
		}
	return sum;
}

static void emit_queue(struct scrape *s)
{
	for (int i = 0; i < s->n_version; i++) {
		const struct version_status *st = &s->version[i];
		struct version_spec spec = { .pick = VERSION_PICK_NUMBER, .number = st->number };
		struct version *v;
		if (st->state != VERSION_READY ||
			registry_acquire(s->http->registry, slice_of(st->model), &spec, &v, NULL) !=
				ERR_OK)
			continue;
		buf_str(&s->b, "signet_queue_rows{");
		put_version_labels(s, st->model, st->number);
		buf_printf(&s->b, "} %lld\n", (long long)queued_rows(v));
		version_release(v);
	}
}

static uint64_t answered(struct http *h, int route, int class)
{
	uint64_t n = 0;
	for (int i = 0; i < h->n_io; i++)
		n += atomic_load(&h->io[i].answered[route][class]);
	return n;
}

static void emit_responses(struct scrape *s)
{
	for (int r = 0; r <= ROUTE_COUNT_; r++)
		for (int class = 0; class < STATUS_CLASSES; class++) {
			uint64_t n = answered(s->http, r, class);
			if (n == 0)
				continue;
			const char *route =
				r < ROUTE_COUNT_ ? route_at((enum route_id)r)->pattern : "none";
			buf_str(&s->b, "signet_http_responses_total{");
			put_label(s, "route", route);
			buf_printf(&s->b, ",status=\"%dxx\"} %llu\n", class, (unsigned long long)n);
		}
}

static void put_refusals(struct scrape *s, const char *family, const char *const *names,
	const uint64_t *n, int count)
{
	for (int i = 0; i < count; i++)
		buf_printf(&s->b, "%s_total{reason=\"%s\"} %llu\n", family, names[i],
			(unsigned long long)n[i]);
}

static void emit_refused(struct scrape *s)
{
	static const char *const names[] = {
#define X(id, name) name,
		REFUSALS(X)
#undef X
	};
	uint64_t n[REFUSAL_COUNT_];
	for (int i = 0; i < REFUSAL_COUNT_; i++)
		n[i] = atomic_load(&s->http->refused[i]);
	if (s->http->relay) {
		struct relay_counts relay = relay_counts(s->http->relay);
		n[REFUSAL_TLS] = relay.failed;
		n[REFUSAL_DESCRIPTORS] += relay.shed;
	}
	put_refusals(s, "signet_http_refused", names, n, REFUSAL_COUNT_);
}

static struct rpc_reading read_rpc(const struct scrape *s)
{
	struct rpc_reading r = { 0 };
	if (s->http->conf.rpc)
		rpc_read(s->http->conf.rpc, &r);
	return r;
}

static void emit_rpc_refused(struct scrape *s)
{
	static const char *const names[] = {
#define X(id, name) name,
		RPC_REFUSALS(X)
#undef X
	};
	put_refusals(s, "signet_grpc_refused", names, read_rpc(s).refused, RPC_REFUSAL_COUNT_);
}

static void emit_build(struct scrape *s)
{
	buf_str(&s->b, "signet_build_info{version=\"" PACKAGE_VERSION "\"} 1\n");
}

/* --- devices --- */

struct per_device {
	struct scrape *scrape;
	const char *name;
	double (*get)(const struct backend *b, const struct device_gauges *g);
};

static void put_device(void *ctx, const char *device, const struct backend *b)
{
	const struct per_device *p = ctx;
	struct device_gauges g;
	b->device->gauges(b, &g);
	double v = p->get(b, &g);
	if (v < 0)
		return;
	buf_printf(&p->scrape->b, "%s{device=\"%s\",name=\"%s\",uuid=\"%s\"} ", p->name, device,
		g.name, g.uuid);
	put_value(p->scrape, v);
}

/* --- the table --- */

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

/* Each row's expression as a function of its line. */
#define VALUE(type, name, help, value) \
	static double JOIN(get_, __LINE__)(struct scrape *s) { (void)s; return (double)(value); }
#define PER_VERSION(type, name, help, value) \
	static double JOIN(get_, __LINE__)(const struct stats *s) { return value; }
#define HISTOGRAM(name, help, field, scale) \
	static const struct hist_reading *JOIN(hist_, __LINE__)(const struct stats *s) \
	{ return &s->field; }
#define PER_DEVICE(name, help, value) \
	static double JOIN(get_, __LINE__)(const struct backend *b, const struct device_gauges *g) \
	{ (void)b; (void)g; return (double)(value); }
#define FAMILY(type, name, help, emit)
#include "server/http/metrics.def"
#undef VALUE
#undef PER_VERSION
#undef HISTOGRAM
#undef PER_DEVICE
#undef FAMILY

static void scrape_all(struct scrape *s)
{
#define VALUE(type, name, help, value) \
	begin_family(s, type, name, help); \
	put_single(s, name, suffix_of(type), JOIN(get_, __LINE__)(s));
#define PER_VERSION(type, name, help, value) \
	begin_family(s, type, name, help); \
	stats_walk(put_scalar, \
		&(struct per_version){ s, name, suffix_of(type), JOIN(get_, __LINE__), NULL, 0 });
#define HISTOGRAM(name, help, field, scale) \
	put_header(s, name, "histogram", "", help); \
	stats_walk(put_histogram, \
		&(struct per_version){ s, name, "", NULL, JOIN(hist_, __LINE__), scale });
#define PER_DEVICE(name, help, value) \
	begin_family(s, GAUGE, name, help); \
	backend_each_device(put_device, &(struct per_device){ s, name, JOIN(get_, __LINE__) });
#define FAMILY(type, name, help, emit) \
	begin_family(s, type, name, help); \
	emit(s);
#include "server/http/metrics.def"
#undef VALUE
#undef PER_VERSION
#undef HISTOGRAM
#undef PER_DEVICE
#undef FAMILY
	if (s->openmetrics)
		buf_str(&s->b, "# EOF\n");
}

enum err_code metrics_scrape(struct call *c, struct err *err)
{
	struct version_status *list;
	struct scrape s = {
		.http = c->http, .b = buf_of(c->arena, 0), .openmetrics = c->head.wants_openmetrics
	};
	enum err_code rc =
		registry_list(c->http->registry, NULL, c->arena, &list, &s.n_version, err);
	if (rc != ERR_OK)
		return rc;
	s.version = list;
	scrape_all(&s);
	rc = call_reply_json(c, &s.b, err);
	c->reply.type = s.openmetrics ?
				"application/openmetrics-text; version=1.0.0; charset=utf-8" :
				"text/plain; version=0.0.4; charset=utf-8";
	return rc;
}
