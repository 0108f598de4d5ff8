/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_crowd.c -- a crowd of connections that want little: what they cost the others
 *
 * usage: bench_crowd PORT COUNT PERIOD-MS ask|drip
 *
 * Opens COUNT connections to 127.0.0.1:PORT. Each of them, once a period and evenly spread
 * over it, asks for /v2/health/live and throws away what was answered before (ask), or sends
 * one more byte of a header that never ends (drip). Prints how many are open, then runs until
 * its standard input ends, then prints how many are still there. In C, because the crowd
 * shares the machine with who is measured.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ADDRESSES 8 /* loopback has 28,000 ports an address: the crowd comes from several */
#define TICK_MS 5

static const char request[] = "GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n";
static const char head[] = "POST /v2/models/digits/infer HTTP/1.1\r\nHost: x\r\nX-Slow: ";

struct crowd {
	int *fd; /* -1: gone */
	int n, open;
	bool drips;
};

static int dial(int port, int i)
{
	struct sockaddr_in from = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + (unsigned)(i % ADDRESSES))};
	struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (bind(fd, (struct sockaddr *)&from, sizeof(from)) == 0 &&
		connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 &&
		fcntl(fd, F_SETFL, O_NONBLOCK) == 0)
		return fd;
	close(fd);
	return -1;
}

/* False: the server has hung up. */
static bool step(const struct crowd *c, int fd, unsigned round)
{
	char sink[4096];
	ssize_t n = recv(fd, sink, sizeof(sink), MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN))
		return false;
	if (c->drips)
		n = send(fd, round < sizeof(head) - 1 ? head + round : "a", 1, MSG_NOSIGNAL);
	else
		n = send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL);
	return n >= 0 || errno == EAGAIN;
}

static void step_range(struct crowd *c, int from, int to, unsigned round)
{
	for (int i = from; i < to; i++)
		if (c->fd[i] >= 0 && !step(c, c->fd[i], round)) {
			close(c->fd[i]);
			c->fd[i] = -1;
			c->open--;
		}
}

static bool input_has_ended(int wait_ms)
{
	struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
	char c;
	return poll(&p, 1, wait_ms) > 0 && read(STDIN_FILENO, &c, 1) <= 0;
}

static double now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* A slice of the crowd each tick, so that it comes as a stream and not in bursts. */
static void run(struct crowd *c, double period_ms)
{
	double began = now_ms();
	long done = 0;
	while (!input_has_ended(TICK_MS)) {
		long due = (long)((now_ms() - began) / period_ms * c->n);
		while (done < due) {
			int from = (int)(done % c->n);
			long last = due - done < c->n - from ? due - done : c->n - from;
			step_range(c, from, from + (int)last, (unsigned)(done / c->n));
			done += last;
		}
	}
}

int main(int argc, char **argv)
{
	struct rlimit files;
	if (argc != 5 || atoi(argv[2]) < 1 || atoi(argv[3]) < 1) {
		fputs("usage: bench_crowd PORT COUNT PERIOD-MS ask|drip\n", stderr);
		return 2;
	}
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	struct crowd c = {.n = atoi(argv[2]), .drips = strcmp(argv[4], "drip") == 0};
	c.fd = calloc((size_t)c.n, sizeof(*c.fd));
	if (!c.fd)
		return 1;
	for (int i = 0; i < c.n; i++) {
		c.fd[i] = dial(atoi(argv[1]), i);
		c.open += c.fd[i] >= 0;
	}
	printf("%d\n", c.open);
	fflush(stdout);
	run(&c, atoi(argv[3]));
	printf("%d\n", c.open);
	free(c.fd);
	return 0;
}
