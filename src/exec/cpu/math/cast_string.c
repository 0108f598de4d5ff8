/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cast from and to strings. Numbers are written as short as reads back the same, plain
 * from 1e-4 to 1e16 and with an exponent beyond, infinities "inf", "-inf", NaN "nan"; the
 * same words, in any case, are read.
 */
#include "exec/cpu/math/cast.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/number.h"
#include "exec/cpu/minifloat.h"
#include "exec/half.h"

#define NUMBER_READ_MAX 128

static double float_at(const struct tensor *t, int64_t i)
{
	if (dtype_is_minifloat(t->dtype))
		return (double)minifloat_decode(t->dtype, ((const uint8_t *)t->data)[i]);
	return tensor_float(t, i);
}

/* Digits and exponent of "d.ddde[+-]x" or "ddd.ddd", as number_format_* write them, laid
   out anew. Returns the length. */
static size_t layout_number(const char *text, size_t len, char *to, size_t size)
{
	char digits[NUMBER_TEXT_MAX];
	int n = 0, point = 0, exponent = 0;
	bool negative = text[0] == '-', seen_point = false;
	for (size_t i = negative; i < len; i++) {
		if (text[i] == 'e' || text[i] == 'E') {
			exponent = atoi(text + i + 1);
			break;
		}
		if (text[i] == '.') {
			seen_point = true;
			continue;
		}
		if (n || text[i] != '0') {
			digits[n++] = text[i];
			point += !seen_point;
		} else {
			point -= seen_point;
		}
	}
	point += exponent;
	while (n > 1 && digits[n - 1] == '0')
		n--;
	const char *sign = negative ? "-" : "";
	if (n == 0)
		return (size_t)snprintf(to, size, "%s0.0", sign);
	if (point > 16 || point < -3)
		return (size_t)snprintf(to, size, "%s%c%s%.*se%+03d", sign, digits[0],
			n > 1 ? "." : "", n - 1, digits + 1, point - 1);
	if (point <= 0)
		return (size_t)snprintf(to, size, "%s0.%.*s%.*s", sign, -point, "000", n, digits);
	if (n <= point)
		return (size_t)snprintf(to, size, "%s%.*s%.*s.0", sign, n, digits, point - n,
			"0000000000000000");
	return (size_t)snprintf(
		to, size, "%s%.*s.%.*s", sign, point, digits, n - point, digits + point);
}

static size_t format_float(const struct tensor *t, int64_t i, char *to, size_t size)
{
	double v = float_at(t, i);
	char text[NUMBER_TEXT_MAX + 1];
	if (isnan(v))
		return (size_t)snprintf(to, size, "nan");
	if (isinf(v))
		return (size_t)snprintf(to, size, v < 0 ? "-inf" : "inf");
	size_t n = t->dtype == DTYPE_F64 ? number_format_f64(text, v)
					 : number_format_f32(text, (float)v);
	text[n] = '\0';
	return layout_number(text, n, to, size);
}

static size_t format_element(const struct tensor *t, int64_t i, char *to, size_t size)
{
	if (dtype_info(t->dtype)->class == DTYPE_CLASS_FLOAT)
		return format_float(t, i, to, size);
	if (t->dtype == DTYPE_BOOL)
		return (size_t)snprintf(to, size, tensor_int(t, i) ? "True" : "False");
	if (t->dtype == DTYPE_U64)
		return number_format_u64(to, (uint64_t)tensor_int(t, i));
	return number_format_i64(to, tensor_int(t, i));
}

static void run_to_string(const struct kernel_args *a, int64_t begin, int64_t end)
{
	int64_t n = tensor_count(&a->in[0]);
	(void)begin, (void)end;
	for (int64_t i = 0; i < n; i++) {
		char text[2 * NUMBER_TEXT_MAX];
		size_t len = format_element(&a->in[0], i, text, sizeof(text));
		char *copy = a->arena ? arena_strndup(a->arena, text, len) : NULL;
		if (!copy)
			kernel_fault(a, FAULT_MEMORY, i);
		((struct slice *)a->out[0].data)[i] = (struct slice){ copy, copy ? len : 0 };
	}
}

/* A number as text, and whether that is all there is. Integers that double cannot hold
   are read by parse_int(). */
static bool parse_real(const char *text, double *ret)
{
	char *end;
	*ret = strtod(text, &end);
	while (*end == ' ')
		end++;
	return end != text && *end == '\0';
}

static bool parse_int(const char *text, bool is_unsigned, int64_t *ret)
{
	char *end;
	double v;
	*ret = is_unsigned ? (int64_t)strtoull(text, &end, 10) : strtoll(text, &end, 10);
	if (end != text && *end == '\0')
		return true;
	if (!parse_real(text, &v) || isnan(v))
		return false;
	*ret = v >= 0x1p63 ? INT64_MAX : v < -0x1p63 ? INT64_MIN : (int64_t)v;
	return true;
}

static bool write_number(const struct tensor *t, int64_t i, const char *text, bool saturate)
{
	double v = 0;
	int64_t k = 0;
	if (dtype_info(t->dtype)->class != DTYPE_CLASS_FLOAT) {
		bool is_number = parse_int(text, t->dtype == DTYPE_U64, &k);
		cast_write_int(t->dtype, t->data, i, k);
		return is_number;
	}
	bool ok = parse_real(text, &v);
	switch (t->dtype) {
	case DTYPE_F32: ((float *)t->data)[i] = strtof(text, NULL); break;
	case DTYPE_F64: ((double *)t->data)[i] = v; break;
	case DTYPE_F16: ((uint16_t *)t->data)[i] = float_to_half((float)v); break;
	case DTYPE_BF16: ((uint16_t *)t->data)[i] = float_to_bfloat((float)v); break;
	case DTYPE_F8E8M0:
		((uint8_t *)t->data)[i] = minifloat_encode_e8m0((float)v, saturate, MINIFLOAT_UP);
		break;
	default: ((uint8_t *)t->data)[i] = minifloat_encode(t->dtype, v, saturate);
	}
	return ok;
}

struct string_state {
	bool saturate;
};

static void run_from_string(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct string_state *s = a->state;
	int64_t n = tensor_count(&a->in[0]);
	(void)begin, (void)end;
	for (int64_t i = 0; i < n; i++) {
		struct slice v = ((const struct slice *)a->in[0].data)[i];
		char text[NUMBER_READ_MAX];
		size_t len = v.len < sizeof(text) ? v.len : 0;
		if (len)
			memcpy(text, v.ptr, len);
		text[len] = '\0';
		if (!write_number(&a->out[0], i, text, s->saturate))
			kernel_fault(a, FAULT_VALUE, i);
	}
}

enum err_code prepare_cast_string(struct prep *p, struct kernel *ret, struct err *err)
{
	bool from = p->in[0].dtype == DTYPE_STRING, to = p->out[0].dtype == DTYPE_STRING;
	if (from == to)
		return prep_refuse(err, "no cast between these types");
	struct string_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->saturate = node_int(p->node, "saturate", 1) != 0;
	ret->run = from ? run_from_string : run_to_string;
	return ERR_OK;
}
