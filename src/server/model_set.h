/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_set.h -- the models that a client says are to be served, and no others
 *
 * Life of a version: [WHAT IS WANTED] -> watch -> load -> ... -> drain -> unload
 *
 * A set says of each model its name, where it is, which versions, which labels; the rest is
 * as the configuration has it for a model of that name. No client chooses a path: where a
 * model is must be right beneath one of the configured roots, or be the path of a configured
 * model.
 *
 * Memory: the arena given. Threads: any, but it waits and looks at the disk.
 */
#pragma once

#include "loader/repo/repo.h"

/* Completes the models in place and makes *ret of base with these alone. path NULL: the
   model's configured one, or the one beneath a root. INVALID_ARGUMENT, NOT_FOUND: nothing
   has changed but in *model. */
MUST_CHECK enum err_code model_set_conf(const struct repo_conf *base, struct model_conf *model,
	int n, struct arena *arena, struct repo_conf *ret, struct err *err);

/* Once the repository has it: waits until each model is ready or has failed. The first
   failure; FAILED_PRECONDITION: a label is that of a version which is not ready. */
MUST_CHECK enum err_code model_set_await(struct repo *repo, const struct model_conf *model, int n,
	struct arena *arena, struct err *err);
