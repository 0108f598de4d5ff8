/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>
#include <stdio.h>
#include "base/clock.h"
#include "base/file.h"
#include "loader/repo/settings.h"
#include "server/config.h"
#include "support/tempdir.h"

static struct tempdir dir;
static char path[128];
static struct arena *arena;
static struct command_line line;
static struct config *config;
static struct err err;

static void setup(void)
{
	dir = tempdir_new();
	arena = arena_new(4096, 0);
	config = NULL;
}

static void teardown(void)
{
	config_free(config);
	arena_free(arena);
	tempdir_free(&dir);
}

#define ARGS(...) ((char *[]){ "signetd", __VA_ARGS__, NULL })

static enum err_code load(char **argv)
{
	int argc = 0;
	while (argv[argc])
		argc++;
	enum err_code rc = command_line_parse(argc, argv, arena, &line, &err);
	return rc == ERR_OK ? config_load(&line, &config, &err) : rc;
}

/* Serves nothing real; the file's text is what is of interest. */
static enum err_code load_file(const char *text)
{
	tempdir_put_str(&dir, "t.conf", text);
	snprintf(path, sizeof(path), "%s/t.conf", dir.path);
	return load(ARGS("--model-root", "/models", "--config", path));
}

START_TEST(a_root_is_all_it_takes)
{
	ck_assert_int_eq(load(ARGS("--model-root", "/models")), ERR_OK);
	ck_assert_str_eq(config->repo.roots[0], "/models");
	ck_assert_ptr_null(config->repo.roots[1]);
	ck_assert_str_eq(config->http->listen, "127.0.0.1:8000");
	ck_assert_uint_eq(config->http->body_max, 64 << 20);
	ck_assert_int_eq(config->repo.poll_ms, 10000);
	ck_assert_int_eq(config->repo.settle_ms, 1000);
	ck_assert_int_eq(config->repo.defaults.policy, POLICY_LATEST);
	ck_assert_int_eq(config->repo.defaults.latest_n, 1);
	ck_assert_int_eq(config->repo.defaults.max_batch, 32);
	ck_assert_str_eq(config->repo.defaults.on_break, "warn");
	ck_assert_int_eq(config_log_level(config), LOG_LEVEL_INFO);
}
END_TEST

START_TEST(nothing_to_serve_is_refused)
{
	ck_assert_int_eq(load(ARGS("--http", "off")), ERR_INVALID_ARGUMENT);
	ck_assert_str_eq(err.msg, "nothing to serve: give --model-root DIR or --model NAME=PATH");
}
END_TEST

START_TEST(systemds_state_directory_has_models_where_nobody_names_a_root)
{
	setenv("STATE_DIRECTORY", "/var/lib/signet:/var/lib/signet/models", 1);
	ck_assert_int_eq(load(ARGS("--http", "off")), ERR_OK);
	ck_assert_str_eq(config->repo.roots[0], "/var/lib/signet/models");
	ck_assert_ptr_null(config->repo.roots[1]);
	config_free(config);
	ck_assert_int_eq(load(ARGS("--set", "repository.roots=/srv/models")), ERR_OK);
	ck_assert_str_eq(config->repo.roots[0], "/srv/models");
	ck_assert_ptr_null(config->repo.roots[1]);
	unsetenv("STATE_DIRECTORY");
}
END_TEST

START_TEST(the_command_line_goes_over_the_file)
{
	tempdir_put_str(&dir, "t.conf",
		"[http]\nlisten = 127.0.0.1:1\n[repository]\nroots = /a, /b\n"
		"[server]\nlog_level = debug\n[model digits]\nmax_batch = 4\n");
	snprintf(path, sizeof(path), "%s/t.conf", dir.path);
	ck_assert_int_eq(load(ARGS("--config", path, "--http", "127.0.0.1:0", "--model",
				 "digits=/x=y", "--set", "repository.settle=50ms", "--set",
				 "model digits.labels=stable=3", "--threads", "2")),
		ERR_OK);
	ck_assert_str_eq(config->http->listen, "127.0.0.1:0");
	ck_assert_str_eq(config->repo.roots[1], "/b");
	ck_assert_int_eq(config->repo.settle_ms, 50);
	ck_assert_int_eq(config->server->threads, 2);
	ck_assert_int_eq(config_log_level(config), LOG_LEVEL_DEBUG);
	ck_assert_int_eq(config->repo.n_models, 1);
	ck_assert_str_eq(config->repo.models[0].path, "/x=y");
	ck_assert_int_eq(config->repo.models[0].max_batch, 4);
	ck_assert_str_eq(config->repo.models[0].labels[0].name, "stable");
	ck_assert_int_eq(config->repo.models[0].labels[0].number, 3);

	config_free(config);
	ck_assert_int_eq(load(ARGS("--config", path, "--model-root", "/c")), ERR_OK);
	ck_assert_str_eq(config->repo.roots[0], "/c");
	ck_assert_ptr_null(config->repo.roots[1]);
}
END_TEST

START_TEST(models_signatures_and_their_inheritance)
{
	ck_assert_int_eq(load_file("[model *]\nversions = latest 2\nmax_batch = 8\n"
				   "[model a]\nversions = 3, 5\nlabels = stable = 3, canary=5\n"
				   "[signature a/classify]\ninputs = image = x, mask\noutputs = y\n"
				   "[model b.c]\nversions = all\nbatch_delay = 2ms\n"),
		ERR_OK);
	const struct repo_conf *r = &config->repo;
	ck_assert_int_eq(r->defaults.latest_n, 2);
	ck_assert_int_eq(r->n_models, 2);
	ck_assert_int_eq(r->models[0].policy, POLICY_SPECIFIC);
	ck_assert_int_eq(r->models[0].n_versions, 2);
	ck_assert_int_eq(r->models[0].versions[1], 5);
	ck_assert_int_eq(r->models[0].max_batch, 8);
	ck_assert_str_eq(r->models[0].labels[0].name, "stable");
	ck_assert_int_eq(r->models[0].n_sig, 1);
	const struct signature_conf *s = &r->models[0].sig[0];
	ck_assert_str_eq(s->name, "classify");
	ck_assert_str_eq(s->in[0].name, "image");
	ck_assert_str_eq(s->in[0].value, "x");
	ck_assert_str_eq(s->in[1].name, "mask");
	ck_assert_str_eq(s->in[1].value, "mask");
	ck_assert_int_eq(s->n_out, 1);
	ck_assert_int_eq(r->models[1].policy, POLICY_ALL);
	ck_assert_int_eq(r->models[1].n_sig, 0);
	ck_assert_int_eq(r->models[1].batch_delay_ns, 2 * NS_PER_MS);
	ck_assert_int_eq(r->defaults.batch_delay_ns, 0);
}
END_TEST

/* C1: what the rows alone cannot see. */
static const struct {
	const char *text, *says;
} wrong[] = {
	{ "[model a]\nversions = 1, -2\n", "t.conf:2: [model a]: versions has '-2'" },
	{ "[model a]\nversions = 01\n",
		"versions has '01', must be: latest, latest N, all, or numbers" },
	{ "[model a]\nversions = latest 0\n", "versions is 'latest 0'" },
	{ "[model a]\nversions = latestN\n", "versions is 'latestN'" },
	{ "[model a]\nversions = all, 1\n", "versions has 'all'" },
	{ "[model a]\nversions =\n", "versions is empty" },
	{ "[model a]\nlabels = stable\n", "labels has 'stable', must be: NAME=VERSION" },
	{ "[model a]\nlabels = a=1, a=2\n", "label 'a' is given twice" },
	{ "[model a]\nlabels = a=x\n", "labels has 'a=x'" },
	{ "[model a/b]\n", "t.conf:1: [model a/b]: its name must be 1 to 128 of" },
	{ "[model ..]\n", "t.conf:1: [model ..]: its name must be" },
	{ "\n[signature a]\noutputs = y\n",
		"t.conf:2: [signature a]: its name must be: MODEL/SIGNATURE" },
	{ "[signature a/]\noutputs = y\n", "t.conf:1: [signature a/]" },
	{ "[signature a/b]\noutputs = y\n",
		"t.conf:1: [signature a/b]: there is no section for its model" },
	{ "[model a]\n[signature a/b]\n", "t.conf:2: [signature a/b]: outputs is empty" },
	{ "[model a]\n[signature a/b]\noutputs = =y\n",
		"t.conf:3: [signature a/b]: outputs has '=y'" },
	{ "[model *]\npath = /x\n", "[model *]: path is for one model alone" },
	{ "[http]\nbody_max = 0\n", "t.conf:2: body_max is '0'" },
	{ "[grpc]\nstreams_max = 0\n", "t.conf:2: streams_max is '0'" },
	{ "[server]\ndevice = tpu\n",
		"t.conf:2: [server]: device is 'tpu', must be: cpu, gpu, or gpu:N" },
	{ "[model a]\n\ndevice = gpu:16\n", "t.conf:3: [model a]: device is 'gpu:16', must be: "
					    "cpu, gpu, or gpu:N with N below 16" },
};

START_TEST(mistakes_are_refused_with_their_place)
{
	ck_assert_int_eq(load_file(wrong[_i].text), ERR_INVALID_ARGUMENT);
	ck_assert_msg(strstr(err.msg, wrong[_i].says), "%s", err.msg);
}
END_TEST

/* -- M33: a model's own file ------------------------------------------------------------------- */

static struct model_conf own;

static enum err_code load_own(const char *central, const char *text)
{
	ck_assert_int_eq(load_file(central), ERR_OK);
	enum err_code rc =
		config_model_file(config, "a", slice_of(text), "model.conf", arena, &own, &err);
	config_free(config); /* what was made is the arena's alone */
	config = NULL;
	return rc;
}

START_TEST(m33_a_models_own_file_stands_between_the_defaults_and_its_section)
{
	ck_assert_int_eq(load_own("[model *]\nmax_batch = 8\nqueue_rows = 9\nprecision = exact\n"
				  "[model a]\nmax_batch = 2\n",
				 "[model]\nmax_batch = 3\nqueue_rows = 4\nlabels = stable = "
				 "3\nbatch_dim = N\n"),
		ERR_OK);
	ck_assert_int_eq(own.max_batch, 2);
	ck_assert_int_eq(own.queue_rows, 4);
	ck_assert_int_eq(own.precision, PRECISION_EXACT);
	ck_assert_int_eq(own.n_labels, 1);
	ck_assert_str_eq(own.labels[0].name, "stable");
	ck_assert_str_eq(own.batch_dim, "N");
	ck_assert_str_eq(own.name, "a");
	ck_assert_int_eq(load_own("[model b]\nmax_batch = 2\n", ""), ERR_OK);
	ck_assert_int_eq(own.max_batch, 32);
}
END_TEST

START_TEST(m33_its_signatures_join_those_of_the_daemons_file_which_go_before_them)
{
	ck_assert_int_eq(load_own("[model a]\n[signature a/s]\noutputs = central\n[signature "
				  "a/t]\noutputs = t\n"
				  "[model b]\n[signature b/v]\noutputs = v\n",
				 "[signature s]\noutputs = own\n[signature u]\ninputs = i = "
				 "x\noutputs = u\n"),
		ERR_OK);
	ck_assert_int_eq(own.n_sig, 3);
	ck_assert_str_eq(own.sig[0].name, "s");
	ck_assert_str_eq(own.sig[0].out[0].value, "central");
	ck_assert_str_eq(own.sig[1].name, "u");
	ck_assert_str_eq(own.sig[1].in[0].value, "x");
	ck_assert_str_eq(own.sig[2].name, "t");
}
END_TEST

static const struct {
	const char *text, *says;
} wrong_own[] = {
	{ "[model]\nmax_batch = 4\nmax_batches = 4\n",
		"model.conf:3: section [model] has no option 'max_batches'" },
	{ "[model]\nmax_batch = many\n",
		"model.conf:2: max_batch is 'many', must be: whole number, 1 to 65536" },
	{ "[model]\nmax_batch = 0\n", "model.conf:2: max_batch is '0'" },
	{ "[model]\nmax_batch = 1\nmax_batch = 1\n", "model.conf:3: 'max_batch' is given twice" },
	{ "[model]\nprecision = good\n",
		"model.conf:2: precision is 'good', must be: one of: fast exact bf16" },
	{ "[model]\n\nversions = newest\n",
		"model.conf:3: [model]: versions has 'newest', must be" },
	{ "[model]\nlabels = stable\n",
		"model.conf:2: [model]: labels has 'stable', must be: NAME=VERSION" },
	{ "[model]\npath = /elsewhere\n", "model.conf:2: section [model] has no option 'path'" },
	{ "[model a]\n", "model.conf:1: section [model] takes no name" },
	{ "[http]\nallow_admin = true\n", "model.conf:1: there is no section [http]" },
	{ "include = model.conf\n", "model.conf:1: 'include' stands before the first [section]" },
	{ "\xef\xbb\xbf[model]\n", "model.conf:1: begins with a byte order mark" },
	{ "[signature s]\ninputs = x\n", "model.conf:1: [signature s]: outputs is empty" },
	{ "[signature s]\n\noutputs = =y\n", "model.conf:3: [signature s]: outputs has '=y'" },
	{ "[signature]\n", "model.conf:1: section [signature] needs a name" },
};

START_TEST(m33_mistakes_in_it_are_refused_with_their_place)
{
	ck_assert_int_eq(
		load_own("[model a]\nmax_batch = 2\n", wrong_own[_i].text), ERR_INVALID_ARGUMENT);
	ck_assert_msg(strstr(err.msg, wrong_own[_i].says), "%s", err.msg);
}
END_TEST

/* A value that is not the default. */
static const char *other_value(const struct conf_option *o)
{
	static const char *const by_type[CONF_TYPE_COUNT_] = { [CONF_STRING] = "cpu",
		[CONF_BOOL] = "true",
		[CONF_INT] = "7", [CONF_SIZE] = "2K", [CONF_DURATION] = "7ms",
		[CONF_LIST] = "7=7" };
	if (strcmp(o->key, "versions") == 0)
		return "all";
	const char *last = o->choices ? strrchr(o->choices, ' ') : NULL;
	return last ? last + 1 : by_type[o->type];
}

START_TEST(m33_an_option_that_a_version_is_loaded_with_shows_in_the_print)
{
	static const char *const not_loaded_with[] = { "path", "versions", "labels", "on_break" };
	const struct conf_section *s = config_sections;
	while (strcmp(s->name, "model") != 0)
		s++;
	for (int i = 0; i < s->n_options; i++) {
		bool is_loaded_with = true;
		for (size_t k = 0; k < sizeof(not_loaded_with) / sizeof(not_loaded_with[0]); k++)
			is_loaded_with &= strcmp(s->option[i].key, not_loaded_with[k]) != 0;
		const char *text = arena_printf(arena, "[model a]\n%s = %s\n", s->option[i].key,
			other_value(&s->option[i]));
		config_free(config);
		ck_assert_msg(load_file(text) == ERR_OK, "%s", err.msg);
		const struct repo_conf *r = &config->repo;
		ck_assert_msg((settings_print(&r->models[0]) != settings_print(&r->defaults)) ==
				      is_loaded_with,
			"settings_print() does not know %s, or need not", s->option[i].key);
	}
}
END_TEST

START_TEST(m33_lines_may_end_in_cr_lf)
{
	ck_assert_int_eq(load_own("", "[model]\r\nbatch_dim = N\r\n"), ERR_OK);
	ck_assert_str_eq(own.batch_dim, "N");
}
END_TEST

START_TEST(a_file_that_cannot_be_read_is_an_error)
{
	ck_assert_int_eq(
		load(ARGS("--model-root", "/m", "--config", "/nonexistent/t.conf")), ERR_NOT_FOUND);
	ck_assert_str_eq(err.msg, "/nonexistent/t.conf: No such file or directory");
	ck_assert_int_eq(
		load(ARGS("--model-root", "/m", "--config", "/dev/zero")), ERR_INVALID_ARGUMENT);
	ck_assert_int_eq(load(ARGS("--model-root", "/m", "--config", "/")), ERR_INVALID_ARGUMENT);
}
END_TEST

START_TEST(the_command_line_is_strict)
{
	static const struct {
		char *argv[4];
		const char *says;
	} cases[] = {
		{ { "signetd", "--frobnicate" }, "there is no option --frobnicate" },
		{ { "signetd", "--config" }, "--config needs a value" },
		{ { "signetd", "--version=3" }, "there is no option --version=3" },
		{ { "signetd", "-v" }, "there is no option -v" },
		{ { "signetd", "models" }, "'models' is not expected" },
		{ { "signetd", "--model", "digits" }, "--model digits: not of the form NAME=PATH" },
		{ { "signetd", "--model", "=x" }, "not of the form NAME=PATH" },
		{ { "signetd", "--set", "threads=1" },
			"--set threads=1: not of the form SECTION.KEY=VALUE" },
		{ { "signetd", "--set", "server.treads=1" },
			"command line: [server]: section [server] has no option 'treads'; "
			"did you mean 'threads'?" },
		{ { "signetd", "--modelroot", "x" },
			"there is no option --modelroot; did you mean '--model-root'?" },
		{ { "signetd", "--rest_api_port=8501" },
			"there is no option --rest_api_port; here it is --http HOST:PORT" },
		{ { "signetd", "--model-repository", "x" },
			"there is no option --model-repository; here it is --model-root DIR" },
		{ { "signetd", "--threads", "many" }, "command line: [server]: threads is 'many'" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_int_eq(load((char **)cases[i].argv), ERR_INVALID_ARGUMENT);
		ck_assert_msg(strstr(err.msg, cases[i].says), "%s", err.msg);
	}
}
END_TEST

START_TEST(every_default_keeps_its_own_rule)
{
	char *check;
	for (const struct conf_section *s = config_sections; s->name; s++) {
		for (int i = 0; i < s->n_options; i++) {
			const struct conf_option *o = &s->option[i];
			check = arena_calloc(arena, 1, s->bytes);
			ck_assert_msg(
				conf_value_set(o, slice_of(o->init), check, arena, &err) == ERR_OK,
				"%s: %s", s->name, err.msg);
			ck_assert_msg(
				o->help[strlen(o->help) - 1] == '.', "%s.%s", s->name, o->key);
			ck_assert((o->type == CONF_ENUM) == (o->choices != NULL));
		}
	}
}
END_TEST

/* make conf-update writes it. */
START_TEST(the_file_that_is_shipped_is_current)
{
	struct buf b = buf_of(arena, 0);
	struct slice want, have;
	config_print(&b);
	ck_assert_int_eq(buf_finish(&b, &want, &err), ERR_OK);
	ck_assert_msg(file_read_path(TOP_SRCDIR "/conf/signetd.conf", 1 << 20, arena, &have,
			      &err) == ERR_OK,
		"%s", err.msg);
	ck_assert_msg(slice_eq(want, have),
		"conf/signetd.conf is not what options.def says: make conf-update");
}
END_TEST

START_TEST(help_shows_every_flag)
{
	struct buf b = buf_of(arena, 0);
	struct slice text;
	command_line_help(&b);
	ck_assert_int_eq(buf_finish(&b, &text, &err), ERR_OK);
	static const char *const parts[] = { "--model-root DIR", "--http ADDRESS",
		"Default: 127.0.0.1:8000.", "--list-ops", "--check-config" };
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		ck_assert_ptr_nonnull(strstr(text.ptr, parts[i]));
}
END_TEST

Suite *suite_config(void);
Suite *suite_config(void)
{
	Suite *s = suite_create("config");
	TCase *t = tcase_create("config");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_root_is_all_it_takes);
	tcase_add_test(t, nothing_to_serve_is_refused);
	tcase_add_test(t, systemds_state_directory_has_models_where_nobody_names_a_root);
	tcase_add_test(t, the_command_line_goes_over_the_file);
	tcase_add_test(t, models_signatures_and_their_inheritance);
	tcase_add_loop_test(
		t, mistakes_are_refused_with_their_place, 0, sizeof(wrong) / sizeof(wrong[0]));
	tcase_add_test(t, m33_a_models_own_file_stands_between_the_defaults_and_its_section);
	tcase_add_test(t, m33_its_signatures_join_those_of_the_daemons_file_which_go_before_them);
	tcase_add_loop_test(t, m33_mistakes_in_it_are_refused_with_their_place, 0,
		sizeof(wrong_own) / sizeof(wrong_own[0]));
	tcase_add_test(t, m33_an_option_that_a_version_is_loaded_with_shows_in_the_print);
	tcase_add_test(t, m33_lines_may_end_in_cr_lf);
	tcase_add_test(t, a_file_that_cannot_be_read_is_an_error);
	tcase_add_test(t, the_command_line_is_strict);
	tcase_add_test(t, every_default_keeps_its_own_rule);
	tcase_add_test(t, the_file_that_is_shipped_is_current);
	tcase_add_test(t, help_shows_every_flag);
	suite_add_tcase(s, t);
	return s;
}
