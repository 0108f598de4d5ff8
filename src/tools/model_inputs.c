/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/model_inputs.h"

#include <stdio.h>

/* "a, b, c", as far as there is room. */
static void list_names(const struct model_io *io, int n, char *buf, size_t size)
{
	size_t len = 0;
	*buf = '\0';
	for (int i = 0; i < n && len < size; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s%s", i ? ", " : "", io[i].name);
}

enum err_code model_inputs_check_names(const struct model_io *io, int n,
	const struct args_list *given, const char *option, struct err *err)
{
	for (int i = 0; i < given->n; i++) {
		struct slice name;
		const char *value;
		char names[200];
		TRY(args_split(option, given->item[i], &name, &value, err));
		if (model_info_find(io, n, name) >= 0)
			continue;
		list_names(io, n, names, sizeof(names));
		return err_set(err, ERR_INVALID_ARGUMENT,
			"%s: '%.*s' is not one of the model's, which are: %s", option,
			SLICE_ARG(name), names);
	}
	return ERR_OK;
}

enum err_code model_inputs_check(const struct model_info *m, const struct model_inputs_conf *conf,
	struct err *err)
{
	TRY(model_inputs_check_names(m->in, m->n_in, conf->file, "--input", err));
	return model_inputs_check_names(m->in, m->n_in, conf->shape, "--shape", err);
}

static enum err_code choose_shape(const struct model_io *io, const struct model_inputs_conf *conf,
	struct shape *ret, struct err *err)
{
	if (type_carrier(&io->type) == DTYPE_TENSOR)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"input '%s' is a sequence or map: give it with --input '%s=FILE.pb'",
			io->name, io->name);
	const char *given = args_value(conf->shape, io->name);
	if (given)
		return args_shape("--shape", given, ret, err);
	*ret = io->shape;
	if (ret->rank > 0 && ret->dim[0] == DIM_UNKNOWN)
		ret->dim[0] = conf->batch;
	if (shape_is_static(ret))
		return ERR_OK;
	return err_set(err, ERR_INVALID_ARGUMENT,
		"input '%s' has shape %s: give it with --shape '%s=...' or --input '%s=FILE'",
		io->name, SHAPE_TEXT(&io->shape), io->name, io->name);
}

enum err_code model_inputs_make(const struct model_info *m, const struct model_inputs_conf *conf,
	struct rng *rng, struct arena *arena, struct tensor *ret, struct err *err)
{
	for (int i = 0; i < m->n_in; i++) {
		const char *file = args_value(conf->file, m->in[i].name);
		struct shape shape;
		enum err_code rc;
		if (file) {
			rc = conf->read(&m->in[i], file, arena, &ret[i], err);
		} else if (m->in[i].type.is_optional) {
			ret[i] = tensor_absent();
			rc = ERR_OK;
		} else {
			rc = choose_shape(&m->in[i], conf, &shape, err);
			if (rc == ERR_OK)
				rc = values_new(m->in[i].dtype, &shape, arena, &ret[i], err);
			if (rc == ERR_OK)
				values_random(&ret[i], rng);
		}
		if (rc != ERR_OK)
			return rc;
	}
	return ERR_OK;
}
