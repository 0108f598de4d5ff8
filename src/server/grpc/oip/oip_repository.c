/* SPDX-License-Identifier: Apache-2.0 */
/* What is there, load and unload: Triton's model repository extension, and KServe's. */
#include "server/grpc/methods.h"
#include "server/grpc/oip/oip_call.h"

/* Names and numbers as in proto/inference.proto. */
enum { INDEX_READY = 2 };
enum { INDEX_MODEL = 1 };
enum { MODEL_NAME = 1, MODEL_VERSION, MODEL_STATE, MODEL_REASON };
enum { LOAD_NAME_KSERVE = 1, LOAD_NAME_TRITON, LOAD_PARAMETERS };
enum { LOADED_NAME = 1, LOADED = 2 };

static enum err_code read_ready_only(struct wire w, bool *ret, struct err *err)
{
	uint32_t field;
	enum wire_type type;
	*ret = false;
	while (wire_next(&w, &field, &type)) {
		if (field == INDEX_READY)
			*ret = wire_varint(&w, type) != 0;
		else
			wire_skip(&w, type);
	}
	if (wire_ok(&w))
		return ERR_OK;
	return err_set(err, ERR_INVALID_ARGUMENT,
		"the message is not a well-formed RepositoryIndexRequest");
}

enum err_code oip_index(struct rpc_call *c, struct wire w, struct err *err)
{
	struct buf b = buf_of(c->request->arena, 0);
	struct version_status *list;
	bool ready_only;
	int n;
	TRY(read_ready_only(w, &ready_only, err));
	TRY(registry_list(c->rpc->registry, NULL, c->request->arena, &list, &n, err));
	for (int i = 0; i < n; i++) {
		struct buf one = buf_of(c->request->arena, 0);
		if (ready_only && list[i].state != VERSION_READY)
			continue;
		wire_put_bytes(&one, MODEL_NAME, slice_of(list[i].model));
		if (list[i].number >= 0)
			oip_put_number(&one, MODEL_VERSION, list[i].number);
		wire_put_bytes(&one, MODEL_STATE, slice_of(version_state_info(list[i].state)->oip));
		wire_put_bytes(&one, MODEL_REASON, slice_of(list[i].reason ? list[i].reason : ""));
		wire_put_message(&b, INDEX_MODEL, &one);
	}
	return rpc_reply(c, &b, err);
}

/* Triton has the model's name in field 2, KServe in field 1. */
static enum err_code read_load(
	struct rpc_call *c, struct wire w, struct slice *ret, struct err *err)
{
	struct slice name[LOAD_NAME_TRITON + 1] = { SLICE_LIT(""), SLICE_LIT(""), SLICE_LIT("") };
	uint32_t field;
	enum wire_type type;
	while (wire_next(&w, &field, &type)) {
		struct arena *arena = c->request->arena;
		if (field == LOAD_NAME_KSERVE || field == LOAD_NAME_TRITON)
			name[field] = wire_string(&w, type, OIP_NAME_MAX_BYTES, arena);
		else if (field == LOAD_PARAMETERS)
			TRY(oip_check_load(
				wire_map_entry(&w, type, OIP_NAME_MAX_BYTES, arena).key, err));
		else
			wire_skip(&w, type);
	}
	if (!wire_ok(&w))
		return err_set(err, ERR_INVALID_ARGUMENT, "the message is not well-formed");
	*ret = name[LOAD_NAME_TRITON].len ? name[LOAD_NAME_TRITON] : name[LOAD_NAME_KSERVE];
	return ERR_OK;
}

/* KServe's answer; Triton's clients skip what they do not know. */
static enum err_code reply_done(struct rpc_call *c, struct slice model, struct err *err)
{
	struct buf b = buf_of(c->request->arena, 0);
	wire_put_bytes(&b, LOADED_NAME, model);
	wire_put_uint(&b, LOADED, true);
	return rpc_reply(c, &b, err);
}

enum err_code oip_load(struct rpc_call *c, struct wire w, struct err *err)
{
	struct slice model;
	TRY(read_load(c, w, &model, err));
	TRY(repo_load(c->rpc->repo, model, err));
	return reply_done(c, model, err);
}

enum err_code oip_unload(struct rpc_call *c, struct wire w, struct err *err)
{
	struct slice model;
	TRY(read_load(c, w, &model, err));
	TRY(repo_unload(c->rpc->repo, model, err));
	return reply_done(c, model, err);
}
