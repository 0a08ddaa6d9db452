/* SPDX-License-Identifier: MIT */

/*
 * Power loss under a filesystem, by simulation. Random operations on names,
 * data, attributes and sizes run over an io that records what is done to the
 * disk; after each, a digest of the whole tree is noted. Then states that a
 * disk may be in after a power cut are made and opened. Each must pass the check
 * of the filesystem, and its tree must be one of those that there were: not
 * older than the last sync, not younger than what had been begun. The cut comes
 * again during recovery, and during that of what this one left. Copies between
 * files are not among the operations: they go in steps.
 *
 *	test-crash-fs [SEED [CUTS]]
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/crash/tree_work.h"
#include "tests/seam/arguments.h"
#include "tests/seam/power_cut.h"
#include "tests/unit/fs_fixture.h"

static struct choice choice;
static struct tree_history history;

struct world {
	struct record_io record;
	struct fs_options options;
	struct tree_work tree;
};

static void reopen(struct world *w, const char *path, struct tree_step *step)
{
	assert_int_equal(fs_close(w->tree.fs), 0);
	w->tree.orphan_count = 0;
	step->synced = record_io_position(&w->record);
	assert_int_equal(fs_open(path, &w->options, &w->tree.fs), 0);
}

static void work(struct world *w, const char *path)
{
	tree_options(&w->options, &w->record.io);
	assert_int_equal(fs_open(path, &w->options, &w->tree.fs), 0);
	assert_int_equal(fs_sync(w->tree.fs), 0);
	history.steps[0] = (struct tree_step){
		.synced = record_io_position(&w->record),
		.tree = tree_digest(w->tree.fs),
	};
	history.step_count = 0;
	while (history.step_count < TREE_STEPS) {
		struct tree_step *step = &history.steps[history.step_count + 1];
		int error;

		*step = (struct tree_step){
			.began = record_io_position(&w->record),
		};
		error = tree_do(&w->tree);
		if (error)
			continue;
		step->tree = tree_digest(w->tree.fs);
		history.step_count++;
		if (tree_keep_house(&w->tree))
			step->synced = record_io_position(&w->record);
		if (!choice_below(&choice, 100))
			reopen(w, path, step);
	}
	assert_int_equal(fs_close(w->tree.fs), 0);
	history.steps[history.step_count].synced =
		record_io_position(&w->record);
}

/* --- what is left of it --- */

static unsigned long state_count;

/* Opens a state and says which step it is; see the head of this file. */
static unsigned int verify(struct fs *fs, const struct power_cut *cut,
			   unsigned int least, unsigned int most)
{
	int problems = fs_check(fs, problem_print, NULL, NULL), step;

	if (problems)
		power_cut_describe(cut, "the check found something");
	assert_int_equal(problems, 0);
	step = tree_step_of(&history, tree_digest(fs), least, most);
	if (step < 0)
		power_cut_describe(cut, "the tree never was, or not then");
	assert_true(step >= 0);
	return (unsigned int)step;
}

static void cut_and_verify(struct record_io *r, const struct scratch *dir,
			   unsigned int depth, unsigned int least,
			   unsigned int most)
{
	size_t first = depth ? record_io_first(r) : history.steps[0].synced;
	struct power_cut cut =
		power_cut_random(&choice.random, first, record_io_position(r));
	struct fs_options options;
	struct record_io again;
	struct scratch state;
	struct fs *fs;
	int error;

	if (!depth) {
		least = tree_least(&history, cut.at);
		most = tree_most(&history, cut.at);
	}
	assert_int_equal(power_cut_make(r, &cut, dir, depth, &state), 0);
	state_count++;
	record_io_init(&again, io_system(), state.path);
	tree_options(&options, depth < 2 ? &again.io : io_system());
	error = fs_open(state.path, &options, &fs);
	if (error)
		power_cut_describe(&cut, "cannot be opened");
	assert_int_equal(error, 0);
	most = verify(fs, &cut, least, most);
	assert_int_equal(fs_close(fs), 0);
	if (depth < 2)
		cut_and_verify(&again, dir, depth + 1, least, most);
	record_io_release(&again);
	assert_int_equal(scratch_release(&state), 0);
}

static uint64_t seed;
static unsigned int cuts;

static void after_power_loss_the_tree_is_one_that_was(void **test_state)
{
	static struct world w;
	struct scratch dir, store;

	(void)test_state;
	print_message("seed %llu, %u cuts\n", (unsigned long long)seed, cuts);
	assert_int_equal(scratch_init(&dir), 0);
	for (unsigned int round = 0; round < 4; round++) {
		memset(&w, 0, sizeof(w));
		w.tree.choice = &choice;
		assert_int_equal(scratch_make_dir(&dir, "store", &store), 0);
		record_io_init(&w.record, io_system(), store.path);
		work(&w, store.path);
		for (unsigned int i = 0; i < cuts / 4; i++)
			cut_and_verify(&w.record, &dir, 0, 0, 0);
		record_io_release(&w.record);
		assert_int_equal(scratch_release(&store), 0);
	}
	assert_int_equal(scratch_release(&dir), 0);
	print_message("%lu states opened\n", state_count);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(after_power_loss_the_tree_is_one_that_was),
	};

	seed = argument_seed(argc, argv);
	cuts = (unsigned int)argument_number(argc, argv, 2, 200);
	choice = choice_of_seed(seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
