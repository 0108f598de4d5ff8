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

#define SERVER_DEFAULT "http://localhost:8000"

static const struct command {
	const char *name;
	enum err_code (*run)(struct ctl *c, struct err *err);
	bool needs_server;
	const char *args, *help;
} commands[] = {
	{ "status", ctl_status, true, "", "is the server ready, what does it serve" },
	{ "models", ctl_models, true, "", "every version of every model and its state" },
	{ "show", ctl_show, true, "MODEL", "versions, signatures, inputs and outputs of a model" },
	{ "predict", ctl_predict, true, "MODEL [REQUEST.json | --input NAME=VALUE...]", "ask a model" },
	{ "load", ctl_load, true, "MODEL", "load what the model's directory holds" },
	{ "unload", ctl_unload, true, "MODEL", "drain the model and forget it" },
	{ "explain", ctl_explain, false, "MODEL.onnx", "what the passes do, and which kernel runs where" },
	{ "validate", ctl_validate, false, "PATH...", "would the server load these files, versions, models or roots" },
	{ "compile", ctl_compile, false, "MODEL.onnx -o FILE", "write it as a file that loads without parsing" },
	{ "import", ctl_import, false, "FILE...",
		"config.pbtxt, models.config or config.json of other servers as a signetd.conf" },
	{ "run", ctl_run, false, "MODEL.onnx [--input NAME=FILE]... [--output NAME=FILE]...", "execute a model here" },
	{ "test", ctl_test, false, "CASE_DIR...", "run ONNX test cases" },
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void usage(FILE *to)
{
	fputs("usage: signetctl [--server URL] COMMAND ...\n\n", to);
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		fprintf(to, "  %-9s %s%s\n", commands[i].name, commands[i].help,
			commands[i].needs_server ? "" : " (no server needed)");
	fprintf(to,
		"\nURL is http://HOST:PORT or unix:PATH; default: $SIGNET_SERVER, or %s.\n"
		"\"signetctl COMMAND --help\" says what a command takes; --version, which one this is.\n",
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

/* Takes "--server URL" and "--server=URL" out of the arguments, wherever they stand before "--".
   *server NULL: the URL is missing. */
static void take_server(int *argc, char **argv, const char **server)
{
	int n = 0, i = 0;
	for (; i < *argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--server") == 0)
			*server = i + 1 < *argc ? argv[++i] : NULL;
		else if (strncmp(argv[i], "--server=", 9) == 0)
			*server = argv[i] + 9;
		else
			argv[n++] = argv[i];
	}
	while (i < *argc)
		argv[n++] = argv[i++];
	*argc = n;
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

static int run_command(const struct command *cmd, const char *server, int argc, char **argv)
{
	struct err err = { 0 };
	struct ctl c = { .name = cmd->name, .args = cmd->args, .argc = argc, .argv = argv };
	c.arena = arena_new(1 << 20, 0);
	enum err_code rc = c.arena ? ERR_OK : err_oom(&err);
	if (rc == ERR_OK && cmd->needs_server)
		rc = http_url_parse(server, &c.url, &err);
	if (rc == ERR_OK)
		rc = cmd->run(&c, &err);
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
	return cmd ? run_command(cmd, SERVER_DEFAULT, 2, asks) : no_command(asks[0]);
}

int main(int argc, char **argv)
{
	const char *server = getenv("SIGNET_SERVER");
	server = server && *server ? server : SERVER_DEFAULT;
	take_server(&argc, argv, &server);
	const char *name = argc > 1 ? argv[1] : "";
	signal(SIGPIPE, SIG_IGN);
	if (!server) {
		fputs("signetctl: --server needs a URL\nTry signetctl --help.\n", stderr);
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
		return run_command(cmd, server, argc - 1, argv + 1);
	if (*name)
		return no_command(name);
	usage(stderr);
	return 2;
}
