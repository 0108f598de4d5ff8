// SPDX-License-Identifier: Apache-2.0
/*
 * launch.cc -- runs a kernel's blocks, one after the other
 *
 * DESIGN
 *
 * The threads of a block are fibers of one thread of the host. A fiber takes one thread after
 * the other; only where one waits does another fiber begin, so that kernels without barriers
 * cost a plain loop. A wait ends when all threads of the block, or of the warp, have come; when
 * nobody can go on any more, that is the kernel's error, and reported as one.
 *
 * Every second launch takes the threads of a block from the last to the first: what only works
 * in one order is no kernel.
 */
#include <map>
#include <mutex>
#include <stdexcept>
#include <sys/mman.h>
#include <ucontext.h>
#include "driver.h"

namespace stand_in {

static constexpr size_t STACK = 256 << 10;
static constexpr unsigned WARP = 32;

struct fiber {
	ucontext_t context;
	void *sp = nullptr; /* where hand_over() left it */
	char *stack = nullptr;
	unsigned thread = 0, exchanges = 0;
	place where;
};

struct warp {
	uint64_t value[2][WARP];
	std::vector<fiber *> waiting;
};

/* The block that this thread of the host runs. */
struct block_run {
	const launch *l = nullptr;
	uint3 block;
	unsigned n = 0, begun = 0, ended = 0;
	bool backwards = false;
	std::vector<fiber *> ready, at_barrier, idle;
	std::vector<warp> warps;
	std::vector<char> shared;
	fiber scheduler, *current = nullptr;

	/* With its thread: all are idle by then, between two threads of blocks. */
	~block_run()
	{
		for (fiber *f : idle) {
			munmap(f->stack, STACK);
			delete f;
		}
	}
};
static thread_local block_run run;
static std::atomic<unsigned> launches;

/* -- fibers --------------------------------------------------------------------------------- */

#ifdef __x86_64__
/* Saves what a call must keep, and goes on where `to` was left. */
extern "C" void stand_in_hand_over(void **from, void *to);
asm(".text\n.globl stand_in_hand_over\n.hidden stand_in_hand_over\nstand_in_hand_over:\n"
    "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
    "mov %rsp, (%rdi)\nmov %rsi, %rsp\n"
    "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n");

static void hand_over(fiber *from, fiber *to)
{
	stand_in_hand_over(&from->sp, to->sp);
}

static void set_up(fiber *f, void (*fn)())
{
	void **top = reinterpret_cast<void **>(f->stack + STACK - 64);
	top[0] = reinterpret_cast<void *>(fn); /* returned to; the stack is then as after a call */
	f->sp = top - 6;
}
#else
static void hand_over(fiber *from, fiber *to)
{
	swapcontext(&from->context, &to->context);
}

static void set_up(fiber *f, void (*fn)())
{
	getcontext(&f->context);
	f->context.uc_stack.ss_sp = f->stack;
	f->context.uc_stack.ss_size = STACK;
	makecontext(&f->context, fn, 0);
}
#endif

static void switch_to(fiber *to)
{
	fiber *from = run.current;
	run.current = to;
	hand_over(from, to);
}

/* Takes threads of the block while there are any. */
static void take_threads()
{
	for (;;) {
		fiber *f = run.current;
		while (run.begun < run.n) {
			unsigned i = run.begun++;
			f->thread = run.backwards ? run.n - 1 - i : i;
			f->exchanges = 0;
			const dim3 &t = run.l->threads;
			f->where = { { f->thread % t.x, f->thread / t.x % t.y, f->thread / t.x / t.y }, run.block, t,
				run.l->blocks };
			run.l->call();
			run.ended++;
		}
		run.idle.push_back(f);
		switch_to(&run.scheduler);
	}
}

static fiber *idle_fiber()
{
	if (run.idle.empty()) {
		fiber *f = new fiber;
		void *mem = mmap(nullptr, STACK, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (mem == MAP_FAILED)
			throw std::bad_alloc();
		f->stack = static_cast<char *>(mem);
		run.idle.push_back(f);
		set_up(f, take_threads);
	}
	fiber *f = run.idle.back();
	run.idle.pop_back();
	return f;
}

static void wait_with(std::vector<fiber *> *others, size_t all)
{
	if (others->size() + 1 == all) {
		run.ready.insert(run.ready.end(), others->begin(), others->end());
		others->clear();
		return;
	}
	others->push_back(run.current);
	switch_to(&run.scheduler);
}

/* -- what kernels call ---------------------------------------------------------------------- */

const place &here()
{
	return run.current->where;
}

void *shared_bytes()
{
	return run.shared.data();
}

unsigned lane()
{
	return run.current->thread % WARP;
}

void barrier()
{
	wait_with(&run.at_barrier, run.n);
}

void trap(const char *what)
{
	broken(CUDA_ERROR_ASSERT, "kernel %s: %s", running(), what);
}

const uint64_t *gather(unsigned mask, uint64_t v)
{
	if (mask != ~0u || run.n % WARP)
		broken(CUDA_ERROR_LAUNCH_FAILED, "kernel %s: a warp exchanges with mask %x, in a block of %u threads",
			running(), mask, run.n);
	fiber *f = run.current;
	warp &w = run.warps[f->thread / WARP];
	/* A lane two exchanges ahead of another cannot be: two sets of values are enough. */
	uint64_t *set = w.value[f->exchanges++ & 1];
	set[f->thread % WARP] = v;
	wait_with(&w.waiting, WARP);
	return set;
}

uint64_t exchange(unsigned mask, uint64_t v, int from)
{
	return gather(mask, v)[from & 31];
}

unsigned ballot(unsigned mask, bool v)
{
	const uint64_t *set = gather(mask, v);
	unsigned bits = 0;
	for (unsigned i = 0; i < WARP; i++)
		bits |= (unsigned)set[i] << i;
	return bits;
}

const char *running()
{
	return run.l ? run.l->fn->name : nullptr;
}

/* -- blocks --------------------------------------------------------------------------------- */

static void begin_block(uint3 at)
{
	run.block = at;
	run.begun = run.ended = 0;
	run.warps.resize((run.n + WARP - 1) / WARP);
	std::fill(run.shared.begin(), run.shared.end(), 0xff); /* NaN: nobody wrote it yet */
}

/* Its fibers are left where they are. */
static void give_up()
{
	broken(CUDA_ERROR_LAUNCH_FAILED,
		"kernel %s: %u threads of %u ended while %zu wait at a barrier and others for their warp", running(),
		run.ended, run.n, run.at_barrier.size());
	run.at_barrier.clear();
	run.ready.clear();
	run.warps.clear();
}

static bool run_block(uint3 at)
{
	begin_block(at);
	while (run.ended < run.n) {
		fiber *next = nullptr;
		if (!run.ready.empty()) {
			next = run.ready.back();
			run.ready.pop_back();
		} else if (run.begun < run.n) {
			next = idle_fiber();
		} else {
			give_up();
			return false;
		}
		switch_to(next);
	}
	/* The last thread may have ended on a fiber whose turn is still to come back: none waits. */
	return status() == CUDA_SUCCESS;
}

void run_launch(const launch &l)
{
	if (fails_now("launch")) {
		broken(CUDA_ERROR_ILLEGAL_ADDRESS, "kernel %s: fails because STAND_IN_FAIL says so", l.fn->name);
		return;
	}
	run.l = &l;
	run.n = l.threads.x * l.threads.y * l.threads.z;
	run.backwards = launches++ & 1;
	run.shared.resize(l.shared);
	run.current = &run.scheduler;
	bool good = true;
	for (unsigned z = 0; z < l.blocks.z && good; z++)
		for (unsigned y = 0; y < l.blocks.y && good; y++)
			for (unsigned x = 0; x < l.blocks.x && good; x++)
				good = run_block({ x, y, z });
	run.l = nullptr;
}

/* -- kernels by name ------------------------------------------------------------------------ */

module_kernels &static_kernels()
{
	static module_kernels all;
	return all;
}

/* By constructors: of other files, and of modules while they are opened. */
thread_local module_kernels *loading;
void add_kernel(const char *name, std::function<bound(void **)> bind)
{
	module_kernels &to = loading ? *loading : static_kernels();
	if (!to.emplace(name, kernel{ name, std::move(bind) }).second)
		throw std::logic_error(std::string("two kernels of one name: ") + name);
}

} // namespace stand_in
