/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_main.c -- signet-bench, the load generator: command line, requests, one run
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tools/bench.h"
#include "tools/load_http.h"
#include "tools/model_inputs.h"
#include "tools/npy.h"
#include "tools/progress.h"

/* How many different requests are made when the inputs are made up. */
#define SAMPLES 16
#define CONNECTIONS_MAX 100000

static enum err_code parse_options(int argc, char **argv, struct bench_opts *o, struct err *err)
{
	const char *protocol = "v2-binary", *arrivals = "poisson";
	int64_t concurrency = 0, seed = 1;
	bool help = false;
	const struct args_option options[] = {
		{ "url", ARGS_TEXT, &o->url, "URL", "server, http://HOST:PORT or unix:PATH" },
		{ "protocol", ARGS_TEXT, &protocol, "P", "v1, v2 or v2-binary (default)" },
		{ "model", ARGS_TEXT, &o->model, "M", "which model" },
		{ "model-version", ARGS_TEXT, &o->version, "N", "which version; default: the server's choice" },
		{ "concurrency", ARGS_COUNT, &concurrency, "N", "closed loop: N connections, each sends when it has its answer (default 1)" },
		{ "rate", ARGS_POSITIVE, &o->rate, "R", "open loop: R requests a second, whatever the answers do" },
		{ "arrivals", ARGS_TEXT, &arrivals, "A", "of --rate: poisson (default) or uniform" },
		{ "duration", ARGS_POSITIVE, &o->duration_s, "S", "seconds (default 10)" },
		{ "timeout", ARGS_POSITIVE, &o->timeout_s, "S", "a request has failed after this many seconds (default 10)" },
		{ "connections", ARGS_COUNT, &o->connections_max, "N", "of --rate: at most N connections (default 1000)" },
		{ "batch", ARGS_COUNT, &o->batch, "N", "rows in a request, where inputs are made up (default 1)" },
		{ "input", ARGS_LIST, &o->input, "NAME=FILE.npy", "an input; others are made up" },
		{ "shape", ARGS_LIST, &o->shape, "NAME=2,3", "shape of an input that is made up" },
		{ "seed", ARGS_COUNT, &seed, "N", "of arrivals and made up inputs (default 1)" },
		{ "check", ARGS_LIST, &o->check, "[OUTPUT=]FILE.npy", "an answer must equal one of these references; counts which" },
		{ "rtol", ARGS_POSITIVE, &o->rtol, "X", "of --check (default 0)" },
		{ "atol", ARGS_POSITIVE, &o->atol, "X", "of --check (default 1e-5)" },
		{ "json", ARGS_FLAG, &o->json, NULL, "print one JSON object" },
		{ "help", ARGS_FLAG, &help, NULL, "this" },
		{ 0 },
	};
	enum err_code rc = args_parse(argc, argv, options, &argc, err);
	if (rc != ERR_OK)
		return rc;
	if (help) {
		fputs("usage: signet-bench --url URL --model M [OPTION]...\n"
		      "Puts load on a model and prints latency percentiles in microseconds.\n\n", stdout);
		args_help(stdout, options);
		fputs("\nExit status: 0; 1 when a request failed or an answer was wrong; 2 on wrong usage;\n"
		      "3 when an open loop's figures do not count (the report says why).\n", stdout);
		exit(EXIT_SUCCESS);
	}
	o->concurrency = (int)concurrency;
	o->seed = (uint64_t)seed;
	o->protocol = protocol_find(protocol);
	o->poisson = strcmp(arrivals, "poisson") == 0;
	if (argc > 1)
		return err_set(err, ERR_INVALID_ARGUMENT, "'%s' is no option", argv[1]);
	if (!o->url || !o->model)
		return err_set(err, ERR_INVALID_ARGUMENT, "--url and --model are needed");
	if (!o->protocol)
		return err_set(err, ERR_INVALID_ARGUMENT, "--protocol '%s': expected one of %s", protocol,
			protocol_names());
	if (!o->poisson && strcmp(arrivals, "uniform") != 0)
		return err_set(err, ERR_INVALID_ARGUMENT, "--arrivals '%s': expected poisson or uniform", arrivals);
	if (o->rate > 0 && concurrency > 0)
		return err_set(err, ERR_INVALID_ARGUMENT, "--rate is an open loop, --concurrency a closed one: give one");
	if (concurrency > CONNECTIONS_MAX || o->connections_max < 1 || o->connections_max > CONNECTIONS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT, "--concurrency and --connections: 1 to %d", CONNECTIONS_MAX);
	if (o->rate == 0 && concurrency == 0)
		o->concurrency = 1;
	return ERR_OK;
}

static enum err_code npy_input(const struct model_io *io, const char *path, struct arena *arena,
	struct tensor *ret, struct err *err)
{
	(void)io;
	return npy_read(path, arena, ret, err);
}

static enum err_code make_requests(const struct bench_opts *o, const struct model_info *m,
	const struct http_url *url, struct arena *arena, struct slice *ret, int *ret_n, struct err *err)
{
	struct model_inputs_conf conf = { &o->input, &o->shape, o->batch, npy_input };
	enum err_code rc = model_inputs_check(m, &conf, err);
	if (rc != ERR_OK)
		return rc;
	struct rng rng = { o->seed };
	struct tensor *in = ARENA_ARRAY(arena, struct tensor, (size_t)m->n_in + 1);
	/* With all inputs from files every request would be the same. */
	int n = o->input.n < m->n_in ? SAMPLES : 1;
	for (int i = 0; i < n; i++) {
		struct http_request q;
		rc = in ? model_inputs_make(m, &conf, &rng, arena, in, err) : err_oom(err);
		if (rc == ERR_OK)
			rc = protocol_request(o->protocol, m, in, arena, &q, err);
		if (rc == ERR_OK)
			rc = http_request_format(url, &q, arena, &ret[i], err);
		if (rc != ERR_OK)
			return rc;
	}
	*ret_n = n;
	return ERR_OK;
}

struct run {
	struct bench_check check;
	struct progress progress;
};

static bool on_answer(void *ctx, struct slice body, size_t json_bytes)
{
	struct run *run = ctx;
	return bench_check_answer(&run->check, body, json_bytes);
}

static void on_second(void *ctx, double elapsed_s, const struct load_result *r)
{
	struct run *run = ctx;
	progress_show(&run->progress, "%.0f s: %.0f answers/s, p50 %.0f us, p99 %.0f us, %lu errors", elapsed_s,
		(double)r->latency.n / elapsed_s, (double)hist_log_percentile(&r->latency, 50) / 1e3,
		(double)hist_log_percentile(&r->latency, 99) / 1e3, (unsigned long)load_errors(r));
}

static enum err_code run(const struct bench_opts *o, struct arena *arena, struct run *run,
	struct load_result *result, struct err *err)
{
	struct http_url url;
	struct model_info model;
	struct slice request[SAMPLES];
	struct load_conf conf = {
		.wire = &load_http,
		.server = &url,
		.request = request,
		.seed = o->seed,
		.concurrency = o->concurrency,
		.connections_max = (int)o->connections_max,
		.duration_ns = (int64_t)(o->duration_s * 1e9),
		.timeout_ns = (int64_t)(o->timeout_s * 1e9),
		.on_answer = o->check.n ? on_answer : NULL,
		.on_second = on_second,
		.ctx = run,
	};
	enum err_code rc = http_url_parse(o->url, &url, err);
	if (rc == ERR_OK)
		rc = model_info_fetch(&url, o->model, o->version, arena, &model, err);
	if (rc == ERR_OK)
		rc = make_requests(o, &model, &url, arena, request, &conf.n_request, err);
	if (rc == ERR_OK)
		rc = bench_check_init(&run->check, o, &model, arena, err);
	if (rc == ERR_OK && o->rate > 0)
		rc = load_schedule(o->rate, o->poisson, conf.duration_ns, o->seed, arena, &conf.schedule,
			&conf.n_schedule, err);
	if (rc != ERR_OK)
		return rc;
	progress_begin(&run->progress);
	rc = load_run(&conf, result, err);
	progress_end(&run->progress);
	return rc;
}

int main(int argc, char **argv)
{
	struct bench_opts o = {
		.duration_s = 10,
		.timeout_s = 10,
		.batch = 1,
		.connections_max = 1000,
		.atol = 1e-5,
	};
	struct err err = { 0 };
	if (parse_options(argc, argv, &o, &err) != ERR_OK) {
		fprintf(stderr, "signet-bench: %s; see --help\n", err.msg);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	struct arena *arena = arena_new(1 << 20, 0);
	struct load_result *result = calloc(1, sizeof(*result));
	struct run *state = calloc(1, sizeof(*state));
	int status = 1;
	if (!arena || !result || !state) {
		fputs("signet-bench: out of memory\n", stderr);
		goto out;
	}
	if (run(&o, arena, state, result, &err) != ERR_OK) {
		fprintf(stderr, "signet-bench: %s\n", err.msg);
		goto out;
	}
	(o.json ? bench_report_json : bench_report_text)(stdout, &o, result, &state->check);
	char why[200];
	status = load_errors(result) ? 1 : bench_invalid(&o, result, why, sizeof(why)) ? 3 : 0;
out:
	if (state)
		bench_check_done(&state->check);
	free(state);
	free(result);
	arena_free(arena);
	return status;
}
