/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench.h -- signet-bench: what was asked for, and what came of it
 *
 * bench_main.c reads the command line and runs, bench_check.c compares answers with
 * references, bench_report.c prints.
 *
 * Threads: one. Memory: one arena for the run.
 */
#pragma once

#include "tools/args.h"
#include "tools/bench/load.h"
#include "tools/client_tls.h"
#include "tools/protocol.h"

#define BENCH_CHECKS_MAX 16

struct bench_opts {
	struct client_tls_conf tls;
	const char *url, *model, *version;
	const struct protocol *protocol;
	int concurrency;
	double rate; /* 0: closed loop */
	bool poisson, json;
	double duration_s, timeout_s;
	int64_t batch, connections_max;
	uint64_t seed;
	double rtol, atol;
	struct args_list input, shape, check;
};

/* Answers against references, each one version's: an answer must equal one of them in all
   outputs that the reference names. */
struct bench_check {
	const struct bench_opts *opts;
	const struct model_info *model;
	struct {
		int output;
		struct tensor want;
		uint64_t equal;
	} ref[BENCH_CHECKS_MAX];
	int n_ref;
	struct arena *arena;  /* of one answer */
	struct tensor *out;   /* model->n_out */
	struct err first_bad; /* why the first wrong answer was wrong */
};

/* Reads the files of --check. References live in the arena. */
MUST_CHECK enum err_code bench_check_init(struct bench_check *c, const struct bench_opts *opts,
	const struct model_info *model, struct arena *arena, struct err *err);
void bench_check_done(struct bench_check *c);

/* load_conf.on_answer */
bool bench_check_answer(struct bench_check *c, struct slice body, size_t json_bytes);

/* NULL: the run is valid; else in words why its figures do not count, in buf. */
const char *bench_invalid(const struct bench_opts *opts, const struct load_result *r, char *buf,
	size_t size);

void bench_report_text(FILE *to, const struct bench_opts *opts, const struct load_result *r,
	const struct bench_check *check);
void bench_report_json(FILE *to, const struct bench_opts *opts, const struct load_result *r,
	const struct bench_check *check);
