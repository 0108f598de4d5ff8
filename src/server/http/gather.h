/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gather.h -- quick requests that an IO thread finds together run together
 *
 * Life of a request: listen -> decode -> signature check -> [GATHER] -> batch -> plan -> ...
 *
 * Threads: the IO thread.
 * Memory:  none.
 */
#pragma once

#include "server/http/http_state.h"

/* True: c is held, and its callback comes again, in each round. False: it is to be submitted
   now. Its request has been checked. */
bool gather_join(struct io *io, struct call *c);

/* After a round, or earlier: submits what is held; the outcomes are mostly there afterwards.
   False: nothing was. */
bool gather_run(struct io *io);

/* The connection of c, which was held or queued, has gone before it was suspended. True: nothing
   uses its request, c is to be released; false: who is done with the request does that, now
   perhaps. */
bool gather_leave(struct io *io, struct call *c);
