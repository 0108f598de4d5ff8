/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan.h -- one look at the disk: the complete set of models and versions there
 *
 * Life of a version: [WATCH] -> load -> ...
 *
 * A scan has no memory and decides nothing. What it could not read it calls unreadable,
 * so that nobody takes "not seen" for "not there". Everything is bounded: entries read
 * in all, models, versions of a model, files of a version, remarks.
 *
 * Ownership: results lie in the arena given.
 * Threads:   any; may hang with the file system, so never on a request's thread.
 */
#pragma once

#include <stdint.h>
#include "base/arena.h"

#define SCAN_MODELS_MAX 16384
#define SCAN_VERSIONS_MAX 16384 /* version numbers of one model; lower ones are not seen */
#define SCAN_FILES_MAX 4096     /* of one version, as far as its stamp is concerned */
#define SCAN_REMARKS_MAX 256

/* Which directory and which file, whatever is in them: changes when one is replaced, also
   when the file system gives an inode number out again. */
struct scan_id {
	uint64_t dir_dev, dir_ino, dir_born_ns;
	uint64_t file_dev, file_ino, file_born_ns;
};
bool scan_id_equal(const struct scan_id *a, const struct scan_id *b);

struct scan_version {
	int64_t number;
	const char *dir;  /* the version's directory, to be opened */
	const char *file; /* in it */
	bool file_only;   /* nothing else in dir belongs to it */
	struct scan_id id;
	uint64_t stamp;     /* of names, inodes, sizes and times of all its files */
	int64_t changed_ms; /* wall clock of the latest change (ctime, which nobody can set) */
	uint64_t bytes;     /* of its files */
	bool moved_in;      /* renamed in as a whole, so complete */
	enum err_code code; /* not ERR_OK: it is there, but cannot be read; reason says why */
	const char *reason;
};

struct scan_model {
	const char *name;
	const char *dir; /* where its versions are, for the watcher */
	struct scan_version *version; /* highest number first */
	int n_version;
	bool unreadable; /* what is there is not known: change nothing */
	int64_t lowest;  /* nor is it of versions below this number: there are too many */
	struct scan_conf_file {
		uint64_t stamp; /* 0: there is none */
		int64_t changed_ms;
		enum err_code code; /* not ERR_OK: it must not be read; reason says why */
		const char *reason;
	} conf; /* LAYOUT_CONF, where it may be */
	int order; /* in which it was met */
};

struct scan_dir {
	const char *path;
	struct scan_dir *next;
};

struct scan_remark {
	const char *text;
	bool serious; /* something that should be looked at is not */
	uint64_t hash; /* of the text: tells a new remark from one made before */
};

struct scan {
	struct scan_model *model; /* by name */
	int n_model;
	bool incomplete; /* a root could not be read, or a bound was met: others may exist */
	int n_root_models; /* models found under roots: none at all is suspicious */
	/* Version directories with no model in them (yet), for the watcher. */
	struct scan_dir *empty;
	struct scan_remark *remark;
	int n_remark;
};

struct scan_place {
	const char *name, *path; /* --model NAME=PATH */
};

struct scan_conf {
	const char *const *roots; /* NULL terminated */
	const struct scan_place *places;
	int n_places;
	int64_t entries_max; /* directory entries that one scan may read; 0: any number */
	bool strict_permissions; /* what anyone may write is not read */
	/* Is this version worth looking at? rank: 0 for the highest number. */
	bool (*wants)(void *ctx, const char *model, int64_t number, int rank);
	/* (optional) Was this directory renamed into its parent since the last scan? */
	bool (*moved_in)(void *ctx, const char *dir);
	void *ctx;
};

/* RESOURCE_EXHAUSTED: no memory; nothing is known then. */
MUST_CHECK enum err_code
scan_run(const struct scan_conf *conf, struct arena *arena, struct scan *ret, struct err *err);

/* Looks at one version again through its open directory: are these still the files that
   the scan saw? */
MUST_CHECK enum err_code scan_look(int dirfd, const struct scan_version *v, struct scan_id *ret_id,
	uint64_t *ret_stamp, struct err *err);
