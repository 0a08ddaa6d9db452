/* SPDX-License-Identifier: MIT */

/*
 * Damage. Two small stores, one closed and one that crashed, in each of which
 * every bit of every file is flipped, every file cut at every length, made
 * longer, and removed, one at a time. Each is then opened, read, listed and
 * checked:
 *
 *	a read gives what was written last, or an error
 *	a damaged record costs its key, a damaged index nothing for good
 *	what is damaged is detected: by the check, or by recovery
 *	in the log behind the last checkpoint, where nothing else knows of a
 *	record whose head is gone, an older state is found, and recovery says so:
 *	torn (then it is a state that was), or damaged; but for a log cut off
 *	right between two records, which nothing tells from a shorter one
 *
 *	test-corrupt-kv [SEED [STRIDE]]	every STRIDE-th bit; 1 is every one
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/io.h"
#include "engine/kv.h"
#include "tests/seam/arguments.h"
#include "tests/seam/quick_io.h"
#include "tests/seam/scratch.h"
#include "tests/seam/small_kv.h"

#define KEY_COUNT 16u
#define STATES_MAX 64u
#define FILES_MAX 16u
#define VALUE_MAX 512u
#define MEMORY_MAX ((rlim_t)1 << 30)
/* Of the zeros at the end of a file one bit in so many, beyond the first. */
#define PADDING_STRIDE 4099u
#define PADDING_FIRST 64u

/* --- stores, and what is in them --- */

/* A state of the store: of each key the number of its value, 0: none. */
struct moment {
	uint8_t values[KEY_COUNT];
};

struct file {
	char name[32];
	struct buf bytes;
	size_t used; /* behind it there are zeros */
};

struct image {
	const char *name;
	struct file files[FILES_MAX];
	size_t file_count;
	struct moment moments[STATES_MAX]; /* from the last checkpoint on */
	size_t moment_count;
	uint64_t last_segment;
	uint8_t ever[KEY_COUNT][256]; /* values that a key once had */
};

static struct image closed = { .name = "closed" };
static struct image crashed = { .name = "crashed" };
static struct image *making;
static struct kv *making_kv;
static uint8_t next_value;

static struct slice key_of(unsigned int key, char bytes[16])
{
	/* The empty key is one, too. */
	if (!key)
		return slice_of("", 0);
	return slice_of(bytes, (size_t)snprintf(bytes, 16, "key/%u", key));
}

/* Of some the value is empty, of some it compresses. */
static struct slice value_of(uint8_t value, uint8_t bytes[VALUE_MAX])
{
	size_t size = value % 5 == 4 ? 0 : value % 5 == 3 ? 300 : value % 40;

	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(value + (i < 30 ? i * i : 0));
	return slice_of(bytes, size);
}

static void note_moment(bool anew)
{
	struct moment last = { { 0 } };

	if (making->moment_count)
		last = making->moments[making->moment_count - 1];
	if (anew)
		making->moment_count = 0;
	assert_true(making->moment_count < STATES_MAX);
	making->moments[making->moment_count++] = last;
}

/* A batch: keys [first, end) get new values, or are deleted. */
static void change(unsigned int first, unsigned int end, bool deletion)
{
	struct kv_batch batch = { 0 };
	uint8_t bytes[KEY_COUNT][VALUE_MAX];
	struct moment *now;
	char key[16];

	note_moment(false);
	now = &making->moments[making->moment_count - 1];
	for (unsigned int i = first; i < end; i++) {
		now->values[i] = deletion ? 0 : ++next_value;
		making->ever[i][now->values[i]] = 1;
		if (deletion)
			assert_int_equal(
				kv_batch_delete(&batch, key_of(i, key)), 0);
		else
			assert_int_equal(
				kv_batch_set(&batch, key_of(i, key),
					     value_of(next_value, bytes[i])),
				0);
	}
	assert_int_equal(kv_commit(making_kv, &batch, 0, NULL), 0);
	kv_batch_release(&batch);
}

static void sync_now(void)
{
	assert_int_equal(kv_sync(making_kv, kv_last_lsn(making_kv)), 0);
}

static void checkpoint_now(void)
{
	assert_int_equal(kv_checkpoint(making_kv), 0);
	note_moment(true);
}

static void load_file(struct image *image, int dir_fd, const char *name)
{
	struct file *file = &image->files[image->file_count++];

	assert_true(image->file_count <= FILES_MAX);
	snprintf(file->name, sizeof(file->name), "%s", name);
	assert_int_equal(io_read_file(quick_io(), dir_fd, name, 4 << 20,
				      &file->bytes),
			 0);
	file->used = file->bytes.size;
	while (file->used && !file->bytes.data[file->used - 1])
		file->used--;
}

static void load_image(struct image *image, int dir_fd)
{
	struct buf names = { 0 };
	const char *at, *end;

	assert_int_equal(io_list(quick_io(), dir_fd, &names), 0);
	at = (const char *)names.data;
	end = at + names.size;
	for (; at < end; at += strlen(at) + 1) {
		uint64_t id = strtoull(at, NULL, 16);

		load_file(image, dir_fd, at);
		if (strstr(at, ".seg") && id > image->last_segment)
			image->last_segment = id;
	}
	buf_release(&names);
}

static void options_for(struct kv_options *options)
{
	small_kv_options(options, quick_io());
	options->compress_level = 1;
}

static void open_making(const struct scratch *store)
{
	struct kv_options options;

	options_for(&options);
	assert_int_equal(kv_open(store->path, &options, &making_kv), 0);
}

/* Log segments, cold ones, tombstones, dead records, several runs. */
static void make_store(const struct scratch *store)
{
	open_making(store);
	change(0, 8, false);
	sync_now();
	change(1, 3, false);
	change(3, 4, true);
	checkpoint_now();
	change(8, 11, false);
	assert_int_equal(kv_compact(making_kv, NULL, NULL), 0);
	note_moment(true);
	change(4, 5, true);
	change(5, 7, false);
	checkpoint_now();
	change(9, 10, true);
	change(11, 13, false);
	assert_int_equal(kv_close(making_kv), 0);
	open_making(store);
	change(2, 3, false);
	checkpoint_now();
}

static void make_image(struct image *image, const struct scratch *dir)
{
	struct scratch store;

	making = image;
	next_value = 0;
	assert_int_equal(scratch_make_dir(dir, image->name, &store), 0);
	make_store(&store);
	change(7, 8, false);
	sync_now();
	change(1, 3, false);
	change(10, 11, true);
	sync_now();
	change(13, 16, false);
	change(0, 1, false);
	sync_now();
	change(6, 7, false);
	change(12, 13, true);
	if (image == &crashed)
		load_image(image, store.fd);
	assert_int_equal(kv_close(making_kv), 0);
	if (image == &closed)
		load_image(image, store.fd);
	assert_int_equal(scratch_release(&store), 0);
}

/* --- one damaged store --- */

/* What was done to which file. */
struct damage {
	const struct image *image;
	size_t file;
	const char *what;
	uint64_t at;
	bool padding; /* in zeros at the end of a file */
};

struct counts {
	unsigned long tried, detected, harmless, repaired, errors;
	unsigned long torn, lost, refused;
};

static struct counts counts;
static struct scratch dir;

#define CHECK(damage, condition)                                               \
	do {                                                                   \
		if (!(condition)) {                                            \
			print_error(                                           \
				"%s store, %s: %s at %llu: not: %s\n",         \
				(damage)->image->name,                         \
				(damage)->image->files[(damage)->file].name,   \
				(damage)->what,                                \
				(unsigned long long)(damage)->at, #condition); \
			fflush(NULL);                                          \
			_exit(EXIT_FAILURE);                                   \
		}                                                              \
	} while (0)

static const struct moment *newest(const struct image *image)
{
	return &image->moments[image->moment_count - 1];
}

static bool is_segment(const struct image *image, size_t file)
{
	return strstr(image->files[file].name, ".seg") != NULL;
}

static void put_file(const struct scratch *store, const char *name,
		     const void *bytes, size_t size)
{
	int fd = openat(store->fd, name, O_CREAT | O_TRUNC | O_WRONLY, 0600);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, size, 0), size);
	close(fd);
}

static void put_image(const struct image *image, const struct scratch *store,
		      size_t but)
{
	for (size_t i = 0; i < image->file_count; i++)
		if (i != but)
			put_file(store, image->files[i].name,
				 image->files[i].bytes.data,
				 image->files[i].bytes.size);
}

/* What the open store holds: the number of each key's value, or... */
#define FOUND_ERROR 255

/* Which value of the key's it is; 0: it never had that. */
static uint8_t value_found(const struct image *image, unsigned int key,
			   struct slice got)
{
	uint8_t expected[VALUE_MAX], found = 0;

	for (unsigned int v = 1; v < FOUND_ERROR; v++)
		if (image->ever[key][v] &&
		    slice_equal(value_of((uint8_t)v, expected), got))
			found = (uint8_t)v;
	return found;
}

static void read_all(struct kv *kv, const struct damage *d,
		     uint8_t found[KEY_COUNT])
{
	struct buf got = { 0 };
	char key[16];

	for (unsigned int i = 0; i < KEY_COUNT; i++) {
		int result = kv_get(kv, NULL, key_of(i, key), &got);

		if (result < 0)
			CHECK(d, result == -EBADMSG || result == -EUCLEAN ||
					 result == -EIO);
		found[i] = result < 0 ? FOUND_ERROR : 0;
		if (result)
			continue;
		found[i] = value_found(d->image, i, buf_slice(&got));
		CHECK(d, found[i] != 0);
	}
	buf_release(&got);
}

static bool same(const struct moment *moment, const uint8_t found[KEY_COUNT])
{
	return memcmp(moment->values, found, KEY_COUNT) == 0;
}

static unsigned int error_count(const uint8_t found[KEY_COUNT])
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < KEY_COUNT; i++)
		count += found[i] == FOUND_ERROR;
	return count;
}

static bool was_once(const struct image *image, const uint8_t found[KEY_COUNT])
{
	for (size_t i = 0; i < image->moment_count; i++)
		if (same(&image->moments[i], found))
			return true;
	return false;
}

/* Whether the log behind the checkpoint changed the key. */
static bool changed_lately(const struct image *image, unsigned int key)
{
	for (size_t i = 1; i < image->moment_count; i++)
		if (image->moments[i].values[key] !=
		    image->moments[0].values[key])
			return true;
	return false;
}

static int count_listed(void *ctx, const struct kv_entry *entry)
{
	(void)entry;
	++*(unsigned int *)ctx;
	return 0;
}

/* A log that ends between two records looks like one that came no further. */
static bool ends_early(const struct damage *d)
{
	return d->image == &crashed && *d->what == 'c' &&
	       is_segment(d->image, d->file);
}

/* Each key's value is the newest, or an error; or what recovery reported. */
static void check_found(const struct damage *d, const struct kv_stats *stats,
			const uint8_t found[KEY_COUNT])
{
	const struct moment *want = newest(d->image);

	if ((stats->recovery == KV_RECOVERY_TORN || ends_early(d)) &&
	    !error_count(found)) {
		CHECK(d, was_once(d->image, found));
		counts.torn += !same(want, found);
		return;
	}
	for (unsigned int i = 0; i < KEY_COUNT; i++) {
		if (found[i] == want->values[i] || found[i] == FOUND_ERROR)
			continue;
		CHECK(d, stats->recovery == KV_RECOVERY_DAMAGED ||
				 stats->recovery == KV_RECOVERY_REBUILT);
		CHECK(d, is_segment(d->image, d->file));
		CHECK(d, changed_lately(d->image, i));
		counts.lost++;
	}
}

static bool look_at(struct kv *kv, const struct damage *d,
		    uint8_t found[KEY_COUNT])
{
	struct kv_range all = { 0 };
	unsigned int listed = 0, exist = 0;
	struct kv_stats stats;
	int result, checked;

	read_all(kv, d, found);
	kv_stats(kv, &stats);
	check_found(d, &stats, found);
	result = kv_list(kv, NULL, &all, 0, count_listed, &listed);
	for (unsigned int i = 0; i < KEY_COUNT; i++)
		exist += found[i] != 0;
	/* A listing that could not see everything does not say that it did. */
	if (result == 0)
		CHECK(d, listed == exist);
	checked = kv_check(kv, NULL, NULL, NULL);
	CHECK(d, checked >= 0);
	return checked || error_count(found) || result ||
	       stats.recovery >= KV_RECOVERY_TORN;
}

/* Opened once more: what was wrong with the index alone is right again. */
static void look_again(const struct scratch *store, const struct damage *d,
		       const struct kv_options *options, bool repaired,
		       bool lost)
{
	uint8_t found[KEY_COUNT];
	struct kv *kv;
	int checked;
	bool index = repaired && !is_segment(d->image, d->file);

	CHECK(d, kv_open(store->path, options, &kv) == 0);
	read_all(kv, d, found);
	if (index)
		CHECK(d, same(newest(d->image), found));
	checked = kv_check(kv, NULL, NULL, NULL);
	CHECK(d, checked >= 0 && (checked == 0 || !index));
	/* Changes that are missing go on being told of. */
	CHECK(d, checked == 1 || !lost);
	CHECK(d, kv_close(kv) == 0);
}

static bool recovery_lost(struct kv *kv)
{
	struct kv_stats stats;

	kv_stats(kv, &stats);
	return stats.recovery_lost_count != 0;
}

static void try_damage(const struct damage *d, const void *bytes, size_t size)
{
	struct kv_options options;
	struct scratch store;
	uint8_t found[KEY_COUNT];
	struct kv *kv;
	bool detected, lost;
	int error;

	assert_int_equal(scratch_make_dir(&dir, "damaged", &store), 0);
	put_image(d->image, &store, d->file);
	if (bytes)
		put_file(&store, d->image->files[d->file].name, bytes, size);
	options_for(&options);
	options.create = false;
	/* Now and then without writing anything. */
	options.read_only = counts.tried++ % 8 == 7;
	error = kv_open(store.path, &options, &kv);
	CHECK(d, error == 0);
	detected = look_at(kv, d, found);
	lost = recovery_lost(kv) && *d->what == 'f';
	CHECK(d, kv_close(kv) == 0);
	counts.detected += detected;
	counts.harmless += !detected;
	counts.errors += error_count(found) != 0;
	/* Only what nobody will read may go unseen. */
	if (!detected)
		CHECK(d, d->padding ||
				 (ends_early(d) && was_once(d->image, found)));
	/* A flipped bit is in one record, at most. */
	if (*d->what == 'f' && is_segment(d->image, d->file))
		CHECK(d, error_count(found) <= 1);
	/* Who may not write can tell nobody that the index is damaged. */
	if (options.read_only) {
		options.read_only = false;
		look_again(&store, d, &options, false, lost);
	}
	look_again(&store, d, &options, true, lost);
	assert_int_equal(scratch_release(&store), 0);
}

/* --- the campaigns --- */

static uint64_t seed, stride;
static struct image *const images[] = { &closed, &crashed };
#define IMAGES (sizeof(images) / sizeof(images[0]))

/* Files without contents have nothing to damage. */
static bool has_contents(const struct file *file)
{
	return strcmp(file->name, "LOCK") != 0 &&
	       strcmp(file->name, "RESERVE") != 0;
}

static void flip_bits(const struct image *image, size_t index)
{
	const struct file *file = &image->files[index];
	uint8_t *bytes = file->bytes.data;
	uint64_t bits = file->bytes.size * 8;
	uint64_t dense = (file->used + PADDING_FIRST) * 8, step;

	for (uint64_t bit = seed % stride; bit < bits; bit += step) {
		struct damage d = { image, index, "flip", bit,
				    bit / 8 >= file->used &&
					    is_segment(image, index) };

		step = bit < dense ? stride : stride * PADDING_STRIDE;
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		try_damage(&d, bytes, file->bytes.size);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void cut_file(const struct image *image, size_t index)
{
	const struct file *file = &image->files[index];
	uint64_t step, every = stride > 4 ? stride / 4 : 1;

	for (uint64_t size = seed % every; size < file->bytes.size;
	     size += step) {
		struct damage d = { image, index, "cut", size,
				    size >= file->used &&
					    is_segment(image, index) };

		step = size < file->used + PADDING_FIRST ?
			       every :
			       every * PADDING_STRIDE;
		try_damage(&d, file->bytes.data, size);
	}
}

static void lengthen_file(const struct image *image, size_t index)
{
	const struct file *file = &image->files[index];
	struct damage d = { image, index, "grown by zeros", 0,
			    is_segment(image, index) };
	struct buf longer = { 0 };

	assert_int_equal(
		buf_append(&longer, file->bytes.data, file->bytes.size), 0);
	assert_int_equal(buf_resize(&longer, file->bytes.size + 5000), 0);
	memset(longer.data + file->bytes.size, 0, 5000);
	try_damage(&d, longer.data, longer.size);
	memset(longer.data + file->bytes.size, 0x17, 5000);
	d.what = "grown by junk";
	try_damage(&d, longer.data, longer.size);
	buf_release(&longer);
}

static void each_file(void (*work)(const struct image *, size_t))
{
	for (size_t i = 0; i < IMAGES; i++)
		for (size_t f = 0; f < images[i]->file_count; f++)
			if (has_contents(&images[i]->files[f]))
				work(images[i], f);
}

static void remove_file(const struct image *image, size_t index)
{
	struct damage d = { image, index, "removed", 0, false };

	try_damage(&d, NULL, 0);
}

static void a_flipped_bit_is_detected_and_costs_one_key(void **state)
{
	(void)state;
	each_file(flip_bits);
}

static void a_file_cut_short_is_detected(void **state)
{
	(void)state;
	each_file(cut_file);
}

static void a_file_grown_or_gone_is_survived(void **state)
{
	(void)state;
	each_file(lengthen_file);
	each_file(remove_file);
}

static void an_undamaged_store_is_sound(void **state)
{
	(void)state;
	for (size_t i = 0; i < IMAGES; i++) {
		struct damage d = { images[i], 0, "nothing", 0, true };
		unsigned long detected = counts.detected;

		try_damage(&d, images[i]->files[0].bytes.data,
			   images[i]->files[0].bytes.size);
		assert_int_equal(counts.detected, detected);
	}
}

static int set_up(void **state)
{
	(void)state;
	assert_int_equal(scratch_init(&dir), 0);
	make_image(&closed, &dir);
	make_image(&crashed, &dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (size_t i = 0; i < IMAGES; i++)
		for (size_t f = 0; f < images[i]->file_count; f++)
			buf_release(&images[i]->files[f].bytes);
	scratch_release(&dir);
	print_message("%lu stores damaged: %lu detected, %lu harmless; an "
		      "error for a key in %lu, a torn tail in %lu, changes of "
		      "the log's end lost and reported in %lu\n",
		      counts.tried, counts.detected, counts.harmless,
		      counts.errors, counts.torn, counts.lost);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_undamaged_store_is_sound),
		cmocka_unit_test(a_file_grown_or_gone_is_survived),
		cmocka_unit_test(a_file_cut_short_is_detected),
		cmocka_unit_test(a_flipped_bit_is_detected_and_costs_one_key),
	};

	seed = argument_seed(argc, argv);
	stride = argument_stride(argc, argv, 128);
	print_message("seed %llu, stride %llu\n", (unsigned long long)seed,
		      (unsigned long long)stride);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
