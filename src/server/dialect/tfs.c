/* SPDX-License-Identifier: Apache-2.0 */
#include "server/dialect/tfs.h"

enum err_code tfs_not_found(
	enum err_code rc, struct slice model, const struct version_spec *spec, struct err *err)
{
	if (rc != ERR_NOT_FOUND)
		return rc;
	switch (spec->pick) {
	case VERSION_PICK_LATEST:
		return err_set(err, rc, "Servable not found for request: Latest(%.*s)",
			SLICE_ARG(model));
	case VERSION_PICK_NUMBER:
		return err_set(err, rc, "Servable not found for request: Specific(%.*s, %lld)",
			SLICE_ARG(model), (long long)spec->number);
	case VERSION_PICK_LABEL:
		break;
	}
	return err_set(err, ERR_INVALID_ARGUMENT, "Unrecognized servable version label: %.*s",
		SLICE_ARG(spec->label));
}

/* A version that is not to be served was never heard of: who waits until all are AVAILABLE
   would wait for it in vain. */
static bool is_known(const struct version_status *v)
{
	return v->number >= 0 && !(v->aside && v->state == VERSION_FOUND);
}

enum err_code tfs_versions(struct registry *r, struct slice model, const struct version_spec *spec,
	struct arena *arena, struct version_status **ret, int *ret_n, struct err *err)
{
	struct version_status *list;
	bool one = spec->pick == VERSION_PICK_NUMBER && spec->number != 0;
	int n, kept = 0;
	enum err_code rc = registry_list(r, &model, arena, &list, &n, err);
	if (rc != ERR_OK && rc != ERR_NOT_FOUND)
		return rc;
	for (int i = 0; rc == ERR_OK && i < n; i++)
		if (is_known(&list[i]) && (!one || list[i].number == spec->number))
			list[kept++] = list[i];
	if (one && !kept)
		return err_set(err, ERR_NOT_FOUND, "Could not find version %lld of model %.*s",
			(long long)spec->number, SLICE_ARG(model));
	if (!kept)
		return err_set(err, ERR_NOT_FOUND, "Could not find any versions of model %.*s",
			SLICE_ARG(model));
	*ret = list;
	*ret_n = kept;
	return ERR_OK;
}
