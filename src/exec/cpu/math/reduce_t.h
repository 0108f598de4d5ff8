/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reduce_t.h -- the steps of reductions for one element type
 *
 * Included by reduce_loops.c with E (elements), A (accumulators), N(name), LOWEST and HIGHEST,
 * which end here, and what is one for floats and one for integers. A step adds n elements to n
 * accumulators, one to one; everything else is made of steps.
 */
#define STEP(op, update) \
	static void N(op)(void *accumulators, const void *elements, int64_t n) \
	{ \
		A *restrict acc = accumulators; \
		const E *restrict v = elements; \
		for (int64_t i = 0; i < n; i++) { \
			A x = (A)v[i]; \
			update; \
		} \
	} \
	/* Lanes of accumulators over one run of elements. */ \
	static void N(op##_run)(void *accumulators, const void *elements, int64_t n) \
	{ \
		A lane[REDUCE_LANES]; \
		const E *v = elements; \
		int64_t k = 0; \
		memcpy(lane, accumulators, sizeof(lane)); \
		for (; k + REDUCE_LANES <= n; k += REDUCE_LANES) { \
			A *acc = lane; \
			for (int i = 0; i < REDUCE_LANES; i++) { \
				A x = (A)v[k + i]; \
				update; \
			} \
		} \
		memcpy(accumulators, lane, sizeof(lane)); \
		N(op)(accumulators, v + k, n - k); \
	} \
	/* n accumulators, each over `width` elements of its own; of pairs go vectors. */ \
	static void N(op##_rows)(void *accumulators, const void *elements, int64_t n, \
		int64_t width) \
	{ \
		A *restrict acc = accumulators; \
		const E *restrict v = elements; \
		for (int64_t i = 0; i < n && width == 2; i++) { \
			A x = (A)v[2 * i]; \
			update; \
			x = (A)v[2 * i + 1]; \
			update; \
		} \
		for (int64_t i = 0; i < n && width != 2; i++) \
			for (int64_t k = 0; k < width; k++) { \
				A x = (A)v[i * width + k]; \
				update; \
			} \
	}

STEP(sum, acc[i] += x)
STEP(l1, acc[i] += ABS_OF(x))
STEP(square, acc[i] += x * x)
STEP(prod, acc[i] *= x)
STEP(max, acc[i] = acc[i] > x || IS_NAN(acc[i]) ? acc[i] : x)
STEP(min, acc[i] = acc[i] < x || IS_NAN(acc[i]) ? acc[i] : x)

/* The largest and the least of a run are found among elements as they are, more at once than there
   are accumulators; to meet one twice does no harm. */
#define EXTREME_RUN(op, beats) \
	static inline void N(op##_into)(E *restrict best, const E *restrict v, int n) \
	{ \
		for (int i = 0; i < n; i++) { \
			E x = v[i]; \
			best[i] = best[i] beats x || IS_NAN(best[i]) ? best[i] : x; \
		} \
	} \
	static void N(op##_narrow)(void *accumulators, const void *elements, int64_t n) \
	{ \
		enum { WIDTH = 256 / sizeof(E) }; \
		E best[WIDTH]; \
		const E *v = elements; \
		if (n < 2 * WIDTH) { \
			N(op##_run)(accumulators, v, n); \
			return; \
		} \
		memcpy(best, v, sizeof(best)); \
		for (int64_t k = WIDTH; k + WIDTH < n; k += WIDTH) \
			N(op##_into)(best, v + k, WIDTH); \
		N(op##_into)(best, v + n - WIDTH, WIDTH); \
		for (int half = WIDTH / 2; half >= REDUCE_LANES; half /= 2) \
			N(op##_into)(best, best + half, half); \
		N(op##_run)(accumulators, best, REDUCE_LANES); \
	}
EXTREME_RUN(max, >)
EXTREME_RUN(min, <)

/* Accumulators i + n folded into accumulators i. */
static void N(fold)(enum reduce_step step, void *accumulators, int64_t n)
{
	A *acc = accumulators;
	for (int64_t i = 0; i < n; i++) {
		A x = acc[i + n];
		if (step == REDUCE_PROD)
			acc[i] *= x;
		else if (step == REDUCE_MAX)
			acc[i] = acc[i] > x || IS_NAN(acc[i]) ? acc[i] : x;
		else if (step == REDUCE_MIN)
			acc[i] = acc[i] < x || IS_NAN(acc[i]) ? acc[i] : x;
		else
			acc[i] += x;
	}
}

static void N(fill)(enum reduce_step step, void *accumulators, int64_t n)
{
	A *acc = accumulators;
	A start = step == REDUCE_PROD ? 1 : step == REDUCE_MAX ? LOWEST : step == REDUCE_MIN
		? HIGHEST : 0;
	for (int64_t i = 0; i < n; i++)
		acc[i] = start;
}

static void N(finish)(
	enum reduce_finish how, void *out, const void *accumulators, int64_t n, int64_t count)
{
	E *o = out;
	const A *acc = accumulators;
	for (int64_t i = 0; i < n; i++) {
		A x = acc[i];
		if (how == FINISH_MEAN)
			x = count ? x / (A)count : (A)MEAN_OF_NONE;
		else if (how == FINISH_ROOT)
			x = (A)FROM_REAL(sqrt((double)x));
		else if (how == FINISH_LOG)
			x = (A)FROM_REAL(log((double)x));
		o[i] = (E)x;
	}
}

static const struct reduce_loops N(loops) = {
	.step = { [REDUCE_SUM] = N(sum), [REDUCE_L1] = N(l1), [REDUCE_SQUARE] = N(square),
		[REDUCE_PROD] = N(prod), [REDUCE_MAX] = N(max), [REDUCE_MIN] = N(min) },
	.run = { [REDUCE_SUM] = N(sum_run), [REDUCE_L1] = N(l1_run),
		[REDUCE_SQUARE] = N(square_run), [REDUCE_PROD] = N(prod_run),
		[REDUCE_MAX] = N(max_narrow), [REDUCE_MIN] = N(min_narrow) },
	.rows = { [REDUCE_SUM] = N(sum_rows), [REDUCE_L1] = N(l1_rows),
		[REDUCE_SQUARE] = N(square_rows), [REDUCE_PROD] = N(prod_rows),
		[REDUCE_MAX] = N(max_rows), [REDUCE_MIN] = N(min_rows) },
	.fold = N(fold),
	.fill = N(fill),
	.finish = N(finish),
	.acc_bytes = sizeof(A),
};
#undef STEP
#undef EXTREME_RUN
#undef E
#undef A
#undef N
#undef LOWEST
#undef HIGHEST
