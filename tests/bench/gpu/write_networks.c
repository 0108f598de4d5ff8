/* SPDX-License-Identifier: Apache-2.0 */
/*
 * write_networks.c -- networks.h's as compiled models, for a daemon that is to be measured
 *
 * usage: write_networks DIR NAME...      makes DIR/NAME/1/model.signet, for batches of any size
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "bench/gpu/networks.h"
#include "exec/cpu/cpu.h"
#include "exec/infer/infer.h"
#include "exec/pass/passes.h"
#include "loader/native/native.h"
#include "support/models.h"

static enum err_code build(
	const struct network *n, struct graph *g, struct file_mem *ret, struct err *err)
{
	struct passes_opts passes = passes_opts_for(&cpu_backend, PRECISION_FAST);
	model_output(g, n->build(g, DIM_UNKNOWN));
	TRY(infer_graph(g, err));
	TRY(passes_run(g, &passes, err));
	struct native_model m = { .graph = g, .precision = PRECISION_FAST };
	struct native_conf conf = { .backend = &cpu_backend };
	return native_format(&m, &conf, ret, err);
}

static enum err_code write_model(const char *dir, const struct network *n, struct err *err)
{
	char path[4096];
	struct graph *g = model_new();
	struct file_mem data = { 0 };
	int dirfd = -1;
	enum err_code rc = build(n, g, &data, err);
	snprintf(path, sizeof(path), "%s/%s", dir, n->name);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/%s/1", dir, n->name);
	mkdir(path, 0755);
	if (rc == ERR_OK && (dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		rc = err_set(err, ERR_NOT_FOUND, "%s cannot be made", path);
	if (rc == ERR_OK)
		rc = file_write_atomic(dirfd, "model.signet", data.ptr, data.bytes, 0644, err);
	if (dirfd >= 0)
		close(dirfd);
	file_mem_free(&data);
	model_free(g);
	return rc;
}

static const struct network *find(const char *name)
{
	for (int i = 0; i < networks_count; i++)
		if (strcmp(networks[i].name, name) == 0)
			return &networks[i];
	return NULL;
}

int main(int argc, char **argv)
{
	struct err err = { 0 };
	if (argc < 3)
		return fprintf(stderr, "usage: write_networks DIR NAME...\n"), 2;
	for (int i = 2; i < argc; i++) {
		const struct network *n = find(argv[i]);
		if (!n)
			return fprintf(stderr, "write_networks: no network '%s'\n", argv[i]), 2;
		if (write_model(argv[1], n, &err) != ERR_OK)
			return fprintf(stderr, "write_networks: %s: %s\n", argv[i], err.msg), 1;
	}
	return 0;
}
