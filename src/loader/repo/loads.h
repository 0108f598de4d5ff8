/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loads.h -- the threads that loads run on
 *
 * Life of a version: ... -> [LOAD -> CHECK -> COMPILE -> WARM] -> publish -> ...
 *
 * Ownership: borrows a load from loads_put() until load->done is posted.
 * Threads:   put from one; the threads are of low priority.
 */
#pragma once

#include "loader/repo/load.h"

struct loads;

/* threads 0: one. Borrows the inbox. */
MUST_CHECK enum err_code loads_new(
	int threads, struct inbox *inbox, struct loads **ret, struct err *err);

/* Runs what is queued (cancelled loads end at once), then ends the threads. NULL is fine. */
void loads_free(struct loads *q);

void loads_put(struct loads *q, struct load *l);
