/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/gpu/int8/qfinish.h"

#include "exec/gpu/walk.h"

struct gpu_qfinish qfinish_of(const struct prep *p)
{
	const struct node *n = p->node;
	bool is_signed = p->out[0].dtype == DTYPE_I8;
	int64_t zero = node_int(n, "y_zero", 0);
	struct gpu_qfinish f = { .x_flip = qfinish_flip(p->in[Q_X].dtype),
		.y_zero = (int32_t)zero };
	f.x_zero = (int32_t)node_int(n, "x_zero", 0) - f.x_flip;
	f.mid_low = (float)node_int(n, "mid_low", 0);
	f.mid_high = (float)node_int(n, "mid_high", 0);
	f.mid_factor = node_float(n, "mid_factor", 0);
	f.low = (float)(node_int(n, "low", is_signed ? INT8_MIN : 0) - zero);
	f.high = (float)(node_int(n, "high", is_signed ? INT8_MAX : UINT8_MAX) - zero);
	/* z is added as an unsigned number. */
	f.z_factor = node_float(n, "z_factor", 1);
	f.z_flip = gpu_has_in(p, Q_Z) && p->in[Q_Z].dtype == DTYPE_I8 ? 0x80 : 0;
	f.z_zero = (int32_t)node_int(n, "z_zero", 0) + f.z_flip;
	return f;
}
