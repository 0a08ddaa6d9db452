/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the tests of runs share: a directory, a sorted array as the model of a
 * run, keys to fill it with, and comparing the two.
 */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/bloom.h"
#include "engine/codec.h"
#include "engine/run.h"

static const struct run_identity identity = {
	.store_uuid = { 0xa0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
			15 },
	.id = 0x2a,
};

static char directory[] = "/tmp/kvfs-test-run-XXXXXX";
static int dir_fd;

struct entry {
	struct buf key;
	struct place place;
};

/* The model: entries in ascending order of key. */
struct model {
	struct entry *entries;
	size_t count;
};

static uint64_t random_state;

/* Marsaglia's xorshift. */
static inline uint64_t random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static inline uint64_t random_below(uint64_t limit)
{
	return random_next() % limit;
}

/* Small, middling or any number of 64 bits. */
static inline uint64_t random_number(void)
{
	return random_next() >> random_below(64);
}

static inline int setup(void **state)
{
	(void)state;
	if (!mkdtemp(directory))
		return -1;
	dir_fd = open(directory, O_RDONLY | O_DIRECTORY);
	return dir_fd < 0 ? -1 : 0;
}

static inline int teardown(void **state)
{
	(void)state;
	close(dir_fd);
	return rmdir(directory);
}

static inline void remove_run(uint64_t id)
{
	char name[RUN_NAME_MAX];

	run_name(id, name);
	assert_int_equal(unlinkat(dir_fd, name, 0), 0);
}

static inline int open_file(int flags)
{
	char name[RUN_NAME_MAX];
	int fd;

	run_name(identity.id, name);
	fd = openat(dir_fd, name, flags);
	assert_true(fd >= 0);
	return fd;
}

static inline struct run *open_run(void)
{
	struct run *run = NULL;

	assert_int_equal(run_open(io_system(), dir_fd, &identity, &run), 0);
	return run;
}

static inline int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return slice_compare(buf_slice(&x->key), buf_slice(&y->key));
}

static inline void model_init(struct model *model, size_t capacity)
{
	model->entries = calloc(capacity + 1, sizeof(*model->entries));
	model->count = 0;
	assert_non_null(model->entries);
}

static inline void model_add(struct model *model, struct slice key)
{
	struct entry *entry = &model->entries[model->count++];

	assert_int_equal(buf_assign(&entry->key, key), 0);
	entry->place = (struct place){
		.segment_id = random_number(),
		.offset = random_number(),
		.size_bytes = random_number(),
		.tombstone = random_below(4) == 0,
	};
}

static inline void model_sort(struct model *model)
{
	size_t out = 0;

	qsort(model->entries, model->count, sizeof(*model->entries),
	      compare_entries);
	for (size_t i = 0; i < model->count; i++) {
		struct entry *entry = &model->entries[i];

		if (out && !compare_entries(&model->entries[out - 1], entry))
			buf_release(&entry->key);
		else
			model->entries[out++] = *entry;
	}
	model->count = out;
}

static inline void model_release(struct model *model)
{
	for (size_t i = 0; i < model->count; i++)
		buf_release(&model->entries[i].key);
	free(model->entries);
}

static inline uint64_t model_tombstones(const struct model *model)
{
	uint64_t count = 0;

	for (size_t i = 0; i < model->count; i++)
		count += model->entries[i].place.tombstone;
	return count;
}

/* The first entry at or beyond the key; count when there is none. */
static inline size_t model_seek(const struct model *model, struct slice key)
{
	size_t low = 0, high = model->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (slice_compare(buf_slice(&model->entries[middle].key), key) <
		    0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static inline struct slice model_key(const struct model *model, size_t i)
{
	return buf_slice(&model->entries[i].key);
}

static inline int write_model(struct io *io, const struct model *model,
			      uint64_t expected_entries,
			      struct run_summary *ret_summary)
{
	struct run_writer *writer;
	int error = run_writer_open(io, dir_fd, &identity, expected_entries,
				    &writer);

	if (error)
		return error;
	for (size_t i = 0; i < model->count; i++) {
		struct index_entry entry = { model_key(model, i),
					     model->entries[i].place };

		error = run_writer_add(writer, &entry);
		if (error) {
			run_writer_abandon(writer);
			return error;
		}
	}
	return run_writer_finish(writer, ret_summary);
}

static inline struct run *write_and_open(const struct model *model)
{
	struct run_summary summary = { 0 };

	assert_int_equal(
		write_model(io_system(), model, model->count, &summary), 0);
	return open_run();
}

static inline void assert_place(const struct place *a, const struct place *b)
{
	assert_int_equal(a->segment_id, b->segment_id);
	assert_int_equal(a->offset, b->offset);
	assert_int_equal(a->size_bytes, b->size_bytes);
	assert_int_equal(a->tombstone, b->tombstone);
	assert_int_equal(a->lsn, 0);
}

static inline int find_place(struct run *run, struct slice key,
			     struct place *ret_place, enum run_probe *ret_probe)
{
	return run_get(run, key, bloom_hash(key), ret_place, ret_probe);
}

/* A get of any key gives what the model has. */
static inline void check_get(struct run *run, const struct model *model,
			     struct slice key)
{
	size_t i = model_seek(model, key);
	bool present = i < model->count &&
		       slice_equal(model_key(model, i), key);
	enum run_probe probe;
	struct place place;
	int result = find_place(run, key, &place, &probe);

	assert_int_equal(result, present ? 0 : 1);
	if (present) {
		assert_int_equal(probe, RUN_FOUND);
		assert_place(&place, &model->entries[i].place);
	} else {
		assert_int_not_equal(probe, RUN_FOUND);
	}
}

static inline void assert_entry(const struct source *source,
				const struct model *model, size_t i)
{
	assert_true(slice_equal(source->entry.key, model_key(model, i)));
	assert_place(&source->entry.place, &model->entries[i].place);
}

static inline void check_list(struct run *run, const struct model *model)
{
	struct source *source = run_source_new(run);
	int result;

	assert_non_null(source);
	/* Nowhere before the first seek. */
	assert_int_equal(source_next(source), 1);
	result = source_seek(source, slice_of(NULL, 0), false);
	for (size_t i = 0; i < model->count; i++) {
		assert_int_equal(result, 0);
		assert_entry(source, model, i);
		result = source_next(source);
	}
	assert_int_equal(result, 1);
	assert_int_equal(source_next(source), 1);
	source_free(source);
}

/* Few letters, 0xff among them, make keys that share prefixes. */
static inline void add_random_key(struct model *model, size_t size_max)
{
	static const char letters[] = { 'a', 'b', 0, (char)0xff };
	char key[64];
	size_t size = random_below(size_max + 1);

	assert_true(size <= sizeof(key));
	for (size_t i = 0; i < size; i++)
		key[i] = letters[random_below(sizeof(letters))];
	model_add(model, slice_of(key, size));
}

/* As the filesystem's: inode number, tag, name. */
static inline void add_inode_key(struct model *model, uint64_t i)
{
	uint8_t key[32];
	struct writer w = writer_of(key, sizeof(key));
	char name[16];
	int size = snprintf(name, sizeof(name), "f%u", (unsigned int)i * 7);

	put_u64_be(&w, i / 5);
	put_u8(&w, (uint8_t)('A' + i % 5));
	put_bytes(&w, slice_of(name, (size_t)size));
	model_add(model, slice_of(key, (size_t)(w.at - key)));
}

/* A model of its own, of the first `count` of these. */
static inline void model_init_inodes(struct model *model, uint64_t count)
{
	model_init(model, count);
	for (uint64_t i = 0; i < count; i++)
		add_inode_key(model, i);
	model_sort(model);
}
