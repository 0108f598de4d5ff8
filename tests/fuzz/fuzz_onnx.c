/* SPDX-License-Identifier: Apache-2.0 */
/* A model file, and a tensor file: read, or refused with words; what is read passes the
   check of graphs, and inference ends. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "exec/infer/infer.h"
#include "loader/onnx/onnx.h"
#include "loader/onnx/onnx_reader.h"
#include "loader/onnx/pb_scan.h"

#define ARENA_MAX ((size_t)256 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void try_model(struct slice bytes, struct arena *arena)
{
	const struct onnx_limits limits = { .memory_bytes_max = ARENA_MAX };
	struct onnx_model model;
	struct err err = { .code = ERR_OK };
	enum err_code rc = onnx_parse(bytes, -1, &limits, arena, &model, &err);
	check(rc == err.code && (rc == ERR_OK || err.msg[0]));
	if (rc != ERR_OK)
		return;
	check(graph_check(model.graph, &err) == ERR_OK);
	rc = infer_graph(model.graph, &err);
	check(rc == ERR_OK || err.code == rc);
}

static bool passes(struct slice bytes)
{
	const struct pb_limits limits = { 100000, ARENA_MAX, "doc_string" };
	size_t estimate;
	return pb_scan(&onnx__model_proto__descriptor, bytes, &limits, &estimate, NULL) == ERR_OK;
}

/* Reads all that a list says it has. */
static void touch_list(const struct pb_piece *p)
{
	volatile char last;
	for (size_t i = 0; i < p->n && p->kind == PB_STRINGS; i++) {
		const struct slice *s = (const struct slice *)p->data + i;
		last = s->len ? s->ptr[s->len - 1] : 0;
	}
	for (size_t i = 0; i < p->n && (p->kind == PB_INTS || p->kind == PB_FLOATS); i++)
		last = ((const char *)p
				->data)[i * (p->kind == PB_INTS ? sizeof(int64_t) : sizeof(float))];
	(void)last;
}

/* A valid file without some of its bytes is still valid, and no longer. */
static void try_lift(struct slice bytes, struct arena *arena)
{
	const struct pb_lift_conf conf = { .root = &onnx__model_proto__descriptor,
		.field = onnx_lift_fields,
		.n_field = ONNX_LIFT_FIELDS,
		.least_bytes = PB_LIFT_BYTES_MIN,
		.lists = arena,
		.list_bytes_max = ARENA_MAX };
	struct pb_lifted l;
	struct err err;
	int fd = memfd_create("model", MFD_CLOEXEC);
	if (fd < 0 || write(fd, bytes.ptr, bytes.len) != (ssize_t)bytes.len ||
		pb_lift(fd, "model", bytes.len, &conf, arena, &l, &err) != ERR_OK) {
		close(fd);
		return;
	}
	check(l.skeleton_bytes <= bytes.len);
	check(!passes(bytes) || passes((struct slice){ l.skeleton.ptr, l.skeleton_bytes }));
	for (size_t i = 0; i < l.n; i++) {
		const struct pb_piece *p = &l.piece[i];
		check(p->bytes <= bytes.len && p->offset <= bytes.len - p->bytes);
		check(p->kind == PB_BYTES || (p->data && p->n > 0 && p->n <= bytes.len / 2));
		touch_list(p);
	}
	file_mem_free(&l.skeleton);
	close(fd);
}

static void try_tensor(struct slice bytes, struct arena *arena)
{
	struct tensor t;
	const char *name;
	struct err err = { .code = ERR_OK };
	if (onnx_parse_tensor(bytes, arena, &t, &name, &err) == ERR_OK)
		check(t.data && strlen(name) <= GRAPH_NAME_MAX && tensor_bytes(&t) < ARENA_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct slice bytes = { (const char *)data, size };
	struct arena *arena = arena_new(1 << 16, ARENA_MAX);
	if (!arena)
		return 0;
	try_model(bytes, arena);
	try_tensor(bytes, arena);
	try_lift(bytes, arena);
	arena_free(arena);
	return 0;
}
