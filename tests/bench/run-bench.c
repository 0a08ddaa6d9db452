/* SPDX-License-Identifier: MIT */

/*
 * What a run costs: bytes a key, and nanoseconds of processor time a lookup, a
 * miss, a step of a list, a seek. Prints `name value` lines for two kinds of
 * keys: paths, and the filesystem's (inode number, tag, name).
 * Usage: run-bench [ENTRIES [DIR]].
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/bloom.h"
#include "engine/codec.h"
#include "engine/run.h"

#define KEY_MAX 64
#define SEGMENT_BYTES (64u << 20)
#define RECORD_BYTES 160

struct key {
	uint8_t size;
	uint8_t bytes[KEY_MAX];
};

/* key_count keys at even places are in the run, those between are not. */
static struct key *keys;
static size_t key_count;
static uint64_t random_state = 88172645463325252u;
static const struct run_identity identity = { { 1, 2, 3 }, 7 };

/* Marsaglia's xorshift. */
static uint64_t random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* Time of this processor on this work: what else runs matters less. */
static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void check(int result, const char *what)
{
	if (result < 0) {
		fprintf(stderr, "run-bench: %s: %s\n", what, strerror(-result));
		exit(2);
	}
}

static void make_path(struct key *key, size_t i)
{
	int size = snprintf((char *)key->bytes, KEY_MAX,
			    "home/user%02zu/project%03zu/src/module%02zu/"
			    "file-%06zx.c",
			    i % 37, i / 37 % 101, i / 4096 % 17,
			    i * 40503 % 0xffffff);

	key->size = (uint8_t)size;
}

/* An inode has its record, an entry in its directory, twice, and a block. */
static void make_inode_key(struct key *key, size_t i)
{
	struct writer w = writer_of(key->bytes, KEY_MAX);
	uint64_t ino = i / 4 + 2, parent = ino / 50 + 1;
	char name[24];
	int size = snprintf(name, sizeof(name), "file-%" PRIx64 ".txt",
			    ino * 40503 % 0xffffff);

	put_u64_be(&w, i % 4 < 2 ? ino : parent);
	put_u8(&w, (uint8_t) "ABCD"[i % 4]);
	if (i % 4 == 1)
		put_u64_be(&w, 0);
	else if (i % 4 == 2)
		put_u64_be(&w, ino);
	else if (i % 4 == 3)
		put_bytes(&w, slice_of(name, (size_t)size));
	key->size = (uint8_t)(w.at - key->bytes);
}

static struct slice key_slice(const struct key *key)
{
	return slice_of(key->bytes, key->size);
}

static int compare_keys(const void *a, const void *b)
{
	return slice_compare(key_slice(a), key_slice(b));
}

static void make_keys(size_t count, void (*make)(struct key *, size_t))
{
	size_t out = 0;

	for (size_t i = 0; i < count; i++)
		make(&keys[i], i);
	qsort(keys, count, sizeof(*keys), compare_keys);
	for (size_t i = 0; i < count; i++)
		if (!out || compare_keys(&keys[out - 1], &keys[i]))
			keys[out++] = keys[i];
	key_count = out / 2;
}

static struct slice present_key(size_t i)
{
	return key_slice(&keys[2 * i]);
}

static struct place place_of(size_t i)
{
	uint64_t at = (uint64_t)i * 2654435761u % key_count * RECORD_BYTES;

	return (struct place){
		.segment_id = 10 + at / SEGMENT_BYTES,
		.offset = at % SEGMENT_BYTES,
		.size_bytes = RECORD_BYTES - 30 + i * 7 % 60,
	};
}

static void write_run(int dir_fd, const char *kind)
{
	struct run_summary summary;
	struct run_writer *writer;
	uint64_t key_bytes = 0;
	double start = now_ns();

	check(run_writer_open(io_system(), dir_fd, &identity, key_count,
			      &writer),
	      "open for writing");
	for (size_t i = 0; i < key_count; i++) {
		struct index_entry entry = { present_key(i), place_of(i) };

		key_bytes += entry.key.size;
		check(run_writer_add(writer, &entry), "add");
	}
	check(run_writer_finish(writer, &summary), "finish");
	printf("%s_keys %zu\n", kind, key_count);
	printf("%s_key_bytes %.2f\n", kind,
	       (double)key_bytes / (double)key_count);
	printf("%s_file_bytes_per_key %.2f\n", kind,
	       (double)summary.file_size_bytes / (double)key_count);
	printf("%s_write_ns %.1f\n", kind,
	       (now_ns() - start) / (double)key_count);
}

/* Keys chosen beforehand, as callers have theirs at hand. */
#define BATCH_KEYS 256

static void choose_batch(struct key batch[BATCH_KEYS], bool present)
{
	for (size_t i = 0; i < BATCH_KEYS; i++)
		batch[i] = keys[2 * (random_next() % key_count) + !present];
}

static void measure_gets(struct run *run, const char *kind, const char *what,
			 bool present)
{
	const size_t batches = 8000;
	const size_t timed = batches / 2 * BATCH_KEYS;
	uint64_t outcomes[3] = { 0 };
	double total = 0;

	/* The first half is to fill the caches. */
	for (size_t i = 0; i < batches; i++) {
		struct key batch[BATCH_KEYS];
		double start;

		choose_batch(batch, present);
		start = now_ns();
		for (size_t j = 0; j < BATCH_KEYS; j++) {
			struct slice key = key_slice(&batch[j]);
			enum run_probe probe;
			struct place place;

			check(run_get(run, key, bloom_hash(key), &place,
				      &probe),
			      "get");
			outcomes[probe]++;
		}
		if (i >= batches / 2)
			total += now_ns() - start;
	}
	printf("%s_%s_ns %.1f\n", kind, what, total / (double)timed);
	printf("%s_%s_false_matches %.4f\n", kind, what,
	       (double)outcomes[RUN_FALSE_MATCH] /
		       (double)(batches * BATCH_KEYS));
}

static void measure_seeks(struct source *source, const char *kind)
{
	const size_t batches = 1000;
	double total = 0;

	for (size_t i = 0; i < batches; i++) {
		struct key batch[BATCH_KEYS];
		double start;

		choose_batch(batch, true);
		start = now_ns();
		for (size_t j = 0; j < BATCH_KEYS; j++)
			check(source_seek(source, key_slice(&batch[j]), false),
			      "seek");
		total += now_ns() - start;
	}
	printf("%s_seek_ns %.1f\n", kind,
	       total / (double)(batches * BATCH_KEYS));
}

static void measure_source(struct run *run, const char *kind)
{
	struct source *source = run_source_new(run);
	size_t count = 0;
	double start = now_ns();
	int result;

	if (!source)
		check(-ENOMEM, "source");
	result = source_seek(source, slice_of(NULL, 0), false);
	for (; result == 0; result = source_next(source))
		count++;
	check(result, "next");
	if (count != key_count)
		check(-EUCLEAN, "count");
	printf("%s_next_ns %.1f\n", kind, (now_ns() - start) / (double)count);
	measure_seeks(source, kind);
	source_free(source);
}

static void measure(int dir_fd, const char *kind, size_t count,
		    void (*make)(struct key *, size_t))
{
	char name[RUN_NAME_MAX];
	struct run *run;
	double start;

	make_keys(2 * count, make);
	write_run(dir_fd, kind);
	start = now_ns();
	check(run_open(io_system(), dir_fd, &identity, &run), "open");
	printf("%s_open_us %.1f\n", kind, (now_ns() - start) / 1e3);
	measure_gets(run, kind, "hit", true);
	measure_gets(run, kind, "miss", false);
	measure_source(run, kind);
	start = now_ns();
	check(run_verify(run), "verify");
	printf("%s_verify_ns %.1f\n", kind,
	       (now_ns() - start) / (double)key_count);
	run_unref(run);
	run_name(identity.id, name);
	check(io_unlink(io_system(), dir_fd, name), "unlink");
}

int main(int argc, char **argv)
{
	size_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
	char directory[] = "/tmp/run-bench-XXXXXX";
	const char *path = argc > 2 ? argv[2] : mkdtemp(directory);
	int dir_fd;

	if (!path || count == 0) {
		fprintf(stderr, "usage: run-bench [ENTRIES [DIR]]\n");
		return 2;
	}
	keys = malloc(2 * count * sizeof(*keys));
	if (!keys)
		check(-ENOMEM, "keys");
	check(io_open_dir(io_system(), path, &dir_fd), path);
	measure(dir_fd, "path", count, make_path);
	measure(dir_fd, "inode", count, make_inode_key);
	io_close(io_system(), dir_fd);
	if (argc <= 2)
		rmdir(path);
	free(keys);
	return 0;
}
