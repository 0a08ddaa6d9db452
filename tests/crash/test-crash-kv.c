/* SPDX-License-Identifier: MIT */

/*
 * Power loss, by simulation. A workload runs over an io that records what is
 * done to the disk. Then the states that a disk may be in after a power cut at
 * any moment are made, the store is opened in each, and what is found must be
 * an atomic prefix of the workload: not older than what had been synced, not
 * younger than what had been begun, whole batches, nothing out of order.
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
#include "tests/crash/history.h"
#include "tests/seam/arguments.h"
#include "tests/seam/scratch.h"

#define MORE_COMMITS 12u

static struct history history;
static struct choice choice;

/* The whole life of a store, from its making to a clean close, with reopening,
 * rotation, checkpoints, merges and compaction on the way. */
static void work(struct record_io *r, const char *path, unsigned int commits)
{
	struct worker worker = {
		.history = &history,
		.choice = &choice,
		.record = r,
		.path = path,
	};
	struct kv_options options;

	history_options(&options, &r->io);
	assert_int_equal(kv_open(path, &options, &worker.kv), 0);
	for (unsigned int i = 0; i < commits; i++)
		history_step(&worker);
	history_close(&worker);
}

static unsigned long state_count;

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
	history_options(&options, io_system());
	assert_int_equal(kv_open(state->path, &options, &kv), 0);
	assert_int_equal(history_verify(&history, kv, true), commit);
	assert_int_equal(kv_close(kv), 0);
}

/* Works on in the recovered store, closes it, and cuts the power again. */
static void work_on(struct kv *kv, struct record_io *r,
		    const struct scratch *dir, unsigned int depth,
		    uint32_t least, uint32_t found)
{
	struct history *saved = malloc(sizeof(*saved));
	struct worker worker = {
		.history = &history,
		.choice = &choice,
		.record = r,
		.kv = kv,
	};

	assert_non_null(saved);
	*saved = history;
	history_go_on(&worker, least, found);
	for (unsigned int i = choice_below(&choice, MORE_COMMITS); i > 0; i--)
		history_commit(&worker);
	history_close(&worker);
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
		&choice.random, record_io_first(r), record_io_position(r));
	uint32_t least = history_least(&history, cut.at);
	uint32_t most = history_most(&history, cut.at), commit;
	struct record_io again;
	struct kv_options options;
	struct scratch state;
	struct kv *kv;
	int error;

	assert_int_equal(power_cut_make(r, &cut, dir, depth, &state), 0);
	state_count++;
	record_io_init(&again, io_system(), state.path);
	history_options(&options, depth < 2 ? &again.io : io_system());
	error = kv_open(state.path, &options, &kv);
	if (error)
		power_cut_describe(&cut, "cannot be opened");
	assert_int_equal(error, 0);
	commit = history_verify(&history, kv, false);
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
	choice = choice_of_seed(seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
