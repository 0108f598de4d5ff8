/* SPDX-License-Identifier: Apache-2.0 */
#include "base/parse.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include "base/checked.h"
#include "base/clock.h"

/* No number needs more; the shortest exact form of a double has 24 characters. */
#define DOUBLE_CHARS_MAX 512

bool parse_u64(struct slice text, uint64_t max, uint64_t *ret)
{
	if (text.len == 0 || text.len > 20 || (text.ptr[0] == '0' && text.len > 1))
		return false;
	uint64_t v = 0;
	for (size_t i = 0; i < text.len; i++) {
		unsigned digit = (unsigned)text.ptr[i] - '0';
		if (digit > 9 || __builtin_mul_overflow(v, 10u, &v) ||
			__builtin_add_overflow(v, digit, &v))
			return false;
	}
	if (v > max)
		return false;
	*ret = v;
	return true;
}

bool parse_i64(struct slice text, int64_t min, int64_t max, int64_t *ret)
{
	bool negative = text.len > 0 && text.ptr[0] == '-';
	struct slice digits = { text.ptr + negative, text.len - negative };
	uint64_t v;
	if (!parse_u64(digits, (uint64_t)INT64_MAX + negative, &v) || (negative && v == 0))
		return false;
	/* -v in unsigned arithmetic: INT64_MIN has no positive twin. */
	int64_t n = (int64_t)(negative ? 0 - v : v);
	if (n < min || n > max)
		return false;
	*ret = n;
	return true;
}

static size_t skip_digits(struct slice text, size_t at)
{
	while (at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9')
		at++;
	return at;
}

static bool is_json_number(struct slice text)
{
	size_t at = text.len > 0 && text.ptr[0] == '-';
	size_t end = skip_digits(text, at);
	if (end == at || (text.ptr[at] == '0' && end - at > 1))
		return false;
	at = end;
	if (at < text.len && text.ptr[at] == '.') {
		end = skip_digits(text, at + 1);
		if (end == at + 1)
			return false;
		at = end;
	}
	if (at < text.len && (text.ptr[at] == 'e' || text.ptr[at] == 'E')) {
		at++;
		if (at < text.len && (text.ptr[at] == '-' || text.ptr[at] == '+'))
			at++;
		end = skip_digits(text, at);
		if (end == at)
			return false;
		at = end;
	}
	return at == text.len;
}

static locale_t c_locale;
static void make_c_locale(void)
{
	c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

bool parse_double(struct slice text, double *ret)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	if (text.len >= DOUBLE_CHARS_MAX || !is_json_number(text))
		return false;
	pthread_once(&once, make_c_locale);
	if (!c_locale)
		return false;
	char copy[DOUBLE_CHARS_MAX];
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	double v = strtod_l(copy, NULL, c_locale);
	if (!isfinite(v))
		return false;
	*ret = v;
	return true;
}

bool parse_bool(struct slice text, bool *ret)
{
	static const char *const words[2][3] = { { "false", "no", "off" },
		{ "true", "yes", "on" } };
	for (int v = 0; v < 2; v++) {
		for (int i = 0; i < 3; i++) {
			if (slice_is(text, words[v][i])) {
				*ret = v;
				return true;
			}
		}
	}
	return false;
}

/* Splits off the digits that text begins with; the rest is the unit. */
static bool split_unit(struct slice text, uint64_t *ret_number, struct slice *ret_unit)
{
	size_t digits = skip_digits(text, 0);
	if (!parse_u64((struct slice){ text.ptr, digits }, INT64_MAX, ret_number))
		return false;
	*ret_unit = (struct slice){ text.ptr + digits, text.len - digits };
	return true;
}

bool parse_size(struct slice text, size_t *ret)
{
	static const char letters[] = "KMGT";
	uint64_t number;
	struct slice unit;
	size_t bytes;
	if (!split_unit(text, &number, &unit))
		return false;
	int shift = 0;
	if (unit.len > 0) {
		const char *letter = memchr(letters, unit.ptr[0], sizeof(letters) - 1);
		struct slice rest = { unit.ptr + 1, unit.len - 1 };
		if (!letter || (rest.len > 0 && !slice_is(rest, "iB")))
			return false;
		shift = 10 * (int)(letter - letters + 1);
	}
	if (mul_overflows(number, (size_t)1 << shift, &bytes))
		return false;
	*ret = bytes;
	return true;
}

bool parse_duration_ns(struct slice text, int64_t *ret)
{
	static const struct {
		const char *name;
		int64_t ns;
	} units[] = { { "us", NS_PER_US }, { "ms", NS_PER_MS }, { "s", NS_PER_S },
		{ "m", 60 * NS_PER_S }, { "h", 3600 * NS_PER_S } };
	uint64_t number;
	struct slice unit;
	if (!split_unit(text, &number, &unit))
		return false;
	if (unit.len == 0 && number == 0) {
		*ret = 0;
		return true;
	}
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		int64_t ns;
		if (slice_is(unit, units[i].name)) {
			if (mul_i64_overflows((int64_t)number, units[i].ns, &ns))
				return false;
			*ret = ns;
			return true;
		}
	}
	return false;
}
