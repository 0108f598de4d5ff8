/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin.h -- one thread for handlers that wait: load and unload over HTTP
 *
 * Loading takes seconds; on an IO thread it would stop every connection of that thread.
 * Such a call is suspended like an inference and handed over to here.
 *
 * Ownership: a call submitted is the thread's until conn_resume().
 * Threads:   admin_submit() from any. Memory: none per call.
 */
#pragma once

#include "base/err.h"

struct admin;
struct call;

MUST_CHECK enum err_code admin_new(struct admin **ret, struct err *err);
void admin_submit(struct admin *a, struct call *c);
/* Runs what is queued, then ends. NULL is fine. */
void admin_free(struct admin *a);
