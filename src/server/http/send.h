/* SPDX-License-Identifier: Apache-2.0 */
/*
 * send.h -- a call's reply to libmicrohttpd
 *
 * Life of a request: ... -> encode -> [WRITE]
 *
 * Threads: the call's IO thread. What these return is for libmicrohttpd: MHD_NO closes the
 *          connection.
 */
#pragma once

#include "server/http/http_state.h"

/* c->reply with its headers. The bytes stay ours, in arenas, until the last one was sent. */
enum MHD_Result send_reply(struct call *c);

/* For a connection that is of no more use: answers and closes it. msg is no secret. */
enum MHD_Result send_refusal(struct call *c, int status, enum refusal why, const char *msg);
