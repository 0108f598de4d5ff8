/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/infer/ml/tree_draft.h"

#include <inttypes.h>
#include <stdio.h>

enum err_code tree_draft_fail(struct tree_draft *d, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	enum err_code rc = err_vset(d->err, ERR_INVALID_ARGUMENT, fmt, ap);
	va_end(ap);
	return rc;
}

enum err_code tree_draft_want_count(
	struct tree_draft *d, const char *name, int64_t is, int64_t want)
{
	if (is == want)
		return ERR_OK;
	return tree_draft_fail(
		d, "%s has %" PRId64 " elements, %" PRId64 " are needed", name, is, want);
}

enum err_code tree_draft_ints(
	struct tree_draft *d, const char *name, int32_t want, const int64_t **ret)
{
	int32_t n;
	*ret = node_ints(d->n, name, &n);
	return tree_draft_want_count(d, name, n, want);
}

enum err_code tree_draft_maybe_ints(
	struct tree_draft *d, const char *name, int32_t want, const int64_t **ret)
{
	int32_t n;
	*ret = node_ints(d->n, name, &n);
	if (n == 0)
		*ret = NULL;
	return n == 0 ? ERR_OK : tree_draft_want_count(d, name, n, want);
}

enum err_code tree_draft_check_reals(
	struct tree_draft *d, const char *name, const struct tensor *t, uint64_t types)
{
	if (t->shape.rank > 1 || !dtype_in(t->dtype, types))
		return tree_draft_fail(d,
			"%s is %s %s, it must be a list of floating-point numbers", name,
			dtype_name(t->dtype), SHAPE_TEXT(&t->shape));
	return ERR_OK;
}

enum err_code tree_draft_reals(struct tree_draft *d, const char *name, struct tensor *ret)
{
	char as_tensor[48];
	int32_t n;
	snprintf(as_tensor, sizeof(as_tensor), "%s_as_tensor", name);
	const float *floats = node_floats(d->n, name, &n);
	const struct tensor *t = node_tensor(d->n, as_tensor);
	*ret = (struct tensor){
		.data = (void *)(uintptr_t)floats, .dtype = DTYPE_F32, .shape = shape_of(n)};
	if (!t)
		return ERR_OK;
	if (n)
		return tree_draft_fail(d, "%s and %s exclude each other", name, as_tensor);
	*ret = *t;
	return tree_draft_check_reals(d, as_tensor, t, T_REAL);
}

enum err_code tree_draft_add_vote(struct tree_draft *d, int32_t i, int64_t target, double weight)
{
	if (target < 0 || target >= d->m->n_target)
		return tree_draft_fail(
			d, "weight %d is for target %" PRId64 " of %d", i, target, d->m->n_target);
	d->m->vote[i] = (struct tree_vote){.weight = weight, .target = (int32_t)target};
	return ERR_OK;
}
