/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>

#include "server/http/route.h"

static int find(const char *target, unsigned method, struct call *c)
{
	const char *msg;
	*c = (struct call){ .target = slice_of(target) };
	return route_find(c, method, &msg);
}

START_TEST(every_row_is_found_by_its_own_pattern)
{
	static const struct {
		char letter;
		const char *stands_for;
	} holes[] = { { 'm', "some-model.v1" }, { 'v', "42" }, { 'l', "stable" },
		{ 'r', "region-1" } };
	for (int id = 0; id < ROUTE_COUNT_; id++) {
		const struct route *row = route_at((enum route_id)id);
		char path[256], *w = path;
		for (const char *p = row->pattern; *p; p++) {
			if (*p != '{') {
				*w++ = *p;
				continue;
			}
			for (size_t i = 0; i < sizeof(holes) / sizeof(*holes); i++)
				if (holes[i].letter == p[1])
					w = stpcpy(w, holes[i].stands_for);
			p += 2;
		}
		*w = '\0';
		struct call c;
		ck_assert_int_eq(find(path, row->method, &c), 0);
		ck_assert_msg(c.route == row, "%s went to %s", path, c.route->pattern);
		ck_assert_int_eq(c.spec.pick == VERSION_PICK_NUMBER, !!strstr(row->pattern, "{v}"));
		ck_assert_int_eq(c.spec.pick == VERSION_PICK_LABEL, !!strstr(row->pattern, "{l}"));
		ck_assert_int_eq(slice_is(c.region, "region-1"), !!strstr(row->pattern, "{r}"));
		ck_assert_int_eq(c.has_spec, c.spec.pick != VERSION_PICK_LATEST);
	}
}
END_TEST

START_TEST(other_methods_are_told_which_there_are) /* H18 */
{
	struct call c;
	ck_assert_int_eq(find("/v2/models/m/infer", METHOD_GET, &c), 405);
	ck_assert_str_eq(c.reply.allow, "POST, OPTIONS");
	ck_assert_int_eq(find("/v2", METHOD_POST, &c), 405);
	ck_assert_str_eq(c.reply.allow, "GET, HEAD, OPTIONS");
	ck_assert_int_eq(find("/v2", METHOD_HEAD, &c), 0);
	ck_assert_int_eq(find("/v3", METHOD_OTHER, &c), 404);
	ck_assert_uint_eq(route_method("get"), 0);
	ck_assert_uint_eq(route_method("FOO"), 0);
}
END_TEST

START_TEST(odd_paths_go_nowhere) /* H17 */
{
	static const struct {
		const char *path;
		int status;
	} rows[] = { { "", 400 }, { "v2", 400 }, { "//v2", 404 }, { "/v2/", 404 }, { "/V2", 404 },
		{ "/v2/models//infer", 405 }, { "/v2/models/%2e%2e", 400 },
		{ "/v2/models/a%00", 400 }, { "/v2/models/..", 404 }, { "/v2/models/.", 404 },
		{ "/v2/models/a;b", 400 }, { "/v2#x", 400 }, { "*", 400 },
		{ "http://h/v2", 400 }, { "/v2/models/m/versions/01", 400 },
		{ "/v2/models/m/versions/-1", 400 },
		{ "/v2/models/m/versions/9223372036854775808", 400 }, { "/v2/models/a:b", 404 } };
	struct call c;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		int status = find(rows[i].path, METHOD_GET, &c);
		ck_assert_msg(status == rows[i].status || (rows[i].status == 405 && status == 404),
			"%s: %d", rows[i].path, status);
	}
	ck_assert_int_eq(find("/metrics?x=1", METHOD_GET, &c), 0);
	ck_assert_int_eq(find("/v2/models/m/infer?a=/../b", METHOD_POST, &c), 0);
	ck_assert(slice_is(c.model, "m"));
	ck_assert_int_eq(find("/v2/systemsharedmemory/region/a%2Fb/status", METHOD_GET, &c), 0);
	ck_assert(slice_is(c.region, "a%2Fb"));
	ck_assert_int_eq(find("/v2/cudasharedmemory/region/a%2Fb/status", METHOD_GET, &c), 400);
	ck_assert_int_eq(find("/v2/systemsharedmemory/region/a%20b%", METHOD_GET, &c), 404);
}
END_TEST

START_TEST(names_of_models)
{
	char name[130];
	memset(name, 'a', sizeof(name));
	ck_assert(route_name_is_valid((struct slice){ name, 128 }));
	ck_assert(!route_name_is_valid((struct slice){ name, 129 }));
	static const char *const bad[] = { "", ".", "..", "a/b", "a b", "a:b", "\xc3\xa9", "a\n" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ck_assert(!route_name_is_valid(slice_of(bad[i])));
}
END_TEST

Suite *suite_route(void);
Suite *suite_route(void)
{
	Suite *s = suite_create("route");
	TCase *t = tcase_create("route");
	tcase_add_test(t, every_row_is_found_by_its_own_pattern);
	tcase_add_test(t, other_methods_are_told_which_there_are);
	tcase_add_test(t, odd_paths_go_nowhere);
	tcase_add_test(t, names_of_models);
	suite_add_tcase(s, t);
	return s;
}
