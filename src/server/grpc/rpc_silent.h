/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc_silent.h -- calls whose client has said nothing so far
 *
 * Life of a request: listen -> [DECODE] -> signature check -> batch -> ... -> [ENCODE]
 *
 * A call takes a place from its headers on, and holding one without a message costs its
 * client nothing. So where no place is left, the call that has waited for its message for
 * longest, a second at least, makes way for the next one.
 *
 * Threads: the calls' queue's; each has its own. Memory: none.
 */
#pragma once

#include <stdbool.h>

struct rpc_call;

void rpc_silent_add(struct rpc_call *c);
/* Its message has come, or none will. Nothing happens to one that was not added. */
void rpc_silent_remove(struct rpc_call *c);

/* Cancels one of the newcomer's queue; its place is free. False: there is none. */
bool rpc_silent_make_room(const struct rpc_call *newcomer);
