/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/gpu/lib/nvrtc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "exec/gpu/lib/gpu_libs.h"

/* Headers by the names that they are included by (nvrtc_texts.S). */
#define TEXT(symbol, name, file) extern const char nvrtc_text_##symbol[];
#include "exec/gpu/lib/nvrtc_texts.def"
#undef TEXT

static const char *const texts[] = {
#define TEXT(symbol, name, file) nvrtc_text_##symbol,
#include "exec/gpu/lib/nvrtc_texts.def"
#undef TEXT
};

static const char *const names[] = {
#define TEXT(symbol, name, file) name,
#include "exec/gpu/lib/nvrtc_texts.def"
#undef TEXT
};

#define TEXTS ((int)(sizeof(texts) / sizeof(texts[0])))

#define OPTIONS "--std=c++17", "--fmad=false", "--ftz=false", "--prec-div=true", "--prec-sqrt=true"
static const char *const options[] = { OPTIONS };
#define OPTIONS_COUNT (sizeof(options) / sizeof(options[0]))

void nvrtc_describe(struct buf *to, int capability)
{
	int major = 0, minor = 0;
	uint64_t headers = 0;
	nvrtc.nvrtcVersion(&major, &minor);
	for (int i = 0; i < TEXTS; i++)
		headers = hash_bytes(texts[i], strlen(texts[i]), headers);
	buf_printf(to, "NVRTC %d.%d sm_%d headers %016" PRIx64, major, minor, capability, headers);
	for (size_t i = 0; i < OPTIONS_COUNT; i++)
		buf_printf(to, " %s", options[i]);
}

/* The first line of what the compiler says, or what its result is called. */
static enum err_code complaint(nvrtcProgram p, nvrtcResult r, struct err *err)
{
	size_t bytes = 0;
	char *log = NULL;
	if (p && nvrtc.nvrtcGetProgramLogSize(p, &bytes) == NVRTC_SUCCESS && bytes > 1)
		log = calloc(1, bytes + 1);
	if (log && nvrtc.nvrtcGetProgramLog(p, log) != NVRTC_SUCCESS)
		*log = 0;
	int line = log ? (int)strcspn(log, "\n") : 0;
	enum err_code rc = err_set(err, ERR_INTERNAL, "NVRTC: %s: %.*s",
		nvrtc.nvrtcGetErrorString(r), line < 160 ? line : 160, log ? log : "");
	free(log);
	return rc;
}

static nvrtcResult take_code(nvrtcProgram p, struct nvrtc_code *ret)
{
	nvrtcResult r = nvrtc.nvrtcGetCUBINSize(p, &ret->bytes);
	if (r != NVRTC_SUCCESS)
		return r;
	ret->data = malloc(ret->bytes + 1);
	if (!ret->data)
		return NVRTC_ERROR_OUT_OF_MEMORY;
	r = nvrtc.nvrtcGetCUBIN(p, ret->data);
	if (r != NVRTC_SUCCESS)
		free(ret->data);
	return r;
}

enum err_code nvrtc_compile(
	const char *text, int capability, struct nvrtc_code *ret, struct err *err)
{
	char arch[40];
	const char *all[] = { arch, OPTIONS };
	nvrtcProgram p = NULL;
	snprintf(arch, sizeof(arch), "--gpu-architecture=sm_%d", capability);
	nvrtcResult r = nvrtc.nvrtcCreateProgram(&p, text, "fused.cu", TEXTS, texts, names);
	if (r == NVRTC_SUCCESS)
		r = nvrtc.nvrtcCompileProgram(p, OPTIONS_COUNT + 1, all);
	if (r == NVRTC_SUCCESS)
		r = take_code(p, ret);
	enum err_code rc = r == NVRTC_SUCCESS ? ERR_OK : complaint(p, r, err);
	if (p)
		nvrtc.nvrtcDestroyProgram(&p);
	return rc;
}

enum err_code nvrtc_try(int capability, struct err *err)
{
	struct nvrtc_code code;
	if (!nvrtc.nvrtcCreateProgram)
		return err_set(err, ERR_UNAVAILABLE,
			"NVRTC (libnvrtc.so.13 or .12 of the CUDA toolkit) is not there");
	if (nvrtc_compile("extern \"C\" __global__ void nothing() {}\n", capability, &code, err) !=
		ERR_OK)
		return ERR_UNAVAILABLE;
	free(code.data);
	return ERR_OK;
}
