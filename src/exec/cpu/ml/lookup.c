/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/cpu/ml/lookup.h"

#include <math.h>
#include "base/hash.h"

/* A key as what is hashed and compared: its bits, or the bytes of a string. */
struct key {
	uint64_t bits;
	struct slice bytes;
};

static struct key key_at(const struct tensor *t, int64_t i)
{
	struct key k = { 0 };
	if (t->dtype == DTYPE_STRING) {
		k.bytes = ((const struct slice *)t->data)[i];
	} else if (dtype_in(t->dtype, T_REAL)) {
		double v = tensor_float(t, i);
		v = isnan(v) ? (double)NAN : v == 0 ? 0 : v;
		memcpy(&k.bits, &v, sizeof(k.bits));
	} else {
		k.bits = (uint64_t)tensor_int(t, i);
	}
	return k;
}

static bool key_equal(struct key a, struct key b)
{
	return a.bits == b.bits && slice_eq(a.bytes, b.bytes);
}

/* The slot that has the key, or the empty one where it belongs. */
static int32_t *find_slot(const struct lookup *l, struct key k)
{
	uint64_t at = hash_slice(k.bytes, k.bits) & l->mask;
	while (l->slot[at] && !key_equal(key_at(&l->keys, l->slot[at] - 1), k))
		at = (at + 1) & l->mask;
	return &l->slot[at];
}

enum err_code
lookup_init(struct lookup *l, struct prep *p, const struct tensor *keys, struct err *err)
{
	int64_t n = tensor_count(keys), size = 4;
	if (n > INT32_MAX / 4)
		return err_oom(err);
	while (size < 2 * n)
		size *= 2;
	*l = (struct lookup){ .keys = *keys, .mask = (uint64_t)size - 1,
		.slot = prep_alloc(p, (size_t)size * sizeof(*l->slot)) };
	if (!l->slot)
		return err_oom(err);
	for (int64_t i = 0; i < n; i++)
		*find_slot(l, key_at(keys, i)) = (int32_t)i + 1;
	return ERR_OK;
}

int64_t lookup_element(const struct lookup *l, const struct tensor *t, int64_t i)
{
	return *find_slot(l, key_at(t, i)) - 1;
}

int64_t lookup_int(const struct lookup *l, int64_t key)
{
	return *find_slot(l, (struct key){ .bits = (uint64_t)key }) - 1;
}
