/* SPDX-License-Identifier: Apache-2.0 */
/*
 * op_library.c -- loads libraries of operators, and speaks signet/op.h with them
 *
 * DESIGN. A node of theirs is infer's or prepare's argument in a wrapping, which the host's
 * functions open again. Tensors are told in their own form: the same pointers in another
 * order, made on the stack of each call, for there are at most SIGNET_OP_IO_MAX of them.
 *
 * INVARIANTS. 1. op - OP_COUNT_ is the index of a registered row and of ops[].
 */
#include "exec/op_library.h"

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
#include "exec/infer/infer.h"
#include "include/signet/op.h"

#define REFUSED 1
#define ATTRS_MAX 64
#define LIBRARY_BYTES_MAX ((size_t)1 << 30)
#define T_CUSTOM (T_INT | T_UINT | T_FLOAT | T(BOOL))

_Static_assert(SIGNET_OP_RANK_MAX == RANK_MAX, "shapes are handed over as they are");

struct signet_node {
	struct infer *x; /* NULL: in prepare */
	struct prep *p;  /* NULL: in infer */
	const struct node *node;
	const struct signet_op *op;
	struct err *err;
	bool refused;
};

static const struct signet_op *ops[OP_CUSTOM_MAX];

static const struct signet_op *op_of(const struct node *n)
{
	assert(op_is_custom(n->op));
	return ops[n->op - OP_COUNT_];
}

/* -- the host ------------------------------------------------------------------------------- */

static int64_t host_int(const struct signet_node *n, const char *name, int64_t otherwise)
{
	return node_int(n->node, name, otherwise);
}

static float host_float(const struct signet_node *n, const char *name, float otherwise)
{
	return node_float(n->node, name, otherwise);
}

static const char *host_string(const struct signet_node *n, const char *name, size_t *ret_len)
{
	const struct attr *a = node_attr(n->node, name);
	*ret_len = a ? a->s.len : 0;
	return a ? a->s.ptr : NULL;
}

static const int64_t *host_ints(const struct signet_node *n, const char *name, size_t *ret_n)
{
	int32_t count;
	const int64_t *v = node_ints(n->node, name, &count);
	*ret_n = (size_t)count;
	return v;
}

static const float *host_floats(const struct signet_node *n, const char *name, size_t *ret_n)
{
	const struct attr *a = node_attr(n->node, name);
	*ret_n = a ? (size_t)a->n : 0;
	return a ? a->floats : NULL;
}

static int32_t PRINTF_LIKE(2, 3) host_refuse(struct signet_node *n, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	err_vset(n->err, ERR_INVALID_ARGUMENT, fmt, ap);
	va_end(ap);
	n->refused = true;
	return REFUSED;
}

/* A negative dimension is one of the graph's symbols, or nothing that is known. */
static int64_t checked_dim(const struct infer *x, int64_t dim)
{
	bool symbol = dim < DIM_UNKNOWN && dim >= DIM_SYMBOL(x->graph->n_symbol - 1);
	return dim >= 0 || symbol ? dim : DIM_UNKNOWN;
}

static void host_set_output(
	struct signet_node *n, int32_t i, int32_t type, int32_t rank, const int64_t *dim)
{
	struct shape s = { .rank = rank };
	if (!n->x || i < 0 || i >= n->op->out_max || rank > RANK_MAX || rank < RANK_UNKNOWN ||
		type <= 0 || type >= DTYPE_COUNT_ || !dtype_in((enum dtype)type, T_CUSTOM)) {
		host_refuse(n, "its library gives output %d type %d and rank %d", i, type, rank);
		return;
	}
	for (int k = 0; k < rank; k++)
		s.dim[k] = checked_dim(n->x, dim[k]);
	infer_set(n->x, i, (enum dtype)type, &s);
}

static void host_need_data(struct signet_node *n, int32_t i)
{
	if (n->x && i >= 0 && infer_has(n->x, i))
		(void)!infer_need_data(n->x, i);
}

static void *host_alloc(struct signet_node *n, size_t bytes)
{
	return n->p ? prep_alloc(n->p, bytes) : NULL;
}

static const struct signet_host host = {
	.abi = SIGNET_OP_ABI,
	.attr_int = host_int,
	.attr_float = host_float,
	.attr_string = host_string,
	.attr_ints = host_ints,
	.attr_floats = host_floats,
	.set_output = host_set_output,
	.need_data = host_need_data,
	.refuse = host_refuse,
	.alloc = host_alloc,
};

/* -- tensors told their way ------------------------------------------------------------------ */

static struct signet_tensor told(const struct tensor *t)
{
	bool absent = tensor_is_absent(t);
	return (struct signet_tensor){ .data = t->data, .type = absent ? 0 : (int32_t)t->dtype,
		.rank = t->shape.rank, .dim = t->shape.dim };
}

static void tell(const struct tensor *t, int n, struct signet_tensor *ret)
{
	for (int i = 0; i < n; i++)
		ret[i] = told(&t[i]);
}

/* -- infer ----------------------------------------------------------------------------------- */

static uint64_t types_of(const struct signet_op *op, int i)
{
	int at = i < SIGNET_OP_TYPES ? i : SIGNET_OP_TYPES - 1;
	while (at > 0 && !op->in_types[at])
		at--;
	return op->in_types[at] & T_CUSTOM;
}

static bool is_numbers(const struct infer *x)
{
	for (int i = 0; i < x->n_in; i++)
		if (x->in[i] && !shape_is_static(&x->in[i]->shape))
			return false;
	return true;
}

static enum err_code check_outputs(const struct infer *x, int n_out, struct err *err)
{
	for (int i = 0; i < n_out; i++) {
		if (x->out[i].type.dtype == DTYPE_UNDEFINED)
			return infer_fail(x, err, "its library does not say what output %d is", i);
		if (is_numbers(x) && !x->needs_data && !shape_is_static(&x->out[i].shape))
			return infer_fail(x, err,
				"its library gives output %d of shape %s for inputs that are known",
				i, SHAPE_TEXT(&x->out[i].shape));
	}
	return ERR_OK;
}

static enum err_code infer_custom(struct infer *x, struct err *err)
{
	const struct signet_op *op = op_of(x->node);
	struct signet_tensor in[SIGNET_OP_IO_MAX] = { { .rank = RANK_UNKNOWN } };
	struct signet_node n = { .x = x, .node = x->node, .op = op, .err = err };
	int n_in = x->node->n_in, n_out = x->node->n_out;
	for (int i = 0; i < n_in; i++) {
		in[i] = (struct signet_tensor){ .rank = RANK_UNKNOWN };
		if (!infer_has(x, i))
			continue;
		TRY(infer_want_type(x, i, types_of(op, i), err));
		in[i] = (struct signet_tensor){
			.data = x->in[i]->data ? x->in[i]->data->data : NULL,
			.type = (int32_t)x->in[i]->type.dtype, .rank = x->in[i]->shape.rank,
			.dim = x->in[i]->shape.dim };
	}
	int32_t rc = op->infer(&host, &n, in, n_in, n_out);
	if (rc != 0 || n.refused)
		return n.refused ? ERR_INVALID_ARGUMENT
				 : infer_fail(x, err, "its library says no, not why");
	return check_outputs(x, n_out, err);
}

/* -- prepare and run ------------------------------------------------------------------------- */

struct custom_state {
	signet_run_fn run;
	const void *state;
};

/* What a call knows beyond what the library sees. */
struct custom_run {
	struct signet_run told;
	const struct kernel_args *args;
};

static void on_fault(const struct signet_run *run, int64_t value)
{
	const struct custom_run *c = (const struct custom_run *)run;
	kernel_fault(c->args, FAULT_VALUE, value);
}

static void run_custom(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct custom_state *s = a->state;
	struct signet_tensor in[SIGNET_OP_IO_MAX], out[SIGNET_OP_IO_MAX];
	tell(a->in, a->n_in, in);
	tell(a->out, a->n_out, out);
	struct custom_run r = { .args = a,
		.told = { .in = in, .out = out, .n_in = a->n_in, .n_out = a->n_out,
			.state = s->state, .scratch = a->scratch, .fault = on_fault } };
	s->run(&r.told, begin, end);
}

enum err_code op_library_prepare(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct signet_op *op = op_of(p->node);
	struct signet_tensor in[SIGNET_OP_IO_MAX], out[SIGNET_OP_IO_MAX];
	struct signet_node n = { .p = p, .node = p->node, .op = op, .err = err };
	struct signet_kernel k = { .units = 1 };
	const char *label =
		node_label(p->graph, p->node, (char[NODE_LABEL_MAX]){ 0 }, NODE_LABEL_MAX);
	tell(p->in, p->n_in, in);
	tell(p->out, p->n_out, out);
	int32_t rc = op->prepare(&host, &n, in, p->n_in, out, p->n_out, &k);
	if (rc != 0 || n.refused)
		return n.refused ? err_prefix(err, "%s", label)
				 : err_set(err, ERR_INVALID_ARGUMENT,
					   "%s: its library says no, not why", label);
	if (!k.run || k.units < 1 || k.unit_cost_ns < 0)
		return err_set(err, ERR_INTERNAL, "%s: its library prepares no kernel", label);
	struct custom_state *s = prep_alloc(p, sizeof(*s));
	if (!s)
		return err_oom(err);
	*s = (struct custom_state){ k.run, k.state };
	*ret = (struct kernel){ .run = run_custom, .name = op->name, .state = s, .units = k.units,
		.unit_cost_ns = k.unit_cost_ns, .scratch_bytes = k.scratch_bytes };
	return ERR_OK;
}

/* -- loading --------------------------------------------------------------------------------- */

/* A library is code: whoever can write it decides what we do. */
static enum err_code check_file(int fd, const char *path, struct err *err)
{
	struct stat st;
	size_t bytes;
	TRY(file_check_regular(fd, path, LIBRARY_BYTES_MAX, &bytes, err));
	if (fstat(fd, &st) < 0)
		return file_err(err, errno, path);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return err_set(err, ERR_PERMISSION_DENIED,
			"%s: owned by user %u, it must be root or us", path, (unsigned)st.st_uid);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return err_set(err, ERR_PERMISSION_DENIED,
			"%s: its group or anyone may write it (mode %04o)", path,
			(unsigned)st.st_mode & 07777);
	return ERR_OK;
}

static const struct attr_spec *take_attrs(const struct signet_op *op, struct attr_spec *to, int *at)
{
	static const enum attr_kind kinds[] = { ATTR_INT, ATTR_FLOAT, ATTR_STRING, ATTR_INTS,
		ATTR_FLOATS };
	const struct attr_spec *list = &to[*at];
	for (const struct signet_op_attr *a = op->attrs; a && a->name; a++) {
		if (*at >= ATTRS_MAX - 1 || a->kind < 0 || a->kind > SIGNET_ATTR_FLOATS)
			return NULL;
		to[(*at)++] = (struct attr_spec){ a->name, (int)kinds[a->kind], a->required != 0 };
	}
	to[(*at)++] = (struct attr_spec){ 0 };
	return list;
}

static const char *wrong_arity(const struct signet_op *op)
{
	if (op->in_min < 0 || op->in_min > op->in_max || op->in_max > SIGNET_OP_IO_MAX)
		return "its inputs are not from 0 to 32, least before most";
	if (op->out_min < 1 || op->out_min > op->out_max || op->out_max > SIGNET_OP_IO_MAX)
		return "its outputs are not from 1 to 32, least before most";
	if (op->in_max && !types_of(op, 0))
		return "its first input has no type";
	return op->infer && op->prepare ? NULL : "it has no infer or no prepare";
}

/* NULL: it may be added to the n that are there, if its attributes are right. */
static const char *why_refused(const struct signet_op *op, int n)
{
	if (op_domain_is_known(slice_of(op->domain)))
		return "its domain is not for libraries";
	if (op_find(slice_of(op->domain), slice_of(op->name)) != OP_NONE)
		return "there is one already";
	if (n >= OP_CUSTOM_MAX)
		return "there are too many operators";
	return wrong_arity(op);
}

static enum err_code take_op(const char *path, const struct signet_op *op, struct err *err)
{
	static struct op_info rows[OP_CUSTOM_MAX];
	static struct attr_spec attrs[OP_CUSTOM_MAX][ATTRS_MAX];
	int k = op_custom_count(), at = 0;
	if (!op->domain || !op->name || !op->domain[0] || !op->name[0])
		return err_set(err, ERR_INVALID_ARGUMENT,
			"%s: an operator has no domain or no name", path);
	const char *why = why_refused(op, k);
	const struct attr_spec *specs = why ? NULL : take_attrs(op, attrs[k], &at);
	if (!why && !specs)
		why = "its attributes are too many, or of no known kind";
	if (why)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"%s: operator %.80s of domain '%.80s': %s", path, op->name, op->domain,
			why);
	ops[k] = op;
	rows[k] = (struct op_info){ .id = op->name, .name = op->name, .domain = DOMAIN_CUSTOM,
		.custom_domain = op->domain, .since = op->since, .in_min = op->in_min,
		.in_max = op->in_max, .out_min = op->out_min, .out_max = op->out_max,
		.flags = OP_PURE, .infer = infer_custom, .attrs = specs };
	op_register(&rows[k]);
	return ERR_OK;
}

static enum err_code take_library(const char *path, void *handle, struct err *err)
{
	const struct signet_op_library *(*table)(void);
	*(void **)&table = dlsym(handle, "signet_op_library");
	const struct signet_op_library *lib = table ? table() : NULL;
	if (!lib)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"%s: no library of operators, it has no signet_op_library()", path);
	if (lib->abi != SIGNET_OP_ABI)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"%s: built for version %u of signet/op.h, this is version %d", path,
			lib->abi, SIGNET_OP_ABI);
	for (uint32_t i = 0; i < lib->n_op; i++)
		TRY(take_op(path, &lib->op[i], err));
	return ERR_OK;
}

enum err_code op_library_load(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return file_err(err, errno, path);
	enum err_code rc = check_file(fd, path, err);
	if (rc == ERR_OK) {
		/* What was looked at is what is loaded. */
		char same[40];
		snprintf(same, sizeof(same), "/proc/self/fd/%d", fd);
		void *handle = dlopen(same, RTLD_NOW | RTLD_LOCAL);
		rc = handle ? take_library(path, handle, err)
			    : err_set(err, ERR_INVALID_ARGUMENT, "%s: %s", path, dlerror());
	}
	close(fd);
	return rc;
}
