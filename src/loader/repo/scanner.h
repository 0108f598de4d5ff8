/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scanner.h -- what the files of a scan share: scan.c walks roots and models, scan_version.c
 * looks at one version
 *
 * Ownership, threads: as scan.h says.
 */
#pragma once

#include "loader/repo/scan.h"

struct scanner {
	const struct scan_conf *conf;
	struct arena *arena;
	struct scan *out;
	long budget; /* directory entries */
	bool oom;
};

/* What is passed over or looks wrong, and why. */
void scanner_remark(struct scanner *s, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Fills v, whose number and dir are set. false: there is nothing (more) of it. */
bool scanner_look(struct scanner *s, struct scan_version *v);

/* Looks for the model's own options in its directory. */
void scanner_look_conf(struct scanner *s, struct scan_model *m, int dirfd);

/* Of a file in the directory fd, or of fd itself ("" for file), which messages call what:
   remarks that anyone may write it, or, where permissions are strict, PERMISSION_DENIED. */
MUST_CHECK enum err_code scanner_check_writers(
	struct scanner *s, int fd, const char *file, const char *what, struct err *err);
