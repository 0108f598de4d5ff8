/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.h -- which version to load, drop or drain next: a pure function
 *
 * Life of a version: watch -> [DECIDE] -> load -> ... -> publish -> [DECIDE] -> drain -> unload
 *
 * Availability comes first: what replaces a version is ready before that version goes;
 * a version that fails takes nothing away and lets the next older one stand in; the last
 * ready version goes only when nothing of its model is left on disk or nobody wants the
 * model. Among several things to do, loads of high numbers come before loads of low ones,
 * drains of low numbers before drains of high ones.
 *
 * Threads: any; no state.
 */
#pragma once

#include "loader/version.h"

enum version_policy { POLICY_LATEST, POLICY_ALL, POLICY_SPECIFIC };

struct policy_rule {
	bool enabled; /* false: nothing of the model is wanted */
	enum version_policy policy;
	int latest_n;
	const int64_t *versions; /* POLICY_SPECIFIC */
	int n_versions;
	const int64_t *labelled; /* wanted besides what the policy says */
	int n_labelled;
};

/* One version as the policy sees it. The array is sorted, highest number first. Of one
   number at most one is present: the others are files that were replaced. */
struct policy_version {
	int64_t number;
	enum version_state state;
	bool present;    /* on disk, these very files */
	/* READY, and goes on for its heir (present, of its number), which has failed. */
	bool stands_in;
	bool loadable;   /* FOUND, UNLOADED, FAILED: complete, and no reason not to try (again) */
	bool cancelling; /* its load was told to stop */
	bool wanted;     /* policy_want() says */
};

enum policy_act { POLICY_NOTHING, POLICY_LOAD, POLICY_CANCEL, POLICY_DRAIN, POLICY_FORGET };

struct policy_action {
	enum policy_act act;
	int index;
};

void policy_want(const struct policy_rule *rule, struct policy_version *v, int n);

/* The next thing to do after policy_want(); call both again when it is done. */
struct policy_action policy_next(
	const struct policy_rule *rule, const struct policy_version *v, int n);

static inline bool policy_is_loading(enum version_state s)
{
	return s == VERSION_LOADING || s == VERSION_COMPILING || s == VERSION_WARMING;
}
