/* SPDX-License-Identifier: Apache-2.0 */
/*
 * onnx_external.c -- a tensor's bytes in another file of the model's directory
 *
 * The file is opened beneath that directory (no "..", no symbolic link), must be regular
 * and have one name only, since another one may lie outside. Where the file is at fault
 * there is one message for all reasons: it must not tell which files exist.
 */
#include "loader/onnx/onnx_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
#include "base/parse.h"
#include "loader/onnx/sha1.h"

#define LOCATION_MAX 1024

struct external {
	const char *location, *checksum;
	uint64_t offset, length;
	bool has_offset, has_length;
};

static enum err_code
parse_bytes(const char *key, const char *text, uint64_t *ret, bool *has, struct err *err)
{
	if (*has)
		return err_set(err, ERR_INVALID_ARGUMENT, "external data has '%s' twice", key);
	*has = true;
	if (!parse_u64(slice_of(text), INT64_MAX, ret))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"external data: '%s' is '%.40s', it must be a number of bytes", key, text);
	return ERR_OK;
}

static enum err_code
parse_text(const char *key, const char *text, const char **ret, struct err *err)
{
	if (*ret)
		return err_set(err, ERR_INVALID_ARGUMENT, "external data has '%s' twice", key);
	*ret = text;
	return ERR_OK;
}

static enum err_code
parse_entry(const char *key, const char *value, struct external *x, struct err *err)
{
	if (strcmp(key, "location") == 0)
		return parse_text(key, value, &x->location, err);
	if (strcmp(key, "checksum") == 0)
		return parse_text(key, value, &x->checksum, err);
	if (strcmp(key, "offset") == 0)
		return parse_bytes(key, value, &x->offset, &x->has_offset, err);
	if (strcmp(key, "length") == 0)
		return parse_bytes(key, value, &x->length, &x->has_length, err);
	/* Left by a tool that had the file open; it never says where to look. */
	if (strcmp(key, "basepath") == 0)
		return ERR_OK;
	return err_set(err, ERR_INVALID_ARGUMENT, "external data: unknown key '%.40s'", key);
}

static enum err_code
parse_external(const Onnx__TensorProto *p, struct external *x, struct err *err)
{
	for (size_t i = 0; i < p->n_external_data; i++) {
		const Onnx__StringStringEntryProto *e = p->external_data[i];
		enum err_code rc =
			parse_entry(e->key ? e->key : "", e->value ? e->value : "", x, err);
		if (rc != ERR_OK)
			return rc;
	}
	if (!x->location || !x->location[0] || strlen(x->location) > LOCATION_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"external data: 'location' must be a path of 1 to %d bytes", LOCATION_MAX);
	return ERR_OK;
}

static enum err_code not_usable(const struct external *x, struct err *err)
{
	return err_set(err, ERR_INVALID_ARGUMENT,
		"external data '%.120s' is not a readable file of the model's own directory",
		x->location);
}

static enum err_code open_external(const struct onnx_reader *r, const struct external *x,
	int *ret_fd, uint64_t *ret_bytes, struct err *err)
{
	int fd;
	struct stat st;
	if (r->dirfd < 0)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"external data without a directory to read from");
	if (file_open_beneath(r->dirfd, x->location, O_RDONLY, &fd, NULL) != ERR_OK)
		return not_usable(x, err);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
		(st.st_nlink != 1 && !r->allow_hardlinks)) {
		close(fd);
		return not_usable(x, err);
	}
	*ret_fd = fd;
	*ret_bytes = (uint64_t)st.st_size;
	return ERR_OK;
}

static enum err_code
check_range(const struct external *x, uint64_t file, uint64_t want, struct err *err)
{
	if (x->has_length && x->length != want)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"external data is %llu bytes long, its shape and type need %llu",
			(unsigned long long)x->length, (unsigned long long)want);
	if (x->offset > file || want > file - x->offset)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"external data at %llu, %llu bytes: the file has %llu",
			(unsigned long long)x->offset, (unsigned long long)want,
			(unsigned long long)file);
	return ERR_OK;
}

static enum err_code compare_sum(const struct external *x, int fd, uint64_t file, struct err *err)
{
	struct sha1 sum;
	uint8_t block[16384];
	char hex[SHA1_HEX_BYTES];
	sha1_init(&sum);
	for (uint64_t at = 0; at < file;) {
		size_t n = file - at < sizeof(block) ? (size_t)(file - at) : sizeof(block);
		enum err_code rc = file_read_at(fd, x->location, at, block, n, err);
		if (rc != ERR_OK)
			return rc;
		sha1_update(&sum, block, n);
		at += n;
	}
	sha1_finish(&sum, hex);
	if (strcasecmp(hex, x->checksum) != 0)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"external data '%.120s' has not the checksum that the model says",
			x->location);
	return ERR_OK;
}

/* The checksum is that of the whole file, which is read once for all of its tensors. */
static enum err_code check_sum(
	struct onnx_reader *r, const struct external *x, int fd, uint64_t file, struct err *err)
{
	bool is_new;
	r->summed.arena = onnx_scratch(r);
	const char *key = arena_printf(onnx_scratch(r), "%s\n%s", x->checksum, x->location);
	if (!key)
		return err_oom(err);
	if (onnx_map_find(&r->summed, slice_of(key)) >= 0)
		return ERR_OK;
	TRY(compare_sum(x, fd, file, err));
	bool added = onnx_map_add(&r->summed, slice_of(key), 0, &is_new) == ERR_OK;
	return added ? ERR_OK : err_oom(err);
}

enum err_code onnx_read_external(struct onnx_reader *r, const Onnx__TensorProto *proto, void *to,
	size_t bytes, struct err *err)
{
	struct external x = { 0 };
	uint64_t file = 0;
	int fd = -1;
	enum err_code rc = parse_external(proto, &x, err);
	if (rc == ERR_OK)
		rc = open_external(r, &x, &fd, &file, err);
	if (rc != ERR_OK)
		return rc;
	rc = check_range(&x, file, bytes, err);
	if (rc == ERR_OK && x.checksum)
		rc = check_sum(r, &x, fd, file, err);
	if (rc == ERR_OK)
		rc = file_read_new(fd, x.location, x.offset, to, bytes, err);
	close(fd);
	return rc;
}
