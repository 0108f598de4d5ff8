/* SPDX-License-Identifier: Apache-2.0 */
/* The bounds that vec_math.h states, measured on every 61st float, and its special values. */
#include <check.h>
#include <float.h>
#include <math.h>
#include "exec/cpu/math/unary.h"
#include "exec/cpu/math/vec_math.h"

/* Units in the last place of want's float between got and want. */
static double ulps(float got, double want)
{
	float w = (float)want;
	if (got == w || (isnan(got) && isnan(w)))
		return 0;
	if (isnan(got) || isnan(w) || isinf(w) || isinf(got))
		return fabs((double)got) > (double)FLT_MAX && fabs(want) > 0.99999 * (double)FLT_MAX
			       ? 1
			       : 1e9;
	double unit = ldexp(1, (fabsf(w) < FLT_MIN ? -126 : ilogbf(w)) - 23);
	return fabs((double)got - want) / unit;
}

struct bound {
	const char *name;
	enum unary_id id;
	double (*exact)(double);
	double ulp;
	float low, high; /* measured between them */
};

static double sigmoid(double x)
{
	return 1 / (1 + exp(-x));
}

static double expm1_as_elu(double x)
{
	return x > 0 ? x : expm1(x);
}

static double softplus(double x)
{
	return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static const struct bound bounds[] = {
	{ "exp", UNARY_EXP, exp, 2, -INFINITY, INFINITY },
	{ "log", UNARY_LOG, log, 2, 0, INFINITY },
	{ "tanh", UNARY_TANH, tanh, 3, -INFINITY, INFINITY },
	{ "erf", UNARY_ERF, erf, 3, -INFINITY, INFINITY },
	{ "elu", UNARY_ELU, expm1_as_elu, 3, -INFINITY, INFINITY },
	{ "sigmoid", UNARY_SIGMOID, sigmoid, 4, -80, INFINITY },
	{ "softplus", UNARY_SOFTPLUS, softplus, 4, -80, INFINITY },
	{ "sin", UNARY_SIN, sin, 1, -INFINITY, INFINITY },
	{ "cos", UNARY_COS, cos, 1, -INFINITY, INFINITY },
	{ "tan", UNARY_TAN, tan, 2, -INFINITY, INFINITY }, /* far from 0 it is C's */
	{ "asin", UNARY_ASIN, asin, 3, -INFINITY, INFINITY },
	{ "acos", UNARY_ACOS, acos, 2, -INFINITY, INFINITY },
	{ "atan", UNARY_ATAN, atan, 2, -INFINITY, INFINITY },
};

/* The loops of every instruction set that this machine has. */
static int loops(const unary_fn *ret[3])
{
	int n = 0;
	ret[n++] = unary_f32_base;
#ifdef __x86_64__
	if (cpu_features() & CPU_AVX2)
		ret[n++] = unary_f32_avx2;
	if (cpu_features() & CPU_AVX512)
		ret[n++] = unary_f32_avx512;
#endif
	return n;
}

static void measure(const struct bound *b, unary_fn fn, double *ret_worst, float *ret_at)
{
	float x[4096], y[4096];
	double param[2] = { 1, 0 };
	int n = 0;
	*ret_worst = 0;
	for (uint64_t u = 0; u <= UINT32_MAX; u += 61) {
		x[n] = bits_float((uint32_t)u);
		if (x[n] >= b->low && x[n] <= b->high)
			n++;
		if (n < 4096 && u + 61 <= UINT32_MAX)
			continue;
		fn(y, x, n, param);
		for (int i = 0; i < n; i++) {
			double d = ulps(y[i], b->exact((double)x[i]));
			if (d > *ret_worst) {
				*ret_worst = d;
				*ret_at = x[i];
			}
		}
		n = 0;
	}
}

START_TEST(functions_stay_within_their_bounds)
{
	const struct bound *b = &bounds[_i];
	const unary_fn *table[3];
	int n = loops(table);
	double worst;
	float at = 0;
	/* The widest only: what differs between them is contraction to fused multiply-add. */
	for (int i = n == 1 ? 0 : n - 2; i < n; i++) {
		measure(b, table[i][b->id], &worst, &at);
		ck_assert_msg(worst <= b->ulp, "%s(%.9g) is %.2f ulp off, bound %.0f", b->name,
			(double)at, worst, b->ulp);
	}
}
END_TEST

START_TEST(special_values_are_those_of_c)
{
	static const float x[] = { NAN, INFINITY, -INFINITY, 0.0f, -0.0f, 1e-41f, -1e-41f };
	for (size_t i = 0; i < sizeof(x) / sizeof(x[0]); i++) {
		ck_assert(ulps(vec_exp(x[i]), exp((double)x[i])) <= 1);
		ck_assert(ulps(vec_log(x[i]), log((double)x[i])) <= 2);
		ck_assert(ulps(vec_tanh(x[i]), tanh((double)x[i])) <= 1);
		ck_assert(ulps(vec_erf(x[i]), erf((double)x[i])) <= 2);
		ck_assert(ulps(vec_erfc(x[i]), erfc((double)x[i])) <= 2);
		ck_assert(ulps(vec_expm1(x[i]), expm1((double)x[i])) <= 1);
		ck_assert(ulps(vec_sin(x[i]), sin((double)x[i])) <= 1);
		ck_assert(ulps(vec_cos(x[i]), cos((double)x[i])) <= 1);
		ck_assert(ulps(vec_asin(x[i]), asin((double)x[i])) <= 1);
		ck_assert(ulps(vec_atan(x[i]), atan((double)x[i])) <= 1);
	}
	ck_assert(signbit(vec_tanh(-0.0f)) && signbit(vec_erf(-0.0f)) && signbit(vec_expm1(-0.0f)));
	ck_assert(signbit(vec_sin(-0.0f)) && signbit(vec_asin(-0.0f)) && signbit(vec_atan(-0.0f)));
	ck_assert(isnan(vec_log(-1)));
}
END_TEST

START_TEST(erfc_keeps_its_relative_error_in_the_tail)
{
	for (float x = -4; x < 9; x += 1.0f / 1024) {
		double want = erfc((double)x);
		ck_assert_msg(fabs((double)vec_erfc(x) - want) <= 8e-6 * want,
			"erfc(%g) is %g, want %g", (double)x, (double)vec_erfc(x), want);
	}
}
END_TEST

START_TEST(gelu_keeps_its_relative_error_in_the_tail)
{
	for (float x = -12; x < 9; x += 1.0f / 1024) {
		double want = 0.5 * (double)x * erfc((double)x * -sqrt(0.5));
		ck_assert_msg(fabs((double)vec_gelu(x) - want) <= 8e-6 * fabs(want),
			"gelu(%g) is %g, want %g", (double)x, (double)vec_gelu(x), want);
	}
	ck_assert(
		vec_gelu(INFINITY) == INFINITY && vec_gelu(-INFINITY) == 0 && isnan(vec_gelu(NAN)));
}
END_TEST

START_TEST(exp_below_is_exp_where_that_is_normal)
{
	for (float x = -87; x <= 0; x += 1.0f / 1024)
		ck_assert_msg(ulps(vec_exp_below(x), exp((double)x)) <= 2, "exp(%g)", (double)x);
	ck_assert(vec_exp_below(-INFINITY) == 0 && vec_exp_below(-88) == 0 &&
		  isnan(vec_exp_below(NAN)));
}
END_TEST

/* Every pair of these is C's, sign of zero included. */
static const float corners[] = { NAN, INFINITY, -INFINITY, 0.0f, -0.0f, 1, -1, 2, -2, 3, -3, 0.5f,
	-0.5f, 7.25f, -7.25f, 1e-41f, -1e-41f, FLT_MIN, FLT_MAX, -FLT_MAX, 16777215, 16777216,
	-16777217, 1e10f, 0.999999f, 1.0000001f, -1.0000001f };
#define CORNERS (sizeof(corners) / sizeof(corners[0]))

static void same(const char *what, float x, float y, float got, double want, double bound)
{
	bool zero = got == 0 && want == 0;
	ck_assert_msg(zero ? !signbit(got) == !signbit(want) : ulps(got, want) <= bound,
		"%s(%.9g, %.9g) is %.9g, want %.9g", what, (double)x, (double)y, (double)got, want);
}

START_TEST(powers_and_remainders_of_special_values_are_those_of_c)
{
	for (size_t i = 0; i < CORNERS; i++)
		for (size_t k = 0; k < CORNERS; k++) {
			float x = corners[i], y = corners[k], r = vec_fmod_near(x, y);
			same("pow", x, y, vec_pow(x, (double)y), pow((double)x, (double)y), 1);
			if (!isnan(r))
				same("fmod", x, y, r, fmod((double)x, (double)y), 0);
		}
	ck_assert(signbit(vec_pow(-1, 0x1p52 + 1)) && !signbit(vec_pow(-1, 0x1p52)) &&
		  !signbit(vec_pow(-1, 0x1p60)));
}
END_TEST

/* Pairs of any bits, and of moderate numbers, whose powers are seldom 0 or infinite: in parts, each
   with a time limit of its own. */
START_TEST(powers_and_remainders_stay_within_their_bounds)
{
	uint64_t seed = (uint64_t)_i + 1;
	for (int i = 0; i < 5000000; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		uint32_t a = (uint32_t)(seed >> 32), b = (uint32_t)seed * 2654435761u;
		bool wild = i & 1;
		float x = bits_float(wild ? a : (a & 0x7ffffff) + 0x3c000000);
		float y = bits_float(wild ? b : (b & 0x83ffffffu) + 0x40000000u);
		float r = vec_fmod_near(x, y);
		same("pow", x, y, vec_pow(x, (double)y), pow((double)x, (double)y), 0.6);
		if (!isnan(r))
			same("fmod", x, y, r, fmod((double)x, (double)y), 0);
	}
}
END_TEST

Suite *suite_vec_math(void);
Suite *suite_vec_math(void)
{
	Suite *s = suite_create("vec_math");
	TCase *t = tcase_create("all");
	tcase_add_loop_test(
		t, functions_stay_within_their_bounds, 0, sizeof(bounds) / sizeof(bounds[0]));
	tcase_add_test(t, powers_and_remainders_of_special_values_are_those_of_c);
	tcase_add_loop_test(t, powers_and_remainders_stay_within_their_bounds, 0, 4);
	tcase_add_test(t, special_values_are_those_of_c);
	tcase_add_test(t, gelu_keeps_its_relative_error_in_the_tail);
	tcase_add_test(t, exp_below_is_exp_where_that_is_normal);
	tcase_add_test(t, erfc_keeps_its_relative_error_in_the_tail);
	suite_add_tcase(s, t);
	return s;
}
