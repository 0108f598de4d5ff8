/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/golden.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"
#include "loader/onnx/onnx.h"
#include "loader/probe.h"

#define FILE_BYTES_MAX ((size_t)1 << 30)

struct reader {
	const struct version *v;
	const struct signature *s;
	const struct version_conf *conf;
	const char *example; /* for messages */
	struct arena *arena; /* of one example */
	int n;               /* examples answered */
	struct err *err;
};

/* Reads PREFIX_i.pb. *ret_found false: there is no such file. */
static enum err_code read_tensor(struct reader *r, int dirfd, const char *prefix, int i,
	struct tensor *ret, const char **ret_name, bool *ret_found)
{
	char file[32];
	struct slice bytes;
	snprintf(file, sizeof(file), "%s_%d.pb", prefix, i);
	*ret_found = faccessat(dirfd, file, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	if (!*ret_found)
		return ERR_OK;
	enum err_code rc = file_read(dirfd, file, FILE_BYTES_MAX, r->arena, &bytes, r->err);
	if (rc == ERR_OK)
		rc = onnx_parse_tensor(bytes, r->arena, ret, ret_name, r->err);
	return rc == ERR_OK ? ERR_OK : err_prefix(r->err, "%s: %s", r->example, file);
}

static int place_of(int i, int found)
{
	return found >= 0 ? found : i;
}

static enum err_code read_inputs(struct reader *r, int dirfd, struct tensor *in, bool *ret_any)
{
	bool found = true;
	*ret_any = false;
	for (int i = 0; i < r->s->n_in && found; i++) {
		struct tensor t;
		const char *name;
		enum err_code rc = read_tensor(r, dirfd, "input", i, &t, &name, &found);
		if (rc != ERR_OK)
			return rc;
		if (!found)
			break;
		in[place_of(i, signature_find_in(r->s, slice_of(name)))] = t;
		*ret_any = true;
	}
	return ERR_OK;
}

static enum err_code compare(
	struct reader *r, int i, const struct tensor *is, const struct tensor *want)
{
	const char *name = r->s->out[i].name;
	int64_t at;
	if (is->dtype != want->dtype || !shape_equal(&is->shape, &want->shape))
		return err_set(r->err, ERR_FAILED_PRECONDITION,
			"%s: output '%.100s' is %s %s, expected %s %s", r->example, name,
			dtype_name(is->dtype), SHAPE_TEXT(&is->shape), dtype_name(want->dtype),
			SHAPE_TEXT(&want->shape));
	if (is->dtype == DTYPE_TENSOR || /* sequences: the types are all that is compared */
		probe_equal(is, 0, want, tensor_count(want),
			tolerance_of(is->dtype, r->conf->precision), &at))
		return ERR_OK;
	if (!dtype_in(is->dtype, T_NUM | T(BOOL)))
		return err_set(r->err, ERR_FAILED_PRECONDITION,
			"%s: output '%.100s': element %lld is not the one expected", r->example,
			name, (long long)at);
	return err_set(r->err, ERR_FAILED_PRECONDITION,
		"%s: output '%.100s': element %lld is %.9g, expected %.9g", r->example, name,
		(long long)at, tensor_float(is, at), tensor_float(want, at));
}

static enum err_code compare_outputs(struct reader *r, int dirfd, const struct tensor *out)
{
	for (int i = 0; i < r->s->n_out; i++) {
		struct tensor want;
		const char *name;
		bool found;
		enum err_code rc = read_tensor(r, dirfd, "output", i, &want, &name, &found);
		if (rc != ERR_OK || !found)
			return rc;
		int k = place_of(i, signature_find_out(r->s, slice_of(name)));
		rc = compare(r, k, &out[k], &want);
		if (rc != ERR_OK)
			return rc;
	}
	return ERR_OK;
}

/* Runs the example of one folder; a folder without inputs holds none. */
static enum err_code answer(struct reader *r, int dirfd)
{
	struct tensor *out, *in;
	int64_t rows, ns;
	bool any;
	arena_reset(r->arena, 0);
	in = ARENA_ARRAY(r->arena, struct tensor, (size_t)r->s->n_in + 1);
	if (!in)
		return err_oom(r->err);
	for (int i = 0; i < r->s->n_in; i++)
		in[i].shape.rank = RANK_UNKNOWN;
	enum err_code rc = read_inputs(r, dirfd, in, &any);
	if (rc != ERR_OK || !any)
		return rc;
	rc = signature_check(r->s, in, &rows, r->err);
	if (rc == ERR_OK)
		rc = probe_run(r->s, in, r->arena, &out, &ns, r->err);
	if (rc != ERR_OK)
		return err_prefix(r->err, "%s", r->example);
	r->n++;
	return compare_outputs(r, dirfd, out);
}

static enum err_code answer_folder(struct reader *r, int dirfd, const char *name)
{
	int fd;
	if (file_open_beneath(dirfd, name, O_RDONLY | O_DIRECTORY, &fd, NULL) != ERR_OK)
		return ERR_OK; /* a file beside the examples */
	enum err_code rc = answer(r, fd);
	close(fd);
	return rc;
}

static enum err_code answer_all(struct reader *r, DIR *dir, const char *folder)
{
	char example[300];
	r->example = folder;
	enum err_code rc = answer(r, dirfd(dir));
	for (const struct dirent *e;
		rc == ERR_OK && r->n < GOLDEN_CASES_MAX && (e = readdir(dir));) {
		if (e->d_name[0] == '.')
			continue;
		if (r->conf->cancel && atomic_load(r->conf->cancel))
			return err_set(r->err, ERR_CANCELLED, "the load was cancelled");
		snprintf(example, sizeof(example), "%s/%s", folder, e->d_name);
		r->example = example;
		rc = answer_folder(r, dirfd(dir), e->d_name);
	}
	return rc;
}

enum err_code golden_check(int dirfd, const struct version *v, const struct version_conf *conf,
	int *ret_n, struct err *err)
{
	static const char *const folders[] = { "golden", "warmup" };
	struct reader r = {
		.v = v, .s = &v->sig[0], .conf = conf, .arena = arena_new(1 << 16, 0), .err = err
	};
	enum err_code rc = r.arena ? ERR_OK : err_oom(err);
	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders) && rc == ERR_OK; i++) {
		int fd;
		if (dirfd < 0 || file_open_beneath(dirfd, folders[i], O_RDONLY | O_DIRECTORY, &fd,
					 NULL) != ERR_OK)
			continue;
		DIR *dir = fdopendir(fd);
		if (!dir) {
			close(fd);
			rc = err_oom(err);
			break;
		}
		rc = answer_all(&r, dir, folders[i]);
		closedir(dir);
	}
	arena_free(r.arena);
	*ret_n = r.n;
	return rc;
}
