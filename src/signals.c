/* SPDX-License-Identifier: Apache-2.0 */
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

static const int handled[] = { SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR2 };
static int to_main = -1; /* where the handler writes */

static void on_signal(int signo)
{
	int saved = errno;
	uint8_t byte = (uint8_t)signo;
	ssize_t done = write(to_main, &byte, 1); /* a full pipe has enough of them */
	(void)done;
	errno = saved;
}

int signals_take(sigset_t *ret_before)
{
	static const int ignored[] = { SIGPIPE, SIGXFSZ, SIGUSR1 };
	struct sigaction act = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	sigset_t set;
	int ends[2];
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
		return -1;
	to_main = ends[1];
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(handled) / sizeof(handled[0]); i++)
		sigaddset(&set, handled[i]);
	pthread_sigmask(SIG_BLOCK, &set, ret_before);
	for (size_t i = 0; i < sizeof(handled) / sizeof(handled[0]); i++) {
		sigdelset(ret_before, handled[i]);
		sigaction(handled[i], &act, NULL);
	}
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	return ends[0];
}
