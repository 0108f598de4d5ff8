/* SPDX-License-Identifier: Apache-2.0 */
/* The repository as a whole: real files, threads and inotify; the clock is the machine's. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"
#include "loader/repo/settings.h"
#include "support/onnx_text.h"
#include "support/tempdir.h"

static struct tempdir dir;
static struct arena *arena;
static struct repo *repo;
static struct repo_conf conf;
static const char *roots[2];
static struct err err;
static atomic_int published, drained, unloaded, failed;

static enum err_code on_publish(
	void *ctx, struct version *v, const struct model_conf *mc, struct err *e)
{
	(void)ctx, (void)mc, (void)e;
	v->sig[0].queue = v;
	atomic_fetch_add(&published, 1);
	return ERR_OK;
}

static void on_drain(void *ctx, struct version *v)
{
	(void)ctx;
	ck_assert_ptr_eq(v->sig[0].queue, v);
	atomic_fetch_add(&drained, 1);
}

static void on_unload(void *ctx, struct version *v)
{
	(void)ctx;
	ck_assert_int_eq(atomic_load(&v->refs), 0);
	atomic_fetch_add(&unloaded, 1);
}

static void on_state(void *ctx, const char *model, int64_t number, enum version_state s,
	const struct err *why)
{
	(void)ctx, (void)model, (void)number, (void)why;
	atomic_fetch_add(&failed, s == VERSION_FAILED);
}

static void setup(void)
{
	dir = tempdir_new();
	arena = arena_new(4096, 0);
	roots[0] = dir.path;
	conf = (struct repo_conf){ .roots = roots, .backend = &cpu_backend, .threads = 1,
		.defaults = { .latest_n = 1, .max_batch = 4 }, .poll_ms = 60000, .settle_ms = 100,
		.retry_ms = 100 };
	published = drained = unloaded = failed = 0;
	log_set_level(LOG_LEVEL_ERR - 1);
	repo = NULL;
}

static void teardown(void)
{
	repo_free(repo);
	arena_free(arena);
	tempdir_free(&dir);
}

/* Adds `step` to its input. */
static void given_model(const char *path, int step)
{
	char text[300];
	snprintf(text, sizeof(text), "opset 13\nin x float32 [N,2]\ninit s float32 [1] %d\n"
				     "node Add x,s -> y\nout y float32 [N,2]\n", step);
	struct slice bytes = onnx_text_pack(arena, &onnx_text_model(arena, text)->base);
	tempdir_put(&dir, path, bytes.ptr, bytes.len);
}

static void rename_in(const char *from, const char *to)
{
	ck_assert_int_eq(renameat(dir.fd, from, dir.fd, to), 0);
}

static void start(void)
{
	struct repo_hooks hooks = { .on_publish = on_publish, .on_drain = on_drain,
		.on_unload = on_unload, .on_state = on_state };
	ck_assert_int_eq(repo_new(&conf, &hooks, &repo, &err), ERR_OK);
	ck_assert(repo_wait_settled(repo, 20000));
}

/* The version that answers; minus the code when none does. */
static int64_t answers(const char *model)
{
	struct version_spec latest = { .pick = VERSION_PICK_LATEST };
	struct version *v;
	struct err e;
	enum err_code rc = registry_acquire(repo_registry(repo), slice_of(model), &latest, &v, &e);
	if (rc != ERR_OK)
		return -(int64_t)rc;
	int64_t number = v->number;
	version_release(v);
	return number;
}

static void comes_to_answer(const char *model, int64_t number)
{
	for (int i = 0; i < 2000 && answers(model) != number; i++)
		usleep(10000);
	ck_assert_int_eq(answers(model), number);
}

START_TEST(what_is_there_is_served_and_what_is_renamed_in_takes_over)
{
	given_model("m/1/model.onnx", 1);
	given_model("new/model.onnx", 2);
	start();
	ck_assert_int_eq(answers("m"), 1);
	ck_assert_int_eq(answers("new"), -ERR_UNAVAILABLE);
	ck_assert(repo_is_ready(repo));
	rename_in("new", "m/2");
	comes_to_answer("m", 2);
	for (int i = 0; i < 500 && !unloaded; i++)
		usleep(10000);
	ck_assert_int_eq(published, 2);
	ck_assert_int_eq(drained, 1);
	ck_assert_int_eq(unloaded, 1);
}
END_TEST

START_TEST(m23_a_version_is_loaded_when_its_copy_has_come_to_rest)
{
	given_model("m/1/model.onnx", 1);
	start();
	/* As a slow copy does: the file grows. */
	tempdir_put_str(&dir, "m/2/model.onnx", "x");
	usleep(60000);
	ck_assert_int_eq(answers("m"), 1);
	given_model("m/2/model.onnx", 2);
	comes_to_answer("m", 2);
	ck_assert_int_eq(failed, 0);
}
END_TEST

START_TEST(m23_what_is_put_into_an_empty_version_is_noticed)
{
	given_model("m/1/model.onnx", 1);
	start();
	ck_assert_int_eq(mkdirat(dir.fd, "m/2", 0755), 0);
	usleep(200000); /* until that has been looked at */
	given_model("m/2/model.onnx", 2);
	comes_to_answer("m", 2);
}
END_TEST

START_TEST(m32_what_is_made_while_it_looks_is_found)
{
	char name[32], root[128];
	snprintf(root, sizeof(root), "%s/root", dir.path);
	roots[0] = root;
	ck_assert_int_eq(mkdir(root, 0755), 0);
	for (int i = 0; i < 500; i++) { /* so that it looks for a while */
		snprintf(name, sizeof(name), "root/other%d", i);
		ck_assert_int_eq(mkdirat(dir.fd, name, 0755), 0);
	}
	start();
	for (int i = 0; i < 20; i++) {
		given_model("new/model.onnx", i);
		usleep(80000); /* until it listens again */
		snprintf(name, sizeof(name), "root/m%d", i);
		ck_assert_int_eq(mkdirat(dir.fd, name, 0755), 0);
		usleep(200 * (useconds_t)i);
		snprintf(name, sizeof(name), "root/m%d/1", i);
		rename_in("new", name);
	}
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "m%d", i);
		comes_to_answer(name, 1);
	}
}
END_TEST

START_TEST(a_broken_version_evicts_nobody)
{
	given_model("m/1/model.onnx", 1);
	start();
	tempdir_put_str(&dir, "m/2/model.onnx", "this is no model");
	for (int i = 0; i < 500 && !failed; i++)
		usleep(10000);
	ck_assert_int_eq(failed, 1);
	ck_assert_int_eq(answers("m"), 1);
	ck_assert(repo_is_ready(repo));
	given_model("m/2/model.onnx", 2); /* mended */
	comes_to_answer("m", 2);
}
END_TEST

START_TEST(readiness_is_of_as_many_models_as_configured)
{
	static const struct {
		enum readiness asked;
		bool with_none, with_broken, with_good;
	} rows[] = {
		{ READINESS_ALL, true, false, false },
		{ READINESS_ANY, true, false, true },
		{ READINESS_NONE, true, true, true },
	};
	conf.readiness = rows[_i].asked;
	start();
	ck_assert_int_eq(repo_is_ready(repo), rows[_i].with_none);
	repo_free(repo);
	tempdir_put_str(&dir, "broken/1/model.onnx", "this is no model");
	start();
	ck_assert_int_eq(failed, 1);
	ck_assert_int_eq(repo_is_ready(repo), rows[_i].with_broken);
	repo_free(repo);
	given_model("good/1/model.onnx", 1);
	start();
	ck_assert_int_eq(answers("good"), 1);
	ck_assert_int_eq(repo_is_ready(repo), rows[_i].with_good);
}
END_TEST

START_TEST(m38_a_request_keeps_its_version_through_drain)
{
	struct version_spec latest = { .pick = VERSION_PICK_LATEST };
	struct version *held;
	given_model("m/1/model.onnx", 1);
	given_model("new/model.onnx", 2);
	start();
	ck_assert_int_eq(
		registry_acquire(repo_registry(repo), SLICE_LIT("m"), &latest, &held, &err),
		ERR_OK);
	rename_in("new", "m/2");
	comes_to_answer("m", 2);
	usleep(50000);
	ck_assert_int_eq(unloaded, 0);
	ck_assert_int_eq(atomic_load(&held->state), VERSION_DRAINING);
	version_release(held);
	for (int i = 0; i < 500 && !unloaded; i++)
		usleep(10000);
	ck_assert_int_eq(unloaded, 1);
}
END_TEST

START_TEST(explicit_models_are_loaded_and_unloaded_on_order)
{
	conf.explicit_only = true;
	given_model("m/1/model.onnx", 1);
	start();
	ck_assert_int_eq(answers("m"), -ERR_UNAVAILABLE);
	ck_assert_int_eq(repo_load(repo, SLICE_LIT("m"), &err), ERR_OK);
	ck_assert_int_eq(answers("m"), 1);
	ck_assert_int_eq(repo_load(repo, SLICE_LIT("n"), &err), ERR_NOT_FOUND);
	ck_assert_int_eq(repo_unload(repo, SLICE_LIT("m"), &err), ERR_OK);
	ck_assert_int_eq(answers("m"), -ERR_NOT_FOUND);
	ck_assert_int_eq(unloaded, 1);
	tempdir_put_str(&dir, "m/2/model.onnx", "broken");
	ck_assert_int_ne(repo_load(repo, SLICE_LIT("m"), &err), ERR_OK);
	comes_to_answer("m", 1);
}
END_TEST

START_TEST(a_reload_changes_policy_and_models_and_a_bad_one_nothing)
{
	given_model("m/1/model.onnx", 1);
	given_model("m/2/model.onnx", 2);
	given_model("flat/model.onnx", 3);
	start();
	ck_assert_int_eq(answers("m"), 2);

	conf.defaults.latest_n = 0;
	ck_assert_int_eq(repo_reload(repo, &conf, &err), ERR_INVALID_ARGUMENT);
	ck_assert_int_eq(answers("m"), 2);

	char path[128];
	int64_t one = 1;
	snprintf(path, sizeof(path), "%s/flat", dir.path);
	struct model_conf models[] = { { .name = "m",
					       .policy = POLICY_SPECIFIC,
					       .versions = &one,
					       .n_versions = 1,
					       .max_batch = 4 },
		{ .name = "named", .path = path, .latest_n = 1, .max_batch = 4 } };
	conf.defaults.latest_n = 1;
	conf.models = models;
	conf.n_models = 2;
	ck_assert_int_eq(repo_reload(repo, &conf, &err), ERR_OK);
	comes_to_answer("m", 1);
	comes_to_answer("named", 1);
	conf.n_models = 1;
	ck_assert_int_eq(repo_reload(repo, &conf, &err), ERR_OK);
	comes_to_answer("named", -ERR_NOT_FOUND);
}
END_TEST

START_TEST(more_labels_than_are_kept_are_refused)
{
	char name[MODEL_LABELS_MAX + 1][24];
	struct model_label label[MODEL_LABELS_MAX + 1];
	struct model_conf copy;
	for (int i = 0; i <= MODEL_LABELS_MAX; i++) {
		snprintf(name[i], sizeof(name[i]), "label%d", i);
		label[i] = (struct model_label){ name[i], i };
	}
	start();
	conf.defaults.labels = label;
	conf.defaults.n_labels = MODEL_LABELS_MAX;
	ck_assert_int_eq(repo_reload(repo, &conf, &err), ERR_OK);
	conf.defaults.n_labels++;
	ck_assert_int_eq(repo_reload(repo, &conf, &err), ERR_INVALID_ARGUMENT);
	ck_assert_int_eq(
		settings_copy_model(&conf.defaults, arena, &copy, &err), ERR_INVALID_ARGUMENT);
	ck_assert_str_eq(err.msg, "model '': has 65 labels, at most 64 are allowed");
}
END_TEST

/* A root that is not there yet cannot be watched. */
START_TEST(m32_what_no_event_tells_is_found_by_polling)
{
	char late[128];
	snprintf(late, sizeof(late), "%s/late", dir.path);
	roots[0] = late;
	conf.poll_ms = 50;
	given_model("early/m/1/model.onnx", 1);
	start();
	ck_assert_int_eq(answers("m"), -ERR_NOT_FOUND);
	rename_in("early", "late");
	comes_to_answer("m", 1);
}
END_TEST

/* -- TSan's favourite: everything at once ---------------------------------------------------- */

static atomic_bool stop;
static atomic_int wrong;

static void *ask(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop)) {
		int64_t is = answers("m");
		if (is != 1 && is != 2 && is != -ERR_UNAVAILABLE && is != -ERR_NOT_FOUND)
			atomic_fetch_add(&wrong, 1);
	}
	return NULL;
}

static void *order(void *arg)
{
	struct err e;
	(void)arg;
	for (int i = 0; i < 20; i++) {
		(void)!repo_unload(repo, SLICE_LIT("m"), &e);
		(void)!repo_load(repo, SLICE_LIT("m"), &e);
	}
	return NULL;
}

START_TEST(loads_unloads_and_requests_may_come_all_at_once)
{
	pthread_t asker, orderer[2];
	given_model("m/1/model.onnx", 1);
	given_model("spare/model.onnx", 2);
	start();
	atomic_store(&stop, false);
	pthread_create(&asker, NULL, ask, NULL);
	for (int i = 0; i < 2; i++)
		pthread_create(&orderer[i], NULL, order, NULL);
	for (int i = 0; i < 10; i++) {
		rename_in(i % 2 ? "m/2" : "spare", i % 2 ? "spare" : "m/2");
		usleep(20000);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(orderer[i], NULL);
	atomic_store(&stop, true);
	pthread_join(asker, NULL);
	ck_assert_int_eq(wrong, 0);
}
END_TEST

static void *unload_m(void *ret_err)
{
	(void)!repo_unload(repo, SLICE_LIT("m"), ret_err);
	return NULL;
}

START_TEST(an_unload_ends_when_a_load_overrules_it)
{
	struct version_spec latest = { .pick = VERSION_PICK_LATEST };
	struct version *held;
	pthread_t waiter;
	struct err e;
	given_model("m/1/model.onnx", 1);
	start();
	ck_assert_int_eq(
		registry_acquire(repo_registry(repo), SLICE_LIT("m"), &latest, &held, &err),
		ERR_OK);
	pthread_create(&waiter, NULL, unload_m, &e);
	comes_to_answer("m", -ERR_UNAVAILABLE); /* but it cannot go while a request has it */
	ck_assert_int_eq(repo_load(repo, SLICE_LIT("m"), &err), ERR_OK);
	pthread_join(waiter, NULL);
	ck_assert_int_eq(e.code, ERR_ABORTED);
	ck_assert_str_eq(e.msg, "model 'm' was ordered to be loaded meanwhile");
	version_release(held);
	comes_to_answer("m", 1);
}
END_TEST

static void *load_m(void *ret_err)
{
	(void)!repo_load(repo, SLICE_LIT("m"), ret_err);
	return NULL;
}

START_TEST(who_waits_for_a_load_is_answered_when_the_daemon_stops)
{
	pthread_t waiter;
	struct err e;
	conf.settle_ms = 600000;
	start();
	given_model("m/1/model.onnx", 1);
	comes_to_answer("m", -ERR_UNAVAILABLE);
	pthread_create(&waiter, NULL, load_m, &e);
	usleep(100000);
	repo_stop_waiting(repo);
	pthread_join(waiter, NULL);
	ck_assert_int_eq(e.code, ERR_UNAVAILABLE);
	ck_assert_int_eq(repo_load(repo, SLICE_LIT("m"), &e), ERR_UNAVAILABLE);
}
END_TEST

Suite *suite_repo(void);
Suite *suite_repo(void)
{
	Suite *s = suite_create("repo");
	TCase *t = tcase_create("core");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, what_is_there_is_served_and_what_is_renamed_in_takes_over);
	tcase_add_test(t, m23_a_version_is_loaded_when_its_copy_has_come_to_rest);
	tcase_add_test(t, m23_what_is_put_into_an_empty_version_is_noticed);
	tcase_add_test(t, m32_what_is_made_while_it_looks_is_found);
	tcase_add_test(t, a_broken_version_evicts_nobody);
	tcase_add_loop_test(t, readiness_is_of_as_many_models_as_configured, 0, 3);
	tcase_add_test(t, m38_a_request_keeps_its_version_through_drain);
	tcase_add_test(t, explicit_models_are_loaded_and_unloaded_on_order);
	tcase_add_test(t, a_reload_changes_policy_and_models_and_a_bad_one_nothing);
	tcase_add_test(t, more_labels_than_are_kept_are_refused);
	tcase_add_test(t, m32_what_no_event_tells_is_found_by_polling);
	tcase_add_test(t, an_unload_ends_when_a_load_overrules_it);
	tcase_add_test(t, who_waits_for_a_load_is_answered_when_the_daemon_stops);
	tcase_add_test(t, loads_unloads_and_requests_may_come_all_at_once);
	suite_add_tcase(s, t);
	return s;
}
