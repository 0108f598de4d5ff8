/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attend.cu -- attention row by row, with all that the operators can ask for; caches of keys
 *
 * A block takes a query. It goes through the keys that the query sees by runs of one for each
 * thread: scores, then their exponentials over the largest so far, by which what was summed
 * before is put right, then the values, of which each thread sums some elements.
 */
#include "exec/gpu/nn/rotary.cuh"
#include "exec/gpu/rows.cuh"

/* -- one query --------------------------------------------------------------------------------- */

struct query {
	uint32_t b, h, i;
	int32_t valid, position, from, to; /* keys [from, to) are seen, the mask aside */
};

/* How many keys of a sequence are no padding. */
static __device__ int32_t valid_keys(const struct gpu_attend &s, const struct gpu_attend_at &at,
	uint32_t b, const struct gpu_complaint &f)
{
	if (!at.lengths)
		return s.keys;
	int64_t n = s.lengths_wide ? ((const int64_t *)at.lengths)[b]
				   : ((const int32_t *)at.lengths)[b];
	if (n + s.more >= 0 && n + s.more <= s.keys)
		return (int32_t)n + s.more;
	complain(f, n);
	return 0;
}

static __device__ struct query query_of(const struct gpu_attend &s, const struct gpu_attend_at &at,
	uint32_t row, const struct gpu_complaint &f)
{
	struct query q;
	uint32_t head = quotient(row, s.q_len);
	q.i = row - head * s.q_len.d;
	q.b = quotient(head, s.heads);
	q.h = head - q.b * s.heads.d;
	q.valid = valid_keys(s, at, q.b, f);
	q.position = (s.at_end ? q.valid - (int32_t)s.q_len.d : s.past) + (int32_t)q.i;
	q.to = s.causal ? min(q.position + 1, q.valid) : q.valid;
	if (s.masked != GPU_MASK_NONE)
		q.to = min(q.to, s.mask_keys);
	q.from = s.window > 0 ? max(q.position + 1 - s.window, 0) : 0;
	return q;
}

static __device__ inline int64_t place(const int64_t *stride, uint32_t b, uint32_t h, int64_t i)
{
	return b * stride[0] + h * stride[1] + i * stride[2];
}

/* Row k of keys or values. */
template <typename T>
static __device__ inline const T *row_of(const struct gpu_attend &s, const void *const *part,
	const int64_t (*stride)[3], uint32_t b, uint32_t h, int32_t k)
{
	int which = k >= s.past;
	return (const T *)part[which] + place(stride[which], b, h, which ? k - s.past : k);
}

template <typename T>
static __device__ float score(const struct gpu_attend &s, const struct gpu_attend_at &at,
	const struct query &q, const float *x, int32_t k)
{
	const T *key = row_of<T>(s, at.k, s.k, q.b, quotient(q.h, s.group), k);
	constexpr int WIDE = wide_of<T>;
	int32_t d = 0;
	float sum = 0;
	for (; s.wide && d < s.head; d += WIDE) {
		group<T, WIDE> g = load_group<T, WIDE>(key + d, true);
		for (int i = 0; i < WIDE; i++)
			sum += x[d + i] * widen(g.v[i]);
	}
	for (; d < s.head; d++)
		sum += x[d] * widen(key[d]);
	sum *= s.scale;
	if (s.softcap > 0)
		sum = s.softcap * tanhf(sum / s.softcap);
	int64_t m = place(s.mask, q.b, q.h, q.i) + k;
	if (s.masked == GPU_MASK_BOOL)
		return ((const uint8_t *)at.mask)[m] ? sum : -INFINITY;
	return s.masked == GPU_MASK_ADDED ? sum + widen(((const T *)at.mask)[m]) : sum;
}

/* e to the power of x - top; 0 where x is nothing, also over nothing. */
static __device__ inline float over_top(float x, float top)
{
	return x == -INFINITY ? 0 : expf(x - top);
}

/* A query that sees nothing gives NaN, as the formula does. */
template <typename T>
__device__ void attend(
	const struct gpu_attend &s, const struct gpu_attend_at &at, const struct gpu_complaint &f)
{
	DYNAMIC_SHARED(float, x); /* the query, then the weights of a run of keys */
	float *weight = x + s.head;
	uint32_t t = threadIdx.x;
	for (uint32_t row = blockIdx.x; row < s.rows; row += gridDim.x) {
		struct query q = query_of(s, at, row, f);
		bool smooth = s.smooth || at.sinks;
		float top = at.sinks ? widen(((const T *)at.sinks)[q.h]) : smooth ? 0 : -INFINITY,
			sum = smooth;
		float y[GPU_ATTEND_VALUES] = { 0 };
		for (int32_t d = t; d < s.head; d += GPU_ATTEND_THREADS)
			x[d] = widen(((const T *)at.q)[place(s.q, q.b, q.h, q.i) + d]);
		__syncthreads();
		for (int32_t first = q.from; first < q.to; first += GPU_ATTEND_THREADS) {
			int32_t k = first + (int32_t)t, n = min(q.to - first, GPU_ATTEND_THREADS);
			float own = k < q.to ? score<T>(s, at, q, x, k) : -INFINITY;
			float before = top;
			top = larger(top, over_block(own, larger));
			float put_right = over_top(before, top), e = over_top(own, top);
			weight[t] = e;
			/* Its barriers are weight's too. */
			sum = sum * put_right + over_block(e, plus);
			for (int c = 0; c < GPU_ATTEND_VALUES; c++) {
				int32_t d = (int32_t)t + c * GPU_ATTEND_THREADS;
				if (d >= s.v_head)
					break;
				y[c] *= put_right;
				for (int32_t i = 0; i < n; i++)
					y[c] += weight[i] * widen(row_of<T>(s, at.v, s.v, q.b,
						quotient(q.h, s.group), first + i)[d]);
			}
			__syncthreads();
		}
		for (int c = 0; c < GPU_ATTEND_VALUES; c++) {
			int32_t d = (int32_t)t + c * GPU_ATTEND_THREADS;
			if (d < s.v_head)
				((T *)at.y)[place(s.y, q.b, q.h, q.i) + d] = narrow<T>(y[c] / sum);
		}
		__syncthreads();
	}
}

/* -- GroupQueryAttention's new tokens ---------------------------------------------------------- */

/* Keys of sequence b that were there; below 0: its length cannot be. */
static __device__ int32_t past_of(const struct gpu_group_query &s,
	const struct gpu_group_query_at &at, uint32_t b, const struct gpu_complaint &f)
{
	int64_t valid = (int64_t)at.lengths[b] + 1, len = s.len.d, past = s.fresh ? 0 : valid - len;
	if (valid >= 0 && past >= 0 && past <= s.past_len && valid <= s.kept.d &&
		past + len <= s.kept.d)
		return (int32_t)past;
	complain(f, valid - 1);
	return -1;
}

/* Element d of head h of part (0: queries, 1: keys) of new token i, turned by its position. */
template <typename T>
static __device__ T new_element(const struct gpu_group_query &s,
	const struct gpu_group_query_at &at, int part, uint32_t b, uint32_t h, uint32_t i,
	uint32_t d, int32_t past, const struct gpu_complaint &f)
{
	int64_t token = (int64_t)b * s.len.d + i;
	const T *x = (const T *)at.part[part] + token * s.row[part] + s.first[part] +
		     (int64_t)h * s.head.d;
	if (part == 2 || s.half == 0)
		return x[d];
	int64_t position = at.positions ? at.positions[token] : past + (int64_t)i;
	if (position < 0 || position >= s.positions) {
		complain(f, position);
		return x[d];
	}
	return turned(x, d, s.half, s.interleaved, (const T *)at.cosines + position * s.half,
		(const T *)at.sines + position * s.half);
}

template <typename T>
__device__ void group_query_turn(const struct gpu_group_query &s,
	const struct gpu_group_query_at &at, const struct gpu_complaint &wrong_length,
	const struct gpu_complaint &wrong_place)
{
	for (int64_t n = thread_index(); n < s.queries; n += thread_stride()) {
		uint32_t head = quotient((uint32_t)n, s.head), d = (uint32_t)n - head * s.head.d;
		uint32_t token = quotient(head, s.heads), h = head - token * s.heads.d,
			 b = quotient(token, s.len);
		int32_t past = past_of(s, at, b, wrong_length);
		if (past >= 0)
			((T *)at.q)[n] = new_element<T>(
				s, at, 0, b, h, token - b * s.len.d, d, past, wrong_place);
	}
}

/* What was kept, what is new, and zeros. */
template <typename T>
__device__ void group_query_cache(const struct gpu_group_query &s,
	const struct gpu_group_query_at &at, const struct gpu_complaint &wrong_length,
	const struct gpu_complaint &wrong_place)
{
	for (int64_t n = thread_index(); n < s.cached; n += thread_stride()) {
		uint32_t line = quotient((uint32_t)n, s.head), d = (uint32_t)n - line * s.head.d;
		uint32_t head = quotient(line, s.kept), k = line - head * s.kept.d;
		uint32_t b = quotient(head, s.kv_heads), h = head - b * s.kv_heads.d;
		int32_t past = past_of(s, at, b, wrong_length);
		if (past < 0)
			continue;
		for (int part = 1; part < 3; part++) {
			const T *old = (const T *)(part == 1 ? at.past_k : at.past_v);
			T v = narrow<T>(0);
			if (k < (uint32_t)past)
				v = old[((int64_t)head * s.past_len + k) * s.head.d + d];
			else if (k - (uint32_t)past < s.len.d)
				v = new_element<T>(s, at, part, b, h, k - (uint32_t)past, d, past,
					wrong_place);
			((T *)(part == 1 ? at.k : at.v))[n] = v;
		}
	}
}

#define ATTEND(T, name) \
	KERNEL(attend_##name, \
		(struct gpu_attend s, struct gpu_attend_at at, struct gpu_complaint f)) \
	{ \
		attend<T>(s, at, f); \
	} \
	KERNEL(group_query_turn_##name, \
		(struct gpu_group_query s, struct gpu_group_query_at at, struct gpu_complaint f, \
			struct gpu_complaint g)) \
	{ \
		group_query_turn<T>(s, at, f, g); \
	} \
	KERNEL(group_query_cache_##name, \
		(struct gpu_group_query s, struct gpu_group_query_at at, struct gpu_complaint f, \
			struct gpu_complaint g)) \
	{ \
		group_query_cache<T>(s, at, f, g); \
	}
ATTEND(float, f32)
ATTEND(half, f16)
ATTEND(bfloat, bf16)
