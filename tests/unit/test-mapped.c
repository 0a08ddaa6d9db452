/* SPDX-License-Identifier: MIT */

/* How much of a store's files is mapped into its process: engine/background.c. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/seam/scratch.h"
#include "tests/seam/small_kv.h"

#define VALUE_BYTES (128u << 10)
#define VALUES 768u
#define STORE_MIB (VALUE_BYTES / 1024 * VALUES / 1024)
#define PASSES 20

static struct slice key_of(unsigned int i, char key[16])
{
	return slice_of(key, (size_t)snprintf(key, 16, "key%04u", i));
}

static void fill(struct kv *kv)
{
	uint8_t *value = calloc(1, VALUE_BYTES);
	char key[16];

	assert_non_null(value);
	for (unsigned int i = 0; i < VALUES; i++)
		assert_int_equal(kv_set(kv, key_of(i, key),
					slice_of(value, VALUE_BYTES), NULL),
				 0);
	free(value);
}

/* Pages of files in this process's memory, in MiB: statm's third number. */
static size_t mapped_mib(void)
{
	unsigned long pages[3] = { 0 };
	FILE *file = fopen("/proc/self/statm", "re");
	char line[128], *at = line;

	assert_non_null(file);
	assert_non_null(fgets(line, sizeof(line), file));
	fclose(file);
	for (size_t i = 0; i < 3; i++)
		pages[i] = strtoul(at, &at, 10);
	return pages[2] * (size_t)sysconf(_SC_PAGESIZE) >> 20;
}

/* The most that was mapped while everything was read once. */
static size_t read_all(struct kv *kv)
{
	struct buf value = { 0 };
	size_t most = 0, now;
	char key[16];

	for (unsigned int i = 0; i < VALUES; i++) {
		assert_int_equal(kv_get(kv, NULL, key_of(i, key), &value), 0);
		now = mapped_mib();
		most = now > most ? now : most;
	}
	buf_release(&value);
	return most;
}

/*
 * The budget is 2 MiB here, half of memory_bytes, and that is looked at once a
 * second, too: in most passes, which take much less, only what was read can have
 * been what told. How far a thread that has to be woken is behind is the
 * machine's affair, so the bound is wide.
 */
static void what_was_read_does_not_pile_up_in_memory(void **state)
{
	struct kv_options options;
	unsigned int bounded = 0;
	struct scratch scratch;
	struct kv *kv;

	(void)state;
	assert_int_equal(scratch_init(&scratch), 0);
	small_kv_options(&options, NULL);
	options.segment_size_bytes = 16 << 20;
	assert_int_equal(kv_open(scratch.path, &options, &kv), 0);
	fill(kv);
	for (unsigned int i = 0; i < PASSES; i++)
		bounded += read_all(kv) < STORE_MIB / 2;
	assert_true(bounded > PASSES / 2);
	assert_int_equal(kv_close(kv), 0);
	scratch_release(&scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_read_does_not_pile_up_in_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
