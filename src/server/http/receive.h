/* SPDX-License-Identifier: Apache-2.0 */
/*
 * receive.h -- a call's headers and body as they come
 *
 * Life of a request: listen -> [ADMIT] -> decode -> ...
 *
 * What libmicrohttpd has parsed is checked again by stricter rules (head.h), and as much as
 * headers can tell is refused before the body is read.
 *
 * Threads: the call's IO thread. What these return is for libmicrohttpd: MHD_NO closes the
 *          connection.
 */
#pragma once

#include "server/http/http_state.h"

/* The headers are there: checks them, finds the route, sets the stage to what is to be done
   with the body. method, version: as libmicrohttpd's callback has them. */
enum MHD_Result receive_head(struct call *c, const char *method, const char *version);

/* len bytes more of the body. */
enum MHD_Result receive_piece(struct call *c, const char *data, size_t len);
