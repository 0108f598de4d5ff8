/* SPDX-License-Identifier: Apache-2.0 */
/* The headers of generated kernels, in the module's read-only data, each ended by a NUL. */
	.section .rodata
	.macro text name, file
	.globl \name
	.hidden \name
\name:
	.incbin "\file"
	.byte 0
	.endm
#define TEXT(symbol, name, file) text nvrtc_text_##symbol, file
#include "exec/gpu/lib/nvrtc_texts.def"
	.section .note.GNU-stack, "", @progbits
