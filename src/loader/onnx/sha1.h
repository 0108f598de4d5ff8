/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sha1.h -- FIPS 180-4 SHA-1: what ONNX says that a checksum of external data is
 *
 * It finds damage, not malice. Memory: none. Threads: one per struct.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SHA1_HEX_BYTES 41

struct sha1 {
	uint32_t h[5];
	uint64_t bytes;
	uint8_t block[64];
};

void sha1_init(struct sha1 *s);
void sha1_update(struct sha1 *s, const void *data, size_t len);
/* Lower case, with its NUL. */
void sha1_finish(struct sha1 *s, char hex[SHA1_HEX_BYTES]);
