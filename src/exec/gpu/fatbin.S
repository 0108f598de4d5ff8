/* SPDX-License-Identifier: Apache-2.0 */
/* The static kernels, as nvcc made them of the .cu files. */
#include "exec/gpu/embed.h"
#define QUOTE(x) #x
#define FATBIN(folder, name) embed gpu_fatbin_##name, QUOTE(src/exec/gpu/folder/name.fatbin)
#include "exec/gpu/fatbins.def"
