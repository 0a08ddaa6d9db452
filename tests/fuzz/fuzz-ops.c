/* SPDX-License-Identifier: MIT */

/*
 * What is done to a store, and in between the power is cut: each byte of the
 * input is a choice of tests/crash/history.h, or of those here. After each cut
 * the store goes on as recovery found it, which must be a state that it may be
 * in; at any time its keys are those of the model.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "tests/crash/history.h"
#include "tests/fuzz/fuzz.h"
#include "tests/seam/scratch.h"

#define STEPS_MAX 300u
#define CUTS_MAX 6u

struct life {
	struct choice choice;
	struct scratch dir, store;
	struct record_io record;
	unsigned int cut_count;
	uint64_t pinned_keys; /* as worker.pin has it, if there is one */
	struct worker worker;
};

static struct history history;

static void life_open(struct life *life)
{
	struct kv_options options;

	record_io_init(&life->record, quick_io(), life->store.path);
	history_options(&options, &life->record.io);
	/* Whatever happens is chosen. */
	options.compact_auto = false;
	life->worker.path = life->store.path;
	assert_int_equal(kv_open(life->store.path, &options, &life->worker.kv),
			 0);
}

static void life_unpin(struct life *life)
{
	kv_unpin(life->worker.pin);
	life->worker.pin = NULL;
}

static void life_close(struct life *life)
{
	life_unpin(life);
	assert_int_equal(kv_close(life->worker.kv), 0);
	record_io_release(&life->record);
	assert_int_equal(scratch_release(&life->store), 0);
}

static struct power_cut cut_choose(struct life *life)
{
	uint64_t number = choice_number(&life->choice);
	struct power_cut cut =
		power_cut_random(&number, record_io_first(&life->record),
				 record_io_position(&life->record));

	/* Of most interest is what was done last. */
	if (choice_below(&life->choice, 2) &&
	    record_io_position(&life->record) -
			    record_io_first(&life->record) >=
		    32)
		cut.at = record_io_position(&life->record) -
			 choice_below(&life->choice, 32);
	return cut;
}

static void life_cut(struct life *life)
{
	struct power_cut cut = cut_choose(life);
	uint32_t least = history_least(&history, cut.at);
	uint32_t most = history_most(&history, cut.at), found;
	struct scratch state;

	if (life->cut_count++ == CUTS_MAX)
		return;
	assert_int_equal(power_cut_make(&life->record, &cut, &life->dir,
					life->cut_count, &state),
			 0);
	life_close(life);
	life->store = state;
	life_open(life);
	found = history_verify(&history, life->worker.kv, false);
	assert_in_range(found, least, most);
	history_go_on(&life->worker, least, found);
}

static int count_entry(void *ctx, const struct kv_entry *entry)
{
	uint64_t *count = ctx;

	assert_int_equal(entry->value_error, 0);
	++*count;
	return 0;
}

static uint64_t count_keys(struct life *life)
{
	const struct kv_range all = { 0 };
	uint64_t count = 0;

	assert_int_equal(kv_list(life->worker.kv, life->worker.pin, &all,
				 KV_LIST_VALUES, count_entry, &count),
			 0);
	return count;
}

/* A pin sees what was, whatever has happened since. */
static void life_pin(struct life *life)
{
	if (life->worker.pin) {
		assert_int_equal(count_keys(life), life->pinned_keys);
		life_unpin(life);
		return;
	}
	assert_int_equal(kv_pin(life->worker.kv, &life->worker.pin), 0);
	life->pinned_keys = count_keys(life);
}

static int stop_now(void *ctx, uint64_t done, uint64_t total)
{
	unsigned int *words = ctx;

	(void)done;
	(void)total;
	return (*words)-- == 0;
}

/* In two parts, with a change between them at times. */
static void life_check(struct life *life)
{
	struct kv_check_position position = { 0 };
	unsigned int words = choice_below(&life->choice, 16);
	int result = kv_check_from(life->worker.kv, &position, NULL, stop_now,
				   &words);

	assert_true(result == 0 || result == -ECANCELED);
	if (result && choice_below(&life->choice, 2))
		history_commit(&life->worker);
	if (result)
		assert_int_equal(kv_check_from(life->worker.kv, &position, NULL,
					       NULL, NULL),
				 0);
	kv_check_position_release(&position);
}

static void life_step(struct life *life)
{
	switch (choice_below(&life->choice, 16)) {
	case 0:
		life_cut(life);
		break;
	case 1:
		life_pin(life);
		break;
	case 2:
		life_check(life);
		break;
	case 3:
		/* It may be reopened. */
		life_unpin(life);
		history_step(&life->worker);
		if (life->worker.pin)
			life->pinned_keys = count_keys(life);
		break;
	default:
		history_commit(&life->worker);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct life life = { .choice = choice_of_bytes(data, size) };

	fuzz_ignore_checksums(false);
	history.base_least = history.base_most = 0;
	history.commit_count = 0;
	history.promise_count = 0;
	life.worker = (struct worker){
		.history = &history,
		.choice = &life.choice,
		.record = &life.record,
	};
	assert_int_equal(scratch_init(&life.dir), 0);
	assert_int_equal(scratch_make_dir(&life.dir, "store", &life.store), 0);
	life_open(&life);
	for (unsigned int i = 0; i < STEPS_MAX && !choice_ends(&life.choice);
	     i++)
		life_step(&life);
	life_unpin(&life);
	assert_int_equal(history_verify(&history, life.worker.kv, false),
			 history.commit_count);
	life_close(&life);
	assert_int_equal(scratch_release(&life.dir), 0);
	return 0;
}

/* Random bytes reach most of it; cuts are one choice in sixteen. */
void fuzz_make_seeds(void)
{
	fuzz_put_random_seed("few", 1, 60);
	fuzz_put_random_seed("some", 2, 250);
	fuzz_put_random_seed("many", 3, 600);
}
