/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/onnx/onnx_map.h"

#include "base/hash.h"

#define SLOTS_MIN 16u

/* Where key is, or where it would go. */
static struct onnx_map_slot *find_slot(const struct onnx_map *m, struct slice key)
{
	uint32_t mask = m->n_slot - 1;
	uint32_t i = (uint32_t)hash_slice(key, (uintptr_t)m->slot) & mask;
	while (m->slot[i].key.ptr && !slice_eq(m->slot[i].key, key))
		i = (i + 1) & mask;
	return &m->slot[i];
}

int32_t onnx_map_find(const struct onnx_map *m, struct slice key)
{
	if (m->n == 0)
		return -1;
	const struct onnx_map_slot *s = find_slot(m, key);
	return s->key.ptr ? s->value : -1;
}

static bool grow(struct onnx_map *m)
{
	struct onnx_map old = *m;
	uint32_t n = old.n_slot ? old.n_slot * 2 : SLOTS_MIN;
	struct onnx_map_slot *slot = ARENA_ARRAY(m->arena, struct onnx_map_slot, n);
	if (n < old.n_slot || !slot)
		return false;
	m->slot = slot;
	m->n_slot = n;
	for (uint32_t i = 0; i < old.n_slot; i++)
		if (old.slot[i].key.ptr)
			*find_slot(m, old.slot[i].key) = old.slot[i];
	return true;
}

enum err_code onnx_map_add(struct onnx_map *m, struct slice key, int32_t value, bool *ret_new)
{
	if (m->n_slot - m->n <= m->n_slot / 4 && !grow(m))
		return ERR_RESOURCE_EXHAUSTED;
	struct onnx_map_slot *s = find_slot(m, key);
	*ret_new = !s->key.ptr;
	if (*ret_new) {
		*s = (struct onnx_map_slot){ .key = key, .value = value };
		m->n++;
	}
	return ERR_OK;
}
