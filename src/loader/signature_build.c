/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/signature_build.h"

#include <string.h>
#include "loader/signature_metadata.h"

/* -- declaring ------------------------------------------------------------------------------- */

struct builder {
	struct version *v;
	struct graph *g;
	int n_own; /* outputs that the graph had itself */
	struct err *err;
};

static void fill_dim_names(const struct graph *g, struct signature_io *io)
{
	for (int d = 0; d < io->shape.rank; d++)
		io->dim_name[d] = graph_symbol_name(g, io->shape.dim[d]);
}

static struct signature_io io_of(
	const struct graph *g, int32_t value, const char *name, int32_t slot)
{
	const struct gvalue *v = &g->value[value];
	struct signature_io io = { .name = name,
		.value = v->name,
		.type = v->type,
		.shape = v->shape,
		.optional = v->type.is_optional,
		.slot = slot };
	fill_dim_names(g, &io);
	return io;
}

static int32_t find_slot(const struct graph *g, const int32_t *list, int32_t n, const char *value)
{
	for (int32_t i = 0; i < n; i++)
		if (strcmp(g->value[list[i]].name, value) == 0)
			return i;
	return -1;
}

/* A value in the middle of the graph becomes one more output of it. */
static enum err_code add_value(struct builder *b, int32_t at, int32_t *ret)
{
	struct graph *g = b->g;
	int32_t *grown = ARENA_ARRAY(g->arena, int32_t, (size_t)g->n_output + 1);
	if (!grown)
		return err_oom(b->err);
	memcpy(grown, g->output, (size_t)g->n_output * sizeof(*grown));
	grown[g->n_output] = at;
	g->output = grown;
	*ret = g->n_output++;
	return ERR_OK;
}

static enum err_code add_output(struct builder *b, const char *sig, const char *value, int32_t *ret)
{
	int32_t at = graph_find_value(b->g, slice_of(value));
	if (at == VALUE_NONE)
		return err_set(b->err, ERR_INVALID_ARGUMENT,
			"signature '%.100s': the graph has no value '%.100s'", sig, value);
	return add_value(b, at, ret);
}

/* Maps have no form in requests and replies. Those of ZipMap, which converters put behind a
   classifier, are all alike: keys that the node lists, values that are rows of its input. So
   the input takes the output's place, and the keys become labels. */
static enum err_code unzip(struct builder *b, int32_t *slot, struct ml_labels *ret)
{
	const struct graph *g = b->g;
	int32_t producer = g->value[g->output[*slot]].producer;
	const struct node *n = producer == NODE_NONE ? NULL : &g->node[producer];
	if (!n || n->op != OP_ZIP_MAP)
		return ERR_OK;
	TRY(ml_labels(n, "classlabels_int64s", "classlabels_strings", ret, b->err));
	return add_value(b, n->in[0], slot);
}

static enum err_code check_unique(const struct builder *b, const char *sig, const char *what,
	const struct signature_io *io, int n)
{
	for (int k = 0; k < n; k++)
		if (strcmp(io[k].name, io[n].name) == 0 || io[k].slot == io[n].slot)
			return err_set(b->err, ERR_INVALID_ARGUMENT,
				"signature '%.100s': %s '%.100s' stands there twice", sig, what,
				io[n].name);
	return ERR_OK;
}

static enum err_code declare_inputs(struct builder *b, struct signature *s,
	const struct signature_name_pair *pair, int n)
{
	s->in = ARENA_ARRAY(b->v->arena, struct signature_io, (size_t)n + 1);
	if (!s->in)
		return err_oom(b->err);
	for (int i = 0; i < n; i++) {
		int32_t slot = find_slot(b->g, b->g->input, b->g->n_input, pair[i].value);
		if (slot < 0)
			return err_set(b->err, ERR_INVALID_ARGUMENT,
				"signature '%.100s': the graph has no input '%.100s'", s->name,
				pair[i].value);
		s->in[i] = io_of(b->g, b->g->input[slot], pair[i].name, slot);
		enum err_code rc = check_unique(b, s->name, "input", s->in, i);
		if (rc != ERR_OK)
			return rc;
	}
	s->n_in = n;
	return ERR_OK;
}

static enum err_code declare_outputs(struct builder *b, struct signature *s,
	const struct signature_name_pair *pair, int n)
{
	s->out = ARENA_ARRAY(b->v->arena, struct signature_io, (size_t)n + 1);
	if (!s->out)
		return err_oom(b->err);
	if (n == 0)
		return err_set(
			b->err, ERR_INVALID_ARGUMENT, "signature '%.100s' has no output", s->name);
	for (int i = 0; i < n; i++) {
		int32_t slot = find_slot(b->g, b->g->output, b->g->n_output, pair[i].value);
		struct ml_labels labels = { 0 };
		enum err_code rc = slot < 0 ? add_output(b, s->name, pair[i].value, &slot) : ERR_OK;
		if (rc == ERR_OK)
			rc = unzip(b, &slot, &labels);
		if (rc != ERR_OK)
			return rc;
		s->out[i] = io_of(b->g, b->g->output[slot], pair[i].name, slot);
		s->out[i].labels = labels;
		rc = check_unique(b, s->name, "output", s->out, i);
		if (rc != ERR_OK)
			return rc;
	}
	s->n_out = n;
	return ERR_OK;
}

static enum err_code declare(struct builder *b, const struct signature_conf *c)
{
	struct version *v = b->v;
	if (v->n_sig == SIGNATURES_MAX)
		return err_set(
			b->err, ERR_INVALID_ARGUMENT, "more than %d signatures", SIGNATURES_MAX);
	struct signature *s = &v->sig[v->n_sig];
	*s = (struct signature){ .name = arena_strdup(v->arena, c->name), .max_batch = 1 };
	if (!s->name)
		return err_oom(b->err);
	enum err_code rc = declare_inputs(b, s, c->in, c->n_in);
	if (rc == ERR_OK)
		rc = declare_outputs(b, s, c->out, c->n_out);
	if (rc == ERR_OK)
		v->n_sig++;
	return rc;
}

static const struct signature_conf *find_conf(const struct version_conf *conf, struct slice name)
{
	for (int i = 0; i < conf->n_sig; i++)
		if (slice_is(name, conf->sig[i].name))
			return &conf->sig[i];
	return NULL;
}

/* The graph's own interface, as if it were configured. */
static enum err_code own_conf(struct builder *b, struct signature_conf *ret)
{
	const struct graph *g = b->g;
	int32_t n = g->n_input + b->n_own;
	struct signature_name_pair *pair =
		ARENA_ARRAY(b->v->arena, struct signature_name_pair, (size_t)n + 1);
	if (!pair)
		return err_oom(b->err);
	for (int32_t i = 0; i < n; i++) {
		int32_t value = i < g->n_input ? g->input[i] : g->output[i - g->n_input];
		pair[i].name = pair[i].value = g->value[value].name;
	}
	*ret = (struct signature_conf){ .name = SIGNATURE_DEFAULT, .in = pair, .n_in = g->n_input,
		.out = pair + g->n_input, .n_out = b->n_own };
	return ERR_OK;
}

static enum err_code declare_default(struct builder *b, const struct version_conf *conf)
{
	struct slice name = slice_of(SIGNATURE_DEFAULT);
	const struct signature_conf *own = find_conf(conf, name);
	struct signature_conf c;
	bool found = false;
	enum err_code rc = ERR_OK;
	if (own)
		return declare(b, own);
	rc = signature_metadata_find(b->v, name, &c, &found, b->err);
	if (rc == ERR_OK && !found)
		rc = own_conf(b, &c);
	return rc == ERR_OK ? declare(b, &c) : rc;
}

static enum err_code declare_metadata(struct builder *b, const struct version_conf *conf)
{
	for (int i = 0; i < b->v->n_prop; i++) {
		struct slice name = signature_metadata_name(b->v->prop[i].key);
		struct signature_conf c;
		bool found;
		if (name.len == 0 || find_conf(conf, name) || version_signature(b->v, name))
			continue;
		enum err_code rc = signature_metadata_find(b->v, name, &c, &found, b->err);
		if (rc == ERR_OK)
			rc = declare(b, &c);
		if (rc != ERR_OK)
			return rc;
	}
	return ERR_OK;
}

enum err_code signatures_declare(
	struct version *v, const struct version_conf *conf, struct err *err)
{
	struct builder b = { .v = v, .g = v->graph, .n_own = v->graph->n_output, .err = err };
	v->n_own_output = b.n_own;
	v->sig = ARENA_ARRAY(v->arena, struct signature, SIGNATURES_MAX);
	if (!v->sig)
		return err_oom(err);
	enum err_code rc = declare_default(&b, conf);
	for (int i = 0; i < conf->n_sig && rc == ERR_OK; i++)
		if (strcmp(conf->sig[i].name, SIGNATURE_DEFAULT) != 0)
			rc = declare(&b, &conf->sig[i]);
	return rc == ERR_OK ? declare_metadata(&b, conf) : rc;
}

/* -- compiling ------------------------------------------------------------------------------- */

/* The program takes what the signature lists, in its order: also inputs that none of its
   outputs reads. */
static enum err_code set_inputs(
	const struct graph *g, const struct signature *s, struct graph *part, struct err *err)
{
	for (int32_t i = 0; i < part->n_input; i++) {
		bool listed = false;
		for (int k = 0; k < s->n_in && !listed; k++)
			listed = g->input[s->in[k].slot] == part->input[i];
		if (!listed)
			return err_set(err, ERR_INVALID_ARGUMENT,
				"signature '%.100s': its outputs need input '%.100s', which it "
				"does not list",
				s->name, g->value[part->input[i]].name);
	}
	for (int k = 0; k < s->n_in; k++) /* extraction left room for all inputs of g */
		part->input[k] = g->input[s->in[k].slot];
	part->n_input = s->n_in;
	return ERR_OK;
}

/* Passes may have learnt dimensions that inference alone did not. */
static void sharpen(const struct graph *g, struct signature *s)
{
	for (int i = 0; i < s->n_out; i++) {
		struct signature_io *io = &s->out[i];
		const struct shape *now = &g->value[g->output[io->slot]].shape;
		if (io->shape.rank == RANK_UNKNOWN)
			io->shape = *now;
		for (int d = 0; d < io->shape.rank && now->rank == io->shape.rank; d++)
			if (io->shape.dim[d] < 0 && !io->dim_name[d])
				io->shape.dim[d] = now->dim[d];
		fill_dim_names(g, io);
	}
}

static enum err_code compile(
	struct version *v, struct signature *s, const struct program_conf *conf, struct err *err)
{
	struct graph *g = v->graph, *part;
	int32_t *output = ARENA_ARRAY(v->arena, int32_t, (size_t)s->n_out + 1);
	if (!output)
		return err_oom(err);
	for (int i = 0; i < s->n_out; i++)
		output[i] = g->output[s->out[i].slot];
	enum err_code rc = graph_extract(g, output, s->n_out, v->arena, &part, err);
	if (rc == ERR_OK)
		rc = set_inputs(g, s, part, err);
	if (rc == ERR_OK)
		rc = program_new(part, conf, &s->program, err);
	sharpen(g, s);
	return rc;
}

enum err_code signatures_compile(
	struct version *v, const struct version_conf *conf, struct err *err)
{
	/* Room for every batch size and as many shapes besides. */
	struct program_conf pc = { .backend = v->backend,
		.packs = v->packs,
		.precision = conf->precision,
		.choices = conf->choices,
		.settled = &v->settled,
		.forget = v->n_sig == 1,
		.threads = conf->threads,
		.plans_max = conf->max_batch + 64 };
	enum err_code rc = ERR_OK;
	for (int i = 0; i < v->n_sig && rc == ERR_OK; i++)
		rc = compile(v, &v->sig[i], &pc, err);
	return rc;
}
