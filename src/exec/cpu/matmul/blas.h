/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blas.h -- OpenBLAS, opened when the first product of doubles is prepared
 *
 * Linked it would cost every start 11 ms and 3 MB, and a thread for each core, and few models
 * have doubles. Its products run on the thread that calls them: whatever is to run side by
 * side, our pool has cut.
 *
 * Threads: any. Memory: a product takes a buffer of 32 MiB of addresses from those that the
 *          library keeps, or maps another one: as many as products ever ran at once, for good.
 */
#pragma once

#include <cblas.h>

struct blas {
	__typeof__(&cblas_dgemm) dgemm;
	__typeof__(&cblas_dgemv) dgemv;
};

/* NULL: it is not on this machine. */
const struct blas *blas_open(void);
