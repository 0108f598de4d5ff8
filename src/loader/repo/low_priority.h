/* SPDX-License-Identifier: Apache-2.0 */
/*
 * low_priority.h -- threads that step back behind those that answer requests
 */
#pragma once

/* The calling thread, from now on. name: at most 15 characters, for ps and top. */
void low_priority_thread(const char *name);
