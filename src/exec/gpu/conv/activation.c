/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/gpu/conv/activation.h"

#include <math.h>
#include "exec/unary.h"

struct gpu_activation activation_of(const struct node *n)
{
	struct gpu_activation a = { -INFINITY, INFINITY, { .fn = GPU_NO_CALL } };
	struct unary_call call;
	if (!unary_of_activation(n, &call))
		return a;
	if (call.id == UNARY_RELU) {
		a.low = 0;
	} else if (call.id == UNARY_CLIP && call.alpha <= call.beta) {
		a.low = call.alpha;
		a.high = call.beta;
	} else {
		a.call = (struct gpu_call){ (int32_t)call.id, call.alpha, call.beta };
	}
	return a;
}
