/* SPDX-License-Identifier: MIT */

/*
 * The forgetter: an array that the dispatcher fills and a thread that empties
 * it, swapping it for another.
 *
 * Invariants, under the lock:
 *  1. waiting[0..count) are to be done, in order; a number may be there twice.
 *  2. The thread is woken when the first comes and when GATHER_COUNT are there;
 *     in between it lets them gather for GATHER_MS.
 *  3. Of added_count numbers that ever waited, done_count are dealt with, the
 *     oldest. Who drains waits until those are as many as were added by then.
 *  4. What is expected waits for a drain or a FORGET, whichever comes first.
 */

#include "fs/forget.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/lock.h"
#include "engine/thread.h"

#define GATHER_MS 5
#define GATHER_COUNT 256u
#define WAITING_MAX 65536u
/* So many are asked for and then deleted: soon after the answer. */
#define ASK_COUNT 32u
/* Of those that are expected; older ones are not kept in mind. */
#define EXPECTED_MAX 64u
/* They occupy threads that others want to use. */
#define DRAINER_MAX 4u

struct forgetter {
	/* constant after new */
	struct forgetter_settings settings;
	pthread_t thread;

	struct mutex lock;
	struct condition filled;
	struct condition drained;
	/* guarded by lock */
	uint64_t *waiting; /* WAITING_MAX */
	unsigned int count;
	uint64_t added_count, done_count; /* of all that ever waited */
	uint64_t expected[EXPECTED_MAX];  /* a ring */
	unsigned int expected_count;      /* since it was empty */
	unsigned int drainer_count;
	bool ending;

	/* the thread's */
	uint64_t *working; /* WAITING_MAX */
};

/* Those of them that the kernel does not know; the array is used for that. */
static void forget_some(struct forgetter *forgetter, uint64_t *inos,
			size_t count)
{
	const struct forgetter_settings *settings = &forgetter->settings;
	size_t unknown = 0;

	for (size_t i = 0; i < count; i++)
		if (!settings->is_known(settings->ctx, inos[i]))
			inos[unknown++] = inos[i];
	if (unknown)
		settings->forget(settings->ctx, inos, unknown);
}

/* What waits, into `working`; its count. 0 at the end. */
static unsigned int take(struct forgetter *forgetter)
{
	uint64_t *taken;
	unsigned int count;

	mutex_lock(&forgetter->lock);
	while (forgetter->count == 0 && !forgetter->ending)
		condition_wait(&forgetter->filled, &forgetter->lock);
	if (forgetter->count < GATHER_COUNT && !forgetter->ending)
		condition_wait_for(&forgetter->filled, &forgetter->lock,
				   GATHER_MS);
	taken = forgetter->waiting;
	count = forgetter->count;
	forgetter->waiting = forgetter->working;
	forgetter->working = taken;
	forgetter->count = 0;
	mutex_unlock(&forgetter->lock);
	return count;
}

static void *forgetter_main(void *arg)
{
	struct forgetter *forgetter = arg;
	unsigned int count, some;

	while ((count = take(forgetter)) > 0) {
		for (unsigned int i = 0; i < count; i += some) {
			some = count - i < ASK_COUNT ? count - i : ASK_COUNT;
			forget_some(forgetter, forgetter->working + i, some);
		}
		mutex_lock(&forgetter->lock);
		forgetter->done_count += count;
		condition_wake_all(&forgetter->drained);
		mutex_unlock(&forgetter->lock);
	}
	return NULL;
}

int forgetter_new(const struct forgetter_settings *settings,
		  struct forgetter **ret_forgetter)
{
	struct forgetter *forgetter = calloc(1, sizeof(*forgetter));
	int error = -ENOMEM;

	if (!forgetter)
		return -ENOMEM;
	forgetter->settings = *settings;
	forgetter->waiting = calloc(WAITING_MAX, sizeof(uint64_t));
	forgetter->working = calloc(WAITING_MAX, sizeof(uint64_t));
	mutex_init(&forgetter->lock);
	condition_init(&forgetter->filled);
	condition_init(&forgetter->drained);
	if (forgetter->waiting && forgetter->working)
		error = thread_start(&forgetter->thread, 0, forgetter_main,
				     forgetter);
	if (error) {
		condition_release(&forgetter->filled);
		condition_release(&forgetter->drained);
		mutex_release(&forgetter->lock);
		free(forgetter->waiting);
		free(forgetter->working);
		free(forgetter);
		return error;
	}
	*ret_forgetter = forgetter;
	return 0;
}

void forgetter_free(struct forgetter *forgetter)
{
	if (!forgetter)
		return;
	mutex_lock(&forgetter->lock);
	forgetter->ending = true;
	condition_wake_all(&forgetter->filled);
	mutex_unlock(&forgetter->lock);
	pthread_join(forgetter->thread, NULL);
	condition_release(&forgetter->filled);
	condition_release(&forgetter->drained);
	mutex_release(&forgetter->lock);
	free(forgetter->waiting);
	free(forgetter->working);
	free(forgetter);
}

/* false: too many wait. */
static bool add(struct forgetter *forgetter, uint64_t ino)
	REQUIRES(&forgetter->lock)
{
	if (forgetter->count == WAITING_MAX)
		return false;
	forgetter->waiting[forgetter->count++] = ino;
	forgetter->added_count++;
	if (forgetter->count == 1 || forgetter->count == GATHER_COUNT)
		condition_wake_one(&forgetter->filled);
	return true;
}

void forgetter_add(struct forgetter *forgetter, uint64_t ino)
{
	bool added;

	mutex_lock(&forgetter->lock);
	added = add(forgetter, ino);
	mutex_unlock(&forgetter->lock);
	if (!added)
		forget_some(forgetter, &ino, 1);
}

void forgetter_expect(struct forgetter *forgetter, uint64_t ino)
{
	mutex_lock(&forgetter->lock);
	forgetter->expected[forgetter->expected_count++ % EXPECTED_MAX] = ino;
	mutex_unlock(&forgetter->lock);
}

/* Those that are known to the kernel are open: their forgets will come. */
static void add_expected(struct forgetter *forgetter) REQUIRES(&forgetter->lock)
{
	unsigned int count = forgetter->expected_count;

	if (count > EXPECTED_MAX)
		count = EXPECTED_MAX;
	while (count && add(forgetter, forgetter->expected[count - 1]))
		count--;
	forgetter->expected_count = count;
}

bool forgetter_is_busy(struct forgetter *forgetter)
{
	bool busy;

	mutex_lock(&forgetter->lock);
	busy = forgetter->done_count != forgetter->added_count ||
	       forgetter->expected_count;
	mutex_unlock(&forgetter->lock);
	return busy;
}

static void drain(struct forgetter *forgetter, const struct timespec *until)
	REQUIRES(&forgetter->lock)
{
	bool in_time = true;
	uint64_t wanted;

	add_expected(forgetter);
	wanted = forgetter->added_count;
	/* No more is to gather. */
	condition_wake_one(&forgetter->filled);
	while (forgetter->done_count < wanted && in_time)
		in_time = condition_wait_until(&forgetter->drained,
					       &forgetter->lock, until);
}

void forgetter_drain(struct forgetter *forgetter, unsigned int timeout_ms)
{
	struct timespec until = time_after_ms(timeout_ms);

	mutex_lock(&forgetter->lock);
	if (forgetter->drainer_count < DRAINER_MAX) {
		forgetter->drainer_count++;
		drain(forgetter, &until);
		forgetter->drainer_count--;
	}
	mutex_unlock(&forgetter->lock);
}
