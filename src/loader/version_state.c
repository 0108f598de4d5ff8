/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/version.h"

#include <assert.h>

static const struct version_state_info infos[VERSION_STATE_COUNT_] = {
#define X(id, text, oip, tfs, number) [VERSION_##id] = { text, oip, tfs, number },
	VERSION_STATES(X)
#undef X
};

#define TO(id) (1u << VERSION_##id)

/* Where each state may go. Any step of a load may fail; a failed or unloaded version may
   be loaded again; one that is not to be served any more leaves without having failed. */
static const unsigned moves[VERSION_STATE_COUNT_] = {
	[VERSION_FOUND] = TO(LOADING) | TO(FAILED) | TO(UNLOADED),
	[VERSION_LOADING] = TO(COMPILING) | TO(FAILED) | TO(UNLOADED),
	[VERSION_COMPILING] = TO(WARMING) | TO(FAILED) | TO(UNLOADED),
	[VERSION_WARMING] = TO(READY) | TO(FAILED) | TO(UNLOADED),
	[VERSION_READY] = TO(DRAINING),
	[VERSION_DRAINING] = TO(UNLOADED),
	[VERSION_UNLOADED] = TO(LOADING),
	[VERSION_FAILED] = TO(LOADING) | TO(UNLOADED),
};

const struct version_state_info *version_state_info(enum version_state s)
{
	assert(s < VERSION_STATE_COUNT_);
	return &infos[s];
}

bool version_may_move(enum version_state from, enum version_state to)
{
	assert(from < VERSION_STATE_COUNT_ && to < VERSION_STATE_COUNT_);
	return moves[from] >> to & 1;
}
