/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc_admit.h -- may a call go on?
 *
 * Life of a request: listen -> [DECODE] -> signature check -> batch -> ... -> [ENCODE]
 *
 * Threads: the call's queue's. Memory: none.
 */
#pragma once

#include "server/grpc/rpc_state.h"

/* Counts it, for all and for its connection; sets method, began_ns and deadline_ns. Counted
   it is even if it is refused. UNAVAILABLE: too many. UNIMPLEMENTED: no such method. */
MUST_CHECK enum err_code rpc_admit(struct rpc_call *c, struct err *err);
