/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_grpc_echo.c -- the least that a server over gRPC's C core can do: take a message,
 * answer with another of a fixed size
 *
 * What signetd is compared with (tests/bench/throughput): the difference between the two is
 * what everything of ours costs. The two methods are registered, so that a call comes with
 * its message, and one batch of operations answers it: two events a call, which is the least
 * that the library allows. A completion queue and a thread for each core, as signetd has.
 *
 * usage: bench_grpc_echo METADATA-METHOD METADATA-FILE INFER-METHOD ANSWER-FILE
 *
 * Prints the port it chose and serves until its standard input ends.
 */
#include <fcntl.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define AWAITED 64 /* calls of a method that each queue is ready for */
#define QUEUES_MAX 8

struct method {
	void *handle;
	grpc_slice answer;
};

struct queue {
	grpc_completion_queue *cq;
	pthread_t thread;
};

struct call {
	struct method *method;
	struct queue *queue;
	bool answered;
	grpc_call *call;
	gpr_timespec deadline;
	grpc_metadata_array metadata;
	grpc_byte_buffer *message, *reply;
	int cancelled;
};

static grpc_server *server;
static struct method methods[2];
static struct queue queues[QUEUES_MAX];

static bool read_file(const char *path, grpc_slice *ret)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0)
		return false;
	*ret = grpc_slice_malloc_large((size_t)st.st_size);
	bool ok = read(fd, GRPC_SLICE_START_PTR(*ret), (size_t)st.st_size) == st.st_size;
	close(fd);
	return ok;
}

static void await_call(struct call *c)
{
	c->answered = false;
	c->message = c->reply = NULL;
	grpc_metadata_array_init(&c->metadata);
	if (grpc_server_request_registered_call(server, c->method->handle, &c->call, &c->deadline,
		    &c->metadata, &c->message, c->queue->cq, c->queue->cq, c) != GRPC_CALL_OK)
		abort();
}

static void answer(struct call *c)
{
	grpc_op op[4] = {
		{ .op = GRPC_OP_SEND_INITIAL_METADATA },
		{ .op = GRPC_OP_SEND_MESSAGE },
		{ .op = GRPC_OP_SEND_STATUS_FROM_SERVER },
		{ .op = GRPC_OP_RECV_CLOSE_ON_SERVER },
	};
	c->answered = true;
	c->reply = grpc_raw_byte_buffer_create(&c->method->answer, 1);
	op[1].data.send_message.send_message = c->reply;
	op[3].data.recv_close_on_server.cancelled = &c->cancelled;
	if (grpc_call_start_batch(c->call, op, 4, c, NULL) != GRPC_CALL_OK)
		abort();
}

static void end(struct call *c)
{
	grpc_byte_buffer_destroy(c->message);
	grpc_byte_buffer_destroy(c->reply);
	grpc_metadata_array_destroy(&c->metadata);
	grpc_call_unref(c->call);
}

static void *run(void *ctx)
{
	struct queue *q = ctx;
	for (;;) {
		grpc_event ev = grpc_completion_queue_next(
			q->cq, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
		struct call *c = ev.tag;
		if (ev.type == GRPC_QUEUE_SHUTDOWN)
			return NULL;
		if (!c->answered && ev.success) {
			answer(c);
		} else if (c->answered) {
			end(c);
			await_call(c);
		}
	}
}

static int start(void)
{
	cpu_set_t cores;
	sched_getaffinity(0, sizeof(cores), &cores);
	int n = CPU_COUNT(&cores) < QUEUES_MAX ? CPU_COUNT(&cores) : QUEUES_MAX;
	for (int i = 0; i < n; i++) {
		queues[i].cq = grpc_completion_queue_create_for_next(NULL);
		grpc_server_register_completion_queue(server, queues[i].cq, NULL);
	}
	grpc_server_credentials *none = grpc_insecure_server_credentials_create();
	int port = grpc_server_add_http2_port(server, "127.0.0.1:0", none);
	grpc_server_start(server);
	for (int i = 0; i < n; i++) {
		for (int k = 0; k < 2 * AWAITED; k++) {
			struct call *c = calloc(1, sizeof(*c));
			*c = (struct call){ .method = &methods[k % 2], .queue = &queues[i] };
			await_call(c);
		}
		if (pthread_create(&queues[i].thread, NULL, run, &queues[i]) != 0)
			abort();
	}
	return port;
}

int main(int argc, char **argv)
{
	grpc_arg unlimited = { .type = GRPC_ARG_INTEGER, .key = GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
		.value.integer = -1 };
	grpc_channel_args args = { 1, &unlimited };
	if (argc != 5 || !read_file(argv[2], &methods[0].answer) ||
		!read_file(argv[4], &methods[1].answer)) {
		fputs("usage: bench_grpc_echo METADATA-METHOD METADATA-FILE INFER-METHOD "
		      "ANSWER-FILE\n",
			stderr);
		return 2;
	}
	grpc_init();
	server = grpc_server_create(&args, NULL);
	for (int i = 0; i < 2; i++)
		methods[i].handle = grpc_server_register_method(server, argv[1 + 2 * i], NULL,
			GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER, 0);
	printf("%d\n", start());
	fflush(stdout);
	char c;
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	_exit(0); /* the library's own end is not what is measured */
}
