/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/tool_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"

enum err_code tool_file_read(
	const char *path, struct arena *arena, struct slice *ret, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return file_err(err, errno, path);
	size_t bytes;
	char *to = NULL;
	enum err_code rc = file_check_regular(fd, path, TOOL_FILE_BYTES_MAX, &bytes, err);
	if (rc == ERR_OK) {
		to = arena_alloc_aligned(arena, bytes + 1, ARENA_ALIGN_TENSOR);
		rc = to ? file_read_at(fd, path, 0, to, bytes, err) : err_oom(err);
	}
	close(fd);
	if (rc != ERR_OK)
		return rc;
	to[bytes] = '\0';
	*ret = (struct slice){ to, bytes };
	return ERR_OK;
}
