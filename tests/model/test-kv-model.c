/* SPDX-License-Identifier: MIT */

/*
 * The store against a plain map: random sets, deletes, batches, reads,
 * listings, pins, reopening, checkpoints, compaction, the death of the process
 * at any moment, and the loss of the manifest with it. After every step that
 * could lose something, everything is compared.
 *
 *	test-kv-model [SEED [STEPS]]
 *
 * The seed is printed; the same seed takes the same steps.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <unistd.h>

#include "engine/kv.h"
#include "tests/seam/arguments.h"
#include "tests/seam/power_cut.h"
#include "tests/seam/random.h"
#include "tests/seam/record_io.h"
#include "tests/seam/scratch.h"
#include "tests/seam/small_kv.h"

#define KEY_COUNT 600u
#define VALUE_MAX 9000u
#define BATCH_MAX 40u

/* What is known of a key: its value is made from `value`, 0 for absent. */
struct model {
	uint64_t value[KEY_COUNT];
};

struct world {
	uint64_t random;
	struct scratch dir;
	struct scratch store; /* below dir */
	struct record_io record;
	unsigned int generation; /* numbers the stores */
	struct kv_options options;
	struct kv *kv;
	struct model model;
	struct kv_pin *pin;
	struct model pinned;
	uint64_t next_value;
};

static unsigned int below(struct world *w, unsigned int limit)
{
	return random_below(&w->random, limit);
}

/* Keys with shared prefixes, of different lengths, one of them empty. */
static struct slice key_of(unsigned int index, char bytes[64])
{
	int size;

	if (index == 0)
		return slice_of("", 0);
	size = snprintf(bytes, 64, "dir%02u/%s%u", index % 13,
			index % 3 ? "a-rather-longer-name-" : "", index);
	return slice_of(bytes, (size_t)size);
}

static unsigned int classify(struct slice key)
{
	return key.size % KV_CLASS_COUNT;
}

static size_t value_size(uint64_t value)
{
	/* Mostly small, some beyond what is copied into the staging buffer. */
	return value % 11 == 0 ? value % VALUE_MAX : value % 200;
}

static void value_fill(uint64_t value, uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)((value * 31 + i / 7) >> (i % 3));
}

static void check_key(struct world *w, const struct kv_pin *pin,
		      const struct model *model, unsigned int index)
{
	uint8_t expected[VALUE_MAX];
	struct buf got = { 0 };
	char bytes[64];
	int result = kv_get(w->kv, pin, key_of(index, bytes), &got);

	if (!model->value[index]) {
		assert_int_equal(result, 1);
	} else {
		size_t size = value_size(model->value[index]);

		assert_int_equal(result, 0);
		assert_int_equal(got.size, size);
		value_fill(model->value[index], expected, size);
		assert_memory_equal(got.data, expected, size);
	}
	buf_release(&got);
}

static int check_entry(void *ctx, const struct kv_entry *entry)
{
	uint64_t *count = ctx;

	assert_int_equal(entry->value_error, 0);
	++*count;
	return 0;
}

static void check_all(struct world *w, const struct kv_pin *pin,
		      const struct model *model)
{
	uint64_t listed = 0, expected = 0;

	for (unsigned int i = 0; i < KEY_COUNT; i++) {
		check_key(w, pin, model, i);
		expected += model->value[i] != 0;
	}
	assert_int_equal(kv_list(w->kv, pin, &(struct kv_range){ 0 },
				 KV_LIST_VALUES, check_entry, &listed),
			 0);
	assert_int_equal(listed, expected);
}

static void check_counts(struct world *w)
{
	uint64_t classes[KV_CLASS_COUNT] = { 0 };
	struct kv_stats stats;
	char bytes[64];

	for (unsigned int i = 0; i < KEY_COUNT; i++)
		if (w->model.value[i])
			classes[classify(key_of(i, bytes))]++;
	kv_stats(w->kv, &stats);
	for (unsigned int i = 0; i < KV_CLASS_COUNT; i++)
		assert_int_equal(stats.classes[i].key_count, classes[i]);
}

static void check_store(struct world *w)
{
	check_all(w, NULL, &w->model);
	check_counts(w);
	assert_int_equal(kv_check(w->kv, kv_problem_print, NULL, NULL), 0);
}

static void drop_pin(struct world *w)
{
	kv_unpin(w->pin);
	w->pin = NULL;
}

static void step_batch(struct world *w)
{
	static uint8_t values[BATCH_MAX][VALUE_MAX];
	struct kv_batch batch = { 0 };
	unsigned int count = below(w, 4) ? 1 : 1 + below(w, BATCH_MAX);
	char bytes[64];

	for (unsigned int i = 0; i < count; i++) {
		unsigned int index = below(w, KEY_COUNT);
		struct slice key = key_of(index, bytes);

		if (below(w, 3)) {
			uint64_t value = ++w->next_value;
			size_t size = value_size(value);

			value_fill(value, values[i], size);
			assert_int_equal(
				kv_batch_set(&batch, key,
					     slice_of(values[i], size)),
				0);
			w->model.value[index] = value;
		} else {
			assert_int_equal(kv_batch_delete(&batch, key), 0);
			w->model.value[index] = 0;
		}
	}
	assert_int_equal(kv_commit(w->kv, &batch, 0, NULL), 0);
	kv_batch_release(&batch);
}

static void step_pin(struct world *w)
{
	if (w->pin) {
		check_all(w, w->pin, &w->pinned);
		drop_pin(w);
		return;
	}
	assert_int_equal(kv_pin(w->kv, &w->pin), 0);
	w->pinned = w->model;
}

static void step_reopen(struct world *w)
{
	struct kv_stats stats;

	drop_pin(w);
	assert_int_equal(kv_close(w->kv), 0);
	w->options.compress_level = below(w, 2) ? 6 : 0;
	assert_int_equal(kv_open(w->store.path, &w->options, &w->kv), 0);
	kv_stats(w->kv, &stats);
	assert_int_equal(stats.recovery, KV_RECOVERY_CLEAN);
	check_store(w);
}

/* Opens a store in a directory of its own, with every change recorded. */
static void world_open(struct world *w, const struct scratch *store)
{
	w->store = *store;
	record_io_init(&w->record, io_system(), w->store.path);
	w->options.io = &w->record.io;
	assert_int_equal(kv_open(w->store.path, &w->options, &w->kv), 0);
}

static void world_close(struct world *w)
{
	assert_int_equal(kv_close(w->kv), 0);
	record_io_release(&w->record);
	assert_int_equal(scratch_release(&w->store), 0);
}

/* Goes on with what a process that is killed now would leave. */
static void step_kill(struct world *w, bool without_manifest)
{
	struct power_cut cut = { .kind = POWER_CUT_NOTHING_LOST };
	struct kv_stats stats;
	struct scratch copy;
	char name[32];

	drop_pin(w);
	snprintf(name, sizeof(name), "store%u", ++w->generation);
	assert_int_equal(scratch_make_dir(&w->dir, name, &copy), 0);
	cut.at = record_io_position(&w->record);
	assert_int_equal(power_cut_apply(&w->record, &cut, copy.fd), 0);
	world_close(w);
	if (without_manifest)
		assert_int_equal(unlinkat(copy.fd, "MANIFEST", 0), 0);
	world_open(w, &copy);
	kv_stats(w->kv, &stats);
	if (without_manifest)
		assert_int_equal(stats.recovery, KV_RECOVERY_REBUILT);
	else
		assert_true(stats.recovery <= KV_RECOVERY_REPLAYED);
	check_store(w);
}

static void step(struct world *w)
{
	unsigned int choice = below(w, 1000);

	if (choice < 900)
		step_batch(w);
	else if (choice < 940)
		check_key(w, NULL, &w->model, below(w, KEY_COUNT));
	else if (choice < 960)
		step_pin(w);
	else if (choice < 970)
		assert_int_equal(kv_checkpoint(w->kv), 0);
	else if (choice < 975)
		assert_int_equal(kv_sync(w->kv, kv_last_lsn(w->kv)), 0);
	else if (choice < 980)
		step_reopen(w);
	else if (choice < 985)
		step_kill(w, false);
	else if (choice < 988)
		step_kill(w, true);
	else if (choice < 994)
		assert_int_equal(kv_compact(w->kv, NULL, NULL), 0);
	else
		check_store(w);
}

static uint64_t seed, steps;

static void the_store_behaves_like_a_map(void **state)
{
	static struct world w;
	struct scratch store;

	(void)state;
	w.random = seed;
	print_message("seed %llu, %llu steps\n", (unsigned long long)seed,
		      (unsigned long long)steps);
	assert_int_equal(scratch_init(&w.dir), 0);
	assert_int_equal(scratch_make_dir(&w.dir, "store0", &store), 0);
	small_kv_options(&w.options, NULL);
	w.options.commit_interval_ms = 10;
	w.options.compact_auto = true;
	w.options.compact_ratio = 20;
	w.options.classify = classify;
	world_open(&w, &store);
	for (uint64_t i = 0; i < steps; i++)
		step(&w);
	check_store(&w);
	drop_pin(&w);
	world_close(&w);
	assert_int_equal(scratch_release(&w.dir), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_store_behaves_like_a_map),
	};

	seed = argument_seed(argc, argv);
	steps = argument_number(argc, argv, 2, 20000);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
