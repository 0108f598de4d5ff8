/* SPDX-License-Identifier: Apache-2.0 */
#include "server/grpc/rpc_waste.h"

#include "base/clock.h"

uint32_t rpc_tally_add(struct rpc_tally *t, int64_t now_ns)
{
	uint64_t second = (uint64_t)(uint32_t)(now_ns / NS_PER_S) << 32;
	uint64_t was = atomic_load(&t->word), next;
	do {
		next = (was & ~(uint64_t)UINT32_MAX) == second ? was + 1 : second + 1;
	} while (!atomic_compare_exchange_weak(&t->word, &was, next));
	return (uint32_t)next;
}

bool rpc_waste_add(struct rpc_waste *w, uint32_t nth, int64_t now_ns)
{
	int64_t most_ns = 2 * (int64_t)w->one_max * w->forgets_ns;
	int64_t was = atomic_load(&w->until_ns), next;
	do {
		next = (was > now_ns ? was : now_ns) + w->forgets_ns;
		if (next - now_ns > most_ns)
			return false;
	} while (!atomic_compare_exchange_weak(&w->until_ns, &was, next));
	int64_t left = (most_ns - (next - now_ns)) / w->forgets_ns;
	return nth <= w->one_max && (int64_t)nth <= left;
}
