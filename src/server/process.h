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
double process_max_fds(void);
/* Seconds since 1970 at process_note_start(), which is called once, before there are threads. */
double process_start_time(void);
void process_note_start(void);
/* User and system, since the start. */
double process_cpu_seconds(void);
