/* SPDX-License-Identifier: Apache-2.0 */
#include "server/grpc/methods.h"

const struct rpc_method rpc_methods[] = {
#define METHOD(path, kind, handle, encode, encode_error) \
	{ path, RPC_##kind, handle, encode, encode_error },
#include "server/grpc/methods.def"
#undef METHOD
};
const int rpc_method_count = sizeof(rpc_methods) / sizeof(*rpc_methods);
