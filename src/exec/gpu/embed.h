/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embed.h -- for the assembler: files in the module's read-only data
 *
 * embed NAME, FILE: the bytes of the file, and a NUL behind them, at the symbol of that name.
 */
	.macro embed name, file
	.section .rodata
	.balign 64
	.globl \name
	.hidden \name
\name:
	.incbin "\file"
	.byte 0
	.endm
	.section .note.GNU-stack, "", @progbits
