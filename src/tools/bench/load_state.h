/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_state.h -- what the loop of load.c and the ways for requests to travel share
 *
 * load.c decides when which slot sends what, and counts; load_http.c and load_rpc.c send,
 * and tell what became of it.
 *
 * Threads: one.
 */
#pragma once

#include "tools/bench/load.h"
#include "tools/values.h"

/* Room for one request under way. A way for requests to travel keeps its own behind it. */
struct load_slot {
	bool busy;
	int64_t due_ns, sent_ns;
	struct load_slot *next_idle;
};

struct load {
	const struct load_conf *conf;
	struct load_result *result;
	struct rng rng;
	void *wire; /* load_wire's own */
	char *slots;
	int n_slot, cap_slot, n_busy;
	struct load_slot *idle;
	int64_t start_ns, end_ns, second_ns;
	size_t next; /* of the schedule */
};

struct load_wire {
	size_t slot_bytes; /* struct load_slot is first in it */
	int ok_status;

	/* Sets l->wire. end() copes with what a begin() that failed has left. */
	enum err_code (*begin)(struct load *l, struct err *err);
	/* Before the time counts: what send() would have to wait for. */
	enum err_code (*connect)(struct load *l, struct load_slot *s, struct err *err);
	/* Ends in one call of load_answered() or load_failed(), now or later. */
	void (*send)(struct load *l, struct load_slot *s, struct slice request);
	/* Deals with what has come, or waits for it that long. */
	void (*wait)(struct load *l, int64_t wait_ns);
	/* The request is given up. NULL: requests end by themselves after conf->timeout_ns. */
	void (*drop)(struct load *l, struct load_slot *s);
	void (*end_slot)(struct load *l, struct load_slot *s);
	void (*end)(struct load *l);
};

static inline struct load_slot *load_slot_at(const struct load *l, int i)
{
	return (struct load_slot *)(l->slots + (size_t)i * l->conf->wire->slot_bytes);
}

/* The slot is idle from then on. body: of an answer that is well. */
void load_answered(struct load *l, struct load_slot *s, int status, struct slice body,
	size_t json_bytes);
void load_failed(struct load *l, struct load_slot *s, enum load_failure why);
