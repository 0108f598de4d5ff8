/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bench/bench.h"

#include <inttypes.h>

/* An open loop whose sender is late measures itself. Late: the 99th percentile of its lag
   is above a tenth of the latency's, and is something that a clock can see. */
#define LAG_SHARE 0.1
#define LAG_FLOOR_NS 200000
/* Fewer than this share of what was asked for: the server did not keep up. */
#define RATE_SHARE 0.98

static const struct percentile {
	const char *name, *key;
	double percent;
} percentiles[] = {
	{ "p50", "p50_us", 50 },
	{ "p90", "p90_us", 90 },
	{ "p99", "p99_us", 99 },
	{ "p99.9", "p999_us", 99.9 },
	{ "max", "max_us", 100 },
};

#define PERCENTILE_COUNT (sizeof(percentiles) / sizeof(percentiles[0]))

/* Answers per second, over the time that was asked for or that it took, if that was longer. */
static double answer_rate(const struct bench_opts *opts, const struct load_result *r)
{
	double took = (double)r->elapsed_ns / 1e9;
	return (double)r->latency.n / (took > opts->duration_s ? took : opts->duration_s);
}

const char *bench_invalid(const struct bench_opts *opts, const struct load_result *r, char *buf,
	size_t size)
{
	if (opts->rate == 0)
		return NULL;
	double lag = (double)hist_log_percentile(&r->lag, 99);
	double latency = (double)hist_log_percentile(&r->latency, 99);
	if (lag > LAG_FLOOR_NS && lag > LAG_SHARE * latency)
		snprintf(buf, size,
			"the generator was late: p99 of its lag is %.0f us, of the latency %.0f us",
			lag / 1e3, latency / 1e3);
	else if (answer_rate(opts, r) < RATE_SHARE * opts->rate)
		snprintf(buf, size, "the server did not keep up: %.0f of %.0f answers/s",
			answer_rate(opts, r), opts->rate);
	else
		return NULL;
	return buf;
}

static void print_histogram(FILE *to, const char *name, const struct hist_log *h)
{
	fprintf(to, "%-8s", name);
	for (size_t i = 0; i < PERCENTILE_COUNT; i++)
		fprintf(to, "  %s %.0f", percentiles[i].name,
			(double)hist_log_percentile(h, percentiles[i].percent) / 1e3);
	fprintf(to, "  mean %.0f us\n", hist_log_mean(h) / 1e3);
}

static void print_errors(FILE *to, const struct load_result *r)
{
	fprintf(to, "errors    %" PRIu64, load_errors(r));
	const char *sep = ": ";
	for (int s = 0; s < LOAD_STATUS_MAX; s++) {
		if (s != r->ok_status && r->by_status[s]) {
			fprintf(to, "%sstatus %d %" PRIu64, sep, s, r->by_status[s]);
			sep = ", ";
		}
	}
	for (int f = 0; f < LOAD_FAILURE_COUNT_; f++) {
		if (r->failure[f]) {
			fprintf(to, "%s%s %" PRIu64, sep, load_failure_text(f), r->failure[f]);
			sep = ", ";
		}
	}
	fputc('\n', to);
}

void bench_report_text(FILE *to, const struct bench_opts *opts, const struct load_result *r,
	const struct bench_check *check)
{
	char why[200];
	fprintf(to, "rate      %.1f answers/s", answer_rate(opts, r));
	if (opts->rate > 0)
		fprintf(to, ", asked for %.1f (%s arrivals)", opts->rate,
			opts->poisson ? "Poisson" : "uniform");
	fprintf(to, "\nsent      %" PRIu64 " on %d connections, %.1f MB out, %.1f MB in\n", r->sent,
		r->connections, (double)r->bytes_out / 1e6, (double)r->bytes_in / 1e6);
	print_histogram(to, "latency", &r->latency);
	if (opts->rate > 0)
		print_histogram(to, "lag", &r->lag);
	print_errors(to, r);
	for (int i = 0; i < check->n_ref; i++)
		fprintf(to, "equal     %" PRIu64 " to %s\n", check->ref[i].equal,
			opts->check.item[i]);
	if (r->failure[LOAD_WRONG])
		fprintf(to, "wrong     %" PRIu64 ", the first: %s\n", r->failure[LOAD_WRONG],
			check->first_bad.msg);
	if (bench_invalid(opts, r, why, sizeof(why)))
		fprintf(to, "INVALID   %s\n", why);
}

/* "p50_us":..., ..., "mean_us":... */
static void json_histogram(FILE *to, const struct hist_log *h)
{
	for (size_t i = 0; i < PERCENTILE_COUNT; i++)
		fprintf(to, "\"%s\":%.3f,", percentiles[i].key,
			(double)hist_log_percentile(h, percentiles[i].percent) / 1e3);
	fprintf(to, "\"mean_us\":%.3f", hist_log_mean(h) / 1e3);
}

/* No string in here comes from outside but the reasons, which are ours: no escaping. */
void bench_report_json(FILE *to, const struct bench_opts *opts, const struct load_result *r,
	const struct bench_check *check)
{
	char why[200];
	const char *invalid = bench_invalid(opts, r, why, sizeof(why));
	fprintf(to, "{\"protocol\":\"%s\",\"rate\":%.3f,\"rate_asked\":%.3f,\"seed\":%" PRIu64,
		opts->protocol->name, answer_rate(opts, r), opts->rate, opts->seed);
	fprintf(to,
		",\"requests\":%" PRIu64 ",\"answers\":%" PRIu64 ",\"errors\":%" PRIu64
		",\"connections\":%d,",
		r->sent, r->latency.n, load_errors(r), r->connections);
	json_histogram(to, &r->latency);
	fputs(",\"lag\":{", to);
	json_histogram(to, &r->lag);
	fputs("},\"by_status\":{", to);
	const char *sep = "";
	for (int s = 0; s < LOAD_STATUS_MAX; s++) {
		if (r->by_status[s]) {
			fprintf(to, "%s\"%d\":%" PRIu64, sep, s, r->by_status[s]);
			sep = ",";
		}
	}
	fputs("},\"failures\":{", to);
	for (int f = 0; f < LOAD_FAILURE_COUNT_; f++)
		fprintf(to, "%s\"%s\":%" PRIu64, f ? "," : "", load_failure_text(f), r->failure[f]);
	fprintf(to, "},\"check\":{\"none\":%" PRIu64 ",\"equal\":[", r->failure[LOAD_WRONG]);
	for (int i = 0; i < check->n_ref; i++)
		fprintf(to, "%s%" PRIu64, i ? "," : "", check->ref[i].equal);
	fprintf(to, "]},\"valid\":%s%s%s%s}\n", invalid ? "false" : "true",
		invalid ? ",\"why\":\"" : "", invalid ? invalid : "", invalid ? "\"" : "");
}
