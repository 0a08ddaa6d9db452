/* SPDX-License-Identifier: MIT */

/* Merging sources: merge_source_new() of engine/source.h. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "engine/source.h"

#define KEYS_MAX 64
#define SOURCES_MAX 9

/*
 * A source over keys of one byte, given in order as a string. Entries tell
 * whose they are: place.segment_id is the list's id.
 */
struct list {
	struct source source;
	const char *keys;
	size_t at;
	uint64_t id;
	int *free_count;
	int calls_left; /* until one fails with -EIO; below 0: never */
};

static int allocations_left = -1; /* until one fails; below 0: never */

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
	if (allocations_left == 0)
		return NULL;
	if (allocations_left > 0)
		allocations_left--;
	return __real_calloc(count, size);
}

static int list_show(struct list *list)
{
	if (list->calls_left == 0)
		return -EIO;
	if (list->calls_left > 0)
		list->calls_left--;
	if (!list->keys[list->at])
		return 1;
	list->source.entry = (struct index_entry){
		.key = slice_of(&list->keys[list->at], 1),
		.place = { .segment_id = list->id,
			   .tombstone = list->id % 2 == 1 },
	};
	return 0;
}

static int list_seek(struct source *source, struct slice key, bool after)
{
	struct list *list = (struct list *)source;

	for (list->at = 0; list->keys[list->at]; list->at++) {
		int order =
			slice_compare(slice_of(&list->keys[list->at], 1), key);

		if (order > 0 || (order == 0 && !after))
			break;
	}
	return list_show(list);
}

static int list_next(struct source *source)
{
	struct list *list = (struct list *)source;

	if (list->keys[list->at])
		list->at++;
	return list_show(list);
}

static void list_free(struct source *source)
{
	struct list *list = (struct list *)source;

	if (list->free_count)
		++*list->free_count;
	free(list);
}

static const struct source_ops list_ops = {
	.seek = list_seek,
	.next = list_next,
	.free = list_free,
};

/* NOLINTNEXTLINE(readability-non-const-parameter): it is counted up later */
static struct source *list_new(const char *keys, uint64_t id, int *free_count,
			       int calls_left)
{
	struct list *list = malloc(sizeof(*list));

	assert_non_null(list);
	*list = (struct list){
		.source.ops = &list_ops,
		.keys = keys,
		.id = id,
		.free_count = free_count,
		.calls_left = calls_left,
	};
	return &list->source;
}

static struct source *merge_lists(const char *const *lists, size_t count,
				  int *free_count)
{
	struct source *sources[SOURCES_MAX];

	for (size_t i = 0; i < count; i++)
		sources[i] = list_new(lists[i], i, free_count, -1);
	return merge_source_new(sources, count);
}

/* What comes from a key on: "a0b2" is a of list 0, then b of list 2. */
static void assert_shows(struct source *source, const char *from, bool after,
			 const char *expected)
{
	int result = source_seek(source, slice_of(from, strlen(from)), after);

	for (; *expected; expected += 2) {
		const struct index_entry *entry = &source->entry;

		assert_int_equal(result, 0);
		assert_int_equal(entry->key.size, 1);
		assert_int_equal(*(const char *)entry->key.data, expected[0]);
		assert_int_equal(entry->place.segment_id, expected[1] - '0');
		assert_int_equal(entry->place.tombstone,
				 (expected[1] - '0') % 2 == 1);
		result = source_next(source);
	}
	assert_int_equal(result, 1);
	assert_int_equal(source_next(source), 1);
}

static void nothing_merged_is_at_its_end(void **state)
{
	struct source *merged = merge_source_new(NULL, 0);

	(void)state;
	assert_non_null(merged);
	assert_shows(merged, "", false, "");
	source_free(merged);
}

static void a_single_source_is_returned_itself(void **state)
{
	int free_count = 0;
	struct source *list = list_new("ab", 0, &free_count, -1);

	(void)state;
	assert_ptr_equal(merge_source_new(&list, 1), list);
	assert_int_equal(free_count, 0);
	assert_shows(list, "", false, "a0b0");
	source_free(list);
	assert_int_equal(free_count, 1);
}

struct merge_case {
	const char *lists[SOURCES_MAX];
	size_t count;
	const char *expected;
};

static const struct merge_case merge_cases[] = {
	{ { "", "" }, 2, "" },
	{ { "a", "" }, 2, "a0" },
	{ { "", "a" }, 2, "a1" },
	{ { "ace", "bdf" }, 2, "a0b1c0d1e0f1" },
	{ { "bdf", "ace" }, 2, "a1b0c1d0e1f0" },
	{ { "abc", "abc" }, 2, "a0b0c0" },
	{ { "b", "abc" }, 2, "a1b0c1" },
	{ { "ab", "bc" }, 2, "a0b0c1" },
	{ { "", "", "" }, 3, "" },
	{ { "a", "a", "a" }, 3, "a0" },
	{ { "c", "b", "a" }, 3, "a2b1c0" },
	{ { "ad", "abd", "abcd" }, 3, "a0b1c2d0" },
	{ { "", "a", "ab" }, 3, "a1b2" },
	{ { "x", "ax", "bx", "cx", "x" }, 5, "a1b2c3x0" },
	{ { "", "b", "b", "ab", "ab", "b" }, 6, "a3b1" },
};

#define MERGE_CASES (sizeof(merge_cases) / sizeof(merge_cases[0]))

static void of_equal_keys_only_the_newest_is_shown(void **state)
{
	(void)state;
	for (size_t i = 0; i < MERGE_CASES; i++) {
		const struct merge_case *c = &merge_cases[i];
		struct source *merged = merge_lists(c->lists, c->count, NULL);

		assert_non_null(merged);
		assert_shows(merged, "", false, c->expected);
		source_free(merged);
	}
}

static void seek_goes_anywhere_at_any_time(void **state)
{
	static const char *const lists[] = { "bd", "abe", "bcd" };

	(void)state;
	for (size_t count = 2; count <= 3; count++) {
		struct source *merged = merge_lists(lists, count, NULL);

		assert_shows(merged, "d", true, "e1");
		assert_shows(merged, "d", false, "d0e1");
		assert_shows(merged, "b", true, count == 2 ? "d0e1" : "c2d0e1");
		assert_shows(merged, "aa", false,
			     count == 2 ? "b0d0e1" : "b0c2d0e1");
		assert_shows(merged, "f", false, "");
		assert_shows(merged, "a", false,
			     count == 2 ? "a1b0d0e1" : "a1b0c2d0e1");
		source_free(merged);
	}
}

/* Keys of a random set of printable bytes, ascending. */
static void random_keys(char *keys)
{
	size_t count = 0;

	for (int c = '0'; c < '0' + KEYS_MAX - 1; c++)
		if (rand() % 4 == 0)
			keys[count++] = (char)c;
	keys[count] = '\0';
}

static void random_merges_equal_a_plain_search(void **state)
{
	(void)state;
	srand(1);
	for (int round = 0; round < 2000; round++) {
		char keys[SOURCES_MAX][KEYS_MAX];
		const char *lists[SOURCES_MAX];
		char expected[2 * KEYS_MAX] = { 0 }, from[2] = { 0 };
		size_t count = 2 + (size_t)rand() % (SOURCES_MAX - 1), at = 0;
		bool after = rand() % 2;
		struct source *merged;

		for (size_t i = 0; i < count; i++) {
			random_keys(keys[i]);
			lists[i] = keys[i];
		}
		from[0] = (char)('0' + rand() % KEYS_MAX);
		for (int c = from[0] + after; c < '0' + KEYS_MAX; c++)
			for (size_t i = 0; i < count; i++)
				if (strchr(keys[i], c)) {
					expected[at++] = (char)c;
					expected[at++] = (char)('0' + i);
					break;
				}
		merged = merge_lists(lists, count, NULL);
		assert_shows(merged, from, after, expected);
		source_free(merged);
	}
}

/* Merges `count` sources, one of which fails after some calls, to the end. */
static void assert_error_passed_up(size_t count, size_t bad, int calls)
{
	static const char *const lists[] = { "acd", "abe", "bcf" };
	struct source *sources[3], *merged;
	int result, shown = 0;

	for (size_t i = 0; i < count; i++)
		sources[i] = list_new(lists[i], i, NULL, i == bad ? calls : -1);
	merged = merge_source_new(sources, count);
	result = source_seek(merged, slice_of(NULL, 0), false);
	while (result == 0 && shown++ < 8)
		result = source_next(merged);
	assert_int_equal(result, -EIO);
	assert_true(calls > 0 || shown == 0);
	assert_int_equal(source_next(merged), -EIO);
	source_free(merged);
}

static void an_error_of_a_source_is_passed_up_and_stays(void **state)
{
	(void)state;
	for (size_t bad = 0; bad < 3; bad++) {
		for (int calls = 0; calls < 4; calls++) {
			assert_error_passed_up(3, bad, calls);
			if (bad < 2)
				assert_error_passed_up(2, bad, calls);
		}
	}
}

static void a_seek_after_an_error_begins_anew(void **state)
{
	(void)state;
	for (size_t count = 2; count <= 3; count++) {
		struct source *sources[3], *merged;
		struct list *bad;

		for (size_t i = 0; i < count; i++)
			sources[i] = list_new("ab", i, NULL, -1);
		bad = (struct list *)sources[1];
		merged = merge_source_new(sources, count);
		bad->calls_left = 0;
		assert_int_equal(source_seek(merged, slice_of(NULL, 0), false),
				 -EIO);
		bad->calls_left = -1;
		assert_shows(merged, "", false, "a0b0");
		source_free(merged);
	}
}

static void every_source_is_freed_once_with_the_merge(void **state)
{
	static const char *const lists[] = { "a", "b", "c", "d" };

	(void)state;
	for (size_t count = 2; count <= 4; count++) {
		int free_count = 0;

		source_free(merge_lists(lists, count, &free_count));
		assert_int_equal(free_count, count);
	}
}

static void the_sources_are_freed_when_memory_is_out(void **state)
{
	static const char *const lists[] = { "a", "b", "c" };

	(void)state;
	for (size_t count = 2; count <= 3; count++) {
		int most = count == 2 ? 1 : 3;

		for (int n = 0; n < most; n++) {
			struct source *merged;
			int free_count = 0;

			allocations_left = n;
			merged = merge_lists(lists, count, &free_count);
			allocations_left = -1;
			assert_null(merged);
			assert_int_equal(free_count, count);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_merged_is_at_its_end),
		cmocka_unit_test(a_single_source_is_returned_itself),
		cmocka_unit_test(of_equal_keys_only_the_newest_is_shown),
		cmocka_unit_test(seek_goes_anywhere_at_any_time),
		cmocka_unit_test(random_merges_equal_a_plain_search),
		cmocka_unit_test(an_error_of_a_source_is_passed_up_and_stays),
		cmocka_unit_test(a_seek_after_an_error_begins_anew),
		cmocka_unit_test(every_source_is_freed_once_with_the_merge),
		cmocka_unit_test(the_sources_are_freed_when_memory_is_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
