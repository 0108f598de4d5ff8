/* SPDX-License-Identifier: Apache-2.0 */
#include "server/dialect/scores.h"

#include <stdio.h>

static bool is_tensor_of(const struct signature_io *io, uint64_t types)
{
	return !io->type.is_sequence && io->type.map_key == DTYPE_UNDEFINED &&
	       dtype_in(io->type.dtype, types);
}

/* The only output of floats, of this rank where rank >= 0; -1: there is none, or more. */
static int only_floats(const struct signature *sig, int rank)
{
	int found = -1;
	for (int i = 0; i < sig->n_out; i++) {
		if (!is_tensor_of(&sig->out[i], T_FLOAT) ||
			(rank >= 0 && sig->out[i].shape.rank != rank))
			continue;
		if (found >= 0)
			return -1;
		found = i;
	}
	return found;
}

static int named(const struct signature *sig, const char *name, uint64_t types)
{
	int i = signature_find_out(sig, slice_of(name));
	return i >= 0 && is_tensor_of(&sig->out[i], types) ? i : -1;
}

enum err_code scores_want_classes(struct request *r, struct scores *ret, struct err *err)
{
	const struct signature *sig = r->sig;
	*ret = (struct scores){ .scores = named(sig, "scores", T_FLOAT),
		.classes = named(sig, "classes", T(STRING) | T_INT | T_UINT) };
	if (ret->classes < 0)
		ret->classes = named(sig, "labels", T(STRING) | T_INT | T_UINT);
	if (ret->scores < 0)
		ret->scores = only_floats(sig, 2);
	if (ret->scores < 0 && ret->classes < 0)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"signature '%.100s' cannot classify: it has no output 'scores' of floats, "
			"nor just one of two dimensions",
			sig->name);
	if (ret->scores >= 0)
		r->wanted[ret->scores] = true;
	if (ret->classes >= 0)
		r->wanted[ret->classes] = true;
	return ERR_OK;
}

enum err_code scores_want_value(struct request *r, struct scores *ret, struct err *err)
{
	const struct signature *sig = r->sig;
	*ret = (struct scores){ .scores = named(sig, "outputs", T_FLOAT), .classes = -1 };
	if (ret->scores < 0)
		ret->scores = only_floats(sig, -1);
	if (ret->scores < 0)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"signature '%.100s' cannot regress: it has no output 'outputs' of floats, "
			"nor just one output of floats",
			sig->name);
	r->wanted[ret->scores] = true;
	return ERR_OK;
}

static enum err_code check_rows(const struct tensor *t, int64_t n, struct err *err)
{
	if (t->shape.dim[0] == n)
		return ERR_OK;
	return err_set(err, ERR_INVALID_ARGUMENT,
		"Input batch size did not match output batch size: %lld vs. %lld", (long long)n,
		(long long)t->shape.dim[0]);
}

enum err_code scores_check_classes(
	const struct request *r, struct scores *s, int64_t n, struct err *err)
{
	const int outputs[] = { s->scores, s->classes };
	s->k = -1;
	for (int i = 0; i < 2; i++) {
		const struct tensor *t = outputs[i] < 0 ? NULL : &r->out[outputs[i]];
		if (!t)
			continue;
		if (t->shape.rank != 2)
			return err_set(err, ERR_INVALID_ARGUMENT,
				"Expected Tensor shape: [batch num_classes] but got %s for output "
				"%s",
				SHAPE_TEXT(&t->shape), r->sig->out[outputs[i]].name);
		TRY(check_rows(t, n, err));
		if (s->k >= 0 && t->shape.dim[1] != s->k)
			return err_set(err, ERR_INVALID_ARGUMENT,
				"Tensors class and score should match in number of classes: %lld "
				"vs. %lld",
				(long long)t->shape.dim[1], (long long)s->k);
		s->k = t->shape.dim[1];
	}
	return ERR_OK;
}

enum err_code scores_check_value(
	const struct request *r, struct scores *s, int64_t n, struct err *err)
{
	const struct tensor *t = &r->out[s->scores];
	s->k = 1;
	if (t->shape.rank != 1 && (t->shape.rank != 2 || t->shape.dim[1] != 1))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"Expected output Tensor shape to be either [batch_size] or [batch_size, 1] "
			"but got %s",
			SHAPE_TEXT(&t->shape));
	return check_rows(t, n, err);
}

float scores_score(const struct request *r, const struct scores *s, int64_t i)
{
	return s->scores < 0 ? 0 : (float)tensor_float(&r->out[s->scores], i);
}

struct slice scores_label(
	const struct request *r, const struct scores *s, int64_t i, char text[SCORES_LABEL_MAX])
{
	const struct ml_labels *own = s->scores < 0 ? NULL : &r->sig->out[s->scores].labels;
	int64_t number;
	if (s->classes >= 0) {
		const struct tensor *t = &r->out[s->classes];
		if (t->dtype == DTYPE_STRING)
			return ((const struct slice *)t->data)[i];
		number = tensor_int(t, i);
	} else {
		if (!own || own->n == 0 || own->n != s->k)
			return SLICE_LIT("");
		if (own->strings)
			return own->strings[i % s->k];
		number = own->ints[i % s->k];
	}
	int len = snprintf(text, SCORES_LABEL_MAX, "%lld", (long long)number);
	return (struct slice){ text, (size_t)len };
}
