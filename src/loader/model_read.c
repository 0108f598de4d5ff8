/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/model_read.h"

#include "base/slice.h"
#include "loader/foreign.h"
#include "loader/native/native.h"
#include "loader/onnx/onnx.h"

static enum err_code read_onnx(int dirfd, const char *file, const struct version_conf *conf,
	struct arena *arena, struct model *ret, struct err *err)
{
	struct onnx_limits limits = {.memory_bytes_max = conf->memory_bytes_max,
		.allow_hardlinks = conf->allow_hardlinks};
	struct onnx_model m = {0};
	enum err_code rc = onnx_read(dirfd, file, &limits, arena, &m, err);
	const char *advice = rc == ERR_INVALID_ARGUMENT ? foreign_advice(file) : NULL;
	if (advice)
		return err_prefix(err, "%s %s", file, advice);
	if (rc == ERR_OK)
		*ret = (struct model){m.graph, m.prop, m.n_prop, "onnx_onnxv1", false};
	return rc;
}

/* Kernels that are exact cannot undo what passes have rounded; the other way round is fine. */
static enum err_code read_native(int dirfd, const char *file, const struct version_conf *conf,
	struct packs *packs, struct arena *arena, struct model *ret, struct err *err)
{
	struct native_conf nc = {.backend = backend_host(conf->backend),
		.packs = packs,
		.choices = conf->choices,
		.pool = conf->pool,
		/* Configured signatures, and graphs that are lowered for a device, may
		   read any weight, not only packed ones. */
		.packed_only = conf->n_sig == 0 && !conf->device && !conf->backend->device &&
			!conf->keep_weights,
		.may_lend = !conf->device && !conf->backend->device,
		.memory_bytes_max = conf->memory_bytes_max};
	struct native_model m;
	enum err_code rc = native_read(dirfd, file, &nc, arena, &m, err);
	if (rc != ERR_OK)
		return rc;
	if (conf->precision == PRECISION_EXACT && m.precision != PRECISION_EXACT)
		return err_set(err, ERR_FAILED_PRECONDITION,
			"%s was compiled with precision fast, the model is to have exact: compile "
			"it with --precision exact",
			file);
	*ret = (struct model){m.graph, m.prop, m.n_prop, "signet_native", true};
	return ERR_OK;
}

enum err_code model_read(int dirfd, const char *file, const struct version_conf *conf,
	struct packs *packs, struct arena *arena, struct model *ret, struct err *err)
{
	if (slice_ends(slice_of(file), ".signet"))
		return read_native(dirfd, file, conf, packs, arena, ret, err);
	return read_onnx(dirfd, file, conf, arena, ret, err);
}
