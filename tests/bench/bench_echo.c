/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_echo.c -- the least that a server over libmicrohttpd can do: read a body, answer
 * with another of a fixed size
 *
 * What signetd is compared with (tests/bench/throughput): the difference between the two is
 * what everything of ours costs. One epoll thread, a response per request, no parsing.
 *
 * usage: bench_echo METADATA-FILE ANSWER-FILE [BYTES]
 *
 * Answers GET with the one file and POST with the other; BYTES is the JSON part of a binary
 * answer. Prints the port it chose and serves until its standard input ends.
 */
#include <fcntl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct body {
	char *ptr;
	size_t len;
};

static struct body get_body, post_body;
static const char *json_bytes;

static bool read_file(const char *path, struct body *ret)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0)
		return false;
	ret->len = (size_t)st.st_size;
	ret->ptr = malloc(ret->len + 1);
	bool ok = ret->ptr && read(fd, ret->ptr, ret->len) == (ssize_t)ret->len;
	close(fd);
	return ok;
}

static enum MHD_Result answer(void *ctx, struct MHD_Connection *conn, const char *url,
	const char *method, const char *version, const char *upload, size_t *upload_bytes,
	void **request)
{
	(void)ctx, (void)url, (void)version, (void)upload;
	static int seen;
	bool is_post = strcmp(method, "POST") == 0;
	if (!*request) { /* headers only */
		*request = &seen;
		return MHD_YES;
	}
	if (*upload_bytes) {
		*upload_bytes = 0;
		return MHD_YES;
	}
	const struct body *body = is_post ? &post_body : &get_body;
	struct MHD_Response *r =
		MHD_create_response_from_buffer(body->len, body->ptr, MHD_RESPMEM_PERSISTENT);
	if (!r)
		return MHD_NO;
	if (is_post && json_bytes) {
		MHD_add_response_header(r, "Content-Type", "application/octet-stream");
		MHD_add_response_header(r, "Inference-Header-Content-Length", json_bytes);
	} else {
		MHD_add_response_header(r, "Content-Type", "application/json");
	}
	enum MHD_Result rc = MHD_queue_response(conn, MHD_HTTP_OK, r);
	MHD_destroy_response(r);
	return rc;
}

int main(int argc, char **argv)
{
	if (argc < 3 || !read_file(argv[1], &get_body) || !read_file(argv[2], &post_body)) {
		fputs("usage: bench_echo METADATA-FILE ANSWER-FILE [BYTES]\n", stderr);
		return 2;
	}
	json_bytes = argv[3];
	struct sockaddr_in addr = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct MHD_Daemon *d = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL,
		answer, NULL, MHD_OPTION_SOCK_ADDR, &addr, MHD_OPTION_CONNECTION_LIMIT, 1000u,
		MHD_OPTION_END);
	const union MHD_DaemonInfo *info =
		d ? MHD_get_daemon_info(d, MHD_DAEMON_INFO_BIND_PORT) : NULL;
	if (!info) {
		fputs("bench_echo: cannot start\n", stderr);
		return 1;
	}
	printf("%u\n", (unsigned)info->port);
	fflush(stdout);
	char c;
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	MHD_stop_daemon(d);
	free(get_body.ptr);
	free(post_body.ptr);
	return 0;
}
