/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration file of the daemon: parsed, or refused with its place. */
#include <stdlib.h>
#include "server/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *const roots[] = { "/models", NULL };
	const struct command_line line = { .roots = roots };
	struct config *config;
	struct err err;
	enum err_code rc = config_load_text(
		&line, (struct slice){ (const char *)data, size }, "f", &config, &err);
	if (rc == ERR_OK) {
		check(config->repo.roots[0] && config->http->body_max >= 1024);
		for (int i = 0; i < config->repo.n_models; i++)
			check(config->repo.models[i].max_batch >= 1 &&
				config->repo.models[i].name[0]);
		config_free(config);
	} else {
		check(err.code == rc &&
			(rc == ERR_RESOURCE_EXHAUSTED || strncmp(err.msg, "f:", 2) == 0));
	}
	return 0;
}
