/* SPDX-License-Identifier: Apache-2.0 */
/* External data, sparse tensors and files: rows M1, M4, M17, M18, M19 of the bad inputs. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cgroup.h"
#include "loader/onnx/onnx.h"
#include "loader/onnx/sha1.h"
#include "support/onnx_text.h"
#include "support/tempdir.h"

static struct arena *arena;
static struct tempdir dir;
static struct err err;
static struct onnx_model model;

static void setup(void)
{
	arena = arena_new(0, 0);
	dir = tempdir_new();
	tempdir_put_str(&dir, "weights.bin", "0123456789abcdef");
}

static void teardown(void)
{
	tempdir_free(&dir);
	arena_free(arena);
}

static Onnx__TensorProto *weights(Onnx__ModelProto *m)
{
	return m->graph->initializer[0];
}

/* y = w, a uint8 [8] whose data is external by these pairs of key and value. */
static Onnx__ModelProto *given_external(const char *const *pairs, int n)
{
	Onnx__ModelProto *m = onnx_text_model(arena,
		"opset 13\ninit w uint8 [8]\nnode Identity w -> y\nout y uint8 [8]\n");
	Onnx__TensorProto *t = weights(m);
	t->has_data_location = 1;
	t->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
	t->external_data = ARENA_ARRAY(arena, Onnx__StringStringEntryProto *, (size_t)n);
	for (int i = 0; i < n; i++) {
		Onnx__StringStringEntryProto *e = ARENA_NEW(arena, Onnx__StringStringEntryProto);
		onnx__string_string_entry_proto__init(e);
		e->key = (char *)pairs[2 * i];
		e->value = (char *)pairs[2 * i + 1];
		t->external_data[t->n_external_data++] = e;
	}
	return m;
}

#define EXTERNAL(...) \
	given_external((const char *const[]){ __VA_ARGS__ }, \
		(int)(sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *) / 2))

static enum err_code parse_with(
	const Onnx__ModelProto *m, int dirfd, const struct onnx_limits *limits)
{
	return onnx_parse(onnx_text_pack(arena, &m->base), dirfd, limits, arena, &model, &err);
}

static enum err_code parse(const Onnx__ModelProto *m)
{
	return parse_with(m, dir.fd, NULL);
}

static void expect_weights(const char *bytes)
{
	ck_assert_mem_eq(model.graph->value[0].constant->data, bytes, 8);
}

START_TEST(bytes_come_from_the_file)
{
	ck_assert_msg(parse(EXTERNAL("location", "weights.bin")) == ERR_OK, "%s", err.msg);
	expect_weights("01234567");
	ck_assert_int_eq(
		parse(EXTERNAL("location", "weights.bin", "offset", "8", "length", "8")), ERR_OK);
	expect_weights("89abcdef");
	/* Not aligned to anything: they are copied. */
	ck_assert_int_eq(parse(EXTERNAL("location", "weights.bin", "offset", "3")), ERR_OK);
	expect_weights("3456789a");
	tempdir_put_str(&dir, "sub/w", "abcdefgh");
	ck_assert_int_eq(parse(EXTERNAL("location", "sub/w")), ERR_OK);
	expect_weights("abcdefgh");
}
END_TEST

START_TEST(big_external_data_is_read)
{
	size_t n = 1 << 20;
	char *big = arena_calloc(arena, n, 1);
	memset(big, 7, n);
	tempdir_put(&dir, "big", big, n);
	Onnx__ModelProto *m = EXTERNAL("location", "big");
	weights(m)->dims[0] = (int64_t)n;
	m->graph->output[0]->type->tensor_type->shape->dim[0]->dim_value = (int64_t)n;
	ck_assert_msg(parse(m) == ERR_OK, "%s", err.msg);
	ck_assert_mem_eq(model.graph->value[0].constant->data, big, n);
}
END_TEST

START_TEST(M17_locations_outside_or_odd_get_one_answer)
{
	static const char *const locations[] = { "../weights.bin", "a/../../weights.bin",
		"/etc/passwd", ".", "..", "sub/", "missing", "Weights.bin", "leaf",
		"parent/weights.bin", "hard", "fifo", "/dev/zero", "secret", "sub" };
	tempdir_put_str(&dir, "sub/w", "abcdefgh");
	tempdir_put_str(&dir, "secret", "abcdefgh");
	ck_assert_int_eq(symlinkat("weights.bin", dir.fd, "leaf"), 0);
	ck_assert_int_eq(symlinkat(".", dir.fd, "parent"), 0);
	ck_assert_int_eq(linkat(dir.fd, "secret", dir.fd, "hard", 0), 0);
	ck_assert_int_eq(mkfifoat(dir.fd, "fifo", 0600), 0);
	const char *location = locations[_i];

	ck_assert_int_eq(parse(EXTERNAL("location", location)), ERR_INVALID_ARGUMENT);

	const char *same = arena_printf(arena,
		"tensor 'w': external data '%s' is not a readable file of the model's own "
		"directory",
		location);
	ck_assert_str_eq(err.msg, same);
}
END_TEST

START_TEST(M17_a_hard_link_is_taken_when_allowed)
{
	const struct onnx_limits limits = { .allow_hardlinks = true };
	ck_assert_int_eq(linkat(dir.fd, "weights.bin", dir.fd, "hard", 0), 0);
	ck_assert_int_eq(parse_with(EXTERNAL("location", "hard"), dir.fd, &limits), ERR_OK);
}
END_TEST

START_TEST(M17_names_that_are_none_are_refused)
{
	char *name = arena_calloc(arena, 4097, 1);
	memset(name, 'a', 4096);
	ck_assert_int_eq(parse(EXTERNAL("location", "")), ERR_INVALID_ARGUMENT);
	ck_assert_int_eq(parse(EXTERNAL("location", name)), ERR_INVALID_ARGUMENT);
	ck_assert_int_eq(parse(EXTERNAL("offset", "0")), ERR_INVALID_ARGUMENT);
	ck_assert_int_eq(parse_with(EXTERNAL("location", "weights.bin"), -1, NULL),
		ERR_INVALID_ARGUMENT);
	/* A NUL would end the name early. */
	struct slice bytes = onnx_text_pack(arena, &EXTERNAL("location", "weights.binX")->base);
	char *x = memmem(bytes.ptr, bytes.len, "weights.binX", 12);
	x[11] = 0;
	ck_assert_int_eq(
		onnx_parse(bytes, dir.fd, NULL, arena, &model, &err), ERR_INVALID_ARGUMENT);
}
END_TEST

START_TEST(M18_ranges_and_keys_that_are_wrong_are_refused)
{
	static const char *const rows[][2] = { { "offset", "-1" },
		{ "offset", "9223372036854775808" }, { "offset", "9" }, { "offset", "17" },
		{ "offset", "9223372036854775807" }, { "offset", "0x1" }, { "offset", "" },
		{ "length", "-1" }, { "length", "1125899906842624" }, { "length", "7" },
		{ "length", "0" }, { "colour", "red" },
		{ "checksum", "0000000000000000000000000000000000000000" },
		{ "location", "weights.bin" } };
	ck_assert_int_eq(parse(EXTERNAL("location", "weights.bin", rows[_i][0], rows[_i][1])),
		ERR_INVALID_ARGUMENT);
}
END_TEST

START_TEST(M18_external_and_raw_data_together_are_refused)
{
	Onnx__ModelProto *m = EXTERNAL("location", "weights.bin");
	weights(m)->has_raw_data = 1;
	weights(m)->raw_data = (ProtobufCBinaryData){ 8, (uint8_t *)"01234567" };
	ck_assert_int_eq(parse(m), ERR_INVALID_ARGUMENT);
}
END_TEST

/* A file with a hole in it is as long as one likes. */
START_TEST(M18_more_than_the_machine_has_is_refused)
{
	int64_t bytes = INT64_C(1) << 40;
	ck_assert_int_eq(truncate(arena_printf(arena, "%s/weights.bin", dir.path), bytes), 0);
	Onnx__ModelProto *m = EXTERNAL("location", "weights.bin");
	weights(m)->dims[0] = bytes;
	ck_assert_int_eq(parse(m), ERR_RESOURCE_EXHAUSTED);
	size_t most = cgroup_machine_bytes() < (size_t)64 << 30 ? cgroup_machine_bytes()
								: (size_t)64 << 30;
	ck_assert_ptr_nonnull(strstr(err.msg,
		arena_printf(arena, "does not fit in the memory allowed, %zu bytes", most)));
}
END_TEST

START_TEST(M18_a_right_checksum_is_accepted)
{
	struct sha1 s;
	char hex[SHA1_HEX_BYTES];
	sha1_init(&s);
	sha1_update(&s, "0123456789abcdef", 16);
	sha1_finish(&s, hex);
	ck_assert_str_eq(hex, "fe5567e8d769550852182cdf69d74bb16dff8e29");
	ck_assert_int_eq(parse(EXTERNAL("location", "weights.bin", "checksum", hex)), ERR_OK);
}
END_TEST

static long bytes_read_so_far(void)
{
	long n = -1;
	FILE *f = fopen("/proc/self/io", "r");
	ck_assert(f && fscanf(f, "rchar: %ld", &n) == 1);
	fclose(f);
	return n;
}

START_TEST(M18_a_file_of_many_tensors_is_summed_once)
{
	enum { TENSORS = 40, FILE_BYTES = 1 << 20 };
	struct sha1 s;
	char hex[SHA1_HEX_BYTES], *zeros = arena_calloc(arena, FILE_BYTES, 1);
	sha1_init(&s);
	sha1_update(&s, zeros, FILE_BYTES);
	sha1_finish(&s, hex);
	tempdir_put(&dir, "weights.bin", zeros, FILE_BYTES);
	Onnx__ModelProto *m = EXTERNAL("location", "weights.bin", "checksum", hex);
	Onnx__TensorProto **list = ARENA_ARRAY(arena, Onnx__TensorProto *, TENSORS);
	for (int i = 0; i < TENSORS; i++) {
		list[i] = arena_alloc(arena, sizeof(*list[i]));
		*list[i] = *weights(m);
		if (i > 0)
			list[i]->name = (char *)arena_printf(arena, "w%d", i);
	}
	m->graph->initializer = list;
	m->graph->n_initializer = TENSORS;
	long before = bytes_read_so_far();

	ck_assert_int_eq(parse(m), ERR_OK);

	ck_assert_int_lt(bytes_read_so_far() - before, 2 * FILE_BYTES);
}
END_TEST

START_TEST(sha1_gives_the_digests_of_the_standard)
{
	struct sha1 s;
	char hex[SHA1_HEX_BYTES];
	sha1_init(&s);
	for (int i = 0; i < 1000000; i++)
		sha1_update(&s, "a", 1);
	sha1_finish(&s, hex);
	ck_assert_str_eq(hex, "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}
END_TEST

/* -- sparse ------------------------------------------------------------------------------------ */

/* Initializers of a model, two by two, moved to where they belong. */
static enum err_code parse_as_sparse(Onnx__ModelProto *m, int64_t a, int64_t b)
{
	size_t n = m->graph->n_initializer / 2;
	Onnx__SparseTensorProto **list = ARENA_ARRAY(arena, Onnx__SparseTensorProto *, n);
	int64_t *dims = ARENA_ARRAY(arena, int64_t, 2);
	dims[0] = a;
	dims[1] = b;
	for (size_t i = 0; i < n; i++) {
		Onnx__SparseTensorProto *s = list[i] = ARENA_NEW(arena, Onnx__SparseTensorProto);
		onnx__sparse_tensor_proto__init(s);
		s->values = m->graph->initializer[2 * i];
		s->indices = m->graph->initializer[2 * i + 1];
		s->dims = dims;
		s->n_dims = 2;
	}
	m->graph->n_initializer = 0;
	m->graph->sparse_initializer = list;
	m->graph->n_sparse_initializer = n;
	return parse(m);
}

static enum err_code parse_sparse(const char *values, const char *indices, int64_t a, int64_t b)
{
	return parse_as_sparse(onnx_text_model(arena,
		arena_printf(arena, "opset 13\ninit w %s\ninit i %s\nnode Identity w -> y\nout y\n",
			values, indices)), a, b);
}

START_TEST(sparse_initializers_become_dense)
{
	static const float dense[6] = { 0, 5, 0, 0, 0, 7 };
	ck_assert_msg(
		parse_sparse("float32 [2] 5 7", "int64 [2] 1 5", 2, 3) == ERR_OK, "%s", err.msg);
	ck_assert_mem_eq(model.graph->value[0].constant->data, dense, sizeof(dense));
	ck_assert_int_eq(parse_sparse("float32 [2] 5 7", "int64 [2,2] 0 1 1 2", 2, 3), ERR_OK);
	ck_assert_mem_eq(model.graph->value[0].constant->data, dense, sizeof(dense));
}
END_TEST

START_TEST(M19_sparse_tensors_that_are_wrong_are_refused)
{
	static const struct {
		const char *values, *indices;
		int64_t a, b;
	} rows[] = {
		{ "float32 [2] 5 7", "int64 [1] 1", 2, 3 },           /* nnz differs */
		{ "float32 [2] 5 7", "int64 [2] 1 6", 2, 3 },         /* outside */
		{ "float32 [2] 5 7", "int64 [2] -1 5", 2, 3 },
		{ "float32 [2] 5 7", "int64 [2,2] 0 1 2 0", 2, 3 },
		{ "float32 [2] 5 7", "int64 [2] 5 1", 2, 3 },         /* not sorted */
		{ "float32 [2] 5 7", "int64 [2] 1 1", 2, 3 },         /* twice */
		{ "float32 [2] 5 7", "int64 [2,3] 0 0 0 1 1 1", 2, 3 },
		{ "float32 [2] 5 7", "int32 [2] 1 5", 2, 3 },
		{ "float32 [1,2] 5 7", "int64 [2] 1 5", 2, 3 },
		{ "float32 [2] 5 7", "int64 [2] 1 5", -2, 3 },
		{ "float32 [2] 5 7", "int64 [2] 1 5", 1LL << 40, 1 }, /* huge when dense */
	};
	enum err_code rc = parse_sparse(rows[_i].values, rows[_i].indices, rows[_i].a, rows[_i].b);
	ck_assert(rc == ERR_INVALID_ARGUMENT || rc == ERR_RESOURCE_EXHAUSTED);
	ck_assert_ptr_nonnull(strstr(err.msg, "sparse tensor 'w'"));
}
END_TEST

/* Each of them alone would be allowed. */
START_TEST(M19_many_sparse_tensors_are_bounded_together)
{
	static const char text[] =
		"opset 13\ninit w float32 [1] 5\ninit i int64 [1] 1\ninit v float32 [1] 5\n"
		"init k int64 [1] 1\nnode Add w,v -> y\nout y\n";
	ck_assert_int_eq(parse_as_sparse(onnx_text_model(arena, text), 300, 1 << 18), ERR_OK);
	ck_assert_int_eq(parse_as_sparse(onnx_text_model(arena, text), 600, 1 << 18),
		ERR_RESOURCE_EXHAUSTED);
	ck_assert_str_eq(err.msg,
		"sparse tensor 'v': shape [600,262144] is more than 444596608 bytes when dense, "
		"which are left of 1073742208 for all sparse tensors");
}
END_TEST

/* -- files ------------------------------------------------------------------------------------- */

START_TEST(a_model_is_read_from_its_file)
{
	Onnx__ModelProto *m = EXTERNAL("location", "weights.bin");
	struct slice bytes = onnx_text_pack(arena, &m->base);
	tempdir_put(&dir, "model.onnx", bytes.ptr, bytes.len);
	ck_assert_int_eq(onnx_read(dir.fd, "model.onnx", NULL, arena, &model, &err), ERR_OK);
	expect_weights("01234567");
}
END_TEST

START_TEST(M1_files_that_are_no_model_are_refused)
{
	static const struct {
		const char *bytes;
		size_t len;
	} files[] = {
#define ROW(lit) { lit, sizeof(lit) - 1 }
		ROW(""),
		ROW("\0"),
		ROW("hello, this is some text about a model, more than a line of it\n"),
		ROW("\x1f\x8b\x08\0\0\0\0\0\0\x03"),
		ROW("PK\x03\x04\x14\0\0\0\x08\0"),
		ROW("\x7f" "ELF\x02\x01\x01\0\0\0\0\0\0\0\0\0"),
		ROW("<!DOCTYPE html><html><head><title>404 Not Found</title></head></html>"),
		ROW("\x08\x08"),
		ROW("\x08\x08\x3a\x00"),
#undef ROW
	};
	tempdir_put(&dir, "model.onnx", files[_i].bytes, files[_i].len);
	ck_assert_int_eq(onnx_read(dir.fd, "model.onnx", NULL, arena, &model, &err),
		ERR_INVALID_ARGUMENT);
	ck_assert_uint_gt(strlen(err.msg), 0);
}
END_TEST

START_TEST(M1_model_files_that_are_no_files_are_refused)
{
	ck_assert_int_eq(mkfifoat(dir.fd, "model.onnx", 0600), 0);
	ck_assert_int_ne(onnx_read(dir.fd, "model.onnx", NULL, arena, &model, &err), ERR_OK);
	ck_assert_int_ne(onnx_read(dir.fd, "missing", NULL, arena, &model, &err), ERR_OK);
	ck_assert_int_ne(onnx_read(dir.fd, ".", NULL, arena, &model, &err), ERR_OK);
}
END_TEST

START_TEST(M4_more_than_2_gib_is_refused_with_the_way_out)
{
	int fd = openat(dir.fd, "model.onnx", O_WRONLY | O_CREAT, 0600);
	ck_assert_int_eq(ftruncate(fd, (off_t)1 << 31), 0);
	close(fd);
	ck_assert_int_eq(onnx_read(dir.fd, "model.onnx", NULL, arena, &model, &err),
		ERR_RESOURCE_EXHAUSTED);
	ck_assert_ptr_nonnull(strstr(err.msg, "external data"));
}
END_TEST

Suite *suite_onnx_external(void);
Suite *suite_onnx_external(void)
{
	Suite *s = suite_create("onnx_external");
	TCase *t = tcase_create("onnx_external");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, bytes_come_from_the_file);
	tcase_add_test(t, big_external_data_is_read);
	tcase_add_loop_test(t, M17_locations_outside_or_odd_get_one_answer, 0, 15);
	tcase_add_test(t, M17_a_hard_link_is_taken_when_allowed);
	tcase_add_test(t, M17_names_that_are_none_are_refused);
	tcase_add_loop_test(t, M18_ranges_and_keys_that_are_wrong_are_refused, 0, 14);
	tcase_add_test(t, M18_external_and_raw_data_together_are_refused);
	tcase_add_test(t, M18_more_than_the_machine_has_is_refused);
	tcase_add_test(t, M18_a_right_checksum_is_accepted);
	tcase_add_test(t, M18_a_file_of_many_tensors_is_summed_once);
	tcase_add_test(t, sha1_gives_the_digests_of_the_standard);
	tcase_add_test(t, sparse_initializers_become_dense);
	tcase_add_loop_test(t, M19_sparse_tensors_that_are_wrong_are_refused, 0, 11);
	tcase_add_test(t, M19_many_sparse_tensors_are_bounded_together);
	tcase_add_test(t, a_model_is_read_from_its_file);
	tcase_add_loop_test(t, M1_files_that_are_no_model_are_refused, 0, 9);
	tcase_add_test(t, M1_model_files_that_are_no_files_are_refused);
	tcase_add_test(t, M4_more_than_2_gib_is_refused_with_the_way_out);
	suite_add_tcase(s, t);
	return s;
}
