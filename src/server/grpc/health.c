/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.health.v1: "" is the server, any other service is a model by its name, or one of the
   services of methods.def. */
#include "server/grpc/methods.h"

#define SERVICE_MAX_BYTES 1024
/* HealthCheckRequest and Response, and its enum; HealthListResponse and its map's entry. */
enum { CHECK_SERVICE = 1, CHECK_STATUS = 1 };
enum { SERVING = 1, NOT_SERVING = 2, SERVICE_UNKNOWN = 3 };
enum { LIST_STATUSES = 1 };
enum { MAP_KEY = 1, MAP_VALUE };

static int server_status(struct rpc *r)
{
	return rpc_is_ready(r) ? SERVING : NOT_SERVING;
}

static bool is_service(const struct rpc *r, struct slice name)
{
	struct slice service;
	for (int at = 0; rpc_next_service(r, &at, &service);)
		if (slice_eq(service, name))
			return true;
	return false;
}

static int status_of(struct rpc *r, struct slice service)
{
	const struct version_spec latest = { .pick = VERSION_PICK_LATEST };
	struct version *v;
	struct err err;
	if (service.len == 0 || is_service(r, service))
		return server_status(r);
	enum err_code rc = registry_acquire(r->registry, service, &latest, &v, &err);
	if (rc == ERR_OK)
		version_release(v);
	else if (rc != ERR_UNAVAILABLE)
		return SERVICE_UNKNOWN;
	return rc == ERR_OK && !atomic_load(&r->draining) ? SERVING : NOT_SERVING;
}

static enum err_code read_service(
	struct rpc_call *c, struct wire w, struct slice *ret, struct err *err)
{
	uint32_t field;
	enum wire_type type;
	*ret = SLICE_LIT("");
	while (wire_next(&w, &field, &type)) {
		if (field == CHECK_SERVICE)
			*ret = wire_string(&w, type, SERVICE_MAX_BYTES, c->request->arena);
		else
			wire_skip(&w, type);
	}
	if (wire_ok(&w))
		return ERR_OK;
	return err_set(err, ERR_INVALID_ARGUMENT, "the message is no HealthCheckRequest");
}

static enum err_code reply_status(struct rpc_call *c, int status, struct err *err)
{
	struct buf b = buf_of(c->request->arena, 0);
	wire_put_uint(&b, CHECK_STATUS, (uint64_t)status);
	return rpc_reply(c, &b, err);
}

enum err_code health_check(struct rpc_call *c, struct wire w, struct err *err)
{
	struct slice service;
	TRY(read_service(c, w, &service, err));
	int status = status_of(c->rpc, service);
	if (status == SERVICE_UNKNOWN)
		return err_set(err, ERR_NOT_FOUND, "unknown service '%.*s'", SLICE_ARG(service));
	return reply_status(c, status, err);
}

/* A service that is unknown may come: no error. */
enum err_code health_watch(struct rpc_call *c, struct wire w, struct err *err)
{
	struct slice service;
	TRY(read_service(c, w, &service, err));
	return reply_status(c, status_of(c->rpc, service), err);
}

static void put_status(struct buf *b, struct slice service, int status)
{
	struct buf entry = buf_of(b->arena, 0), response = buf_of(b->arena, 0);
	wire_put_uint(&response, CHECK_STATUS, (uint64_t)status);
	wire_put_bytes(&entry, MAP_KEY, service);
	wire_put_message(&entry, MAP_VALUE, &response);
	wire_put_message(b, LIST_STATUSES, &entry);
}

enum err_code health_list(struct rpc_call *c, struct wire w, struct err *err)
{
	struct buf b = buf_of(c->request->arena, 0);
	struct version_status *list;
	int n;
	(void)w;
	TRY(registry_list(c->rpc->registry, NULL, c->request->arena, &list, &n, err));
	put_status(&b, SLICE_LIT(""), server_status(c->rpc));
	struct slice service;
	for (int at = 0; rpc_next_service(c->rpc, &at, &service);)
		put_status(&b, service, server_status(c->rpc));
	for (int i = 0; i < n; i++) {
		struct slice model = slice_of(list[i].model);
		if (i == 0 || !slice_is(model, list[i - 1].model))
			put_status(&b, model, status_of(c->rpc, model));
	}
	return rpc_reply(c, &b, err);
}
