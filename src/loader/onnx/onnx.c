/* SPDX-License-Identifier: Apache-2.0 */
/*
 * onnx.c -- from a file to a model: read, scan, unpack, and the rules of the whole
 */
#include "loader/onnx/onnx.h"

#include <fcntl.h>
#include <unistd.h>
#include "base/cgroup.h"
#include "base/checked.h"
#include "base/file.h"
#include "loader/onnx/onnx_reader.h"
#include "loader/onnx/pb_scan.h"
#include "loader/version.h"

#define FILE_BYTES_MAX ((size_t)INT32_MAX) /* protobuf's own */
#define MEMORY_BYTES_MAX ((size_t)64 << 30)
#define MESSAGES_MAX 4000000
#define PROPS_MAX 4096

enum err_code onnx_check_name(const char *name, const char *what, struct err *err)
{
	if (!name || !name[0])
		return err_set(err, ERR_INVALID_ARGUMENT, "a %s without a name", what);
	if (strnlen(name, GRAPH_NAME_MAX + 1) > GRAPH_NAME_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"%s '%.60s...': its name is longer than %d bytes", what, name,
			GRAPH_NAME_MAX);
	return ERR_OK;
}

const char *onnx_keep_name(struct onnx_reader *r, const char *name)
{
	size_t len = name ? strnlen(name, GRAPH_NAME_MAX + 1) : 0;
	return len ? arena_strndup(r->arena, name, len) : "";
}

const char *onnx_value_name(struct onnx_scope *scope, const char *name)
{
	return scope->nameless ? "" : onnx_keep_name(scope->reader, name);
}

/* -- opsets -------------------------------------------------------------------------------- */

static struct slice domain_of(const char *domain)
{
	return slice_of(domain && domain[0] ? domain : op_domain_name(DOMAIN_ONNX));
}

int64_t onnx_imported_version(const struct onnx_imports *imports, const char *domain)
{
	struct slice want = domain_of(domain);
	for (size_t i = 0; i < imports->n; i++)
		if (slice_eq(domain_of(imports->opset[i]->domain), want))
			return imports->opset[i]->version;
	return 0;
}

enum err_code onnx_check_imports(const struct onnx_imports *imports, struct err *err)
{
	if (imports->n > ONNX_IMPORTS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"%zu opset imports, at most %d are allowed", imports->n, ONNX_IMPORTS_MAX);
	for (size_t i = 0; i < imports->n; i++) {
		struct slice domain = domain_of(imports->opset[i]->domain);
		if (domain.len > GRAPH_NAME_MAX || imports->opset[i]->version < 1)
			return err_set(err, ERR_INVALID_ARGUMENT, "opset import '%.*s' %lld",
				SLICE_ARG(domain), (long long)imports->opset[i]->version);
		/* The same once more says nothing new: skl2onnx writes such. */
		for (size_t k = 0; k < i; k++)
			if (slice_eq(domain_of(imports->opset[k]->domain), domain) &&
				imports->opset[k]->version != imports->opset[i]->version)
				return err_set(err, ERR_INVALID_ARGUMENT,
					"opset import '%.*s' is there twice, as %lld and %lld",
					SLICE_ARG(domain), (long long)imports->opset[k]->version,
					(long long)imports->opset[i]->version);
	}
	return ERR_OK;
}

/* -- the model ----------------------------------------------------------------------------- */

static enum err_code check_model(const Onnx__ModelProto *m, struct err *err)
{
	if (!m->has_ir_version || m->ir_version < 1)
		return err_set(err, ERR_INVALID_ARGUMENT, "it has no IR version");
	if (m->ir_version < ONNX_IR_MIN || m->ir_version > ONNX_IR_MAX)
		return err_set(err, ERR_UNIMPLEMENTED, "IR version %lld, supported are %d to %d",
			(long long)m->ir_version, ONNX_IR_MIN, ONNX_IR_MAX);
	if (!m->graph)
		return err_set(err, ERR_INVALID_ARGUMENT, "it has no graph");
	if (m->n_opset_import == 0)
		return err_set(err, ERR_INVALID_ARGUMENT, "it imports no opset");
	return ERR_OK;
}

static enum err_code read_props(
	struct onnx_reader *r, const Onnx__ModelProto *m, struct onnx_model *ret, struct err *err)
{
	size_t n = m->n_metadata_props;
	struct onnx_map seen = { .arena = onnx_scratch(r) };
	if (n > PROPS_MAX)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			"%zu metadata_props, at most %d are allowed", n, PROPS_MAX);
	struct metadata_prop *prop = ARENA_ARRAY(r->arena, struct metadata_prop, n);
	if (!prop)
		return err_oom(err);
	for (size_t i = 0; i < n; i++) {
		const Onnx__StringStringEntryProto *e = m->metadata_props[i];
		bool is_new;
		enum err_code rc = onnx_check_name(e->key, "metadata property", err);
		if (rc != ERR_OK)
			return rc;
		prop[i].key = arena_strdup(r->arena, e->key);
		prop[i].value = arena_strdup(r->arena, e->value ? e->value : "");
		if (!prop[i].key || !prop[i].value ||
			onnx_map_add(&seen, slice_of(prop[i].key), 0, &is_new) != ERR_OK)
			return err_oom(err);
		if (!is_new)
			return err_set(err, ERR_INVALID_ARGUMENT,
				"metadata property '%.80s' is there twice", e->key);
	}
	ret->prop = prop;
	ret->n_prop = (int)n;
	return ERR_OK;
}

static enum err_code read_model(
	struct onnx_reader *r, const Onnx__ModelProto *m, struct onnx_model *ret, struct err *err)
{
	struct lower_known known = { 0 };
	struct onnx_scope scope = {
		.reader = r,
		.names = { .arena = onnx_scratch(r) },
		.imports = { m->opset_import, m->n_opset_import },
		.prefix = "",
		.known = &known,
	};
	struct onnx_model model = { .ir_version = m->ir_version };
	enum err_code rc = check_model(m, err);
	if (rc == ERR_OK)
		rc = onnx_check_imports(&scope.imports, err);
	if (rc != ERR_OK)
		return rc;
	r->ir_version = m->ir_version;
	model.opset = onnx_imported_version(&scope.imports, "");
	const char *name = onnx_keep_name(r, m->graph->name);
	model.producer =
		arena_printf(r->arena, "%.80s%s%.80s", m->producer_name ? m->producer_name : "",
			m->producer_version && m->producer_version[0] ? " " : "",
			m->producer_version ? m->producer_version : "");
	scope.graph = model.graph = name ? graph_new(r->arena, NULL, name) : NULL;
	if (!model.graph || !model.producer)
		return err_oom(err);
	rc = read_props(r, m, &model, err);
	if (rc == ERR_OK)
		rc = onnx_index_functions(r, m, err);
	if (rc == ERR_OK)
		rc = onnx_read_graph(&scope, m->graph, err);
	if (rc == ERR_OK)
		rc = graph_check(model.graph, err);
	if (rc == ERR_OK)
		*ret = model;
	return rc;
}

/* -- bytes --------------------------------------------------------------------------------- */

/* Where nobody sets a limit: what is more than there is would not fail, but kill the process. */
static size_t memory_max_default(void)
{
	size_t machine = cgroup_machine_bytes();
	return machine < MEMORY_BYTES_MAX ? machine : MEMORY_BYTES_MAX;
}

enum err_code onnx_reader_init(struct onnx_reader *r, int dirfd, const struct onnx_limits *limits,
	struct arena *arena, struct err *err)
{
	size_t memory_max = limits ? limits->memory_bytes_max : 0;
	*r = (struct onnx_reader){
		.arena = arena,
		.arena_start = arena_used_bytes(arena),
		.memory_max = memory_max ? memory_max : memory_max_default(),
		.dirfd = dirfd,
		.allow_hardlinks = limits && limits->allow_hardlinks,
	};
	return pb_mem_init(&r->mem, r->memory_max, err);
}

enum err_code onnx_unpack(struct onnx_reader *r, const ProtobufCMessageDescriptor *what,
	struct slice bytes, ProtobufCMessage **ret, struct err *err)
{
	const struct pb_limits limits = {
		.messages_max = MESSAGES_MAX,
		.unpack_bytes_max = r->memory_max,
		.free_text = "doc_string",
	};
	size_t estimate;
	if (bytes.len > FILE_BYTES_MAX)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			"%zu bytes of protobuf, at most %zu are possible: use external data",
			bytes.len, FILE_BYTES_MAX);
	enum err_code rc = pb_scan(what, bytes, &limits, &estimate, err);
	if (rc != ERR_OK)
		return err_prefix(err, "not a valid %s", what->short_name);
	*ret = protobuf_c_message_unpack(
		what, &r->mem.allocator, bytes.len, (const uint8_t *)bytes.ptr);
	pb_mem_trim(&r->mem);
	if (!*ret && r->mem.exhausted)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			"unpacking it takes more than %zu bytes", r->memory_max);
	if (!*ret)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"not a valid %s: a field is of the wrong kind", what->short_name);
	return ERR_OK;
}

enum err_code onnx_parse(struct slice bytes, int dirfd, const struct onnx_limits *limits,
	struct arena *arena, struct onnx_model *ret, struct err *err)
{
	struct onnx_reader r;
	ProtobufCMessage *m = NULL;
	if (bytes.len == 0)
		return err_set(err, ERR_INVALID_ARGUMENT, "it is empty");
	enum err_code rc = onnx_reader_init(&r, dirfd, limits, arena, err);
	if (rc != ERR_OK)
		return rc;
	rc = onnx_unpack(&r, &onnx__model_proto__descriptor, bytes, &m, err);
	if (rc == ERR_OK)
		rc = read_model(&r, (const Onnx__ModelProto *)m, ret, err);
	pb_mem_done(&r.mem);
	return rc;
}

/* -- files --------------------------------------------------------------------------------- */

struct file {
	int fd;
	const char *name;
	size_t bytes;
};

const struct pb_lift_field onnx_lift_fields[ONNX_LIFT_FIELDS] = {
	{ &onnx__tensor_proto__descriptor, 9, PB_BYTES }, /* raw_data */
	{ &onnx__attribute_proto__descriptor, 7, PB_FLOATS },
	{ &onnx__attribute_proto__descriptor, 8, PB_INTS },
	{ &onnx__attribute_proto__descriptor, 9, PB_STRINGS },
};

/* All pieces of bytes into one piece of memory, which the arena that stays gets. */
static enum err_code read_pieces(struct onnx_reader *r, const struct file *f, struct err *err)
{
	struct pb_lifted *l = &r->lifted;
	size_t bytes = 0;
	void *to;
	for (size_t i = 0; i < l->n; i++) /* less than the file's bytes and as much again */
		bytes += round_up(l->piece[i].bytes, ARENA_ALIGN_TENSOR);
	if (bytes == 0)
		return ERR_OK;
	enum err_code rc = onnx_alloc_mapped(r, bytes, &to, err);
	for (size_t i = 0; i < l->n && rc == ERR_OK; i++) {
		struct pb_piece *piece = &l->piece[i];
		if (piece->kind != PB_BYTES)
			continue;
		piece->data = to;
		to = (char *)to + round_up(piece->bytes, ARENA_ALIGN_TENSOR);
		rc = file_read_new(f->fd, f->name, piece->offset, piece->data, piece->bytes, err);
	}
	return rc;
}

/* INVALID_ARGUMENT: it has to be read whole, be it to say where it is wrong. */
static enum err_code unpack_lifted(
	struct onnx_reader *r, const struct file *f, ProtobufCMessage **ret, struct err *err)
{
	const struct pb_lift_conf conf = { .root = &onnx__model_proto__descriptor,
		.field = onnx_lift_fields,
		.n_field = ONNX_LIFT_FIELDS,
		.least_bytes = PB_BIG_BYTES,
		.lists = r->arena,
		.list_bytes_max = onnx_memory_left(r) };
	struct pb_lifted l;
	enum err_code rc = pb_lift(f->fd, f->name, f->bytes, &conf, onnx_scratch(r), &l, err);
	if (rc != ERR_OK)
		return rc;
	rc = onnx_unpack(
		r, conf.root, (struct slice){ l.skeleton.ptr, l.skeleton_bytes }, ret, err);
	file_mem_free(&l.skeleton);
	if (rc != ERR_OK)
		return rc;
	r->lifted = l;
	return read_pieces(r, f, err);
}

static enum err_code unpack_whole(
	struct onnx_reader *r, const struct file *f, ProtobufCMessage **ret, struct err *err)
{
	struct file_mem mem;
	enum err_code rc = file_read_mem(f->fd, f->name, f->bytes, &mem, err);
	if (rc != ERR_OK)
		return rc;
	rc = onnx_unpack(
		r, &onnx__model_proto__descriptor, (struct slice){ mem.ptr, mem.bytes }, ret, err);
	file_mem_free(&mem);
	return rc;
}

static enum err_code read_file(struct onnx_reader *r, const struct file *f, struct onnx_model *ret,
	struct err *err)
{
	ProtobufCMessage *m = NULL;
	if (f->bytes == 0)
		return err_set(err, ERR_INVALID_ARGUMENT, "it is empty");
	enum err_code rc = unpack_lifted(r, f, &m, err);
	if (rc == ERR_INVALID_ARGUMENT)
		rc = unpack_whole(r, f, &m, err);
	return rc == ERR_OK ? read_model(r, (const Onnx__ModelProto *)m, ret, err) : rc;
}

enum err_code onnx_read(int dirfd, const char *file, const struct onnx_limits *limits,
	struct arena *arena, struct onnx_model *ret, struct err *err)
{
	size_t max = limits && limits->file_bytes_max ? limits->file_bytes_max : FILE_BYTES_MAX;
	struct file f = { .name = file };
	struct onnx_reader r;
	enum err_code rc = file_open_beneath(dirfd, file, O_RDONLY, &f.fd, err);
	if (rc != ERR_OK)
		return rc;
	rc = file_check_regular(f.fd, file, max, &f.bytes, err);
	if (rc == ERR_RESOURCE_EXHAUSTED)
		err_set(err, rc, "'%.120s' is larger than %zu bytes: keep weights in external data",
			file, max);
	if (rc == ERR_OK)
		rc = onnx_reader_init(&r, dirfd, limits, arena, err);
	if (rc == ERR_OK) {
		rc = read_file(&r, &f, ret, err);
		pb_mem_done(&r.mem);
	}
	close(f.fd);
	return rc;
}
