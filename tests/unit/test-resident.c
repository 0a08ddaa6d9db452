/* SPDX-License-Identifier: MIT */

/* How much of a store's files is resident: engine/resident.c. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/seam/scratch.h"
#include "tests/seam/small_kv.h"

#define MIB ((size_t)1 << 20)
#define MEMORY (8 * MIB)
#define STORE (96 * MIB)
/* Three times the memory, and what is touched until somebody has looked. */
#define MOST (3 * MEMORY + 8 * MIB)
#define READERS 4

struct fixture {
	struct scratch scratch;
	struct kv *kv;
	size_t value_bytes;
	size_t before; /* mapped, of a store that was opened and not read */
	size_t most;
};

static struct slice key_of(size_t i, char key[24])
{
	return slice_of(key, (size_t)snprintf(key, 24, "key%08zu", i));
}

static size_t value_count(const struct fixture *f)
{
	return STORE / f->value_bytes;
}

/* Pages of files in this process's memory: statm's third number. */
static size_t mapped_bytes(void)
{
	unsigned long pages[3] = { 0 };
	FILE *file = fopen("/proc/self/statm", "re");
	char line[128], *at = line;

	assert_non_null(file);
	assert_non_null(fgets(line, sizeof(line), file));
	fclose(file);
	for (size_t i = 0; i < 3; i++)
		pages[i] = strtoul(at, &at, 10);
	return pages[2] * (size_t)sysconf(_SC_PAGESIZE);
}

static void measure(struct fixture *f)
{
	size_t now = mapped_bytes();

	if (now > f->most)
		f->most = now;
}

static void open_store(struct fixture *f)
{
	struct kv_options options;

	small_kv_options(&options, NULL);
	options.segment_size_bytes = 16 << 20;
	options.memory_bytes = MEMORY;
	assert_int_equal(kv_open(f->scratch.path, &options, &f->kv), 0);
}

/* A store with its values, opened again, so that nothing of it was read. */
static void set_up(struct fixture *f, size_t value_bytes)
{
	uint8_t *value = calloc(1, value_bytes);
	char key[24];

	*f = (struct fixture){ .value_bytes = value_bytes };
	assert_non_null(value);
	assert_int_equal(scratch_init(&f->scratch), 0);
	open_store(f);
	for (size_t i = 0; i < value_count(f); i++)
		assert_int_equal(kv_set(f->kv, key_of(i, key),
					slice_of(value, value_bytes), NULL),
				 0);
	free(value);
	assert_int_equal(kv_close(f->kv), 0);
	open_store(f);
	f->before = mapped_bytes();
}

static void tear_down(struct fixture *f)
{
	assert_int_equal(kv_close(f->kv), 0);
	scratch_release(&f->scratch);
}

static bool bounded(const struct fixture *f)
{
	return f->most > 0 && f->most <= f->before + MOST;
}

/* Each value once, in an order that is none; how much is mapped is asked for
 * now and then only, as that takes as long as many reads. */
static void read_all(struct fixture *f)
{
	struct buf value = { 0 };
	size_t count = value_count(f), every = count / 256;
	char key[24];

	for (size_t i = 0; i < count; i++) {
		size_t at = i * 7919 % count;

		assert_int_equal(kv_get(f->kv, NULL, key_of(at, key), &value),
				 0);
		assert_int_equal(value.size, f->value_bytes);
		if (i % every == 0)
			measure(f);
	}
	buf_release(&value);
}

static void large_values_do_not_pile_up(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, 128 << 10);
	for (int pass = 0; pass < 10; pass++)
		read_all(&f);
	assert_true(bounded(&f));
	tear_down(&f);
}

static void small_values_do_not_pile_up(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, 3000);
	for (int pass = 0; pass < 3; pass++)
		read_all(&f);
	assert_true(bounded(&f));
	tear_down(&f);
}

static void *reader(void *ctx)
{
	struct fixture *f = ctx;
	struct fixture mine = *f;

	read_all(&mine);
	return bounded(&mine) ? NULL : ctx;
}

static void nor_do_they_when_many_read(void **state)
{
	pthread_t threads[READERS];
	struct fixture f;
	void *failed;

	(void)state;
	set_up(&f, 3000);
	for (int i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, reader, &f),
				 0);
	for (int i = 0; i < READERS; i++) {
		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
	tear_down(&f);
}

static int measure_entry(void *ctx, const struct kv_entry *entry)
{
	assert_int_equal(entry->value_error, 0);
	measure(ctx);
	return 0;
}

static void a_list_of_values_maps_no_more(void **state)
{
	struct kv_range everything = { 0 };
	struct fixture f;

	(void)state;
	set_up(&f, 64 << 10);
	assert_int_equal(kv_list(f.kv, NULL, &everything, KV_LIST_VALUES,
				 measure_entry, &f),
			 0);
	assert_true(bounded(&f));
	tear_down(&f);
}

static int measure_progress(void *ctx, uint64_t done_bytes,
			    uint64_t total_bytes)
{
	(void)done_bytes;
	(void)total_bytes;
	measure(ctx);
	return 0;
}

static void a_check_and_a_compaction_map_no_more(void **state)
{
	struct fixture f;
	char key[24];

	(void)state;
	set_up(&f, 3000);
	assert_int_equal(kv_check(f.kv, kv_problem_print, measure_progress, &f),
			 0);
	for (size_t i = 0; i < value_count(&f); i += 2)
		assert_int_equal(kv_delete(f.kv, key_of(i, key), NULL), 0);
	assert_int_equal(kv_compact(f.kv, measure_progress, &f), 0);
	assert_true(bounded(&f));
	tear_down(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(large_values_do_not_pile_up),
		cmocka_unit_test(small_values_do_not_pile_up),
		cmocka_unit_test(nor_do_they_when_many_read),
		cmocka_unit_test(a_list_of_values_maps_no_more),
		cmocka_unit_test(a_check_and_a_compaction_map_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
