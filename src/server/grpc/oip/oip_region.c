/* SPDX-License-Identifier: Apache-2.0 */
/* Triton's shared memory extensions: regions come, are told of, and go. */
#include "server/grpc/methods.h"
#include "server/grpc/oip/oip_call.h"

/* A region in a request to register it and in a status; a status is a map of them. Names and
   numbers as in proto/inference.proto. */
enum { REGION_NAME = 1, REGION_KEY, REGION_OFFSET, REGION_BYTE_SIZE };
enum { STATUS_REGIONS = 1 };
enum { MAP_KEY = 1, MAP_VALUE };

static enum err_code read_region(
	struct rpc_call *c, struct wire w, struct region_spec *ret, struct err *err)
{
	struct arena *arena = c->request->arena;
	uint32_t field;
	enum wire_type type;
	*ret = (struct region_spec){ .name = SLICE_LIT(""), .key = SLICE_LIT("") };
	while (wire_next(&w, &field, &type)) {
		if (field == REGION_NAME)
			ret->name = wire_string(&w, type, OIP_NAME_MAX_BYTES, arena);
		else if (field == REGION_KEY)
			ret->key = wire_string(&w, type, OIP_NAME_MAX_BYTES, arena);
		else if (field == REGION_OFFSET)
			ret->offset = wire_varint(&w, type);
		else if (field == REGION_BYTE_SIZE)
			ret->bytes = wire_varint(&w, type);
		else
			wire_skip(&w, type);
	}
	if (wire_ok(&w))
		return ERR_OK;
	return err_set(err, ERR_INVALID_ARGUMENT, "the message is not well-formed");
}

static enum err_code reply_nothing(struct rpc_call *c, struct err *err)
{
	struct buf b = buf_of(c->request->arena, 0);
	return rpc_reply(c, &b, err);
}

enum err_code oip_region_status(struct rpc_call *c, struct wire w, struct err *err)
{
	struct arena *arena = c->request->arena;
	struct buf b = buf_of(arena, 0);
	struct region_spec asked, *s;
	int n;
	TRY(read_region(c, w, &asked, err));
	TRY(regions_list(c->rpc->conf.regions, asked.name, arena, &s, &n, err));
	for (int i = 0; i < n; i++) {
		struct buf entry = buf_of(arena, 0), region = buf_of(arena, 0);
		wire_put_bytes(&region, REGION_NAME, s[i].name);
		wire_put_bytes(&region, REGION_KEY, s[i].key);
		wire_put_uint(&region, REGION_OFFSET, s[i].offset);
		wire_put_uint(&region, REGION_BYTE_SIZE, s[i].bytes);
		wire_put_bytes(&entry, MAP_KEY, s[i].name);
		wire_put_message(&entry, MAP_VALUE, &region);
		wire_put_message(&b, STATUS_REGIONS, &entry);
	}
	return rpc_reply(c, &b, err);
}

enum err_code oip_region_register(struct rpc_call *c, struct wire w, struct err *err)
{
	struct region_spec s;
	TRY(read_region(c, w, &s, err));
	TRY(regions_register(c->rpc->conf.regions, &s, err));
	return reply_nothing(c, err);
}

enum err_code oip_region_unregister(struct rpc_call *c, struct wire w, struct err *err)
{
	struct region_spec s;
	TRY(read_region(c, w, &s, err));
	regions_unregister(c->rpc->conf.regions, s.name);
	return reply_nothing(c, err);
}

/* --- CUDA's: no region was registered, for none can be --- */

enum err_code oip_cuda_status(struct rpc_call *c, struct wire w, struct err *err)
{
	struct region_spec asked, *s;
	int n;
	TRY(read_region(c, w, &asked, err));
	TRY(regions_list(NULL, asked.name, c->request->arena, &s, &n, err));
	return reply_nothing(c, err);
}

enum err_code oip_cuda_register(struct rpc_call *c, struct wire w, struct err *err)
{
	(void)c;
	(void)w;
	return oip_refuse_cuda(err);
}

enum err_code oip_cuda_unregister(struct rpc_call *c, struct wire w, struct err *err)
{
	(void)w;
	return reply_nothing(c, err);
}
