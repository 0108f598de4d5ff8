/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signals.h -- the signals that signetd minds, as bytes in a pipe
 *
 * Threads that are made afterwards have them blocked, and so has the main thread but while it
 * waits. Those that libraries made before main() began have not, hence handlers and no signalfd.
 */
#pragma once

#include <signal.h>

/* The end of the pipe to read from, without waiting; -1: there is none. *ret_before: the mask to
   wait with. */
int signals_take(sigset_t *ret_before);
