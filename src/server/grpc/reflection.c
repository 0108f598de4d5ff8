/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.reflection: which services there are, by methods.def, and what they look like, by the
   files that the build has embedded. An answer per question; what is not found is an answer
   too. */
#include "server/grpc/descriptors.h"
#include "server/grpc/methods.h"

#define NAME_MAX_BYTES 1024
#define REQUEST_MAX_BYTES 4096

/* Names and numbers as in proto/reflection.proto. */
enum { ASK_HOST = 1, ASK_FILE = 3, ASK_SYMBOL, ASK_EXTENSION, ASK_NUMBERS, ASK_SERVICES };
enum { EXTENSION_TYPE = 1, EXTENSION_NUMBER };
enum { SAY_HOST = 1, SAY_REQUEST, SAY_FILES = 4, SAY_NUMBERS, SAY_SERVICES, SAY_ERROR };
enum { FILES_FILE = 1 };
enum { NUMBERS_TYPE = 1 };
enum { SERVICES_SERVICE = 1, SERVICE_NAME = 1 };
enum { ERROR_CODE = 1, ERROR_MESSAGE };

struct question {
	uint32_t field; /* 0: none */
	struct slice host, name;
};

static struct slice read_extension(struct wire w, struct arena *arena, bool *bad)
{
	struct slice type_name = SLICE_LIT("");
	uint32_t field;
	enum wire_type type;
	while (wire_next(&w, &field, &type)) {
		if (field == EXTENSION_TYPE)
			type_name = wire_string(&w, type, NAME_MAX_BYTES, arena);
		else
			wire_skip(&w, type);
	}
	*bad |= !wire_ok(&w);
	return type_name;
}

static bool read_question(struct wire w, struct arena *arena, struct question *q)
{
	uint32_t field;
	enum wire_type type;
	bool bad = w.left > REQUEST_MAX_BYTES;
	*q = (struct question){ .host = SLICE_LIT(""), .name = SLICE_LIT("") };
	while (!bad && wire_next(&w, &field, &type)) {
		if (field == ASK_HOST) {
			q->host = wire_string(&w, type, NAME_MAX_BYTES, arena);
		} else if (field == ASK_EXTENSION) {
			q->name = read_extension(wire_message(&w, type), arena, &bad);
			q->field = field;
		} else if (field >= ASK_FILE && field <= ASK_SERVICES) {
			q->name = wire_string(&w, type, NAME_MAX_BYTES, arena);
			q->field = field;
		} else {
			wire_skip(&w, type);
		}
	}
	return !bad && wire_ok(&w);
}

static void put_error(struct buf *b, enum err_code code, const char *what, struct slice name)
{
	struct buf one = buf_of(b->arena, 0), text = buf_of(b->arena, 0);
	buf_printf(&text, "%s '%.*s'", what, SLICE_ARG(name));
	wire_put_uint(&one, ERROR_CODE, code);
	wire_put_message(&one, ERROR_MESSAGE, &text);
	wire_put_message(b, SAY_ERROR, &one);
}

/* The file and what it imports, itself first. */
static void put_files(struct buf *b, int file)
{
	bool needed[DESCRIPTORS_FILES_MAX] = { false };
	struct buf all = buf_of(b->arena, 0);
	descriptors_mark_imports(file, needed);
	for (int i = file; i >= 0; i--)
		if (needed[i])
			wire_put_bytes(&all, FILES_FILE, descriptors_file(i));
	wire_put_message(b, SAY_FILES, &all);
}

static void put_services(const struct rpc *r, struct buf *b)
{
	struct buf all = buf_of(b->arena, 0);
	struct slice service;
	for (int at = 0; rpc_next_service(r, &at, &service);) {
		struct buf one = buf_of(b->arena, 0);
		wire_put_bytes(&one, SERVICE_NAME, service);
		wire_put_message(&all, SERVICES_SERVICE, &one);
	}
	wire_put_message(b, SAY_SERVICES, &all);
}

/* No message of ours has extensions. */
static void put_numbers(struct buf *b, struct slice message)
{
	struct buf one = buf_of(b->arena, 0);
	wire_put_bytes(&one, NUMBERS_TYPE, message);
	wire_put_message(b, SAY_NUMBERS, &one);
}

static void put_answer(const struct rpc *r, struct buf *b, const struct question *q)
{
	int file = q->field == ASK_FILE   ? descriptors_find_file(q->name) :
		   q->field == ASK_SYMBOL ? descriptors_find_symbol(q->name) :
					    -1;
	if (q->field == 0)
		put_error(b, ERR_INVALID_ARGUMENT, "the request asks nothing", SLICE_LIT(""));
	else if (q->field == ASK_SERVICES)
		put_services(r, b);
	else if (q->field == ASK_NUMBERS && descriptors_has_message(q->name))
		put_numbers(b, q->name);
	else if (file >= 0)
		put_files(b, file);
	else
		put_error(b, ERR_NOT_FOUND,
			q->field == ASK_FILE      ? "there is no file" :
			q->field == ASK_EXTENSION ? "there is no such extension of" :
						    "there is no symbol",
			q->name);
}

enum err_code reflection_info(struct rpc_call *c, struct wire w, struct err *err)
{
	struct arena *arena = c->request->arena;
	struct buf b = buf_of(arena, 0);
	struct question q;
	struct wire whole = w;
	if (!read_question(w, arena, &q))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"the message is no ServerReflectionRequest, or is larger than %d bytes",
			REQUEST_MAX_BYTES);
	wire_put_bytes(&b, SAY_HOST, q.host);
	wire_put_head(&b, SAY_REQUEST, whole.left);
	buf_slice(&b, wire_bytes(&whole, arena));
	put_answer(c->rpc, &b, &q);
	return rpc_reply(c, &b, err);
}
