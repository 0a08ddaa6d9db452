/* SPDX-License-Identifier: MIT */

/*
 * What is done to a tree of files, and in between the power is cut: each byte of
 * the input is a choice of tests/crash/tree_work.h, or of those here. After each
 * cut the filesystem goes on as recovery found it: sound, and a tree that it may
 * be.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "tests/crash/tree_work.h"
#include "tests/fuzz/fuzz.h"
#include "tests/seam/power_cut.h"
#include "tests/unit/fs_fixture.h"

#define STEPS_MAX 200u
#define CUTS_MAX 6u

struct life {
	struct choice choice;
	struct scratch dir, store;
	struct record_io record;
	unsigned int cut_count;
	struct tree_work tree;
};

static struct tree_history history;

/* The first step of a history: what is there now, which is durable. */
static void history_begin(struct life *life)
{
	history.step_count = 0;
	history.steps[0] = (struct tree_step){
		.synced = record_io_position(&life->record),
		.tree = tree_digest(life->tree.fs),
	};
}

static void life_open(struct life *life)
{
	struct fs_options options;

	record_io_init(&life->record, quick_io(), life->store.path);
	tree_options(&options, &life->record.io);
	options.kv.compact_auto = false;
	life->tree.orphan_count = 0;
	assert_int_equal(fs_open(life->store.path, &options, &life->tree.fs),
			 0);
}

static void life_close(struct life *life)
{
	assert_int_equal(fs_close(life->tree.fs), 0);
	record_io_release(&life->record);
	assert_int_equal(scratch_release(&life->store), 0);
}

static void life_cut(struct life *life)
{
	uint64_t number = choice_number(&life->choice);
	struct power_cut cut =
		power_cut_random(&number, history.steps[0].synced,
				 record_io_position(&life->record));
	unsigned int least = tree_least(&history, cut.at);
	unsigned int most = tree_most(&history, cut.at);
	struct scratch state;

	if (life->cut_count++ == CUTS_MAX)
		return;
	assert_int_equal(power_cut_make(&life->record, &cut, &life->dir,
					life->cut_count, &state),
			 0);
	life_close(life);
	life->store = state;
	life_open(life);
	assert_int_equal(fs_check(life->tree.fs, problem_print, NULL, NULL), 0);
	assert_true(tree_step_of(&history, tree_digest(life->tree.fs), least,
				 most) >= 0);
	assert_int_equal(fs_sync(life->tree.fs), 0);
	history_begin(life);
}

static void life_work(struct life *life)
{
	struct tree_step *step = &history.steps[history.step_count + 1];

	*step = (struct tree_step){
		.began = record_io_position(&life->record),
	};
	if (tree_do(&life->tree))
		return;
	step->tree = tree_digest(life->tree.fs);
	history.step_count++;
	if (tree_keep_house(&life->tree))
		step->synced = record_io_position(&life->record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct life life = { .choice = choice_of_bytes(data, size) };

	fuzz_ignore_checksums(false);
	life.tree.choice = &life.choice;
	assert_int_equal(scratch_init(&life.dir), 0);
	assert_int_equal(scratch_make_dir(&life.dir, "store", &life.store), 0);
	life_open(&life);
	assert_int_equal(fs_sync(life.tree.fs), 0);
	history_begin(&life);
	for (unsigned int i = 0; i < STEPS_MAX && !choice_ends(&life.choice);
	     i++) {
		life_work(&life);
		if (!choice_below(&life.choice, 16))
			life_cut(&life);
	}
	assert_int_equal(fs_check(life.tree.fs, problem_print, NULL, NULL), 0);
	life_close(&life);
	assert_int_equal(scratch_release(&life.dir), 0);
	return 0;
}

/* Random bytes reach most of it; cuts are one choice in sixteen. */
void fuzz_make_seeds(void)
{
	fuzz_put_random_seed("few", 1, 80);
	fuzz_put_random_seed("some", 2, 300);
	fuzz_put_random_seed("many", 3, 900);
}
