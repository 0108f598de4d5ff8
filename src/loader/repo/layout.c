/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/repo/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "base/parse.h"

const char *const layout_files[LAYOUT_FILES + 1] = { "model.signet", "model.onnx", NULL };

bool layout_is_file(const char *name)
{
	const char *const *f = layout_files;
	while (*f && strcmp(*f, name) != 0)
		f++;
	return *f != NULL;
}

const char *layout_find_file(int dirfd)
{
	struct stat st;
	for (const char *const *f = layout_files; *f; f++)
		if (fstatat(dirfd, *f, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno == EACCES)
			return *f;
	return NULL;
}

static bool is_name_char(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '-';
}

bool layout_is_model_name(struct slice name)
{
	if (name.len == 0 || name.len > LAYOUT_NAME_MAX || slice_is(name, ".") ||
		slice_is(name, ".."))
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (!is_name_char(name.ptr[i]))
			return false;
	return true;
}

bool layout_parse_version(struct slice name, int64_t *ret)
{
	return parse_i64(name, 0, INT64_MAX, ret);
}
