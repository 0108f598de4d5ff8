/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attention.h -- some rows of queries against the keys and values of one head
 *
 * Life of a request: ... -> plan -> [KERNELS] -> ...
 *
 * The one core of ai.onnx's Attention and com.microsoft's GroupQueryAttention: whoever calls
 * says where things lie and who sees what. A row has the same bits whatever rows stand
 * beside it.
 *
 * Threads: any; all state is the caller's. Memory: none.
 */
#pragma once

#include "exec/cpu/matmul/gemm.h"
#include "exec/infer/attention_geometry.h"

/* Rows of queries in a unit of work: the most that a job has. */
#define ATTENTION_ROWS 128

struct attention_job {
	int64_t rows, head, v_head; /* elements of a query or key, of a value */
	int64_t keys, past;         /* keys [0,past) lie in part 0, the others in part 1 */
	const void *q, *k[2], *v[2];
	int64_t q_row, k_row[2], v_row[2]; /* elements from one to the next */
	void *out;
	int64_t out_row;
	double scale, softcap; /* softcap 0: none */

	/* Row i is at `position` + i among the keys. Which keys it sees: those before `valid`;
	   if causal, those up to itself; of these, if window > 0, the last `window`. */
	int64_t valid, position, window;
	bool causal;
	const void *mask; /* NULL: none; bool, or numbers to add */
	bool mask_is_bool;
	int64_t mask_row, mask_keys; /* keys from mask_keys on are not seen */

	bool has_sink; /* one more key, of this score and of no value */
	double sink;
	void *scores; /* NULL: nobody asks */
	int64_t scores_row;
	enum attention_mode mode;
	void *scratch;
};

/* One way to do it: on gemm.h, per instruction set; products are gemm's, all else is of floats. */
struct attention_loop {
	void (*run)(const struct attention_job *j);
	size_t (*scratch_bytes)(int64_t head, int64_t v_head);
};
extern const struct attention_loop attention_base;
#ifdef __x86_64__
extern const struct attention_loop attention_avx2, attention_avx512, attention_avx512_bf16,
	attention_avx512_amx;
#endif
/* The best of this machine, with the products that gemm_for() has. */
const struct attention_loop *attention_for(enum precision precision);

/* Keys [*from, *to) are those that row i may see, the mask aside. */
static inline void
attention_visible(const struct attention_job *j, int64_t i, int64_t *from, int64_t *to)
{
	int64_t self = j->position + i + 1;
	*to = j->causal ? min_i64(self, j->valid) : j->valid;
	if (j->mask)
		*to = min_i64(*to, j->mask_keys);
	*from = j->window > 0 ? max_i64(self - j->window, 0) : 0;
}
