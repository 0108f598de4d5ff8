/* SPDX-License-Identifier: Apache-2.0 */
/* Triton's shared memory extensions: regions come, are told of, and go. */
#include "base/json.h"
#include "base/utf8.h"
#include "server/http/http_state.h"
#include "server/dialect/oip.h"

static int digit(char ch)
{
	char low = ch | 0x20;
	return ch >= '0' && ch <= '9' ? ch - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

/* The path's region, with its %XX decoded; "" where there is none. */
static enum err_code read_name(struct call *c, struct slice *ret, struct err *err)
{
	struct slice from = c->region;
	char *to = arena_alloc(c->arena, from.len + 1);
	size_t n = 0;
	if (!to)
		return err_oom(err);
	for (size_t i = 0; i < from.len; i++) {
		to[n] = from.ptr[i];
		if (to[n++] != '%')
			continue;
		int high = i + 2 < from.len ? digit(from.ptr[i + 1]) : -1;
		int low = high < 0 ? -1 : digit(from.ptr[i + 2]);
		if (low < 0)
			return err_set(err, ERR_INVALID_ARGUMENT,
				"a '%%' of the path is not followed by two hexadecimal digits");
		to[n - 1] = (char)(high * 16 + low);
		i += 2;
	}
	*ret = (struct slice){ to, n };
	return n ? utf8_check_name(*ret, REGION_NAME_MAX_BYTES, "the name of a region", err)
		 : ERR_OK;
}

static void put_region(struct buf *b, const struct region_spec *s)
{
	buf_str(b, "{\"name\":");
	json_put_string(b, s->name);
	buf_str(b, ",\"key\":");
	json_put_string(b, s->key);
	buf_str(b, ",\"offset\":");
	json_put_u64(b, s->offset);
	buf_str(b, ",\"byte_size\":");
	json_put_u64(b, s->bytes);
	buf_char(b, '}');
}

static enum err_code reply_status(struct call *c, struct regions *all, struct err *err)
{
	struct buf b = buf_of(c->arena, 0);
	struct slice name;
	struct region_spec *s;
	int n;
	TRY(read_name(c, &name, err));
	TRY(regions_list(all, name, c->arena, &s, &n, err));
	buf_char(&b, '[');
	for (int i = 0; i < n; i++) {
		if (i)
			buf_char(&b, ',');
		put_region(&b, &s[i]);
	}
	buf_char(&b, ']');
	return call_reply_json(c, &b, err);
}

enum err_code v2_region_status(struct call *c, struct err *err)
{
	return reply_status(c, c->http->conf.regions, err);
}

static void read_size(struct json *j, uint64_t *ret)
{
	int64_t n;
	if (json_i64(j, &n) && n < 0)
		json_fail(j, "a number that is not negative");
	else
		*ret = (uint64_t)n;
}

enum err_code v2_region_register(struct call *c, struct err *err)
{
	struct region_spec s = { .name = SLICE_LIT(""), .key = SLICE_LIT("") };
	struct slice key;
	struct json j;
	TRY(read_name(c, &s.name, err));
	if (!call_enter_json(c, &j))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"a region is registered with key, offset and byte_size");
	while (json_member(&j, &key)) {
		if (slice_is(key, "key"))
			json_string(&j, &s.key);
		else if (slice_is(key, "offset"))
			read_size(&j, &s.offset);
		else if (slice_is(key, "byte_size"))
			read_size(&j, &s.bytes);
		else
			json_skip(&j, NULL);
	}
	json_end(&j);
	TRY(json_error(&j, err));
	TRY(regions_register(c->http->conf.regions, &s, err));
	call_reply(c, 200, "application/json", SLICE_LIT("{}"));
	return ERR_OK;
}

enum err_code v2_region_unregister(struct call *c, struct err *err)
{
	struct slice name;
	TRY(read_name(c, &name, err));
	regions_unregister(c->http->conf.regions, name);
	call_reply(c, 200, "application/json", SLICE_LIT("{}"));
	return ERR_OK;
}

/* --- CUDA's: no region was registered, for none can be --- */

enum err_code v2_cuda_status(struct call *c, struct err *err)
{
	return reply_status(c, NULL, err);
}

enum err_code v2_cuda_register(struct call *c, struct err *err)
{
	(void)c;
	return oip_refuse_cuda(err);
}

enum err_code v2_cuda_unregister(struct call *c, struct err *err)
{
	(void)err;
	call_reply(c, 200, "application/json", SLICE_LIT("{}"));
	return ERR_OK;
}
