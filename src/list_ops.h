/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list_ops.h -- signetd --list-ops: the tables of operators as text, of which doc/operators.md
 * is made
 *
 * Threads: one. Memory: none.
 */
#pragma once

#include "base/buf.h"

/* A line per operator that models may use, columns parted by two spaces or more, "-" for nothing:
   domain, operator, first opset of today's meaning ("-": it is others at every opset), how older
   opsets are rewritten, element types, kernels. */
void list_ops(struct buf *to);
