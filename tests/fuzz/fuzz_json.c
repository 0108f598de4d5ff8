/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON of strangers: the checking reader and the skimming one agree on where a value ends,
 * strings written again are read again as the same, numbers too; numbers read many at a time
 * are those read one by one.
 */
#include <stdlib.h>
#include "base/json_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_string(struct arena *arena, struct slice s)
{
	struct buf b = buf_of(arena, 0);
	struct slice text, again;
	struct json j;
	json_put_string(&b, s);
	check(buf_finish(&b, &text, NULL) == ERR_OK);
	json_init(&j, text, arena, false);
	check(json_string(&j, &again) && json_end(&j) && slice_eq(s, again));
}

static void check_number(struct arena *arena, const struct number *n)
{
	struct buf b = buf_of(arena, 0);
	struct slice text;
	struct number again;
	double v, w;
	if (!number_to_f64(n, &v))
		return;
	json_put_f64(&b, v, false);
	check(buf_finish(&b, &text, NULL) == ERR_OK);
	check(number_scan(text.ptr, text.ptr + text.len, &again) == text.ptr + text.len);
	check(number_to_f64(&again, &w) && memcmp(&v, &w, sizeof(v)) == 0);
}

/* Every value, by its kind. */
static void walk(struct json *j, struct arena *arena)
{
	struct slice s;
	struct number n;
	bool b;
	do {
		switch (json_peek(j)) {
		case JSON_OBJECT: json_enter_object(j); break;
		case JSON_ARRAY: json_enter_array(j); break;
		case JSON_BOOL: json_bool(j, &b); break;
		case JSON_NULL: json_null(j); break;
		case JSON_NUMBER:
			if (json_number(j, &n))
				check_number(arena, &n);
			break;
		case JSON_STRING:
			if (json_string(j, &s))
				check_string(arena, s);
			break;
		case JSON_NONE: return;
		}
		while (j->depth > 0 && !j->error &&
			!(j->is_object & 1 ? json_member(j, &s) : json_next(j)))
			;
	} while (j->depth > 0 && !j->error);
}

#define ROOM 4096
#define HEAD 64 /* runs begin only where as much stands before them */

static size_t read_doubles(struct json *j, double *to, bool runs)
{
	struct json_rows rows = { .length = SIZE_MAX };
	struct number number;
	size_t n = 0;
	json_enter_array(j);
	while (n < ROOM && json_next(j)) {
		size_t got = runs ? json_run_f64(j, to + n, ROOM - n, &rows) : 0;
		if (got == 0 && (!json_number(j, &number) || !number_to_f64(&number, to + n)))
			break;
		n += got ? got : 1;
	}
	return n;
}

/* What the data would be as the elements of an array. */
static void check_runs(struct arena *arena, const uint8_t *data, size_t size)
{
	static double many[ROOM], each[ROOM];
	char *text = arena_alloc(arena, HEAD + size);
	struct slice doc = { text, HEAD + size };
	struct json j, k;
	if (!text)
		return;
	memset(text, ' ', HEAD - 1);
	text[HEAD - 1] = '[';
	memcpy(text + HEAD, data, size);
	json_init(&j, doc, arena, false);
	json_init(&k, doc, arena, false);
	size_t n = read_doubles(&j, many, true);
	check(n == read_doubles(&k, each, false) && memcmp(many, each, n * sizeof(*many)) == 0);
	check(j.at == k.at && j.error == k.error && j.error_at == k.error_at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(4096, 64 << 20);
	struct slice doc = { (const char *)data, size }, skipped, skimmed;
	struct json checking, skimming, walking;
	struct err err;
	size_t commas;
	json_init(&checking, doc, arena, false);
	json_init(&skimming, doc, arena, false);
	json_init(&walking, doc, arena, false);
	bool good = json_skip(&checking, &skipped);
	bool found = json_skim(&skimming, &skimmed, &commas);
	check(!good || (found && slice_eq(skipped, skimmed) && checking.at == skimming.at));
	walk(&walking, arena);
	check(good == !walking.error);
	if (!good)
		check(json_error(&checking, &err) == ERR_INVALID_ARGUMENT &&
			checking.error_at <= size);
	check_runs(arena, data, size);
	arena_free(arena);
	return 0;
}
