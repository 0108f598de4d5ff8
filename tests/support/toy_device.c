/* SPDX-License-Identifier: Apache-2.0 */
#include "support/toy_device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "base/checked.h"

#define MEMORY_BYTES ((size_t)1 << 30)
#define RUNS_BEFORE_CAPTURE 2
#define RECORDED_MAX 512

static struct {
	uint32_t seed;
	char *memory;
	size_t used, live, limit;
	bool broken;
} toy;

static void fail(const char *what)
{
	fprintf(stderr, "toy device: %s\n", what);
	abort();
}

static void open_memory(bool open)
{
	if (mprotect(toy.memory, round_up(toy.used + 1, 4096),
		    open ? PROT_READ | PROT_WRITE : PROT_NONE) != 0)
		fail("mprotect");
}

static void *device_alloc(size_t bytes)
{
	char *mem = toy.memory + toy.used;
	toy.used += round_up(bytes + 1, 4096);
	toy.live++;
	if (toy.used > MEMORY_BYTES)
		fail("a test wants more memory than it has");
	return mem;
}

static void device_free(const void *mem)
{
	if ((const char *)mem < toy.memory || (const char *)mem >= toy.memory + toy.used ||
		toy.live == 0)
		fail("frees what it does not have");
	if (--toy.live == 0)
		toy.used = 0;
}

/* -- lanes ---------------------------------------------------------------------------------- */

/* A kernel of the CPU, and what it was called with. */
struct work {
	run_fn run;
	int64_t units;
	struct kernel_args args;
	struct device_args device;
	struct tensor operand[40];
};

struct recording {
	int runs, n;
	bool capturing;
	struct work *work;
};

struct toy_lane {
	struct lane lane; /* first */
	struct device_fault fault;
	int32_t n_segment, segment; /* the open one; -1: none */
	struct recording recording[];
};

/* What a kernel finds wrong goes where a device's would put it. */
static void do_work(const struct work *w)
{
	struct fault found = { 0 };
	struct device_fault *fault = w->device.fault;
	struct kernel_args args = w->args;
	args.fault = &found;
	open_memory(true);
	w->run(&args, 0, w->units);
	open_memory(false);
	if (atomic_load(&found.code) != FAULT_NONE && fault->code == FAULT_NONE)
		*fault = (struct device_fault){ atomic_load(&found.code), w->device.step,
			atomic_load(&found.value) };
}

static void record(struct recording *r, const struct work *w)
{
	if (r->n == RECORDED_MAX)
		fail("a test records too much");
	struct work *to = &r->work[r->n++];
	*to = *w;
	to->args.in = to->operand;
	to->args.out = to->operand + w->args.n_in;
	to->args.device = &to->device;
}

static enum err_code lane_new(const struct backend *b, size_t device_bytes, size_t host_bytes,
	int32_t segments, struct lane **ret, struct err *err)
{
	if (toy.live >= toy.limit)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, "the toy is full");
	struct toy_lane *l = calloc(1, sizeof(*l) + (size_t)segments * sizeof(l->recording[0]));
	if (!l)
		return err_oom(err);
	l->lane = (struct lane){ .backend = b, .device_mem = device_alloc(device_bytes),
		.stream = l, .host_mem = aligned_alloc(64, round_up(host_bytes + 1, 64)),
		.fault = &l->fault };
	l->n_segment = segments;
	l->segment = -1;
	*ret = &l->lane;
	return ERR_OK;
}

static void lane_free(struct lane *lane)
{
	struct toy_lane *l = (struct toy_lane *)lane;
	for (int32_t i = 0; i < l->n_segment; i++)
		free(l->recording[i].work);
	device_free(lane->device_mem);
	free(lane->host_mem);
	free(l);
}

static enum err_code begin(struct lane *lane, int32_t segment, bool *ret_enqueue, struct err *err)
{
	struct toy_lane *l = (struct toy_lane *)lane;
	(void)err;
	*ret_enqueue = true;
	if (segment == SEGMENT_NONE)
		return ERR_OK;
	struct recording *r = &l->recording[segment];
	if (segment >= l->n_segment || l->segment >= 0)
		fail("segments are numbered wrong, or one is open");
	*ret_enqueue = !r->work || r->capturing;
	for (int i = 0; i < r->n; i++)
		do_work(&r->work[i]);
	if (!r->work && r->runs++ == RUNS_BEFORE_CAPTURE) {
		r->work = calloc(RECORDED_MAX, sizeof(*r->work));
		r->capturing = true;
	}
	if (*ret_enqueue)
		l->segment = segment;
	return ERR_OK;
}

static enum err_code end(struct lane *lane, int32_t segment, struct err *err)
{
	struct toy_lane *l = (struct toy_lane *)lane;
	struct recording *r = &l->recording[segment];
	(void)err;
	l->segment = -1;
	for (int i = 0; r->capturing && i < r->n; i++)
		do_work(&r->work[i]);
	r->capturing = false;
	return ERR_OK;
}

static enum err_code wait(struct lane *lane, struct err *err)
{
	(void)lane;
	return toy.broken ? err_set(err, ERR_UNAVAILABLE, "the toy is broken") : ERR_OK;
}

/* -- kernels -------------------------------------------------------------------------------- */

struct wrapped {
	run_fn run;
	int64_t units;
	const void *state;
};

static void run_wrapped(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct wrapped *k = a->state;
	struct toy_lane *l = a->device->stream;
	struct work w = { .run = k->run, .units = k->units, .args = *a, .device = *a->device };
	w.args.state = k->state;
	if (a->n_in + a->n_out > 40)
		fail("a test has a step with too many operands");
	memcpy(w.operand, a->in, (size_t)a->n_in * sizeof(*a->in));
	memcpy(w.operand + a->n_in, a->out, (size_t)a->n_out * sizeof(*a->out));
	if (l->segment >= 0 && l->recording[l->segment].capturing)
		record(&l->recording[l->segment], &w);
	else
		do_work(&w);
}

static enum err_code wrap(struct prep *p, struct kernel *k, struct err *err)
{
	struct wrapped *w = prep_alloc(p, sizeof(*w));
	if (!w)
		return err_oom(err);
	*w = (struct wrapped){ k->run, k->units, k->state };
	k->run = run_wrapped;
	k->state = w;
	k->units = 1;
	return ERR_OK;
}

static bool refuses(const struct prep *p)
{
	uint32_t h = ((uint32_t)p->node->op * 2654435761u) ^ (toy.seed * 40503u);
	return toy.seed && (h >> 7) % 3 == 0;
}

static enum err_code prepare(
	struct prep *p, struct kernel *ret, bool *ret_want_plain, struct err *err)
{
	if (refuses(p))
		return prep_refuse(err, "the toy does not like it");
	TRY(cpu_backend.prepare(p, ret, ret_want_plain, err));
	return wrap(p, ret, err);
}

static enum err_code prepare_copy(struct prep *p, struct kernel *ret, struct err *err)
{
	TRY(cpu_backend.prepare_copy(p, ret, err));
	return wrap(p, ret, err);
}

static enum err_code prepare_cross(
	struct prep *p, enum crossing way, struct kernel *ret, struct err *err)
{
	(void)way;
	return prepare_copy(p, ret, err);
}

/* -- the device ----------------------------------------------------------------------------- */

static const char *sick(const struct backend *b)
{
	(void)b;
	return toy.broken ? "broken" : NULL;
}

static enum err_code upload(
	const struct backend *b, const void *src, size_t bytes, void **ret, struct err *err)
{
	(void)b;
	if (toy.live >= toy.limit)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, "the toy is full");
	*ret = device_alloc(bytes);
	open_memory(true);
	memcpy(*ret, src, bytes);
	open_memory(false);
	return ERR_OK;
}

static void release(const struct backend *b, void *mem)
{
	(void)b;
	device_free(mem);
}

static const struct device_ops device = {
	.sick = sick,
	.upload = upload,
	.release = release,
	.prepare_cross = prepare_cross,
	.lane_new = lane_new,
	.lane_free = lane_free,
	.begin = begin,
	.end = end,
	.wait = wait,
};

const struct backend *toy_device(uint32_t seed)
{
	static const struct backend backend = { .name = "toy", .prepare = prepare,
		.prepare_copy = prepare_copy, .device = &device, .host = &cpu_backend };
	if (!toy.memory)
		toy.memory = mmap(NULL, MEMORY_BYTES, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (toy.memory == MAP_FAILED)
		fail("mmap");
	toy.seed = seed;
	toy.broken = false;
	toy.limit = 10000;
	return &backend;
}

size_t toy_device_allocations(void)
{
	return toy.live;
}

void toy_device_limit(size_t allocations)
{
	toy.limit = allocations;
}

void toy_device_break(void)
{
	toy.broken = true;
}
