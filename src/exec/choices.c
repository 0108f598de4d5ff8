/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/choices.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"

#define BUCKETS 1024
#define HEAD "signet kernel choices 1\t"

struct choice {
	struct choice *next;
	uint64_t hash;
	const char *key;
	char *name;
	size_t room; /* of the name, with its end */
};

struct choices {
	pthread_mutex_t lock;
	struct arena *arena;
	struct choice *bucket[BUCKETS];
	int n;
};

struct choices *choices_new(void)
{
	struct choices *c = calloc(1, sizeof(*c));
	struct arena *arena = c ? arena_new(1 << 14, 0) : NULL;
	if (!arena) {
		free(c);
		return NULL;
	}
	c->arena = arena;
	pthread_mutex_init(&c->lock, NULL);
	return c;
}

void choices_free(struct choices *c)
{
	if (!c)
		return;
	arena_free(c->arena);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static struct choice *find(struct choices *c, struct slice key, uint64_t hash)
{
	struct choice *x = c->bucket[hash % BUCKETS];
	while (x && !(x->hash == hash && slice_is(key, x->key)))
		x = x->next;
	return x;
}

bool choices_find(struct choices *c, const char *key, char ret_name[CHOICE_NAME_MAX])
{
	struct slice k = slice_of(key);
	pthread_mutex_lock(&c->lock);
	struct choice *x = find(c, k, hash_slice(k, 0));
	if (x)
		memcpy(ret_name, x->name, strlen(x->name) + 1);
	pthread_mutex_unlock(&c->lock);
	return x;
}

/* With the lock held. */
static struct choice *add(struct choices *c, struct slice key, uint64_t hash)
{
	if (c->n == CHOICES_MAX)
		return NULL;
	struct choice *x = ARENA_NEW(c->arena, struct choice);
	char *copy = x ? arena_strndup(c->arena, key.ptr, key.len) : NULL;
	if (!copy)
		return NULL;
	*x = (struct choice){.next = c->bucket[hash % BUCKETS], .hash = hash, .key = copy,
		.name = ""};
	c->bucket[hash % BUCKETS] = x;
	c->n++;
	return x;
}

/* With the lock held. */
static void put(struct choices *c, struct slice key, struct slice name)
{
	uint64_t hash = hash_slice(key, 0);
	if (name.len >= CHOICE_NAME_MAX || key.len >= CHOICE_KEY_MAX)
		return;
	struct choice *x = find(c, key, hash);
	if (!x)
		x = add(c, key, hash);
	if (!x)
		return;
	if (name.len >= x->room) {
		char *copy = arena_alloc(c->arena, name.len + 1);
		if (!copy)
			return;
		x->name = copy;
		x->room = name.len + 1;
	}
	memcpy(x->name, name.ptr, name.len);
	x->name[name.len] = '\0';
}

void choices_put(struct choices *c, const char *key, const char *name)
{
	pthread_mutex_lock(&c->lock);
	put(c, slice_of(key), slice_of(name));
	pthread_mutex_unlock(&c->lock);
}

uint64_t choices_count(struct choices *c)
{
	pthread_mutex_lock(&c->lock);
	uint64_t n = (uint64_t)c->n;
	pthread_mutex_unlock(&c->lock);
	return n;
}

void choices_write(struct choices *c, const char *machine, struct buf *to)
{
	buf_printf(to, HEAD "%s\n", machine);
	pthread_mutex_lock(&c->lock);
	for (int i = 0; i < BUCKETS; i++)
		for (const struct choice *x = c->bucket[i]; x; x = x->next)
			buf_printf(to, "%s\t%s\n", x->key, x->name);
	pthread_mutex_unlock(&c->lock);
}

/* Up to the next newline, which is taken away too; false: there is none. */
static bool next_line(struct slice *text, struct slice *ret)
{
	const char *end = text->len ? memchr(text->ptr, '\n', text->len) : NULL;
	if (!end)
		return false;
	*ret = (struct slice){text->ptr, (size_t)(end - text->ptr)};
	text->ptr = end + 1;
	text->len -= ret->len + 1;
	return true;
}

bool choices_read(struct choices *c, const char *machine, struct slice text)
{
	struct slice line, head = slice_of(HEAD), who = slice_of(machine);
	if (!next_line(&text, &line) || line.len != head.len + who.len ||
		memcmp(line.ptr, head.ptr, head.len) != 0 ||
		memcmp(line.ptr + head.len, who.ptr, who.len) != 0)
		return false;
	pthread_mutex_lock(&c->lock);
	while (next_line(&text, &line)) {
		const char *tab = line.len ? memchr(line.ptr, '\t', line.len) : NULL;
		if (!tab || memchr(line.ptr, '\0', line.len))
			continue;
		size_t at = (size_t)(tab - line.ptr);
		put(c, (struct slice){line.ptr, at}, (struct slice){tab + 1, line.len - at - 1});
	}
	pthread_mutex_unlock(&c->lock);
	return true;
}
