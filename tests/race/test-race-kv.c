/* SPDX-License-Identifier: MIT */

/*
 * The engine's threads, and several of its callers', against each other: what
 * is read is always something that was written, and at the end everything
 * agrees. Its worth is in the builds with sanitizers.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kv.h"
#include "engine/thread.h"
#include "tests/seam/random.h"
#include "tests/seam/scratch.h"
#include "tests/seam/small_kv.h"

#define KEYS 3000u
#define WRITERS 2
#define CHANGES 60000u
#define BATCH_MAX 20u
#define VALUE_MAX 700u

struct world {
	struct kv *kv;
	atomic_uint writing;    /* writers that are not done */
	atomic_ullong problems; /* a thread must not assert */
};

/* A key's number is in it, and its value says it all over. */
struct pair {
	uint8_t key[8];
	uint8_t value[VALUE_MAX];
	size_t size;
};

static void key_fill(uint8_t key[static 8], uint32_t number)
{
	memcpy(key, "key:", 4);
	for (int i = 0; i < 4; i++)
		key[4 + i] = (uint8_t)(number >> (24 - 8 * i));
}

static uint32_t key_number(const uint8_t *key)
{
	return (uint32_t)key[4] << 24 | (uint32_t)key[5] << 16 |
	       (uint32_t)key[6] << 8 | key[7];
}

static void pair_fill(struct pair *pair, uint32_t number, uint64_t *random)
{
	key_fill(pair->key, number);
	pair->size = 1 + random_below(random, VALUE_MAX);
	memset(pair->value, (int)(number % 251), pair->size);
}

static bool value_is_of(struct slice value, uint32_t number)
{
	const uint8_t *bytes = value.data;

	if (value.size < 1 || value.size > VALUE_MAX)
		return false;
	for (size_t i = 0; i < value.size; i++)
		if (bytes[i] != number % 251)
			return false;
	return true;
}

static void expect(struct world *w, bool holds, const char *what)
{
	if (!holds) {
		atomic_fetch_add(&w->problems, 1);
		print_error("not so: %s\n", what);
	}
}

static struct slice key_of(const struct pair *pair)
{
	return slice_of(pair->key, sizeof(pair->key));
}

static void change_some(struct world *w, struct kv_batch *batch,
			struct pair *pairs, uint64_t *random)
{
	unsigned int count = 1 + random_below(random, BATCH_MAX);
	int error = 0;

	kv_batch_clear(batch);
	for (unsigned int i = 0; i < count && !error; i++) {
		pair_fill(&pairs[i], random_below(random, KEYS), random);
		error = random_below(random, 3) ?
				kv_batch_set(batch, key_of(&pairs[i]),
					     slice_of(pairs[i].value,
						      pairs[i].size)) :
				kv_batch_delete(batch, key_of(&pairs[i]));
	}
	expect(w, !error, "a batch takes what it is given");
	error = kv_commit(w->kv, batch, 0, NULL);
	expect(w, error >= 0, "a batch is committed");
	if (!random_below(random, 50))
		expect(w, kv_sync(w->kv, kv_last_lsn(w->kv)) == 0, "a sync");
}

static void *writer(void *ctx)
{
	static atomic_ullong seeds = 1;
	struct world *w = ctx;
	struct kv_batch batch = { 0 };
	uint64_t random = atomic_fetch_add(&seeds, 1) * 7919;
	struct pair *pairs = calloc(BATCH_MAX, sizeof(*pairs));

	for (unsigned int i = 0; pairs && i < CHANGES / BATCH_MAX; i++)
		change_some(w, &batch, pairs, &random);
	expect(w, pairs, "memory");
	free(pairs);
	kv_batch_release(&batch);
	atomic_fetch_sub(&w->writing, 1);
	return NULL;
}

static void *reader(void *ctx)
{
	struct world *w = ctx;
	uint64_t random = 4711;
	struct buf value = { 0 };
	uint8_t key[8];
	uint32_t number;
	int result;

	while (atomic_load(&w->writing)) {
		number = random_below(&random, KEYS);
		key_fill(key, number);
		result =
			kv_get(w->kv, NULL, slice_of(key, sizeof(key)), &value);
		expect(w, result >= 0, "a key is read");
		if (result == 0)
			expect(w, value_is_of(buf_slice(&value), number),
			       "a value is its key's");
	}
	buf_release(&value);
	return NULL;
}

/* A listing being checked. */
struct listing {
	struct world *w;
	uint64_t count;
	int64_t last;
	uint64_t sum;
};

static int entry_check(void *ctx, const struct kv_entry *entry)
{
	struct listing *listing = ctx;
	uint32_t number = key_number(entry->key.data);

	expect(listing->w, (int64_t)number > listing->last, "keys are sorted");
	expect(listing->w,
	       !entry->value_error && value_is_of(entry->value, number),
	       "a listed value is its key's");
	listing->last = number;
	listing->count++;
	listing->sum = listing->sum * 31 + number + entry->value.size;
	return 0;
}

static struct listing list_all(struct world *w, const struct kv_pin *pin)
{
	struct listing listing = { .w = w, .last = -1 };
	struct kv_range range = { 0 };

	expect(w,
	       kv_list(w->kv, pin, &range, KV_LIST_VALUES, entry_check,
		       &listing) == 0,
	       "a listing comes to its end");
	return listing;
}

static void *lister(void *ctx)
{
	struct world *w = ctx;
	struct kv_pin *pin;
	uint64_t sum;

	while (atomic_load(&w->writing)) {
		list_all(w, NULL);
		if (kv_pin(w->kv, &pin) == 0) {
			sum = list_all(w, pin).sum;
			expect(w, list_all(w, pin).sum == sum,
			       "a pin stands still");
			kv_unpin(pin);
		}
	}
	return NULL;
}

static void *housekeeper(void *ctx)
{
	struct world *w = ctx;
	uint64_t free_bytes, total_bytes;
	unsigned int turn = 0;

	while (atomic_load(&w->writing)) {
		if (turn % 16 == 0)
			expect(w, kv_compact(w->kv, NULL, NULL) == 0,
			       "a compaction");
		else if (turn % 4 == 0)
			expect(w, kv_checkpoint(w->kv) == 0, "a checkpoint");
		if (turn % 32 == 8)
			expect(w,
			       kv_check(w->kv, kv_problem_print, NULL, w) == 0,
			       "a check finds nothing");
		expect(w, kv_disk_space(w->kv, &free_bytes, &total_bytes) == 0,
		       "the disk's space");
		turn++;
	}
	return NULL;
}

static void *watcher(void *ctx)
{
	struct world *w = ctx;
	struct kv_stats stats;

	while (atomic_load(&w->writing)) {
		kv_stats(w->kv, &stats);
		expect(w, stats.key_count <= KEYS, "keys are counted");
	}
	return NULL;
}

static void everything_at_once(void **state)
{
	static void *(*const roles[])(void *ctx) = {
		writer, writer, reader, reader, lister, housekeeper, watcher,
	};
	pthread_t threads[sizeof(roles) / sizeof(roles[0])];
	struct kv_options options;
	struct scratch scratch;
	struct kv_stats stats;
	struct world w = { .writing = WRITERS };
	struct listing before;

	(void)state;
	assert_int_equal(scratch_init(&scratch), 0);
	small_kv_options(&options, NULL);
	options.compact_auto = true;
	options.compact_rate = 0;
	options.commit_interval_ms = 10;
	assert_int_equal(kv_open(scratch.path, &options, &w.kv), 0);
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		assert_int_equal(thread_start(&threads[i], 0, roles[i], &w), 0);
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	before = list_all(&w, NULL);
	kv_stats(w.kv, &stats);
	assert_int_equal(stats.key_count, before.count);
	assert_int_equal(kv_check(w.kv, kv_problem_print, NULL, NULL), 0);
	assert_int_equal(kv_close(w.kv), 0);
	assert_int_equal(kv_open(scratch.path, &options, &w.kv), 0);
	assert_int_equal(list_all(&w, NULL).sum, before.sum);
	assert_int_equal(kv_close(w.kv), 0);
	assert_int_equal(atomic_load(&w.problems), 0);
	scratch_release(&scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
