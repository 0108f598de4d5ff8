/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config.h"

#include <getopt.h>
#include "base/near.h"

enum flag_kind { FLAG_OPTION, FLAG_COMMAND, FLAG_CONFIG, FLAG_ROOT, FLAG_LIBRARY, FLAG_MODEL,
	FLAG_SET };

/* A flag for an option shows that option's help and default. */
static const struct flag {
	const char *name, *arg;
	enum flag_kind kind;
	enum command command;
	const char *section, *key;
	const char *help;
} flags[] = {
	{ "model-root", "DIR", FLAG_ROOT, 0, NULL, NULL,
		"Serve each NAME/VERSION/model.onnx beneath DIR. May be given again." },
	{ "model", "NAME=PATH", FLAG_MODEL, 0, "model", "path",
		"Serve PATH/VERSION/model.onnx, or PATH/model.onnx, as NAME. May be given again." },
	{ "config", "FILE", FLAG_CONFIG, 0, NULL, NULL,
		"Read options from FILE; SIGHUP reads it again." },
	{ "op-library", "FILE", FLAG_LIBRARY, 0, NULL, NULL,
		"Load operators (signet/op.h) from FILE. May be given again." },
	{ "http", "ADDRESS", FLAG_OPTION, 0, "http", "listen", NULL },
	{ "grpc", "ADDRESS", FLAG_OPTION, 0, "grpc", "listen", NULL },
	{ "device", "DEVICE", FLAG_OPTION, 0, "server", "device", NULL },
	{ "threads", "N", FLAG_OPTION, 0, "server", "threads", NULL },
	{ "set", "SECTION.KEY=VALUE", FLAG_SET, 0, NULL, NULL,
		"Set any option of the file. May be given again." },
	{ "check-config", NULL, FLAG_COMMAND, COMMAND_CHECK, NULL, NULL,
		"Check command line and file, then exit: 0, or 78 and a message for each thing "
		"that is wrong." },
	{ "print-config", NULL, FLAG_COMMAND, COMMAND_PRINT, NULL, NULL,
		"Print a file with every option and its default." },
	{ "list-ops", NULL, FLAG_COMMAND, COMMAND_OPS, NULL, NULL,
		"Print the operators that models may use." },
	{ "version", NULL, FLAG_COMMAND, COMMAND_VERSION, NULL, NULL, "Print the version." },
	{ "help", NULL, FLAG_COMMAND, COMMAND_HELP, NULL, NULL, "Print this." },
};
#define FLAGS_N (sizeof(flags) / sizeof(flags[0]))

/* What other servers call it; the rest is in doc/migrating.md. */
static const struct {
	const char *name, *ours;
} foreign[] = {
	{ "model_name", "--model NAME=PATH" },
	{ "model_base_path", "--model NAME=PATH" },
	{ "model_path", "--model NAME=PATH" },
	{ "model-repository", "--model-root DIR" },
	{ "model-store", "--model-root DIR" },
	{ "model_config_file", "--config FILE, with what signetctl import makes of it" },
	{ "config_path", "--config FILE, with what signetctl import makes of it" },
	{ "batching_parameters_file", "--config FILE, with what signetctl import makes of it" },
	{ "port", "--grpc HOST:PORT" },
	{ "grpc-port", "--grpc HOST:PORT" },
	{ "rest_port", "--http HOST:PORT" },
	{ "rest_api_port", "--http HOST:PORT" },
	{ "http-port", "--http HOST:PORT" },
	{ "model-control-mode", "--set repository.explicit=true|false" },
	{ "strict-readiness", "--set repository.readiness=all|any|none" },
	{ "log-verbose", "--set server.log_level=debug" },
	{ "log_level", "--set server.log_level=LEVEL" },
};

/* While arguments are read. */
struct reading {
	struct arena *arena;
	struct command_line *line;
	const char **roots, **libraries;
	int n_roots, n_libraries;
	struct command_set **tail;
};

static enum err_code add_set(struct reading *r, struct command_set set, struct err *err)
{
	struct command_set *s = ARENA_NEW(r->arena, struct command_set);
	if (!s)
		return err_oom(err);
	*s = set;
	*r->tail = s;
	r->tail = &s->next;
	return ERR_OK;
}

/* NAME=PATH; the first "=", since a name has none and a path may. */
static enum err_code add_model(struct reading *r, const char *arg, struct err *err)
{
	const char *eq = strchr(arg, '=');
	if (!eq || eq == arg || !eq[1])
		return err_set(
			err, ERR_INVALID_ARGUMENT, "--model %s: not of the form NAME=PATH", arg);
	char *name = arena_strndup(r->arena, arg, (size_t)(eq - arg));
	if (!name)
		return err_oom(err);
	return add_set(r, (struct command_set){ .section = "model", .name = name, .key = "path",
		.value = eq + 1 },
		err);
}

/* SECTION.KEY=VALUE, or SECTION NAME.KEY=VALUE; a name may have dots, a key has none. */
static enum err_code add_any(struct reading *r, const char *arg, struct err *err)
{
	const char *eq = strchr(arg, '=');
	const char *dot = eq ? memrchr(arg, '.', (size_t)(eq - arg)) : NULL;
	if (!dot)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"--set %s: not of the form SECTION.KEY=VALUE", arg);
	char *section = arena_strndup(r->arena, arg, (size_t)(dot - arg));
	char *key = arena_strndup(r->arena, dot + 1, (size_t)(eq - dot - 1));
	if (!section || !key)
		return err_oom(err);
	char *name = strchr(section, ' ');
	if (name)
		*name++ = '\0';
	return add_set(r, (struct command_set){ .section = section, .name = name, .key = key,
		.value = eq + 1 },
		err);
}

static enum err_code take(struct reading *r, const struct flag *f, const char *arg, struct err *err)
{
	switch (f->kind) {
	case FLAG_COMMAND:
		r->line->command = f->command;
		return ERR_OK;
	case FLAG_CONFIG:
		r->line->config = arg;
		return ERR_OK;
	case FLAG_ROOT:
		r->roots[r->n_roots++] = arg;
		return ERR_OK;
	case FLAG_LIBRARY:
		r->libraries[r->n_libraries++] = arg;
		return ERR_OK;
	case FLAG_MODEL:
		return add_model(r, arg, err);
	case FLAG_SET:
		return add_any(r, arg, err);
	case FLAG_OPTION:
		break;
	}
	return add_set(r, (struct command_set){ .section = f->section, .key = f->key,
		.value = arg }, err);
}

static enum err_code no_flag(const char *arg, struct err *err)
{
	struct near n;
	const char *name = arg + strspn(arg, "-");
	struct slice word = { name, strcspn(name, "=") };
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		if (slice_is(word, foreign[i].name))
			return err_set(err, ERR_INVALID_ARGUMENT,
				"there is no option --%s; here it is %s", foreign[i].name,
				foreign[i].ours);
	near_init(&n, word);
	for (size_t i = 0; i < FLAGS_N; i++)
		near_offer(&n, flags[i].name);
	return err_set(
		err, ERR_INVALID_ARGUMENT, "there is no option %s%s", arg, near_hint(&n, "--"));
}

enum err_code command_line_parse(
	int argc, char **argv, struct arena *arena, struct command_line *ret, struct err *err)
{
	struct option options[FLAGS_N + 1] = { 0 };
	for (size_t i = 0; i < FLAGS_N; i++)
		options[i] = (struct option){ .name = flags[i].name,
			.has_arg = flags[i].arg != NULL };
	*ret = (struct command_line){ .command = COMMAND_SERVE };
	struct reading r = { .arena = arena, .line = ret,
		.tail = (struct command_set **)&ret->sets };
	r.roots = ARENA_ARRAY(arena, const char *, (size_t)argc + 1);
	r.libraries = ARENA_ARRAY(arena, const char *, (size_t)argc + 1);
	if (!r.roots || !r.libraries)
		return err_oom(err);
	ret->roots = r.roots;
	ret->op_libraries = r.libraries;

	optind = 0; /* from the start, also when it is not the first time */
	opterr = 0;
	for (;;) {
		int at = optind ? optind : 1, which;
		int c = getopt_long(argc, argv, "+:h", options, &which);
		if (c == -1)
			break;
		if (c == 'h') {
			ret->command = COMMAND_HELP;
			continue;
		}
		if (c == ':')
			return err_set(err, ERR_INVALID_ARGUMENT, "%s needs a value", argv[at]);
		if (c != 0)
			return no_flag(argv[at], err);
		enum err_code rc = take(&r, &flags[which], optarg, err);
		if (rc != ERR_OK)
			return rc;
	}
	if (optind < argc)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"'%s' is not expected: all options begin with --", argv[optind]);
	return ERR_OK;
}

void command_line_help(struct buf *to)
{
	buf_str(to, "usage: signetd --model-root DIR [OPTION]...\n"
		    "Serves the ONNX models beneath DIR over HTTP and gRPC.\n\n");
	for (size_t i = 0; i < FLAGS_N; i++) {
		const struct flag *f = &flags[i];
		buf_printf(
			to, "  --%s%s%s\n      ", f->name, f->arg ? " " : "", f->arg ? f->arg : "");
		if (f->kind == FLAG_OPTION) {
			const struct conf_option *o =
				conf_find_option(config_sections, f->section, f->key);
			buf_printf(to, "%s Default: %s.\n", o->help, o->init);
		} else {
			buf_printf(to, "%s\n", f->help);
		}
	}
}
