/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl_test.c -- signetctl test: ONNX's test cases, folders of a model with inputs and the
 * outputs that it must give
 *
 * DESIGN
 * A case is run in a child process, which reports by a pipe: whatever a case does to the
 * process (crash, spin, eat memory) is that case's failure and no other's.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "tools/ctl/case_data.h"
#include "tools/ctl/ctl.h"
#include "tools/ctl/offline.h"
#include "tools/progress.h"
#include "tools/tool_file.h"
#include "tools/values.h"

/* ONNX's own; a case's data.json may say otherwise. */
#define RTOL_DEFAULT 1e-3
#define ATOL_DEFAULT 1e-7
#define CASE_TIMEOUT_MS 120000
/* Of inputs and outputs of one case: a damaged model may ask for what the machine has not got. */
#define CASE_BYTES_MAX ((size_t)4 << 30)

enum verdict { VERDICT_PASSED, VERDICT_FAILED, VERDICT_SKIPPED, VERDICT_COUNT_ };

struct test_opts {
	double rtol, atol;
	int64_t threads;
	const char *device;
	bool verbose;
};

struct report {
	enum verdict verdict;
	char why[ERR_MSG_MAX];
};

/* -- one case ----------------------------------------------------------------------------- */

static bool file_exists(const char *path)
{
	struct stat st;
	return path && stat(path, &st) == 0;
}

/* data.json: {"rtol": 0.001, "atol": 1e-7, ...} */
static void read_tolerance(const char *dir, struct arena *arena, double *rtol, double *atol)
{
	struct slice text, key;
	const char *path = arena_printf(arena, "%s/data.json", dir);
	if (!file_exists(path) || tool_file_read(path, arena, &text, NULL) != ERR_OK)
		return;
	struct json j;
	struct number n;
	json_init(&j, text, arena, false);
	json_enter_object(&j);
	while (json_member(&j, &key)) {
		double *to = slice_is(key, "rtol") ? rtol : slice_is(key, "atol") ? atol : NULL;
		if (!to)
			json_skip(&j, NULL);
		else if (json_number(&j, &n) && !number_to_f64(&n, to))
			json_fail(&j, "not a tolerance");
	}
}

static enum err_code run_data_set(struct offline *o, const char *set, const struct test_opts *opts,
	struct arena *arena, struct err *err)
{
	struct tensor *in = ARENA_ARRAY(arena, struct tensor, (size_t)o->info.n_in + 1);
	struct tensor *out = ARENA_ARRAY(arena, struct tensor, (size_t)o->info.n_out + 1);
	if (!in || !out)
		return err_oom(err);
	enum err_code rc = ERR_OK;
	for (int i = 0; rc == ERR_OK && i < o->info.n_in; i++)
		rc = case_data_read(set, "input", i,
			&o->model.graph->value[o->model.graph->input[i]].type, arena, &in[i], err);
	if (rc == ERR_OK)
		rc = offline_run(o, in, arena, out, err);
	for (int i = 0; rc == ERR_OK && i < o->info.n_out; i++) {
		struct tensor want;
		rc = case_data_read(set, "output", i,
			&o->model.graph->value[o->model.graph->output[i]].type, arena, &want, err);
		if (rc == ERR_OK)
			rc = case_data_compare(&out[i], &want, opts->rtol, opts->atol, err);
		if (rc != ERR_OK)
			return err_prefix(err, "output %d '%s'", i, o->info.out[i].name);
	}
	return rc;
}

static enum err_code run_case(
	const char *dir, struct test_opts opts, enum verdict *ret, struct err *err)
{
	struct offline o = { 0 };
	struct offline_conf conf = { .threads = (int)opts.threads, .device = opts.device };
	struct arena *arena = arena_new(64 << 10, CASE_BYTES_MAX);
	const char *model = arena ? arena_printf(arena, "%s/model.onnx", dir) : NULL;
	enum err_code rc = model ? offline_open(model, &conf, &o, err) : err_oom(err);
	if (rc == ERR_OK)
		read_tolerance(dir, arena, &opts.rtol, &opts.atol);
	int sets = 0;
	for (; rc == ERR_OK; sets++) {
		const char *set = arena_printf(arena, "%s/test_data_set_%d", dir, sets);
		if (!file_exists(set))
			break;
		rc = run_data_set(&o, set, &opts, arena, err);
		if (rc != ERR_OK)
			err_prefix(err, "data set %d", sets);
	}
	*ret = rc == ERR_OK ? VERDICT_PASSED : VERDICT_FAILED;
	if (rc == ERR_OK && sets == 0) {
		*ret = VERDICT_SKIPPED;
		rc = err_set(err, ERR_NOT_FOUND, "no test_data_set_0");
	}
	offline_close(&o);
	arena_free(arena);
	return rc;
}

/* -- in a child --------------------------------------------------------------------------- */

static void run_in_child(const char *dir, const struct test_opts *opts, int to)
{
	struct err err = { 0 };
	struct report r = { .verdict = VERDICT_FAILED };
	if (run_case(dir, *opts, &r.verdict, &err) != ERR_OK)
		memcpy(r.why, err.msg, sizeof(r.why));
	ssize_t n = write(to, &r, sizeof(r));
	/* exit(), not _exit(): leak checkers report there. */
	exit(n == sizeof(r) ? 0 : 1);
}

static void await_child(pid_t pid, int from, struct report *r)
{
	struct pollfd p = { .fd = from, .events = POLLIN };
	int n;
	do {
		n = poll(&p, 1, CASE_TIMEOUT_MS);
	} while (n < 0 && errno == EINTR);
	bool reported = n > 0 && read(from, r, sizeof(*r)) == sizeof(*r);
	if (n == 0)
		kill(pid, SIGKILL);
	int status = 0;
	waitpid(pid, &status, 0);
	if (reported && status == 0)
		return;
	r->verdict = VERDICT_FAILED;
	if (n == 0)
		snprintf(r->why, sizeof(r->why), "no end after %d s", CASE_TIMEOUT_MS / 1000);
	else if (WIFSIGNALED(status))
		snprintf(r->why, sizeof(r->why), "crashed: %s", strsignal(WTERMSIG(status)));
	else
		snprintf(r->why, sizeof(r->why), "ended with status %d", WEXITSTATUS(status));
}

static void judge(const char *dir, const struct test_opts *opts, struct report *r)
{
	int fd[2];
	*r = (struct report){ .verdict = VERDICT_FAILED };
	if (pipe(fd) != 0) {
		snprintf(r->why, sizeof(r->why), "pipe: %s", strerror(errno));
		return;
	}
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		close(fd[0]);
		run_in_child(dir, opts, fd[1]);
	}
	close(fd[1]);
	if (pid < 0)
		snprintf(r->why, sizeof(r->why), "fork: %s", strerror(errno));
	else
		await_child(pid, fd[0], r);
	close(fd[0]);
}

/* -- all cases ---------------------------------------------------------------------------- */

struct tally {
	int count[VERDICT_COUNT_];
	struct progress progress;
};

static void test_one(const char *dir, const struct test_opts *opts, struct tally *t)
{
	static const char *const word[] = { "ok", "FAIL", "skip" };
	struct report r;
	judge(dir, opts, &r);
	t->count[r.verdict]++;
	if (r.verdict != VERDICT_PASSED || opts->verbose) {
		progress_end(&t->progress);
		printf("%s %s%s%s\n", word[r.verdict], dir, r.why[0] ? ": " : "", r.why);
	}
	progress_show(&t->progress, "%d passed, %d failed so far: %s", t->count[VERDICT_PASSED],
		t->count[VERDICT_FAILED], dir);
}

/* A folder of cases stands for all of them. */
static enum err_code test_folder(const char *dir, const struct test_opts *opts, struct tally *t,
	struct arena *arena, struct err *err)
{
	struct dirent **entry;
	int n = scandir(dir, &entry, NULL, alphasort);
	if (n < 0)
		return err_set(err, ERR_NOT_FOUND, "%s: %s", dir, strerror(errno));
	int found = 0;
	for (int i = 0; i < n; i++) {
		const char *child = arena_printf(arena, "%s/%s", dir, entry[i]->d_name);
		if (child && entry[i]->d_name[0] != '.' &&
			file_exists(arena_printf(arena, "%s/model.onnx", child))) {
			test_one(child, opts, t);
			found++;
		}
		free(entry[i]);
	}
	free(entry);
	return found ? ERR_OK
		     : err_set(err, ERR_NOT_FOUND, "%s: neither a case nor a folder of cases", dir);
}

enum err_code ctl_test(struct ctl *c, struct err *err)
{
	struct test_opts opts = { .rtol = RTOL_DEFAULT, .atol = ATOL_DEFAULT, .threads = 1 };
	const struct args_option options[] = {
		{ "rtol", ARGS_POSITIVE, &opts.rtol, "X", "relative tolerance (default 1e-3)" },
		{ "atol", ARGS_POSITIVE, &opts.atol, "X", "absolute tolerance (default 1e-7)" },
		{ "threads", ARGS_COUNT, &opts.threads, "N", "threads of a case (default 1)" },
		{ "device", ARGS_TEXT, &opts.device, "D", "cpu (default), gpu or gpu:N" },
		{ "verbose", ARGS_FLAG, &opts.verbose, NULL, "a line for cases that pass, too" },
		CTL_LIBRARIES(c),
		{ 0 },
	};
	enum err_code rc = ctl_options(c, options, 1, INT32_MAX, err);
	if (rc != ERR_OK)
		return rc;
	struct tally t = { 0 };
	progress_begin(&t.progress);
	for (int i = 1; rc == ERR_OK && i < c->argc; i++) {
		if (file_exists(arena_printf(c->arena, "%s/model.onnx", c->argv[i])))
			test_one(c->argv[i], &opts, &t);
		else
			rc = test_folder(c->argv[i], &opts, &t, c->arena, err);
	}
	progress_end(&t.progress);
	printf("%d passed, %d failed, %d skipped\n", t.count[VERDICT_PASSED],
		t.count[VERDICT_FAILED], t.count[VERDICT_SKIPPED]);
	if (rc == ERR_OK && t.count[VERDICT_FAILED])
		rc = err_set(
			err, ERR_FAILED_PRECONDITION, "%d cases failed", t.count[VERDICT_FAILED]);
	return rc;
}
