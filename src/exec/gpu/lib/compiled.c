/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/gpu/lib/compiled.h"

#include <stdlib.h>
#include <string.h>
#include "exec/gpu/lib/nvrtc.h"
#include "exec/gpu/lib/keep.h"
#include "exec/module.h"

struct compiled {
	CUmodule module;
	CUfunction fn;
};

struct asking {
	const struct gpu *gpu;
	const char *name;
	struct slice text;
	struct arena *tmp;
};

/* All that the machine code depends on. */
static enum err_code describe(const struct asking *who, struct slice *ret, struct err *err)
{
	struct buf b = buf_of(who->tmp, 0);
	nvrtc_describe(&b, who->gpu->capability);
	buf_char(&b, '\n');
	buf_slice(&b, who->text);
	return buf_finish(&b, ret, err);
}

static enum err_code load(
	const struct asking *who, const void *code, struct compiled *c, struct err *err)
{
	const struct gpu *g = who->gpu;
	GPU_TRY(g, cu.cuModuleLoadData(&c->module, code), "loading a compiled kernel");
	CUresult r = cu.cuModuleGetFunction(&c->fn, c->module, who->name);
	if (r == CUDA_SUCCESS)
		return ERR_OK;
	cu.cuModuleUnload(c->module);
	return gpu_error(g, r, who->name, err);
}

static enum err_code compile(
	const struct asking *who, struct slice key, struct compiled *c, struct err *err)
{
	struct nvrtc_code code;
	TRY(nvrtc_compile(who->text.ptr, who->gpu->capability, &code, err));
	enum err_code rc = load(who, code.data, c, err);
	if (rc == ERR_OK)
		keep_put(
			backend_keep_dir(), key, (struct slice){ code.data, code.bytes }, who->tmp);
	free(code.data);
	return rc;
}

/* What was kept may be whole and still none that the driver takes. */
static enum err_code make(void **ret, void *ctx, struct err *err)
{
	const struct asking *who = ctx;
	struct slice key, code;
	struct compiled *c = calloc(1, sizeof(*c));
	if (!c)
		return err_oom(err);
	enum err_code rc = describe(who, &key, err);
	bool kept = rc == ERR_OK && keep_find(backend_keep_dir(), key, who->tmp, &code) &&
		    load(who, code.ptr, c, NULL) == ERR_OK;
	if (rc == ERR_OK && !kept)
		rc = compile(who, key, c, err);
	if (rc != ERR_OK) {
		free(c);
		return rc;
	}
	*ret = c;
	return ERR_OK;
}

static void drop(void *mem, void *owner)
{
	struct compiled *c = mem;
	if (gpu_enter(owner, NULL) == ERR_OK)
		cu.cuModuleUnload(c->module);
	free(c);
}

enum err_code compiled_kernel(
	struct prep *p, const char *name, struct slice text, CUfunction *ret, struct err *err)
{
	struct asking who = { gpu_of(p->backend), name, text, p->tmp };
	struct pack_elsewhere how = { make, &who, drop, (void *)p->backend };
	size_t key_bytes = sizeof(p->backend) + text.len;
	char *key = arena_alloc(p->tmp, key_bytes);
	void *found;
	if (!key)
		return err_oom(err);
	memcpy(key, &p->backend, sizeof(p->backend));
	memcpy(key + sizeof(p->backend), text.ptr, text.len);
	TRY(packs_get_elsewhere(p->packs, key, key_bytes, &how, &found, err));
	*ret = ((const struct compiled *)found)->fn;
	return ERR_OK;
}
