/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/epoch.h"

#define READERS 4
#define ROUNDS 300
#define DEAD 0x6465u

struct thing {
	unsigned a, b;
};

static void *_Atomic current;
static atomic_bool stop;
static atomic_ulong reads;

static void *read_always(void *arg)
{
	unsigned long bad = 0;
	(void)arg;
	while (!atomic_load(&stop)) {
		epoch_enter();
		epoch_enter();
		const struct thing *t = epoch_read(&current);
		epoch_leave();
		bad += t->a == DEAD || t->a != t->b;
		epoch_leave();
		atomic_fetch_add(&reads, 1);
	}
	return (void *)bad;
}

START_TEST(a_reader_never_sees_what_was_freed)
{
	pthread_t thread[READERS];
	struct thing *t = malloc(sizeof(*t));
	*t = (struct thing){ 1, 1 };
	epoch_publish(&current, t);
	for (int i = 0; i < READERS; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, read_always, NULL), 0);

	for (unsigned i = 2; i < ROUNDS || atomic_load(&reads) < ROUNDS; i++) {
		t = malloc(sizeof(*t));
		*t = (struct thing){ i, i };
		struct thing *old = epoch_publish(&current, t);
		epoch_wait();
		*old = (struct thing){ DEAD, ~DEAD };
		free(old);
	}

	atomic_store(&stop, true);
	for (int i = 0; i < READERS; i++) {
		void *bad;
		pthread_join(thread[i], &bad);
		ck_assert_ptr_null(bad);
	}
	free(epoch_publish(&current, NULL));
}
END_TEST

static atomic_int stage;

static void *wait_for_readers(void *arg)
{
	(void)arg;
	epoch_wait();
	atomic_store(&stage, 1);
	return NULL;
}

START_TEST(the_writer_waits_for_the_outermost_leave)
{
	pthread_t writer;
	epoch_enter();
	epoch_enter();
	ck_assert_int_eq(pthread_create(&writer, NULL, wait_for_readers, NULL), 0);
	epoch_leave();
	usleep(30000);
	ck_assert_int_eq(atomic_load(&stage), 0);
	epoch_leave();
	pthread_join(writer, NULL);
	ck_assert_int_eq(atomic_load(&stage), 1);
}
END_TEST

static void *enter_once(void *arg)
{
	(void)arg;
	epoch_enter();
	epoch_leave();
	return NULL;
}

START_TEST(threads_that_ended_hold_nobody_up)
{
	for (int i = 0; i < 200; i++) {
		pthread_t thread[2];
		for (int j = 0; j < 2; j++)
			ck_assert_int_eq(pthread_create(&thread[j], NULL, enter_once, NULL), 0);
		epoch_wait();
		for (int j = 0; j < 2; j++)
			pthread_join(thread[j], NULL);
	}
	epoch_wait();
}
END_TEST

Suite *suite_epoch(void);
Suite *suite_epoch(void)
{
	Suite *s = suite_create("epoch");
	TCase *t = tcase_create("epoch");
	tcase_add_test(t, a_reader_never_sees_what_was_freed);
	tcase_add_test(t, the_writer_waits_for_the_outermost_leave);
	tcase_add_test(t, threads_that_ended_hold_nobody_up);
	suite_add_tcase(s, t);
	return s;
}
