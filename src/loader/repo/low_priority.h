/* SPDX-License-Identifier: Apache-2.0 */
/*
 * low_priority.h -- threads that step back behind those that answer requests
 *
 * Threads: the calling one. Memory: none.
 */
#pragma once

/* The calling thread, from now on. */
void low_priority_thread(void);
