/* SPDX-License-Identifier: Apache-2.0 */
/* An image file: decoded within its bounds, or refused with words. */
#include <stdlib.h>
#include "exec/cpu/image/image.h"

#define ARENA_MAX ((size_t)32 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(1 << 16, ARENA_MAX);
	struct image m = { .file = { (const char *)data, size }, .arena = arena };
	volatile uint8_t sum = 0;
	if (!arena)
		return 0;
	if (!image_decode(&m)) {
		if (!m.why)
			abort();
	} else {
		if (m.width < 1 || m.height < 1 || m.width * m.height > IMAGE_PIXELS_MAX)
			abort();
		for (int64_t i = 0; i < m.width * m.height * 3; i++)
			sum = (uint8_t)(sum + m.rgb[i]);
	}
	arena_free(arena);
	return 0;
}
