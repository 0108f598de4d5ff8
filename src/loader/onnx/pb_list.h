/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pb_list.h -- a long list of numbers or strings, from a protobuf file to where it stays
 *
 * Of a list that is not packed each element is a field, tag and all. protobuf-c notes every
 * field of a message in 40 bytes, and when it knows how many there are it reads them once more;
 * here each goes into the list when it is seen. The list has room for as many elements as
 * there can be, of which only what is written is touched, until pb_list_done().
 *
 * Ownership: pb_list_done() gives the list to the arena; strings lie there from the beginning.
 * Threads:   one at a time.
 */
#pragma once

#include <stdint.h>
#include "base/arena.h"
#include "base/file.h"

/* BYTES: no list. */
enum pb_kind { PB_BYTES, PB_FLOATS, PB_INTS, PB_STRINGS };

struct pb_list {
	enum pb_kind kind;
	uint8_t tag; /* of each element */
	struct arena *arena;
	struct file_mem *mem; /* float, int64_t or struct slice */
	size_t n, cap;
	bool exhausted; /* no memory for a string */
};

/* The tag of an element of a field; number is less than 16. */
uint8_t pb_list_tag(enum pb_kind kind, uint32_t number);

/* A list whose elements take wire_bytes at most. False: that would take more than bytes_max,
   or there is no memory. */
MUST_CHECK bool pb_list_init(struct pb_list *l, enum pb_kind kind, uint32_t number,
	uint64_t wire_bytes, size_t bytes_max, struct arena *arena);

/* Takes the elements that stand one after the other at `at` and are whole and valid. Returns how
   many bytes they have. */
size_t pb_list_take(struct pb_list *l, const uint8_t *at, size_t bytes);

/* *ret: the elements. RESOURCE_EXHAUSTED: they are freed. */
MUST_CHECK enum err_code pb_list_done(struct pb_list *l, void **ret, struct err *err);
void pb_list_drop(struct pb_list *l);

/* Makes `what` string n of a list, whose first n are there: one of the last few, if it was said
   before, or a copy. */
MUST_CHECK bool pb_list_put_string(
	struct slice *list, size_t n, struct slice what, struct arena *arena);
