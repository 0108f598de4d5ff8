/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The batcher over a fake backend whose one kernel doubles its input, can be held at a
 * gate, and counts; time is a number that the test sets.
 */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include "base/clock.h"
#include "server/batch/batcher.h"

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool closed;
	int waiting;
	int64_t batches[64]; /* rows of each run, in order */
	float first[64];     /* and the first value of its input */
	int n_batches;
	float poison; /* a row with this value is a fault; 0: none */
} gate = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void double_rows(const struct kernel_args *a, int64_t begin, int64_t end)
{
	(void)begin;
	(void)end;
	const float *x = a->in[0].data;
	float *y = a->out[0].data;
	pthread_mutex_lock(&gate.lock);
	gate.first[gate.n_batches % 64] = tensor_count(&a->in[0]) ? x[0] : 0;
	gate.batches[gate.n_batches++ % 64] = a->in[0].shape.dim[0];
	gate.waiting++;
	pthread_cond_broadcast(&gate.changed);
	while (gate.closed)
		pthread_cond_wait(&gate.changed, &gate.lock);
	gate.waiting--;
	pthread_mutex_unlock(&gate.lock);
	for (int64_t i = 0; i < tensor_count(&a->in[0]); i++) {
		if (gate.poison != 0 && x[i] == gate.poison)
			kernel_fault(a, FAULT_VALUE, (int64_t)x[i]);
		y[i] = 2 * x[i];
	}
}

static enum err_code
fake_prepare(struct prep *p, struct kernel *ret, bool *ret_want_plain, struct err *err)
{
	(void)p;
	(void)err;
	*ret_want_plain = false;
	*ret = (struct kernel){ .run = double_rows, .name = "double", .units = 1 };
	return ERR_OK;
}

static const struct backend fake = { .name = "fake", .prepare = fake_prepare };

/* Everything that a test needs, and what it looks at. */
static struct {
	struct arena *arena;
	struct pool *pool;
	struct program *program;
	struct signature sig;
	struct signature_io in, out;
	struct batcher *batcher;
	struct version version;
	_Atomic int64_t now;
	atomic_int answered;
} t;

static int64_t test_now(void)
{
	return t.now;
}

/* What most tests leave as it is. */
struct given {
	enum op_id op;
	int threads, part_rows;
};

static void given_batcher_of(struct given given, struct batcher_conf conf)
{
	struct err err;
	struct graph *g;
	int32_t x, y, n;
	t.arena = arena_new(1 << 16, 0);
	g = graph_new(t.arena, NULL, "g");
	ck_assert_int_eq(graph_add_value(g, "x", &x, &err), ERR_OK);
	ck_assert_int_eq(graph_add_value(g, "y", &y, &err), ERR_OK);
	ck_assert_int_eq(graph_add_node(g, given.op, "r", 1, 1, 0, &n, &err), ERR_OK);
	g->node[n].in[0] = x;
	g->node[n].out[0] = y;
	g->value[x].type.dtype = g->value[y].type.dtype = DTYPE_F32;
	g->value[x].shape = shape_of(DIM_UNKNOWN, 2);
	g->input = &x;
	g->output = &y;
	g->n_input = g->n_output = 1;
	ck_assert_int_eq(graph_compact(g, &err), ERR_OK);
	g->input = arena_alloc(t.arena, 4);
	g->output = arena_alloc(t.arena, 4);
	g->input[0] = x;
	g->output[0] = y;
	ck_assert_int_eq(pool_new(given.threads, NULL, &t.pool, &err), ERR_OK);
	struct program_conf pc = { .backend = &fake, .threads = 1 };
	ck_assert_int_eq(program_new(g, &pc, &t.program, &err), ERR_OK);
	t.in = (struct signature_io){ .name = "x", .type.dtype = DTYPE_F32,
		.shape = shape_of(-1, 2) };
	t.out = (struct signature_io){ .name = "y", .type.dtype = DTYPE_F32,
		.shape = shape_of(-1, 2) };
	t.sig = (struct signature){ .name = "s", .in = &t.in, .out = &t.out, .n_in = 1, .n_out = 1,
		.program = t.program, .batchable = true, .max_batch = conf.max_batch,
		.part_rows = given.part_rows };
	t.version = (struct version){ .model = "m", .refs = 1000 };
	t.now = 1000000;
	t.answered = 0;
	gate.closed = false;
	gate.n_batches = 0;
	gate.poison = 0;
	conf.pool = t.pool;
	conf.now_ns = test_now;
	if (!conf.max_queued_rows)
		conf.max_queued_rows = 1000;
	if (!conf.max_queued_bytes)
		conf.max_queued_bytes = 1 << 20;
	ck_assert_int_eq(batcher_new(&t.sig, &conf, &t.batcher, &err), ERR_OK);
}

static void given_batcher(struct batcher_conf conf)
{
	given_batcher_of((struct given){ OP_RELU, 1, 0 }, conf);
}

static void wait_answered(int n)
{
	for (int i = 0; i < 5000 && t.answered < n; i++)
		usleep(1000);
	ck_assert_int_eq(t.answered, n);
}

static void done_with_batcher(void)
{
	batcher_free(t.batcher);
	pool_free(t.pool);
	program_free(t.program);
	arena_free(t.arena);
}

static void on_done(struct request *r)
{
	(void)r;
	t.answered++;
}

static struct request *request_of(int64_t rows, float first)
{
	struct request *r = request_new();
	r->version = &t.version;
	t.version.refs++;
	r->sig = &t.sig;
	r->in = ARENA_ARRAY(r->arena, struct tensor, 1);
	r->out = ARENA_ARRAY(r->arena, struct tensor, 1);
	r->wanted = ARENA_ARRAY(r->arena, bool, 1);
	r->wanted[0] = true;
	r->rows = rows;
	float *x = arena_alloc(r->arena, (size_t)rows * 8 + 1);
	for (int64_t i = 0; i < rows * 2; i++)
		x[i] = first + (float)i;
	r->in[0] = (struct tensor){ .data = x, .dtype = DTYPE_F32, .shape = shape_of(rows, 2) };
	r->in_bytes = (size_t)rows * 8;
	r->done = on_done;
	return r;
}

static enum err_code submit(struct request *r)
{
	struct err err;
	return batcher_submit(t.batcher, r, &err);
}

/* A request that holds the only thread at the gate until open_gate(). */
static struct request *given_busy_thread(void)
{
	gate.closed = true;
	struct request *r = request_of(1, 1);
	ck_assert_int_eq(submit(r), ERR_OK);
	pthread_mutex_lock(&gate.lock);
	while (!gate.waiting)
		pthread_cond_wait(&gate.changed, &gate.lock);
	pthread_mutex_unlock(&gate.lock);
	return r;
}

static void open_gate(void)
{
	pthread_mutex_lock(&gate.lock);
	gate.closed = false;
	pthread_cond_broadcast(&gate.changed);
	pthread_mutex_unlock(&gate.lock);
}

static void expect_doubled(const struct request *r, float first)
{
	ck_assert_int_eq(r->code, ERR_OK);
	ck_assert_int_eq(r->out[0].shape.dim[0], r->rows);
	for (int64_t i = 0; i < r->rows * 2; i++)
		ck_assert(((float *)r->out[0].data)[i] == 2 * (first + (float)i));
}

START_TEST(what_gathers_while_the_thread_is_busy_runs_as_one_batch)
{
	given_batcher((struct batcher_conf){ .max_batch = 8 });
	struct request *r[5] = { given_busy_thread() };

	for (int i = 1; i < 5; i++) {
		r[i] = request_of(i, 100.0f * (float)i);
		ck_assert_int_eq(submit(r[i]), ERR_OK);
	}
	open_gate();
	wait_answered(5);

	/* 1 alone; then 1+2+3 (adding 4 would make 10 of at most 8); then 4. */
	ck_assert_int_eq(gate.n_batches, 3);
	ck_assert_int_eq(gate.batches[1], 6);
	ck_assert_int_eq(gate.batches[2], 4);
	for (int i = 1; i < 5; i++)
		expect_doubled(r[i], 100.0f * (float)i);
	for (int i = 0; i < 5; i++)
		request_free(r[i]);
	done_with_batcher();
}
END_TEST

/* Four requests of 4 MB, a millisecond to copy, and a batch of n rows that takes so long. */
static const struct {
	int64_t latency_ns[5];
	int batches;
} gains[] = {
	/* nothing, but copying is nothing too. */
	{ { 0, 9000000, 18000000, 27000000, 36000000 }, 1 },
	{ { 0, 1000000, 2000000, 3000000, 4000000 }, 4 },    /* nothing, for a copy each */
	{ { 0, 2000000, 2100000, 2200000, 2300000 }, 1 },    /* nearly all */
	{ { 0, 0, 0, 0, 0 }, 1 },                            /* not known */
};

START_TEST(company_is_taken_when_it_gains_more_than_copying_costs)
{
	int64_t latency_ns[9] = { 0 };
	given_batcher((struct batcher_conf){ .max_batch = 8, .max_queued_bytes = 1 << 30 });
	memcpy(latency_ns, gains[_i].latency_ns, sizeof(gains[_i].latency_ns));
	t.sig.latency_ns = latency_ns;
	struct request *r[5] = { given_busy_thread() };

	for (int i = 1; i < 5; i++) {
		r[i] = request_of(1, 100.0f * (float)i);
		r[i]->in_bytes = 4000000;
		ck_assert_int_eq(submit(r[i]), ERR_OK);
	}
	open_gate();
	wait_answered(5);

	ck_assert_int_eq(gate.n_batches, 1 + gains[_i].batches);
	for (int i = 1; i < 5; i++)
		expect_doubled(r[i], 100.0f * (float)i);
	for (int i = 0; i < 5; i++)
		request_free(r[i]);
	done_with_batcher();
}
END_TEST

START_TEST(full_queue_refuses_and_leaves_the_request_with_the_caller)
{
	given_batcher((struct batcher_conf){ .max_batch = 4, .max_queued_rows = 3 });
	struct request *busy = given_busy_thread(), *a = request_of(2, 0), *b = request_of(2, 0);

	ck_assert_int_eq(submit(a), ERR_OK);
	ck_assert_int_eq(submit(b), ERR_UNAVAILABLE);
	open_gate();
	wait_answered(2);

	ck_assert_int_eq(b->state, REQUEST_NEW);
	request_free(busy);
	request_free(a);
	request_free(b);
	done_with_batcher();
}
END_TEST

START_TEST(expired_request_is_answered_and_never_run)
{
	given_batcher((struct batcher_conf){ .max_batch = 4 });
	struct request *busy = given_busy_thread(), *late = request_of(1, 5),
		       *other = request_of(1, 7);
	late->deadline_ns = t.now + 100;

	ck_assert_int_eq(submit(late), ERR_OK);
	ck_assert_int_eq(submit(other), ERR_OK);
	t.now += 100;
	batcher_tick(t.batcher);
	ck_assert_int_eq(t.answered, 1);
	ck_assert_int_eq(late->code, ERR_DEADLINE_EXCEEDED);
	open_gate();
	wait_answered(3);

	ck_assert_int_eq(gate.n_batches, 2);
	ck_assert_int_eq(gate.batches[1], 1);
	request_free(busy);
	request_free(late);
	request_free(other);
	done_with_batcher();
}
END_TEST

START_TEST(request_too_late_at_arrival_is_refused)
{
	given_batcher((struct batcher_conf){ .max_batch = 4 });
	struct request *r = request_of(1, 0);
	r->deadline_ns = t.now;

	ck_assert_int_eq(submit(r), ERR_DEADLINE_EXCEEDED);

	request_free(r);
	done_with_batcher();
}
END_TEST

START_TEST(cancelled_request_leaves_the_queue_at_once)
{
	given_batcher((struct batcher_conf){ .max_batch = 4 });
	struct request *busy = given_busy_thread(), *gone = request_of(1, 0);

	ck_assert_int_eq(submit(gone), ERR_OK);
	batcher_cancel(t.batcher, gone);
	ck_assert_int_eq(t.answered, 1);
	ck_assert_int_eq(gone->code, ERR_CANCELLED);
	batcher_cancel(t.batcher, gone);
	open_gate();
	wait_answered(2);

	ck_assert_int_eq(gate.n_batches, 1);
	request_free(busy);
	request_free(gone);
	done_with_batcher();
}
END_TEST

START_TEST(rows_are_run_in_the_parts_that_are_best)
{
	given_batcher_of((struct given){ OP_RELU, 1, 2 }, (struct batcher_conf){ .max_batch = 8 });
	struct request *r[3] = { given_busy_thread(), request_of(5, 3), request_of(19, 7) };

	ck_assert_int_eq(submit(r[1]), ERR_OK);
	ck_assert_int_eq(submit(r[2]), ERR_OK);
	open_gate();
	wait_answered(3);

	ck_assert_int_eq(gate.n_batches, 1 + 3 + 10);
	for (int i = 1; i < gate.n_batches; i++)
		ck_assert_int_eq(gate.batches[i], i == 3 || i == 13 ? 1 : 2);
	for (int i = 1; i < 3; i++)
		expect_doubled(r[i], i == 1 ? 3 : 7);
	for (int i = 0; i < 3; i++)
		request_free(r[i]);
	done_with_batcher();
}
END_TEST

START_TEST(rows_of_nothing_are_one_run)
{
	given_batcher_of((struct given){ OP_RELU, 1, 2 }, (struct batcher_conf){ .max_batch = 8 });
	struct request *r = request_of(19, 7);
	r->in_bytes = 0;
	ck_assert_int_eq(submit(r), ERR_OK);
	wait_answered(1);

	ck_assert_int_eq(gate.n_batches, 1);
	request_free(r);
	done_with_batcher();
}
END_TEST

START_TEST(more_rows_than_are_best_do_not_gather)
{
	given_batcher_of((struct given){ OP_RELU, 1, 2 }, (struct batcher_conf){ .max_batch = 8 });
	struct request *r[5] = { given_busy_thread() };
	for (int i = 1; i < 5; i++) {
		r[i] = request_of(1, (float)i);
		ck_assert_int_eq(submit(r[i]), ERR_OK);
	}
	open_gate();
	wait_answered(5);

	ck_assert_int_eq(gate.n_batches, 3);
	ck_assert_int_eq(gate.batches[1], 2);
	ck_assert_int_eq(gate.batches[2], 2);
	for (int i = 0; i < 5; i++)
		request_free(r[i]);
	done_with_batcher();
}
END_TEST

/* The gate is closed until two threads wait there with a part each. */
START_TEST(idle_threads_take_parts)
{
	given_batcher_of((struct given){ OP_RELU, 2, 1 }, (struct batcher_conf){ .max_batch = 8 });
	struct request *r = request_of(8, 1);
	gate.closed = true;
	ck_assert_int_eq(submit(r), ERR_OK);
	pthread_mutex_lock(&gate.lock);
	while (gate.waiting < 2)
		pthread_cond_wait(&gate.changed, &gate.lock);
	pthread_mutex_unlock(&gate.lock);
	open_gate();
	wait_answered(1);

	ck_assert_int_eq(gate.n_batches, 8);
	expect_doubled(r, 1);
	request_free(r);
	done_with_batcher();
}
END_TEST

START_TEST(fewer_parts_than_idle_threads_are_one_run)
{
	given_batcher_of((struct given){ OP_RELU, 4, 1 }, (struct batcher_conf){ .max_batch = 8 });
	struct request *r = request_of(3, 1);
	ck_assert_int_eq(submit(r), ERR_OK);
	wait_answered(1);

	ck_assert_int_eq(gate.n_batches, 1);
	ck_assert_int_eq(gate.batches[0], 3);
	request_free(r);
	done_with_batcher();
}
END_TEST

START_TEST(a_part_that_fails_fails_its_request)
{
	given_batcher_of((struct given){ OP_RELU, 2, 1 }, (struct batcher_conf){ .max_batch = 8 });
	struct request *r = request_of(8, 1);
	gate.poison = 9;
	ck_assert_int_eq(submit(r), ERR_OK);
	wait_answered(1);

	ck_assert_int_eq(r->code, ERR_INVALID_ARGUMENT);
	ck_assert_int_eq(r->err.code, ERR_INVALID_ARGUMENT);
	request_free(r);
	done_with_batcher();
}
END_TEST

/* A transpose: [N,2] gives [2,N]. Warm-up would not call it a batch. */
START_TEST(outputs_that_are_not_the_rows_are_answered_alone_and_never_overrun)
{
	given_batcher_of((struct given){ OP_TRANSPOSE, 1, 0 },
		(struct batcher_conf){ .max_batch = 4 });
	struct request *busy = given_busy_thread(), *a = request_of(3, 0), *b = request_of(1, 7),
		       *parts = request_of(5, 0);

	ck_assert_int_eq(submit(a), ERR_OK);
	ck_assert_int_eq(submit(b), ERR_OK);
	ck_assert_int_eq(submit(parts), ERR_OK);
	open_gate();
	wait_answered(4);

	ck_assert_int_eq(a->code, ERR_OK);
	ck_assert(shape_equal(&a->out[0].shape, &(struct shape){ .rank = 2, .dim = { 2, 3 } }));
	ck_assert_int_eq(b->code, ERR_OK);
	ck_assert(shape_equal(&b->out[0].shape, &(struct shape){ .rank = 2, .dim = { 2, 1 } }));
	ck_assert_int_eq(parts->code, ERR_INVALID_ARGUMENT);
	ck_assert_str_eq(parts->err.msg, "output 'y' is [2,4] for rows 0 to 3 and does not join "
					 "others: with these inputs at most 4 "
					 "rows can be sent at once");
	request_free(busy);
	request_free(a);
	request_free(b);
	request_free(parts);
	done_with_batcher();
}
END_TEST

START_TEST(request_bigger_than_a_batch_runs_in_parts_and_is_answered_once)
{
	given_batcher((struct batcher_conf){ .max_batch = 4 });
	struct request *r = request_of(11, 3);

	ck_assert_int_eq(submit(r), ERR_OK);
	wait_answered(1);

	ck_assert_int_eq(gate.n_batches, 3);
	ck_assert_int_eq(gate.batches[0], 4);
	ck_assert_int_eq(gate.batches[2], 3);
	expect_doubled(r, 3);
	request_free(r);
	done_with_batcher();
}
END_TEST

START_TEST(zero_rows_are_answered_with_zero_rows)
{
	given_batcher((struct batcher_conf){ .max_batch = 4 });
	struct request *r = request_of(0, 0);

	ck_assert_int_eq(submit(r), ERR_OK);
	wait_answered(1);

	ck_assert_int_eq(r->code, ERR_OK);
	ck_assert_int_eq(r->out[0].shape.rank, 2);
	ck_assert_int_eq(r->out[0].shape.dim[0], 0);
	ck_assert_int_eq(r->out[0].shape.dim[1], 2);
	request_free(r);
	done_with_batcher();
}
END_TEST

/* What a row would give is not known: there is no shape to answer with. */
START_TEST(zero_rows_of_what_depends_on_data_are_refused)
{
	given_batcher_of((struct given){ OP_NON_ZERO, 1, 0 },
		(struct batcher_conf){ .max_batch = 4 });
	struct request *r = request_of(0, 0);

	ck_assert_int_eq(submit(r), ERR_OK);
	wait_answered(1);

	ck_assert_int_eq(r->code, ERR_INVALID_ARGUMENT);
	ck_assert_str_eq(r->err.msg, "output 'y' has no shape for zero rows");
	request_free(r);
	done_with_batcher();
}
END_TEST

START_TEST(bad_data_of_one_request_fails_that_one_only)
{
	given_batcher((struct batcher_conf){ .max_batch = 8 });
	struct request *busy = given_busy_thread();
	struct request *good = request_of(1, 10), *bad = request_of(1, 666),
		       *fine = request_of(2, 20);
	gate.poison = 666;

	ck_assert_int_eq(submit(good), ERR_OK);
	ck_assert_int_eq(submit(bad), ERR_OK);
	ck_assert_int_eq(submit(fine), ERR_OK);
	open_gate();
	wait_answered(4);

	expect_doubled(good, 10);
	expect_doubled(fine, 20);
	ck_assert_int_eq(bad->code, ERR_INVALID_ARGUMENT);
	request_free(busy);
	request_free(good);
	request_free(bad);
	request_free(fine);
	done_with_batcher();
}
END_TEST

START_TEST(priorities_share_by_weight_and_none_starves)
{
	given_batcher((struct batcher_conf){ .max_batch = 1 });
	struct request *busy = given_busy_thread(), *r[26];

	for (int i = 0; i < 26; i++) {
		r[i] = request_of(1, (float)i);
		r[i]->priority = i % 2 ? 1 : 2; /* high and low in turn */
		ck_assert_int_eq(submit(r[i]), ERR_OK);
	}
	open_gate();
	wait_answered(27);

	/* Weights 8 to 1: of the first nine after the busy one, one is low. */
	int low = 0;
	for (int i = 1; i <= 9; i++)
		low += (int)gate.first[i] % 2 == 0;
	ck_assert_int_eq(low, 1);
	for (int i = 0; i < 26; i++) {
		expect_doubled(r[i], (float)i);
		request_free(r[i]);
	}
	request_free(busy);
	done_with_batcher();
}
END_TEST

START_TEST(delay_waits_for_company_and_no_longer)
{
	given_batcher((struct batcher_conf){ .max_batch = 4, .max_delay_us = 10 });
	struct request *a = request_of(1, 1), *b = request_of(1, 2);

	ck_assert_int_eq(submit(a), ERR_OK);
	ck_assert_int_eq(submit(b), ERR_OK);
	batcher_tick(t.batcher);
	usleep(5000);
	ck_assert_int_eq(t.answered, 0);
	t.now += 10 * NS_PER_US;
	batcher_tick(t.batcher);
	wait_answered(2);

	ck_assert_int_eq(gate.n_batches, 1);
	ck_assert_int_eq(gate.batches[0], 2);
	request_free(a);
	request_free(b);
	done_with_batcher();
}
END_TEST

START_TEST(misaligned_input_is_computed_right)
{
	given_batcher((struct batcher_conf){ .max_batch = 4 });
	struct request *r = request_of(2, 9);
	char *raw = arena_alloc(r->arena, 64);
	memcpy(raw + 1, r->in[0].data, 16);
	r->in[0].data = raw + 1;

	ck_assert_int_eq(submit(r), ERR_OK);
	wait_answered(1);

	expect_doubled(r, 9);
	request_free(r);
	done_with_batcher();
}
END_TEST

START_TEST(warm_requests_allocate_no_chunk)
{
	given_batcher((struct batcher_conf){ .max_batch = 4 });
	unsigned long chunks = 0;
	for (int i = 0; i < 100; i++) {
		if (i == 10)
			chunks = arena_chunk_count();
		struct request *r = request_of(3, (float)i);
		ck_assert_int_eq(submit(r), ERR_OK);
		wait_answered(i + 1);
		request_free(r);
	}
	ck_assert_uint_eq(arena_chunk_count(), chunks);
	done_with_batcher();
}
END_TEST

/* Learnt times that make every batch of up to eight rows quick, and worth it. */
static int64_t quick_ns[9] = { 0, 10000, 11000, 12000, 13000, 14000, 15000, 16000, 17000 };

static struct request *chained(struct request **list, int n)
{
	for (int i = 0; i < n; i++)
		list[i]->next = i + 1 < n ? list[i + 1] : NULL;
	return list[0];
}

START_TEST(quick_requests_that_came_together_run_as_one_batch_where_they_came)
{
	given_batcher((struct batcher_conf){ .max_batch = 8 });
	t.sig.latency_ns = quick_ns;
	struct request *r[3] = { request_of(1, 1), request_of(2, 20), request_of(3, 30) };

	batcher_submit_all(t.batcher, chained(r, 3));

	ck_assert_int_eq(t.answered, 3);
	ck_assert_int_eq(gate.n_batches, 1);
	ck_assert_int_eq(gate.batches[0], 6);
	expect_doubled(r[0], 1);
	expect_doubled(r[1], 20);
	expect_doubled(r[2], 30);
	for (int i = 0; i < 3; i++)
		request_free(r[i]);
	done_with_batcher();
}
END_TEST

START_TEST(of_those_that_came_together_the_refused_are_answered_too)
{
	given_batcher((struct batcher_conf){ .max_batch = 8, .max_queued_rows = 3 });
	t.sig.latency_ns = quick_ns;
	struct request *r[4] = { request_of(1, 1), request_of(1, 2), request_of(2, 3),
		request_of(3, 4) };
	r[1]->deadline_ns = t.now;

	batcher_submit_all(t.batcher, chained(r, 4));

	ck_assert_int_eq(t.answered, 4);
	expect_doubled(r[0], 1);
	ck_assert_int_eq(r[1]->code, ERR_DEADLINE_EXCEEDED);
	expect_doubled(r[2], 3);
	ck_assert_int_eq(r[3]->code, ERR_UNAVAILABLE);
	for (int i = 0; i < 4; i++)
		request_free(r[i]);
	done_with_batcher();
}
END_TEST

START_TEST(what_came_together_behind_others_goes_to_the_pool)
{
	given_batcher((struct batcher_conf){ .max_batch = 8 });
	struct request *busy = given_busy_thread(), *first = request_of(1, 5);
	struct request *r[2] = { request_of(1, 6), request_of(1, 7) };
	t.sig.latency_ns = quick_ns;
	ck_assert_int_eq(submit(first), ERR_OK);

	batcher_submit_all(t.batcher, chained(r, 2));

	ck_assert_int_eq(t.answered, 0);
	open_gate();
	wait_answered(4);
	ck_assert_int_eq(gate.n_batches, 2);
	expect_doubled(r[1], 7);
	request_free(busy);
	request_free(first);
	request_free(r[0]);
	request_free(r[1]);
	done_with_batcher();
}
END_TEST

static const struct {
	int64_t rows, before, delay_us, latency_ns[9];
	bool gathers;
} held[] = {
	{ 1, 0, 0, { 0, 10, 11, 12, 13, 14, 15, 16, 17 }, true },
	{ 3, 5, 0, { 0, 10, 11, 12, 13, 14, 15, 16, 17 }, true },
	{ 3, 6, 0, { 0, 10, 11, 12, 13, 14, 15, 16, 17 }, false },      /* more than a batch */
	{ 1, 0, 9, { 0, 10, 11, 12, 13, 14, 15, 16, 17 }, false },      /* it will wait anyway */
	/* no gain, but no copy to speak of. */
	{ 1, 0, 0, { 0, 10000, 20000, 30000, 40000 }, true },
	{ 1, 0, 0, { 0, 10000, 90000 }, false },                        /* company is dear */
	/* together no longer quick. */
	{ 1, 3, 0, { 0, 40000, 60000, 80000, 110000 }, false },
	{ 1, 0, 0, { 0, 200000, 200000 }, false },                      /* not quick */
	{ 1, 0, 0, { 0 }, false },                                      /* not known */
};

START_TEST(a_request_is_held_for_company_only_where_that_pays)
{
	given_batcher((struct batcher_conf){ .max_batch = 8, .max_delay_us = held[_i].delay_us });
	int64_t latency_ns[9];
	memcpy(latency_ns, held[_i].latency_ns, sizeof(latency_ns));
	t.sig.latency_ns = latency_ns;
	struct request *r = request_of(held[_i].rows, 1);

	ck_assert_int_eq(batcher_gathers(t.batcher, r, held[_i].before), held[_i].gathers);

	request_free(r);
	done_with_batcher();
}
END_TEST

/* Not under sanitizers, whose own memory is beyond any such limit. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define TEST_NO_MEMORY
START_TEST(a_batcher_without_memory_for_all_its_runners_is_an_error)
{
	given_batcher((struct batcher_conf){ .max_batch = 8 });
	struct signature wide = t.sig;
	struct batcher_conf conf = { .pool = t.pool, .max_batch = 8, .max_running = 64 };
	struct rlimit before, tight;
	struct batcher *b = NULL;
	struct err err;
	wide.n_out = 1 << 20; /* each runner has tensors for all of them */
	ck_assert_int_eq(getrlimit(RLIMIT_AS, &before), 0);
	tight = before;
	tight.rlim_cur = (rlim_t)1 << 30;
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &tight), 0);
	enum err_code rc = batcher_new(&wide, &conf, &b, &err);
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &before), 0);
	ck_assert_int_eq(rc, ERR_RESOURCE_EXHAUSTED);
	done_with_batcher();
}
END_TEST
#endif

Suite *suite_batcher(void);
Suite *suite_batcher(void)
{
	Suite *s = suite_create("batcher");
	TCase *c = tcase_create("batcher");
	tcase_add_test(c, what_gathers_while_the_thread_is_busy_runs_as_one_batch);
	tcase_add_loop_test(c, company_is_taken_when_it_gains_more_than_copying_costs, 0,
		sizeof(gains) / sizeof(*gains));
	tcase_add_test(c, full_queue_refuses_and_leaves_the_request_with_the_caller);
	tcase_add_test(c, expired_request_is_answered_and_never_run);
	tcase_add_test(c, request_too_late_at_arrival_is_refused);
	tcase_add_test(c, cancelled_request_leaves_the_queue_at_once);
	tcase_add_test(c, rows_are_run_in_the_parts_that_are_best);
	tcase_add_test(c, rows_of_nothing_are_one_run);
	tcase_add_test(c, more_rows_than_are_best_do_not_gather);
	tcase_add_test(c, idle_threads_take_parts);
	tcase_add_test(c, fewer_parts_than_idle_threads_are_one_run);
	tcase_add_test(c, a_part_that_fails_fails_its_request);
	tcase_add_test(c, outputs_that_are_not_the_rows_are_answered_alone_and_never_overrun);
	tcase_add_test(c, request_bigger_than_a_batch_runs_in_parts_and_is_answered_once);
	tcase_add_test(c, zero_rows_are_answered_with_zero_rows);
	tcase_add_test(c, zero_rows_of_what_depends_on_data_are_refused);
	tcase_add_test(c, bad_data_of_one_request_fails_that_one_only);
	tcase_add_test(c, priorities_share_by_weight_and_none_starves);
	tcase_add_test(c, delay_waits_for_company_and_no_longer);
	tcase_add_test(c, misaligned_input_is_computed_right);
	tcase_add_test(c, warm_requests_allocate_no_chunk);
	tcase_add_test(c, quick_requests_that_came_together_run_as_one_batch_where_they_came);
	tcase_add_test(c, of_those_that_came_together_the_refused_are_answered_too);
	tcase_add_test(c, what_came_together_behind_others_goes_to_the_pool);
	tcase_add_loop_test(c, a_request_is_held_for_company_only_where_that_pays, 0,
		sizeof(held) / sizeof(*held));
#ifdef TEST_NO_MEMORY
	tcase_add_test(c, a_batcher_without_memory_for_all_its_runners_is_an_error);
#endif
	suite_add_tcase(s, c);
	return s;
}
