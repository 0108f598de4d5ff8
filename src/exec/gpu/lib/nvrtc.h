/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nvrtc.h -- the text of a kernel to the machine code of a device, by NVIDIA's NVRTC
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...
 *
 * Without fast-math, and without joining a product and a sum into one operation: a row of
 * operators gives the bits of its operators one by one.
 *
 * Ownership: machine code is the caller's, to be freed.
 * Threads:   any.
 */
#pragma once

#include "base/buf.h"

struct nvrtc_code {
	void *data;
	size_t bytes;
};

/* capability: 90 is 9.0. INTERNAL: with the first line of what the compiler says. */
MUST_CHECK enum err_code nvrtc_compile(
	const char *text, int capability, struct nvrtc_code *ret, struct err *err);

/* Can it compile for the device at all? UNAVAILABLE: why not. */
MUST_CHECK enum err_code nvrtc_try(int capability, struct err *err);

/* What machine code depends on besides its text, in words. */
void nvrtc_describe(struct buf *to, int capability);
