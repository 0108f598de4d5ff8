/* SPDX-License-Identifier: Apache-2.0 */
/* The graph of a native file whose checksums hold: read, or refused with words; what is read
   and passes the check of graphs lets inference end. The weights are zeros. */
#include <stdlib.h>
#include "exec/infer/infer.h"
#include "loader/native/native.h"

#define ARENA_MAX ((size_t)64 << 20)
#define WEIGHTS_BYTES 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static _Alignas(64) char weights[WEIGHTS_BYTES];
	struct native_model m = {0};
	struct native_tensors tensors;
	struct err err = {.code = ERR_OK};
	struct arena *arena = arena_new(1 << 16, ARENA_MAX);
	if (!arena)
		return 0;
	struct slice half = {weights, sizeof(weights) / 2};
	enum err_code rc = native_take_graph((struct slice){(const char *)data, size},
		&(struct native_weights){half, half}, arena, &m, &tensors, &err);
	check(rc == err.code && (rc == ERR_OK || err.msg[0]));
	if (rc == ERR_OK && graph_check(m.graph, &err) == ERR_OK)
		(void)!infer_graph(m.graph, &err);
	arena_free(arena);
	return 0;
}
