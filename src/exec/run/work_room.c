/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/run/work_room.h"

#include "base/room.h"

static struct room room; /* max 0: not asked for yet */

size_t work_room_max(void)
{
	if (!atomic_load(&room.max))
		atomic_store(&room.max, room_default_bytes());
	return atomic_load(&room.max);
}

void work_room_set_max(size_t bytes)
{
	atomic_store(&room.max, bytes);
}

bool work_room_take(size_t bytes)
{
	(void)work_room_max();
	return room_take(&room, bytes);
}

void work_room_give(size_t bytes)
{
	room_give(&room, bytes);
}

bool work_room_keeps(size_t bytes, int unused)
{
	size_t max = work_room_max();
	bool usual = bytes <= WORK_SMALL_BYTES || (unused <= WORK_UNUSED_MAX && bytes <= max / 8);
	return usual && !room_is_scarce(&room);
}
