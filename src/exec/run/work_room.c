/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/run/work_room.h"

#include <stdatomic.h>
#include <stdint.h>
#include "base/cgroup.h"

static atomic_size_t taken, most; /* most 0: not asked for yet */

size_t work_room_max(void)
{
	size_t bytes = atomic_load(&most);
	if (!bytes) {
		bytes = cgroup_machine_bytes() / 2;
		atomic_store(&most, bytes);
	}
	return bytes;
}

void work_room_set_max(size_t bytes)
{
	atomic_store(&most, bytes);
}

bool work_room_take(size_t bytes)
{
	size_t max = work_room_max(), now = atomic_load(&taken);
	do {
		if (bytes > max || now > max - bytes)
			return false;
	} while (!atomic_compare_exchange_weak(&taken, &now, now + bytes));
	return true;
}

void work_room_give(size_t bytes)
{
	atomic_fetch_sub(&taken, bytes);
}

bool work_room_keeps(size_t bytes, int unused)
{
	size_t max = work_room_max();
	bool usual = bytes <= WORK_SMALL_BYTES || (unused <= WORK_UNUSED_MAX && bytes <= max / 8);
	return usual && atomic_load(&taken) <= max / 2;
}
