/* SPDX-License-Identifier: Apache-2.0 */
/* Native files: what is written is read again, bit for bit; what is damaged is refused (M39). */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/lent.h"
#include "exec/packs.h"
#include "loader/native/native.h"
#include "loader/native/native_format.h"
#include "loader/native/native_sum.h"
#include "support/lending.h"
#include "support/onnx_text.h"
#include "support/tempdir.h"

static struct tempdir dir;
static struct arena *arena;
static struct version_conf conf;
static struct backend backend;
static struct version *version, *again;
static struct file_mem file;
static struct err err;
static const char *machine_text;

static void machine(char *ret, size_t size)
{
	snprintf(ret, size, "%s", machine_text);
}

static void setup(void)
{
	dir = tempdir_new();
	arena = arena_new(4096, 0);
	backend = cpu_backend;
	backend.machine = machine;
	machine_text = "this one";
	conf = (struct version_conf){
		.model = "m", .number = 1, .backend = &backend, .max_batch = 4, .threads = 1};
	version = again = NULL;
	file = (struct file_mem){0};
}

static void teardown(void)
{
	version_free(version);
	version_free(again);
	file_mem_free(&file);
	arena_free(arena);
	tempdir_free(&dir);
}

static void given_compiled(const char *source_dir, const char *source)
{
	int fd = open(source_dir, O_RDONLY | O_DIRECTORY);
	conf.keep_weights = true;
	ck_assert_msg(version_load(fd, source, &conf, &version, &err) == ERR_OK, "%s", err.msg);
	conf.keep_weights = false;
	close(fd);
	struct native_model m = {.graph = version->graph,
		.prop = version->prop,
		.n_prop = version->n_prop,
		.precision = conf.precision};
	struct native_conf nc = {.backend = &backend, .packs = version->packs};
	ck_assert_msg(native_format(&m, &nc, &file, &err) == ERR_OK, "%s", err.msg);
	tempdir_put(&dir, "model.signet", file.ptr, file.bytes);
}

static void given_text(const char *text)
{
	struct slice bytes = onnx_text_pack(arena, &onnx_text_model(arena, text)->base);
	tempdir_put(&dir, "source.onnx", bytes.ptr, bytes.len);
	given_compiled(dir.path, "source.onnx");
}

static enum err_code load(void)
{
	return version_load(dir.fd, NULL, &conf, &again, &err);
}

/* -- what is written is read ----------------------------------------------------------------- */

struct outputs {
	struct tensor t[4];
};

static void *on_output(void *ctx, int i, const struct tensor *t)
{
	struct outputs *o = ctx;
	o->t[i] = *t;
	o->t[i].data = arena_alloc_aligned(arena, tensor_bytes(t) + 1, ARENA_ALIGN_TENSOR);
	return o->t[i].data;
}

static struct outputs run(struct version *v, const struct tensor *in)
{
	struct outputs o = {0};
	struct run_opts opts = {.arena = arena, .output = on_output, .output_ctx = &o};
	ck_assert_msg(program_run(v->sig[0].program, in, &opts, &err) == ERR_OK, "%s", err.msg);
	return o;
}

static void gives_the_same(const struct tensor *in)
{
	ck_assert_msg(load() == ERR_OK, "%s", err.msg);
	struct outputs want = run(version, in), got = run(again, in);
	for (int i = 0; i < version->sig[0].n_out; i++) {
		ck_assert(shape_equal(&want.t[i].shape, &got.t[i].shape));
		ck_assert_mem_eq(want.t[i].data, got.t[i].data, tensor_bytes(&want.t[i]));
	}
}

static struct tensor image(void)
{
	float *x = arena_alloc_aligned(arena, 128 * sizeof(float), ARENA_ALIGN_TENSOR);
	for (int i = 0; i < 128; i++)
		x[i] = (float)(i % 17) / 16;
	return (struct tensor){.data = x, .dtype = DTYPE_F32, .shape = shape_of(2, 64)};
}

START_TEST(a_model_gives_the_same_bits_from_its_native_file)
{
	given_compiled(SRCDIR "/examples/models/digits/2", "model.onnx");
	struct tensor in = image();
	gives_the_same(&in);
	ck_assert_str_eq(again->platform, "signet_native");
	ck_assert_str_eq(again->sig[0].in[0].name, version->sig[0].in[0].name);
	ck_assert_str_eq(again->sig[0].in[0].dim_name[0], "batch");
	ck_assert_uint_eq(packs_bytes(again->packs), packs_bytes(version->packs));
}
END_TEST

START_TEST(another_machine_packs_for_itself)
{
	given_compiled(SRCDIR "/examples/models/digits/2", "model.onnx");
	machine_text = "another one";
	struct tensor in = image();
	gives_the_same(&in);
	ck_assert_uint_gt(packs_bytes(again->packs), 0);
}
END_TEST

/* -- weights that stay in the file ------------------------------------------------------------- */

#define N 160

/* y = x w, w of N x columns: worth leaving away once it is packed. */
static void given_product_of(int columns)
{
	Onnx__ModelProto *m = onnx_text_model(arena,
		"opset 17\nin x float32 [R,160]\ninit w float32 [1] 1\n"
		"node MatMul x,w -> y\nout y float32 [R,C]\n");
	Onnx__TensorProto *w = m->graph->initializer[0];
	size_t n = (size_t)N * (size_t)columns;
	float *v = ARENA_ARRAY(arena, float, n);
	for (size_t i = 0; i < n; i++)
		v[i] = (float)(i % 31) - 15;
	w->n_dims = 2;
	w->dims = (int64_t[]){N, columns};
	w->n_float_data = 0;
	w->has_raw_data = 1;
	w->raw_data = (ProtobufCBinaryData){n * sizeof(float), (uint8_t *)v};
	struct slice bytes = onnx_text_pack(arena, &m->base);
	tempdir_put(&dir, "source.onnx", bytes.ptr, bytes.len);
	given_compiled(dir.path, "source.onnx");
	const struct native_header *h = file.ptr;
	ck_assert_uint_eq(h->section[NATIVE_SOURCES].bytes, n * sizeof(float));
	ck_assert_uint_lt(h->section[NATIVE_WEIGHTS].bytes, 1024);
}

static void given_product(void)
{
	given_product_of(N);
}

static struct tensor row(void)
{
	float *x = arena_alloc_aligned(arena, N * sizeof(float), ARENA_ALIGN_TENSOR);
	for (int i = 0; i < N; i++)
		x[i] = (float)(i % 7) - 3;
	return (struct tensor){.data = x, .dtype = DTYPE_F32, .shape = shape_of(1, N)};
}

static const float *weight_of(const struct graph *g)
{
	const struct tensor *t = NULL;
	for (int32_t v = 0; v < g->n_value && !t; v++)
		t = g->value[v].constant;
	return t->data;
}

START_TEST(packed_weights_do_without_their_sources)
{
	given_product();
	struct tensor in = row();
	gives_the_same(&in);
	ck_assert_float_eq(weight_of(again->graph)[1], 0); /* never read */
}
END_TEST

START_TEST(another_machine_reads_the_sources)
{
	given_product();
	machine_text = "another one";
	struct tensor in = row();
	gives_the_same(&in);
}
END_TEST

static void given_a_signature(const char *name)
{
	static const struct signature_name_pair in_x = {.name = "in", .value = "x"},
						out_y = {.name = "out", .value = "y"};
	static struct signature_conf sig = {.in = &in_x, .out = &out_y, .n_in = 1, .n_out = 1};
	sig.name = name;
	conf.sig = &sig;
	conf.n_sig = 1;
}

START_TEST(signatures_of_ones_own_get_the_sources)
{
	given_product();
	given_a_signature("mine");
	struct tensor in = row();
	gives_the_same(&in);
	ck_assert_float_eq(weight_of(again->graph)[1], -14);
}
END_TEST

static enum err_code read_without_sources(struct packs *packs, struct native_model *ret)
{
	struct native_conf nc = {.backend = &backend, .packs = packs, .packed_only = true};
	return native_read(dir.fd, "model.signet", &nc, arena, ret, &err);
}

START_TEST(sources_come_when_they_are_wanted_while_a_version_loads)
{
	given_product();
	struct packs *packs = packs_new();
	struct native_model m;
	ck_assert_int_eq(read_without_sources(packs, &m), ERR_OK);
	const float *w = weight_of(m.graph);
	ck_assert(packs_retired(packs, w));

	ck_assert_int_eq(packs_want(packs, w, &err), ERR_OK);

	ck_assert(!packs_retired(packs, w));
	ck_assert_mem_eq(w, weight_of(version->graph), N * N * sizeof(float));
	packs_free(packs);
}
END_TEST

START_TEST(sources_do_not_come_any_more_once_it_is_settled)
{
	given_product();
	struct packs *packs = packs_new();
	struct native_model m;
	ck_assert_int_eq(read_without_sources(packs, &m), ERR_OK);
	packs_settle(packs);

	ck_assert_int_eq(packs_want(packs, weight_of(m.graph), &err), ERR_INTERNAL);
	packs_free(packs);
}
END_TEST

START_TEST(m39_damaged_sources_are_refused_by_who_reads_them)
{
	given_product();
	const struct native_header *h = file.ptr;
	((char *)file.ptr)[h->section[NATIVE_SOURCES].offset + 1000] ^= 1;
	tempdir_put(&dir, "model.signet", file.ptr, file.bytes);
	struct packs *packs = packs_new();
	struct native_model m;
	ck_assert_int_eq(read_without_sources(packs, &m), ERR_OK);
	ck_assert_int_eq(packs_want(packs, weight_of(m.graph), &err), ERR_INVALID_ARGUMENT);
	packs_free(packs);
	machine_text = "another one";
	ck_assert_int_eq(load(), ERR_INVALID_ARGUMENT);
	ck_assert_ptr_nonnull(strstr(err.msg, "damaged"));
}
END_TEST

/* -- pages that are lent ----------------------------------------------------------------------- */

#define LARGE 16384 /* columns: 10 MB */

START_TEST(a_large_file_is_used_where_it_lies_until_it_is_settled)
{
	given_product_of(LARGE);
	struct tensor in = row();
	gives_the_same(&in);
	ck_assert(lending_is_mapped("model.signet"));

	lent_settle();

	ck_assert(!lending_is_mapped("model.signet"));
	struct outputs want = run(version, &in), got = run(again, &in);
	ck_assert_mem_eq(want.t[0].data, got.t[0].data, tensor_bytes(&want.t[0]));
}
END_TEST

START_TEST(a_version_outlives_its_file_that_is_truncated_in_place)
{
	given_product_of(LARGE);
	struct tensor in = row();
	gives_the_same(&in);
	ck_assert(lending_is_mapped("model.signet"));

	int fd = openat(dir.fd, "model.signet", O_WRONLY | O_TRUNC | O_CLOEXEC);

	ck_assert_int_ge(fd, 0); /* waited for the copy */
	close(fd);
	ck_assert(!lending_is_mapped("model.signet"));
	struct outputs want = run(version, &in), got = run(again, &in);
	ck_assert_mem_eq(want.t[0].data, got.t[0].data, tensor_bytes(&want.t[0]));
}
END_TEST

START_TEST(sources_come_behind_what_is_lent)
{
	given_product_of(LARGE);
	struct packs *packs = packs_new();
	struct native_conf nc = {.backend = &backend, .packs = packs, .packed_only = true,
		.may_lend = true};
	struct native_model m;
	ck_assert_int_eq(native_read(dir.fd, "model.signet", &nc, arena, &m, &err), ERR_OK);
	ck_assert(lending_is_mapped("model.signet"));

	ck_assert_int_eq(packs_want(packs, weight_of(m.graph), &err), ERR_OK);

	lent_settle();
	ck_assert_mem_eq(
		weight_of(m.graph), weight_of(version->graph), (size_t)N * LARGE * sizeof(float));
	packs_free(packs);
}
END_TEST

START_TEST(what_is_lent_is_checked_too)
{
	given_product_of(LARGE);
	const struct native_header *h = file.ptr;
	((char *)file.ptr)[h->section[NATIVE_PACKED].offset + (5 << 20)] ^= 1;
	tempdir_put(&dir, "model.signet", file.ptr, file.bytes);
	ck_assert_int_eq(load(), ERR_INVALID_ARGUMENT);
	ck_assert_ptr_nonnull(strstr(err.msg, "damaged"));
	ck_assert(!lending_is_mapped("model.signet"));
}
END_TEST

START_TEST(weights_that_are_packed_a_second_time_give_their_memory_back)
{
	given_product_of(LARGE);
	given_a_signature("serving_default"); /* the only one, then */
	ck_assert_int_eq(load(), ERR_OK);
	ck_assert(!lending_is_mapped("model.signet"));
	ck_assert_uint_gt(packs_retired_bytes(again->packs), (size_t)N * LARGE);
}
END_TEST

START_TEST(another_machine_reads_rather_than_borrows)
{
	given_product_of(LARGE);
	machine_text = "another one";
	ck_assert_int_eq(load(), ERR_OK);
	ck_assert(!lending_is_mapped("model.signet"));
}
END_TEST

START_TEST(bodies_strings_attributes_and_properties_come_along)
{
	given_text("opset 17\nmeta owner me\n"
		   "in c bool []\nin x float32 [N,2]\n"
		   "init s string [2] a bc\ninit k int64 [1] 2\n"
		   "body then\nnode Mul x,x -> y\nout y float32 [N,2]\nend\n"
		   "body else\nnode LeakyRelu x -> z alpha=0.25\nout z float32 [N,2]\nend\n"
		   "node If c -> r then_branch=@then else_branch=@else\n"
		   "node Identity s -> names\n"
		   "out r float32 [N,2]\nout names string [2]\n");
	ck_assert_msg(load() == ERR_OK, "%s", err.msg);
	ck_assert_str_eq(again->prop[0].key, "owner");
	ck_assert_str_eq(again->prop[0].value, "me");
	ck_assert_str_eq(
		onnx_text_graph(arena, again->graph), onnx_text_graph(arena, version->graph));
}
END_TEST

START_TEST(precision_fast_cannot_become_exact)
{
	given_compiled(SRCDIR "/examples/models/digits/1", "model.onnx");
	conf.precision = PRECISION_EXACT;
	ck_assert_int_eq(load(), ERR_FAILED_PRECONDITION);
	ck_assert_ptr_nonnull(strstr(err.msg, "compiled with precision fast"));
}
END_TEST

START_TEST(a_memory_limit_holds)
{
	given_compiled(SRCDIR "/examples/models/digits/2", "model.onnx");
	conf.memory_bytes_max = 65536;
	ck_assert_int_eq(load(), ERR_RESOURCE_EXHAUSTED);
}
END_TEST

/* -- M39: what is damaged is refused --------------------------------------------------------- */

static void put(const void *data, size_t bytes)
{
	tempdir_put(&dir, "model.signet", data, bytes);
}

static void is_refused(const char *what)
{
	enum err_code rc = load();
	ck_assert_msg(rc != ERR_OK, "%s was taken", what);
	ck_assert_msg(strstr(err.msg, "model.signet") || strstr(err.msg, "damaged"), "%s: %s", what,
		err.msg);
}

START_TEST(m39_every_truncation_is_refused)
{
	given_text("opset 17\nin x float32 [N,2]\nnode Relu x -> y\nout y float32 [N,2]\n");
	for (size_t n = 0; n < file.bytes; n += n < 700 ? 1 : 61) {
		put(file.ptr, n);
		is_refused("a shorter file");
	}
	char *longer = arena_alloc(arena, file.bytes + 64);
	memcpy(longer, file.ptr, file.bytes);
	put(longer, file.bytes + 64);
	is_refused("a longer file");
}
END_TEST

START_TEST(m39_every_flipped_bit_is_noticed)
{
	given_text("opset 17\nin x float32 [N,2]\ninit w float32 [2,2] 1 2 3 4\n"
		   "node MatMul x,w -> y\nout y float32 [N,2]\n");
	char *bytes = file.ptr;
	size_t begin = native_data_begin(1);
	for (size_t i = 0; i < file.bytes; i++) {
		/* The rest of the header's page has nothing to say, but is covered. */
		if (i > sizeof(struct native_header) + 16 && i < NATIVE_PAGE && i % 97)
			continue;
		if (i > begin && i % 3)
			continue;
		bytes[i] ^= 1;
		put(bytes, file.bytes);
		is_refused("a flipped bit");
		bytes[i] ^= 1;
	}
}
END_TEST

/* Checksums that fit again: now every offset and count has to be looked at. */
static void forge(void)
{
	struct native_header *h = file.ptr;
	if (h->chunks == 1)
		*(uint64_t *)(void *)((char *)file.ptr + NATIVE_PAGE) = native_sum(
			(char *)file.ptr + native_data_begin(1), file.bytes - native_data_begin(1));
	h->check = 0;
	h->check = native_sum(file.ptr, native_data_begin(1));
	put(file.ptr, file.bytes);
}

START_TEST(m39_headers_that_lie_are_refused)
{
	static const uint64_t values[] = {
		0, 1, 63, 4096, UINT32_MAX, INT64_MAX, UINT64_MAX, UINT64_MAX - 63};
	given_text("opset 17\nin x float32 [N,2]\nnode Relu x -> y\nout y float32 [N,2]\n");
	struct native_header *h = file.ptr, good = *h;
	uint64_t *field[] = {&h->file_bytes, &h->chunks, &h->section[0].offset,
		&h->section[0].bytes, &h->section[1].offset, &h->section[1].bytes,
		&h->section[4].offset, &h->section[4].bytes, &h->section[5].offset,
		&h->section[5].bytes};
	for (size_t f = 0; f < sizeof(field) / sizeof(*field); f++)
		for (size_t v = 0; v < sizeof(values) / sizeof(*values); v++) {
			*h = good;
			if (*field[f] == values[v])
				continue;
			*field[f] = values[v];
			forge();
			is_refused("a header that lies");
		}
	*h = good;
	h->version = 3;
	forge();
	ck_assert_int_eq(load(), ERR_UNIMPLEMENTED);
	ck_assert_ptr_nonnull(strstr(err.msg, "format 3, this build reads format 2"));
	*h = good;
	h->endian = 0x04030201;
	forge();
	is_refused("another byte order");
}
END_TEST

/* A file is for all processors: what chooses by vector width must sum as the plain XXH3 does. */
START_TEST(sums_are_xxh3_on_every_processor)
{
	unsigned char bytes[5000];
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 7);
	ck_assert_uint_eq(native_sum(bytes, 0), UINT64_C(0x2d06800538d394c2));
	ck_assert_uint_eq(native_sum(bytes, 100), UINT64_C(0x6dbb812cf19d012e));
	ck_assert_uint_eq(native_sum(bytes, sizeof(bytes)), UINT64_C(0x6abe8be5abcb2760));
}
END_TEST

/* Any byte of the graph may be anything: an error, or a model that is whole. */
START_TEST(m39_graphs_that_lie_do_no_harm)
{
	given_text("opset 17\nin x float32 [N,2]\ninit w float32 [2,2] 1 2 3 4\ninit s string [2] "
		   "a b\n"
		   "node MatMul x,w -> y\nnode Identity s -> t\nout y float32 [N,2]\nout t string "
		   "[2]\n");
	struct native_header *h = file.ptr;
	unsigned char *graph = (unsigned char *)file.ptr + h->section[NATIVE_GRAPH].offset;
	static const unsigned char values[] = {0, 1, 0x7f, 0x80, 0xff};
	for (size_t i = 0; i < h->section[NATIVE_GRAPH].bytes; i++)
		for (size_t v = 0; v < sizeof(values); v++) {
			unsigned char was = graph[i];
			graph[i] = values[v];
			forge();
			if (load() == ERR_OK)
				version_free(again);
			again = NULL;
			graph[i] = was;
		}
}
END_TEST

START_TEST(m39_packed_weights_that_lie_do_no_harm)
{
	given_text("opset 17\nin x float32 [N,2]\ninit w float32 [2,2] 1 2 3 4\n"
		   "node MatMul x,w -> y\nout y float32 [N,2]\n");
	struct native_header *h = file.ptr;
	unsigned char *keys = (unsigned char *)file.ptr + h->section[NATIVE_KEYS].offset;
	ck_assert_uint_gt(h->section[NATIVE_KEYS].bytes, 0);
	for (size_t i = 0; i < h->section[NATIVE_KEYS].bytes; i++)
		for (int bit = 0; bit < 8; bit += 7) {
			keys[i] ^= (unsigned char)(1 << bit);
			forge();
			if (load() == ERR_OK)
				version_free(again);
			again = NULL;
			keys[i] ^= (unsigned char)(1 << bit);
		}
}
END_TEST

Suite *suite_native(void);
Suite *suite_native(void)
{
	Suite *s = suite_create("native");
	TCase *t = tcase_create("core");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_model_gives_the_same_bits_from_its_native_file);
	tcase_add_test(t, another_machine_packs_for_itself);
	tcase_add_test(t, packed_weights_do_without_their_sources);
	tcase_add_test(t, another_machine_reads_the_sources);
	tcase_add_test(t, signatures_of_ones_own_get_the_sources);
	tcase_add_test(t, sources_come_when_they_are_wanted_while_a_version_loads);
	tcase_add_test(t, sources_do_not_come_any_more_once_it_is_settled);
	tcase_add_test(t, m39_damaged_sources_are_refused_by_who_reads_them);
	if (lending_is_possible("/tmp", 32 << 20)) {
		tcase_add_test(t, a_large_file_is_used_where_it_lies_until_it_is_settled);
		tcase_add_test(t, a_version_outlives_its_file_that_is_truncated_in_place);
		tcase_add_test(t, sources_come_behind_what_is_lent);
	}
	tcase_add_test(t, what_is_lent_is_checked_too);
	tcase_add_test(t, weights_that_are_packed_a_second_time_give_their_memory_back);
	tcase_add_test(t, another_machine_reads_rather_than_borrows);
	tcase_add_test(t, bodies_strings_attributes_and_properties_come_along);
	tcase_add_test(t, precision_fast_cannot_become_exact);
	tcase_add_test(t, a_memory_limit_holds);
	tcase_add_test(t, m39_every_truncation_is_refused);
	tcase_add_test(t, m39_every_flipped_bit_is_noticed);
	tcase_add_test(t, m39_headers_that_lie_are_refused);
	tcase_add_test(t, sums_are_xxh3_on_every_processor);
	tcase_add_test(t, m39_graphs_that_lie_do_no_harm);
	tcase_add_test(t, m39_packed_weights_that_lie_do_no_harm);
	suite_add_tcase(s, t);
	return s;
}
