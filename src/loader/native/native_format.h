/* SPDX-License-Identifier: Apache-2.0 */
/*
 * native_format.h -- model.signet, byte by byte
 *
 * Little-endian. A header of one page, a table of checksums, then the sections:
 *
 *   GRAPH    symbols, values, nodes, bodies, shapes of the tensors (native_put.c)
 *   WEIGHTS  the tensors' bytes, each on a boundary of NATIVE_ALIGN
 *   CHOICES  which kernels were chosen (choices.h)      } for one kind of machine,
 *   KEYS     what was packed, and where it lies         } which the header names
 *   PACKED   packed weights                             }
 *   SOURCES  weights that such a machine reads in their packed form alone
 *
 * They follow one another in this order, SOURCES on a boundary of a chunk. On a machine of
 * that kind a reader ends before SOURCES, on another one it leaves out PACKED. A tensor's
 * offset is in WEIGHTS, or with NATIVE_IN_SOURCES set in SOURCES. Everything behind the table
 * is covered by it, a checksum (XXH3, 64 bits) for every NATIVE_CHUNK bytes; header and table
 * are covered by one in the header.
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include <stdint.h>

#define NATIVE_MAGIC "\x89SIGNET\n"
#define NATIVE_VERSION 2 /* changes whenever a reader of the old form would misunderstand */
#define NATIVE_ENDIAN 0x01020304u
#define NATIVE_ALIGN 64
#define NATIVE_PAGE 4096
#define NATIVE_CHUNK (1u << 20)
#define NATIVE_MACHINE_MAX 256
#define NATIVE_IN_SOURCES (UINT64_C(1) << 63)

enum native_section {
	NATIVE_GRAPH,
	NATIVE_WEIGHTS,
	NATIVE_CHOICES,
	NATIVE_KEYS,
	NATIVE_PACKED,
	NATIVE_SOURCES,
	NATIVE_SECTION_COUNT_
};

struct native_span {
	uint64_t offset, bytes; /* of the file */
};

struct native_header {
	char magic[8];
	uint32_t endian, version;
	uint64_t file_bytes;
	uint64_t check; /* of header (this 0) and table */
	uint64_t chunks;
	uint32_t precision, reserved;
	struct native_span section[NATIVE_SECTION_COUNT_];
	char machine[NATIVE_MACHINE_MAX];
};

_Static_assert(sizeof(struct native_header) <= NATIVE_PAGE, "the header fits its page");
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "model.signet is read and written as it lies in memory: little-endian machines only"
#endif

static inline uint64_t native_align(uint64_t n)
{
	return (n + NATIVE_ALIGN - 1) & ~(uint64_t)(NATIVE_ALIGN - 1);
}

/* Where the table ends and the sections begin. */
static inline uint64_t native_data_begin(uint64_t chunks)
{
	return native_align(NATIVE_PAGE + chunks * sizeof(uint64_t));
}

/* Where a section of that many bytes begins, the one before it having ended at `at`. */
static inline uint64_t native_section_begin(
	enum native_section s, uint64_t bytes, uint64_t at, uint64_t chunks)
{
	uint64_t begin = native_data_begin(chunks), rest = (at - begin) % NATIVE_CHUNK;
	return s == NATIVE_SOURCES && bytes && rest ? at + (NATIVE_CHUNK - rest) : at;
}
