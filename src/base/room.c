/* SPDX-License-Identifier: Apache-2.0 */
#include "base/room.h"

#include "base/cgroup.h"

size_t room_default_bytes(void)
{
	return cgroup_machine_bytes() / 2;
}

bool room_take(struct room *r, size_t bytes)
{
	size_t max = atomic_load(&r->max), now = atomic_load(&r->taken);
	do {
		if (bytes > max || now > max - bytes)
			return false;
	} while (!atomic_compare_exchange_weak(&r->taken, &now, now + bytes));
	return true;
}

void room_give(struct room *r, size_t bytes)
{
	atomic_fetch_sub(&r->taken, bytes);
}

bool room_is_scarce(const struct room *r)
{
	return atomic_load(&r->taken) > atomic_load(&r->max) / 2;
}
