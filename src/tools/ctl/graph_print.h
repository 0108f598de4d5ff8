/* SPDX-License-Identifier: Apache-2.0 */
/*
 * graph_print.h -- a graph as text, for people
 *
 * Threads: any; nothing is shared.
 */
#pragma once

#include "base/buf.h"
#include "exec/graph.h"

/* "float32[batch,64]", "sequence of float32[?]". */
void graph_print_type(struct buf *to, const struct graph *g, const struct gvalue *v);

/* One line per input, constant, node and output; bodies indented below their node. */
void graph_print(struct buf *to, const struct graph *g);
