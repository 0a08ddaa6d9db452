/* SPDX-License-Identifier: MIT */

/*
 * Opening a cleanly closed store takes as long with very many keys as with
 * few, and memory stays within the option, however many keys there are.
 *
 *	test-open-time [FEW [MANY]]
 *
 * Prints both times and the memory. Fails when the larger store takes more than
 * four times as long (the least of several opens each), or when the process
 * ever holds more memory than it was given.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <time.h>
#include <unistd.h>

#include "engine/kv.h"
#include "tests/seam/scratch.h"

#define OPENS 9u
#define RATIO_MAX 4u

static uint64_t few = 50000, many = 5000000;

/* Bytes of memory that this process holds now: private, and of mapped files. */
static void memory_now(uint64_t *ret_anon, uint64_t *ret_file)
{
	FILE *status = fopen("/proc/self/status", "re");
	unsigned long kib;
	char line[256];

	assert_non_null(status);
	*ret_anon = *ret_file = 0;
	while (fgets(line, sizeof(line), status)) {
		if (sscanf(line, "RssAnon: %lu", &kib) == 1)
			*ret_anon = (uint64_t)kib << 10;
		if (sscanf(line, "RssFile: %lu", &kib) == 1)
			*ret_file = (uint64_t)kib << 10;
	}
	fclose(status);
}

static void fill(const char *path, const struct kv_options *options,
		 uint64_t count)
{
	uint64_t anon, file, most_anon = 0;
	char key[64], value[100];
	struct kv *kv;

	memset(value, 'v', sizeof(value));
	assert_int_equal(kv_open(path, options, &kv), 0);
	for (uint64_t i = 0; i < count; i++) {
		/* An odd factor visits every number once, out of order. */
		uint64_t n = i * 2654435761u % count;
		int size = snprintf(key, sizeof(key), "some/path/%06llu/%llu",
				    (unsigned long long)n / 1000,
				    (unsigned long long)n);

		assert_int_equal(kv_set(kv, slice_of(key, (size_t)size),
					slice_of(value, sizeof(value)), NULL),
				 0);
		if (i % 100000 == 0) {
			memory_now(&anon, &file);
			if (anon > most_anon)
				most_anon = anon;
		}
	}
	assert_int_equal(kv_close(kv), 0);
	print_message("%llu keys: at most %llu MiB private memory while "
		      "filling\n",
		      (unsigned long long)count,
		      (unsigned long long)most_anon >> 20);
	assert_true(most_anon < options->memory_bytes * 3 / 2);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The least of several; the store must be clean each time. */
static uint64_t open_ns(const char *path, const struct kv_options *options,
			uint64_t count)
{
	uint64_t least = UINT64_MAX, anon = 0, file = 0;
	struct kv_stats stats;
	struct kv *kv;

	for (unsigned int i = 0; i < OPENS; i++) {
		uint64_t began = now_ns(), took;

		assert_int_equal(kv_open(path, options, &kv), 0);
		took = now_ns() - began;
		least = took < least ? took : least;
		kv_stats(kv, &stats);
		assert_int_equal(stats.recovery, KV_RECOVERY_CLEAN);
		assert_int_equal(stats.recovery_record_count, 0);
		assert_int_equal(stats.key_count, count);
		memory_now(&anon, &file);
		assert_int_equal(kv_close(kv), 0);
	}
	print_message("%llu keys: opened in %llu us; resident %llu + %llu KiB "
		      "(private + mapped)\n",
		      (unsigned long long)count,
		      (unsigned long long)least / 1000,
		      (unsigned long long)anon >> 10,
		      (unsigned long long)file >> 10);
	return least;
}

static uint64_t fill_and_open(const char *name, uint64_t count)
{
	struct kv_options options;
	struct scratch dir, store;
	uint64_t ns;

	assert_int_equal(scratch_init(&dir), 0);
	assert_int_equal(scratch_make_dir(&dir, name, &store), 0);
	kv_options_init(&options);
	options.create = true;
	fill(store.path, &options, count);
	ns = open_ns(store.path, &options, count);
	assert_int_equal(scratch_release(&store), 0);
	assert_int_equal(scratch_release(&dir), 0);
	return ns;
}

static void opening_takes_as_long_with_many_keys_as_with_few(void **state)
{
	uint64_t few_ns, many_ns;

	(void)state;
	few_ns = fill_and_open("few", few);
	many_ns = fill_and_open("many", many);
	assert_true(many_ns < RATIO_MAX * few_ns);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			opening_takes_as_long_with_many_keys_as_with_few),
	};

	if (argc > 1)
		few = strtoull(argv[1], NULL, 0);
	if (argc > 2)
		many = strtoull(argv[2], NULL, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
