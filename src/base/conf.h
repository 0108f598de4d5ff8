/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf.h -- configuration files from a table: one row per option
 *
 * A file is sections of KEY = VALUE. A section is there once ([http]) or, when its row
 * says named, any number of times under names of its own ([model digits]); of a named
 * section, "[model *]" is what the sections after it start from. The rows say type,
 * default, bounds and place in a struct; conf_parse() makes those structs, or says
 * FILE:LINE and what is wrong. conf_write() prints the same rows as a file to start from.
 *
 * Ownership: all of a conf lives in the arena that it was parsed into.
 * Threads:   any may parse, each into an arena of its own; a parsed conf may be read by any.
 */
#pragma once

#include <stdint.h>
#include "base/buf.h"

#define CONF_BYTES_MAX (1u << 20)
#define CONF_OPTIONS_MAX 64 /* of one section */

/* What the option's place in its struct holds: */
enum conf_type {
	CONF_STRING,   /* const char *; "" when empty */
	CONF_BOOL,     /* bool */
	CONF_INT,      /* int64_t */
	CONF_SIZE,     /* size_t, bytes */
	CONF_DURATION, /* int64_t, nanoseconds */
	CONF_ENUM,     /* int, which of the choices */
	CONF_LIST,     /* struct conf_list, separated by commas */
	CONF_TYPE_COUNT_
};

struct conf_list {
	const char *const *item; /* NULL terminated */
	int n;
};

/* The same for a struct made from rows: CONF_C_INT threads; */
#define CONF_C_STRING const char *
#define CONF_C_BOOL bool
#define CONF_C_INT int64_t
#define CONF_C_SIZE size_t
#define CONF_C_DURATION int64_t
#define CONF_C_ENUM int
#define CONF_C_LIST struct conf_list

struct conf_option {
	const char *key;
	enum conf_type type;
	const char *init;     /* the default, as one would write it */
	const char *min, *max; /* INT, SIZE, DURATION; inclusive, as one would write them */
	const char *choices;  /* ENUM; separated by one space */
	size_t offset;
	bool reload;          /* may change while the process runs */
	const char *help;
};

struct conf_section {
	const char *name; /* NULL ends a table of sections */
	bool named;
	size_t bytes; /* of the struct that the offsets are in */
	const struct conf_option *option;
	int n_options;
	const char *help;
};

/* One section of a file; those that are there once exist always. */
struct conf_block {
	struct conf_block *next; /* in the file's order */
	const struct conf_section *section;
	const char *name; /* of a named section, else NULL */
	int line;         /* 0: not in the file */
	uint64_t given;   /* bit i: option i was set, by file or conf_set() */
	int *line_of;     /* of each option that the file gives; else 0 */
	void *values;
};

struct conf {
	struct arena *arena;
	const struct conf_section *sections;
	const char *file;
	struct conf_block *first;
};

struct conf_source {
	struct slice text;   /* the file's bytes */
	const char *file;    /* for messages */
	/* (optional) hears of every line that is wrong, not of the first alone */
	struct err_all *all;
};

/* Copies what it keeps of the text; borrows sections and file. */
MUST_CHECK enum err_code conf_parse(const struct conf_section *sections,
	const struct conf_source *from, struct arena *arena, struct conf **ret, struct err *err);

/* As a line in the file would, but over what the file says; for the command line. Makes
   the named section if need be (name NULL: not a named one). */
MUST_CHECK enum err_code conf_set(struct conf *c, const char *section, const char *name,
	const char *key, const char *value, struct err *err);

/* The struct of a section that is there once. */
const void *conf_get(const struct conf *c, const char *section);

/* The first named block of a section after `after` (NULL: of all), but not "*"; NULL: no
   more. conf_defaults() is "*", or the table's defaults. */
const struct conf_block *conf_next(const struct conf *c, const char *section,
	const struct conf_block *after);
MUST_CHECK enum err_code conf_defaults(const struct conf *c, const char *section, const void **ret,
	struct err *err);

/* Lays what the block was given over values, a struct of the same rows; lists and strings
   stay where they are. */
void conf_overlay(const struct conf_block *b, void *values);

/* Where the file gives the option, or else where the section begins; 0: not in the file. */
int conf_line(const struct conf_block *b, const char *key);

/* The block of a section that is there once. */
const struct conf_block *conf_block_of(const struct conf *c, const char *section);

/* FAILED_PRECONDITION, naming it, if an option that cannot change while the process runs
   differs. Named sections are not looked at. */
MUST_CHECK enum err_code conf_check_reload(const struct conf *old, const struct conf *next,
	struct err *err);

/* Every section and option, commented out, with its help, its rule and its default. */
void conf_write(const struct conf_section *sections, struct buf *to);

/* The row, or NULL. */
const struct conf_option *conf_find_option(const struct conf_section *sections, const char *section,
	const char *key);

/* conf_value.c: one option's value. */
MUST_CHECK enum err_code conf_value_set(const struct conf_option *o, struct slice text,
	void *values, struct arena *arena, struct err *err);
bool conf_value_equal(const struct conf_option *o, const void *a, const void *b);
void conf_value_copy(const struct conf_option *o, void *to, const void *from);
/* "whole number, 0 to 1024"; what conf_value_set() wants. */
void conf_value_rule(const struct conf_option *o, struct buf *to);
