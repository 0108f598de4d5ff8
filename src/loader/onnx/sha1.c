/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/onnx/sha1.h"

#include <stdio.h>
#include <string.h>

static uint32_t rotl(uint32_t x, int n)
{
	return x << n | x >> (32 - n);
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void round_one(uint32_t v[5], int i, uint32_t word)
{
	static const uint32_t k[4] = { 0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6 };
	uint32_t b = v[1], c = v[2], d = v[3], f;
	if (i < 20)
		f = (b & c) | (~b & d);
	else if (i >= 40 && i < 60)
		f = (b & c) | (b & d) | (c & d);
	else
		f = b ^ c ^ d;
	uint32_t t = rotl(v[0], 5) + f + v[4] + k[i / 20] + word;
	v[4] = d;
	v[3] = c;
	v[2] = rotl(b, 30);
	v[1] = v[0];
	v[0] = t;
}

static void add_block(struct sha1 *s, const uint8_t *block)
{
	uint32_t w[80], v[5];
	for (int i = 0; i < 16; i++)
		w[i] = be32(block + 4 * i);
	for (int i = 16; i < 80; i++)
		w[i] = rotl(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	memcpy(v, s->h, sizeof(v));
	for (int i = 0; i < 80; i++)
		round_one(v, i, w[i]);
	for (int i = 0; i < 5; i++)
		s->h[i] += v[i];
}

void sha1_init(struct sha1 *s)
{
	*s = (struct sha1){ .h = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 } };
}

void sha1_update(struct sha1 *s, const void *data, size_t len)
{
	const uint8_t *p = data;
	while (len) {
		size_t at = s->bytes % 64, n = 64 - at < len ? 64 - at : len;
		memcpy(s->block + at, p, n);
		s->bytes += n;
		p += n;
		len -= n;
		if (s->bytes % 64 == 0)
			add_block(s, s->block);
	}
}

void sha1_finish(struct sha1 *s, char hex[SHA1_HEX_BYTES])
{
	uint64_t bits = s->bytes * 8;
	uint8_t tail[8];
	for (int i = 0; i < 8; i++)
		tail[i] = (uint8_t)(bits >> (56 - 8 * i));
	sha1_update(s, "\x80", 1);
	while (s->bytes % 64 != 56)
		sha1_update(s, "", 1);
	sha1_update(s, tail, sizeof(tail));
	for (int i = 0; i < 5; i++)
		snprintf(hex + 8 * i, 9, "%08x", s->h[i]);
}
