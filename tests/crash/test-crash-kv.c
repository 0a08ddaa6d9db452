/* SPDX-License-Identifier: MIT */

/*
 * Power loss, by simulation. A workload runs over an io that records what is
 * done to the disk. Then the states that a disk may be in after a power cut at
 * any moment are made, the store is opened in each, and what is found must be
 * an atomic prefix of the workload: not older than what had been synced, not
 * younger than what had been begun, whole batches, nothing out of order.
 *
 * Every commit also writes its own number, so that the store tells which prefix
 * it is in; the rest is compared with the workload replayed so far.
 *
 *	test-crash-kv [SEED [CUTS]]
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/io.h"
#include "engine/kv.h"
#include "tests/seam/arguments.h"
#include "tests/seam/power_cut.h"
#include "tests/seam/random.h"
#include "tests/seam/scratch.h"
#include "tests/seam/small_kv.h"

/* The background's, which it would do at times of its own: kv_internal.h, whose
 * names and the recorder's are the same. */
int compact_round(struct kv *kv);

#define KEY_COUNT 40u
#define COMMIT_MAX 4000u
#define BATCH_MAX 12u
#define MORE_COMMITS 12u

static uint64_t random_state;

static unsigned int below(unsigned int limit)
{
	return random_below(&random_state, limit);
}

/* One key's change in a commit. value 0 deletes. */
struct change {
	unsigned int key;
	uint32_t value;
};

struct commit {
	size_t began; /* position of the recorder before it */
	unsigned int count;
	struct change changes[BATCH_MAX];
};

/* The commit that was known durable at a position of the recorder. */
struct promise {
	size_t position;
	uint32_t commit;
};

struct history {
	uint32_t base_least, base_most;    /* of what the store began with */
	struct commit commits[COMMIT_MAX]; /* [0] is unused: the empty store */
	uint32_t commit_count;             /* of those made */
	struct promise promises[COMMIT_MAX];
	size_t promise_count;
};

static struct history history;

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

static void options_for(struct kv_options *options, struct io *io)
{
	small_kv_options(options, io);
	options->compact_auto = true;
	options->compact_rate = 0;
	options->compact_ratio = 25;
}

static void note_promise(struct record_io *r, uint32_t commit)
{
	struct promise *p = &history.promises[history.promise_count++];

	*p = (struct promise){ record_io_position(r), commit };
}

static void work_commit(struct kv *kv, struct record_io *r)
{
	static uint8_t values[BATCH_MAX][30000];
	uint32_t number = history.commit_count + 1;
	struct commit *commit = &history.commits[number];
	struct kv_batch batch = { 0 };
	uint64_t lsn;
	char bytes[16];

	commit->began = record_io_position(r);
	commit->count = below(3) ? 1 : 1 + below(BATCH_MAX);
	assert_int_equal(kv_batch_set(&batch, SLICE_LITERAL("#"),
				      slice_of(&number, sizeof(number))),
			 0);
	for (unsigned int i = 0; i < commit->count; i++) {
		struct change *c = &commit->changes[i];

		c->key = below(KEY_COUNT);
		c->value = below(3) ? (uint32_t)random_next(&random_state) | 1 :
				      0;
		if (c->value)
			assert_int_equal(
				kv_batch_set(&batch, key_of(c->key, bytes),
					     slice_of(values[i],
						      value_of(c->value,
							       values[i]))),
				0);
		else
			assert_int_equal(kv_batch_delete(&batch,
							 key_of(c->key, bytes)),
					 0);
	}
	assert_int_equal(kv_commit(kv, &batch, 0, &lsn), 0);
	kv_batch_release(&batch);
	history.commit_count = number;
	if (below(10) == 0) {
		assert_int_equal(kv_sync(kv, lsn), 0);
		note_promise(r, number);
	}
}

/* What is being compacted changes under its hands. */
struct meanwhile {
	struct kv *kv;
	struct record_io *r;
};

static int change_meanwhile(void *ctx, uint64_t done, uint64_t total)
{
	struct meanwhile *meanwhile = ctx;

	(void)done;
	(void)total;
	if (history.commit_count + 1 < COMMIT_MAX)
		work_commit(meanwhile->kv, meanwhile->r);
	return 0;
}

/* The whole life of a store, from its making to a clean close, with reopening,
 * rotation, checkpoints, merges and compaction on the way. */
static void work(struct record_io *r, const char *path, unsigned int commits)
{
	struct kv_options options;
	struct kv *kv;

	options_for(&options, &r->io);
	assert_int_equal(kv_open(path, &options, &kv), 0);
	for (unsigned int i = 0; i < commits; i++) {
		unsigned int choice = below(200);

		work_commit(kv, r);
		if (choice == 0) {
			struct meanwhile ctx = { kv, r };

			assert_int_equal(kv_compact(kv, change_meanwhile, &ctx),
					 0);
			note_promise(r, history.commit_count);
		} else if (choice < 4) {
			assert_int_equal(kv_checkpoint(kv), 0);
			note_promise(r, history.commit_count);
		} else if (choice < 8) {
			assert_true(compact_round(kv) >= 0);
		} else if (choice == 8) {
			assert_int_equal(kv_close(kv), 0);
			note_promise(r, history.commit_count);
			assert_int_equal(kv_open(path, &options, &kv), 0);
		}
	}
	assert_int_equal(kv_close(kv), 0);
	note_promise(r, history.commit_count);
}

static void state_after(uint32_t commit, uint32_t values[KEY_COUNT])
{
	memset(values, 0, KEY_COUNT * sizeof(values[0]));
	for (uint32_t i = 1; i <= commit; i++)
		for (unsigned int j = 0; j < history.commits[i].count; j++)
			values[history.commits[i].changes[j].key] =
				history.commits[i].changes[j].value;
}

/* Compares the open store with the prefix that it claims to be; which it is. */
static uint32_t verify_prefix(struct kv *kv, bool rebuilt)
{
	uint32_t values[KEY_COUNT], commit = 0;
	static uint8_t expected[30000];
	struct buf got = { 0 };
	uint64_t keys = 0;
	struct kv_stats stats;
	char bytes[16];
	int result = kv_get(kv, NULL, SLICE_LITERAL("#"), &got);

	if (!result) {
		assert_int_equal(got.size, sizeof(commit));
		memcpy(&commit, got.data, sizeof(commit));
		keys++;
	} else {
		assert_int_equal(result, 1);
	}
	assert_true(commit <= history.commit_count);
	state_after(commit, values);
	for (unsigned int i = 0; i < KEY_COUNT; i++) {
		result = kv_get(kv, NULL, key_of(i, bytes), &got);
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
	kv_stats(kv, &stats);
	assert_int_equal(stats.key_count, keys);
	/* No power cut damages anything, nor takes a file that is needed. */
	assert_int_not_equal(stats.recovery, KV_RECOVERY_DAMAGED);
	assert_int_equal(stats.recovery == KV_RECOVERY_REBUILT, rebuilt);
	assert_int_equal(kv_check(kv, kv_problem_print, NULL, NULL), 0);
	return commit;
}

static uint32_t promised_at(size_t position)
{
	uint32_t commit = history.base_least;

	for (size_t i = 0; i < history.promise_count; i++)
		if (history.promises[i].position <= position)
			commit = history.promises[i].commit;
	return commit;
}

static uint32_t begun_at(size_t position)
{
	uint32_t commit = history.base_most;

	while (commit < history.commit_count &&
	       history.commits[commit + 1].began < position)
		commit++;
	return commit;
}

static unsigned long state_count;

/* What follows a recovery is history of its own: from what was found on. */
static void history_go_on(struct record_io *r, uint32_t least, uint32_t found)
{
	history.base_least = least;
	history.base_most = found;
	history.commit_count = found;
	history.promise_count = 0;
	/* Recovery has synced what it found. */
	note_promise(r, found);
}

static void cut_and_verify(struct record_io *r, const struct scratch *dir,
			   unsigned int depth);

/* Without a manifest the log alone gives the same. */
static void verify_rebuilt(struct kv *kv, const struct scratch *state,
			   uint32_t commit)
{
	struct kv_options options;
	struct kv_stats stats;

	kv_stats(kv, &stats);
	assert_int_equal(kv_close(kv), 0);
	if (!stats.segment_count)
		return;
	assert_int_equal(unlinkat(state->fd, "MANIFEST", 0), 0);
	options_for(&options, io_system());
	assert_int_equal(kv_open(state->path, &options, &kv), 0);
	assert_int_equal(verify_prefix(kv, true), commit);
	assert_int_equal(kv_close(kv), 0);
}

/* Works on in the recovered store, closes it, and cuts the power again. */
static void work_on(struct kv *kv, struct record_io *r,
		    const struct scratch *dir, unsigned int depth,
		    uint32_t least, uint32_t found)
{
	struct history *saved = malloc(sizeof(*saved));

	assert_non_null(saved);
	*saved = history;
	history_go_on(r, least, found);
	if (found + MORE_COMMITS < COMMIT_MAX)
		for (unsigned int i = below(MORE_COMMITS); i > 0; i--)
			work_commit(kv, r);
	assert_int_equal(kv_close(kv), 0);
	note_promise(r, history.commit_count);
	cut_and_verify(r, dir, depth + 1);
	history = *saved;
	free(saved);
}

/*
 * Opens what the cut left, goes on from there, and cuts the power during all
 * that again, and once more. What is opened is a prefix within bounds.
 */
static void cut_and_verify(struct record_io *r, const struct scratch *dir,
			   unsigned int depth)
{
	struct power_cut cut = power_cut_random(
		&random_state, record_io_first(r), record_io_position(r));
	uint32_t least = promised_at(cut.at), most = begun_at(cut.at), commit;
	struct record_io again;
	struct kv_options options;
	struct scratch state;
	struct kv *kv;
	int error;

	assert_int_equal(power_cut_make(r, &cut, dir, depth, &state), 0);
	state_count++;
	record_io_init(&again, io_system(), state.path);
	options_for(&options, depth < 2 ? &again.io : io_system());
	error = kv_open(state.path, &options, &kv);
	if (error)
		power_cut_describe(&cut, "cannot be opened");
	assert_int_equal(error, 0);
	commit = verify_prefix(kv, false);
	if (commit < least || commit > most)
		power_cut_describe(&cut, "not within bounds");
	assert_in_range(commit, least, most);
	if (depth < 2)
		work_on(kv, &again, dir, depth, least, commit);
	else
		verify_rebuilt(kv, &state, commit);
	record_io_release(&again);
	assert_int_equal(scratch_release(&state), 0);
}

static uint64_t seed;
static unsigned int cuts;

static void after_power_loss_the_store_is_a_prefix(void **test_state)
{
	struct record_io r;
	struct scratch dir, store;

	(void)test_state;
	print_message("seed %llu, %u cuts\n", (unsigned long long)seed, cuts);
	assert_int_equal(scratch_init(&dir), 0);
	for (unsigned int round = 0; round < 4; round++) {
		memset(&history, 0, sizeof(history));
		assert_int_equal(scratch_make_dir(&dir, "store", &store), 0);
		record_io_init(&r, io_system(), store.path);
		work(&r, store.path, round ? 600 : 60);
		for (unsigned int i = 0; i < cuts / 4; i++)
			cut_and_verify(&r, &dir, 0);
		record_io_release(&r);
		assert_int_equal(scratch_release(&store), 0);
	}
	assert_int_equal(scratch_release(&dir), 0);
	print_message("%lu states opened\n", state_count);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(after_power_loss_the_store_is_a_prefix),
	};

	seed = argument_seed(argc, argv);
	cuts = (unsigned int)argument_number(argc, argv, 2, 400);
	random_state = seed;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
