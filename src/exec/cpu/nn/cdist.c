/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CDist: the distance of each row of A from each row of B, float summed in double. Nearest
 * neighbours and Gaussian processes of scikit-learn are exported as it.
 */
#include "exec/cpu/cpu.h"

#include <math.h>

struct cdist_state {
	struct split split; /* of rows of A */
	int64_t m, k;       /* rows of B, numbers of a row */
	bool root;
};

#define CDIST(T) \
	static void run_cdist_##T(const struct kernel_args *a, int64_t begin, int64_t end) \
	{ \
		const struct cdist_state *s = a->state; \
		int64_t from, to; \
		split_range(&s->split, begin, end, &from, &to); \
		for (int64_t i = from; i < to; i++) { \
			const T *x = (const T *)a->in[0].data + i * s->k, *y = a->in[1].data; \
			T *out = (T *)a->out[0].data + i * s->m; \
			for (int64_t j = 0; j < s->m; j++, y += s->k) { \
				double sum = 0; \
				for (int64_t k = 0; k < s->k; k++) { \
					double d = (double)x[k] - (double)y[k]; \
					sum += d * d; \
				} \
				out[j] = (T)(s->root ? sqrt(sum) : sum); \
			} \
		} \
	}
CDIST(float)
CDIST(double)

enum err_code prepare_cdist(struct prep *p, struct kernel *ret, struct err *err)
{
	struct cdist_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->m = p->in[1].shape.dim[0];
	s->k = p->in[1].shape.dim[1];
	s->root = slice_is(node_string(p->node, "metric", "sqeuclidean"), "euclidean");
	s->split = split_work(p, ret, p->in[0].shape.dim[0], 10 + (double)s->m * (double)s->k);
	ret->run = p->in[0].dtype == DTYPE_F64 ? run_cdist_double : run_cdist_float;
	return ERR_OK;
}
