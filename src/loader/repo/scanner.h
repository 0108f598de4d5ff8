/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scanner.h -- what the files of a scan share: scan.c walks roots and models, scan_list.c reads
 * directories and keeps the remarks, scan_version.c looks at one version
 *
 * Ownership, threads: as scan.h says.
 */
#pragma once

#include <dirent.h>
#include "loader/repo/scan.h"

struct scanner {
	const struct scan_conf *conf;
	struct arena *arena;
	struct scan *out;
	int64_t budget; /* directory entries */
	long most;      /* entries of one directory, which is most_path */
	const char *most_path;
	bool oom, cut; /* cut: the budget has ended a list */
};

/* A directory while it is read. */
struct scanner_list {
	DIR *dir;
	const char *path; /* until the scan ends */
	long n;           /* entries read */
	int errnum;       /* why there was no next one; 0: it was the last, or cut */
	bool cut;
};

/* The next entry that is not hidden; NULL: there is none, as l says. */
const struct dirent *scanner_next(struct scanner *s, struct scanner_list *l);

/* Links count as what they point to: version directories of a ConfigMap are links. */
bool scanner_is_dir(const struct scanner_list *l, const struct dirent *e);

/* After the last entry: was there something to read still? That is told, of a list that was cut
   at the end of the scan, by scanner_complain_of_cut(). */
bool scanner_complain_of_end(struct scanner *s, const struct scanner_list *l);
void scanner_complain_of_cut(struct scanner *s);

/* What is passed over or looks wrong, and why. */
void scanner_remark(struct scanner *s, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* What could not be looked at, and why. */
void scanner_complain(struct scanner *s, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Fills v, whose number and dir are set. false: there is nothing (more) of it. */
bool scanner_look(struct scanner *s, struct scan_version *v);

/* Looks for the model's own options in its directory. */
void scanner_look_conf(struct scanner *s, struct scan_model *m, int dirfd);

/* Of a file in the directory fd, or of fd itself ("" for file), which messages call what:
   remarks that anyone may write it, or, where permissions are strict, PERMISSION_DENIED. */
MUST_CHECK enum err_code scanner_check_writers(
	struct scanner *s, int fd, const char *file, const char *what, struct err *err);
