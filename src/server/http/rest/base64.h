/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base64.h -- bytes as text (RFC 4648): both alphabets are read, the first is written
 *
 * Threads: any. Memory: what is decoded lies in the arena.
 */
#pragma once

#include "base/buf.h"

/* Padding may be left out, but not be wrong; no line breaks. False: bad text, or no memory. */
MUST_CHECK bool base64_decode(struct slice text, struct arena *arena, struct slice *ret);

void base64_put(struct buf *b, struct slice bytes);
