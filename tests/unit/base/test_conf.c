/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/conf.h"

struct plain {
	const char *listen;
	bool nan;
	int64_t threads;
	size_t body;
	int64_t timeout;
	int level;
	struct conf_list origins;
};

struct model {
	int64_t batch;
	const char *policy;
};

static const struct conf_option plain_options[] = {
	{ "listen", CONF_STRING, "127.0.0.1:8000", NULL, NULL, NULL, offsetof(struct plain, listen),
		false, "Where to listen." },
	{ "nan", CONF_BOOL, "false", NULL, NULL, NULL, offsetof(struct plain, nan), true,
		"Allow NaN." },
	{ "threads", CONF_INT, "0", "0", "1024", NULL, offsetof(struct plain, threads), false,
		"Threads." },
	{ "body", CONF_SIZE, "64M", "1K", "2G", NULL, offsetof(struct plain, body), true, "Body." },
	{ "timeout", CONF_DURATION, "10s", "1ms", "1h", NULL, offsetof(struct plain, timeout), true,
		"Time." },
	{ "level", CONF_ENUM, "info", NULL, NULL, "err warning info", offsetof(struct plain, level),
		true, "Level." },
	{ "origins", CONF_LIST, "", NULL, NULL, NULL, offsetof(struct plain, origins), true,
		"Origins." },
};
static const struct conf_option model_options[] = {
	{ "batch", CONF_INT, "32", "1", "1000", NULL, offsetof(struct model, batch), true,
		"Rows." },
	{ "policy", CONF_STRING, "latest", NULL, NULL, NULL, offsetof(struct model, policy), true,
		"Which." },
};
static const struct conf_section sections[] = {
	{ "server", false, sizeof(struct plain), plain_options, 7, "The daemon." },
	{ "model", true, sizeof(struct model), model_options, 2, "One model." },
	{ 0 },
};

static struct arena *arena;
static struct err err;
static struct conf *conf;

static void setup(void)
{
	arena = arena_new(4096, 16 << 20);
	conf = NULL;
}

static void teardown(void)
{
	arena_free(arena);
}

static enum err_code parse_bytes(struct slice text)
{
	return conf_parse(sections, &(struct conf_source){ .text = text, .file = "t.conf" }, arena,
		&conf, &err);
}

static enum err_code parse(const char *text)
{
	return parse_bytes(slice_of(text));
}

START_TEST(an_empty_file_is_all_defaults)
{
	ck_assert_int_eq(parse(""), ERR_OK);
	const struct plain *p = conf_get(conf, "server");
	ck_assert_str_eq(p->listen, "127.0.0.1:8000");
	ck_assert(!p->nan);
	ck_assert_int_eq(p->threads, 0);
	ck_assert_uint_eq(p->body, 64 << 20);
	ck_assert_int_eq(p->timeout, 10 * NS_PER_S);
	ck_assert_int_eq(p->level, 2);
	ck_assert_int_eq(p->origins.n, 0);
	ck_assert_ptr_null(conf_next(conf, "model", NULL));
}
END_TEST

START_TEST(values_of_every_type)
{
	ck_assert_int_eq(
		parse("; comment\n# comment\n\n  [server]  ; here\r\n"
		      "listen = [::1]:0 ; there\n\tnan=yes\nthreads: 1024\nbody = 1K\n"
		      "timeout = 250ms\nlevel = warning\norigins = https://a.example , b,c"),
		ERR_OK);
	const struct plain *p = conf_get(conf, "server");
	ck_assert_str_eq(p->listen, "[::1]:0");
	ck_assert(p->nan);
	ck_assert_int_eq(p->threads, 1024);
	ck_assert_uint_eq(p->body, 1024);
	ck_assert_int_eq(p->timeout, 250 * NS_PER_MS);
	ck_assert_int_eq(p->level, 1);
	ck_assert_int_eq(p->origins.n, 3);
	ck_assert_str_eq(p->origins.item[0], "https://a.example");
	ck_assert_str_eq(p->origins.item[2], "c");
	ck_assert_ptr_null(p->origins.item[3]);
}
END_TEST

START_TEST(named_sections_start_from_the_star)
{
	char name[301];
	memset(name, 'n', 200);
	name[200] = '\0';
	char text[1000];
	snprintf(text, sizeof(text),
		"[model *]\nbatch = 8\n[model a b]\npolicy = all\n[model %s]\nbatch=1\n", name);
	ck_assert_int_eq(parse(text), ERR_OK);

	const struct conf_block *a = conf_next(conf, "model", NULL);
	ck_assert_str_eq(a->name, "a b");
	ck_assert_int_eq(a->line, 3);
	ck_assert_int_eq(((const struct model *)a->values)->batch, 8);
	ck_assert_str_eq(((const struct model *)a->values)->policy, "all");
	const struct conf_block *b = conf_next(conf, "model", a);
	ck_assert_str_eq(b->name, name);
	ck_assert_int_eq(((const struct model *)b->values)->batch, 1);
	ck_assert_ptr_null(conf_next(conf, "model", b));
	const void *defaults;
	ck_assert_int_eq(conf_defaults(conf, "model", &defaults, &err), ERR_OK);
	ck_assert_int_eq(((const struct model *)defaults)->batch, 8);
}
END_TEST

/* M33, C1: each with its place and its rule. */
static const struct {
	const char *text, *says;
} wrong[] = {
	{ "\xef\xbb\xbf[server]\n", "t.conf:1: begins with a byte order mark" },
	{ "[server]\nport = 1\n", "t.conf:2: section [server] has no option 'port'" },
	{ "[server]\ntread = 1\n",
		"t.conf:2: section [server] has no option 'tread'; did you mean 'threads'?" },
	{ "[server]\nbatch = 1\n",
		"t.conf:2: section [server] has no option 'batch'; section [model] has" },
	{ "\n[sever]\n", "t.conf:2: there is no section [sever]; did you mean 'server'?" },
	{ "[modle a]\n", "t.conf:1: there is no section [modle a]; did you mean 'model'?" },
	{ "threads = 1\n", "t.conf:1: 'threads' stands before the first [section]" },
	{ "[server]\nthreads = 1\n\nthreads = 1\n", "t.conf:4: 'threads' is given twice" },
	{ "[server]\n[model a]\n[server]\n",
		"t.conf:3: section [server] stands on line 1 already" },
	{ "[model a]\n[model a]\n", "t.conf:2: section [model a] stands on line 1 already" },
	{ "[model a]\n[model *]\n", "t.conf:2: [model *] must stand before" },
	{ "[model]\n", "t.conf:1: section [model] needs a name: [model NAME]" },
	{ "[server x]\n", "t.conf:1: section [server] takes no name" },
	{ "[model a\n", "t.conf:1: a section is [NAME], alone on its line" },
	{ "[server] threads = 1\n", "t.conf:1: a section is [NAME], alone on its line" },
	{ "[]\n", "t.conf:1: there is no section []" },
	{ "[model ]\n", "t.conf:1: name of the section is empty" },
	{ "[server]\nthreads\n", "t.conf:2: not of the form KEY = VALUE" },
	{ "[server]\nthreads = 1.0\n",
		"t.conf:2: threads is '1.0', must be: whole number, 0 to 1024" },
	{ "[server]\nthreads = 1025\n", "t.conf:2: threads is '1025'" },
	{ "[server]\nthreads = -1\n", "t.conf:2: threads is '-1'" },
	{ "[server]\nthreads = 99999999999999999999\n", "must be: whole number" },
	{ "[server]\nthreads =\n", "t.conf:2: threads is ''" },
	{ "[server]\nnan = 1\n", "t.conf:2: nan is '1', must be: true or false" },
	{ "[server]\nbody = 3G\n",
		"t.conf:2: body is '3G', must be: bytes (512, 64K, 1M, 2G), 1K to 2G" },
	{ "[server]\nbody = 0\n", "t.conf:2: body is '0'" },
	{ "[server]\ntimeout = 10\n", "t.conf:2: timeout is '10', must be: time" },
	{ "[server]\ntimeout = 0\n", "t.conf:2: timeout is '0'" },
	{ "[server]\nlevel = loud\n",
		"t.conf:2: level is 'loud', must be: one of: err warning info" },
	{ "[server]\nlevel = err warning\n", "t.conf:2: level is" },
	{ "[server]\norigins = a,,b\n", "t.conf:2: origins is 'a,,b', must be: list" },
	{ "[server]\norigins = ,\n", "t.conf:2: origins is ','" },
	{ "[server]\nlisten = a\x01" "b\n", "t.conf:2: byte 11 (0x01) is no text" },
	{ "[server]\nlisten = \xff\n", "t.conf:2: byte 10 (0xff) is no text" },
	{ "[server]\rthreads = 1\n", "t.conf:1: byte 9 (0x0d) is no text" },
};

START_TEST(mistakes_are_refused_with_file_and_line)
{
	ck_assert_int_eq(parse(wrong[_i].text), ERR_INVALID_ARGUMENT);
	ck_assert_msg(strstr(err.msg, wrong[_i].says), "%s", err.msg);
	ck_assert_ptr_null(conf);
}
END_TEST

static void note(void *ctx, const struct err *fault)
{
	struct buf *all = ctx;
	buf_printf(all, "%s\n", fault->msg);
}

START_TEST(all_that_is_wrong_is_told_of_and_the_first_is_returned)
{
	static const char text[] =
		"[sever]\nthreads = x\n[server]\nthreads = x\nno pair ; a = b\n; a comment\n"
		"treads = 1\n\x01\nthreads: 3\n[model a]\n";
	struct buf told = buf_of(arena, 0);
	struct slice all_text;
	struct err_all all = { .tell = note, .ctx = &told };
	const struct conf_source from = { .text = slice_of(text), .file = "t.conf", .all = &all };
	ck_assert_int_eq(conf_parse(sections, &from, arena, &conf, &err), ERR_OK);
	ck_assert_int_eq(buf_finish(&told, &all_text, NULL), ERR_OK);
	ck_assert_str_eq(all_text.ptr,
		"t.conf:1: there is no section [sever]; did you mean 'server'?\n"
		"t.conf:4: threads is 'x', must be: whole number, 0 to 1024\n"
		"t.conf:5: not of the form KEY = VALUE\n"
		"t.conf:7: section [server] has no option 'treads'; did you mean 'threads'?\n"
		"t.conf:8: byte 1 (0x01) is no text\n"
		"t.conf:9: 'threads' is given twice in this section\n");
	ck_assert_int_eq(all.n, 6);
	ck_assert_int_eq(err_all_end(&all, &err), ERR_INVALID_ARGUMENT);
	ck_assert_str_eq(err.msg, "t.conf:1: there is no section [sever]; did you mean 'server'?");
	ck_assert_str_eq(conf_next(conf, "model", NULL)->name, "a");
}
END_TEST

START_TEST(a_nul_is_no_text)
{
	static const char text[] = "[server]\nthreads = 1\0junk\n";
	ck_assert_int_eq(parse_bytes((struct slice){ text, sizeof(text) - 1 }),
		ERR_INVALID_ARGUMENT);
	ck_assert_str_eq(err.msg, "t.conf:2: byte 12 (0x00) is no text");
}
END_TEST

START_TEST(files_lines_and_sections_have_limits)
{
	size_t n = CONF_BYTES_MAX + 1;
	char *text = malloc(n);
	memset(text, '\n', n);
	ck_assert_int_eq(parse_bytes((struct slice){ text, n }),
		ERR_RESOURCE_EXHAUSTED);
	ck_assert_int_eq(parse_bytes((struct slice){ text, n - 1 }), ERR_OK);
	memset(text, 'x', 10000);
	ck_assert_int_eq(parse_bytes((struct slice){ text, n - 1 }),
		ERR_INVALID_ARGUMENT);
	ck_assert_ptr_nonnull(strstr(err.msg, "t.conf:1: line of 10000 bytes"));
	size_t at = 0;
	for (int i = 0; i < 5000; i++)
		at += (size_t)sprintf(text + at, "[model %d]\n", i);
	ck_assert_int_eq(parse_bytes((struct slice){ text, at }),
		ERR_RESOURCE_EXHAUSTED);
	free(text);
}
END_TEST

START_TEST(no_memory_is_an_error_wherever_it_happens)
{
	static const char text[] = "[server]\norigins = a,b,c\n[model x]\npolicy = all\n";
	const struct conf_source from = { .text = slice_of(text), .file = "t.conf" };
	bool parsed = false;
	for (size_t ceiling = 1024; !parsed; ceiling += 64) {
		struct arena *small = arena_new(1024, ceiling);
		/* What is left of the one chunk shrinks by 16 bytes at a time. */
		for (size_t used = 0; used < 1000 && !parsed; used += 16) {
			arena_reset(small, SIZE_MAX);
			(void)arena_alloc(small, used);
			enum err_code rc = conf_parse(sections, &from, small, &conf, &err);
			ck_assert(rc == ERR_OK || rc == ERR_RESOURCE_EXHAUSTED);
			parsed = rc == ERR_OK && used == 0;
		}
		arena_free(small);
	}
}
END_TEST

START_TEST(the_command_line_wins)
{
	ck_assert_int_eq(parse("[server]\nthreads = 2\n"), ERR_OK);
	ck_assert_int_eq(conf_set(conf, "server", NULL, "threads", "3", &err), ERR_OK);
	ck_assert_int_eq(conf_set(conf, "server", NULL, "threads", "4", &err), ERR_OK);
	ck_assert_int_eq(((const struct plain *)conf_get(conf, "server"))->threads, 4);
	ck_assert_int_eq(conf_set(conf, "model", "m", "policy", "all", &err), ERR_OK);
	ck_assert_str_eq(conf_next(conf, "model", NULL)->name, "m");
	ck_assert_int_eq(
		conf_set(conf, "server", NULL, "threads", "x", &err), ERR_INVALID_ARGUMENT);
	ck_assert_int_eq(conf_set(conf, "server", "m", "threads", "1", &err), ERR_INVALID_ARGUMENT);
	ck_assert_int_eq(
		conf_set(conf, "model", NULL, "policy", "all", &err), ERR_INVALID_ARGUMENT);
}
END_TEST

START_TEST(a_reload_may_change_what_its_row_allows)
{
	struct conf *old;
	ck_assert_int_eq(parse("[server]\nlisten = a\norigins = x\n"), ERR_OK);
	old = conf;
	ck_assert_int_eq(
		parse("[server]\nlisten = a\nbody = 65536K\norigins = x, y\n[model a]\n"), ERR_OK);
	ck_assert_int_eq(conf_check_reload(old, conf, &err), ERR_OK);
	ck_assert_int_eq(parse("[server]\nlisten = b\n"), ERR_OK);
	ck_assert_int_eq(conf_check_reload(old, conf, &err), ERR_FAILED_PRECONDITION);
	ck_assert_str_eq(err.msg, "[server] listen has changed, which needs a restart");
}
END_TEST

START_TEST(what_is_written_is_the_defaults_once_uncommented)
{
	struct buf b = buf_of(arena, 0);
	struct slice text;
	conf_write(sections, &b);
	ck_assert_int_eq(buf_finish(&b, &text, &err), ERR_OK);
	ck_assert_int_eq(parse(text.ptr), ERR_OK);
	struct conf *as_is = conf;

	char *edited = arena_strdup(arena, text.ptr);
	for (char *p = edited; p; p = strchr(p + 1, '\n')) {
		char *hash = *p == '\n' ? p + 1 : p;
		if (hash[0] == '#' && hash[1] != ' ')
			*hash = ' ';
	}
	ck_assert_int_eq(parse(edited), ERR_OK);

	const struct plain *a = conf_get(as_is, "server"), *b2 = conf_get(conf, "server");
	for (int i = 0; i < 7; i++)
		ck_assert(conf_value_equal(&plain_options[i], a, b2));
	ck_assert_uint_eq(conf->first->given, 127);
	ck_assert_str_eq(conf_next(conf, "model", NULL)->name, "NAME");
	ck_assert_uint_eq(conf_next(conf, "model", NULL)->given, 3);
	ck_assert_ptr_nonnull(strstr(text.ptr,
		"# Threads.\n# (whole number, 0 to 1024; needs a restart)\n#threads = 0\n"));
}
END_TEST

Suite *suite_conf(void);
Suite *suite_conf(void)
{
	Suite *s = suite_create("conf");
	TCase *t = tcase_create("conf");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, an_empty_file_is_all_defaults);
	tcase_add_test(t, values_of_every_type);
	tcase_add_test(t, named_sections_start_from_the_star);
	tcase_add_loop_test(
		t, mistakes_are_refused_with_file_and_line, 0, sizeof(wrong) / sizeof(wrong[0]));
	tcase_add_test(t, all_that_is_wrong_is_told_of_and_the_first_is_returned);
	tcase_add_test(t, a_nul_is_no_text);
	tcase_add_test(t, files_lines_and_sections_have_limits);
	tcase_add_test(t, no_memory_is_an_error_wherever_it_happens);
	tcase_add_test(t, the_command_line_wins);
	tcase_add_test(t, a_reload_may_change_what_its_row_allows);
	tcase_add_test(t, what_is_written_is_the_defaults_once_uncommented);
	suite_add_tcase(s, t);
	return s;
}
