/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/kernel.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* State describes the work; tables that long describe what no memory holds. */
#define PREP_BYTES_MAX ((size_t)256 << 20)

void *prep_alloc(struct prep *p, size_t bytes)
{
	if (bytes > PREP_BYTES_MAX)
		return NULL;
	void *mem = arena_alloc_aligned(p->arena, bytes ? bytes : 1, ARENA_ALIGN_TENSOR);
	if (mem)
		memset(mem, 0, bytes);
	return mem;
}

enum err_code prep_defer(struct prep *p, void (*fn)(void *), void *ctx)
{
	return arena_defer(p->arena, fn, ctx);
}

enum err_code
prep_fail(const struct prep *p, struct err *err, enum err_code code, const char *fmt, ...)
{
	char msg[ERR_MSG_MAX];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	return err_set(err, code, "%s: %s",
		node_label(p->graph, p->node, (char[NODE_LABEL_MAX]){ 0 }, NODE_LABEL_MAX), msg);
}

enum err_code prep_with_plain(
	const struct prep *p, struct prep *ret, bool *ret_differs, struct err *err)
{
	struct tensor *plain = ARENA_ARRAY(p->tmp, struct tensor, (size_t)p->n_in + 1);
	if (!plain)
		return err_oom(err);
	*ret_differs = false;
	for (int i = 0; i < p->n_in; i++) {
		plain[i] = p->in[i];
		plain[i].layout = LAYOUT_PLAIN;
		*ret_differs |=
			p->in[i].shape.rank != RANK_UNKNOWN && p->in[i].layout != LAYOUT_PLAIN;
	}
	*ret = *p;
	ret->in = plain;
	return ERR_OK;
}

enum err_code prep_refuse(struct err *err, const char *why)
{
	return err_set(err, ERR_UNIMPLEMENTED, "%s", why);
}

void *kernel_output(const struct kernel_args *a, int i, enum dtype dtype, const struct shape *shape)
{
	size_t bytes;
	void *data = NULL;
	if (tensor_bytes_overflow(dtype, shape, &bytes))
		bytes = SIZE_MAX;
	else
		data = arena_alloc_aligned(a->arena, bytes + 1, ARENA_ALIGN_TENSOR);
	if (!data)
		kernel_fault(a, FAULT_MEMORY, bytes > INT64_MAX ? INT64_MAX : (int64_t)bytes);
	if (data && i < a->n_out && a->out[i].data)
		a->out[i] = (struct tensor){ .data = data, .dtype = dtype, .shape = *shape };
	return data;
}
