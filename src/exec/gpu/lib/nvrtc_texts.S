/* SPDX-License-Identifier: Apache-2.0 */
/* The headers of generated kernels. */
#include "exec/gpu/embed.h"
#define TEXT(symbol, name, file) embed nvrtc_text_##symbol, file
#include "exec/gpu/lib/nvrtc_texts.def"
