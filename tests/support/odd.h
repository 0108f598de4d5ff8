/* SPDX-License-Identifier: Apache-2.0 */
/*
 * odd.h -- numbers, shapes, words and attributes that a model ought not to have, and where what it
 * gives goes
 *
 * Ownership: what is made lies in the graph's arena; outputs in the one that is given.
 * Threads:   one; the sequence of draws begins at odd_seed().
 */
#pragma once

#include "exec/graph.h"

void odd_seed(uint32_t seed);
uint32_t odd_draw(uint32_t below); /* 0 ... below - 1 */

int64_t odd_int(void);   /* often small, sometimes at the end of its range */
double odd_float(void);  /* the same, infinite or no number too */
/* Of ranks 0 to 5, seldom more or unknown; with symbols 0 and 1 and enormous dimensions. */
struct shape odd_shape(void);
/* A small constant list or scalar of integers or floats, of values of all kinds. */
int32_t odd_constant(struct graph *g);
/* An attribute of this name and kind for the last node, with an odd value. */
void odd_attr(struct graph *g, const char *name, enum attr_kind kind);

/* A run's output, whatever its size: room in the arena; NULL where there is none. */
void *odd_output(void *arena, int i, const struct tensor *t);
