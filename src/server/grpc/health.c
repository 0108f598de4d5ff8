/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.health.v1: "" is the server, any other service is a model by its name, or one of the
   services of methods.def. */
#include "server/grpc/methods.h"

#define SERVICE_MAX_BYTES 1024
/* HealthCheckRequest and Response, and its enum. */
enum { CHECK_SERVICE = 1, CHECK_STATUS = 1 };
enum { SERVING = 1, NOT_SERVING = 2 };

/* Is there a method "/service/..."? */
static bool is_service(struct slice name)
{
	for (int i = 0; i < rpc_method_count; i++) {
		const char *path = rpc_methods[i].path;
		if (strlen(path) > name.len + 1 && memcmp(path + 1, name.ptr, name.len) == 0 &&
			path[1 + name.len] == '/')
			return true;
	}
	return false;
}

static enum err_code status_of(struct rpc *r, struct slice service, int *ret, struct err *err)
{
	const struct version_spec latest = { .pick = VERSION_PICK_LATEST };
	struct version *v;
	if (service.len == 0 || is_service(service)) {
		*ret = rpc_is_ready(r) ? SERVING : NOT_SERVING;
		return ERR_OK;
	}
	enum err_code rc = registry_acquire(r->registry, service, &latest, &v, err);
	if (rc == ERR_OK)
		version_release(v);
	else if (rc != ERR_UNAVAILABLE)
		return err_set(err, ERR_NOT_FOUND, "unknown service '%.*s'", SLICE_ARG(service));
	*ret = rc == ERR_OK && !atomic_load(&r->draining) ? SERVING : NOT_SERVING;
	return ERR_OK;
}

enum err_code health_check(struct rpc_call *c, struct wire w, struct err *err)
{
	struct slice service = SLICE_LIT("");
	struct buf b = buf_of(c->request->arena, 0);
	uint32_t field;
	enum wire_type type;
	int status = NOT_SERVING;
	while (wire_next(&w, &field, &type)) {
		if (field == CHECK_SERVICE)
			service = wire_string(&w, type, SERVICE_MAX_BYTES, c->request->arena);
		else
			wire_skip(&w, type);
	}
	if (!wire_ok(&w))
		return err_set(err, ERR_INVALID_ARGUMENT, "the message is no HealthCheckRequest");
	TRY(status_of(c->rpc, service, &status, err));
	wire_put_uint(&b, CHECK_STATUS, (uint64_t)status);
	return rpc_reply(c, &b, err);
}
