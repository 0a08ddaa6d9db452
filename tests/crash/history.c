/* SPDX-License-Identifier: MIT */

/* Histories of stores: see history.h. No locks: one thread. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "tests/crash/history.h"
#include "tests/seam/small_kv.h"

/* The background's, which it would do at times of its own: kv_internal.h, whose
 * names and the recorder's are the same. */
int compact_round(struct kv *kv);

static struct slice key_of(unsigned int key, char bytes[16])
{
	return slice_of(bytes, (size_t)snprintf(bytes, 16, "key%u", key));
}

static size_t value_of(uint32_t value, uint8_t *bytes)
{
	size_t size = value % 5 ? value % 300 : value % 30000;

	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(value >> (i % 4 * 8)) ^ (uint8_t)(i / 16);
	return size;
}

void history_options(struct kv_options *options, struct io *io)
{
	small_kv_options(options, io);
	options->compact_auto = true;
	options->compact_rate = 0;
	options->compact_ratio = 25;
}

void history_promise(struct worker *worker)
{
	struct history *history = worker->history;

	assert_true(history->promise_count < HISTORY_COMMITS);
	history->promises[history->promise_count++] =
		(struct promise){ record_io_position(worker->record),
				  history->commit_count };
}

static void commit_choose(struct choice *choice, struct commit *commit)
{
	commit->count = choice_below(choice, 3) ?
				1 :
				1 + choice_below(choice, HISTORY_CHANGES);
	for (unsigned int i = 0; i < commit->count; i++) {
		struct change *c = &commit->changes[i];

		c->key = choice_below(choice, HISTORY_KEYS);
		c->value = choice_below(choice, 3) ?
				   (uint32_t)choice_number(choice) | 1 :
				   0;
	}
}

static void batch_fill(struct kv_batch *batch, const struct commit *commit)
{
	static uint8_t values[HISTORY_CHANGES][30000];
	char bytes[16];

	for (unsigned int i = 0; i < commit->count; i++) {
		const struct change *c = &commit->changes[i];
		struct slice key = key_of(c->key, bytes), value;

		if (!c->value) {
			assert_int_equal(kv_batch_delete(batch, key), 0);
			continue;
		}
		value = slice_of(values[i], value_of(c->value, values[i]));
		assert_int_equal(kv_batch_set(batch, key, value), 0);
	}
}

/* For one more commit, and the promises that a step may add. */
static bool has_room(const struct history *history)
{
	return history->commit_count + 1 < HISTORY_COMMITS &&
	       history->promise_count + 4 < HISTORY_COMMITS;
}

void history_commit(struct worker *worker)
{
	struct history *history = worker->history;
	uint32_t number = history->commit_count + 1;
	struct commit *commit = &history->commits[number];
	struct kv_batch batch = { 0 };
	uint64_t lsn;

	if (!has_room(history))
		return;
	commit->began = record_io_position(worker->record);
	commit_choose(worker->choice, commit);
	assert_int_equal(kv_batch_set(&batch, SLICE_LITERAL("#"),
				      slice_of(&number, sizeof(number))),
			 0);
	batch_fill(&batch, commit);
	assert_int_equal(kv_commit(worker->kv, &batch, 0, &lsn), 0);
	kv_batch_release(&batch);
	history->commit_count = number;
	if (choice_below(worker->choice, 10) == 0) {
		assert_int_equal(kv_sync(worker->kv, lsn), 0);
		history_promise(worker);
	}
}

/* What is being compacted changes under its hands, becomes durable half done,
 * and may be left so. */
static int change_meanwhile(void *ctx, uint64_t done, uint64_t total)
{
	struct worker *worker = ctx;

	(void)done;
	(void)total;
	history_commit(worker);
	if (has_room(worker->history) && choice_below(worker->choice, 4) == 0 &&
	    kv_checkpoint(worker->kv) == 0)
		history_promise(worker);
	return choice_below(worker->choice, 8) == 0;
}

static void compact(struct worker *worker)
{
	int error = kv_compact(worker->kv, change_meanwhile, worker);

	if (error)
		assert_int_equal(error, -ECANCELED);
	/* And at once the next one, which finds nothing new. */
	if (choice_below(worker->choice, 2)) {
		assert_int_equal(kv_checkpoint(worker->kv), 0);
		error = 0;
	}
	if (!error)
		history_promise(worker);
}

/* A reader from here on, or no longer: what it may read stays, and is no part
 * of the store that a cut leaves. */
static void pin_or_unpin(struct worker *worker)
{
	if (!worker->pin) {
		assert_int_equal(kv_pin(worker->kv, &worker->pin), 0);
		return;
	}
	kv_unpin(worker->pin);
	worker->pin = NULL;
}

void history_close(struct worker *worker)
{
	if (worker->pin)
		pin_or_unpin(worker);
	assert_int_equal(kv_close(worker->kv), 0);
	history_promise(worker);
}

static void reopen(struct worker *worker)
{
	struct kv_options options;

	history_close(worker);
	history_options(&options, &worker->record->io);
	assert_int_equal(kv_open(worker->path, &options, &worker->kv), 0);
}

void history_step(struct worker *worker)
{
	unsigned int choice = choice_below(worker->choice, 200);

	history_commit(worker);
	if (choice == 0) {
		compact(worker);
	} else if (choice < 4) {
		assert_int_equal(kv_checkpoint(worker->kv), 0);
		history_promise(worker);
	} else if (choice < 8) {
		assert_true(compact_round(worker->kv) >= 0);
	} else if (choice == 8) {
		reopen(worker);
	} else if (choice < 13) {
		pin_or_unpin(worker);
	}
}

static void state_after(const struct history *history, uint32_t commit,
			uint32_t values[HISTORY_KEYS])
{
	memset(values, 0, HISTORY_KEYS * sizeof(values[0]));
	for (uint32_t i = 1; i <= commit; i++)
		for (unsigned int j = 0; j < history->commits[i].count; j++)
			values[history->commits[i].changes[j].key] =
				history->commits[i].changes[j].value;
}

/* How many of the keys there are; each is what it should be. */
static uint64_t verify_keys(struct kv *kv, const uint32_t values[HISTORY_KEYS])
{
	static uint8_t expected[30000];
	struct buf got = { 0 };
	uint64_t keys = 0;
	char bytes[16];

	for (unsigned int i = 0; i < HISTORY_KEYS; i++) {
		int result = kv_get(kv, NULL, key_of(i, bytes), &got);

		if (!values[i]) {
			assert_int_equal(result, 1);
			continue;
		}
		assert_int_equal(result, 0);
		assert_int_equal(got.size, value_of(values[i], expected));
		assert_memory_equal(got.data, expected, got.size);
		keys++;
	}
	buf_release(&got);
	return keys;
}

/* The number of the last commit that the store has; 0: of none. */
static uint32_t commit_found(struct kv *kv)
{
	struct buf got = { 0 };
	uint32_t commit = 0;
	int result = kv_get(kv, NULL, SLICE_LITERAL("#"), &got);

	if (result) {
		assert_int_equal(result, 1);
	} else {
		assert_int_equal(got.size, sizeof(commit));
		memcpy(&commit, got.data, sizeof(commit));
	}
	buf_release(&got);
	return commit;
}

uint32_t history_verify(const struct history *history, struct kv *kv,
			bool rebuilt)
{
	uint32_t values[HISTORY_KEYS], commit = commit_found(kv);
	struct kv_stats stats;

	assert_true(commit <= history->commit_count);
	state_after(history, commit, values);
	kv_stats(kv, &stats);
	assert_int_equal(stats.key_count,
			 verify_keys(kv, values) + (commit > 0));
	/* No power cut damages anything, nor takes a file that is needed. */
	assert_int_not_equal(stats.recovery, KV_RECOVERY_DAMAGED);
	assert_int_equal(stats.recovery == KV_RECOVERY_REBUILT, rebuilt);
	assert_int_equal(kv_check(kv, kv_problem_print, NULL, NULL), 0);
	return commit;
}

uint32_t history_least(const struct history *history, size_t position)
{
	uint32_t commit = history->base_least;

	for (size_t i = 0; i < history->promise_count; i++)
		if (history->promises[i].position <= position)
			commit = history->promises[i].commit;
	return commit;
}

uint32_t history_most(const struct history *history, size_t position)
{
	uint32_t commit = history->base_most;

	while (commit < history->commit_count &&
	       history->commits[commit + 1].began < position)
		commit++;
	return commit;
}

void history_go_on(struct worker *worker, uint32_t least, uint32_t found)
{
	struct history *history = worker->history;

	history->base_least = least;
	history->base_most = found;
	history->commit_count = found;
	history->promise_count = 0;
	/* Recovery has synced what it found. */
	history_promise(worker);
}
