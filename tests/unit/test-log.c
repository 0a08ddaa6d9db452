/* SPDX-License-Identifier: MIT */

/* Group commit: who shares a sync. engine/log.c */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include "engine/io.h"
#include "tests/seam/scratch.h"
#include "tests/seam/small_kv.h"

#define THREADS 6u
#define SETS 400u
#define SYNC_MS 4
#define ATTEMPTS 3

/* A disk that takes so long that who was woken has come back meanwhile, however
 * busy the processors are. */
static int sync_slowly(struct io *io, int fd)
{
	struct timespec pause = { .tv_nsec = SYNC_MS * 1000000L };

	(void)io;
	(void)fd;
	nanosleep(&pause, NULL);
	return 0;
}

struct writer {
	struct kv *kv;
	unsigned int number;
	int error;
};

/* No assertions: cmocka's are for the main thread. */
static void *set_and_sync(void *ctx)
{
	struct writer *writer = ctx;

	for (unsigned int i = 0; i < SETS && !writer->error; i++) {
		uint64_t lsn = 0;
		char key[32];
		size_t size = (size_t)snprintf(key, sizeof(key), "%u/%u",
					       writer->number, i);

		writer->error = kv_set(writer->kv, slice_of(key, size),
				       SLICE_LITERAL("value"), &lsn);
		if (!writer->error)
			writer->error = kv_sync(writer->kv, lsn);
	}
	return NULL;
}

static uint64_t disk_syncs(struct kv *kv)
{
	struct kv_stats stats;

	kv_stats(kv, &stats);
	return stats.disk_sync_count;
}

/* Returns how many syncs of the disk that many threads' sets took. */
static uint64_t syncs_of(struct kv *kv, unsigned int threads)
{
	struct writer writers[THREADS];
	pthread_t ids[THREADS];
	uint64_t before = disk_syncs(kv);

	for (unsigned int i = 0; i < threads; i++) {
		writers[i] = (struct writer){ kv, i, 0 };
		assert_int_equal(pthread_create(&ids[i], NULL, set_and_sync,
						&writers[i]),
				 0);
	}
	for (unsigned int i = 0; i < threads; i++) {
		assert_int_equal(pthread_join(ids[i], NULL), 0);
		assert_int_equal(writers[i].error, 0);
	}
	return disk_syncs(kv) - before;
}

/*
 * Without waiting for each other those who come while one sync runs share the
 * next, and who led goes alone: half of them at a time, SETS * 2 syncs. It takes
 * a while until that is known. Where the processors are too busy for those who
 * were woken to come back within half a sync, another attempt may show it.
 */
static void all_who_sync_again_and_again_share_each_sync(void **state)
{
	struct io_ops ops = *io_system()->ops;
	struct io slow = { &ops };
	struct kv_options options;
	struct scratch scratch;
	struct kv *kv = NULL;
	uint64_t count = 0;

	(void)state;
	ops.sync_data = sync_slowly;
	ops.sync_dir = sync_slowly;
	assert_int_equal(scratch_init(&scratch), 0);
	small_kv_options(&options, &slow);
	assert_int_equal(kv_open(scratch.path, &options, &kv), 0);
	for (int i = 0; i < ATTEMPTS; i++) {
		count = syncs_of(kv, THREADS);
		print_message("%u syncs each of %u threads: %u\n", SETS,
			      THREADS, (unsigned int)count);
		if (count < SETS * 7 / 4)
			break;
	}
	assert_in_range(count, SETS, SETS * 7 / 4);
	assert_int_equal(syncs_of(kv, 1), SETS);
	assert_int_equal(kv_close(kv), 0);
	scratch_release(&scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_who_sync_again_and_again_share_each_sync),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
