/* SPDX-License-Identifier: MIT */

/* Bounded selection of the smallest names: tools/page.h. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tools/page.h"

#define NAME_COUNT 5000u
#define SMALL_BUDGET ((size_t)8192)

static struct slice name_of(unsigned int number, char *text, size_t size)
{
	int used = snprintf(text, size, "name-%06u", number);

	return slice_of(text, (size_t)used);
}

/* 0 to NAME_COUNT - 1, each once, in an order that jumps about. */
static unsigned int shuffled(unsigned int i)
{
	return (i * 2791u + 17u) % NAME_COUNT;
}

static void add_all_shuffled(struct page *page)
{
	char text[32];
	unsigned int i;

	for (i = 0; i < NAME_COUNT; i++)
		assert_int_equal(
			page_add(page, name_of(shuffled(i), text, sizeof(text)),
				 shuffled(i), 0100000),
			0);
}

static void pages_show_every_name_once_in_order(void **state)
{
	struct kv_range range = { 0 };
	struct buf last = { 0 };
	struct page page;
	unsigned int next = 0, pages = 0;
	char text[32];
	size_t i;

	(void)state;
	page_init(&page, SMALL_BUDGET);
	do {
		page_begin(&page, &range);
		add_all_shuffled(&page);
		page_finish(&page);
		for (i = 0; i < page.count; i++, next++) {
			assert_true(
				slice_equal(page_name(&page, i),
					    name_of(next, text, sizeof(text))));
			assert_int_equal(page.entries[i].ino, next);
			assert_int_equal(strlen(page_name_string(&page, i)),
					 page_name(&page, i).size);
		}
		assert_true(page.count > 0);
		assert_int_equal(
			buf_assign(&last, page_name(&page, page.count - 1)), 0);
		range.from = buf_slice(&last);
		range.after = true;
		pages++;
	} while (!page.complete);
	assert_int_equal(next, NAME_COUNT);
	assert_true(pages > 10);
	page_release(&page);
	buf_release(&last);
}

static void memory_stays_within_the_budget(void **state)
{
	struct page page;

	(void)state;
	page_init(&page, SMALL_BUDGET);
	page_begin(&page, &(struct kv_range){ 0 });
	add_all_shuffled(&page);
	assert_true(page.bytes.capacity <= 2 * SMALL_BUDGET);
	assert_true(page.capacity * sizeof(*page.entries) <= 2 * SMALL_BUDGET);
	page_finish(&page);
	assert_false(page.complete);
	page_release(&page);
}

static void a_page_that_holds_everything_is_complete(void **state)
{
	struct page page;

	(void)state;
	page_init(&page, 1u << 20);
	page_begin(&page, &(struct kv_range){ 0 });
	add_all_shuffled(&page);
	page_finish(&page);
	assert_true(page.complete);
	assert_int_equal(page.count, NAME_COUNT);
	page_release(&page);
}

/* Adds one name in every way there is and tells how many times it was taken. */
static size_t count_taken(const struct kv_range *range, const char *name)
{
	struct slice slice = slice_of(name, strlen(name));
	struct page page;
	size_t count;

	page_init(&page, 0);
	page_begin(&page, range);
	assert_int_equal(page_add(&page, slice, 1, 0), 0);
	page_finish(&page);
	count = page.count;
	page_begin(&page, range);
	assert_true(page_add_sorted(&page, slice, 1, 0) >= 0);
	page_finish(&page);
	count += page.count;
	page_release(&page);
	return count;
}

static void only_names_in_range_are_taken(void **state)
{
	const struct kv_range from = { .from = SLICE_LITERAL("m") };
	const struct kv_range after = { .from = SLICE_LITERAL("m"),
					.after = true };
	const struct kv_range to = { .to = SLICE_LITERAL("m") };
	const struct kv_range prefix = { .prefix = SLICE_LITERAL("us") };

	(void)state;
	assert_int_equal(count_taken(&from, "l"), 0);
	assert_int_equal(count_taken(&from, "m"), 2);
	assert_int_equal(count_taken(&from, "ma"), 2);
	assert_int_equal(count_taken(&after, "m"), 0);
	assert_int_equal(count_taken(&after, "ma"), 2);
	assert_int_equal(count_taken(&to, "l"), 2);
	assert_int_equal(count_taken(&to, "m"), 0);
	assert_int_equal(count_taken(&prefix, "u"), 0);
	assert_int_equal(count_taken(&prefix, "us"), 2);
	assert_int_equal(count_taken(&prefix, "user"), 2);
	assert_int_equal(count_taken(&prefix, "ut"), 0);
	assert_int_equal(count_taken(&prefix, "zz"), 0);
}

static void a_sorted_listing_is_told_when_to_stop(void **state)
{
	const struct kv_range range = { .prefix = SLICE_LITERAL("b"),
					.to = SLICE_LITERAL("bx") };
	struct page page;

	(void)state;
	page_init(&page, 0);
	page_begin(&page, &range);
	assert_int_equal(page_add_sorted(&page, SLICE_LITERAL("a"), 1, 0), 0);
	assert_int_equal(page_add_sorted(&page, SLICE_LITERAL("ba"), 1, 0), 0);
	assert_int_equal(page_add_sorted(&page, SLICE_LITERAL("bx"), 1, 0), 1);
	page_finish(&page);
	assert_int_equal(page.count, 1);
	assert_true(page.complete);
	page_release(&page);
}

static void a_full_page_stops_a_sorted_listing_and_is_not_complete(void **state)
{
	struct page page;
	char text[32];
	unsigned int i = 0;

	(void)state;
	page_init(&page, 4096);
	page_begin(&page, &(struct kv_range){ 0 });
	while (page_add_sorted(&page, name_of(i, text, sizeof(text)), i, 0) ==
	       0)
		i++;
	page_finish(&page);
	assert_int_equal(page.count, i);
	assert_true(i > 10 && i < 200);
	assert_false(page.complete);
	page_release(&page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_show_every_name_once_in_order),
		cmocka_unit_test(memory_stays_within_the_budget),
		cmocka_unit_test(a_page_that_holds_everything_is_complete),
		cmocka_unit_test(only_names_in_range_are_taken),
		cmocka_unit_test(a_sorted_listing_is_told_when_to_stop),
		cmocka_unit_test(
			a_full_page_stops_a_sorted_listing_and_is_not_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
