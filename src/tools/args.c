/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/args.h"

#include <string.h>

#include "base/near.h"
#include "base/parse.h"

static const struct args_option *find_option(const struct args_option *o, struct slice name)
{
	while (o->name && !slice_is(name, o->name))
		o++;
	return o->name ? o : NULL;
}

static enum err_code set_option(const struct args_option *o, const char *text, struct err *err)
{
	switch (o->kind) {
	case ARGS_FLAG:
		*(bool *)o->to = true;
		return ERR_OK;
	case ARGS_TEXT:
		*(const char **)o->to = text;
		return ERR_OK;
	case ARGS_COUNT:
		if (parse_i64(slice_of(text), 0, INT64_MAX, o->to))
			return ERR_OK;
		return err_set(err, ERR_INVALID_ARGUMENT, "--%s '%s': expected a whole number",
			o->name, text);
	case ARGS_POSITIVE:
		if (parse_double(slice_of(text), o->to) && *(double *)o->to > 0)
			return ERR_OK;
		return err_set(err, ERR_INVALID_ARGUMENT, "--%s '%s': expected a number above 0",
			o->name, text);
	case ARGS_LIST:
		break;
	}
	struct args_list *l = o->to;
	if (l->n == ARGS_LIST_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT, "--%s: given more than %d times", o->name,
			ARGS_LIST_MAX);
	l->item[l->n++] = text;
	return ERR_OK;
}

/* "-o": the first row that begins with o. */
static const struct args_option *find_short(const struct args_option *o, const char *arg)
{
	if (arg[0] != '-' || !arg[1] || arg[1] == '-' || arg[2])
		return NULL;
	while (o->name && o->name[0] != arg[1])
		o++;
	return o->name ? o : NULL;
}

static enum err_code no_option(const struct args_option *o, struct slice name, struct err *err)
{
	struct near n;
	near_init(&n, name);
	for (; o->name; o++)
		near_offer(&n, o->name);
	return err_set(err, ERR_INVALID_ARGUMENT, "--%.*s: no such option%s", SLICE_ARG(name),
		near_hint(&n, "--"));
}

/* The option that argv[*i] is, with its value, which may be argv[++*i]. */
static enum err_code take(
	const struct args_option *o, int argc, char **argv, int *i, struct err *err)
{
	const char *text = strchr(argv[*i], '=');
	if (text && o->kind == ARGS_FLAG)
		return err_set(err, ERR_INVALID_ARGUMENT, "--%s takes no value", o->name);
	if (text)
		text++;
	else if (o->kind != ARGS_FLAG && ++*i < argc)
		text = argv[*i];
	if (o->kind != ARGS_FLAG && !text)
		return err_set(err, ERR_INVALID_ARGUMENT, "--%s: %s is missing", o->name, o->value);
	return set_option(o, text, err);
}

/* "--name" of "--name=value"; "" when it is none. */
static struct slice long_name(const char *arg)
{
	if (strncmp(arg, "--", 2) != 0)
		return SLICE_LIT("");
	return (struct slice){ arg + 2, strcspn(arg + 2, "=") };
}

enum err_code args_take(int *argc, char **argv, const struct args_option *options, struct err *err)
{
	int n = 1, i = 1;
	for (; i < *argc && strcmp(argv[i], "--") != 0; i++) {
		struct slice name = long_name(argv[i]);
		const struct args_option *o = name.len ? find_option(options, name) : NULL;
		if (o)
			TRY(take(o, *argc, argv, &i, err));
		else
			argv[n++] = argv[i];
	}
	while (i < *argc)
		argv[n++] = argv[i++];
	*argc = n;
	return ERR_OK;
}

enum err_code args_parse(int argc, char **argv, const struct args_option *options, int *ret_argc,
	struct err *err)
{
	int n = 1, i = 1;
	for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
		const struct args_option *o = find_short(options, argv[i]);
		if (!o && strncmp(argv[i], "--", 2) != 0) {
			argv[n++] = argv[i];
			continue;
		}
		if (!o)
			o = find_option(options, long_name(argv[i]));
		if (!o)
			return no_option(options, long_name(argv[i]), err);
		TRY(take(o, argc, argv, &i, err));
	}
	for (i++; i < argc; i++)
		argv[n++] = argv[i];
	*ret_argc = n;
	return ERR_OK;
}

void args_help(FILE *to, const struct args_option *options)
{
	for (const struct args_option *o = options; o->name; o++)
		fprintf(to, "  --%-13s %-19s %s\n", o->name, o->value ? o->value : "", o->help);
}

enum err_code args_split(const char *option, const char *item, struct slice *ret_name,
	const char **ret_value, struct err *err)
{
	const char *eq = strrchr(item, '=');
	if (!eq || eq == item || !eq[1])
		return err_set(
			err, ERR_INVALID_ARGUMENT, "%s '%s': expected NAME=VALUE", option, item);
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
		if (s.rank == RANK_MAX ||
			!parse_i64((struct slice){ at, n }, 0, INT64_MAX, &s.dim[s.rank]))
			return err_set(err, ERR_INVALID_ARGUMENT,
				"%s '%s': expected at most %d dimensions, as in 2,3", option, text,
				RANK_MAX);
		s.rank++;
		at += n;
	}
	*ret = s;
	return ERR_OK;
}

enum err_code args_precision(const char *text, enum precision *ret, struct err *err)
{
	static const char *const names[PRECISION_COUNT_] = { "fast", "exact", "bf16", "tf32",
		"fp16" };
	*ret = PRECISION_FAST;
	for (int i = 0; i < PRECISION_COUNT_; i++) {
		if (text && strcmp(text, names[i]) != 0)
			continue;
		*ret = (enum precision)i;
		return ERR_OK;
	}
	return err_set(err, ERR_INVALID_ARGUMENT,
		"--precision '%s': expected fast, exact, bf16, tf32 or fp16", text);
}
