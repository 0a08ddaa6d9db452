/* SPDX-License-Identifier: MIT */

/*
 * What the memtable costs: nanoseconds for a put of a new key, a put over an
 * existing one, a get that hits and one that misses, and one entry of a scan,
 * on keys of several shapes in several orders; then what puts cost beside
 * threads that do nothing but get. The figures are of use beside each other,
 * in one run on one machine.
 *
 *	memtable-bench [KEYS [SHAPE]]
 */

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/memtable.h"

#define KEY_ROOM 64
#define READERS_MAX 4

struct bench_key {
	uint8_t size;
	uint8_t bytes[KEY_ROOM - 1];
};

struct shape {
	const char *name;
	/* Writes the i-th key in ascending order; those of absent keys too. */
	void (*make)(struct bench_key *key, uint64_t i, bool absent);
};

static void key_print(struct bench_key *key, size_t at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void key_print(struct bench_key *key, size_t at, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	key->size = (uint8_t)(at + (size_t)vsnprintf((char *)key->bytes + at,
						     sizeof(key->bytes) - at,
						     format, args));
	va_end(args);
}

static void key_number(struct bench_key *key, size_t at, uint64_t number)
{
	number = __builtin_bswap64(number);
	memcpy(key->bytes + at, &number, sizeof(number));
	key->size = (uint8_t)(at + sizeof(number));
}

static void make_path(struct bench_key *key, uint64_t i, bool absent)
{
	key_print(key, 0,
		  "home/user/project%03" PRIu64 "/src/file%05" PRIu64 "%s",
		  i / 1000, i % 1000, absent ? ".o" : ".c");
}

/* Directories of 30 names each: two or three to a node. */
static void make_name(struct bench_key *key, uint64_t i, bool absent)
{
	key_number(key, 0, 1000 + i / 30 * 31);
	key_print(key, 8, "Dfile_%02" PRIu64 "%s", i % 30,
		  absent ? ".o" : ".c");
}

/* One large directory. */
static void make_large(struct bench_key *key, uint64_t i, bool absent)
{
	key_number(key, 0, 1000);
	key_print(key, 8, "Dimg_%08" PRIu64 "%s", i, absent ? ".raw" : ".jpg");
}

/* What creating files makes: an inode and, beside others, its name. */
static void make_inode(struct bench_key *key, uint64_t i, bool absent)
{
	key_number(key, 0, 1000 + i);
	key_print(key, 8, "%s", absent ? "X" : "A");
}

static void make_block(struct bench_key *key, uint64_t i, bool absent)
{
	key_number(key, 0, 1000 + i / 5000);
	key_print(key, 8, "%s", absent ? "C" : "B");
	key_number(key, 9, i % 5000);
}

static const struct shape shapes[] = {
	{ "path", make_path },
	{ "u64 D name, 30 each", make_name },
	{ "u64 D name, one", make_large },
	{ "u64 A", make_inode },
	{ "u64 B u64", make_block },
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Of this thread's processor time: others on the machine count less. */
static uint64_t now_ns(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void shuffle(struct bench_key *keys, size_t count, uint64_t seed)
{
	for (size_t i = count; i > 1; i--) {
		size_t j = random_next(&seed) % i;
		struct bench_key swap = keys[i - 1];

		keys[i - 1] = keys[j];
		keys[j] = swap;
	}
}

static struct slice key_slice(const struct bench_key *key)
{
	return slice_of(key->bytes, key->size);
}

static void put_one(struct memtable *memtable, const struct bench_key *key,
		    uint64_t offset)
{
	struct place old, place = { .offset = offset, .size_bytes = 100 };

	if (memtable_reserve(memtable, 1, key->size)) {
		fprintf(stderr, "memtable-bench: out of memory\n");
		exit(2);
	}
	memtable_put(memtable, key_slice(key), &place, &old);
}

static double put_all(struct memtable *memtable, const struct bench_key *keys,
		      size_t count)
{
	uint64_t start = now_ns();

	for (size_t i = 0; i < count; i++)
		put_one(memtable, &keys[i], i);
	return (double)(now_ns() - start) / (double)count;
}

static double get_all(struct memtable *memtable, const struct bench_key *keys,
		      size_t count, int expected)
{
	uint64_t start = now_ns();

	for (size_t i = 0; i < count; i++) {
		struct place place;

		if (memtable_get(memtable, key_slice(&keys[i]), &place) !=
		    expected) {
			fprintf(stderr, "memtable-bench: wrong answer\n");
			exit(2);
		}
	}
	return (double)(now_ns() - start) / (double)count;
}

static double scan_all(struct memtable *memtable, size_t count)
{
	struct source *source = memtable_source_new(memtable);
	uint64_t start = now_ns();
	size_t found = 0;

	if (!source)
		exit(2);
	for (int result = source_seek(source, slice_of(NULL, 0), false);
	     result == 0; result = source_next(source))
		found++;
	source_free(source);
	if (found != count) {
		fprintf(stderr, "memtable-bench: wrong count\n");
		exit(2);
	}
	return (double)(now_ns() - start) / (double)count;
}

static void bench_shape(const struct shape *shape, struct bench_key *keys,
			size_t count, bool ascending)
{
	struct memtable *memtable = memtable_new();

	for (size_t i = 0; i < count; i++)
		shape->make(&keys[i], i, false);
	if (!ascending)
		shuffle(keys, count, 1);
	printf("%-20s %-9s", shape->name, ascending ? "ascending" : "shuffled");
	printf(" %8.0f", put_all(memtable, keys, count));
	shuffle(keys, count, 2);
	printf(" %9.0f", put_all(memtable, keys, count));
	printf(" %8.0f", get_all(memtable, keys, count, 0));
	for (size_t i = 0; i < count; i++)
		shape->make(&keys[i], i, true);
	shuffle(keys, count, 3);
	printf(" %8.0f", get_all(memtable, keys, count, 1));
	printf(" %8.1f", scan_all(memtable, count));
	printf(" %8.1f", (double)memtable_size_bytes(memtable) / (double)count);
	printf(" %8.1f\n",
	       (double)memtable_key_bytes(memtable) / (double)count);
	fflush(stdout);
	memtable_unref(memtable);
}

struct bench_reader {
	pthread_t thread;
	struct memtable *memtable;
	const struct bench_key *keys;
	size_t count, get_count;
	atomic_bool *stop;
};

static void *reader_run(void *argument)
{
	struct bench_reader *reader = argument;
	struct place place;

	while (!atomic_load_explicit(reader->stop, memory_order_relaxed)) {
		size_t i = reader->get_count++ % reader->count;

		memtable_get(reader->memtable, key_slice(&reader->keys[i]),
			     &place);
	}
	return NULL;
}

/* Puts over existing keys while readers do nothing but get; wall time. */
static void bench_readers(struct memtable *memtable,
			  const struct bench_key *keys, size_t count,
			  size_t reader_count)
{
	struct bench_reader readers[READERS_MAX];
	atomic_bool stop = false;
	uint64_t start, longest = 0;
	size_t got = 0;

	for (size_t i = 0; i < reader_count; i++) {
		readers[i] = (struct bench_reader){
			.memtable = memtable,
			.keys = keys + i * (count / READERS_MAX),
			.count = count / READERS_MAX,
			.stop = &stop,
		};
		if (pthread_create(&readers[i].thread, NULL, reader_run,
				   &readers[i]))
			exit(2);
	}
	start = clock_ns(CLOCK_MONOTONIC);
	for (size_t i = 0; i < count; i++) {
		uint64_t one = clock_ns(CLOCK_MONOTONIC);

		put_one(memtable, &keys[i], i);
		one = clock_ns(CLOCK_MONOTONIC) - one;
		if (one > longest)
			longest = one;
	}
	start = clock_ns(CLOCK_MONOTONIC) - start;
	atomic_store(&stop, true);
	for (size_t i = 0; i < reader_count; i++) {
		pthread_join(readers[i].thread, NULL);
		got += readers[i].get_count;
	}
	printf("%zu readers: put %.0f ns, the longest %.0f us; get %.0f ns\n",
	       reader_count, (double)start / (double)count,
	       (double)longest / 1e3, got ? (double)start / (double)got : 0.0);
}

static void bench_concurrency(struct bench_key *keys, size_t count)
{
	struct memtable *memtable = memtable_new();

	for (size_t i = 0; i < count; i++)
		make_name(&keys[i], i, false);
	shuffle(keys, count, 1);
	put_all(memtable, keys, count);
	printf("\nputs beside readers, wall time:\n");
	for (size_t n = 0; n <= READERS_MAX; n = n ? 2 * n : 1)
		bench_readers(memtable, keys, count, n);
	memtable_unref(memtable);
}

int main(int argc, char **argv)
{
	size_t count = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;
	struct bench_key *keys;

	if (count < READERS_MAX || argc > 3) {
		fprintf(stderr, "usage: memtable-bench [KEYS [SHAPE]]\n");
		return 2;
	}
	keys = calloc(count, sizeof(*keys));
	if (!keys)
		return 2;
	printf("%zu keys, ns each; B/key is memory, of which key\n", count);
	printf("%-20s %-9s %8s %9s %8s %8s %8s %8s %8s\n", "keys", "put in",
	       "new", "overwrite", "hit", "miss", "scan", "B/key", "key");
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		if (argc > 2 && strcmp(argv[2], shapes[i].name) != 0)
			continue;
		bench_shape(&shapes[i], keys, count, true);
		bench_shape(&shapes[i], keys, count, false);
	}
	if (argc <= 2)
		bench_concurrency(keys, count < 200000 ? count : 200000);
	free(keys);
	return 0;
}
