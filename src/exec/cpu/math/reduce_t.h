/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reduce_t.h -- the steps of reductions for one element type
 *
 * Included by reduce_loops.c with E (elements), A (accumulators), N(name), LOWEST and HIGHEST,
 * which end here, what is one for floats and one for integers, and whose rows are taken, ROWS(). A
 * step adds n elements to n accumulators, one to one; everything else is made of steps.
 */
#define STEP(op, start, update, join) \
	static void N(op)(void *accumulators, const void *elements, int64_t n) \
	{ \
		A *restrict acc = accumulators; \
		const E *restrict v = elements; \
		for (int64_t i = 0; i < n; i++) { \
			A x = (A)v[i]; \
			update; \
		} \
	} \
	/* One accumulator over a row, in lanes that are joined by halves. */ \
	static inline void N(op##_row)(A *ret, const E *v, int64_t width) \
	{ \
		A lane[REDUCE_LANES]; \
		int64_t k = 0; \
		for (int i = 0; i < REDUCE_LANES; i++) \
			lane[i] = start; \
		for (; k + REDUCE_LANES <= width; k += REDUCE_LANES) { \
			A *acc = lane; \
			for (int i = 0; i < REDUCE_LANES; i++) { \
				A x = (A)v[k + i]; \
				update; \
			} \
		} \
		for (int i = 0; k + i < width; i++) { \
			A *acc = lane, x = (A)v[k + i]; \
			update; \
		} \
		UNROLL for (int half = REDUCE_LANES / 2; half; half /= 2) { \
			A *acc = lane; \
			for (int i = 0; i < half; i++) { \
				A x = lane[i + half]; \
				join; \
			} \
		} \
		A *acc = ret, x = lane[0]; \
		int i = 0; \
		join; \
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
		for (int64_t i = 0; i < n && width != 2 && width < REDUCE_LANES; i++) \
			for (int64_t k = 0; k < width; k++) { \
				A x = (A)v[i * width + k]; \
				update; \
			} \
		for (int64_t i = 0; i < n && width >= REDUCE_LANES; i++) \
			N(op##_row)(acc + i, v + i * width, width); \
	}

STEP(sum, 0, acc[i] += x, acc[i] += x)
STEP(l1, 0, acc[i] += ABS_OF(x), acc[i] += x)
STEP(square, 0, acc[i] += x * x, acc[i] += x)
STEP(prod, 1, acc[i] *= x, acc[i] *= x)
#define LARGER acc[i] = acc[i] > x || IS_NAN(acc[i]) ? acc[i] : x
#define SMALLER acc[i] = acc[i] < x || IS_NAN(acc[i]) ? acc[i] : x
STEP(max, LOWEST, LARGER, LARGER)
STEP(min, HIGHEST, SMALLER, SMALLER)

#define INTO(best, v, n, beats) \
	for (int i = 0; i < (n); i++) { \
		E x = (v)[i]; \
		(best)[i] = (best)[i] beats x || IS_NAN((best)[i]) ? (best)[i] : x; \
	}
/* The largest and the least of a row are found among elements as they are, more at once than there
   are accumulators; to meet one twice does no harm. */
#define EXTREME_ROWS(op, beats) \
	static inline void N(op##_narrow)(void *accumulators, const void *elements, int64_t n, \
		int64_t width) \
	{ \
		enum { WIDTH = 64 / sizeof(E) }; \
		A *acc = accumulators; \
		if (width < WIDTH) { \
			N(op##_rows)(accumulators, elements, n, width); \
			return; \
		} \
		for (int64_t row = 0; row < n; row++) { \
			const E *v = (const E *)elements + row * width; \
			E best[WIDTH]; \
			memcpy(best, v, sizeof(best)); \
			for (int64_t k = WIDTH; k + WIDTH < width; k += WIDTH) \
				INTO(best, v + k, WIDTH, beats) \
			INTO(best, v + width - WIDTH, WIDTH, beats) \
			UNROLL for (int half = WIDTH / 2; half; half /= 2) \
				INTO(best, best + half, half, beats) \
			N(op)(acc + row, best, 1); \
		} \
	}
EXTREME_ROWS(max, >)
EXTREME_ROWS(min, <)

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
	.rows = { [REDUCE_SUM] = ROWS(sum, rows), [REDUCE_L1] = ROWS(l1, rows),
		[REDUCE_SQUARE] = ROWS(square, rows), [REDUCE_PROD] = N(prod_rows),
		[REDUCE_MAX] = ROWS(max, narrow), [REDUCE_MIN] = ROWS(min, narrow) },
	.fill = N(fill),
	.finish = N(finish),
};
#undef STEP
#undef EXTREME_ROWS
#undef INTO
#undef LARGER
#undef SMALLER
#undef E
#undef A
#undef N
#undef LOWEST
#undef HIGHEST
