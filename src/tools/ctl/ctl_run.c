/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl_run.c -- signetctl run: a model on files, without a server, and how long it takes
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/huge.h"
#include "base/lent.h"
#include "tools/ctl/ctl.h"
#include "tools/model_inputs.h"
#include "tools/ctl/offline.h"
#include "tools/progress.h"
#include "tools/ctl/run_profile.h"
#include "tools/ctl/tensor_file.h"

/* How many elements of an output are printed when it goes to no file. */
#define PRINT_MAX 32

struct run_opts_given {
	struct args_list input, output, shape;
	int64_t repeat, threads, batch;
	const char *precision, *device;
	bool json, profile;
};

struct timing {
	int64_t *ns; /* of each run after the first, sorted */
	int64_t n, first_ns;
};

static enum err_code read_file(const struct model_io *io, const char *file, struct arena *arena,
	struct tensor *ret, struct err *err)
{
	return tensor_file_read(file, &io->type, arena, ret, err);
}

static int compare_ns(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

static enum err_code run_repeatedly(struct offline *o, int64_t repeat, const struct tensor *in,
	struct tensor *out, struct timing *t, struct run_profile *profile, struct err *err)
{
	/* Results that depend on data would pile up in the arena of the outputs. */
	struct arena *scratch = arena_new(1 << 20, 0);
	struct progress progress;
	progress_begin(&progress);
	enum err_code rc = scratch ? ERR_OK : err_oom(err);
	for (int64_t i = 0; rc == ERR_OK && i < repeat; i++) {
		struct arena *arena = i == 0 ? o->arena : scratch;
		arena_reset(scratch, SIZE_MAX);
		int64_t begin = clock_now_ns();
		rc = offline_run(o, in, arena, out, err);
		int64_t took = clock_now_ns() - begin;
		run_profile_ran(profile);
		if (i == 0) {
			t->first_ns = took;
			if (repeat > 1) {
				run_profile_restart(profile);
				lent_settle();
				huge_collapse(); /* as a daemon does when a version is there */
			}
		} else {
			t->ns[t->n++] = took;
		}
		progress_show(&progress, "run %" PRId64 " of %" PRId64, i + 1, repeat);
	}
	progress_end(&progress);
	arena_free(scratch);
	qsort(t->ns, (size_t)t->n, sizeof(*t->ns), compare_ns);
	return rc;
}

/* Of this program alone: getrusage() counts what ran in the process before exec() too. */
static long peak_rss_bytes(void)
{
	long kib = 0;
	char line[128];
	FILE *f = fopen("/proc/self/status", "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmHWM: %ld", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib * 1024;
}

static void print_timing(const struct offline *o, const struct timing *t, bool json)
{
	/* One run alone is the first, the median and the least. */
	double first = (double)t->first_ns / 1e3;
	double median = t->n ? (double)t->ns[t->n / 2] / 1e3 : first;
	double min = t->n ? (double)t->ns[0] / 1e3 : first;
	printf(json ? "{\"load_ms\":%.3f,\"first_us\":%.1f,\"median_us\":%.1f,\"min_us\":%.1f,"
		      "\"peak_rss_bytes\":%ld}\n"
		    : "load %.1f ms, first run %.1f us, median %.1f us, least %.1f us, peak memory "
		      "%ld bytes\n",
		(double)o->load_ns / 1e6, first, median, min, peak_rss_bytes());
}

static enum err_code print_tensor(const char *name, const struct tensor *t, struct arena *arena,
	struct err *err)
{
	struct buf b = buf_of(arena, 0);
	struct slice text;
	values_print_nested(&b, t, PRINT_MAX);
	TRY(buf_finish(&b, &text, err));
	printf("%s: %s%s = %s\n", name, dtype_name(t->dtype), SHAPE_TEXT(&t->shape), text.ptr);
	return ERR_OK;
}

/* A tensor of a sequence, or a map of one. */
static enum err_code print_item(
	const char *name, const struct tensor *t, struct arena *arena, struct err *err)
{
	const struct tensor *pair = t->data;
	if (t->dtype != DTYPE_TENSOR)
		return print_tensor(name, t, arena, err);
	const char *keys = arena_printf(arena, "%s keys", name),
		   *values = arena_printf(arena, "%s values", name);
	if (!keys || !values)
		return err_oom(err);
	TRY(print_tensor(keys, &pair[0], arena, err));
	return print_tensor(values, &pair[1], arena, err);
}

static enum err_code print_value(const char *name, const struct tensor *t, struct arena *arena,
	struct err *err)
{
	if (tensor_is_absent(t))
		printf("%s: absent\n", name);
	else if (t->dtype != DTYPE_TENSOR)
		return print_tensor(name, t, arena, err);
	else
		printf("%s: a sequence of %" PRId64 "\n", name, tensor_count(t));
	for (int64_t i = 0; t->dtype == DTYPE_TENSOR && i < tensor_count(t); i++) {
		const char *label = arena_printf(arena, "%s[%" PRId64 "]", name, i);
		TRY(label ? print_item(label, (const struct tensor *)t->data + i, arena, err)
			  : err_oom(err));
	}
	return ERR_OK;
}

static enum err_code write_outputs(const struct offline *o, const struct run_opts_given *given,
	const struct tensor *out, struct err *err)
{
	for (int i = 0; i < o->info.n_out; i++) {
		const char *name = o->info.out[i].name, *file = args_value(&given->output, name);
		if (file) {
			TRY(tensor_file_write(file, name, &o->info.out[i].type, &out[i], err));
		} else if (!given->json && given->output.n == 0) {
			TRY(print_value(name, &out[i], o->arena, err));
		}
	}
	return ERR_OK;
}

static enum err_code run_model(
	struct offline *o, const struct run_opts_given *given, struct err *err)
{
	struct model_inputs_conf conf = { &given->input, &given->shape, given->batch, read_file };
	struct tensor *in = ARENA_ARRAY(o->arena, struct tensor, (size_t)o->info.n_in + 1);
	struct tensor *out = ARENA_ARRAY(o->arena, struct tensor, (size_t)o->info.n_out + 1);
	struct timing timing = { .ns = ARENA_ARRAY(o->arena, int64_t, (size_t)given->repeat) };
	struct rng rng = { 1 };
	struct run_profile profile;
	run_profile_init(&profile, o->arena);
	o->profile = given->profile ? &profile.profile : NULL;
	if (!in || !out || !timing.ns)
		return err_oom(err);
	enum err_code rc = model_inputs_check(&o->info, &conf, err);
	if (rc == ERR_OK)
		rc = model_inputs_check_names(
			o->info.out, o->info.n_out, &given->output, "--output", err);
	if (rc == ERR_OK)
		rc = model_inputs_make(&o->info, &conf, &rng, o->arena, in, err);
	if (rc == ERR_OK)
		rc = run_repeatedly(o, given->repeat, in, out, &timing, &profile, err);
	if (rc == ERR_OK)
		rc = write_outputs(o, given, out, err);
	if (rc == ERR_OK && (given->json || given->repeat > 1))
		print_timing(o, &timing, given->json);
	if (rc == ERR_OK && given->profile)
		rc = run_profile_print(
			&profile, given->repeat > 1 ? given->repeat - 1 : 1, stdout, err);
	return rc;
}

enum err_code ctl_run(struct ctl *c, struct err *err)
{
	struct run_opts_given given = { .repeat = 1, .batch = 1 };
	const struct args_option options[] = {
		{ "input", ARGS_LIST, &given.input, "NAME=FILE",
			"an input, .npy or .pb; others are made up" },
		{ "output", ARGS_LIST, &given.output, "NAME=FILE",
			"where an output goes, .npy or .pb" },
		{ "shape", ARGS_LIST, &given.shape, "NAME=2,3",
			"shape of an input that is made up" },
		{ "batch", ARGS_COUNT, &given.batch, "N",
			"its leading dimension, where it varies (default 1)" },
		{ "repeat", ARGS_COUNT, &given.repeat, "N",
			"run it N times and say how long it took" },
		{ "threads", ARGS_COUNT, &given.threads, "N", "threads to use; default: all" },
		{ "precision", ARGS_TEXT, &given.precision, "P",
			"fast, exact, bf16, tf32 or fp16: how results may be rounded" },
		{ "device", ARGS_TEXT, &given.device, "D", "cpu (default), gpu or gpu:N" },
		{ "profile", ARGS_FLAG, &given.profile, NULL,
			"say how long each step took, the first of several runs aside" },
		{ "json", ARGS_FLAG, &given.json, NULL, "print the times as one JSON object" },
		CTL_LIBRARIES(c),
		{ 0 },
	};
	enum err_code rc = ctl_options(c, options, 1, 1, err);
	if (rc != ERR_OK)
		return rc;
	if (given.repeat < 1 || given.repeat > 1000000000 || given.threads > 1024)
		return err_set(
			err, ERR_INVALID_ARGUMENT, "--repeat is 1 to 10^9, --threads at most 1024");
	struct offline o = { 0 };
	struct offline_conf conf = { .threads = (int)given.threads, .device = given.device,
		.forget = true };
	rc = args_precision(given.precision, &conf.precision, err);
	if (rc == ERR_OK)
		rc = offline_open(c->argv[1], &conf, &o, err);
	if (rc == ERR_OK)
		rc = run_model(&o, &given, err);
	offline_close(&o);
	return rc;
}
