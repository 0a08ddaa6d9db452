/* SPDX-License-Identifier: MIT */

/* What is unlinked and open, and what has no name yet. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fs/schema.h"
#include "tests/unit/fs_fixture.h"

static uint64_t key_count(struct fs_fixture *f)
{
	struct kv_stats stats;

	kv_stats(fs_kv(f->fs), &stats);
	return stats.key_count;
}

static uint64_t orphan_count(struct fs_fixture *f)
{
	struct kv_stats stats;

	kv_stats(fs_kv(f->fs), &stats);
	return stats.classes[CLASS_ORPHAN].key_count;
}

static void an_unlinked_file_can_be_used_until_it_is_forgotten(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t keys = key_count(f);
	uint64_t ino = make_file(f, "f");

	assert_int_equal(fs_unlink(f->fs, 1, name_of("f"), NULL), 0);
	put(f, ino, 0, "still here");
	assert_contents(f, ino, "still here", 10);
	assert_int_equal(find_in(f, ino, "."), -ESTALE);
	assert_sound(f);
	fs_forget(f->fs, ino);
	assert_int_equal(fs_getattr(f->fs, ino, NULL), -ESTALE);
	/* The superblock was there before. */
	assert_int_equal(key_count(f), keys);
	assert_int_equal(orphan_count(f), 0);
}

static void forgetting_what_has_links_does_nothing(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");
	uint64_t other = make_file(f, "g");

	assert_int_equal(fs_unlink(f->fs, 1, name_of("g"), NULL), 0);
	fs_forget(f->fs, ino);
	fs_forget(f->fs, 1);
	fs_forget(f->fs, 999999);
	assert_int_equal(find(f, "f"), ino);
	fs_forget(f->fs, other);
	fs_forget(f->fs, other);
	assert_sound(f);
}

/* Small ones, half of them ghosts, one that takes several batches, one with many
 * keys, one that has a link, one that is gone already and one twice. */
static void several_are_forgotten_together(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t keys = key_count(f);
	uint64_t linked = make_file(f, "linked");
	uint64_t inos[103];
	char name[16];

	for (unsigned int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		inos[i] = make_file(f, name);
		put(f, inos[i], 0, "small");
		if (i % 2 == 0)
			set_mark(f, inos[i]);
		for (unsigned int k = 0; k < 1100 && i == 40; k++)
			put(f, inos[i], k * 4096, "large");
		for (unsigned int k = 0; k < 300 && i == 50; k++)
			put(f, inos[i], k * 4096, "many keys");
		assert_int_equal(fs_unlink(f->fs, 1, name_of(name), NULL), 0);
	}
	fs_forget(f->fs, inos[6]);
	fs_forget(f->fs, inos[7]);
	inos[100] = inos[8];
	inos[101] = linked;
	inos[102] = 999999;
	assert_int_equal(orphan_count(f), 49);
	fs_forget_all(f->fs, inos, 103);
	assert_int_equal(orphan_count(f), 0);
	assert_int_equal(find(f, "linked"), linked);
	assert_int_equal(fs_unlink(f->fs, 1, name_of("linked"), NULL), 0);
	fs_forget(f->fs, linked);
	assert_int_equal(key_count(f), keys);
	assert_sound(f);
}

static void closing_deletes_what_was_not_forgotten(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");
	uint64_t keys;

	make_dir(f, "d");
	set_mark(f, ino);
	keys = key_count(f);
	assert_int_equal(fs_unlink(f->fs, 1, name_of("f"), NULL), 0);
	assert_int_equal(fs_rmdir(f->fs, 1, name_of("d"), NULL), 0);
	assert_int_equal(orphan_count(f), 2);
	fs_fixture_reopen(f);
	assert_int_equal(orphan_count(f), 0);
	assert_int_equal(fs_getattr(f->fs, ino, NULL), -ESTALE);
	assert_int_equal(key_count(f), keys - 7);
	assert_sound(f);
}

#define BLOCK 4096u
#define MANY 2500u /* blocks: three batches */

static uint64_t make_large(struct fs_fixture *f, const char *name)
{
	static uint8_t bytes[250 * BLOCK];
	uint64_t ino = make_file(f, name);
	uint64_t at;

	for (at = 0; at < (uint64_t)MANY * BLOCK; at += sizeof(bytes))
		assert_int_equal(
			fs_write(f->fs, ino, at, bytes, sizeof(bytes), 0), 0);
	return ino;
}

static void a_large_file_is_deleted_in_steps(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t keys = key_count(f);
	uint64_t ino = make_large(f, "l");

	assert_int_equal(fs_setxattr(f->fs, NULL, ino, name_of("user.x"),
				     name_of("v"), 0, false),
			 0);
	assert_int_equal(fs_unlink(f->fs, 1, name_of("l"), NULL), 0);
	fs_forget(f->fs, ino);
	assert_int_equal(key_count(f), keys);
	assert_sound(f);
}

/* As a crash leaves it: the orphan listed, some of its blocks gone. */
static void what_a_crash_left_is_deleted_at_open(void **state)
{
	struct fs_fixture *f = *state;
	struct kv_batch batch = { 0 };
	uint8_t bytes[INODE_RECORD_MAX];
	struct buf record = { 0 };
	struct schema_key key;
	struct inode inode;
	uint64_t keys = key_count(f);
	uint64_t ino = make_large(f, "l");

	inode_key_encode(&key, ino);
	assert_int_equal(kv_get(fs_kv(f->fs), NULL, key_slice(&key), &record),
			 0);
	assert_int_equal(fs_unlink(f->fs, 1, name_of("l"), NULL), 0);
	assert_int_equal(fs_close(f->fs), 0);
	assert_int_equal(kv_open(f->path, &f->options.kv, (struct kv **)&f->fs),
			 0);
	/* The close deleted it; put the beginning of it back. */
	assert_int_equal(inode_decode(buf_slice(&record), ino, &inode), 0);
	inode.nlink = 0;
	kv_batch_set(&batch, key_slice(&key),
		     slice_of(bytes, inode_encode(&inode, bytes)));
	block_key_encode(&key, ino, 2000);
	kv_batch_set(&batch, key_slice(&key), name_of("x"));
	orphan_key_encode(&key, ino);
	kv_batch_set(&batch, key_slice(&key), slice_of(NULL, 0));
	assert_int_equal(kv_commit((struct kv *)f->fs, &batch, 0, NULL), 0);
	kv_batch_release(&batch);
	buf_release(&record);
	assert_int_equal(kv_close((struct kv *)f->fs), 0);

	assert_int_equal(fs_open(f->path, &f->options, &f->fs), 0);
	assert_int_equal(fs_getattr(f->fs, ino, NULL), -ESTALE);
	assert_int_equal(key_count(f), keys);
	assert_sound(f);
}

static void a_nameless_file_lives_until_it_is_forgotten(void **state)
{
	struct fs_fixture *f = *state;
	struct fs_attr attr;

	assert_int_equal(fs_tmpfile(f->fs, &f->cred, 1, 0600, &attr), 0);
	assert_int_equal(attr.nlink, 0);
	assert_int_equal(attr.mode, S_IFREG | 0600);
	put(f, attr.ino, 0, "x");
	assert_sound(f);
	fs_forget(f->fs, attr.ino);
	assert_int_equal(fs_getattr(f->fs, attr.ino, NULL), -ESTALE);
}

static void a_nameless_file_stays_once_it_is_linked(void **state)
{
	struct fs_fixture *f = *state;
	struct fs_attr attr;

	assert_int_equal(fs_tmpfile(f->fs, &f->cred, 1, 0600, &attr), 0);
	assert_int_equal(fs_link(f->fs, attr.ino, 1, name_of("n"), &attr), 0);
	assert_int_equal(attr.nlink, 1);
	fs_forget(f->fs, attr.ino);
	fs_fixture_reopen(f);
	assert_int_equal(find(f, "n"), attr.ino);
	assert_int_equal(orphan_count(f), 0);
	assert_sound(f);
}

static void an_unlinked_file_gets_no_new_name(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");

	assert_int_equal(fs_unlink(f->fs, 1, name_of("f"), NULL), 0);
	assert_int_equal(fs_link(f->fs, ino, 1, name_of("g"), NULL), -ENOENT);
	assert_sound(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FS_TEST(an_unlinked_file_can_be_used_until_it_is_forgotten),
		FS_TEST(forgetting_what_has_links_does_nothing),
		FS_TEST(several_are_forgotten_together),
		FS_TEST(closing_deletes_what_was_not_forgotten),
		FS_TEST(a_large_file_is_deleted_in_steps),
		FS_TEST(what_a_crash_left_is_deleted_at_open),
		FS_TEST(a_nameless_file_lives_until_it_is_forgotten),
		FS_TEST(a_nameless_file_stays_once_it_is_linked),
		FS_TEST(an_unlinked_file_gets_no_new_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
