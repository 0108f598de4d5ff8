/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc_watch.h -- calls that stay open and are answered again when their answer changes
 *
 * The accepting thread goes round four times a second anyway: it asks the handler of each
 * waiting watch again, and what is new is sent. So a handler knows nothing of watching, and
 * nothing in the daemon has to tell that it changed.
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include "server/grpc/rpc_state.h"

/* RESOURCE_EXHAUSTED: there are as many as may be. */
MUST_CHECK enum err_code rpc_watch_admit(struct rpc_call *c, struct err *err);

/* Its reply has been sent: it waits, until a round takes it. False: it does not, for the
   front is being stopped; a review ends it. */
bool rpc_watch_add(struct rpc_call *c);

/* Reviews all that wait. */
void rpc_watch_round(struct rpc *r);

/* Each is told what has changed, and ended. */
void rpc_watch_end(struct rpc *r);
