/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole graphs on the device: what crosses between it and the host, what is recorded and
 * replayed, and what goes wrong.
 */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "exec/module.h"
#include "support/gpu_device.h"
#include "support/models.h"
#include "support/runner.h"
#include "support/tensors.h"

static void expect_same(const struct runner *got, const struct runner *want, int n_out)
{
	char why[200];
	for (int i = 0; i < n_out; i++)
		ck_assert_msg(
			tensors_close(&got->out[i], &want->out[i], 1e-6, 1e-6, why, sizeof(why)),
			"output %d: %s", i, why);
}

/* Built twice, run on both, as often as it takes to record and to replay. */
static void expect_as_on_the_host(struct graph *(*build)(void), const struct tensor *in, int n_out)
{
	struct runner host = given_program(build(), 0);
	struct runner device = given_program_on(gpu_device(), build(), 0);
	run_ok(&host, in);
	for (int i = 0; i < 5; i++) {
		run_ok(&device, in);
		expect_same(&device, &host, n_out);
	}
	done(&device);
	done(&host);
}

static void note_backend(void *ctx, const struct step_text *s)
{
	char *all = ctx;
	size_t n = strlen(all);
	if (!s->folded)
		snprintf(all + n, 200 - n, "%s%s", n ? " " : "", s->backend);
}

static float numbers[64];

static struct tensor given_numbers(struct shape s)
{
	for (int i = 0; i < 64; i++)
		numbers[i] = (float)(i % 7) - 3.25f;
	return floats(numbers, s);
}

/* -- crossings -------------------------------------------------------------------------------- */

/* Hardmax has no row on the device. */
static struct graph *in_turns(void)
{
	struct graph *g = model_new();
	int32_t x = model_input(g, "x", DTYPE_F32, shape_of(4, 8));
	int32_t y = MODEL_NODE(g, OP_HARDMAX, MODEL_NODE(g, OP_NEG, x));
	model_output(g, MODEL_NODE(g, OP_RELU, MODEL_NODE(g, OP_ADD, y, x)));
	model_output(g, y);
	return g;
}

static struct graph *with_a_constant(void)
{
	struct graph *g = model_new();
	int32_t x = model_input(g, "x", DTYPE_F32, shape_of(4, 8));
	model_output(g, MODEL_NODE(g, OP_MUL, x, model_floats(g, shape_of(8), NULL)));
	return g;
}

START_TEST(a_constant_is_there_when_it_is_read)
{
	struct tensor x = given_numbers(shape_of(4, 8));
	expect_as_on_the_host(with_a_constant, &x, 1);
}
END_TEST

START_TEST(the_device_and_the_host_take_turns)
{
	struct tensor x = given_numbers(shape_of(4, 8));
	char backends[200] = "";
	expect_as_on_the_host(in_turns, &x, 2);

	struct runner r = given_program_on(gpu_device(), in_turns(), 0);
	ck_assert(program_explain(r.p, &x, note_backend, backends, &r.err) == ERR_OK);
	ck_assert_msg(strstr(backends, "gpu") && strstr(backends, "cpu"), "%s", backends);
	done(&r);
}
END_TEST

static struct graph *of_views(void)
{
	struct graph *g = model_new();
	int32_t x = model_input(g, "x", DTYPE_F32, shape_of(4, 8));
	int32_t y = MODEL_NODE(g, OP_NEG, x);
	int32_t flat = MODEL_NODE(g, OP_RESHAPE, y, MODEL_INTS(g, -1));
	int32_t a = MODEL_NODE(g, OP_RELU, y);
	model_output(g, x);
	model_output(g, y);
	model_output(g, y);
	model_output(g, flat);
	model_output(g, model_scalar(g, 7));
	model_output(g, MODEL_NODE(g, OP_ADD, a, y)); /* relu must not take y's place */
	model_output(
		g, MODEL_NODE(g, OP_HARDMAX, MODEL_NODE(g, OP_RESHAPE, a, MODEL_INTS(g, 8, 4))));
	return g;
}

START_TEST(outputs_may_be_inputs_views_constants_and_read_by_both)
{
	struct tensor x = given_numbers(shape_of(4, 8));
	expect_as_on_the_host(of_views, &x, 7);
}
END_TEST

static struct graph *of_two_inputs(void)
{
	struct graph *g = model_new();
	int32_t a = model_input(g, "a", DTYPE_F32, shape_of(DIM_UNKNOWN, 8));
	int32_t b = model_input(g, "b", DTYPE_F32, shape_of(8));
	int32_t sum = MODEL_NODE(g, OP_ADD, a, b);
	model_output(g, MODEL_NODE(g, OP_MUL, sum, MODEL_NODE(g, OP_SIGMOID, b)));
	model_output(g, MODEL_NODE(g, OP_SOFTMAX, sum));
	return g;
}

START_TEST(two_inputs_and_a_shape_that_is_new_each_time)
{
	struct tensor in[2] = { given_numbers(shape_of(4, 8)), floats(numbers + 3, shape_of(8)) };
	for (int64_t rows = 1; rows <= 4; rows++) {
		in[0].shape.dim[0] = rows;
		expect_as_on_the_host(of_two_inputs, in, 2);
	}
}
END_TEST

START_TEST(a_replay_reads_the_inputs_of_its_own_run)
{
	struct runner r = given_program_on(gpu_device(), of_two_inputs(), 0);
	struct tensor in[2] = { given_numbers(shape_of(4, 8)), floats(numbers + 3, shape_of(8)) };
	for (int i = 0; i < 6; i++) {
		struct runner host = given_program(of_two_inputs(), 0);
		numbers[5] = (float)i;
		run_ok(&host, in);
		run_ok(&r, in);
		expect_same(&r, &host, 2);
		done(&host);
	}
	done(&r);
}
END_TEST

/* -- several threads --------------------------------------------------------------------------- */

struct worker {
	struct program *p;
	struct tensor in[2], out[2];
	bool same;
};

static void *worker_output(void *ctx, int i, const struct tensor *t)
{
	struct worker *w = ctx;
	(void)t;
	return w->out[i].data;
}

static void *work(void *ctx)
{
	struct worker *w = ctx;
	float first[2][32];
	struct run_opts opts = { .output = worker_output, .output_ctx = w };
	w->same = true;
	for (int i = 0; i < 20; i++) {
		struct err err = { 0 };
		w->same &= program_run(w->p, w->in, &opts, &err) == ERR_OK;
		for (int k = 0; k < 2; k++) {
			if (i == 0)
				memcpy(first[k], w->out[k].data, sizeof(first[k]));
			w->same &= memcmp(first[k], w->out[k].data, sizeof(first[k])) == 0;
		}
	}
	return NULL;
}

START_TEST(threads_have_lanes_of_their_own)
{
	struct runner r = given_program_on(gpu_device(), of_two_inputs(), 0);
	ck_assert_int_ge(program_runs_at_once(r.p), 2);
	static float a[2][32], b[2][8];
	struct worker w[2];
	pthread_t t[2];
	for (int i = 0; i < 2; i++) {
		for (int k = 0; k < 32; k++)
			a[i][k] = (float)(k * (i + 1));
		w[i] = (struct worker){ .p = r.p,
			.in = { floats(a[i], shape_of(4, 8)), floats(b[i], shape_of(8)) },
			.out = { tensors_new(DTYPE_F32, shape_of(4, 8)),
				tensors_new(DTYPE_F32, shape_of(4, 8)) } };
		ck_assert_int_eq(pthread_create(&t[i], NULL, work, &w[i]), 0);
	}
	for (int i = 0; i < 2; i++) {
		pthread_join(t[i], NULL);
		ck_assert(w[i].same);
		for (int k = 0; k < 2; k++)
			tensors_free(&w[i].out[k]);
	}
	done(&r);
}
END_TEST

static void count_step(void *ctx, const char *node, const char *op, const char *kernel, int64_t ns)
{
	(void)node, (void)op, (void)kernel, (void)ns;
	++*(int *)ctx;
}

static void *profile_apart(void *ctx)
{
	struct worker *w = ctx;
	int steps = 0;
	struct profile profile = { count_step, &steps };
	struct run_opts opts = { .output = worker_output, .output_ctx = w, .profile = &profile };
	struct err err = { 0 };
	w->same = program_run(w->p, w->in, &opts, &err) == ERR_OK && steps > 0;
	return NULL;
}

START_TEST(a_thread_that_is_new_to_the_device_may_profile)
{
	struct tensor x = given_numbers(shape_of(4, 8));
	float y[2][32];
	struct runner r = given_program_on(gpu_device(), in_turns(), 0);
	run_ok(&r, &x);
	struct worker w = { .p = r.p, .in = { x },
		.out = { floats(y[0], shape_of(4, 8)), floats(y[1], shape_of(4, 8)) } };
	pthread_t thread;
	ck_assert_int_eq(pthread_create(&thread, NULL, profile_apart, &w), 0);
	pthread_join(thread, NULL);
	ck_assert(w.same);
	ck_assert_mem_eq(y[0], r.out[0].data, sizeof(y[0]));
	done(&r);
}
END_TEST

/* -- what goes wrong --------------------------------------------------------------------------- */

static struct graph *of_a_gather(void)
{
	struct graph *g = model_new();
	int32_t x = model_input(g, "x", DTYPE_F32, shape_of(4, 8));
	int32_t i = model_input(g, "i", DTYPE_I64, shape_of(2));
	int32_t picked = MODEL_NODE(g, OP_GATHER, x, i);
	g->node[g->value[picked].producer].name = "pick";
	model_output(g, MODEL_NODE(g, OP_NEG, picked));
	return g;
}

START_TEST(an_index_out_of_range_is_its_nodes_fault_and_passes)
{
	struct runner r = given_program_on(gpu_device(), of_a_gather(), 0);
	int64_t good[] = { 1, -4 }, bad[] = { 1, 4 };
	struct tensor in[2] = { given_numbers(shape_of(4, 8)),
		{ .dtype = DTYPE_I64, .shape = shape_of(2) } };
	for (int i = 0; i < 5; i++) {
		in[1].data = good;
		run_ok(&r, in);
		ck_assert(tensor_float(&r.out[0], 8) == -(double)numbers[0]);
		in[1].data = bad;
		ck_assert_int_eq(run(&r, in), ERR_INVALID_ARGUMENT);
		ck_assert_str_eq(r.err.msg, "node 'pick' (Gather): index 4 is out of range");
	}
	done(&r);
}
END_TEST

/* A fault that only the stand-in has. true: there is a GPU, which has none. */
static bool inject(const char *name, const char *value)
{
	setenv(name, value, 1);
	return gpu_driver();
}

START_TEST(a_device_that_fails_is_unavailable_from_then_on)
{
	struct tensor x = given_numbers(shape_of(4, 8));
	if (inject("STAND_IN_FAIL", _i ? "sync:5" : "launch:5"))
		return;
	struct runner r = given_program_on(gpu_device(), in_turns(), 0);
	enum err_code rc = ERR_OK;
	for (int i = 0; i < 5 && rc == ERR_OK; i++)
		rc = run(&r, &x);
	ck_assert_int_eq(rc, ERR_UNAVAILABLE);
	ck_assert_int_eq(run(&r, &x), ERR_UNAVAILABLE);
	ck_assert_msg(
		strstr(r.err.msg, "gpu:0 has failed: CUDA_ERROR_ILLEGAL_ADDRESS"), "%s", r.err.msg);
	ck_assert_ptr_nonnull(gpu_device()->device->sick(gpu_device()));
	done(&r);
}
END_TEST

START_TEST(a_device_without_room_refuses_and_is_well)
{
	struct tensor in[2] = { given_numbers(shape_of(4, 8)), floats(numbers, shape_of(8)) };
	if (inject("STAND_IN_FAIL", "alloc:1"))
		return;
	struct runner r = given_program_on(gpu_device(), of_two_inputs(), 0);
	ck_assert_int_eq(run(&r, in), ERR_RESOURCE_EXHAUSTED);
	ck_assert_msg(strstr(r.err.msg, "gpu:0: ") == r.err.msg && strstr(r.err.msg, "are free"),
		"%s", r.err.msg);
	ck_assert_ptr_null(gpu_device()->device->sick(gpu_device()));
	run_ok(&r, in); /* there is room again */
	done(&r);
}
END_TEST

static void expect_no_device(const char *device, const char *text)
{
	const struct backend *b;
	struct err err;
	ck_assert_int_eq(backend_open(device, &b, &err), ERR_UNAVAILABLE);
	ck_assert_msg(strstr(err.msg, text), "%s", err.msg);
}

START_TEST(a_device_that_is_not_there_is_said_so)
{
	if (inject("STAND_IN_DEVICES", "0"))
		return;
	expect_no_device("gpu", "the driver sees no GPU");
}
END_TEST

START_TEST(devices_are_numbered)
{
	const struct backend *b[2];
	struct err err;
	if (inject("STAND_IN_DEVICES", "2"))
		return;
	ck_assert_int_eq(backend_open("gpu:0", &b[0], &err), ERR_OK);
	ck_assert_int_eq(backend_open("gpu:1", &b[1], &err), ERR_OK);
	ck_assert_ptr_ne(b[0], b[1]);
	expect_no_device("gpu:2", "there are 2 GPUs");
}
END_TEST

START_TEST(a_device_too_old_for_the_kernels_is_said_so)
{
	if (inject("STAND_IN_CAPABILITY", "75"))
		return;
	expect_no_device(
		"gpu", "has compute capability 7.5; this build has kernels for 8.0 and later");
}
END_TEST

Suite *suite_gpu_graphs(void);
Suite *suite_gpu_graphs(void)
{
	Suite *s = suite_create("gpu_graphs");
	TCase *t = tcase_create("graphs");
	tcase_add_test(t, a_constant_is_there_when_it_is_read);
	tcase_add_test(t, the_device_and_the_host_take_turns);
	tcase_add_test(t, outputs_may_be_inputs_views_constants_and_read_by_both);
	tcase_add_test(t, two_inputs_and_a_shape_that_is_new_each_time);
	tcase_add_test(t, a_replay_reads_the_inputs_of_its_own_run);
	tcase_add_test(t, threads_have_lanes_of_their_own);
	tcase_add_test(t, a_thread_that_is_new_to_the_device_may_profile);
	tcase_add_test(t, an_index_out_of_range_is_its_nodes_fault_and_passes);
	tcase_add_loop_test(t, a_device_that_fails_is_unavailable_from_then_on, 0, 2);
	tcase_add_test(t, a_device_without_room_refuses_and_is_well);
	tcase_add_test(t, a_device_that_is_not_there_is_said_so);
	tcase_add_test(t, devices_are_numbered);
	tcase_add_test(t, a_device_too_old_for_the_kernels_is_said_so);
	suite_add_tcase(s, t);
	return s;
}
