/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_main.c -- signet-bench, the load generator: command line, requests, one run
 */
#include <config.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tools/bench/bench.h"
#include "tools/http_client.h"
#include "tools/bench/load_http.h"
#include "tools/bench/load_rpc.h"
#include "tools/model_inputs.h"
#include "tools/npy.h"
#include "tools/progress.h"
#include "tools/protocol_rpc.h"
#include "tools/bench/rpc_client.h"

/* How many different requests are made when the inputs are made up. */
#define SAMPLES 16
#define CONNECTIONS_MAX 100000
#define ASK_NS (60 * NS_PER_S)

static void print_help(const struct args_option *options)
{
	fputs("usage: signet-bench --url URL --model M [OPTION]...\n"
	      "Puts load on a model and prints latency percentiles in microseconds.\n\n", stdout);
	args_help(stdout, options);
	fputs("\n"
	      "Exit status: 0; 1 when a request failed or an answer was wrong; 2 on wrong usage;\n"
	      "3 when an open loop's figures do not count (the report says why).\n", stdout);
	exit(EXIT_SUCCESS);
}

/* Do they make sense together? Fills in a closed loop of one when no loop was asked for. */
static enum err_code check_options(struct bench_opts *o, const char *protocol, const char *arrivals,
	int64_t concurrency, struct err *err)
{
	if (!o->url || !o->model)
		return err_set(err, ERR_INVALID_ARGUMENT, "--url and --model are needed");
	if (!o->protocol)
		return err_set(err, ERR_INVALID_ARGUMENT, "--protocol '%s': expected one of %s",
			protocol, protocol_names());
	if (!o->poisson && strcmp(arrivals, "uniform") != 0)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"--arrivals '%s': expected poisson or uniform", arrivals);
	if (o->rate > 0 && concurrency >= 0)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"--rate is an open loop, --concurrency a closed one: give one");
	if (concurrency == 0 || concurrency > CONNECTIONS_MAX || o->connections_max < 1 ||
		o->connections_max > CONNECTIONS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"--concurrency and --connections: 1 to %d", CONNECTIONS_MAX);
	o->concurrency = o->rate > 0 ? 0 : concurrency < 0 ? 1 : (int)concurrency;
	return ERR_OK;
}

static enum err_code parse_options(int argc, char **argv, struct bench_opts *o, struct err *err)
{
	const char *protocol = "v2-binary", *arrivals = "poisson";
	int64_t concurrency = -1, seed = 1;
	bool version = false, help = false;
	const struct args_option options[] = {
		{ "url", ARGS_TEXT, &o->url, "URL",
			"server, http://HOST:PORT or unix:PATH; grpc://HOST:PORT; "
			"over TLS https, grpcs" },
		CLIENT_TLS_OPTIONS(&o->tls),
		{ "protocol", ARGS_TEXT, &protocol, "P",
			"v1, v2, v2-binary (default), grpc-v2 or grpc-tfs" },
		{ "model", ARGS_TEXT, &o->model, "M", "which model" },
		{ "model-version", ARGS_TEXT, &o->version, "N",
			"which version; default: the server's choice" },
		{ "concurrency", ARGS_COUNT, &concurrency, "N",
			"closed loop: N connections, "
			"each sends when it has its answer (default 1)" },
		{ "rate", ARGS_POSITIVE, &o->rate, "R",
			"open loop: R requests a second, whatever the answers do" },
		{ "arrivals", ARGS_TEXT, &arrivals, "A",
			"of --rate: poisson (default) or uniform" },
		{ "duration", ARGS_POSITIVE, &o->duration_s, "S", "seconds (default 10)" },
		{ "timeout", ARGS_POSITIVE, &o->timeout_s, "S",
			"a request has failed after this many seconds (default 10)" },
		{ "connections", ARGS_COUNT, &o->connections_max, "N",
			"of --rate: at most N connections (default 1000)" },
		{ "batch", ARGS_COUNT, &o->batch, "N",
			"rows in a request, where inputs are made up (default 1)" },
		{ "input", ARGS_LIST, &o->input, "NAME=FILE.npy", "an input; others are made up" },
		{ "shape", ARGS_LIST, &o->shape, "NAME=2,3", "shape of an input that is made up" },
		{ "seed", ARGS_COUNT, &seed, "N", "of arrivals and made up inputs (default 1)" },
		{ "check", ARGS_LIST, &o->check, "[OUTPUT=]FILE.npy",
			"an answer must equal one of these references; counts which" },
		{ "rtol", ARGS_POSITIVE, &o->rtol, "X", "of --check (default 0)" },
		{ "atol", ARGS_POSITIVE, &o->atol, "X", "of --check (default 1e-5)" },
		{ "json", ARGS_FLAG, &o->json, NULL, "print one JSON object" },
		{ "version", ARGS_FLAG, &version, NULL, "which one this is" },
		{ "help", ARGS_FLAG, &help, NULL, "this" },
		{ 0 },
	};
	enum err_code rc = args_parse(argc, argv, options, &argc, err);
	if (rc != ERR_OK)
		return rc;
	if (help)
		print_help(options);
	if (version) {
		puts("signet-bench " PACKAGE_VERSION);
		exit(EXIT_SUCCESS);
	}
	o->seed = (uint64_t)seed;
	o->protocol = protocol_find(protocol);
	o->poisson = strcmp(arrivals, "poisson") == 0;
	if (argc > 1)
		return err_set(err, ERR_INVALID_ARGUMENT, "'%s' is no option", argv[1]);
	return check_options(o, protocol, arrivals, concurrency, err);
}

static enum err_code npy_input(const struct model_io *io, const char *path, struct arena *arena,
	struct tensor *ret, struct err *err)
{
	(void)io;
	return npy_read(path, arena, ret, err);
}

/* What the run is about, over either wire. */
struct session {
	const struct load_wire *wire;
	const void *server;
	struct http_url url;
	struct load_rpc_server rpc;
	struct model_info model;
	struct slice request[SAMPLES];
	int n_request;
};

static enum err_code make_request(const struct bench_opts *o, const struct session *s,
	const struct tensor *in, struct arena *arena, struct slice *ret, struct err *err)
{
	struct http_request q;
	size_t json_bytes;
	if (o->protocol->rpc)
		return protocol_body(o->protocol, &s->model, in, arena, &json_bytes, ret, err);
	TRY(protocol_request(o->protocol, &s->model, in, arena, &q, err));
	return http_request_format(&s->url, &q, arena, ret, err);
}

static enum err_code make_requests(
	const struct bench_opts *o, struct session *s, struct arena *arena, struct err *err)
{
	struct model_inputs_conf conf = { &o->input, &o->shape, o->batch, npy_input };
	TRY(model_inputs_check(&s->model, &conf, err));
	struct rng rng = { o->seed };
	struct tensor *in = ARENA_ARRAY(arena, struct tensor, (size_t)s->model.n_in + 1);
	if (!in)
		return err_oom(err);
	/* With all inputs from files every request would be the same. */
	s->n_request = o->input.n < s->model.n_in ? SAMPLES : 1;
	for (int i = 0; i < s->n_request; i++) {
		TRY(model_inputs_make(&s->model, &conf, &rng, arena, in, err));
		TRY(make_request(o, s, in, arena, &s->request[i], err));
	}
	return ERR_OK;
}

static enum err_code ask_http(
	const struct bench_opts *o, struct session *s, struct arena *arena, struct err *err)
{
	s->wire = &load_http;
	s->server = &s->url;
	TRY(http_url_parse(o->url, &s->url, err));
	TRY(http_url_secure(&s->url, &o->tls, err));
	return model_info_fetch(&s->url, o->model, o->version, arena, &s->model, err);
}

static enum err_code fetch_rpc(const struct protocol_rpc *rpc, grpc_channel *channel,
	struct session *s, struct arena *arena, struct err *err)
{
	struct buf b = buf_of(arena, 0);
	struct slice question, answer;
	TRY(rpc->ask(&s->model, &b, err));
	TRY(buf_finish(&b, &question, err));
	TRY(rpc_client_call(channel, rpc->metadata, question, ASK_NS, arena, &answer, err));
	return rpc->told(answer, arena, &s->model, err);
}

static enum err_code ask_rpc(
	const struct bench_opts *o, struct session *s, struct arena *arena, struct err *err)
{
	grpc_channel *channel;
	s->wire = &load_rpc;
	s->rpc = (struct load_rpc_server){ { o->url, &o->tls }, o->protocol->rpc->infer };
	s->server = &s->rpc;
	s->model = (struct model_info){ .name = o->model, .version = o->version, .platform = "",
		.versions = "" };
	grpc_init();
	enum err_code rc = rpc_client_connect(&s->rpc.at, ASK_NS, &channel, err);
	if (rc == ERR_OK) {
		rc = fetch_rpc(o->protocol->rpc, channel, s, arena, err);
		grpc_channel_destroy(channel);
	}
	grpc_shutdown();
	return rc;
}

struct run {
	struct session session;
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
	progress_show(&run->progress,
		"%.0f s: %.0f answers/s, p50 %.0f us, p99 %.0f us, %lu errors", elapsed_s,
		(double)r->latency.n / elapsed_s,
		(double)hist_log_percentile(&r->latency, 50) / 1e3,
		(double)hist_log_percentile(&r->latency, 99) / 1e3, (unsigned long)load_errors(r));
}

static enum err_code run(const struct bench_opts *o, struct arena *arena, struct run *run,
	struct load_result *result, struct err *err)
{
	struct session *s = &run->session;
	TRY((o->protocol->rpc ? ask_rpc : ask_http)(o, s, arena, err));
	TRY(make_requests(o, s, arena, err));
	TRY(bench_check_init(&run->check, o, &s->model, arena, err));
	struct load_conf conf = {
		.wire = s->wire,
		.server = s->server,
		.request = s->request,
		.n_request = s->n_request,
		.seed = o->seed,
		.concurrency = o->concurrency,
		.connections_max = (int)o->connections_max,
		.duration_ns = (int64_t)(o->duration_s * 1e9),
		.timeout_ns = (int64_t)(o->timeout_s * 1e9),
		.on_answer = o->check.n ? on_answer : NULL,
		.on_second = on_second,
		.ctx = run,
	};
	if (o->rate > 0)
		TRY(load_schedule(o->rate, o->poisson, conf.duration_ns, o->seed, arena,
			&conf.schedule, &conf.n_schedule, err));
	progress_begin(&run->progress);
	enum err_code rc = load_run(&conf, result, err);
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
	if (state) {
		bench_check_done(&state->check);
		http_url_done(&state->session.url);
	}
	free(state);
	free(result);
	arena_free(arena);
	return status;
}
