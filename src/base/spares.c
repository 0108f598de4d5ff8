/* SPDX-License-Identifier: Apache-2.0 */
#include "base/spares.h"

struct spare *spares_take(struct spares *s)
{
	pthread_mutex_lock(&s->lock);
	struct spare *item = s->top;
	if (item) {
		s->top = item->next;
		s->bytes -= item->bytes;
		if (--s->n < s->least)
			s->least = s->n;
	}
	pthread_mutex_unlock(&s->lock);
	return item;
}

bool spares_give(struct spares *s, struct spare *item, size_t bytes, size_t bytes_max)
{
	pthread_mutex_lock(&s->lock);
	bool fits = bytes <= bytes_max && s->bytes <= bytes_max - bytes;
	if (fits) {
		*item = (struct spare){ .next = s->top, .bytes = bytes };
		s->top = item;
		s->bytes += bytes;
		s->n++;
	}
	pthread_mutex_unlock(&s->lock);
	return fits;
}

/* The chain below the first `above`. */
static struct spare *cut(struct spares *s, size_t above)
{
	struct spare **at = &s->top;
	for (size_t i = 0; i < above; i++)
		at = &(*at)->next;
	struct spare *rest = *at;
	*at = NULL;
	for (const struct spare *i = rest; i; i = i->next)
		s->bytes -= i->bytes;
	s->n = s->least = above;
	return rest;
}

static bool free_chain(struct spare *chain, spare_free_fn *free_one)
{
	bool any = chain;
	while (chain) {
		struct spare *item = chain;
		chain = chain->next;
		free_one(item);
	}
	return any;
}

bool spares_free_unused(struct spares *s, spare_free_fn *free_one)
{
	pthread_mutex_lock(&s->lock);
	struct spare *rest = cut(s, s->n - s->least);
	pthread_mutex_unlock(&s->lock);
	return free_chain(rest, free_one);
}

void spares_free_all(struct spares *s, spare_free_fn *free_one)
{
	pthread_mutex_lock(&s->lock);
	struct spare *all = cut(s, 0);
	pthread_mutex_unlock(&s->lock);
	free_chain(all, free_one);
}
