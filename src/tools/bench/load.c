/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN
 * A slot is idle, or busy with one request. The loop sends what is due on idle slots, and
 * sleeps until the next moment of the schedule or an event. It usually shares the machine
 * with the server, so it does no more than that.
 *
 * INVARIANTS
 * 1. A slot is in the list of idle ones exactly when it has no request.
 * 2. Every request that was sent ends in one count: a status or a failure.
 */
#include "tools/bench/load_state.h"

#include <math.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "base/clock.h"

/* Slots that an open loop has at hand before it begins. */
#define OPEN_LOOP_READY 16

const char *load_failure_text(enum load_failure f)
{
	static const char *const text[] = {
#define X(id, words) [LOAD_##id] = words,
		LOAD_FAILURES(X)
#undef X
	};
	return text[f];
}

uint64_t load_errors(const struct load_result *r)
{
	uint64_t n = 0;
	for (int s = 0; s < LOAD_STATUS_MAX; s++)
		n += s == r->ok_status ? 0 : r->by_status[s];
	for (int f = 0; f < LOAD_FAILURE_COUNT_; f++)
		n += r->failure[f];
	return n;
}

enum err_code load_schedule(double rate, bool poisson, int64_t duration_ns, uint64_t seed,
	struct arena *arena, const int64_t **ret, size_t *ret_n, struct err *err)
{
	double gap_ns = (double)NS_PER_S / rate;
	/* Six standard deviations above the mean: the process fits but in one run of 10^9. */
	double mean = (double)duration_ns / gap_ns, room = mean + 6 * sqrt(mean) + 16;
	size_t cap = room < 1e9 ? (size_t)room : 0, n = 0;
	if (cap == 0)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"%.0f requests are more than one run takes (10^9)", mean);
	int64_t *at = ARENA_ARRAY(arena, int64_t, cap);
	if (!at)
		return err_oom(err);
	struct rng rng = { seed };
	double t = 0;
	while (n < cap && t < (double)duration_ns) {
		at[n++] = (int64_t)t;
		t += poisson ? -log1p(-rng_unit(&rng)) * gap_ns : gap_ns;
	}
	*ret = at;
	*ret_n = n;
	return ERR_OK;
}

static void slot_idle(struct load *l, struct load_slot *s)
{
	s->next_idle = l->idle;
	l->idle = s;
}

/* A slot without request: an idle one, else a new one; NULL: as many as allowed. */
static struct load_slot *slot_take(struct load *l)
{
	struct load_slot *s = l->idle;
	if (s) {
		l->idle = s->next_idle;
		return s;
	}
	return l->n_slot == l->cap_slot ? NULL : load_slot_at(l, l->n_slot++);
}

static void slot_ends(struct load *l, struct load_slot *s)
{
	s->busy = false;
	l->n_busy--;
	slot_idle(l, s);
}

void load_failed(struct load *l, struct load_slot *s, enum load_failure why)
{
	l->result->failure[why]++;
	slot_ends(l, s);
}

void load_answered(struct load *l, struct load_slot *s, int status, struct slice body,
	size_t json_bytes)
{
	struct load_result *r = l->result;
	int64_t now_ns = clock_now_ns();
	r->by_status[status]++;
	if (status == r->ok_status) {
		hist_log_add(&r->latency, now_ns - s->due_ns);
		if (l->conf->on_answer && !l->conf->on_answer(l->conf->ctx, body, json_bytes))
			r->failure[LOAD_WRONG]++;
	}
	r->elapsed_ns = now_ns - l->start_ns;
	slot_ends(l, s);
}

/* Gives the slot its next request; latency counts from due_ns. */
static void slot_start(struct load *l, struct load_slot *s, int64_t due_ns, int64_t now_ns)
{
	const struct load_conf *conf = l->conf;
	uint64_t pick = conf->n_request > 1 ? rng_next(&l->rng) % (unsigned)conf->n_request : 0;
	s->busy = true;
	l->n_busy++;
	l->result->sent++;
	s->due_ns = due_ns;
	s->sent_ns = now_ns;
	conf->wire->send(l, s, conf->request[pick]);
}

static void send_due(struct load *l, int64_t now_ns)
{
	const struct load_conf *conf = l->conf;
	if (conf->concurrency) {
		/* Each once: one that fails at once is back in the list, and waits there for
		   the next round instead of spinning here. */
		struct load_slot *c = now_ns < l->end_ns ? l->idle : NULL;
		l->idle = c ? NULL : l->idle;
		while (c) {
			struct load_slot *next = c->next_idle;
			slot_start(l, c, now_ns, now_ns);
			c = next;
		}
		return;
	}
	while (l->next < conf->n_schedule && l->start_ns + conf->schedule[l->next] <= now_ns) {
		struct load_slot *c = slot_take(l);
		if (!c)
			return;
		int64_t due = l->start_ns + conf->schedule[l->next++];
		hist_log_add(&l->result->lag, now_ns - due);
		slot_start(l, c, due, now_ns);
		now_ns = clock_now_ns();
	}
}

static void give_up(struct load *l, int64_t now_ns)
{
	for (int i = 0; l->conf->wire->drop && i < l->n_slot; i++) {
		struct load_slot *s = load_slot_at(l, i);
		if (!s->busy || now_ns - s->sent_ns <= l->conf->timeout_ns)
			continue;
		l->conf->wire->drop(l, s);
		load_failed(l, s, LOAD_TIMEOUT);
	}
}

static void each_second(struct load *l, int64_t now_ns)
{
	if (now_ns < l->second_ns)
		return;
	l->second_ns = now_ns + NS_PER_S;
	give_up(l, now_ns);
	if (l->conf->on_second)
		l->conf->on_second(l->conf->ctx, (double)(now_ns - l->start_ns) / 1e9, l->result);
}

static bool is_over(const struct load *l, int64_t now_ns)
{
	bool more = l->conf->concurrency ? now_ns < l->end_ns : l->next < l->conf->n_schedule;
	/* What could not be sent by then never will be. */
	bool late = now_ns > l->end_ns + l->conf->timeout_ns;
	return l->n_busy == 0 && (!more || late);
}

static int64_t wake_at(const struct load *l)
{
	int64_t at = l->second_ns;
	bool can_send = l->idle || l->n_slot < l->cap_slot;
	if (!l->conf->concurrency && l->next < l->conf->n_schedule && can_send) {
		int64_t due = l->start_ns + l->conf->schedule[l->next];
		at = due < at ? due : at;
	}
	return at;
}

static void run_loop(struct load *l)
{
	for (;;) {
		int64_t now = clock_now_ns();
		if (is_over(l, now))
			return;
		send_due(l, now);
		int64_t wait = wake_at(l) - clock_now_ns();
		l->conf->wire->wait(l, wait > 0 ? wait : 0);
		each_second(l, clock_now_ns());
	}
}

static enum err_code connect_first(struct load *l, struct err *err)
{
	int n = l->conf->concurrency ? l->conf->concurrency : OPEN_LOOP_READY;
	for (int i = 0; i < n && i < l->cap_slot; i++)
		TRY(l->conf->wire->connect(l, slot_take(l), err));
	for (int i = 0; i < l->n_slot; i++)
		slot_idle(l, load_slot_at(l, i));
	return ERR_OK;
}

static enum err_code run(struct load *l, struct err *err)
{
	/* The default of 50 us would be a lag of our own. */
	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
	TRY(l->conf->wire->begin(l, err));
	TRY(connect_first(l, err));
	l->start_ns = clock_now_ns();
	l->end_ns = clock_after(l->start_ns, l->conf->duration_ns);
	l->second_ns = l->start_ns + NS_PER_S;
	run_loop(l);
	if (!l->conf->concurrency)
		l->result->failure[LOAD_UNSENT] += l->conf->n_schedule - l->next;
	return ERR_OK;
}

enum err_code load_run(const struct load_conf *conf, struct load_result *ret, struct err *err)
{
	hist_log_init(&ret->latency);
	hist_log_init(&ret->lag);
	ret->ok_status = conf->wire->ok_status;
	struct load l = { .conf = conf, .result = ret, .rng = { conf->seed } };
	l.cap_slot = conf->concurrency ? conf->concurrency : conf->connections_max;
	l.slots = calloc((size_t)l.cap_slot, conf->wire->slot_bytes);
	if (!l.slots)
		return err_oom(err);
	enum err_code rc = run(&l, err);
	for (int i = 0; i < l.n_slot; i++)
		conf->wire->end_slot(&l, load_slot_at(&l, i));
	conf->wire->end(&l);
	free(l.slots);
	return rc;
}
