/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/repo/policy.h"

static bool is_listed(int64_t number, const int64_t *list, int n)
{
	for (int i = 0; i < n; i++)
		if (list[i] == number)
			return true;
	return false;
}

/* Can it answer, or is it on its way, or could it be? A version that failed and that
   nothing has changed about is none, so that an older one is wanted in its place; nor is
   one that is still being copied. */
static bool is_candidate(const struct policy_version *v)
{
	if (v->stands_in)
		return true;
	if (!v->present || v->cancelling)
		return false;
	return v->loadable || v->state == VERSION_READY || policy_is_loading(v->state);
}

void policy_want(const struct policy_rule *rule, struct policy_version *v, int n)
{
	int left = rule->policy == POLICY_LATEST ? rule->latest_n : 0;
	for (int i = 0; i < n; i++) {
		v[i].wanted = false;
		if (!rule->enabled || !is_candidate(&v[i]))
			continue;
		if (is_listed(v[i].number, rule->labelled, rule->n_labelled))
			v[i].wanted = true;
		if (rule->policy == POLICY_ALL ||
			(rule->policy == POLICY_SPECIFIC &&
				is_listed(v[i].number, rule->versions, rule->n_versions)))
			v[i].wanted = true;
		if (left > 0) {
			v[i].wanted = true;
			left--;
		}
	}
}

static bool is_settled_state(enum version_state s)
{
	return s == VERSION_FOUND || s == VERSION_UNLOADED || s == VERSION_FAILED;
}

/* May a ready version that is not wanted go? Not while what is to replace it is under
   way, and not for nothing. */
static bool may_drain(const struct policy_rule *rule, const struct policy_version *v, int n)
{
	bool any_ready = false, any_present = false;
	if (!rule->enabled)
		return true;
	for (int i = 0; i < n; i++) {
		any_present |= v[i].present;
		any_ready |= v[i].wanted && v[i].state == VERSION_READY;
		if (v[i].wanted && v[i].state != VERSION_READY)
			return false;
	}
	return any_ready || !any_present;
}

struct policy_action policy_next(
	const struct policy_rule *rule, const struct policy_version *v, int n)
{
	/* What is not there any more is loaded for nobody. A version that a newer one has
	   overtaken loads on: if each newcomer cancelled its elder, a steady stream of
	   versions would never get one ready. */
	for (int i = 0; i < n; i++)
		if (policy_is_loading(v[i].state) && !v[i].cancelling &&
			(!v[i].present || !rule->enabled))
			return (struct policy_action){ POLICY_CANCEL, i };
	for (int i = 0; i < n; i++)
		if (v[i].wanted && is_settled_state(v[i].state) && v[i].loadable)
			return (struct policy_action){ POLICY_LOAD, i };
	bool drain = may_drain(rule, v, n);
	for (int i = n - 1; i >= 0; i--)
		if (drain && v[i].state == VERSION_READY && !v[i].wanted)
			return (struct policy_action){ POLICY_DRAIN, i };
	for (int i = 0; i < n; i++)
		if (is_settled_state(v[i].state) && !v[i].present)
			return (struct policy_action){ POLICY_FORGET, i };
	return (struct policy_action){ POLICY_NOTHING, -1 };
}
