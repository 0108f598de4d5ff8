/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/cors.h"

#include <string.h>

static bool allows_all(const struct http_conf *conf)
{
	return conf->cors_origins && strcmp(conf->cors_origins, "*") == 0;
}

bool cors_allows(const struct http_conf *conf, struct slice origin)
{
	const char *list = conf->cors_origins;
	if (!list || !*list || origin.len == 0)
		return false;
	if (allows_all(conf))
		return true;
	while (*list) {
		size_t len = strcspn(list, ", ");
		if (len && slice_eq(origin, (struct slice){ list, len }))
			return true;
		list += len + strspn(list + len, ", ");
	}
	return false;
}

void cors_headers(const struct http_conf *conf, struct slice origin,
	void (*add)(void *ctx, const char *name, struct slice value), void *ctx)
{
	bool by_origin = conf->cors_origins && *conf->cors_origins && !allows_all(conf);
	/* Also where it is not allowed: a cache must not give that answer to who is. */
	if (by_origin)
		add(ctx, "Vary", SLICE_LIT("Origin"));
	if (!cors_allows(conf, origin))
		return;
	add(ctx, "Access-Control-Allow-Origin", by_origin ? origin : SLICE_LIT("*"));
	add(ctx, "Access-Control-Expose-Headers",
		SLICE_LIT("Inference-Header-Content-Length, Retry-After"));
}
