/* SPDX-License-Identifier: MIT */

/* Repairs: what is wrong is put right, or left and told; nothing is lost. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fs/repair.h"
#include "fs/schema.h"
#include "tests/unit/fs_fixture.h"

struct told {
	unsigned int done, left;
};

static void tell(void *ctx, const struct fs_problem *problem, const char *done)
{
	struct told *told = ctx;

	assert_non_null(problem->what);
	if (done)
		told->done++;
	else
		told->left++;
}

static int repair(struct fs_fixture *f, struct told *told)
{
	*told = (struct told){ 0 };
	return fs_repair(f->fs, tell, NULL, told);
}

static void assert_repaired(struct fs_fixture *f)
{
	struct told told;

	assert_int_equal(repair(f, &told), 1);
	assert_true(told.done > 0);
	assert_sound(f);
	assert_int_equal(repair(f, &told), 0);
	assert_int_equal(told.done + told.left, 0);
	fs_fixture_reopen(f);
	assert_sound(f);
}

static void key_delete(struct fs_fixture *f, const struct schema_key *key)
{
	assert_int_equal(kv_delete(fs_kv(f->fs), key_slice(key), NULL), 0);
}

/* Changes a stored inode. */
static void inode_change(struct fs_fixture *f, uint64_t ino,
			 void (*change)(struct inode *inode))
{
	uint8_t bytes[INODE_RECORD_MAX];
	struct buf record = { 0 };
	struct schema_key key;
	struct inode inode;
	size_t size;

	inode_key_encode(&key, ino);
	assert_int_equal(kv_get(fs_kv(f->fs), NULL, key_slice(&key), &record),
			 0);
	assert_int_equal(inode_decode(buf_slice(&record), ino, &inode), 0);
	change(&inode);
	size = inode_encode(&inode, bytes);
	assert_int_equal(kv_set(fs_kv(f->fs), key_slice(&key),
				slice_of(bytes, size), NULL),
			 0);
	buf_release(&record);
}

static void more_links(struct inode *inode)
{
	inode->nlink += 3;
}

static void more_attributes(struct inode *inode)
{
	inode->xattr_names_size = 77;
}

static void more_blocks(struct inode *inode)
{
	inode->block_count += 5;
}

static void a_sound_store_is_left_alone(void **state)
{
	struct fs_fixture *f = *state;
	struct told told;
	uint64_t lsn;

	put(f, make_file_in(f, make_dir(f, "d"), "f"), 0, "x");
	lsn = kv_last_lsn(fs_kv(f->fs));
	assert_int_equal(repair(f, &told), 0);
	assert_int_equal(told.done + told.left, 0);
	assert_int_equal(kv_last_lsn(fs_kv(f->fs)), lsn);
	assert_int_equal(find(f, "lost+found"), -ENOENT);
}

static void a_name_that_leads_nowhere_goes(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t dir = make_dir(f, "d");
	uint64_t ino = make_file_in(f, dir, "gone");
	uint64_t sub = make_dir_in(f, dir, "gone-dir");
	struct schema_key key;

	make_file_in(f, dir, "stays");
	inode_key_encode(&key, ino);
	key_delete(f, &key);
	inode_key_encode(&key, sub);
	key_delete(f, &key);
	assert_repaired(f);
	assert_int_equal(find_in(f, dir, "gone"), -ENOENT);
	assert_int_equal(find_in(f, dir, "gone-dir"), -ENOENT);
	assert_true(find_in(f, dir, "stays") > 0);
	assert_int_equal(attr_of(f, dir).nlink, 2);
}

static void what_has_no_name_gets_one_in_lost_and_found(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t dir = make_dir(f, "d");
	uint64_t sub = make_dir_in(f, dir, "sub");
	uint64_t ino = make_file_in(f, dir, "file");
	uint64_t below = make_file_in(f, sub, "below"), lost;
	struct schema_key key;
	char name[32];

	put(f, ino, 0, "precious");
	put(f, below, 0, "too");
	/* The directory's record and entries go: its children are lost. */
	for (uint64_t cookie = COOKIE_FIRST; cookie < COOKIE_FIRST + 2;
	     cookie++) {
		cookie_key_encode(&key, dir, cookie);
		key_delete(f, &key);
	}
	name_key_encode(&key, dir, name_of("sub"));
	key_delete(f, &key);
	name_key_encode(&key, dir, name_of("file"));
	key_delete(f, &key);
	assert_repaired(f);
	lost = (uint64_t)find(f, "lost+found");
	snprintf(name, sizeof(name), "#%llu", (unsigned long long)ino);
	assert_int_equal(find_in(f, lost, name), ino);
	assert_contents(f, ino, "precious", 8);
	snprintf(name, sizeof(name), "#%llu", (unsigned long long)sub);
	assert_int_equal(find_in(f, lost, name), sub);
	assert_int_equal(find_in(f, sub, "below"), below);
	assert_contents(f, below, "too", 3);
	assert_int_equal(attr_of(f, dir).nlink, 2);
}

static void a_name_with_one_record_gets_the_other_back(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t a = make_file(f, "a"), b = make_file(f, "b");
	struct schema_key key;

	name_key_encode(&key, FS_ROOT_INO, name_of("a"));
	key_delete(f, &key);
	cookie_key_encode(&key, FS_ROOT_INO, COOKIE_FIRST + 1);
	key_delete(f, &key);
	assert_int_equal(find(f, "a"), -ENOENT);
	assert_repaired(f);
	assert_int_equal(find(f, "a"), a);
	assert_int_equal(find(f, "b"), b);
	assert_int_equal(find(f, "lost+found"), -ENOENT);
}

static void counts_are_those_that_are_counted(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t dir = make_dir(f, "d");
	uint64_t file = make_file(f, "f");
	char block[8192] = "x";

	assert_int_equal(fs_write(f->fs, file, 0, block, sizeof(block), 0), 0);
	assert_int_equal(fs_link(f->fs, file, dir, name_of("g"), NULL), 0);
	inode_change(f, file, more_links);
	inode_change(f, dir, more_links);
	inode_change(f, dir, more_attributes);
	inode_change(f, file, more_blocks);
	assert_repaired(f);
	assert_int_equal(attr_of(f, file).nlink, 2);
	assert_int_equal(attr_of(f, dir).nlink, 2);
	assert_contents(f, file, block, sizeof(block));
}

#define PAGE FRAGMENT_SIZE
#define BLOCK (4u * PAGE)

/* Larger blocks: these have fragments. */
static int setup_blocks(void **state)
{
	return fs_fixture_setup_blocks(state, BLOCK);
}

static void lose_inode(struct fs_fixture *f, uint64_t ino)
{
	struct schema_key key;

	inode_key_encode(&key, ino);
	key_delete(f, &key);
}

/* Of bytes that all differ from zero; the second page is a fragment. */
static uint64_t make_large(struct fs_fixture *f, uint64_t dir, uint8_t *bytes,
			   size_t size)
{
	uint64_t ino = make_file_in(f, dir, "large");

	memset(bytes, 'x', size);
	assert_int_equal(fs_write(f->fs, ino, 0, bytes, size, 0), 0);
	memset(bytes + PAGE, 'y', 100);
	assert_int_equal(fs_write(f->fs, ino, PAGE, bytes + PAGE, 100, 0), 0);
	return ino;
}

static void a_lost_inode_with_a_name_is_made_anew_under_it(void **state)
{
	struct fs_fixture *f = *state;
	static uint8_t bytes[2 * BLOCK + 10];
	uint64_t dir = make_dir(f, "d");
	uint64_t ino = make_large(f, dir, bytes, sizeof(bytes));

	lose_inode(f, ino);
	assert_repaired(f);
	assert_int_equal(find_in(f, dir, "large"), ino);
	assert_contents(f, ino, bytes, sizeof(bytes));
	assert_int_equal(attr_of(f, ino).mode, S_IFREG | 0600);
	assert_int_equal(find(f, "lost+found"), -ENOENT);
}

static void a_lost_inode_without_a_name_is_put_into_lost_and_found(void **state)
{
	struct fs_fixture *f = *state;
	static uint8_t bytes[BLOCK];
	uint64_t ino = make_large(f, FS_ROOT_INO, bytes, sizeof(bytes));
	struct schema_key key;
	char name[32];

	lose_inode(f, ino);
	name_key_encode(&key, FS_ROOT_INO, name_of("large"));
	key_delete(f, &key);
	cookie_key_encode(&key, FS_ROOT_INO, COOKIE_FIRST);
	key_delete(f, &key);
	assert_repaired(f);
	snprintf(name, sizeof(name), "#%llu", (unsigned long long)ino);
	assert_int_equal(find_in(f, (uint64_t)find(f, "lost+found"), name),
			 ino);
	assert_contents(f, ino, bytes, sizeof(bytes));
}

static void a_lost_directory_is_made_anew_with_its_entries(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t dir = make_dir_in(f, make_dir(f, "above"), "d");
	uint64_t below = make_file_in(f, make_dir_in(f, dir, "sub"), "below");
	uint64_t file = make_file_in(f, dir, "file");

	put(f, below, 0, "deep");
	lose_inode(f, dir);
	assert_repaired(f);
	assert_int_equal(find_in(f, (uint64_t)find(f, "above"), "d"), dir);
	assert_int_equal(find_in(f, dir, "file"), file);
	assert_contents(f, below, "deep", 4);
	assert_int_equal(attr_of(f, dir).nlink, 3);
	/* It can be changed as ever. */
	make_file_in(f, dir, "new");
	assert_sound(f);
}

static void a_lost_root_is_made_anew(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file_in(f, make_dir(f, "d"), "f");

	put(f, ino, 0, "text");
	lose_inode(f, FS_ROOT_INO);
	assert_repaired(f);
	assert_contents(f, (uint64_t)find_in(f, (uint64_t)find(f, "d"), "f"),
			"text", 4);
}

static void a_block_missing_under_a_fragment_costs_no_fragment(void **state)
{
	struct fs_fixture *f = *state;
	static uint8_t bytes[2 * BLOCK];
	uint64_t ino = make_large(f, FS_ROOT_INO, bytes, sizeof(bytes));
	struct schema_key key;

	block_key_encode(&key, ino, 0);
	key_delete(f, &key);
	assert_repaired(f);
	/* But for the fragment, it reads as zeros. */
	memset(bytes, 0, PAGE);
	memset(bytes + 2 * PAGE, 0, BLOCK - 2 * PAGE);
	assert_contents(f, ino, bytes, sizeof(bytes));
}

static void no_fragments(struct inode *inode)
{
	inode->flags &= ~(uint32_t)INODE_FRAGMENTED;
}

static void a_fragment_that_nobody_counts_goes_to_lost_and_found(void **state)
{
	struct fs_fixture *f = *state;
	static uint8_t bytes[2 * BLOCK];
	uint64_t ino = make_large(f, FS_ROOT_INO, bytes, sizeof(bytes));
	int64_t found;
	char name[32];

	inode_change(f, ino, no_fragments);
	assert_repaired(f);
	snprintf(name, sizeof(name), "#%llu-%u", (unsigned long long)ino, PAGE);
	found = find_in(f, (uint64_t)find(f, "lost+found"), name);
	assert_true(found > 0);
	assert_contents(f, (uint64_t)found, bytes + PAGE, PAGE);
}

#define BLOCKS_TEST(name) \
	cmocka_unit_test_setup_teardown(name, setup_blocks, fs_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FS_TEST(a_sound_store_is_left_alone),
		FS_TEST(a_name_that_leads_nowhere_goes),
		FS_TEST(what_has_no_name_gets_one_in_lost_and_found),
		FS_TEST(a_name_with_one_record_gets_the_other_back),
		FS_TEST(counts_are_those_that_are_counted),
		BLOCKS_TEST(a_lost_inode_with_a_name_is_made_anew_under_it),
		BLOCKS_TEST(
			a_lost_inode_without_a_name_is_put_into_lost_and_found),
		FS_TEST(a_lost_directory_is_made_anew_with_its_entries),
		FS_TEST(a_lost_root_is_made_anew),
		BLOCKS_TEST(a_block_missing_under_a_fragment_costs_no_fragment),
		BLOCKS_TEST(
			a_fragment_that_nobody_counts_goes_to_lost_and_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
