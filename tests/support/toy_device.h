/* SPDX-License-Identifier: Apache-2.0 */
/*
 * toy_device.h -- a backend with memory of its own that is made of the CPU's kernels
 *
 * Its memory cannot be touched but while one of its kernels or copies runs, so that a
 * pointer on the wrong side is a crash. Work is recorded as a device would: the third run
 * of a segment is captured, not run, and replayed from then on with the pointers it had.
 *
 * Threads: one at a time.
 */
#pragma once

#include "exec/backend.h"

/* Steps whose operator and seed say so are refused, about one in three; seed 0: none is. */
const struct backend *toy_device(uint32_t seed);

/* What it still holds: 0 after everything was freed. */
size_t toy_device_allocations(void);

/* It has room for so many allocations; toy_device() sets it to 10000. */
void toy_device_limit(size_t allocations);

/* From now on waiting fails, and the device is sick. */
void toy_device_break(void);
