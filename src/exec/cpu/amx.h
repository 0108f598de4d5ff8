/* SPDX-License-Identifier: Apache-2.0 */
/*
 * amx.h -- the tiles' registers of AMX: four of sums, two of each operand
 *
 * A tile has up to 16 rows of 64 bytes: of sums 16 columns; of the left operand 16 slots of a row,
 * a slot being four bytes that are neighbours along the sum; of the right one, for each of 16
 * slots, those of 16 columns. Two vectors of columns, a panel, are two tiles side by side.
 *
 * Tiles are a thread's own, and the kernel saves all that are in use: who begins ends.
 *
 * For files that are compiled for it. Threads: any. Memory: none.
 */
#pragma once

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>

#define AMX_ROWS 16
#define AMX_SLOTS 16
#define AMX_ROW_BYTES 64

/* Sums of the rows of A0 and of A1, each by a panel's two tiles. The compiler wants numbers. */
#define AMX_SUM_00 0
#define AMX_SUM_01 1
#define AMX_SUM_10 2
#define AMX_SUM_11 3
#define AMX_A0 4
#define AMX_A1 5
#define AMX_B0 6
#define AMX_B1 7
#define AMX_TILES 8

/* As the instruction reads it. */
struct amx_config {
	uint8_t palette, start_row, reserved[14];
	uint16_t row_bytes[16];
	uint8_t rows[16];
};

/* Tiles of so many rows of the left operand and slots along the sum. */
static inline void amx_begin(int rows, int slots)
{
	struct amx_config c = {.palette = 1};
	for (int i = 0; i < AMX_TILES; i++) {
		c.rows[i] = (uint8_t)(i < AMX_B0 ? rows : slots);
		c.row_bytes[i] = (uint16_t)(i == AMX_A0 || i == AMX_A1 ? 4 * slots : AMX_ROW_BYTES);
	}
	_tile_loadconfig(&c);
}

/* What was written is in memory: gcc does not see that a tile's load reads it. */
static inline __attribute__((always_inline)) void amx_written(void)
{
	__asm__ volatile("" ::: "memory");
}

/* Sums begin with the panel's bias in every row; two: those of A1 as well. */
static inline __attribute__((always_inline)) void amx_load_bias(const void *bias, const bool two)
{
	const char *right = (const char *)bias + AMX_ROW_BYTES;
	_tile_loadd(AMX_SUM_00, bias, 0);
	_tile_loadd(AMX_SUM_01, right, 0);
	if (two) {
		_tile_loadd(AMX_SUM_10, bias, 0);
		_tile_loadd(AMX_SUM_11, right, 0);
	}
}

/* Rows of a panel's sums to memory: those of A0 from `to` on, two: those of A1 from `below` on. */
static inline __attribute__((always_inline)) void amx_store_sums(
	void *to, void *below, const bool two)
{
	const int64_t row = 2 * AMX_ROW_BYTES;
	_tile_stored(AMX_SUM_00, to, row);
	_tile_stored(AMX_SUM_01, (char *)to + AMX_ROW_BYTES, row);
	if (two) {
		_tile_stored(AMX_SUM_10, below, row);
		_tile_stored(AMX_SUM_11, (char *)below + AMX_ROW_BYTES, row);
	}
}

/* Slots of a step: all steps of a run are alike. 0: they would be short. */
static inline int64_t amx_step(int64_t run)
{
	int64_t steps = (run + AMX_SLOTS - 1) / AMX_SLOTS;
	while (steps < run && run % steps)
		steps++;
	return run > AMX_SLOTS && run / steps < AMX_SLOTS / 2 ? 0 : run / steps;
}

static inline void amx_end(void)
{
	_tile_release();
}
