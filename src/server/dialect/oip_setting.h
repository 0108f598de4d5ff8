/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oip_setting.h -- Triton's trace and logging extensions, on either wire
 *
 * There is one level of the log, and no tracing: what the extensions can say of that is
 * said, the log's level can be changed until the next reload of the configuration, and
 * whatever would change nothing is refused. No path can be set.
 *
 * Threads: any. Memory: none; texts that are handed out live for ever.
 */
#pragma once

#include <stdint.h>
#include "base/err.h"
#include "base/slice.h"

enum oip_setting_type { OIP_SETTING_BOOL, OIP_SETTING_UINT, OIP_SETTING_TEXT };

struct oip_setting {
	struct slice key;
	enum oip_setting_type type;
	uint64_t number;
	struct slice text;
};

#define OIP_SETTINGS_MAX 16

struct oip_settings {
	struct oip_setting item[OIP_SETTINGS_MAX];
	int n;
};

/* One more of a request; INVALID_ARGUMENT: there are too many. */
MUST_CHECK enum err_code oip_setting_add(
	struct oip_settings *s, const struct oip_setting *one, struct err *err);

/* One of the extensions. */
struct oip_extension {
	const char *list_key; /* whose value is a list of texts; NULL: none */
	void (*get)(struct oip_settings *ret);
	/* All of them, or none. */
	enum err_code (*set)(const struct oip_settings *s, struct err *err);
};

extern const struct oip_extension oip_logging, oip_tracing;

/* What a request asks for: changes, if it has any and they are allowed. */
MUST_CHECK enum err_code oip_setting_apply(const struct oip_extension *x,
	const struct oip_settings *changes, bool allowed, struct err *err);
