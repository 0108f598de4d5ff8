/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/version.h"

#include <assert.h>
#include <stdlib.h>
#include "exec/packs.h"

void version_ref(struct version *v)
{
	atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
}

void version_release(struct version *v)
{
	if (atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (v->on_last_release)
		v->on_last_release(v);
	else
		version_free(v);
}

void version_free(struct version *v)
{
	if (!v)
		return;
	for (int i = 0; i < v->n_sig; i++)
		program_free(v->sig[i].program);
	packs_free(v->packs);
	arena_free(v->arena);
	free(v);
}

struct signature *version_signature(const struct version *v, struct slice name)
{
	if (name.len == 0)
		name = slice_of(SIGNATURE_DEFAULT);
	for (int i = 0; i < v->n_sig; i++)
		if (slice_is(name, v->sig[i].name))
			return &v->sig[i];
	return NULL;
}
