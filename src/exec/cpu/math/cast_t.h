/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cast_t.h -- from every type of C's own to one: TO, N(name), FROM_INTEGER(x), FROM_REAL(x)
 *
 * Included by cast_loops.c, once per destination.
 */
#define LOOP(TI, expr) \
	static void N(TI)(void *out, const void *in, int64_t n) \
	{ \
		TO *o = out; \
		const TI *v = in; \
		IVDEP for (int64_t i = 0; i < n; i++) { \
			TI x = v[i]; \
			o[i] = (TO)(expr); \
		} \
	}
#define INTEGER(id, TI, U) LOOP(TI, FROM_INTEGER(x))
#define REAL(id, TI, U) LOOP(TI, FROM_REAL(x))
FOR_INTS(INTEGER)
FOR_REAL(REAL)

#define ROW(id, TI, U) [DTYPE_##id] = N(TI),
static const cast_fn N(from)[DTYPE_COUNT_] = { FOR_NUM(ROW) [DTYPE_BOOL] = N(uint8_t) };
#undef LOOP
#undef INTEGER
#undef REAL
#undef ROW
#undef TO
#undef N
#undef FROM_INTEGER
#undef FROM_REAL
