/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pack.c -- weights in the forms that kernels of the device want, once per version
 */
#include <stdlib.h>
#include <string.h>
#include "exec/gpu/gpu.h"

#define KEY_BYTES_MAX 256

struct source {
	const struct backend *backend;
	size_t bytes;
	pack_fn fill;
	void *ctx;
};

static enum err_code make(void **ret, void *ctx, struct err *err)
{
	const struct source *s = ctx;
	void *host = calloc(1, s->bytes ? s->bytes : 1);
	if (!host)
		return err_oom(err);
	s->fill(host, s->ctx);
	enum err_code rc = s->backend->device->upload(s->backend, host, s->bytes, ret, err);
	free(host);
	return rc;
}

static void drop(void *mem, void *owner)
{
	const struct backend *b = owner;
	b->device->release(b, mem);
}

enum err_code gpu_pack(struct prep *p, const void *key, size_t key_bytes, size_t bytes,
	pack_fn fill, void *ctx, void **ret, struct err *err)
{
	char whole[KEY_BYTES_MAX + sizeof(p->backend)];
	if (key_bytes > KEY_BYTES_MAX)
		return err_set(err, ERR_INTERNAL, "a pack's key of %zu bytes is longer than %d",
			key_bytes, KEY_BYTES_MAX);
	memcpy(whole, key, key_bytes);
	memcpy(whole + key_bytes, &p->backend, sizeof(p->backend));
	struct source s = { p->backend, bytes, fill, ctx };
	struct pack_elsewhere how = { make, &s, drop, (void *)p->backend };
	return packs_get_elsewhere(p->packs, whole, key_bytes + sizeof(p->backend), &how, ret, err);
}

static void fill_constant(void *dst, void *ctx)
{
	const struct tensor *t = ctx;
	memcpy(dst, t->data, tensor_bytes(t));
}

/* The key is plan/place.c's constant_key. */
enum err_code gpu_constant(struct prep *p, int i, void **ret, struct err *err)
{
	struct tensor t = p->in[i];
	return gpu_pack(p, &t.data, sizeof(t.data), tensor_bytes(&t), fill_constant, &t, ret, err);
}
