/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utf8.h -- is this text, and is it fit to be shown or used as a name
 *
 * Strict: no overlong forms, no surrogates, nothing above U+10FFFF.
 *
 * Memory: none. Threads: any.
 */
#pragma once

#include <stdint.h>
#include "base/slice.h"
#include "base/err.h"

/* Bytes of the character at ptr (1 to 4), which goes to *ret; 0: none starts there. */
size_t utf8_decode(const char *ptr, size_t len, uint32_t *ret);

/* Writes it to `to`, which has room for 4; how many bytes it took. */
size_t utf8_encode(uint32_t character, char *to);

/* Moves the cursor of a terminal or ends a line somewhere: C0, DEL, C1, U+2028, U+2029. */
bool utf8_is_control(uint32_t character);

bool utf8_is_valid(struct slice text);

/* Names of models, values, signatures: not empty, at most bytes_max bytes, valid UTF-8, no
   control characters. INVALID_ARGUMENT says which of these; what is "model name". */
MUST_CHECK enum err_code utf8_check_name(struct slice name, size_t bytes_max, const char *what,
	struct err *err);
