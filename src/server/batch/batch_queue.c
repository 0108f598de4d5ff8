/* SPDX-License-Identifier: Apache-2.0 */
#include "server/batch/batch_queue.h"

#include "base/clock.h"

/* How far behind the head requests of the same shape are looked for. */
#define LOOK_AHEAD 256

/* Waking a thread, and being woken by it, costs some 20 us of the two cores involved; a
   batch learnt to be this quick is better run where it arrives. */
#define AT_ONCE_NS (100 * NS_PER_US)

/* There and back, from memory that no cache holds. */
#define COPY_BYTES_PER_NS 4

static const int64_t class_weight[CLASS_COUNT_] = {
	[CLASS_HIGH] = 8, [CLASS_NORMAL] = 4, [CLASS_LOW] = 1
};

/* -- what the warm-up has learnt --------------------------------------------------------------- */

/* 0: not known. */
static int64_t latency_of(const struct signature *sig, int64_t rows)
{
	return sig->latency_ns && rows <= sig->max_batch ? sig->latency_ns[rows] : 0;
}

bool batch_is_quick(const struct signature *sig, int64_t rows)
{
	int64_t ns = latency_of(sig, rows);
	return ns > 0 && ns <= AT_ONCE_NS;
}

/* Learnt times are no more exact than an eighth. */
bool batch_pays(const struct signature *sig, const struct request *r, int64_t rows)
{
	int64_t together = latency_of(sig, rows + r->rows);
	int64_t apart = latency_of(sig, rows) + latency_of(sig, r->rows);
	int64_t copy_ns = (int64_t)(r->in_bytes / COPY_BYTES_PER_NS);
	return together == 0 || together + copy_ns <= apart + together / 8;
}

/* -- in and out -------------------------------------------------------------------------------- */

static struct class_queue *class_of(struct batch_queue *q, const struct request *r)
{
	if (r->priority == 1)
		return &q->class[CLASS_HIGH];
	return &q->class[r->priority == 0 ? CLASS_NORMAL : CLASS_LOW];
}

/* NULL: all are empty. */
static struct class_queue *next_class(struct batch_queue *q)
{
	struct class_queue *best = NULL;
	for (int c = 0; c < CLASS_COUNT_; c++)
		if (q->class[c].head && (!best || q->class[c].pass < best->pass))
			best = &q->class[c];
	return best;
}

bool batch_queue_is_empty(const struct batch_queue *q)
{
	for (int c = 0; c < CLASS_COUNT_; c++)
		if (q->class[c].head)
			return false;
	return true;
}

int64_t batch_queue_oldest_ns(const struct batch_queue *q)
{
	int64_t oldest = INT64_MAX;
	for (int c = 0; c < CLASS_COUNT_; c++)
		if (q->class[c].head && q->class[c].head->queued_ns < oldest)
			oldest = q->class[c].head->queued_ns;
	return oldest;
}

/* A class earns nothing while it is empty: it begins where the last batch was taken. If it was
   served more than its share before, it begins behind that, as long as others wait; when the whole
   queue is empty all begin anew. */
static void begin_class(struct batch_queue *q, struct class_queue *own)
{
	if (batch_queue_is_empty(q)) {
		q->pass = 0;
		for (int c = 0; c < CLASS_COUNT_; c++)
			q->class[c].pass = 0;
	}
	if (own->pass < q->pass)
		own->pass = q->pass;
}

void batch_queue_put(struct batch_queue *q, struct request *r)
{
	struct class_queue *own = class_of(q, r);
	if (!own->head)
		begin_class(q, own);
	r->next = NULL;
	r->prev = own->tail;
	*(own->tail ? &own->tail->next : &own->head) = r;
	own->tail = r;
	q->rows += r->rows;
	q->bytes += r->in_bytes;
	atomic_store(&r->state, REQUEST_QUEUED);
}

void batch_queue_remove(struct batch_queue *q, struct request *r, enum request_state to)
{
	struct class_queue *own = class_of(q, r);
	*(r->prev ? &r->prev->next : &own->head) = r->next;
	*(r->next ? &r->next->prev : &own->tail) = r->prev;
	r->next = r->prev = NULL;
	q->rows -= r->rows;
	q->bytes -= r->in_bytes;
	atomic_store(&r->state, to);
}

struct request *batch_queue_take_expired(struct batch_queue *q, int64_t now)
{
	struct request *expired = NULL;
	for (int c = 0; c < CLASS_COUNT_; c++)
		for (struct request *r = q->class[c].head, *next; r; r = next) {
			next = r->next;
			if (r->deadline_ns > now)
				continue;
			batch_queue_remove(q, r, REQUEST_DONE);
			r->next = expired;
			expired = r;
		}
	return expired;
}

/* -- who goes together ------------------------------------------------------------------------- */

static bool same_shapes(
	const struct signature *sig, const struct request *a, const struct request *b)
{
	for (int i = 0; i < sig->n_in; i++) {
		const struct tensor *x = &a->in[i], *y = &b->in[i];
		if (!x->data != !y->data || x->shape.rank != y->shape.rank)
			return false;
		for (int d = 1; d < x->shape.rank; d++)
			if (x->shape.dim[d] != y->shape.dim[d])
				return false;
	}
	return true;
}

/* May r join a batch of that many rows, the tightest deadline of which is given? */
static bool fits(const struct batch_queue *q, const struct request *head, const struct request *r,
	int64_t rows, int64_t deadline, int64_t now)
{
	int64_t together = rows + r->rows;
	if (together > q->gather_max || r->rows == 0 || !same_shapes(q->sig, head, r) ||
		!batch_pays(q->sig, r, rows))
		return false;
	deadline = r->deadline_ns < deadline ? r->deadline_ns : deadline;
	return deadline == INT64_MAX || latency_of(q->sig, together) <= deadline - now;
}

struct request *batch_queue_take(struct batch_queue *q, int64_t now)
{
	struct class_queue *own = next_class(q);
	if (!own)
		return NULL;
	struct request *head = own->head, *last = head, *r = head->next;
	int64_t rows = head->rows, deadline = head->deadline_ns;
	batch_queue_remove(q, head, REQUEST_RUNNING);
	bool alone = !q->sig->batchable || rows == 0;
	for (int seen = 0; r && !alone && seen < LOOK_AHEAD && rows < q->gather_max; seen++) {
		struct request *next = r->next;
		if (fits(q, head, r, rows, deadline, now)) {
			batch_queue_remove(q, r, REQUEST_RUNNING);
			rows += r->rows;
			deadline = r->deadline_ns < deadline ? r->deadline_ns : deadline;
			last->next = r;
			last = r;
		}
		r = next;
	}
	/* Rows without bytes cost one run, however many they are. */
	int64_t cost = head->in_bytes && rows ? rows : 1;
	q->pass = own->pass;
	own->pass += cost * class_weight[CLASS_HIGH] / class_weight[own - q->class];
	return head;
}
