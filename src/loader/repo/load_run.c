/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "base/file.h"
#include "loader/repo/load.h"

static enum err_code check_files(struct load *l, int dirfd, const char *when)
{
	struct scan_id id;
	uint64_t stamp;
	enum err_code rc = scan_look(dirfd, &l->from, &id, &stamp, &l->err);
	if (rc != ERR_OK)
		return rc;
	if (scan_id_equal(&id, &l->from.id) && stamp == l->from.stamp)
		return ERR_OK;
	return err_set(&l->err, ERR_ABORTED, "the files changed %s", when);
}

/* Weights are held once as they are in the file, at least. */
static enum err_code check_budget(struct load *l)
{
	size_t most = l->vc.memory_bytes_max;
	if (!most || l->from.bytes <= most)
		return ERR_OK;
	return err_set(&l->err, ERR_RESOURCE_EXHAUSTED,
		"its files are %llu bytes, %zu are left of the memory for models",
		(unsigned long long)l->from.bytes, most);
}

static enum err_code run(struct load *l, int dirfd)
{
	enum err_code rc = check_files(l, dirfd, "before the load");
	if (rc == ERR_OK)
		rc = check_budget(l);
	if (rc == ERR_OK)
		rc = version_load(dirfd, l->file, &l->vc, &l->version, &l->err);
	if (rc != ERR_OK)
		return rc;
	rc = check_files(l, dirfd, "during the load");
	if (rc != ERR_OK) {
		version_free(l->version);
		l->version = NULL;
	}
	return rc;
}

void load_run(struct load *l)
{
	/* One descriptor for all of it: a directory renamed meanwhile is still this one. */
	int dirfd = open(l->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	l->err = (struct err){ .code = ERR_OK };
	if (atomic_load(&l->cancel))
		err_set(&l->err, ERR_CANCELLED, "the load was cancelled");
	else if (dirfd < 0)
		file_err(&l->err, errno, "version directory");
	else
		l->err.code = run(l, dirfd);
	if (dirfd >= 0)
		close(dirfd);
}
