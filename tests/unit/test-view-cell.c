/* SPDX-License-Identifier: MIT */

/* Who looks at a view keeps it, with a slot or a reference: engine/view_cell.h. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "engine/reaper.h"
#include "engine/view_cell.h"

/* More than there are slots. */
#define USES 200
#define THREADS 4
#define REPLACEMENTS 20000

struct fixture {
	struct reaper reaper;
	struct view_cell cell;
	struct memtable *memtable;
};

static atomic_uint freed;
static void (*free_view)(struct reaped *reaped);

/* Who still looked at it would find no memtable. */
static void count_and_free(struct reaped *reaped)
{
	struct view *view = (struct view *)reaped;

	memtable_unref(view->active);
	view->active = NULL;
	atomic_fetch_add(&freed, 1);
	free_view(reaped);
}

static struct view *new_view(struct fixture *f)
{
	struct view *view = view_new(f->memtable, NULL, 0, NULL, 0, NULL, 0);

	assert_non_null(view);
	view->reaper = &f->reaper;
	if (!free_view)
		free_view = view->reaped.free;
	view->reaped.free = count_and_free;
	return view;
}

static void assert_freed(struct fixture *f, unsigned int count)
{
	reaper_drain(&f->reaper);
	assert_int_equal(atomic_load(&freed), count);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	atomic_store(&freed, 0);
	reaper_init(&f->reaper);
	assert_int_equal(reaper_start(&f->reaper), 0);
	f->memtable = memtable_new();
	assert_non_null(f->memtable);
	assert_int_equal(view_cell_init(&f->cell), 0);
	view_cell_replace(&f->cell, new_view(f));
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	view_cell_release(&f->cell);
	reaper_stop(&f->reaper);
	reaper_release(&f->reaper);
	memtable_unref(f->memtable);
	free(f);
	return 0;
}

static void a_view_lives_while_it_is_used(void **state)
{
	struct fixture *f = *state;
	struct view *first = view_cell_peek(&f->cell);
	struct view_use old, new;

	view_use_begin(&old, &f->cell);
	assert_ptr_equal(old.view, first);
	assert_non_null(old.slot);
	view_cell_replace(&f->cell, new_view(f));
	assert_freed(f, 0);
	view_use_begin(&new, &f->cell);
	assert_ptr_not_equal(new.view, first);
	assert_ptr_equal(old.view->active, f->memtable);
	view_use_end(&old);
	assert_freed(f, 1);
	view_use_end(&new);
	assert_freed(f, 1);
	view_cell_replace(&f->cell, new_view(f));
	assert_freed(f, 2);
}

static void what_nobody_uses_goes_when_it_is_replaced(void **state)
{
	struct fixture *f = *state;
	struct view_use use;

	for (unsigned int i = 1; i <= 100; i++) {
		view_use_begin(&use, &f->cell);
		view_use_end(&use);
		view_cell_replace(&f->cell, new_view(f));
		assert_freed(f, i);
	}
}

static void more_uses_than_slots_count_references(void **state)
{
	struct fixture *f = *state;
	struct view_use uses[USES];
	unsigned int without = 0;

	for (size_t i = 0; i < USES; i++) {
		view_use_begin(&uses[i], &f->cell);
		without += !uses[i].slot;
	}
	assert_true(without > 0 && without < USES);
	view_cell_replace(&f->cell, new_view(f));
	for (size_t i = 0; i < USES; i++) {
		assert_freed(f, 0);
		assert_ptr_equal(uses[i].view->active, f->memtable);
		view_use_end(&uses[i]);
	}
	assert_freed(f, 1);
	/* All slots are free again. */
	view_use_begin(&uses[0], &f->cell);
	assert_non_null(uses[0].slot);
	view_use_end(&uses[0]);
}

static void a_known_view_can_be_used_though_another_is_current(void **state)
{
	struct fixture *f = *state;
	struct view *view = view_cell_ref(&f->cell);
	struct view_use use;

	view_cell_replace(&f->cell, new_view(f));
	view_use_of(&use, view);
	view_unref(view);
	assert_freed(f, 0);
	assert_ptr_equal(use.view, view);
	view_use_end(&use);
	assert_freed(f, 1);
}

static void lookups_with_and_without_a_slot_are_counted(void **state)
{
	struct fixture *f = *state;
	struct view_probe probe = { .bloom_skips = 2,
				    .bloom_false_matches = 1 };
	struct view_counts counts;
	struct view_use uses[USES];

	for (size_t i = 0; i < USES; i++) {
		view_use_begin(&uses[i], &f->cell);
		probe.memtable_hit = i % 2;
		view_use_count(&uses[i], &f->cell, &probe, i % 4 == 0);
	}
	for (size_t i = 0; i < USES; i++)
		view_use_end(&uses[i]);
	counts = view_cell_counts(&f->cell);
	assert_int_equal(counts.lookups, USES);
	assert_int_equal(counts.misses, USES / 4);
	assert_int_equal(counts.memtable_hits, USES / 2);
	assert_int_equal(counts.bloom_skips, 2 * USES);
	assert_int_equal(counts.bloom_false_matches, USES);
}

struct looker {
	struct fixture *fixture;
	pthread_t thread;
	atomic_bool *stop;
	uint64_t looks;
	bool failed;
};

static void *look(void *argument)
{
	struct looker *looker = argument;
	struct fixture *f = looker->fixture;
	struct view_probe probe = { 0 };

	while (!atomic_load(looker->stop)) {
		struct view_use use;

		view_use_begin(&use, &f->cell);
		looker->failed |= use.view->active != f->memtable;
		view_use_count(&use, &f->cell, &probe, false);
		view_use_end(&use);
		looker->looks++;
	}
	return NULL;
}

static void views_are_replaced_beside_threads_that_look(void **state)
{
	struct fixture *f = *state;
	struct looker lookers[THREADS];
	atomic_bool stop = false;
	uint64_t looks = 0;

	for (size_t i = 0; i < THREADS; i++) {
		lookers[i] = (struct looker){ .fixture = f, .stop = &stop };
		assert_int_equal(pthread_create(&lookers[i].thread, NULL, look,
						&lookers[i]),
				 0);
	}
	for (unsigned int i = 0; i < REPLACEMENTS; i++)
		view_cell_replace(&f->cell, new_view(f));
	atomic_store(&stop, true);
	for (size_t i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(lookers[i].thread, NULL), 0);
		assert_false(lookers[i].failed);
		looks += lookers[i].looks;
	}
	assert_freed(f, REPLACEMENTS);
	assert_int_equal(view_cell_counts(&f->cell).lookups, looks);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(a_view_lives_while_it_is_used),
		T(what_nobody_uses_goes_when_it_is_replaced),
		T(more_uses_than_slots_count_references),
		T(a_known_view_can_be_used_though_another_is_current),
		T(lookups_with_and_without_a_slot_are_counted),
		T(views_are_replaced_beside_threads_that_look),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
