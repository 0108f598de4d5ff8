/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stamp.h -- what the files of one version look like, in two numbers
 *
 * Life of a version: [WATCH] -> load -> ...
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include "loader/repo/scan.h"

struct stamp {
	uint64_t hash;
	int64_t changed_ms;
	uint64_t bytes;
	int n_files;
};

#define STAMP_DEPTH_MAX 8 /* directories below the version's own */

/* Who the version is and what its files look like: names, inodes, sizes and times of all
   below dirfd, read in any order, equal sets give equal hashes; or of the file alone.
   *budget is taken down by the entries read. FAILED_PRECONDITION: not a regular file. */
MUST_CHECK enum err_code stamp_look(int dirfd, const char *file, bool file_only, int64_t *budget,
	struct scan_id *ret_id, struct stamp *ret, struct err *err);

/* Of one file, or of what a link leads to. */
MUST_CHECK enum err_code stamp_file(
	int dirfd, const char *file, struct stamp *ret, struct err *err);
