/* SPDX-License-Identifier: Apache-2.0 */
#include "server/grpc/methods.h"

const struct rpc_method rpc_methods[] = {
#define METHOD(path, kind, handle, encode, encode_error) \
	{ path, RPC_##kind, handle, encode, encode_error },
#include "server/grpc/methods.def"
#undef METHOD
};
const int rpc_method_count = sizeof(rpc_methods) / sizeof(*rpc_methods);

static struct slice service_of(const struct rpc_method *m)
{
	return (struct slice){ m->path + 1, (size_t)(strrchr(m->path, '/') - m->path - 1) };
}

static bool is_on(const struct rpc *r, const struct rpc_method *m)
{
	return r->conf.reflection || m->handle != reflection_info;
}

const struct rpc_method *rpc_find_method(const struct rpc *r, struct slice path)
{
	for (int i = 0; i < rpc_method_count; i++)
		if (slice_is(path, rpc_methods[i].path))
			return is_on(r, &rpc_methods[i]) ? &rpc_methods[i] : NULL;
	return NULL;
}

static bool is_first(int i)
{
	for (int k = 0; k < i; k++)
		if (slice_eq(service_of(&rpc_methods[k]), service_of(&rpc_methods[i])))
			return false;
	return true;
}

bool rpc_next_service(const struct rpc *r, int *at, struct slice *ret)
{
	while (*at < rpc_method_count && !(is_first(*at) && is_on(r, &rpc_methods[*at])))
		++*at;
	if (*at == rpc_method_count)
		return false;
	*ret = service_of(&rpc_methods[(*at)++]);
	return true;
}
