/* SPDX-License-Identifier: Apache-2.0 */
/* The static kernels, as nvcc made them of the .cu files, in the module's read-only data. */
	.section .rodata
	.macro fatbin name, file
	.balign 64
	.globl \name
	.hidden \name
\name:
	.incbin "\file"
	.byte 0
	.endm
#define QUOTE(x) #x
#define FATBIN(folder, name) fatbin gpu_fatbin_##name, QUOTE(src/exec/gpu/folder/name.fatbin)
#include "exec/gpu/fatbins.def"
	.section .note.GNU-stack, "", @progbits
