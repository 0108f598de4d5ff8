/* SPDX-License-Identifier: Apache-2.0 */
/*
 * choices.h -- which kernel was the fastest, remembered
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...
 *
 * Where several kernels can do a step, the backend times them once on the real shapes and
 * remembers the winner's name (or how a library wrote down what it does) under a text that says
 * all that the timing depended on. One
 * process has one such memory. Written to a file and read by the next process it makes a
 * restart compute with the same kernels, so with the same bits, and spares the timing.
 *
 * Threads: any. Memory: bounded (CHOICES_MAX); what does not fit is measured again.
 */
#pragma once

#include <stdint.h>
#include "base/buf.h"

#define CHOICES_MAX 65536
#define CHOICE_KEY_MAX 512
#define CHOICE_NAME_MAX 256

struct choices;

struct choices *choices_new(void);    /* NULL: no memory */
void choices_free(struct choices *c); /* NULL is fine */

/* The name remembered under key; false: none. */
bool choices_find(struct choices *c, const char *key, char ret_name[CHOICE_NAME_MAX]);

/* Neither may hold a tab or a newline. */
void choices_put(struct choices *c, const char *key, const char *name);

/* Changes whenever something was added. */
uint64_t choices_count(struct choices *c);

/* As text, a line each. machine: what the timings are true for. */
void choices_write(struct choices *c, const char *machine, struct buf *to);
/* Takes what choices_write() wrote of the same machine; of another one, or where a line is
   damaged, nothing. false: it was not taken. */
bool choices_read(struct choices *c, const char *machine, struct slice text);
