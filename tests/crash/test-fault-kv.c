/* SPDX-License-Identifier: MIT */

/*
 * Faults at every call. Two workloads, a store's whole life and the recovery of
 * one that crashed, are run again and again; each time one more call of the
 * system fails, once or from then on, by one error after another, or comes out
 * short; and then each allocation. Whatever fails:
 *
 *	a read gives what was written, or an error
 *	a commit that returned an error has changed nothing
 *	after a sync that failed the store is read-only, and says so
 *	when the fault is over, what is not read-only works again
 *	reopened, the store has what was acknowledged, and is sound
 *	after a power cut it is a prefix no older than the last sync
 *	nothing leaks: descriptors, mappings (and memory, says the sanitizer)
 *
 *	test-fault-kv [SEED [STRIDE]]	every STRIDE-th call; 1 is every one
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
#include "tests/crash/fault_alloc.h"
#include "tests/seam/arguments.h"
#include "tests/seam/fault_io.h"
#include "tests/seam/power_cut.h"
#include "tests/seam/quick_io.h"
#include "tests/seam/random.h"
#include "tests/seam/scratch.h"
#include "tests/seam/small_kv.h"

#define KEY_COUNT 24u
#define ATTEMPT_MAX 256u
#define BATCH_MAX 8u
#define VALUE_MAX 300000u

/* --- what is done, and what it should have led to --- */

struct attempt {
	size_t began;               /* position of the recorder before it */
	uint32_t values[KEY_COUNT]; /* after it, if it was done */
};

/* One run of a workload. */
struct trial {
	struct scratch dir;
	struct scratch store;
	struct record_io record;
	struct fault_io fault;
	bool recorded;
	struct kv_options options;
	struct kv *kv;                        /* NULL: not open */
	struct attempt attempts[ATTEMPT_MAX]; /* [0]: the empty store */
	uint32_t attempt_count;
	uint32_t done;     /* the last attempt that succeeded */
	uint32_t promised; /* the last one that was synced */
	unsigned int failed_commits;
	uint32_t died_done; /* the first after one that failed; 0: none */
	size_t died_at;     /* the recorder's position then */
	bool lost_before;   /* a sync had failed when the store was opened */
	bool close_failed;
	unsigned int hit_ops; /* as fault_io_hit_ops, at the fault's end */
	bool index_unread;    /* a read through a mapping failed */
	uint64_t random;
	const char *what; /* which fault, as long as the trial goes on */
	uint64_t nth;
};

static struct trial trial;
static uint64_t failed_calls, failed_allocations, runs_made, trial_count;

/* The same numbers in every run: so the n-th call is the same call. */
static unsigned int below(unsigned int limit)
{
	return (unsigned int)(random_next(&trial.random) >> 33) % limit;
}

static struct slice key_of(unsigned int key, char bytes[16])
{
	return slice_of(bytes, (size_t)snprintf(bytes, 16, "key%u", key));
}

/* Every sixteenth fills a good part of a segment. */
static size_t value_of(uint32_t value, uint8_t *bytes)
{
	size_t size = value % 16 ? value % 700 : VALUE_MAX - value % 1000;

	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(value >> (i % 4 * 8)) ^ (uint8_t)(i / 16);
	return size;
}

static bool fault_is_over(void)
{
	return !fault_alloc_armed() && !trial.fault.fault.ops;
}

static void check_value(unsigned int key, uint32_t value)
{
	static uint8_t expected[VALUE_MAX];
	struct buf got = { 0 };
	char bytes[16];
	int result = kv_get(trial.kv, NULL, key_of(key, bytes), &got);

	if (result < 0 && !fault_is_over()) {
		buf_release(&got);
		return;
	}
	assert_int_equal(result, value ? 0 : 1);
	if (value) {
		assert_int_equal(got.size, value_of(value, expected));
		assert_memory_equal(got.data, expected, got.size);
	}
	buf_release(&got);
}

static int count_entry(void *ctx, const struct kv_entry *entry)
{
	(void)entry;
	++*(unsigned int *)ctx;
	return 0;
}

static void check_all(const uint32_t values[KEY_COUNT], bool listed)
{
	struct kv_range range = { .prefix = SLICE_LITERAL("key") };
	unsigned int count = 0, expected = 0;
	int result;

	for (unsigned int i = 0; i < KEY_COUNT; i++) {
		check_value(i, values[i]);
		expected += values[i] != 0;
	}
	if (!listed)
		return;
	result = kv_list(trial.kv, NULL, &range, 0, count_entry, &count);
	if (result == 0)
		assert_int_equal(count, expected);
	else
		assert_false(fault_is_over());
}

static int fill_batch(struct kv_batch *batch, struct attempt *attempt,
		      uint32_t number)
{
	static uint8_t values[BATCH_MAX][VALUE_MAX];
	static uint32_t tag;
	/* Of the mark alone, too: then it may end where a record of an earlier
	 * batch ended, whose write failed. */
	unsigned int count = below(3) ? 1 + below(BATCH_MAX) : 0;
	char bytes[16];
	int error;

	tag = number;
	error = kv_batch_set(batch, SLICE_LITERAL("#"),
			     slice_of(&tag, sizeof(tag)));
	for (unsigned int i = 0; i < count; i++) {
		unsigned int key = below(KEY_COUNT);
		uint32_t value = below(4) ? below(1u << 30) | 1 : 0;

		/* Now and then one that fills a good part of a segment. */
		if (value && i == 0 && number % 4 == 0)
			value = value / 16 * 16 + 16;
		attempt->values[key] = value;
		if (error)
			continue;
		if (value)
			error = kv_batch_set(
				batch, key_of(key, bytes),
				slice_of(values[i],
					 value_of(value, values[i])));
		else
			error = kv_batch_delete(batch, key_of(key, bytes));
	}
	return error;
}

static int do_commit(uint64_t *ret_lsn)
{
	uint32_t number = trial.attempt_count + 1;
	struct attempt *attempt = &trial.attempts[number];
	struct kv_batch batch = { 0 };
	int error;

	assert_true(number < ATTEMPT_MAX);
	*attempt = trial.attempts[trial.done];
	attempt->began = trial.recorded ? record_io_position(&trial.record) : 0;
	trial.attempt_count = number;
	error = fill_batch(&batch, attempt, number);
	if (!error)
		error = kv_commit(trial.kv, &batch, 0, ret_lsn);
	kv_batch_release(&batch);
	if (error) {
		trial.failed_commits++;
		return error;
	}
	/* The first after a failure is looked at as if the process died now. */
	if (trial.failed_commits && !trial.died_done && trial.recorded) {
		trial.died_done = number;
		trial.died_at = record_io_position(&trial.record);
	}
	trial.done = number;
	return 0;
}

/* A success of anything that promises durability. */
static void note(int error)
{
	if (!error)
		trial.promised = trial.done;
}

static void do_commits(unsigned int count)
{
	uint64_t lsn = 0;

	for (unsigned int i = 0; i < count && trial.kv; i++) {
		if (do_commit(&lsn) == 0 && i % 4 == 3)
			note(kv_sync(trial.kv, lsn));
		if (i % 4 == 1)
			check_all(trial.attempts[trial.done].values, false);
	}
}

static void do_open(void)
{
	trial.kv = NULL;
	trial.lost_before = fault_io_lost_sync(&trial.fault);
	if (kv_open(trial.store.path, &trial.options, &trial.kv))
		trial.kv = NULL;
}

/* After a sync that failed the store is read-only, and says so. */
static void check_failed(void)
{
	struct kv_stats stats;

	kv_stats(trial.kv, &stats);
	if (fault_io_lost_sync(&trial.fault) && !trial.lost_before)
		assert_int_not_equal(stats.failed, 0);
}

static void do_close(void)
{
	int error;

	if (!trial.kv)
		return;
	check_failed();
	error = kv_close(trial.kv);
	trial.kv = NULL;
	note(error);
	trial.close_failed = error != 0;
}

/* Every other time what is left open is looked at without the fault. */
static void do_end(void)
{
	if (runs_made % 2)
		do_close();
}

static void do_pinned_reads(void)
{
	struct kv_pin *pin;
	struct buf got = { 0 };
	uint32_t number;
	int result;

	if (!trial.kv || kv_pin(trial.kv, &pin))
		return;
	number = trial.done;
	do_commits(2);
	result = kv_get(trial.kv, pin, SLICE_LITERAL("#"), &got);
	if (result >= 0)
		assert_int_equal(result, number ? 0 : 1);
	if (result == 0) {
		assert_int_equal(got.size, sizeof(number));
		assert_memory_equal(got.data, &number, sizeof(number));
	}
	buf_release(&got);
	kv_unpin(pin);
}

static void do_checkpoint(void)
{
	if (trial.kv)
		note(kv_checkpoint(trial.kv));
}

static void do_compact(void)
{
	if (trial.kv)
		note(kv_compact(trial.kv, NULL, NULL));
}

/* A store's life: made, filled over several segments, checkpointed, compacted,
 * closed, opened again. */
static void work_life(void)
{
	do_open();
	do_commits(6);
	do_checkpoint();
	do_commits(8);
	do_checkpoint();
	do_pinned_reads();
	do_commits(4);
	do_compact();
	do_commits(4);
	do_close();
	do_open();
	do_commits(3);
	do_checkpoint();
	if (trial.kv)
		check_all(trial.attempts[trial.done].values, true);
	do_end();
}

/* --- a store that crashed, made once --- */

struct crashed {
	struct scratch dir, store;
	struct record_io record;
	struct attempt after;
	uint32_t done;
	size_t cut_at;
};

static struct crashed crashed;

/* Recovery of it, compressed values, and no compaction: a short life. */
static void work_recovery(void)
{
	do_open();
	do_commits(5);
	do_checkpoint();
	do_end();
}

/* --- one run --- */

static void trial_begin(bool recorded, bool from_crash)
{
	struct power_cut all = { .kind = POWER_CUT_NOTHING_LOST,
				 .at = crashed.cut_at };
	char name[32];

	memset(&trial.attempts[0], 0, sizeof(trial.attempts[0]));
	trial.attempt_count = trial.done = trial.promised = 0;
	trial.failed_commits = 0;
	trial.died_done = 0;
	trial.lost_before = false;
	trial.close_failed = false;
	trial.kv = NULL;
	trial.random = 88172645463325252ULL;
	trial.recorded = recorded;
	snprintf(name, sizeof(name), "store%llu",
		 (unsigned long long)++trial_count);
	assert_int_equal(scratch_make_dir(&trial.dir, name, &trial.store), 0);
	if (from_crash) {
		assert_int_equal(power_cut_apply(&crashed.record, &all,
						 trial.store.fd),
				 0);
		trial.attempt_count = trial.done = trial.promised =
			crashed.done;
		trial.attempts[crashed.done] = crashed.after;
	}
	if (recorded)
		record_io_init(&trial.record, quick_io(), trial.store.path);
	fault_io_init(&trial.fault, recorded ? &trial.record.io : quick_io());
	small_kv_options(&trial.options, &trial.fault.io);
	trial.options.compact_rate = 0;
	trial.options.compress_level = from_crash;
}

static void count_problem(void *ctx, const struct kv_problem *problem)
{
	unsigned int *count = ctx;

	/* What a change replaced cannot be counted in an index that could not
	 * be read. */
	if (problem->kind == KV_PROBLEM_COUNTER && trial.index_unread)
		return;
	++*count;
	print_error("problem %d: %s at %llu: %s\n", problem->kind,
		    problem->file ? problem->file : "-",
		    (unsigned long long)problem->offset, problem->what);
}

static void check_sound(void)
{
	unsigned int count = 0;

	assert_true(kv_check(trial.kv, count_problem, NULL, &count) >= 0);
	assert_int_equal(count, 0);
}

/* The fault is over, the store still open: is it as it should be, and does it
 * go on? */
static void check_open_store(void)
{
	struct kv_stats stats;
	uint64_t lsn = 0;
	int error;

	kv_stats(trial.kv, &stats);
	check_all(trial.attempts[trial.done].values, true);
	error = do_commit(&lsn);
	if (stats.failed) {
		assert_int_equal(error, -EROFS);
		assert_int_equal(kv_sync(trial.kv, lsn), -EIO);
		assert_int_equal(kv_checkpoint(trial.kv), -EROFS);
	} else {
		assert_int_equal(error, 0);
		assert_int_equal(kv_sync(trial.kv, lsn), 0);
		note(0);
		assert_int_equal(kv_checkpoint(trial.kv), 0);
		check_sound();
	}
	check_all(trial.attempts[trial.done].values, true);
	error = kv_close(trial.kv);
	trial.kv = NULL;
	assert_int_equal(error, stats.failed ? -EIO : 0);
	trial.close_failed = error != 0;
}

/* The attempt whose mark the store carries; its contents are compared. */
static uint32_t found_attempt(void)
{
	struct buf got = { 0 };
	uint32_t number = 0;
	int result = kv_get(trial.kv, NULL, SLICE_LITERAL("#"), &got);

	assert_true(result >= 0);
	if (!result) {
		assert_int_equal(got.size, sizeof(number));
		memcpy(&number, got.data, sizeof(number));
	}
	buf_release(&got);
	assert_true(number <= trial.attempt_count);
	check_all(trial.attempts[number].values, true);
	check_sound();
	return number;
}

/* The process ended; all that it wrote is there. */
static void check_reopened(void)
{
	struct kv_stats stats;
	uint32_t number;

	assert_int_equal(kv_open(trial.store.path, &trial.options, &trial.kv),
			 0);
	kv_stats(trial.kv, &stats);
	assert_int_not_equal(stats.recovery, KV_RECOVERY_DAMAGED);
	/* An index that could not be read is counted anew, for the counters'
	 * sake. */
	if (!trial.index_unread)
		assert_int_not_equal(stats.recovery, KV_RECOVERY_REBUILT);
	trial.index_unread = false;
	number = found_attempt();
	/* What failed may be there after all, once nobody goes on from it. */
	if (trial.close_failed)
		assert_in_range(number, trial.done, trial.attempt_count);
	else
		assert_int_equal(number, trial.done);
	assert_int_equal(kv_close(trial.kv), 0);
	trial.kv = NULL;
}

/* The power went, and the disk lost all that it may; or the process died, and
 * nothing is lost. Which attempt is found. */
static uint32_t found_after(enum power_cut_kind kind, size_t at)
{
	struct power_cut cut = { .kind = kind, .at = at };
	struct scratch state;
	uint32_t found;

	assert_int_equal(scratch_make_dir(&trial.dir, "cut", &state), 0);
	assert_int_equal(power_cut_apply(&trial.record, &cut, state.fd), 0);
	trial.options.io = quick_io();
	assert_int_equal(kv_open(state.path, &trial.options, &trial.kv), 0);
	found = found_attempt();
	assert_int_equal(kv_close(trial.kv), 0);
	trial.kv = NULL;
	assert_int_equal(scratch_release(&state), 0);
	return found;
}

static void check_power_cut(size_t at)
{
	assert_in_range(found_after(POWER_CUT_SYNCED_ONLY, at), trial.promised,
			trial.attempt_count);
	if (trial.died_done)
		assert_int_equal(found_after(POWER_CUT_NOTHING_LOST,
					     trial.died_at),
				 trial.died_done);
}

static void trial_end(void)
{
	size_t at = trial.recorded ? record_io_position(&trial.record) : 0;
	uint32_t promised = trial.promised;

	if (trial.kv)
		check_failed();
	trial.hit_ops = fault_io_hit_ops(&trial.fault);
	trial.index_unread = trial.hit_ops & FAULT_OP(OP_TOUCH);
	fault_io_arm(&trial.fault, NULL);
	fault_alloc_arm(0, 0);
	/* Before what follows makes more durable. */
	if (trial.recorded && !trial.kv)
		check_power_cut(at);
	trial.options.io = &trial.fault.io;
	if (trial.kv) {
		check_open_store();
		if (trial.recorded)
			check_power_cut(record_io_position(&trial.record));
		trial.options.io = &trial.fault.io;
	}
	assert_true(trial.promised >= promised);
	check_reopened();
	assert_int_equal(fault_io_open_count(&trial.fault), 0);
	fault_io_release(&trial.fault);
	if (trial.recorded)
		record_io_release(&trial.record);
	assert_int_equal(scratch_release(&trial.store), 0);
	trial.what = NULL;
	runs_made++;
}

static int tell_failure(void **state)
{
	(void)state;
	if (!trial.what)
		return 0;
	print_error("with: %s, %llu, calls %x\n", trial.what,
		    (unsigned long long)trial.nth, trial.hit_ops);
	/* What was left half done has threads that would disturb the rest. */
	fflush(NULL);
	_exit(EXIT_FAILURE);
}

/* --- the campaigns --- */

static uint64_t seed;
static uint64_t stride;

/* Before and after the store was closed half way: what was lost by the end of
 * the work is looked at by the end of the work. */
static uint64_t run_with_fault(void (*work)(void), const struct fault *fault)
{
	uint64_t hits;

	trial_begin(true, work == work_recovery);
	fault_io_arm(&trial.fault, fault);
	work();
	hits = fault_io_hit_count(&trial.fault);
	trial_end();
	failed_calls += hits;
	return hits;
}

static void fail_each_call(void (*work)(void), struct fault fault,
			   const char *what)
{
	uint64_t nth = 1 + seed % stride, hits;

	do {
		fault.nth = nth;
		trial.what = what;
		trial.nth = nth;
		hits = run_with_fault(work, &fault);
		nth += stride;
	} while (hits);
}

static void once(void (*work)(void))
{
	static const struct fault faults[] = {
		{ .ops = FAULT_ANY, .error = -EIO },
		{ .ops = FAULT_ANY, .error = -EIO, .limit_bytes = 1000 },
		{ .ops = FAULT_ANY, .error = -EIO, .limit_bytes = SIZE_MAX },
		{ .ops = FAULT_ANY, .error = -ENOSPC, .limit_bytes = 100 },
		{ .ops = FAULT_ANY, .error = -EDQUOT },
		{ .ops = FAULT_ANY, .error = -EINTR, .times = 3 },
		{ .ops = FAULT_ANY, .error = -ENOMEM },
		{ .ops = FAULT_ANY, .limit_bytes = 7 },
		{ .ops = FAULT_ANY, .limit_bytes = 0 },
	};

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		fail_each_call(work, faults[i],
			       faults[i].error ? strerror(-faults[i].error) :
						 "short");
}

static void for_ever(void (*work)(void))
{
	static const int errors[] = { -EIO, -ENOSPC, -EDQUOT, -ENOMEM };

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct fault fault = { .error = errors[i],
				       .times = FAULT_FOR_EVER };

		for (unsigned int op = 0; op < OP_COUNT; op++) {
			fault.ops = FAULT_OP(op);
			fail_each_call(work, fault, "for ever");
		}
		fault.ops = FAULT_GROWTH;
		fail_each_call(work, fault, "growth");
		fault.ops = FAULT_ANY;
		fail_each_call(work, fault, "everything");
	}
}

static void a_call_that_fails_once_harms_nothing(void **state)
{
	(void)state;
	once(work_life);
	once(work_recovery);
}

static void a_call_that_fails_for_ever_harms_nothing(void **state)
{
	(void)state;
	for_ever(work_life);
	for_ever(work_recovery);
}

static void fail_each_allocation(void (*work)(void), uint64_t times)
{
	uint64_t nth = 1 + seed % stride, hits;

	do {
		trial.what = times == 1 ? "allocation" : "allocations from";
		trial.nth = nth;
		trial_begin(false, work == work_recovery);
		fault_alloc_arm(nth, times);
		work();
		hits = fault_alloc_hit_count();
		trial_end();
		failed_allocations += hits;
		nth += stride;
	} while (hits);
}

static void an_allocation_that_fails_harms_nothing(void **state)
{
	(void)state;
	fail_each_allocation(work_life, 1);
	fail_each_allocation(work_life, UINT64_MAX);
	fail_each_allocation(work_recovery, 1);
	fail_each_allocation(work_recovery, UINT64_MAX);
}

static int set_up(void **state)
{
	(void)state;
	assert_int_equal(scratch_init(&trial.dir), 0);
	assert_int_equal(scratch_init(&crashed.dir), 0);
	assert_int_equal(
		scratch_make_dir(&crashed.dir, "crashed", &crashed.store), 0);
	/* A life without a fault, and its state before its last close: all
	 * that was written, some of it not synced, nothing trimmed. */
	trial_begin(false, false);
	record_io_init(&crashed.record, quick_io(), trial.store.path);
	trial.options.io = &crashed.record.io;
	do_open();
	do_commits(9);
	do_checkpoint();
	do_commits(7);
	assert_int_equal(trial.done, 16);
	crashed.cut_at = record_io_position(&crashed.record);
	crashed.done = trial.done;
	crashed.after = trial.attempts[trial.done];
	do_close();
	fault_io_release(&trial.fault);
	assert_int_equal(scratch_release(&trial.store), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	record_io_release(&crashed.record);
	assert_int_equal(scratch_release(&crashed.dir), 0);
	assert_int_equal(scratch_release(&trial.dir), 0);
	print_message("%llu calls and %llu allocations failed in %llu runs\n",
		      (unsigned long long)failed_calls,
		      (unsigned long long)failed_allocations,
		      (unsigned long long)runs_made);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_call_that_fails_once_harms_nothing,
					  tell_failure),
		cmocka_unit_test_teardown(
			an_allocation_that_fails_harms_nothing, tell_failure),
		cmocka_unit_test_teardown(
			a_call_that_fails_for_ever_harms_nothing, tell_failure),
	};

	seed = argument_seed(argc, argv);
	stride = argument_stride(argc, argv, 32);
	print_message("seed %llu, stride %llu\n", (unsigned long long)seed,
		      (unsigned long long)stride);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
