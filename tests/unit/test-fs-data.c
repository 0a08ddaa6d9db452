/* SPDX-License-Identifier: MIT */

/* The bytes of files: reading, writing, sizes, holes, copies. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/falloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "fs/fs_internal.h"
#include "fs/schema.h"
#include "tests/unit/fs_fixture.h"
#include "tests/unit/stripe.h"

#define BLOCK 4096u
#define INLINE_LIMIT 2048u

static void filled(uint8_t *bytes, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251);
}

static void a_small_file_lives_in_its_inode(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");
	uint8_t bytes[INLINE_LIMIT];

	filled(bytes, sizeof(bytes));
	assert_int_equal(fs_write(f->fs, ino, 0, bytes, sizeof(bytes), 0), 0);
	assert_contents(f, ino, bytes, sizeof(bytes));
	assert_int_equal(class_key_count(f, CLASS_BLOCK), 0);
	assert_int_equal(attr_of(f, ino).blocks, 4);
}

static void a_file_that_grows_moves_to_blocks(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");
	uint8_t bytes[3 * BLOCK + 5];

	filled(bytes, sizeof(bytes));
	assert_int_equal(fs_write(f->fs, ino, 0, bytes, 100, 0), 0);
	assert_int_equal(fs_write(f->fs, ino, 100, bytes + 100,
				  sizeof(bytes) - 100, 0),
			 0);
	assert_contents(f, ino, bytes, sizeof(bytes));
	assert_int_equal(class_key_count(f, CLASS_BLOCK), 4);
	assert_int_equal(attr_of(f, ino).blocks, 3 * 8 + 1);
	fs_fixture_reopen(f);
	assert_contents(f, ino, bytes, sizeof(bytes));
	assert_sound(f);
}

static void inline_data_survives_a_write_far_beyond(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");
	uint8_t expected[2 * BLOCK + 3] = "begin";

	put(f, ino, 0, "begin");
	put(f, ino, 2 * BLOCK, "end");
	memcpy(expected + 2 * BLOCK, "end", 3);
	assert_contents(f, ino, expected, sizeof(expected));
	assert_int_equal(class_key_count(f, CLASS_BLOCK), 2);
	assert_sound(f);
}

static void appending_ignores_the_offset(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");

	put(f, ino, 0, "abc");
	assert_int_equal(fs_write(f->fs, ino, 0, "def", 3, FS_WRITE_APPEND), 0);
	assert_contents(f, ino, "abcdef", 6);
}

static void what_was_cut_off_does_not_come_back(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t small = make_file(f, "s");
	uint64_t large = make_file(f, "l");
	uint8_t bytes[3 * BLOCK];
	uint8_t zero[3 * BLOCK] = { 0 };

	put(f, small, 0, "secret");
	assert_int_equal(set_size(f, small, 2), 0);
	assert_int_equal(set_size(f, small, 6), 0);
	assert_contents(f, small, "se\0\0\0\0", 6);

	memset(bytes, 'x', sizeof(bytes));
	assert_int_equal(fs_write(f->fs, large, 0, bytes, sizeof(bytes), 0), 0);
	assert_int_equal(set_size(f, large, BLOCK + 10), 0);
	assert_int_equal(set_size(f, large, sizeof(bytes)), 0);
	memset(bytes + BLOCK + 10, 0, sizeof(bytes) - BLOCK - 10);
	assert_contents(f, large, bytes, sizeof(bytes));
	assert_int_equal(set_size(f, large, 0), 0);
	assert_int_equal(set_size(f, large, sizeof(bytes)), 0);
	assert_contents(f, large, zero, sizeof(zero));
	assert_int_equal(attr_of(f, large).blocks, 0);
	assert_sound(f);
}

static void a_file_can_end_at_the_largest_offset_and_not_beyond(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");
	uint64_t end = FS_FILE_SIZE_MAX;
	char c = 0;
	size_t got;

	assert_int_equal(fs_write(f->fs, ino, end - 1, "z", 1, 0), 0);
	assert_int_equal(attr_of(f, ino).size_bytes, end);
	assert_int_equal(fs_read(f->fs, ino, end - 1, &c, 1, &got), 0);
	assert_int_equal(got, 1);
	assert_int_equal(c, 'z');
	assert_int_equal(fs_write(f->fs, ino, end, "z", 1, 0), -EFBIG);
	assert_int_equal(fs_write(f->fs, ino, 0, "z", 1, FS_WRITE_APPEND),
			 -EFBIG);
	assert_int_equal(set_size(f, ino, end + 1), -EFBIG);
	assert_int_equal(set_size(f, ino, 1), 0);
	assert_contents(f, ino, "", 1);
	assert_sound(f);
}

static void only_files_have_data(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t dir = make_dir(f, "d");
	struct fs_attr fifo;
	size_t got;
	char c;

	assert_int_equal(fs_mknod(f->fs, &f->cred, 1, name_of("p"),
				  S_IFIFO | 0644, 0, &fifo),
			 0);
	assert_int_equal(fs_read(f->fs, dir, 0, &c, 1, &got), -EISDIR);
	assert_int_equal(fs_write(f->fs, dir, 0, "c", 1, 0), -EISDIR);
	assert_int_equal(set_size(f, dir, 0), -EISDIR);
	assert_int_equal(fs_write(f->fs, fifo.ino, 0, "c", 1, 0), -EINVAL);
	assert_int_equal(set_size(f, fifo.ino, 0), -EINVAL);
	assert_int_equal(fs_fallocate(f->fs, dir, 0, 0, 1), -EISDIR);
	assert_int_equal(fs_write(f->fs, 999, 0, "c", 1, 0), -ESTALE);
}

/* --- large truncations, in several batches --- */

#define MANY 2600u /* blocks: three batches */

static uint64_t make_large(struct fs_fixture *f, const char *name)
{
	static uint8_t bytes[256 * BLOCK];
	uint64_t ino = make_file(f, name);
	uint64_t at;

	memset(bytes, 'L', sizeof(bytes));
	for (at = 0; at < (uint64_t)MANY * BLOCK; at += sizeof(bytes))
		assert_int_equal(
			fs_write(f->fs, ino, at, bytes, sizeof(bytes), 0), 0);
	assert_int_equal(set_size(f, ino, (uint64_t)MANY * BLOCK), 0);
	return ino;
}

static void a_large_file_shrinks_in_steps_that_leave_nothing(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_large(f, "l");
	uint8_t expected[5];

	assert_int_equal(class_key_count(f, CLASS_BLOCK), MANY);
	assert_int_equal(set_size(f, ino, 5), 0);
	assert_int_equal(class_key_count(f, CLASS_BLOCK), 1);
	assert_int_equal(class_key_count(f, CLASS_TRUNCATE), 0);
	memset(expected, 'L', sizeof(expected));
	assert_contents(f, ino, expected, 5);
	assert_sound(f);
}

/* The store as it would be had the process died in the middle: the record says
 * "truncating" and half of the blocks are still there. */
static void interrupt_truncation(struct fs_fixture *f, uint64_t ino,
				 uint64_t size_bytes)
{
	struct kv_batch batch = { 0 };
	uint8_t bytes[INODE_RECORD_MAX];
	struct buf record = { 0 };
	struct schema_key key, truncate_key;
	struct inode inode;

	inode_key_encode(&key, ino);
	assert_int_equal(kv_get(fs_kv(f->fs), NULL, key_slice(&key), &record),
			 0);
	assert_int_equal(inode_decode(buf_slice(&record), ino, &inode), 0);
	inode.flags |= INODE_TRUNCATING;
	inode.size_bytes = size_bytes;
	truncate_key_encode(&truncate_key, ino);
	kv_batch_set(&batch, key_slice(&key),
		     slice_of(bytes, inode_encode(&inode, bytes)));
	kv_batch_set(&batch, key_slice(&truncate_key), slice_of(NULL, 0));
	assert_int_equal(kv_commit(fs_kv(f->fs), &batch, 0, NULL), 0);
	kv_batch_release(&batch);
	buf_release(&record);
}

static void a_truncation_cut_short_by_a_crash_is_completed_at_open(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_large(f, "l");

	interrupt_truncation(f, ino, 10 * BLOCK);
	fs_fixture_reopen(f);
	assert_int_equal(class_key_count(f, CLASS_BLOCK), 10);
	assert_int_equal(class_key_count(f, CLASS_TRUNCATE), 0);
	assert_sound(f);
}

static void a_file_in_truncation_grows_by_zeros(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino[3];
	uint8_t bytes[4];
	size_t got;
	int i;

	ino[0] = make_large(f, "a");
	ino[1] = make_large(f, "b");
	ino[2] = make_large(f, "c");
	for (i = 0; i < 3; i++)
		interrupt_truncation(f, ino[i], 10 * BLOCK);
	assert_int_equal(set_size(f, ino[0], 100 * BLOCK), 0);
	put(f, ino[1], 99 * BLOCK, "x");
	assert_int_equal(fs_fallocate(f->fs, ino[2], 0, 99 * BLOCK, BLOCK), 0);
	for (i = 0; i < 3; i++) {
		assert_int_equal(
			fs_read(f->fs, ino[i], 50 * BLOCK, bytes, 4, &got), 0);
		assert_int_equal(got, 4);
		assert_memory_equal(bytes, "\0\0\0\0", 4);
	}
	assert_int_equal(class_key_count(f, CLASS_BLOCK), 31);
	assert_sound(f);
}

static void a_file_in_truncation_may_shrink_further(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_large(f, "a");

	interrupt_truncation(f, ino, 2000 * BLOCK);
	assert_int_equal(set_size(f, ino, 3 * BLOCK), 0);
	assert_int_equal(class_key_count(f, CLASS_BLOCK), 3);
	assert_int_equal(class_key_count(f, CLASS_TRUNCATE), 0);
	assert_sound(f);
}

/* --- holes --- */

static int64_t seek(struct fs_fixture *f, uint64_t ino, uint64_t offset,
		    int whence)
{
	uint64_t found;
	int error = fs_seek(f->fs, ino, offset, whence, &found);

	return error ? error : (int64_t)found;
}

static void data_and_holes_are_found(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");

	assert_int_equal(seek(f, ino, 0, SEEK_DATA), -ENXIO);
	put(f, ino, 3 * BLOCK, "x");
	put(f, ino, 4 * BLOCK, "y");
	assert_int_equal(set_size(f, ino, 10 * BLOCK), 0);
	assert_int_equal(seek(f, ino, 0, SEEK_HOLE), 0);
	assert_int_equal(seek(f, ino, 0, SEEK_DATA), 3 * BLOCK);
	assert_int_equal(seek(f, ino, 3 * BLOCK + 9, SEEK_DATA), 3 * BLOCK + 9);
	assert_int_equal(seek(f, ino, 3 * BLOCK, SEEK_HOLE), 5 * BLOCK);
	assert_int_equal(seek(f, ino, 5 * BLOCK, SEEK_DATA), -ENXIO);
	assert_int_equal(seek(f, ino, 9 * BLOCK, SEEK_HOLE), 9 * BLOCK);
	assert_int_equal(seek(f, ino, 10 * BLOCK, SEEK_HOLE), -ENXIO);
	assert_int_equal(seek(f, ino, 0, SEEK_SET), -EINVAL);
}

static void the_end_of_a_file_is_a_hole(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t small = make_file(f, "s");
	uint64_t large = make_file(f, "l");

	put(f, small, 0, "abc");
	assert_int_equal(seek(f, small, 0, SEEK_HOLE), 3);
	assert_int_equal(set_size(f, small, 9), 0);
	assert_int_equal(seek(f, small, 1, SEEK_HOLE), 3);
	assert_int_equal(seek(f, small, 4, SEEK_DATA), -ENXIO);
	put(f, large, 0, "a");
	put(f, large, BLOCK, "b");
	assert_int_equal(seek(f, large, 0, SEEK_HOLE), BLOCK + 1);
}

static void a_punched_range_is_zero_and_takes_no_space(void **state)
{
	const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");
	uint8_t bytes[4 * BLOCK];

	filled(bytes, sizeof(bytes));
	assert_int_equal(fs_write(f->fs, ino, 0, bytes, sizeof(bytes), 0), 0);
	assert_int_equal(fs_fallocate(f->fs, ino, mode, 100, 3 * BLOCK), 0);
	memset(bytes + 100, 0, 3 * BLOCK);
	assert_contents(f, ino, bytes, sizeof(bytes));
	assert_int_equal(class_key_count(f, CLASS_BLOCK), 2);
	assert_int_equal(fs_fallocate(f->fs, ino, mode, 0, 100 * BLOCK), 0);
	memset(bytes, 0, sizeof(bytes));
	assert_contents(f, ino, bytes, sizeof(bytes));
	assert_int_equal(attr_of(f, ino).blocks, 0);
	assert_sound(f);
}

static void a_huge_range_is_punched_in_steps(void **state)
{
	const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	struct fs_fixture *f = *state;
	uint64_t ino = make_large(f, "l");
	uint8_t c[2];
	size_t got;

	assert_int_equal(fs_fallocate(f->fs, ino, mode, BLOCK - 1,
				      (uint64_t)(MANY - 2) * BLOCK + 2),
			 0);
	assert_int_equal(class_key_count(f, CLASS_BLOCK), 2);
	assert_int_equal(fs_read(f->fs, ino, BLOCK - 2, c, 2, &got), 0);
	assert_memory_equal(c, "L\0", 2);
	assert_int_equal(fs_read(f->fs, ino, (uint64_t)(MANY - 1) * BLOCK, c, 2,
				 &got),
			 0);
	assert_memory_equal(c, "\0L", 2);
	assert_sound(f);
}

static void fallocate_sets_sizes_as_its_mode_says(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");

	put(f, ino, 0, "abcdef");
	assert_int_equal(fs_fallocate(f->fs, ino, FALLOC_FL_KEEP_SIZE, 0, 100),
			 0);
	assert_contents(f, ino, "abcdef", 6);
	assert_int_equal(fs_fallocate(f->fs, ino, FALLOC_FL_ZERO_RANGE, 2, 6),
			 0);
	assert_contents(f, ino, "ab\0\0\0\0\0\0", 8);
	assert_int_equal(fs_fallocate(f->fs, ino, 0, 5, 5), 0);
	assert_contents(f, ino, "ab\0\0\0\0\0\0\0\0", 10);
	assert_int_equal(fs_fallocate(f->fs, ino, FALLOC_FL_COLLAPSE_RANGE, 0,
				      BLOCK),
			 -EOPNOTSUPP);
	assert_int_equal(fs_fallocate(f->fs, ino, FALLOC_FL_PUNCH_HOLE, 0, 1),
			 -EOPNOTSUPP);
	assert_int_equal(fs_fallocate(f->fs, ino, 0, 0, 0), -EINVAL);
	assert_int_equal(fs_fallocate(f->fs, ino, 0, INT64_MAX, 1), -EFBIG);
	assert_int_equal(fs_fallocate(f->fs, ino, 0, 0, (uint64_t)1 << 60),
			 -ENOSPC);
}

/* --- copies --- */

static void a_copy_has_the_data_and_the_holes(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t from = make_file(f, "from");
	uint64_t to = make_file(f, "to");
	uint8_t bytes[8 * BLOCK];
	size_t copied;

	memset(bytes, 0, sizeof(bytes));
	filled(bytes + 2 * BLOCK, BLOCK);
	assert_int_equal(fs_write(f->fs, from, 2 * BLOCK, bytes + 2 * BLOCK,
				  BLOCK, 0),
			 0);
	assert_int_equal(set_size(f, from, sizeof(bytes)), 0);
	assert_int_equal(fs_write(f->fs, to, 0, "old stuff", 9, 0), 0);
	assert_int_equal(fs_copy_range(f->fs, from, 0, to, 0, 1 << 30, &copied),
			 0);
	assert_int_equal(copied, sizeof(bytes));
	assert_contents(f, to, bytes, sizeof(bytes));
	assert_int_equal(class_key_count(f, CLASS_BLOCK), 2);
	assert_int_equal(fs_copy_range(f->fs, from, sizeof(bytes), to, 0, 10,
				       &copied),
			 0);
	assert_int_equal(copied, 0);
	assert_sound(f);
}

static void overlapping_copies_are_refused(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");
	size_t copied;

	put(f, ino, 0, "abcdefgh");
	assert_int_equal(fs_copy_range(f->fs, ino, 0, ino, 2, 4, &copied),
			 -EINVAL);
	assert_int_equal(fs_copy_range(f->fs, ino, 0, ino, 4, 4, &copied), 0);
	assert_contents(f, ino, "abcdabcd", 8);
}

/* --- against a plain array --- */

#define MODEL_MAX (40u * BLOCK)

struct model {
	uint8_t bytes[MODEL_MAX];
	size_t size;
};

static void model_write(struct fs_fixture *f, uint64_t ino, struct model *m)
{
	size_t at = (size_t)rand() % MODEL_MAX;
	size_t size = (size_t)rand() % (rand() % 4 ? 300 : 5 * BLOCK) + 1;
	size_t i;

	if (rand() % 4 == 0)
		at -= at % BLOCK;
	if (rand() % 4 == 0)
		at %= 3000;
	if (at + size > MODEL_MAX)
		size = MODEL_MAX - at;
	if (at > m->size)
		memset(m->bytes + m->size, 0, at - m->size);
	for (i = 0; i < size; i++)
		m->bytes[at + i] = (uint8_t)rand();
	assert_int_equal(fs_write(f->fs, ino, at, m->bytes + at, size, 0), 0);
	if (at + size > m->size)
		m->size = at + size;
}

static void model_truncate(struct fs_fixture *f, uint64_t ino, struct model *m)
{
	size_t size = (size_t)rand() % MODEL_MAX;

	if (rand() % 3 == 0)
		size -= size % BLOCK;
	if (rand() % 5 == 0)
		size %= 3000;
	if (rand() % 20 == 0)
		size = 0;
	if (size > m->size)
		memset(m->bytes + m->size, 0, size - m->size);
	m->size = size;
	assert_int_equal(set_size(f, ino, size), 0);
}

static void model_punch(struct fs_fixture *f, uint64_t ino, struct model *m)
{
	bool grow = rand() % 2;
	size_t at = (size_t)rand() % MODEL_MAX;
	size_t size = (size_t)rand() % (10 * BLOCK) + 1;
	size_t end;

	if (at + size > MODEL_MAX)
		size = MODEL_MAX - at;
	end = at + size;
	assert_int_equal(fs_fallocate(f->fs, ino,
				      grow ? FALLOC_FL_ZERO_RANGE :
					     FALLOC_FL_PUNCH_HOLE |
						      FALLOC_FL_KEEP_SIZE,
				      at, size),
			 0);
	if (grow && end > m->size) {
		memset(m->bytes + m->size, 0, end - m->size);
		m->size = end;
	}
	if (end > m->size)
		end = m->size;
	if (at < end)
		memset(m->bytes + at, 0, end - at);
}

/* What SEEK_HOLE says is a hole must be zero. */
static void model_seek(struct fs_fixture *f, uint64_t ino,
		       const struct model *m)
{
	uint64_t hole, data, i;

	if (m->size == 0)
		return;
	hole = (uint64_t)seek(f, ino, (uint64_t)rand() % m->size, SEEK_HOLE);
	assert_true(hole <= m->size);
	if (hole == m->size)
		return;
	data = m->size;
	fs_seek(f->fs, ino, hole, SEEK_DATA, &data);
	for (i = hole; i < data; i++)
		assert_int_equal(m->bytes[i], 0);
}

static void model_compare(struct fs_fixture *f, uint64_t ino,
			  const struct model *m)
{
	static uint8_t bytes[MODEL_MAX];
	size_t at = (size_t)rand() % MODEL_MAX;
	size_t size = (size_t)rand() % (6 * BLOCK);
	size_t want, got;

	want = at < m->size ? m->size - at : 0;
	if (want > size)
		want = size;
	assert_int_equal(fs_read(f->fs, ino, at, bytes, size, &got), 0);
	assert_int_equal(got, want);
	assert_memory_equal(bytes, m->bytes + at, want);
}

static void random_changes_match_an_array(void **state)
{
	static struct model m;
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");
	unsigned int seed = 42;
	int i;

	print_message("seed %u\n", seed);
	srand(seed);
	for (i = 0; i < 6000; i++) {
		switch (rand() % 8) {
		case 0:
			model_truncate(f, ino, &m);
			break;
		case 1:
			model_punch(f, ino, &m);
			break;
		case 2:
			model_seek(f, ino, &m);
			break;
		default:
			model_write(f, ino, &m);
			break;
		}
		model_compare(f, ino, &m);
		if (i % 500 == 0) {
			assert_contents(f, ino, m.bytes, m.size);
			assert_sound(f);
			fs_fixture_reopen(f);
		}
	}
	assert_contents(f, ino, m.bytes, m.size);
	assert_sound(f);
}

/* --- several threads --- */

#define SHARED_SIZE (64u * BLOCK)
#define SHARED_ROUNDS 400

struct shared_file {
	struct fs_fixture *f;
	uint64_t ino;
	atomic_bool done;
};

/* Fills the file with one letter after another, or cuts it to nothing. */
static void *rewrite(void *arg)
{
	struct shared_file *shared = arg;
	static uint8_t bytes[SHARED_SIZE];
	int i;

	for (i = 0; i < SHARED_ROUNDS; i++) {
		memset(bytes, 'a' + i % 26, sizeof(bytes));
		if (i % 5 == 4)
			set_size(shared->f, shared->ino, 0);
		fs_write(shared->f->fs, shared->ino, 0, bytes, sizeof(bytes),
			 0);
	}
	atomic_store(&shared->done, true);
	return NULL;
}

static void a_read_sees_a_file_as_it_was_at_one_moment(void **state)
{
	struct fs_fixture *f = *state;
	struct shared_file shared = { .f = f, .ino = make_file(f, "f") };
	static uint8_t bytes[SHARED_SIZE];
	pthread_t thread;
	size_t got, i;

	assert_int_equal(pthread_create(&thread, NULL, rewrite, &shared), 0);
	while (!atomic_load(&shared.done)) {
		assert_int_equal(fs_read(f->fs, shared.ino, 0, bytes,
					 sizeof(bytes), &got),
				 0);
		assert_true(got == 0 || got == SHARED_SIZE);
		for (i = 1; i < got; i++)
			assert_int_equal(bytes[i], bytes[0]);
	}
	pthread_join(thread, NULL);
	assert_sound(f);
}

static void one_wait_for_the_disk_does_for_what_was_before(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");
	uint64_t before = disk_syncs(f);
	uint64_t first, second;

	put(f, ino, 0, "first");
	first = fs_sync_point(f->fs);
	put(f, ino, 0, "second");
	second = fs_sync_point(f->fs);
	assert_true(first > 0 && second > first);
	assert_int_equal(fs_sync_to(f->fs, second), 0);
	assert_int_equal(disk_syncs(f), before + 1);
	assert_int_equal(fs_sync_to(f->fs, first), 0);
	assert_int_equal(fs_sync_to(f->fs, second), 0);
	assert_int_equal(disk_syncs(f), before + 1);
	put(f, ino, 0, "third");
	assert_int_equal(fs_sync_to(f->fs, second), 0);
	assert_int_equal(disk_syncs(f), before + 1);
	assert_int_equal(fs_sync_to(f->fs, fs_sync_point(f->fs)), 0);
	assert_int_equal(disk_syncs(f), before + 2);
}

/* Who changes a file may wait for the disk with its lock. A reader that waited
 * for it would wait for ever here. */
static void what_is_in_one_record_is_read_whoever_holds_the_lock(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "small");

	assert_int_equal(fs_write(f->fs, ino, 0, "small", 5, 0), 0);
	lock_table_lock_one(&f->fs->locks, ino);
	assert_contents(f, ino, "small", 5);
	lock_table_unlock_one(&f->fs->locks, ino);
}

static void a_file_is_read_while_another_of_its_stripe_is_locked(void **state)
{
	static uint8_t bytes[3 * BLOCK];
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "large"), other = stripe_neighbour(ino);

	filled(bytes, sizeof(bytes));
	assert_int_equal(fs_write(f->fs, ino, 0, bytes, sizeof(bytes), 0), 0);
	lock_table_lock_one(&f->fs->locks, other);
	assert_contents(f, ino, bytes, sizeof(bytes));
	lock_table_unlock_one(&f->fs->locks, other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FS_TEST(a_small_file_lives_in_its_inode),
		FS_TEST(a_file_that_grows_moves_to_blocks),
		FS_TEST(inline_data_survives_a_write_far_beyond),
		FS_TEST(appending_ignores_the_offset),
		FS_TEST(what_was_cut_off_does_not_come_back),
		FS_TEST(a_file_can_end_at_the_largest_offset_and_not_beyond),
		FS_TEST(only_files_have_data),
		FS_TEST(a_large_file_shrinks_in_steps_that_leave_nothing),
		FS_TEST(a_truncation_cut_short_by_a_crash_is_completed_at_open),
		FS_TEST(a_file_in_truncation_grows_by_zeros),
		FS_TEST(a_file_in_truncation_may_shrink_further),
		FS_TEST(data_and_holes_are_found),
		FS_TEST(the_end_of_a_file_is_a_hole),
		FS_TEST(a_punched_range_is_zero_and_takes_no_space),
		FS_TEST(a_huge_range_is_punched_in_steps),
		FS_TEST(fallocate_sets_sizes_as_its_mode_says),
		FS_TEST(a_copy_has_the_data_and_the_holes),
		FS_TEST(overlapping_copies_are_refused),
		FS_TEST(random_changes_match_an_array),
		FS_TEST(a_read_sees_a_file_as_it_was_at_one_moment),
		FS_TEST(what_is_in_one_record_is_read_whoever_holds_the_lock),
		FS_TEST(a_file_is_read_while_another_of_its_stripe_is_locked),
		FS_TEST(one_wait_for_the_disk_does_for_what_was_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
