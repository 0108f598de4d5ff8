/* SPDX-License-Identifier: Apache-2.0 */
/*
 * contest_part.h -- what of a step a contest runs: a few images of a batch, rows of a large image,
 * some of many channels
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include "exec/cpu/cpu.h"

struct contest_part {
	int64_t all, images;       /* of the batch, and how many of them */
	/* Of each image, of input 0 and what is as large as the output; 0: all. */
	int64_t in_rows, out_rows;
	int64_t channels;          /* of the output, its weights and bias; 0: all */
};

/* p has one output; cold: its weights come from memory. */
struct contest_part contest_part_of(const struct prep *p, bool cold);

/* The part of input i and of the output; of a constant one the data is as it was. */
struct tensor contest_part_in(const struct contest_part *c, const struct prep *p, int i);
struct tensor contest_part_out(const struct contest_part *c, const struct prep *p);
