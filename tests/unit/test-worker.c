/* SPDX-License-Identifier: MIT */

#include "fs/worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/lock.h"

/* Where jobs wait until the test lets them go on. */
static struct gate {
	struct mutex lock;
	struct condition changed;
	unsigned int waiting;
	bool open;
} gate;

struct job {
	struct work work;
	atomic_uint *count;
};

static void gate_wait(struct work *work)
{
	struct job *job = (struct job *)work;

	mutex_lock(&gate.lock);
	gate.waiting++;
	condition_wake_all(&gate.changed);
	while (!gate.open)
		condition_wait(&gate.changed, &gate.lock);
	gate.waiting--;
	mutex_unlock(&gate.lock);
	atomic_fetch_add(job->count, 1);
}

static void gate_wait_for(unsigned int waiting)
{
	mutex_lock(&gate.lock);
	while (gate.waiting < waiting)
		condition_wait(&gate.changed, &gate.lock);
	mutex_unlock(&gate.lock);
}

static void gate_open(void)
{
	mutex_lock(&gate.lock);
	gate.open = true;
	condition_wake_all(&gate.changed);
	mutex_unlock(&gate.lock);
}

static void count_one(struct work *work)
{
	atomic_fetch_add(((struct job *)work)->count, 1);
}

static struct worker_pool *pool;

static void make(unsigned int thread_max, size_t queue_max,
		 size_t queue_max_bytes)
{
	struct worker_limits limits = {
		.thread_max = thread_max,
		.queue_max = queue_max,
		.queue_max_bytes = queue_max_bytes,
	};

	assert_int_equal(worker_pool_new(&limits, &pool), 0);
}

static int setup(void **state)
{
	(void)state;
	mutex_init(&gate.lock);
	condition_init(&gate.changed);
	gate.waiting = 0;
	gate.open = false;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	worker_pool_free(pool);
	pool = NULL;
	condition_release(&gate.changed);
	mutex_release(&gate.lock);
	return 0;
}

static void a_pool_without_work_ends(void **state)
{
	(void)state;
	make(4, 4, 1024);
	worker_drain(pool);
}

static void all_work_is_done_once(void **state)
{
	enum {
		COUNT = 20000
	};
	static struct job jobs[COUNT];
	atomic_uint done = 0;
	unsigned int inline_count = 0;

	(void)state;
	make(4, 128, 1 << 20);
	for (unsigned int i = 0; i < COUNT; i++) {
		jobs[i] = (struct job){ .work.run = count_one, .count = &done };
		if (!worker_submit(pool, &jobs[i].work)) {
			inline_count++;
			count_one(&jobs[i].work);
		}
	}
	worker_drain(pool);
	assert_int_equal(done, COUNT);
	assert_true(inline_count < COUNT);
}

static void work_that_waits_does_not_hold_up_other_work(void **state)
{
	atomic_uint waited = 0, counted = 0;
	struct job slow[3], fast;

	(void)state;
	make(4, 16, 1024);
	for (int i = 0; i < 3; i++) {
		slow[i] =
			(struct job){ .work.run = gate_wait, .count = &waited };
		assert_true(worker_submit(pool, &slow[i].work));
	}
	gate_wait_for(3);
	fast = (struct job){ .work.run = count_one, .count = &counted };
	assert_true(worker_submit(pool, &fast.work));
	while (atomic_load(&counted) == 0)
		sched_yield();
	assert_int_equal(waited, 0);
	gate_open();
	worker_drain(pool);
	assert_int_equal(waited, 3);
}

static void a_full_queue_leaves_the_work_to_the_caller(void **state)
{
	atomic_uint count = 0;
	struct job jobs[4];

	(void)state;
	make(1, 2, 1024);
	for (int i = 0; i < 4; i++)
		jobs[i] =
			(struct job){ .work.run = gate_wait, .count = &count };
	assert_true(worker_submit(pool, &jobs[0].work));
	gate_wait_for(1); /* it is taken from the queue */
	assert_true(worker_submit(pool, &jobs[1].work));
	assert_true(worker_submit(pool, &jobs[2].work));
	assert_false(worker_submit(pool, &jobs[3].work));
	gate_open();
	worker_drain(pool);
	assert_int_equal(count, 3);
}

static void bytes_that_wait_are_limited(void **state)
{
	atomic_uint count = 0;
	struct job jobs[3];

	(void)state;
	make(1, 16, 1000);
	for (int i = 0; i < 3; i++)
		jobs[i] = (struct job){ .work.run = gate_wait,
					.work.size_bytes = 600,
					.count = &count };
	assert_true(worker_submit(pool, &jobs[0].work));
	gate_wait_for(1);
	assert_true(worker_submit(pool, &jobs[1].work));
	assert_false(worker_submit(pool, &jobs[2].work));
	jobs[2].work.size_bytes = SIZE_MAX;
	assert_false(worker_submit(pool, &jobs[2].work));
	jobs[2].work.size_bytes = 400;
	assert_true(worker_submit(pool, &jobs[2].work));
	gate_open();
	worker_drain(pool);
	assert_int_equal(count, 3);
}

static void freeing_a_pool_finishes_its_work(void **state)
{
	atomic_uint count = 0;
	struct job jobs[8];

	(void)state;
	make(2, 16, 1024);
	for (int i = 0; i < 8; i++) {
		jobs[i] =
			(struct job){ .work.run = count_one, .count = &count };
		assert_true(worker_submit(pool, &jobs[i].work));
	}
	worker_pool_free(pool);
	pool = NULL;
	assert_int_equal(count, 8);
}

#define RULE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest rules[] = {
		RULE(a_pool_without_work_ends),
		RULE(all_work_is_done_once),
		RULE(work_that_waits_does_not_hold_up_other_work),
		RULE(a_full_queue_leaves_the_work_to_the_caller),
		RULE(bytes_that_wait_are_limited),
		RULE(freeing_a_pool_finishes_its_work),
	};

	return cmocka_run_group_tests(rules, NULL, NULL);
}
