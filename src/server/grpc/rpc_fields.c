/* SPDX-License-Identifier: Apache-2.0 */
#include "server/grpc/rpc_fields.h"

#include <stdbool.h>

/* A string longer than that goes beyond any block, however long it is. */
#define LENGTH_BITS_MAX 35

static void after_number(struct rpc_fields *f)
{
	f->at = f->strings ? RPC_FIELDS_LENGTH : RPC_FIELDS_NEXT;
}

/* RFC 7541, 6: what the first byte says is told by its leading bits, the rest is a number. */
static void begin(struct rpc_fields *f, uint8_t byte)
{
	bool is_entry = byte & 0x80, is_table_size = (byte & 0xe0) == 0x20;
	uint8_t most = is_entry ? 0x7f : byte & 0x40 ? 0x3f : is_table_size ? 0x1f : 0x0f;
	uint8_t number = byte & most;
	f->n += !is_table_size;
	f->strings = is_entry || is_table_size ? 0 : number ? 1 : 2;
	if (number == most)
		f->at = RPC_FIELDS_NUMBER;
	else
		after_number(f);
}

static void end_string(struct rpc_fields *f)
{
	f->strings--;
	after_number(f);
}

static void begin_string(struct rpc_fields *f)
{
	f->at = RPC_FIELDS_STRING;
	if (f->to_skip == 0)
		end_string(f);
}

static void take(struct rpc_fields *f, uint8_t byte)
{
	switch ((enum rpc_fields_at)f->at) {
	case RPC_FIELDS_NEXT: begin(f, byte); return;
	case RPC_FIELDS_NUMBER:
		if (!(byte & 0x80))
			after_number(f);
		return;
	case RPC_FIELDS_LENGTH:
		f->to_skip = byte & 0x7f;
		f->shift = 0;
		f->at = RPC_FIELDS_LENGTH_MORE;
		if (f->to_skip != 0x7f)
			begin_string(f);
		return;
	case RPC_FIELDS_LENGTH_MORE:
		if (f->shift < LENGTH_BITS_MAX) {
			f->to_skip += (uint64_t)(byte & 0x7f) << f->shift;
			f->shift += 7;
		}
		if (!(byte & 0x80))
			begin_string(f);
		return;
	case RPC_FIELDS_STRING: return;
	}
}

void rpc_fields_count(struct rpc_fields *f, const uint8_t *data, size_t n)
{
	for (size_t i = 0; i < n;) {
		if (f->at != RPC_FIELDS_STRING) {
			take(f, data[i++]);
			continue;
		}
		size_t skip = f->to_skip < n - i ? (size_t)f->to_skip : n - i;
		i += skip;
		f->to_skip -= skip;
		if (f->to_skip == 0)
			end_string(f);
	}
}
