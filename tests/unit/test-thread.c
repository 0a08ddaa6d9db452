/* SPDX-License-Identifier: MIT */

/* Threads and the signals of the process: engine/thread.h. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/lock.h"
#include "engine/thread.h"

/* A thread that waits until it may end. */
struct waiter {
	struct mutex lock;
	struct condition changed;
	bool may_end;
	sigset_t blocked;
	size_t stack_bytes;
};

static void *waiter_run(void *ctx)
{
	struct waiter *waiter = ctx;
	pthread_attr_t attr;

	pthread_sigmask(SIG_BLOCK, NULL, &waiter->blocked);
	assert_int_equal(pthread_getattr_np(pthread_self(), &attr), 0);
	pthread_attr_getstacksize(&attr, &waiter->stack_bytes);
	pthread_attr_destroy(&attr);
	mutex_lock(&waiter->lock);
	while (!waiter->may_end)
		condition_wait(&waiter->changed, &waiter->lock);
	mutex_unlock(&waiter->lock);
	return ctx;
}

static pthread_t waiter_start(struct waiter *waiter, size_t stack_bytes)
{
	pthread_t thread = 0;

	*waiter = (struct waiter){ .may_end = false };
	mutex_init(&waiter->lock);
	condition_init(&waiter->changed);
	assert_int_equal(thread_start(&thread, stack_bytes, waiter_run, waiter),
			 0);
	return thread;
}

static void waiter_end(struct waiter *waiter, pthread_t thread)
{
	void *result;

	mutex_lock(&waiter->lock);
	waiter->may_end = true;
	condition_wake_all(&waiter->changed);
	mutex_unlock(&waiter->lock);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_ptr_equal(result, waiter);
	condition_release(&waiter->changed);
	mutex_release(&waiter->lock);
}

static void a_signal_of_the_process_waits_for_another_thread(void **state)
{
	struct timespec at_once = { 0 };
	struct waiter waiter;
	sigset_t own, before, pending;
	pthread_t thread = waiter_start(&waiter, 0);

	(void)state;
	sigemptyset(&own);
	sigaddset(&own, SIGTERM);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, &own, &before), 0);
	/* Were it delivered to the other thread, it would end the process. */
	assert_int_equal(kill(getpid(), SIGTERM), 0);
	assert_int_equal(sigpending(&pending), 0);
	assert_true(sigismember(&pending, SIGTERM));
	waiter_end(&waiter, thread);
	assert_int_equal(sigtimedwait(&own, NULL, &at_once), SIGTERM);
	assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
}

static void faults_are_not_blocked(void **state)
{
	static const int faults[] = { SIGBUS, SIGFPE, SIGILL, SIGSEGV };
	struct waiter waiter;
	size_t i;

	(void)state;
	waiter_end(&waiter, waiter_start(&waiter, 0));
	for (i = 0; i < sizeof(faults) / sizeof(*faults); i++)
		assert_false(sigismember(&waiter.blocked, faults[i]));
	assert_true(sigismember(&waiter.blocked, SIGINT));
}

static void the_starter_keeps_its_mask(void **state)
{
	struct waiter waiter;
	sigset_t after;

	(void)state;
	waiter_end(&waiter, waiter_start(&waiter, 0));
	pthread_sigmask(SIG_BLOCK, NULL, &after);
	assert_false(sigismember(&after, SIGINT));
}

static void a_stack_is_as_large_as_asked_for(void **state)
{
	struct waiter waiter;

	(void)state;
	waiter_end(&waiter, waiter_start(&waiter, 1u << 20));
	assert_in_range(waiter.stack_bytes, 1u << 20, 2u << 20);
}

static void a_stack_that_cannot_be_is_an_error(void **state)
{
	struct waiter waiter;
	pthread_t thread;

	(void)state;
	assert_int_equal(thread_start(&thread, 1, waiter_run, &waiter),
			 -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_signal_of_the_process_waits_for_another_thread),
		cmocka_unit_test(faults_are_not_blocked),
		cmocka_unit_test(the_starter_keeps_its_mask),
		cmocka_unit_test(a_stack_is_as_large_as_asked_for),
		cmocka_unit_test(a_stack_that_cannot_be_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
