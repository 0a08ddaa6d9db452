/* SPDX-License-Identifier: MIT */

/* The memtable against a sorted array, beside readers, and out of memory. */

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "engine/memtable.h"
#include "engine/tree.h"

#define KEY_SIZE_MAX 65535

void *__real_aligned_alloc(size_t align, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);

static int allocations_left = -1; /* until one fails; below 0: never */
static int allocation_count;

void *__wrap_aligned_alloc(size_t align, size_t size)
{
	allocation_count++;
	if (allocations_left == 0)
		return NULL;
	if (allocations_left > 0)
		allocations_left--;
	return __real_aligned_alloc(align, size);
}

static struct place place_of(uint64_t n)
{
	return (struct place){
		.offset = n,
		.size_bytes = n + 1,
		.lsn = n + 2,
		.segment_id = n + 3,
		.tombstone = n % 3 == 0,
	};
}

static void assert_place(const struct place *place, uint64_t n)
{
	assert_int_equal(place->offset, n);
	assert_int_equal(place->size_bytes, n + 1);
	assert_int_equal(place->lsn, n + 2);
	assert_int_equal(place->segment_id, n + 3);
	assert_int_equal(place->tombstone, n % 3 == 0);
}

static int put(struct memtable *memtable, struct slice key, uint64_t n,
	       struct place *ret_old)
{
	struct place place = place_of(n);

	assert_int_equal(memtable_reserve(memtable, 1, key.size), 0);
	return memtable_put(memtable, key, &place, ret_old);
}

static void put_new(struct memtable *memtable, struct slice key, uint64_t n)
{
	struct place old;

	assert_int_equal(put(memtable, key, n, &old), 0);
}

/* The key of a number in the usual shape: ascending as the numbers. */
static struct slice number_key(uint64_t n, uint8_t bytes[17])
{
	uint64_t inode = __builtin_bswap64(n / 100);
	uint64_t block = __builtin_bswap64(n % 100);

	memcpy(bytes, &inode, 8);
	bytes[8] = 'B';
	memcpy(bytes + 9, &block, 8);
	return slice_of(bytes, 17);
}

/* ---- the model: a sorted array ---- */

struct model_entry {
	struct slice key; /* owned */
	uint64_t n;
};

struct model {
	struct model_entry *entries;
	size_t count, capacity, key_bytes;
};

/* The first entry at `key` or beyond; *ret_equal when at it. */
static size_t model_find(const struct model *model, struct slice key,
			 bool *ret_equal)
{
	size_t low = 0, high = model->count;

	*ret_equal = false;
	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = slice_compare(model->entries[middle].key, key);

		if (order == 0) {
			*ret_equal = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void model_insert(struct model *model, size_t at, struct slice key,
			 uint64_t n)
{
	uint8_t *bytes = malloc(key.size + 1);

	assert_non_null(bytes);
	if (key.size)
		memcpy(bytes, key.data, key.size);
	if (model->count == model->capacity) {
		model->capacity = 2 * model->capacity + 16;
		model->entries =
			realloc(model->entries,
				model->capacity * sizeof(model->entries[0]));
		assert_non_null(model->entries);
	}
	memmove(model->entries + at + 1, model->entries + at,
		(model->count - at) * sizeof(model->entries[0]));
	model->entries[at].key = slice_of(bytes, key.size);
	model->entries[at].n = n;
	model->count++;
	model->key_bytes += key.size;
}

static void model_release(struct model *model)
{
	for (size_t i = 0; i < model->count; i++)
		free((void *)(uintptr_t)model->entries[i].key.data);
	free(model->entries);
}

/* ---- random keys of all kinds ---- */

static uint64_t random_state;

static uint64_t random_below(uint64_t bound)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state >> 11) % bound;
}

static void random_start(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	random_state = (uint64_t)now.tv_nsec << 20 ^ (uint64_t)now.tv_sec;
	print_message("seed %#llx\n", (unsigned long long)random_state);
}

static size_t append_random(uint8_t *key, size_t at, size_t count,
			    const char *alphabet, size_t letters)
{
	for (size_t i = 0; i < count; i++)
		key[at + i] = (uint8_t)alphabet[random_below(letters)];
	return at + count;
}

static struct slice random_key(uint8_t *key)
{
	static const char extremes[] = { '\0',   '\x01', '\x7f',
					 '\x80', '\xfe', '\xff' };
	size_t size = 0;

	switch (random_below(16)) {
	case 0: /* few letters, all sizes: prefixes of each other */
		size = append_random(key, 0, random_below(24), "\0a\xff", 3);
		break;
	case 1: /* a prefix that no node holds inline */
		memset(key, 'p', 200);
		size = 20 * random_below(11);
		size = append_random(key, size, random_below(12), extremes, 6);
		break;
	case 2: /* runs of one extreme byte */
		size = random_below(40);
		memset(key, random_below(2) ? 0xff : 0, size);
		break;
	case 3:
		if (random_below(50))
			break; /* the empty key */
		size = KEY_SIZE_MAX - random_below(2);
		memset(key, 0xff, size);
		append_random(key, size - 9, 9, "\xfe\xff", 2);
		break;
	case 4:
		size = append_random(key, 0, random_below(4), extremes, 6);
		break;
	case 5:
	case 6:
	case 7: /* an inode's names */
		memset(key, 0, 8);
		key[7] = (uint8_t)random_below(4);
		key[8] = 'D';
		size = append_random(key, 9, random_below(20), "abcdefgh", 8);
		break;
	default:
		return number_key(random_below(30000), key);
	}
	return slice_of(key, size);
}

/* ---- the rules ---- */

static void assert_source_shows(struct source *source,
				const struct model *model, struct slice from,
				bool after, size_t limit)
{
	bool equal;
	size_t at = model_find(model, from, &equal);
	int result = source_seek(source, from, after);

	if (equal && after)
		at++;
	while (at < model->count && limit--) {
		const struct model_entry *expected = &model->entries[at++];

		assert_int_equal(result, 0);
		assert_true(slice_equal(source->entry.key, expected->key));
		assert_place(&source->entry.place, expected->n);
		result = source_next(source);
	}
	/* At the limit the next entry is shown already, or the end. */
	assert_int_equal(result, at == model->count);
}

static void model_step(struct memtable *memtable, struct model *model,
		       struct source *source, uint8_t *bytes, uint64_t n)
{
	struct slice key = random_key(bytes);
	struct place place = { 0 };
	bool equal;
	size_t at = model_find(model, key, &equal);

	if (random_below(3)) {
		assert_int_equal(put(memtable, key, n, &place), equal);
		if (equal) {
			assert_place(&place, model->entries[at].n);
			model->entries[at].n = n;
		} else {
			model_insert(model, at, key, n);
		}
	} else if (random_below(8)) {
		assert_int_equal(memtable_get(memtable, key, &place), !equal);
		if (equal)
			assert_place(&place, model->entries[at].n);
	} else {
		assert_source_shows(source, model, key, random_below(2),
				    random_below(100));
	}
}

static void it_is_a_sorted_array(void **state)
{
	struct memtable *memtable = memtable_new();
	struct source *source = memtable_source_new(memtable);
	uint8_t *bytes = malloc(KEY_SIZE_MAX);
	struct model model = { 0 };

	(void)state;
	random_start();
	assert_non_null(bytes);
	assert_int_equal(memtable_entry_count(memtable), 0);
	for (uint64_t n = 0; n < 60000; n++) {
		model_step(memtable, &model, source, bytes, n);
		if (n % 10000 == 0)
			assert_source_shows(source, &model, slice_of(NULL, 0),
					    false, SIZE_MAX);
	}
	assert_int_equal(memtable_entry_count(memtable), model.count);
	assert_int_equal(memtable_key_bytes(memtable), model.key_bytes);
	source_free(source);
	memtable_unref(memtable);
	model_release(&model);
	free(bytes);
}

/* Orders in which nodes fill and split differently. */
static uint64_t order_ascending(uint64_t i, uint64_t count)
{
	(void)count;
	return i;
}

static uint64_t order_descending(uint64_t i, uint64_t count)
{
	return count - 1 - i;
}

static uint64_t order_scattered(uint64_t i, uint64_t count)
{
	return i * 7919 % count; /* a prime that does not divide it */
}

/* Two ascending sequences at once. */
static uint64_t order_two(uint64_t i, uint64_t count)
{
	return i / 2 + i % 2 * (count / 2);
}

/* Sequences of 40 that begin anywhere, the last first. */
static uint64_t order_pieces(uint64_t i, uint64_t count)
{
	return count - 40 - i / 40 * 40 + i % 40;
}

typedef uint64_t order_function(uint64_t i, uint64_t count);

static order_function *const orders[] = {
	order_ascending, order_descending, order_scattered,
	order_two,       order_pieces,
};

#define ORDERS (sizeof(orders) / sizeof(orders[0]))

static void keys_put_in_any_order_come_out_ascending(void **state)
{
	const uint64_t count = 40000;

	(void)state;
	for (size_t o = 0; o < ORDERS; o++) {
		struct memtable *memtable = memtable_new();
		struct source *source = memtable_source_new(memtable);
		struct place place;
		uint8_t key[17];
		int result;

		for (uint64_t i = 0; i < count; i++) {
			uint64_t n = orders[o](i, count);

			put_new(memtable, number_key(n, key), n);
		}
		result = source_seek(source, slice_of(NULL, 0), false);
		for (uint64_t n = 0; n < count; n++) {
			assert_int_equal(result, 0);
			assert_place(&source->entry.place, n);
			assert_int_equal(memtable_get(memtable,
						      number_key(n, key),
						      &place),
					 0);
			assert_place(&place, n);
			result = source_next(source);
		}
		assert_int_equal(result, 1);
		source_free(source);
		memtable_unref(memtable);
	}
}

static void an_ascending_sequence_leaves_full_leaves(void **state)
{
	const uint64_t count = 64 * 1000;
	struct tree tree;
	uint8_t key[17];
	bool new;

	(void)state;
	tree_init(&tree);
	for (uint64_t n = 0; n < count; n++) {
		assert_int_equal(tree_reserve(&tree, 1, 17), 0);
		tree_insert(&tree, number_key(n, key), &new);
		assert_true(new);
	}
	assert_int_equal(tree.level_nodes[0], count / TREE_NODE_SLOTS);
	tree_release(&tree);
}

static void putting_over_a_key_takes_no_memory(void **state)
{
	struct memtable *memtable = memtable_new();
	struct place old;
	size_t size;
	uint8_t key[17];

	(void)state;
	for (uint64_t n = 0; n < 1000; n++)
		put_new(memtable, number_key(n, key), n);
	size = memtable_size_bytes(memtable);
	allocation_count = 0;
	for (uint64_t n = 0; n < 100000; n++) {
		assert_int_equal(put(memtable, number_key(n % 1000, key),
				     n + 1000, &old),
				 1);
		assert_place(&old, n);
	}
	assert_int_equal(memtable_size_bytes(memtable), size);
	assert_int_equal(memtable_entry_count(memtable), 1000);
	assert_int_equal(memtable_key_bytes(memtable), 17000);
	/* A reservation may ask for memory once, and then has it. */
	assert_true(allocation_count <= 2);
	memtable_unref(memtable);
}

static void what_was_reserved_can_be_put_when_memory_is_out(void **state)
{
	(void)state;
	random_start();
	for (size_t o = 0; o < ORDERS; o++) {
		struct memtable *memtable = memtable_new();
		const uint64_t count = 30000;
		uint64_t i = 0;

		while (i < count) {
			uint64_t some =
				1 + random_below(random_below(8) ? 9 : 3000);
			struct place old;
			uint8_t key[17];

			if (some > count - i)
				some = count - i;
			assert_int_equal(
				memtable_reserve(memtable, some, 17 * some), 0);
			allocation_count = 0;
			for (uint64_t end = i + some; i < end; i++) {
				uint64_t n = orders[o](i, count);
				struct place place = place_of(n);

				memtable_put(memtable, number_key(n, key),
					     &place, &old);
			}
			assert_int_equal(allocation_count, 0);
		}
		assert_int_equal(memtable_entry_count(memtable), count);
		memtable_unref(memtable);
	}
}

static void a_failed_reserve_changes_nothing(void **state)
{
	struct memtable *memtable = memtable_new();
	struct place place;
	uint8_t key[17];
	uint64_t n = 0;

	(void)state;
	for (int round = 0; round < 200; round++) {
		size_t size = memtable_size_bytes(memtable);

		for (int left = 0; left < 2; left++) {
			allocations_left = left;
			allocation_count = 0;
			if (memtable_reserve(memtable, 100, 100 * 17) != 0)
				assert_int_equal(memtable_size_bytes(memtable),
						 size);
			else
				assert_true(allocation_count <= left);
		}
		allocations_left = -1;
		for (uint64_t end = n + 50; n < end; n++)
			put_new(memtable, number_key(n, key), n);
	}
	for (uint64_t i = 0; i < n; i++)
		assert_int_equal(
			memtable_get(memtable, number_key(i, key), &place), 0);
	memtable_unref(memtable);
}

static void a_reserve_of_more_than_there_is_fails(void **state)
{
	struct memtable *memtable = memtable_new();

	(void)state;
	allocations_left = 0;
	assert_int_equal(memtable_reserve(memtable, 1, 1), -ENOMEM);
	allocations_left = -1;
	/* What overflows is not even asked for. */
	allocation_count = 0;
	assert_int_equal(memtable_reserve(memtable, 1, SIZE_MAX), -ENOMEM);
	assert_int_equal(memtable_reserve(memtable, SIZE_MAX / 2, 1), -ENOMEM);
	assert_int_equal(memtable_reserve(memtable, 1, SIZE_MAX - 50), -ENOMEM);
	assert_int_equal(allocation_count, 0);
	memtable_unref(memtable);
}

static void a_source_outlives_the_reference_it_came_from(void **state)
{
	struct memtable *memtable = memtable_new();
	struct source *source;
	uint8_t key[17];

	(void)state;
	put_new(memtable, number_key(1, key), 1);
	source = memtable_source_new(memtable);
	memtable_unref(memtable);
	assert_int_equal(source_seek(source, slice_of(NULL, 0), false), 0);
	assert_true(slice_equal(source->entry.key, number_key(1, key)));
	assert_int_equal(source_next(source), 1);
	assert_int_equal(source_next(source), 1);
	source_free(source);
	memtable_unref(NULL);
}

/* Checks a scan in which all even numbers below `count` must show up. */
static void assert_scan_shows_even(struct source *source, uint64_t count,
				   void (*between)(void *), void *argument)
{
	uint64_t least = 0, even = 0;
	int result = source_seek(source, slice_of(NULL, 0), false);

	while (result == 0) {
		const struct index_entry *entry = &source->entry;
		uint64_t n = entry->place.offset;
		uint8_t key[17];

		assert_place(&entry->place, n);
		assert_true(slice_equal(entry->key, number_key(n, key)));
		assert_true(n >= least);
		least = n + 1;
		if (n % 2 == 0) {
			assert_int_equal(n, even);
			even += 2;
		}
		if (between)
			between(argument);
		result = source_next(source);
	}
	assert_int_equal(result, 1);
	assert_int_equal(even, count);
}

#define SCAN_COUNT 20000

struct odd_putter {
	struct memtable *memtable;
	uint64_t done;
};

/* Puts two of the odd keys in some scattered order, until none is left. */
static void put_odd(void *argument)
{
	struct odd_putter *putter = argument;

	for (int i = 0; i < 2 && putter->done < SCAN_COUNT / 2; i++) {
		uint64_t n =
			2 * order_scattered(putter->done++, SCAN_COUNT / 2) + 1;
		uint8_t key[17];

		put_new(putter->memtable, number_key(n, key), n);
	}
}

static void a_scan_shows_what_stays_once_while_keys_come_in(void **state)
{
	struct memtable *memtable = memtable_new();
	struct source *source = memtable_source_new(memtable);
	struct odd_putter putter = { .memtable = memtable };
	uint8_t key[17];

	(void)state;
	for (uint64_t n = 0; n < SCAN_COUNT; n += 2)
		put_new(memtable, number_key(n, key), n);
	assert_scan_shows_even(source, SCAN_COUNT, put_odd, &putter);
	assert_int_equal(putter.done, SCAN_COUNT / 2);
	source_free(source);
	memtable_unref(memtable);
}

struct reader {
	pthread_t thread;
	struct memtable *memtable;
	atomic_bool *stop;
	bool failed;
};

/* What the thread finds wrong is reported: assertions are the main thread's. */
static void reader_check(struct reader *reader, bool right)
{
	if (!right)
		reader->failed = true;
}

static void *reader_get(void *argument)
{
	struct reader *reader = argument;
	uint64_t n = 0;

	while (!atomic_load(reader->stop)) {
		struct place place;
		uint8_t key[17];

		n = (n + 7918) % SCAN_COUNT & ~1ull;
		reader_check(reader,
			     memtable_get(reader->memtable, number_key(n, key),
					  &place) == 0);
		reader_check(reader, place.offset % SCAN_COUNT == n &&
					     place.lsn == place.offset + 2);
	}
	return NULL;
}

static void *reader_scan(void *argument)
{
	struct reader *reader = argument;
	struct source *source = memtable_source_new(reader->memtable);

	while (!atomic_load(reader->stop)) {
		uint64_t even = 0;

		for (int result = source_seek(source, slice_of(NULL, 0), false);
		     result == 0; result = source_next(source)) {
			const struct place *place = &source->entry.place;
			uint64_t n = place->offset % SCAN_COUNT;
			uint8_t key[17];

			reader_check(reader, slice_equal(source->entry.key,
							 number_key(n, key)));
			reader_check(reader, place->lsn == place->offset + 2);
			if (n % 2 == 0) {
				reader_check(reader, n == even);
				even += 2;
			}
		}
		reader_check(reader, even == SCAN_COUNT);
	}
	source_free(source);
	return NULL;
}

static void readers_beside_a_writer_see_whole_places(void **state)
{
	struct memtable *memtable = memtable_new();
	struct odd_putter putter = { .memtable = memtable };
	struct reader readers[3];
	atomic_bool stop = false;
	struct place old;
	uint8_t key[17];

	(void)state;
	for (uint64_t n = 0; n < SCAN_COUNT; n += 2)
		put_new(memtable, number_key(n, key), n);
	for (size_t i = 0; i < 3; i++) {
		readers[i] =
			(struct reader){ .memtable = memtable, .stop = &stop };
		assert_int_equal(pthread_create(&readers[i].thread, NULL,
						i ? reader_get : reader_scan,
						&readers[i]),
				 0);
	}
	for (uint64_t round = 1; putter.done < SCAN_COUNT / 2; round++) {
		uint64_t n = 2 * (round * 131 % (SCAN_COUNT / 2));

		put_odd(&putter);
		assert_int_equal(put(memtable, number_key(n, key),
				     n + round * SCAN_COUNT, &old),
				 1);
	}
	atomic_store(&stop, true);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(pthread_join(readers[i].thread, NULL), 0);
		assert_false(readers[i].failed);
	}
	memtable_unref(memtable);
}

/* Two keys side by side, which groups of puts always set alike. */
static void *reader_pair(void *argument)
{
	struct reader *reader = argument;
	struct source *source = memtable_source_new(reader->memtable);

	while (!atomic_load(reader->stop)) {
		uint64_t first;

		if (source_seek(source, slice_of(NULL, 0), false) != 0)
			continue;
		first = source->entry.place.offset;
		reader_check(reader, source_next(source) == 0);
		reader_check(reader, source->entry.place.offset == first);
	}
	source_free(source);
	return NULL;
}

static void a_group_of_puts_is_seen_whole_or_not_at_all(void **state)
{
	struct memtable *memtable = memtable_new();
	atomic_bool stop = false;
	struct reader reader = { .memtable = memtable, .stop = &stop };
	uint8_t key[17];

	(void)state;
	assert_int_equal(
		pthread_create(&reader.thread, NULL, reader_pair, &reader), 0);
	for (uint64_t n = 0; n < 20000; n++) {
		struct place place = place_of(n), old;

		assert_int_equal(memtable_reserve(memtable, 2, 34), 0);
		memtable_begin(memtable);
		memtable_put(memtable, number_key(1, key), &place, &old);
		memtable_put(memtable, number_key(2, key), &place, &old);
		memtable_end(memtable);
	}
	atomic_store(&stop, true);
	assert_int_equal(pthread_join(reader.thread, NULL), 0);
	assert_false(reader.failed);
	memtable_unref(memtable);
}

/* Were it looked for, it would be waited for: the lock is held. */
static void what_lies_outside_all_keys_is_known_without_a_search(void **state)
{
	struct memtable *memtable = memtable_new();
	uint8_t key[17];
	struct place place;

	(void)state;
	assert_non_null(memtable);
	memtable_begin(memtable);
	assert_int_equal(memtable_get(memtable, number_key(5, key), &place), 1);
	memtable_end(memtable);

	put_new(memtable, number_key(500, key), 500);
	put_new(memtable, number_key(700, key), 700);
	put_new(memtable, number_key(600, key), 600);
	memtable_begin(memtable);
	assert_int_equal(memtable_get(memtable, number_key(499, key), &place),
			 1);
	assert_int_equal(memtable_get(memtable, number_key(701, key), &place),
			 1);
	assert_int_equal(memtable_get(memtable, slice_of(NULL, 0), &place), 1);
	memtable_end(memtable);

	put_new(memtable, number_key(499, key), 499);
	put_new(memtable, slice_of(NULL, 0), 0);
	for (uint64_t n = 499; n <= 700; n++) {
		bool there = n == 499 || n % 100 == 0;

		assert_int_equal(memtable_get(memtable, number_key(n, key),
					      &place),
				 there ? 0 : 1);
		if (there)
			assert_place(&place, n);
	}
	assert_int_equal(memtable_get(memtable, slice_of(NULL, 0), &place), 0);
	memtable_unref(memtable);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_a_sorted_array),
		cmocka_unit_test(keys_put_in_any_order_come_out_ascending),
		cmocka_unit_test(an_ascending_sequence_leaves_full_leaves),
		cmocka_unit_test(putting_over_a_key_takes_no_memory),
		cmocka_unit_test(
			what_was_reserved_can_be_put_when_memory_is_out),
		cmocka_unit_test(a_failed_reserve_changes_nothing),
		cmocka_unit_test(a_reserve_of_more_than_there_is_fails),
		cmocka_unit_test(a_source_outlives_the_reference_it_came_from),
		cmocka_unit_test(
			a_scan_shows_what_stays_once_while_keys_come_in),
		cmocka_unit_test(
			what_lies_outside_all_keys_is_known_without_a_search),
		cmocka_unit_test(readers_beside_a_writer_see_whole_places),
		cmocka_unit_test(a_group_of_puts_is_seen_whole_or_not_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
