/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/args.h"

#include <inttypes.h>

#include "base/parse.h"

enum err_code args_add(struct args_list *l, const char *option, const char *item, struct err *err)
{
	if (l->n == ARGS_LIST_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT, "%s: given more than %d times", option, ARGS_LIST_MAX);
	l->item[l->n++] = item;
	return ERR_OK;
}

enum err_code args_split(const char *option, const char *item, struct slice *ret_name,
	const char **ret_value, struct err *err)
{
	const char *eq = strrchr(item, '=');
	if (!eq || eq == item || !eq[1])
		return err_set(err, ERR_INVALID_ARGUMENT, "%s '%s': expected NAME=VALUE", option, item);
	*ret_name = (struct slice){ item, (size_t)(eq - item) };
	*ret_value = eq + 1;
	return ERR_OK;
}

const char *args_value(const struct args_list *l, const char *name)
{
	for (int i = 0; i < l->n; i++) {
		struct slice n;
		const char *value;
		if (args_split("", l->item[i], &n, &value, NULL) == ERR_OK && slice_is(n, name))
			return value;
	}
	return NULL;
}

enum err_code args_shape(const char *option, const char *text, struct shape *ret, struct err *err)
{
	struct shape s = { .rank = 0 };
	for (const char *at = text; *at; at += *at == ',') {
		size_t n = strcspn(at, ",");
		if (s.rank == RANK_MAX || !parse_i64((struct slice){ at, n }, 0, INT64_MAX, &s.dim[s.rank]))
			return err_set(err, ERR_INVALID_ARGUMENT,
				"%s '%s': expected at most %d dimensions, as in 2,3", option, text, RANK_MAX);
		s.rank++;
		at += n;
	}
	*ret = s;
	return ERR_OK;
}

enum err_code args_int(const char *option, const char *text, int64_t min, int64_t max, int64_t *ret,
	struct err *err)
{
	if (parse_i64(slice_of(text), min, max, ret))
		return ERR_OK;
	return err_set(err, ERR_INVALID_ARGUMENT, "%s '%s': expected a whole number from %" PRId64 " to %" PRId64,
		option, text, min, max);
}

enum err_code args_positive(const char *option, const char *text, double *ret, struct err *err)
{
	if (parse_double(slice_of(text), ret) && *ret > 0)
		return ERR_OK;
	return err_set(err, ERR_INVALID_ARGUMENT, "%s '%s': expected a number above 0", option, text);
}

enum err_code args_check_names(const struct args_list *l, const char *option,
	bool (*is_known)(const void *ctx, struct slice name), const void *ctx, struct err *err)
{
	for (int i = 0; i < l->n; i++) {
		struct slice name;
		const char *value;
		enum err_code rc = args_split(option, l->item[i], &name, &value, err);
		if (rc != ERR_OK)
			return rc;
		if (!is_known(ctx, name))
			return err_set(err, ERR_INVALID_ARGUMENT, "%s: '%.*s' is not one of the model's", option,
				SLICE_ARG(name));
	}
	return ERR_OK;
}
