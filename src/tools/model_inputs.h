/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_inputs.h -- one set of inputs for a model that a server describes
 *
 * From files where they are named, else made up.
 *
 * Ownership: tensors live in the arena.
 * Threads:   any; nothing is shared.
 */
#pragma once

#include "tools/args.h"
#include "tools/model_info.h"
#include "tools/values.h"

struct model_inputs_conf {
	const struct args_list *file;  /* NAME=FILE, or what read() takes for one */
	const struct args_list *shape; /* NAME=2,3, for what is made up */
	int64_t batch;                 /* a leading dimension that varies, of what is made up */
	enum err_code (*read)(const struct model_io *io, const char *file, struct arena *arena,
		struct tensor *ret, struct err *err);
};

/* Every NAME= given is one of these inputs or outputs. */
MUST_CHECK enum err_code model_inputs_check_names(const struct model_io *io, int n,
	const struct args_list *given, const char *option, struct err *err);

/* Every name given is one of the model's inputs. */
MUST_CHECK enum err_code model_inputs_check(const struct model_info *m,
	const struct model_inputs_conf *conf, struct err *err);

/* ret: m->n_in tensors. INVALID_ARGUMENT names the input whose shape must be given. */
MUST_CHECK enum err_code model_inputs_make(const struct model_info *m,
	const struct model_inputs_conf *conf, struct rng *rng, struct arena *arena,
	struct tensor *ret, struct err *err);
