/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/dtype.h"

#include "exec/tensor.h"

static const struct dtype_info infos[DTYPE_COUNT_] = {
#define DTYPE(id, onnx, bytes, bits, class, name, oip, tf, tf_name) \
	[onnx] = { bytes, bits, DTYPE_CLASS_##class, name, oip, tf, tf_name },
#include "exec/dtypes.def"
#undef DTYPE
	[DTYPE_TENSOR] = { sizeof(struct tensor), 0, DTYPE_CLASS_NONE, "sequence", NULL, 0,
		"DT_VARIANT" },
};

_Static_assert(sizeof(struct slice) == 16, "dtypes.def says what a string element takes");

const struct dtype_info *dtype_info(enum dtype dtype)
{
	return &infos[(unsigned)dtype < DTYPE_COUNT_ ? dtype : DTYPE_UNDEFINED];
}

enum dtype dtype_find(struct slice name)
{
	for (int i = 1; i < DTYPE_TENSOR; i++)
		if (slice_is(name, infos[i].name))
			return (enum dtype)i;
	return DTYPE_UNDEFINED;
}

enum dtype dtype_find_oip(struct slice oip_name)
{
	for (int i = 1; i < DTYPE_TENSOR; i++)
		if (infos[i].oip_name && slice_is(oip_name, infos[i].oip_name))
			return (enum dtype)i;
	return DTYPE_UNDEFINED;
}

enum dtype dtype_find_tf(int tf_number)
{
	for (int i = 1; tf_number && i < DTYPE_TENSOR; i++)
		if (infos[i].tf_number == tf_number)
			return (enum dtype)i;
	return DTYPE_UNDEFINED;
}
