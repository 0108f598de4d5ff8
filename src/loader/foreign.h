/* SPDX-License-Identifier: Apache-2.0 */
/*
 * foreign.h -- models in files that are not ours: what becomes of them
 *
 * Life of a version: [WATCH] -> [LOAD] -> ...
 *
 * Threads: any. Memory: none.
 */
#pragma once

#define FOREIGN_HINT_MAX 512

/* What to do with a file of that name, to stand behind it: "has to be exported, by ..."; NULL:
   the name says nothing. */
const char *foreign_advice(const char *name);

/* Of a directory without a model: "; NAME ADVICE" of an entry that may have been meant, else "". */
void foreign_hint(int dirfd, char ret[FOREIGN_HINT_MAX]);
