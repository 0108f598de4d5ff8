/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sequences and optionals: lists of tensors, made anew by each operator, whose elements
 * share their memory with what they were made of. All live in the run's arena.
 */
#include "exec/cpu/cpu.h"

#include <string.h>

/* An absent optional has no elements. */
struct list {
	const struct tensor *item;
	int64_t n;
};

static struct list list_of(const struct tensor *t)
{
	if (t->dtype != DTYPE_TENSOR || t->shape.rank != 1)
		return (struct list){ NULL, 0 };
	return (struct list){ t->data, t->shape.dim[0] };
}

/* Output 0 as a sequence of n elements to be filled in; NULL: a fault. */
static struct tensor *new_list(const struct kernel_args *a, int64_t n)
{
	struct shape shape = shape_of(n);
	return kernel_output(a, 0, DTYPE_TENSOR, &shape);
}

static void copy_items(struct tensor *to, const struct tensor *from, int64_t n)
{
	if (n)
		memcpy(to, from, (size_t)n * sizeof(*to));
}

/* Input i as a position in [0, n), counted from the end when negative; absent: otherwise.
   -1: out of range, and a fault. */
static int64_t position(const struct kernel_args *a, int i, int64_t n, int64_t otherwise)
{
	int64_t at = otherwise;
	if (args_has_in(a, i)) {
		at = tensor_int(&a->in[i], 0);
		at += at < 0 ? n : 0;
	}
	if (at >= 0 && at < n)
		return at;
	kernel_fault(a, FAULT_INDEX, args_has_in(a, i) ? tensor_int(&a->in[i], 0) : otherwise);
	return -1;
}

static enum err_code prepare_run(struct kernel *ret, run_fn run)
{
	ret->run = run;
	return ERR_OK;
}

static void run_construct(const struct kernel_args *a, int64_t begin, int64_t end)
{
	(void)begin, (void)end;
	struct tensor *item = new_list(a, a->n_in);
	if (item)
		copy_items(item, a->in, a->n_in);
}

enum err_code prepare_sequence_construct(struct prep *p, struct kernel *ret, struct err *err)
{
	(void)p, (void)err;
	return prepare_run(ret, run_construct);
}

static void run_insert(const struct kernel_args *a, int64_t begin, int64_t end)
{
	struct list s = list_of(&a->in[0]);
	(void)begin, (void)end;
	/* One behind the end is a place too; -1 is before the last, as in Python. */
	int64_t at = args_has_in(a, 2) ? tensor_int(&a->in[2], 0) : s.n;
	if (at < -s.n || at > s.n) {
		kernel_fault(a, FAULT_INDEX, at);
		return;
	}
	at += at < 0 ? s.n : 0;
	struct tensor *item = new_list(a, s.n + 1);
	if (!item)
		return;
	copy_items(item, s.item, at);
	item[at] = a->in[1];
	copy_items(item + at + 1, s.item + at, s.n - at);
}

enum err_code prepare_sequence_insert(struct prep *p, struct kernel *ret, struct err *err)
{
	(void)p, (void)err;
	return prepare_run(ret, run_insert);
}

static void run_erase(const struct kernel_args *a, int64_t begin, int64_t end)
{
	struct list s = list_of(&a->in[0]);
	(void)begin, (void)end;
	int64_t at = position(a, 1, s.n, s.n - 1);
	struct tensor *item = at < 0 ? NULL : new_list(a, s.n - 1);
	if (!item)
		return;
	copy_items(item, s.item, at);
	copy_items(item + at, s.item + at + 1, s.n - at - 1);
}

enum err_code prepare_sequence_erase(struct prep *p, struct kernel *ret, struct err *err)
{
	(void)p, (void)err;
	return prepare_run(ret, run_erase);
}

static void run_at(const struct kernel_args *a, int64_t begin, int64_t end)
{
	struct list s = list_of(&a->in[0]);
	(void)begin, (void)end;
	int64_t at = position(a, 1, s.n, 0);
	if (at >= 0)
		a->out[0] = s.item[at];
}

enum err_code prepare_sequence_at(struct prep *p, struct kernel *ret, struct err *err)
{
	(void)p, (void)err;
	return prepare_run(ret, run_at);
}

static void run_length(const struct kernel_args *a, int64_t begin, int64_t end)
{
	int64_t *n = kernel_output(a, 0, DTYPE_I64, &SHAPE_SCALAR);
	(void)begin, (void)end;
	if (n)
		*n = list_of(&a->in[0]).n;
}

enum err_code prepare_sequence_length(struct prep *p, struct kernel *ret, struct err *err)
{
	(void)p, (void)err;
	return prepare_run(ret, run_length);
}

/* -- optionals --------------------------------------------------------------------------------- */

/* Identity of a sequence or optional, too. */
static void run_pass_on(const struct kernel_args *a, int64_t begin, int64_t end)
{
	(void)begin, (void)end;
	a->out[0] = a->n_in ? a->in[0] : tensor_absent();
}

enum err_code prepare_optional(struct prep *p, struct kernel *ret, struct err *err)
{
	(void)p, (void)err;
	return prepare_run(ret, run_pass_on);
}

enum err_code prepare_pass_on(struct prep *p, struct kernel *ret, struct err *err)
{
	if (shape_is_static(&p->out[0].shape))
		return prep_refuse(err, "a tensor has its place in the plan");
	return prepare_run(ret, run_pass_on);
}

static void run_has_element(const struct kernel_args *a, int64_t begin, int64_t end)
{
	uint8_t *has = kernel_output(a, 0, DTYPE_BOOL, &SHAPE_SCALAR);
	(void)begin, (void)end;
	if (has)
		*has = args_has_in(a, 0);
}

enum err_code prepare_optional_has_element(struct prep *p, struct kernel *ret, struct err *err)
{
	(void)p, (void)err;
	return prepare_run(ret, run_has_element);
}

static void run_get_element(const struct kernel_args *a, int64_t begin, int64_t end)
{
	(void)begin, (void)end;
	if (args_has_in(a, 0))
		a->out[0] = a->in[0];
	else
		kernel_fault(a, FAULT_ABSENT, 0);
}

enum err_code prepare_optional_get_element(struct prep *p, struct kernel *ret, struct err *err)
{
	(void)p, (void)err;
	return prepare_run(ret, run_get_element);
}
