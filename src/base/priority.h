/* SPDX-License-Identifier: Apache-2.0 */
/*
 * priority.h -- which threads the system lets run first
 *
 * Both are wishes: what the kernel does not know or a filter forbids is left out.
 *
 * Threads: the calling one, from now on. Memory: none.
 */
#pragma once

/* Steps back behind those that answer requests. */
void priority_low(void);

/* For threads that work in rounds of some microseconds: less processor time at once, and sooner.
   With a turn of the usual length, longer than many rounds, a thread is let in late and then keeps
   clients on the same core from asking again. Linux knows it from 6.12 on. */
void priority_short_turns(void);
