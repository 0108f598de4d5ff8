/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tempdir.h -- a directory for one test, gone with all that is in it afterwards
 */
#pragma once

#include <stddef.h>

struct tempdir {
	char path[64];
	int fd;
};

/* Fails the test when it cannot. */
struct tempdir tempdir_new(void);
void tempdir_free(struct tempdir *d);

/* A file in it, with these bytes; missing directories of path are made. */
void tempdir_put(const struct tempdir *d, const char *path, const void *data, size_t bytes);
void tempdir_put_str(const struct tempdir *d, const char *path, const char *text);
