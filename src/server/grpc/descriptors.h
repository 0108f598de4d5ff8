/* SPDX-License-Identifier: Apache-2.0 */
/*
 * descriptors.h -- what our .proto files say, for those who ask the server for it
 *
 * The build embeds the compiled files as a FileDescriptorSet. It is searched where it lies;
 * questions are rare, and it is some ten kilobytes.
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include <stdbool.h>
#include "base/slice.h"

#define DESCRIPTORS_FILES_MAX 32

/* How many files there are. */
int descriptors_count(void);

/* A file as a FileDescriptorProto; for ever. */
struct slice descriptors_file(int i);

/* -1: none. A symbol is a full name without a dot before it: of a message, an enum, a
   service, or what is in them. */
int descriptors_find_file(struct slice name);
int descriptors_find_symbol(struct slice symbol);
bool descriptors_has_message(struct slice symbol);

/* Marks a file and all that it imports. */
void descriptors_mark_imports(int file, bool needed[DESCRIPTORS_FILES_MAX]);
