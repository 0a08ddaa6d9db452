/* SPDX-License-Identifier: MIT */

/*
 * The background threads.
 *
 * The committer syncs what is older than commit_interval_ms and writes full
 * memtables; the compactor merges runs and compacts segments, and sleeps a good
 * deal. Both are woken through one condition under wake_lock. The reaper frees
 * what readers were the last to use.
 */

#include <errno.h>
#include <string.h>

#include "engine/kv_internal.h"
#include "engine/thread.h"

/* How often the compactor looks for work that nobody told it of. */
#define COMPACT_POLL_MS 2000u
/* How long it rests after one that failed. */
#define RETRY_MS 20000u
/* And after one that succeeded: so many times as long as that took, so that the
 * next finds more to give back for one checkpoint; but no longer than this. */
#define REST_TIMES 9u
#define REST_MAX_MS 1000u
/* How often memory and the disk's space are looked at. */
#define LOOK_POLL_MS 1000u

void background_want_flush(struct kv *kv)
{
	mutex_lock(&kv->wake_lock);
	if (!kv->flush_wanted) {
		kv->flush_wanted = true;
		condition_wake_all(&kv->wake);
	}
	mutex_unlock(&kv->wake_lock);
}

void background_want_sync(struct kv *kv)
{
	mutex_lock(&kv->wake_lock);
	kv->sync_wanted = true;
	condition_wake_all(&kv->wake);
	mutex_unlock(&kv->wake_lock);
}

void background_want_compact(struct kv *kv)
{
	mutex_lock(&kv->wake_lock);
	kv->compact_wanted = true;
	condition_wake_all(&kv->wake);
	mutex_unlock(&kv->wake_lock);
}

static uint64_t now_ms(void)
{
	return time_now_ns() / 1000000;
}

bool background_sleep(struct kv *kv, uint64_t ms)
{
	uint64_t until = now_ms() + ms, now;
	bool stopping;

	mutex_lock(&kv->wake_lock);
	while (!kv->stopping && (now = now_ms()) < until)
		condition_wait_for(&kv->wake, &kv->wake_lock, until - now);
	stopping = kv->stopping;
	mutex_unlock(&kv->wake_lock);
	return stopping;
}

/* Others fill and empty the disk as well. */
static void watch_space(struct kv *kv)
{
	reserve_keep(&kv->reserve, RESERVE_FOR_DELETION, 0);
	if (reserve_is_low(&kv->reserve))
		background_want_compact(kv);
}

/* What the committer was woken for. */
struct wanted {
	bool flush;
	bool sync;
};

/* Waits for work; false when the thread is to end. */
static bool committer_wait(struct kv *kv, struct wanted *ret_wanted)
{
	uint64_t interval = kv->options.commit_interval_ms;
	bool go_on;

	if (!interval || interval > LOOK_POLL_MS)
		interval = LOOK_POLL_MS;
	mutex_lock(&kv->wake_lock);
	if (!kv->stopping && !kv->flush_wanted && !kv->sync_wanted)
		condition_wait_for(&kv->wake, &kv->wake_lock, interval);
	*ret_wanted = (struct wanted){ kv->flush_wanted, kv->sync_wanted };
	kv->flush_wanted = false;
	kv->sync_wanted = false;
	go_on = !kv->stopping;
	mutex_unlock(&kv->wake_lock);
	return go_on;
}

static void *committer_run(void *ctx)
{
	struct kv *kv = ctx;
	uint64_t interval = kv->options.commit_interval_ms;
	uint64_t synced_ms = now_ms(), looked_ms = synced_ms;
	struct wanted wanted;

	while (committer_wait(kv, &wanted)) {
		uint64_t now = now_ms();

		if (wanted.flush && !checkpoint(kv, false))
			background_want_compact(kv);
		/* Half the interval: what is written right after a sync is
		 * not older than the interval at the next but one. */
		if (interval &&
		    (wanted.sync || now - synced_ms >= interval / 2)) {
			/* A failure is told by kv_fail. */
			kv_sync(kv, kv_last_lsn(kv));
			synced_ms = now_ms();
		}
		if (now - looked_ms >= LOOK_POLL_MS) {
			resident_poll(kv);
			watch_space(kv);
			looked_ms = now;
		}
	}
	return NULL;
}

static bool compactor_wait(struct kv *kv)
{
	bool go_on;

	mutex_lock(&kv->wake_lock);
	if (!kv->stopping && !kv->compact_wanted)
		condition_wait_for(&kv->wake, &kv->wake_lock, COMPACT_POLL_MS);
	kv->compact_wanted = false;
	go_on = !kv->stopping;
	mutex_unlock(&kv->wake_lock);
	return go_on;
}

/* Where space is short there is no rest. */
static bool compactor_rest(struct kv *kv, uint64_t round_ms)
{
	uint64_t rest_ms = REST_TIMES * round_ms;

	if (reserve_is_low(&kv->reserve))
		rest_ms = 0;
	else if (rest_ms > REST_MAX_MS)
		rest_ms = REST_MAX_MS;
	return background_sleep(kv, rest_ms);
}

static void *compactor_run(void *ctx)
{
	struct kv *kv = ctx;

	while (compactor_wait(kv)) {
		uint64_t began_ms;
		int result;

		if (atomic_load(&kv->failed))
			continue;
		do {
			began_ms = now_ms();
			result = compact_round(kv);
		} while (result == 0 &&
			 !compactor_rest(kv, now_ms() - began_ms));
		if (result < 0 && result != -ECANCELED) {
			kv_log(kv, KV_LOG_WARNING, "compaction failed: %s",
			       strerror(-result));
			background_sleep(kv, RETRY_MS);
		}
	}
	return NULL;
}

static void background_tell_stop(struct kv *kv)
{
	mutex_lock(&kv->wake_lock);
	kv->stopping = true;
	condition_wake_all(&kv->wake);
	mutex_unlock(&kv->wake_lock);
}

int background_start(struct kv *kv)
{
	int error = reaper_start(&kv->reaper);

	if (error)
		return error;
	error = thread_start(&kv->committer, 0, committer_run, kv);
	if (error)
		goto out;
	error = thread_start(&kv->compactor, 0, compactor_run, kv);
	if (error) {
		background_tell_stop(kv);
		pthread_join(kv->committer, NULL);
	}
out:
	if (error)
		reaper_stop(&kv->reaper);
	kv->threads_running = error == 0;
	return error;
}

void background_stop(struct kv *kv)
{
	if (!kv->threads_running)
		return;
	background_tell_stop(kv);
	pthread_join(kv->committer, NULL);
	pthread_join(kv->compactor, NULL);
	reaper_stop(&kv->reaper);
	kv->threads_running = false;
}
