/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cors.h -- what an answer tells a browser whose page is another origin's
 *
 * Life of a request: listen -> decode -> ... -> [ENCODE]
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include "base/slice.h"
#include "server/http/http.h"

/* The origin of a request that was refused before its headers were read: an answer to it may
   say what is true for everybody. */
#define CORS_UNKNOWN SLICE_LIT("*")

/* Calls add for each header. origin: of the request; empty: it is no browser's. */
void cors_headers(const struct http_conf *conf, struct slice origin,
	void (*add)(void *ctx, const char *name, struct slice value), void *ctx);

bool cors_allows(const struct http_conf *conf, struct slice origin);
