/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout.h -- how a repository is laid out: which names are models, versions, files
 *
 * Life of a version: [WATCH] -> load -> ...
 *
 *   ROOT/NAME/VERSION/model.onnx       TensorFlow Serving, Triton
 *   ROOT/NAME/VERSION/model.signet     the same, compiled; goes before model.onnx
 *   PATH/VERSION/model.onnx            --model NAME=PATH
 *   PATH/NAME/VERSION/model.onnx       --model NAME=PATH where PATH is a Triton repository
 *   PATH/model.onnx                    --model NAME=PATH: version 1 (KServe's flat /mnt/models)
 *   PATH                               --model NAME=PATH where PATH is a file: version 1
 *
 * Beside the versions, or a flat model.onnx, may lie a file of the model's own options:
 *
 *   ROOT/NAME/model.conf
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/slice.h"

#define LAYOUT_NAME_MAX 128
#define LAYOUT_FLAT_VERSION 1
#define LAYOUT_CONF "model.conf"

/* [A-Za-z0-9._-]{1,128}, not "." or "..": what may stand in URLs, paths and metrics. */
bool layout_is_model_name(struct slice name);

/* 0 or a decimal number without leading zeros up to 2^63 - 1; nothing else is a version. */
bool layout_parse_version(struct slice name, int64_t *ret);

/* Files that a version can be read from, the preferred one first, NULL terminated. */
#define LAYOUT_FILES 2
extern const char *const layout_files[LAYOUT_FILES + 1];

/* Is it one of them? */
bool layout_is_file(const char *name);

/* The first of them that is there, readable or not; NULL: none. */
const char *layout_find_file(int dirfd);
