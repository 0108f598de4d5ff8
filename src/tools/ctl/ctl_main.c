/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl_main.c -- signetctl: looks at a running server, and at models without one
 */
#include <config.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/near.h"
#include "exec/op_library.h"
#include "tools/ctl/ctl.h"

#define SERVER_DEFAULT "http://127.0.0.1:8000"

/* Whom to ask, and how: options of all commands that need a server. */
static struct {
	const char *url;
	struct client_tls_conf tls;
} server;

static const struct args_option server_options[] = {
	{ "server", ARGS_TEXT, &server.url, "URL",
		"http://HOST:PORT, https://HOST:PORT or unix:PATH; default: $SIGNET_SERVER" },
	CLIENT_TLS_OPTIONS(&server.tls),
	{ 0 },
};

static const struct command {
	const char *name;
	enum err_code (*run)(struct ctl *c, struct err *err);
	bool needs_server;
	const char *args, *help;
} commands[] = {
	{ "status", ctl_status, true, "", "is the server ready, what does it serve" },
	{ "models", ctl_models, true, "", "every version of every model and its state" },
	{ "show", ctl_show, true, "MODEL", "versions, signatures, inputs and outputs of a model" },
	{ "predict", ctl_predict, true, "MODEL [REQUEST.json | --input NAME=VALUE...]",
		"ask a model" },
	{ "load", ctl_load, true, "MODEL", "load what the model's directory holds" },
	{ "unload", ctl_unload, true, "MODEL", "drain the model and forget it" },
	{ "explain", ctl_explain, false, "MODEL.onnx",
		"what the passes do, and which kernel runs where" },
	{ "validate", ctl_validate, false, "PATH...",
		"would the server load these files, versions, models or roots" },
	{ "compile", ctl_compile, false, "MODEL.onnx -o FILE",
		"write it as a file that loads without parsing" },
	{ "import", ctl_import, false, "FILE...",
		"config.pbtxt, models.config or config.json of other servers as a signetd.conf" },
	{ "run", ctl_run, false, "MODEL.onnx [--input NAME=FILE]... [--output NAME=FILE]...",
		"execute a model here" },
	{ "test", ctl_test, false, "CASE_DIR...", "run ONNX test cases" },
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void usage(FILE *to)
{
	fputs("usage: signetctl [--server URL] COMMAND ...\n\n", to);
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		fprintf(to, "  %-9s %s%s\n", commands[i].name, commands[i].help,
			commands[i].needs_server ? "" : " (no server needed)");
	fputc('\n', to);
	args_help(to, server_options);
	fprintf(to,
		"\nWithout a URL the server is %s.\n"
		"\"signetctl COMMAND --help\" says what a command takes; --version, which one this "
		"is.\n",
		SERVER_DEFAULT);
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (strcmp(name, commands[i].name) == 0)
			return &commands[i];
	return NULL;
}

static int no_command(const char *name)
{
	struct near n;
	near_init(&n, slice_of(name));
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		near_offer(&n, commands[i].name);
	fprintf(stderr, "signetctl: '%s' is no command%s\nTry signetctl --help.\n", name,
		near_hint(&n, ""));
	return 2;
}

static bool is_help(const char *arg)
{
	return strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0;
}

enum err_code ctl_options(struct ctl *c, const struct args_option *options, int min, int max,
	struct err *err)
{
	for (int i = 1; i < c->argc; i++) {
		if (!is_help(c->argv[i]))
			continue;
		printf("usage: signetctl %s%s%s\n", c->name, *c->args ? " " : "", c->args);
		args_help(stdout, options);
		exit(EXIT_SUCCESS);
	}
	c->usage = true;
	enum err_code rc = args_parse(c->argc, c->argv, options, &c->argc, err);
	if (rc != ERR_OK)
		return rc;
	if (c->argc - 1 < min || c->argc - 1 > max)
		return err_set(err, ERR_INVALID_ARGUMENT, "usage: signetctl %s%s%s", c->name,
			*c->args ? " " : "", c->args);
	c->usage = false;
	for (int i = 0; rc == ERR_OK && i < c->libraries.n; i++)
		rc = op_library_load(c->libraries.item[i], err);
	return rc;
}

static int run_command(const struct command *cmd, int argc, char **argv)
{
	struct err err = { 0 };
	struct ctl c = { .name = cmd->name, .args = cmd->args, .argc = argc, .argv = argv };
	c.arena = arena_new(1 << 20, 0);
	enum err_code rc = c.arena ? ERR_OK : err_oom(&err);
	if (rc == ERR_OK && cmd->needs_server)
		rc = http_url_parse(server.url, &c.url, &err);
	if (rc == ERR_OK && cmd->needs_server)
		rc = http_url_secure(&c.url, &server.tls, &err);
	if (rc == ERR_OK)
		rc = cmd->run(&c, &err);
	http_url_done(&c.url);
	arena_free(c.arena);
	if (rc == ERR_OK && (fflush(stdout) != 0 || ferror(stdout)))
		rc = err_set(&err, ERR_INTERNAL, "cannot write the result");
	if (rc == ERR_OK)
		return EXIT_SUCCESS;
	fflush(stdout);
	fprintf(stderr, "signetctl %s: %s\n", cmd->name, err.msg);
	return c.usage ? 2 : EXIT_FAILURE;
}

/* "help COMMAND" is "COMMAND --help". */
static int help(int argc, char **argv)
{
	char *asks[] = { argv[argc - 1], "--help", NULL };
	if (argc < 2) {
		usage(stdout);
		return EXIT_SUCCESS;
	}
	const struct command *cmd = find_command(asks[0]);
	return cmd ? run_command(cmd, 2, asks) : no_command(asks[0]);
}

int main(int argc, char **argv)
{
	struct err err;
	const char *usual = getenv("SIGNET_SERVER");
	server.url = usual && *usual ? usual : SERVER_DEFAULT;
	enum err_code rc = args_take(&argc, argv, server_options, &err);
	const char *name = argc > 1 ? argv[1] : "";
	signal(SIGPIPE, SIG_IGN);
	if (rc != ERR_OK) {
		fprintf(stderr, "signetctl: %s\nTry signetctl --help.\n", err.msg);
		return 2;
	}
	if (strcmp(name, "--version") == 0) {
		puts("signetctl " PACKAGE_VERSION);
		return EXIT_SUCCESS;
	}
	if (is_help(name) || strcmp(name, "help") == 0)
		return help(argc - 1, argv + 1);
	const struct command *cmd = find_command(name);
	if (cmd)
		return run_command(cmd, argc - 1, argv + 1);
	if (*name)
		return no_command(name);
	usage(stderr);
	return 2;
}
