/* SPDX-License-Identifier: Apache-2.0 */
/* pow and fmod of floats on vec_math.h. Compiled once per instruction set. */
#include "exec/cpu/math/loop2.h"

#include <math.h>
#include <string.h>
#include "exec/cpu/math/vec_math.h"
#include "exec/cpu/vec_isa.h"

#define BLOCK 256

LOOP2(vec_power, float, float, double, vec_pow(a, b))
LOOP2(fmod_near, float, float, float, vec_fmod_near(a, b))

/* One base is laid out, as the compiler does not see how to take its powers by vectors. */
static void powers_of_one(
	const struct kernel_args *args, float *out, float base, const double *b, int64_t n)
{
	float same[BLOCK];
	for (int64_t i = 0; i < min_i64(BLOCK, n); i++)
		same[i] = base;
	for (int64_t at = 0; at < n; at += BLOCK)
		vec_power(args, out + at, same, b + at, min_i64(BLOCK, n - at), 1, 1);
}

void VEC_NAME(pow_f32)(const struct kernel_args *args, void *out, const void *a, const void *b,
	int64_t n, int64_t a_step, int64_t b_step)
{
	if (!a_step && b_step) {
		powers_of_one(args, out, *(const float *)a, b, n);
		return;
	}
	binary_fn easy = power_easy(a, b, n, a_step, b_step);
	(easy ? easy : vec_power)(args, out, a, b, n, a_step, b_step);
}

/* What vec_math.h leaves, and what has no remainder, is NaN; both are asked of C's library. */
void VEC_NAME(fmod_f32)(const struct kernel_args *args, void *out, const void *a, const void *b,
	int64_t n, int64_t a_step, int64_t b_step)
{
	float y[BLOCK], *o = out;
	for (int64_t at = 0; at < n; at += BLOCK) {
		const float *v = (const float *)a + at * a_step,
			    *w = (const float *)b + at * b_step;
		int64_t block = min_i64(BLOCK, n - at);
		fmod_near(args, y, v, w, block, a_step, b_step);
		for (int64_t i = 0; i < block; i++)
			if (y[i] != y[i])
				y[i] = fmodf(v[i * a_step], w[i * b_step]);
		memcpy(o + at, y, (size_t)block * sizeof(float));
	}
}
