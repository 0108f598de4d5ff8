/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cgroup.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_BYTES 1200

void cgroup_read_line(const char *dir, const char *name, char *ret, int size)
{
	char path[PATH_BYTES + 32];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *f = fopen(path, "re");
	if (!f || !fgets(ret, size, f))
		ret[0] = '\0';
	if (f)
		fclose(f);
}

/* Our folder of the controller, from a line of /proc/self/cgroup: ID:CONTROLLERS:PATH. Version
   2 has no controllers there. */
static bool folder_of(char *line, const char *controller, const char *root, char ret[PATH_BYTES])
{
	char *controllers = strchr(line, ':'),
	     *path = controllers ? strchr(controllers + 1, ':') : NULL;
	if (!path)
		return false;
	*path++ = *controllers++ = '\0';
	path[strcspn(path, "\n")] = '\0';
	if (controllers[0] == '\0') {
		snprintf(ret, PATH_BYTES, "%s%s", root, path);
		return true;
	}
	bool ours = false;
	snprintf(ret, PATH_BYTES, "%s/%s%s", root, controllers, path);
	for (char *save, *c = strtok_r(controllers, ",", &save); c; c = strtok_r(NULL, ",", &save))
		ours |= strcmp(c, controller) == 0;
	return ours;
}

int64_t cgroup_least(const struct cgroup_limit *limit, const char *proc_cgroup, const char *root)
{
	int64_t least = limit->unlimited;
	char line[1024], dir[PATH_BYTES];
	FILE *f = fopen(proc_cgroup, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (!folder_of(line, limit->controller, root, dir))
			continue;
		for (; strlen(dir) >= strlen(root); *strrchr(dir, '/') = '\0') {
			int64_t own = limit->of(dir);
			least = own < least ? own : least;
		}
	}
	if (f)
		fclose(f);
	return least;
}

/* "max", and numbers beyond all memory, are no limit. */
static int64_t memory_of(const char *dir)
{
	char line[64];
	cgroup_read_line(dir, "memory.max", line, sizeof(line));
	if (!line[0])
		cgroup_read_line(dir, "memory.limit_in_bytes", line, sizeof(line));
	long long bytes = atoll(line);
	return bytes > 0 ? bytes : INT64_MAX;
}

int64_t cgroup_memory_bytes(const char *proc_cgroup, const char *root)
{
	static const struct cgroup_limit limit = { "memory", memory_of, INT64_MAX };
	return cgroup_least(&limit, proc_cgroup, root);
}

size_t cgroup_machine_bytes(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGE_SIZE);
	int64_t all = pages > 0 && size > 0 ? (int64_t)pages * size : INT64_MAX;
	int64_t ours = cgroup_memory_bytes(CGROUP_PROC, CGROUP_ROOT);
	return (size_t)(ours < all ? ours : all);
}
