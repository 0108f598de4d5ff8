/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.h -- what the system knows of this process
 *
 * Numbers for /metrics; negative: the system does not say.
 *
 * Threads: any. Memory: none.
 */
#pragma once

double process_resident_bytes(void);
double process_open_fds(void);
/* User and system, since the start. */
double process_cpu_seconds(void);
