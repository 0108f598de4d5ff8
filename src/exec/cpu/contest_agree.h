/* SPDX-License-Identifier: Apache-2.0 */
/*
 * contest_agree.h -- does a kernel's result say the same as another one's?
 *
 * Threads: any. Memory: tmp's.
 */
#pragma once

#include "exec/cpu/cpu.h"

/* No element differs by more than a part of the largest. The trusted one is of floats; a may be
   rounded or plain, in the same layout otherwise. false, too: no memory. */
bool contest_agree(const struct tensor *a, const struct tensor *trusted, float tolerance,
	struct arena *tmp);
