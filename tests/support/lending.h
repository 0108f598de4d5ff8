/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lending.h -- may files' pages be lent here (base/lent.h), and are they?
 *
 * Without base/lent.c, which is under test: containers have file systems and limits of their own.
 */
#pragma once

#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

static inline bool lending_may_lock(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool may = p != MAP_FAILED && mlock2(p, bytes, MLOCK_ONFAULT) == 0;
	if (p != MAP_FAILED)
		munmap(p, bytes);
	return may && madvise(NULL, 0, 22 /* MADV_POPULATE_READ */) == 0;
}

/* Of a file that may be created in a directory: tempdirs are there. */
static inline bool lending_is_possible(const char *dir, size_t bytes)
{
	struct statfs s = { 0 };
	char path[128];
	snprintf(path, sizeof(path), "%s/lending.XXXXXX", dir);
	int made = mkstemp(path), fd = made < 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	if (made >= 0)
		close(made);
	bool may = fd >= 0 && fstatfs(fd, &s) == 0 && fcntl(fd, F_SETLEASE, F_RDLCK) == 0;
	unsigned type = (unsigned)s.f_type;
	if (fd >= 0)
		close(fd);
	if (made >= 0)
		unlink(path);
	return may && lending_may_lock(bytes) &&
	       (type == EXT4_SUPER_MAGIC || type == XFS_SUPER_MAGIC || type == BTRFS_SUPER_MAGIC ||
		       type == TMPFS_MAGIC);
}

/* Is a file of that name mapped? */
static inline bool lending_is_mapped(const char *name)
{
	char line[512];
	bool mapped = false;
	FILE *f = fopen("/proc/self/maps", "re");
	while (f && fgets(line, sizeof(line), f))
		mapped |= strstr(line, name) != NULL;
	if (f)
		fclose(f);
	return mapped;
}
