/* SPDX-License-Identifier: MIT */

/* The store through its public contract, in a directory of its own. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/kv_internal.h"
#include "tests/seam/scratch.h"

#define S(text) SLICE_LITERAL(text)

struct fixture {
	struct scratch dir;
	char *path; /* of the store, below dir */
	struct kv_options options;
	struct kv *kv;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_int_equal(scratch_init(&f->dir), 0);
	assert_true(asprintf(&f->path, "%s/store", f->dir.path) > 0);
	kv_options_init(&f->options);
	f->options.create = true;
	f->options.segment_size_bytes = 1 << 20;
	f->options.memory_bytes = 4 << 20;
	f->options.compact_auto = false;
	assert_int_equal(kv_open(f->path, &f->options, &f->kv), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	kv_close(f->kv);
	scratch_release(&f->dir);
	free(f->path);
	free(f);
	return 0;
}

static void reopen(struct fixture *f)
{
	struct kv *kv = f->kv;

	f->kv = NULL;
	assert_int_equal(kv_close(kv), 0);
	assert_int_equal(kv_open(f->path, &f->options, &f->kv), 0);
}

static void assert_value(struct fixture *f, const struct kv_pin *pin,
			 struct slice key, struct slice value)
{
	struct buf got = { 0 };

	assert_int_equal(kv_get(f->kv, pin, key, &got), 0);
	assert_int_equal(got.size, value.size);
	assert_memory_equal(got.data, value.data, value.size);
	buf_release(&got);
}

static void assert_absent(struct fixture *f, struct slice key)
{
	struct buf got = { 0 };

	assert_int_equal(kv_get(f->kv, NULL, key, &got), 1);
	assert_int_equal(kv_exists(f->kv, NULL, key), 1);
	buf_release(&got);
}

static void what_is_set_is_read_before_and_after_reopening(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(kv_set(f->kv, S("a"), S("one"), NULL), 0);
	assert_int_equal(kv_set(f->kv, S("b"), S(""), NULL), 0);
	assert_int_equal(kv_set(f->kv, S(""), S("empty key"), NULL), 0);
	assert_value(f, NULL, S("a"), S("one"));
	reopen(f);
	assert_value(f, NULL, S("a"), S("one"));
	assert_value(f, NULL, S("b"), S(""));
	assert_value(f, NULL, S(""), S("empty key"));
	assert_absent(f, S("c"));
}

static void deleting_what_is_absent_writes_nothing(void **state)
{
	struct fixture *f = *state;
	struct kv_stats before, after;

	kv_stats(f->kv, &before);
	assert_int_equal(kv_delete(f->kv, S("a"), NULL), 1);
	kv_stats(f->kv, &after);
	assert_int_equal(before.last_lsn, after.last_lsn);
	assert_int_equal(before.append_bytes, after.append_bytes);
}

static void a_deleted_key_stays_deleted(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(kv_set(f->kv, S("a"), S("1"), NULL), 0);
	reopen(f);
	assert_int_equal(kv_delete(f->kv, S("a"), NULL), 0);
	assert_absent(f, S("a"));
	reopen(f);
	assert_absent(f, S("a"));
	assert_int_equal(kv_compact(f->kv, NULL, NULL), 0);
	assert_absent(f, S("a"));
	reopen(f);
	assert_absent(f, S("a"));
}

static void a_batch_applies_in_its_order(void **state)
{
	struct fixture *f = *state;
	struct kv_batch batch = { 0 };

	assert_int_equal(kv_batch_set(&batch, S("a"), S("1")), 0);
	assert_int_equal(kv_batch_delete(&batch, S("a")), 0);
	assert_int_equal(kv_batch_set(&batch, S("b"), S("1")), 0);
	assert_int_equal(kv_batch_set(&batch, S("b"), S("2")), 0);
	assert_int_equal(kv_commit(f->kv, &batch, 0, NULL), 0);
	kv_batch_release(&batch);
	assert_absent(f, S("a"));
	assert_value(f, NULL, S("b"), S("2"));
	reopen(f);
	assert_absent(f, S("a"));
	assert_value(f, NULL, S("b"), S("2"));
}

static void a_range_of_a_value_is_read(void **state)
{
	struct fixture *f = *state;
	char bytes[16];
	size_t read;
	uint64_t size;

	assert_int_equal(kv_set(f->kv, S("a"), S("0123456789"), NULL), 0);
	assert_int_equal(
		kv_read(f->kv, NULL, S("a"), 3, bytes, 4, &read, &size), 0);
	assert_int_equal(read, 4);
	assert_int_equal(size, 10);
	assert_memory_equal(bytes, "3456", 4);
	assert_int_equal(kv_read(f->kv, NULL, S("a"), 8, bytes, 8, &read, NULL),
			 0);
	assert_int_equal(read, 2);
	assert_int_equal(
		kv_read(f->kv, NULL, S("a"), 11, bytes, 8, &read, NULL), 0);
	assert_int_equal(read, 0);
}

static void a_value_larger_than_a_segment_is_kept(void **state)
{
	struct fixture *f = *state;
	size_t size = 5 << 20;
	uint8_t *bytes = malloc(size);

	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251);
	assert_int_equal(kv_set(f->kv, S("big"), slice_of(bytes, size), NULL),
			 0);
	assert_int_equal(kv_set(f->kv, S("small"), S("x"), NULL), 0);
	assert_value(f, NULL, S("big"), slice_of(bytes, size));
	reopen(f);
	assert_value(f, NULL, S("big"), slice_of(bytes, size));
	assert_int_equal(kv_delete(f->kv, S("small"), NULL), 0);
	assert_int_equal(kv_compact(f->kv, NULL, NULL), 0);
	assert_value(f, NULL, S("big"), slice_of(bytes, size));
	free(bytes);
}

struct collected {
	struct buf keys;
	size_t count;
	size_t stop_after;
};

static int collect(void *ctx, const struct kv_entry *entry)
{
	struct collected *c = ctx;

	assert_int_equal(buf_append(&c->keys, entry->key.data, entry->key.size),
			 0);
	assert_int_equal(buf_append(&c->keys, ",", 1), 0);
	return ++c->count == c->stop_after ? 7 : 0;
}

static void assert_list(struct fixture *f, const struct kv_range *range,
			const char *expected)
{
	struct collected c = { 0 };

	assert_int_equal(kv_list(f->kv, NULL, range, 0, collect, &c), 0);
	assert_int_equal(buf_append(&c.keys, "", 1), 0);
	assert_string_equal((char *)c.keys.data, expected);
	buf_release(&c.keys);
}

static void a_listing_is_ordered_and_bounded(void **state)
{
	struct fixture *f = *state;
	struct collected c = { .stop_after = 2 };

	for (const char *k = "dbaec"; *k; k++) {
		char key[4] = { 'k', '/', *k };

		assert_int_equal(kv_set(f->kv, slice_of(key, 3), S("v"), NULL),
				 0);
		if (*k == 'a')
			reopen(f);
	}
	assert_int_equal(kv_set(f->kv, S("z"), S("v"), NULL), 0);
	assert_int_equal(kv_delete(f->kv, S("k/d"), NULL), 0);
	assert_list(f, &(struct kv_range){ 0 }, "k/a,k/b,k/c,k/e,z,");
	assert_list(f, &(struct kv_range){ .prefix = S("k/") },
		    "k/a,k/b,k/c,k/e,");
	assert_list(f,
		    &(struct kv_range){ .prefix = S("k/"), .from = S("k/b") },
		    "k/b,k/c,k/e,");
	assert_list(f,
		    &(struct kv_range){ .prefix = S("k/"),
					.from = S("k/b"),
					.after = true },
		    "k/c,k/e,");
	assert_list(f, &(struct kv_range){ .from = S("k/b"), .to = S("k/e") },
		    "k/b,k/c,");
	assert_int_equal(kv_list(f->kv, NULL, &(struct kv_range){ 0 }, 0,
				 collect, &c),
			 7);
	assert_int_equal(c.count, 2);
	buf_release(&c.keys);
}

static void a_pin_sees_the_past(void **state)
{
	struct fixture *f = *state;
	struct kv_pin *pin;

	assert_int_equal(kv_set(f->kv, S("a"), S("old"), NULL), 0);
	assert_int_equal(kv_set(f->kv, S("b"), S("gone"), NULL), 0);
	assert_int_equal(kv_pin(f->kv, &pin), 0);
	assert_int_equal(kv_set(f->kv, S("a"), S("new"), NULL), 0);
	assert_int_equal(kv_delete(f->kv, S("b"), NULL), 0);
	assert_int_equal(kv_set(f->kv, S("c"), S("later"), NULL), 0);
	assert_int_equal(kv_compact(f->kv, NULL, NULL), 0);
	assert_value(f, pin, S("a"), S("old"));
	assert_value(f, pin, S("b"), S("gone"));
	assert_int_equal(kv_exists(f->kv, pin, S("c")), 1);
	assert_value(f, NULL, S("a"), S("new"));
	assert_absent(f, S("b"));
	kv_unpin(pin);
}

static void assert_held(struct kv_hold *hold, struct slice value)
{
	uint8_t bytes[100];
	uint64_t size;
	size_t got;

	assert_int_equal(
		kv_hold_read(hold, 1, bytes, sizeof(bytes), &got, &size), 0);
	assert_int_equal(size, value.size);
	assert_int_equal(got, value.size - 1);
	assert_memory_equal(bytes, (const uint8_t *)value.data + 1, got);
}

static void a_hold_outlives_its_key(void **state)
{
	static uint8_t zeros[4000];
	struct fixture *f = *state;
	struct kv_hold *holds[3], *more;
	char name[SEGMENT_NAME_MAX];

	assert_int_equal(kv_set(f->kv, S("a"), S("replaced"), NULL), 0);
	assert_int_equal(kv_set(f->kv, S("b"), S("deleted"), NULL), 0);
	assert_int_equal(kv_set(f->kv, S("c"), S("moved"), NULL), 0);
	assert_int_equal(kv_hold(f->kv, S("a"), &holds[0]), 0);
	assert_int_equal(kv_hold(f->kv, S("b"), &holds[1]), 0);
	assert_int_equal(kv_hold(f->kv, S("c"), &holds[2]), 0);
	assert_int_equal(kv_hold(f->kv, S("d"), &more), 1);
	segment_name(holds[0]->segment->header.id, name);
	assert_int_equal(kv_set(f->kv, S("a"), S("new"), NULL), 0);
	assert_int_equal(kv_delete(f->kv, S("b"), NULL), 0);
	assert_int_equal(kv_hold(f->kv, S("b"), &more), 1);
	for (unsigned int i = 0; i < 1000; i++)
		assert_int_equal(kv_set(f->kv, S("other"),
					slice_of(zeros, sizeof(zeros)), NULL),
				 0);
	assert_int_equal(kv_compact(f->kv, NULL, NULL), 0);
	assert_int_equal(faccessat(f->kv->dir_fd, name, F_OK, 0), -1);
	more = kv_hold_ref(holds[0]);
	kv_hold_unref(holds[0]);
	assert_held(more, S("replaced"));
	assert_held(holds[1], S("deleted"));
	assert_held(holds[2], S("moved"));
	/* What they lie in goes with the last of them. */
	kv_hold_unref(more);
	kv_hold_unref(holds[1]);
	assert_int_equal(atomic_load(&holds[2]->segment->refs), 1);
	kv_hold_unref(holds[2]);
	kv_hold_unref(NULL);
	assert_value(f, NULL, S("a"), S("new"));
	assert_value(f, NULL, S("c"), S("moved"));
	assert_absent(f, S("b"));
}

/* Each pin freezes what was written since the one before. */
static void any_number_of_pins_leaves_room_for_checkpoints(void **state)
{
	struct fixture *f = *state;
	enum {
		PINS = 20
	};
	struct kv_pin *pins[PINS];

	for (size_t i = 0; i < PINS; i++) {
		char digits[16];
		int size = snprintf(digits, sizeof(digits), "%zu", i);
		struct slice value = slice_of(digits, (size_t)size);

		assert_int_equal(kv_set(f->kv, S("a"), value, NULL), 0);
		assert_int_equal(kv_pin(f->kv, &pins[i]), 0);
		assert_int_equal(kv_set(f->kv, S("b"), value, NULL), 0);
	}
	assert_value(f, pins[0], S("a"), S("0"));
	assert_value(f, pins[19], S("a"), S("19"));
	assert_value(f, pins[19], S("b"), S("18"));
	for (size_t i = 0; i < PINS; i++)
		kv_unpin(pins[i]);
	reopen(f);
	assert_value(f, NULL, S("b"), S("19"));
}

/* As many pins as leave the last place: closing takes it. */
static void closing_after_pins_writes_a_checkpoint(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < 12; i++) {
		struct kv_pin *pin;

		assert_int_equal(kv_set(f->kv, S("a"), S("x"), NULL), 0);
		assert_int_equal(kv_pin(f->kv, &pin), 0);
		kv_unpin(pin);
		assert_int_equal(kv_set(f->kv, S("b"), S("y"), NULL), 0);
		reopen(f);
		for (size_t j = 0; j < i; j++) {
			assert_int_equal(kv_set(f->kv, S("c"), S("z"), NULL),
					 0);
			assert_int_equal(kv_pin(f->kv, &pin), 0);
			kv_unpin(pin);
		}
	}
}

static void compaction_gives_space_back(void **state)
{
	struct fixture *f = *state;
	struct kv_stats full, empty;
	char value[1000], key[32];

	memset(value, 'x', sizeof(value));
	for (int i = 0; i < 10000; i++) {
		snprintf(key, sizeof(key), "key-%d", i);
		assert_int_equal(kv_set(f->kv, slice_of(key, strlen(key)),
					slice_of(value, sizeof(value)), NULL),
				 0);
	}
	kv_stats(f->kv, &full);
	assert_int_equal(full.key_count, 10000);
	for (int i = 0; i < 10000; i++) {
		snprintf(key, sizeof(key), "key-%d", i);
		assert_int_equal(
			kv_delete(f->kv, slice_of(key, strlen(key)), NULL), 0);
	}
	assert_int_equal(kv_compact(f->kv, NULL, NULL), 0);
	kv_stats(f->kv, &empty);
	assert_int_equal(empty.key_count, 0);
	assert_int_equal(empty.live_bytes, 0);
	assert_int_equal(empty.tombstone_count, 0);
	assert_true(empty.disk_bytes < full.disk_bytes / 20);
	assert_int_equal(kv_check(f->kv, NULL, NULL, NULL), 0);
}

struct stop {
	struct kv_check_position position;
	uint64_t from_bytes;
};

/* Stops a check as soon as it has come further. */
static int stop_soon(void *ctx, uint64_t done, uint64_t total)
{
	struct stop *stop = ctx;

	assert_true(done <= total);
	return stop->position.done_bytes > stop->from_bytes;
}

static int check_step(struct fixture *f, struct stop *stop)
{
	stop->from_bytes = stop->position.done_bytes;
	return kv_check_from(f->kv, &stop->position, NULL, stop_soon, stop);
}

static void fill_some_segments(struct fixture *f, unsigned int count)
{
	static const char value[1000] = { 1 };

	for (unsigned int i = 0; i < count; i++)
		assert_int_equal(kv_set(f->kv, slice_of(&i, sizeof(i)),
					slice_of(value, sizeof(value)), NULL),
				 0);
	assert_int_equal(kv_checkpoint(f->kv), 0);
}

/* Step by step to the end; how many steps that took. */
static unsigned int check_in_steps(struct fixture *f, bool change)
{
	struct stop stop = { 0 };
	unsigned int steps = 0;
	int result;

	do {
		result = check_step(f, &stop);
		assert_true(result == 0 || result == -ECANCELED);
		reopen(f);
		if (change)
			assert_int_equal(kv_set(f->kv, S("change"),
						slice_of(&steps, sizeof(steps)),
						NULL),
					 0);
		assert_true(++steps < 1000);
	} while (result);
	kv_check_position_release(&stop.position);
	return steps;
}

static void a_check_goes_on_where_it_was_stopped(void **state)
{
	struct fixture *f = *state;

	fill_some_segments(f, 3000);
	/* A run, three segments or so, and of the index a MiB at a time. */
	assert_in_range(check_in_steps(f, false), 6, 20);
}

static void a_check_that_goes_on_later_has_nothing_against_changes(void **state)
{
	struct fixture *f = *state;

	fill_some_segments(f, 3000);
	check_in_steps(f, true);
	assert_int_equal(kv_check(f->kv, NULL, NULL, NULL), 0);
}

static void
a_key_lost_while_a_check_was_stopped_is_missed_in_its_count(void **state)
{
	struct fixture *f = *state;
	struct stop stop = { 0 };

	fill_some_segments(f, 3000);
	while (!stop.position.key_count)
		assert_int_equal(check_step(f, &stop), -ECANCELED);
	/* As if one that was counted had been none. */
	stop.position.key_count++;
	assert_int_equal(kv_check_from(f->kv, &stop.position, NULL, NULL, NULL),
			 1);
	kv_check_position_release(&stop.position);
}

static void a_note_is_kept_until_it_is_removed_or_damaged(void **state)
{
	struct fixture *f = *state;
	struct buf got = { 0 };
	char *path;

	assert_int_equal(kv_note_load(f->kv, KV_NOTE_CHECK, &got), 1);
	assert_int_equal(kv_note_remove(f->kv, KV_NOTE_CHECK), 0);
	assert_int_equal(kv_note_store(f->kv, KV_NOTE_CHECK, S("here")), 0);
	reopen(f);
	assert_int_equal(kv_note_load(f->kv, KV_NOTE_CHECK, &got), 0);
	assert_true(slice_equal(buf_slice(&got), S("here")));
	assert_int_equal(kv_note_load(f->kv, KV_NOTE_SCRUB, &got), 1);
	assert_true(asprintf(&path, "%s/CHECK", f->path) > 0);
	assert_int_equal(truncate(path, 5), 0);
	assert_int_equal(kv_note_load(f->kv, KV_NOTE_CHECK, &got), 1);
	assert_int_equal(kv_note_remove(f->kv, KV_NOTE_CHECK), 0);
	assert_int_equal(access(path, F_OK), -1);
	free(path);
	buf_release(&got);
}

static void a_second_opener_is_refused(void **state)
{
	struct fixture *f = *state;
	struct kv *second;

	assert_int_equal(kv_open(f->path, &f->options, &second), -EWOULDBLOCK);
}

static void a_foreign_directory_is_refused_and_left_alone(void **state)
{
	struct fixture *f = *state;
	struct kv *second;
	struct stat before, after;

	/* The directory of the store holds a store, which is no store file. */
	assert_int_equal(stat(f->dir.path, &before), 0);
	assert_int_equal(kv_open(f->dir.path, &f->options, &second),
			 -ENOTEMPTY);
	assert_int_equal(stat(f->dir.path, &after), 0);
	assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
}

static void a_store_that_is_absent_is_not_made_unasked(void **state)
{
	struct fixture *f = *state;
	struct kv_options options = f->options;
	struct kv *second;
	char *path;

	options.create = false;
	assert_true(asprintf(&path, "%s/none", f->dir.path) > 0);
	assert_int_equal(kv_open(path, &options, &second), -ENOENT);
	assert_int_equal(access(path, F_OK), -1);
	free(path);
}

static int count_change(void *ctx, const struct kv_change *change)
{
	uint64_t *next = ctx;

	assert_int_equal(change->lsn, *next);
	++*next;
	return 0;
}

static void the_tail_shows_every_change_in_order(void **state)
{
	struct fixture *f = *state;
	uint64_t next = 1;

	for (int i = 0; i < 3000; i++) {
		char value[1000] = { (char)i };

		assert_int_equal(kv_set(f->kv, slice_of(&i, sizeof(i)),
					slice_of(value, sizeof(value)), NULL),
				 0);
	}
	assert_int_equal(kv_tail(f->kv, 0, count_change, &next), 0);
	assert_int_equal(next, 3001);
	next = 2500;
	assert_int_equal(kv_tail(f->kv, 2499, count_change, &next), 0);
	assert_int_equal(next, 3001);
	for (int i = 0; i < 3000; i++)
		assert_int_equal(
			kv_delete(f->kv, slice_of(&i, sizeof(i)), NULL), 0);
	assert_int_equal(kv_compact(f->kv, NULL, NULL), 0);
	assert_int_equal(kv_tail(f->kv, 0, count_change, &next), -ESTALE);
}

static void compressed_values_come_back_whole(void **state)
{
	struct fixture *f = *state;
	char text[5000], noise[500], part[10];
	struct kv_stats stats;
	size_t read;

	memset(text, 'a', sizeof(text));
	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (char)(i * i * 31 + i * 17 + (i >> 3) * 113);
	f->options.compress_level = 6;
	reopen(f);
	assert_int_equal(
		kv_set(f->kv, S("t"), slice_of(text, sizeof(text)), NULL), 0);
	assert_int_equal(
		kv_set(f->kv, S("n"), slice_of(noise, sizeof(noise)), NULL), 0);
	kv_stats(f->kv, &stats);
	assert_true(stats.value_bytes_stored < 2000);
	reopen(f);
	assert_value(f, NULL, S("t"), slice_of(text, sizeof(text)));
	assert_value(f, NULL, S("n"), slice_of(noise, sizeof(noise)));
	assert_int_equal(
		kv_read(f->kv, NULL, S("t"), 4995, part, 10, &read, NULL), 0);
	assert_int_equal(read, 5);
	assert_memory_equal(part, "aaaaa", 5);
}

/* The batch says more than the options do. */
static void a_batch_has_its_own_compression_and_is_measured(void **state)
{
	struct fixture *f = *state;
	struct kv_batch batch = { 0 };
	struct kv_committed plain, packed;
	char zeros[4096] = { 0 };
	struct slice value = slice_of(zeros, sizeof(zeros));

	assert_int_equal(kv_batch_set(&batch, SLICE_LITERAL("a"), value), 0);
	assert_int_equal(kv_commit_measured(f->kv, &batch, 0, &plain), 0);
	assert_int_equal(plain.value_bytes_raw, sizeof(zeros));
	assert_int_equal(plain.value_bytes_stored, sizeof(zeros));
	batch.compress_level = 6;
	assert_int_equal(kv_commit_measured(f->kv, &batch, 0, &packed), 0);
	assert_true(packed.lsn > plain.lsn);
	assert_int_equal(packed.value_bytes_raw, sizeof(zeros));
	assert_true(packed.value_bytes_stored < 100);
	kv_batch_release(&batch);

	f->options.compress_level = 6;
	reopen(f);
	batch.compress_level = KV_COMPRESS_NONE;
	assert_int_equal(kv_batch_set(&batch, SLICE_LITERAL("b"), value), 0);
	assert_int_equal(kv_commit_measured(f->kv, &batch, 0, &plain), 0);
	assert_int_equal(plain.value_bytes_stored, sizeof(zeros));
	kv_batch_clear(&batch);
	assert_int_equal(batch.compress_level, 0);
	kv_batch_release(&batch);
	assert_value(f, NULL, SLICE_LITERAL("a"), value);
	assert_value(f, NULL, SLICE_LITERAL("b"), value);
}

static uint64_t disk_syncs(struct fixture *f)
{
	struct kv_stats stats;

	kv_stats(f->kv, &stats);
	return stats.disk_sync_count;
}

/* ... and so does who commits it. */
static void a_commit_may_be_synced_more_or_less_than_the_store(void **state)
{
	struct fixture *f = *state;
	struct kv_batch batch = { 0 };
	struct slice value = SLICE_LITERAL("v");
	uint64_t before, lsn;

	f->options.durability = KV_DURABILITY_ALWAYS;
	reopen(f);
	before = disk_syncs(f);
	assert_int_equal(kv_batch_set(&batch, SLICE_LITERAL("a"), value), 0);
	assert_int_equal(kv_commit(f->kv, &batch, KV_COMMIT_UNSYNCED, NULL), 0);
	assert_int_equal(disk_syncs(f), before);
	assert_int_equal(kv_commit(f->kv, &batch, 0, NULL), 0);
	assert_int_equal(disk_syncs(f), before + 1);

	f->options.durability = KV_DURABILITY_NONE;
	reopen(f);
	before = disk_syncs(f);
	assert_int_equal(kv_commit(f->kv, &batch, 0, &lsn), 0);
	assert_int_equal(kv_sync(f->kv, lsn), 0);
	assert_int_equal(disk_syncs(f), before);
	assert_int_equal(kv_sync_now(f->kv, lsn), 0);
	assert_int_equal(disk_syncs(f), before + 1);
	kv_batch_release(&batch);
}

static void options_out_of_range_are_refused(void **state)
{
	struct fixture *f = *state;
	struct kv_options options = f->options;
	struct kv *second;

	options.segment_size_bytes = 4096;
	assert_int_equal(kv_open(f->path, &options, &second), -EINVAL);
	options = f->options;
	options.memory_bytes = 1;
	assert_int_equal(kv_open(f->path, &options, &second), -EINVAL);
	options = f->options;
	options.compact_ratio = 100;
	assert_int_equal(kv_open(f->path, &options, &second), -EINVAL);
}

static void a_merge_of_the_newer_runs_keeps_what_they_delete(void **state)
{
	struct fixture *f = *state;
	struct buf got = { 0 };
	struct kv_stats stats;
	char key[32];

	for (unsigned int i = 0; i < 6000; i++) {
		snprintf(key, sizeof(key), "a-rather-long-key/%u", i * 7919);
		assert_int_equal(kv_set(f->kv, slice_of(key, strlen(key)),
					S("value"), NULL),
				 0);
	}
	assert_int_equal(kv_set(f->kv, S("deleted"), S("value"), NULL), 0);
	assert_int_equal(kv_checkpoint(f->kv), 0);
	assert_int_equal(kv_delete(f->kv, S("deleted"), NULL), 0);
	assert_int_equal(kv_checkpoint(f->kv), 0);
	assert_int_equal(kv_set(f->kv, S("other"), S("value"), NULL), 0);
	assert_int_equal(kv_checkpoint(f->kv), 0);
	assert_true(compact_round(f->kv) >= 0);
	kv_stats(f->kv, &stats);
	/* The two small ones became one, the large one stayed. */
	assert_int_equal(stats.run_count, 2);
	assert_int_equal(kv_get(f->kv, NULL, S("deleted"), &got), 1);
	assert_int_equal(kv_get(f->kv, NULL, S("other"), &got), 0);
	buf_release(&got);
}

/* Fills a segment and begins the next. */
static void fill_segment(struct fixture *f, char name)
{
	static uint8_t value[90000];
	char key[2] = { name, '0' };

	for (; key[1] <= ';'; key[1]++)
		assert_int_equal(kv_set(f->kv, slice_of(key, 2),
					slice_of(value, sizeof(value)), NULL),
				 0);
}

static void a_record_that_compaction_moved_keeps_its_age(void **state)
{
	struct fixture *f = *state;
	struct buf got = { 0 };
	struct kv_stats stats;

	f->options.compact_auto = true;
	reopen(f);
	/* An old version where little is dead, the newest where nearly all is. */
	assert_int_equal(kv_set(f->kv, S("first"), S("value"), NULL), 0);
	assert_int_equal(kv_set(f->kv, S("key"), S("old"), NULL), 0);
	fill_segment(f, 'a');
	assert_int_equal(kv_set(f->kv, S("key"), S("new"), NULL), 0);
	fill_segment(f, 'b');
	fill_segment(f, 'b');
	fill_segment(f, 'c');
	assert_int_equal(kv_checkpoint(f->kv), 0);
	while (compact_round(f->kv) == 0)
		;
	kv_stats(f->kv, &stats);
	assert_true(stats.compaction_copied_bytes > 0);
	reopen(f);
	/* Without an index, the ages alone tell which one counts. */
	assert_int_equal(kv_close(f->kv), 0);
	f->kv = NULL;
	assert_int_equal(unlinkat(f->dir.fd, "store/MANIFEST", 0), 0);
	assert_int_equal(kv_open(f->path, &f->options, &f->kv), 0);
	assert_int_equal(kv_get(f->kv, NULL, S("key"), &got), 0);
	assert_true(slice_equal(buf_slice(&got), S("new")));
	buf_release(&got);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(what_is_set_is_read_before_and_after_reopening),
		T(deleting_what_is_absent_writes_nothing),
		T(a_deleted_key_stays_deleted),
		T(a_batch_applies_in_its_order),
		T(a_range_of_a_value_is_read),
		T(a_value_larger_than_a_segment_is_kept),
		T(a_listing_is_ordered_and_bounded),
		T(a_pin_sees_the_past),
		T(a_hold_outlives_its_key),
		T(any_number_of_pins_leaves_room_for_checkpoints),
		T(closing_after_pins_writes_a_checkpoint),
		T(compaction_gives_space_back),
		T(a_merge_of_the_newer_runs_keeps_what_they_delete),
		T(a_record_that_compaction_moved_keeps_its_age),
		T(a_check_goes_on_where_it_was_stopped),
		T(a_check_that_goes_on_later_has_nothing_against_changes),
		T(a_key_lost_while_a_check_was_stopped_is_missed_in_its_count),
		T(a_note_is_kept_until_it_is_removed_or_damaged),
		T(a_second_opener_is_refused),
		T(a_foreign_directory_is_refused_and_left_alone),
		T(a_store_that_is_absent_is_not_made_unasked),
		T(the_tail_shows_every_change_in_order),
		T(compressed_values_come_back_whole),
		T(a_batch_has_its_own_compression_and_is_measured),
		T(a_commit_may_be_synced_more_or_less_than_the_store),
		T(options_out_of_range_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
