/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_http.h -- requests of the load generator over HTTP/1.1
 *
 * conf->server is a struct http_url; requests are what http_request_format() makes.
 *
 * Ownership, threads: as load.h says.
 */
#pragma once

#include "tools/bench/load.h"

extern const struct load_wire load_http;
