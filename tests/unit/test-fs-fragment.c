/* SPDX-License-Identifier: MIT */

/* Small writes to large blocks: what is stored for them, and that everything
 * that looks at blocks sees them. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#include "fs/repair.h"
#include "fs/schema.h"
#include "tests/unit/fs_fixture.h"

#define PAGE FRAGMENT_SIZE
#define BLOCK (8 * PAGE)
#define FILE_MAX (6 * BLOCK)

static int setup(void **state)
{
	return fs_fixture_setup_blocks(state, BLOCK);
}

#define FRAGMENT_TEST(name) \
	cmocka_unit_test_setup_teardown(name, setup, fs_fixture_teardown)

static uint64_t appended_bytes(struct fs_fixture *f)
{
	struct kv_stats stats;

	kv_stats(fs_kv(f->fs), &stats);
	return stats.append_bytes;
}

static void filled(uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251 + 1);
}

/* A file of whole blocks. */
static uint64_t make_blocks(struct fs_fixture *f, uint8_t *bytes, size_t size)
{
	uint64_t ino = make_file(f, "f");

	filled(bytes, size);
	assert_int_equal(fs_write(f->fs, ino, 0, bytes, size, 0), 0);
	assert_int_equal(class_key_count(f, CLASS_FRAGMENT), 0);
	return ino;
}

static void write_both(struct fs_fixture *f, uint64_t ino, uint8_t *bytes,
		       size_t offset, size_t size, int byte)
{
	memset(bytes + offset, byte, size);
	assert_int_equal(fs_write(f->fs, ino, offset, bytes + offset, size, 0),
			 0);
}

static void a_page_written_in_a_block_is_stored_alone(void **state)
{
	struct fs_fixture *f = *state;
	static uint8_t bytes[3 * BLOCK];
	uint64_t ino = make_blocks(f, bytes, sizeof(bytes));
	uint64_t before = appended_bytes(f);

	write_both(f, ino, bytes, BLOCK + 2 * PAGE, PAGE, 'x');
	assert_true(appended_bytes(f) - before < PAGE + 400);
	assert_int_equal(class_key_count(f, CLASS_FRAGMENT), 1);
	write_both(f, ino, bytes, BLOCK + 2 * PAGE + 5, 10, 'y');
	assert_int_equal(class_key_count(f, CLASS_FRAGMENT), 1);
	/* Over the border of two pages. */
	write_both(f, ino, bytes, BLOCK + 5 * PAGE - 5, 10, 'z');
	assert_int_equal(class_key_count(f, CLASS_FRAGMENT), 3);
	assert_int_equal(class_key_count(f, CLASS_BLOCK), 3);
	assert_contents(f, ino, bytes, sizeof(bytes));
	assert_sound(f);
	fs_fixture_reopen(f);
	assert_contents(f, ino, bytes, sizeof(bytes));
}

static void reads_of_any_piece_see_fragments(void **state)
{
	struct fs_fixture *f = *state;
	static uint8_t bytes[2 * BLOCK], got[2 * BLOCK];
	uint64_t ino = make_blocks(f, bytes, sizeof(bytes));
	size_t read;

	write_both(f, ino, bytes, 3 * PAGE + 100, 200, 'x');
	write_both(f, ino, bytes, BLOCK, 1, 'y');
	for (size_t offset = 0; offset < sizeof(bytes); offset += 1021) {
		for (size_t size = 1; offset + size <= sizeof(bytes);
		     size = size * 3 + 1) {
			assert_int_equal(fs_read(f->fs, ino, offset, got, size,
						 &read),
					 0);
			assert_int_equal(read, size);
			assert_memory_equal(got, bytes + offset, size);
		}
	}
}

static void a_block_written_as_a_whole_has_no_fragments(void **state)
{
	struct fs_fixture *f = *state;
	static uint8_t bytes[2 * BLOCK];
	uint64_t ino = make_blocks(f, bytes, sizeof(bytes));

	write_both(f, ino, bytes, PAGE, 10, 'x');
	write_both(f, ino, bytes, BLOCK + PAGE, 10, 'y');
	write_both(f, ino, bytes, 0, BLOCK, 'z');
	assert_int_equal(class_key_count(f, CLASS_FRAGMENT), 1);
	/* More than half of it. */
	write_both(f, ino, bytes, BLOCK + 2 * PAGE, 5 * PAGE, 'w');
	assert_int_equal(class_key_count(f, CLASS_FRAGMENT), 0);
	assert_contents(f, ino, bytes, sizeof(bytes));
	assert_sound(f);
}

static void appending_costs_pages_and_leaves_whole_blocks(void **state)
{
	struct fs_fixture *f = *state;
	static uint8_t bytes[3 * BLOCK];
	uint64_t ino = make_file(f, "f");
	uint64_t before = appended_bytes(f);
	size_t size = 0;

	filled(bytes, sizeof(bytes));
	for (; size + 100 <= sizeof(bytes); size += 100)
		assert_int_equal(fs_write(f->fs, ino, 0, bytes + size, 100,
					  FS_WRITE_APPEND),
				 0);
	assert_true(appended_bytes(f) - before < size * 10);
	assert_contents(f, ino, bytes, size);
	assert_true(class_key_count(f, CLASS_FRAGMENT) < 8);
	assert_sound(f);
	assert_int_equal(fs_write(f->fs, ino, size, bytes + size,
				  sizeof(bytes) - size, 0),
			 0);
	assert_int_equal(class_key_count(f, CLASS_FRAGMENT), 0);
	assert_int_equal(class_key_count(f, CLASS_BLOCK), 3);
	assert_contents(f, ino, bytes, sizeof(bytes));
	assert_sound(f);
}

static void what_was_cut_off_with_its_fragments_does_not_come_back(void **state)
{
	struct fs_fixture *f = *state;
	static uint8_t bytes[3 * BLOCK];
	uint64_t ino = make_blocks(f, bytes, sizeof(bytes));
	size_t keep = BLOCK + 3 * PAGE + 10;

	write_both(f, ino, bytes, keep - 5, 10, 'x');
	write_both(f, ino, bytes, keep + 2 * PAGE, 10, 'y');
	write_both(f, ino, bytes, 2 * BLOCK + 10, 10, 'z');
	assert_int_equal(set_size(f, ino, keep), 0);
	assert_int_equal(class_key_count(f, CLASS_FRAGMENT), 0);
	assert_sound(f);
	assert_int_equal(set_size(f, ino, sizeof(bytes)), 0);
	memset(bytes + keep, 0, sizeof(bytes) - keep);
	assert_contents(f, ino, bytes, sizeof(bytes));
	assert_int_equal(set_size(f, ino, 0), 0);
	assert_int_equal(class_key_count(f, CLASS_BLOCK), 0);
	assert_sound(f);
}

static void
a_page_written_into_a_hole_makes_no_more_than_its_block(void **state)
{
	struct fs_fixture *f = *state;
	static uint8_t bytes[4 * BLOCK];
	uint64_t ino = make_file(f, "f");
	uint64_t found = 0;

	assert_int_equal(set_size(f, ino, sizeof(bytes)), 0);
	write_both(f, ino, bytes, 2 * BLOCK + 3 * PAGE, PAGE, 'x');
	assert_contents(f, ino, bytes, sizeof(bytes));
	assert_int_equal(class_key_count(f, CLASS_BLOCK), 1);
	assert_int_equal(attr_of(f, ino).blocks, BLOCK / 512);
	assert_int_equal(fs_seek(f->fs, ino, 0, SEEK_DATA, &found), 0);
	assert_int_equal(found, 2 * BLOCK);
	assert_int_equal(fs_seek(f->fs, ino, found, SEEK_HOLE, &found), 0);
	assert_int_equal(found, 3 * BLOCK);
	assert_sound(f);
}

static void punching_takes_fragments_away(void **state)
{
	struct fs_fixture *f = *state;
	static uint8_t bytes[4 * BLOCK];
	uint64_t ino = make_blocks(f, bytes, sizeof(bytes));
	size_t from = PAGE + 100, size = 2 * BLOCK;

	for (size_t at = 0; at < sizeof(bytes); at += 3 * PAGE)
		write_both(f, ino, bytes, at, 10, 'x');
	assert_int_equal(fs_fallocate(f->fs, ino,
				      FALLOC_FL_PUNCH_HOLE |
					      FALLOC_FL_KEEP_SIZE,
				      from, size),
			 0);
	memset(bytes + from, 0, size);
	assert_contents(f, ino, bytes, sizeof(bytes));
	assert_int_equal(class_key_count(f, CLASS_BLOCK), 3);
	assert_sound(f);
}

static void a_file_goes_with_its_fragments(void **state)
{
	struct fs_fixture *f = *state;
	static uint8_t bytes[2 * BLOCK];
	uint64_t ino = make_blocks(f, bytes, sizeof(bytes));

	write_both(f, ino, bytes, PAGE, 10, 'x');
	assert_int_equal(fs_unlink(f->fs, FS_ROOT_INO, name_of("f"), NULL), 0);
	fs_forget(f->fs, ino);
	assert_int_equal(class_key_count(f, CLASS_FRAGMENT), 0);
	assert_int_equal(class_key_count(f, CLASS_BLOCK), 0);
	assert_sound(f);
}

static void a_fragment_of_nothing_is_found(void **state)
{
	struct fs_fixture *f = *state;
	static uint8_t bytes[2 * BLOCK];
	uint64_t ino = make_blocks(f, bytes, sizeof(bytes));
	struct schema_key key;

	fragment_key_encode(&key, ino, 1);
	assert_int_equal(
		kv_set(fs_kv(f->fs), key_slice(&key), name_of("x"), NULL), 0);
	assert_int_equal(check_quietly(f), 1);
	assert_int_equal(kv_delete(fs_kv(f->fs), key_slice(&key), NULL), 0);
	write_both(f, ino, bytes, PAGE, 10, 'x');
	assert_sound(f);
	fragment_key_encode(&key, ino, sizeof(bytes) / PAGE);
	assert_int_equal(
		kv_set(fs_kv(f->fs), key_slice(&key), name_of("x"), NULL), 0);
	assert_int_equal(check_quietly(f), 1);
}

/* Flips a bit of `text` in a segment of a closed store. */
static void damage(const char *path, const char *text)
{
	static uint8_t bytes[4 << 20];
	DIR *dir = opendir(path);
	struct dirent *entry;
	uint8_t *at = NULL;
	ssize_t size;
	int fd;

	assert_non_null(dir);
	while (!at && (entry = readdir(dir))) {
		if (!strstr(entry->d_name, ".seg"))
			continue;
		fd = openat(dirfd(dir), entry->d_name, O_RDWR);
		size = read(fd, bytes, sizeof(bytes));
		assert_true(size > 0);
		at = memmem(bytes, (size_t)size, text, strlen(text));
		if (at) {
			*at ^= 1;
			assert_int_equal(pwrite(fd, at, 1, at - bytes), 1);
		}
		close(fd);
	}
	closedir(dir);
	assert_non_null(at);
}

static void note_path(void *ctx, const struct fs_problem *problem)
{
	bool *found = ctx;

	if (problem->kind == FS_PROBLEM_DAMAGED && problem->path &&
	    strcmp(problem->path, "f") == 0)
		*found = true;
}

static void a_damaged_fragment_is_named_and_costs_its_page(void **state)
{
	struct fs_fixture *f = *state;
	static uint8_t bytes[2 * BLOCK], got[BLOCK];
	uint64_t ino = make_blocks(f, bytes, sizeof(bytes));
	bool found = false;
	size_t read;

	put(f, ino, 3 * PAGE, "text of a fragment");
	assert_int_equal(fs_close(f->fs), 0);
	damage(f->path, "text of a fragment");
	assert_int_equal(fs_open(f->path, &f->options, &f->fs), 0);
	assert_int_equal(fs_read(f->fs, ino, 3 * PAGE, got, 4, &read), -EIO);
	assert_int_equal(fs_read(f->fs, ino, 0, got, BLOCK, &read), -EIO);
	assert_int_equal(fs_read(f->fs, ino, 2 * PAGE, got, PAGE, &read), 0);
	assert_memory_equal(got, bytes + 2 * PAGE, PAGE);
	assert_int_equal(fs_read(f->fs, ino, BLOCK, got, BLOCK, &read), 0);
	assert_memory_equal(got, bytes + BLOCK, BLOCK);
	assert_int_equal(fs_check(f->fs, note_path, NULL, &found), 1);
	assert_true(found);
	/* Written anew, it is good again. */
	write_both(f, ino, bytes, 3 * PAGE, PAGE, 'x');
	assert_contents(f, ino, bytes, sizeof(bytes));
}

static void a_repair_that_finds_no_block_leaves_a_sound_record(void **state)
{
	struct fs_fixture *f = *state;
	static uint8_t bytes[BLOCK];
	uint64_t ino = make_blocks(f, bytes, sizeof(bytes));
	struct schema_key key;

	write_both(f, ino, bytes, PAGE, 10, 'x');
	block_key_encode(&key, ino, 0);
	assert_int_equal(kv_delete(fs_kv(f->fs), key_slice(&key), NULL), 0);
	assert_true(repair_quietly(f) > 0);
	assert_int_equal(attr_of(f, ino).size_bytes, BLOCK);
}

/* --- against a plain array --- */

struct model {
	struct fs_fixture *f;
	uint64_t ino;
	uint8_t bytes[FILE_MAX];
	size_t size;
	uint64_t random;
};

/* 0 to below: xorshift. */
static size_t below(struct model *m, size_t end)
{
	m->random ^= m->random << 13;
	m->random ^= m->random >> 7;
	m->random ^= m->random << 17;
	return (size_t)(m->random % end);
}

static void model_write(struct model *m)
{
	static const size_t sizes[] = {
		10, 200, PAGE, 3 * PAGE, BLOCK, FILE_MAX
	};
	bool append = below(m, 3) == 0;
	size_t offset = append ? m->size : below(m, FILE_MAX);
	size_t size = 1 + below(m, sizes[below(m, 6)]);

	if (!append && below(m, 2))
		offset &= ~(size_t)(PAGE - 1);
	if (size > FILE_MAX - offset)
		size = FILE_MAX - offset;
	if (!size)
		return;
	for (size_t i = 0; i < size; i++)
		m->bytes[offset + i] = (uint8_t)(1 + below(m, 255));
	assert_int_equal(fs_write(m->f->fs, m->ino, offset, m->bytes + offset,
				  size, append ? FS_WRITE_APPEND : 0),
			 0);
	if (offset + size > m->size)
		m->size = offset + size;
}

static void model_resize(struct model *m)
{
	size_t size = below(m, 2) ? below(m, FILE_MAX + 1) :
				    m->size - m->size % (1 + below(m, 600));

	assert_int_equal(set_size(m->f, m->ino, size), 0);
	if (size < m->size)
		memset(m->bytes + size, 0, m->size - size);
	m->size = size;
}

static void model_punch(struct model *m)
{
	size_t offset = below(m, FILE_MAX);
	size_t size = 1 + below(m, below(m, 2) ? 2 * PAGE : FILE_MAX);
	size_t end = offset + size < m->size ? offset + size : m->size;

	assert_int_equal(fs_fallocate(m->f->fs, m->ino,
				      FALLOC_FL_PUNCH_HOLE |
					      FALLOC_FL_KEEP_SIZE,
				      offset, size),
			 0);
	if (offset < end)
		memset(m->bytes + offset, 0, end - offset);
}

static void model_look(struct model *m)
{
	static uint8_t got[FILE_MAX];
	size_t offset = below(m, FILE_MAX);
	size_t size = 1 + below(m, below(m, 2) ? PAGE : FILE_MAX);
	size_t expected = offset < m->size ? m->size - offset : 0;
	size_t read;

	if (expected > size)
		expected = size;
	assert_int_equal(fs_read(m->f->fs, m->ino, offset, got, size, &read),
			 0);
	assert_int_equal(read, expected);
	assert_memory_equal(got, m->bytes + offset, read);
}

static void random_changes_read_as_in_a_plain_array(void **state)
{
	static struct model m;
	const char *seed = getenv("SEED");

	m.f = *state;
	m.ino = make_file(m.f, "f");
	m.random = seed ? strtoull(seed, NULL, 0) :
			  (uint64_t)getpid() * 2654435761u;
	print_message("SEED=%llu\n", (unsigned long long)m.random);
	for (int i = 1; i <= 3000; i++) {
		size_t what = below(&m, 20);

		if (what < 12)
			model_write(&m);
		else if (what < 13)
			model_resize(&m);
		else if (what < 14)
			model_punch(&m);
		else
			model_look(&m);
		if (i % 250 == 0) {
			assert_contents(m.f, m.ino, m.bytes, m.size);
			assert_sound(m.f);
			fs_fixture_reopen(m.f);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FRAGMENT_TEST(a_page_written_in_a_block_is_stored_alone),
		FRAGMENT_TEST(reads_of_any_piece_see_fragments),
		FRAGMENT_TEST(a_block_written_as_a_whole_has_no_fragments),
		FRAGMENT_TEST(appending_costs_pages_and_leaves_whole_blocks),
		FRAGMENT_TEST(
			what_was_cut_off_with_its_fragments_does_not_come_back),
		FRAGMENT_TEST(
			a_page_written_into_a_hole_makes_no_more_than_its_block),
		FRAGMENT_TEST(punching_takes_fragments_away),
		FRAGMENT_TEST(a_file_goes_with_its_fragments),
		FRAGMENT_TEST(a_fragment_of_nothing_is_found),
		FRAGMENT_TEST(a_damaged_fragment_is_named_and_costs_its_page),
		FRAGMENT_TEST(
			a_repair_that_finds_no_block_leaves_a_sound_record),
		FRAGMENT_TEST(random_changes_read_as_in_a_plain_array),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
