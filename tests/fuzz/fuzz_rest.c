/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies of both REST dialects. The first byte chooses route, model and where the JSON of
 * the binary extension ends; the rest is the body. What is answered well is valid JSON.
 */
#include <stdlib.h>
#include "base/json.h"
#include "support/rest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static int64_t json_len_of(const uint8_t *data, size_t size)
{
	/* Behind the last brace, so that a corpus needs no numbers. */
	for (size_t i = size; i > 0; i--)
		if (data[i - 1] == '}')
			return (int64_t)i;
	return (int64_t)size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rest_result r;
	if (size == 0)
		return 0;
	uint8_t how = *data++;
	size--;
	bool is_v1 = how & 1, binary = how & 4, raw = how & 8, examples = how & 32;
	struct rest_opts o = { .route = is_v1 ? ROUTE_V1_PREDICT : ROUTE_V2_INFER,
		.model = how & 2 ? "many" : "one", .json_len = -1, .allow_nan = how & 16 };
	if (is_v1 && examples) {
		o.route = how & 64 ? ROUTE_V1_REGRESS : ROUTE_V1_CLASSIFY;
		o.model = "judge";
	}
	if (!is_v1 && binary)
		o.json_len = raw ? 0 : json_len_of(data, size);
	rest_run(&o, (struct slice){ (const char *)data, size }, &r);
	if (r.code == ERR_OK) {
		struct slice json = r.reply;
		struct json j;
		if (r.call->reply.json_len >= 0) {
			check((size_t)r.call->reply.json_len <= json.len);
			json.len = (size_t)r.call->reply.json_len;
		}
		json_init(&j, json, r.call->arena, true);
		check(json_skip(&j, NULL) && json_end(&j));
	} else {
		check(r.err.code == r.code && r.err.msg[0]);
	}
	rest_done(&r);
	return 0;
}
