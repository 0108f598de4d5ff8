/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stripe.h -- what each thread counts or keeps apart, so that cores do not pass a cache line to and
 * fro for every request
 *
 * There are STRIPES of whatever it is, each alignas(STRIPE_BYTES); a thread uses the one of its
 * number, and a reader goes over all. More threads than that share them, so what lies in a stripe
 * is atomic or has a lock.
 *
 * Threads: any. Memory: none.
 */
#pragma once

#define STRIPES 16
#define STRIPE_BYTES 128 /* two cache lines: processors fetch them in pairs */

/* The calling thread's for its life: 0 to STRIPES - 1, in the order in which threads first ask. */
unsigned stripe_mine(void);
