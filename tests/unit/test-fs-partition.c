/* SPDX-License-Identifier: MIT */

/* Partitions: what makes one, what they count, what they refuse. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fs/apply.h"
#include "fs/fs_internal.h"
#include "fs/partition.h"
#include "fs/repair.h"
#include "tests/unit/fs_fixture.h"
#include "tests/unit/partition_fixture.h"

static void
a_setting_makes_an_empty_top_level_directory_a_partition(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t file = make_file(f, "f");
	uint64_t dir = make_dir(f, "d");
	uint64_t deep = make_dir_in(f, dir, "deep");
	struct fs_partition partition;

	assert_int_equal(setting(f, file, "schema", "int"), -EPERM);
	assert_int_equal(setting(f, deep, "schema", "int"), -EPERM);
	assert_int_equal(setting(f, FS_ROOT_INO, "schema", "int"), -EPERM);
	assert_int_equal(setting(f, dir, "schema", "int"), -ENOTEMPTY);
	assert_int_equal(setting(f, deep, "schema", "float"), -EPERM);
	assert_false(fs_is_partition(f->fs, dir));
	assert_int_equal(fs_partition_stat(f->fs, dir, &partition), -ENODATA);
	assert_int_equal(fs_rmdir(f->fs, dir, name_of("deep"), NULL), 0);
	assert_int_equal(setting(f, dir, "schema", "bytes"), 0);
	assert_true(fs_is_partition(f->fs, dir));
	make_file_in(f, dir, "x");
	/* Once it is one it may have entries. */
	assert_int_equal(setting(f, dir, "quota", "1M"), 0);
	assert_sound(f);
}

static void a_value_that_is_none_is_refused(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t dir = make_dir(f, "d");
	static const char *const wrong[][2] = {
		{ "schema", "" },
		{ "schema", "Int" },
		{ "schema", "int\n" },
		{ "durability", "sync" },
		{ "quota", "" },
		{ "quota", "K" },
		{ "quota", "-1" },
		{ "quota", "1.5G" },
		{ "quota", "10KB" },
		{ "quota", "9999999999T" },
		{ "quota", "18446744073709551616" },
		{ "compress", "lz4" },
		{ "compress", "zlib:0" },
		{ "compress", "zlib:10" },
		{ "colour", "red" },
		{ "", "x" },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(setting(f, dir, wrong[i][0], wrong[i][1]),
				 -EINVAL);
	assert_false(fs_is_partition(f->fs, dir));
	assert_sound(f);
}

static void settings_hold_when_the_store_is_opened_again(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_partition(f, "schema", "string");
	struct fs_partition partition;
	char room[SETTING_WORD_MAX];
	struct buf value = { 0 };

	assert_int_equal(setting(f, ino, "quota", "10k"), 0);
	assert_int_equal(setting(f, ino, "compress", "zlib:9"), 0);
	assert_int_equal(setting(f, ino, "durability", "always"), 0);
	fs_fixture_reopen(f);
	partition = stat_of(f, ino);
	assert_int_equal(partition.settings.schema, VALUE_STRING);
	assert_int_equal(partition.settings.quota_bytes, 10240);
	assert_string_equal(compress_word(&partition.settings, room), "zlib:9");
	assert_string_equal(durability_word(&partition.settings), "always");
	assert_int_equal(
		fs_getxattr(f->fs, ino, name_of("user.kvfs.quota"), &value), 0);
	assert_true(slice_equal(buf_slice(&value), name_of("10k")));
	buf_release(&value);

	assert_int_equal(fs_removexattr(f->fs, ino, name_of("user.kvfs.quota")),
			 0);
	assert_int_equal(
		fs_removexattr(f->fs, ino, name_of("user.kvfs.durability")), 0);
	assert_int_equal(stat_of(f, ino).settings.quota_bytes, 0);
	fs_fixture_reopen(f);
	partition = stat_of(f, ino);
	assert_int_equal(partition.settings.quota_bytes, 0);
	assert_string_equal(durability_word(&partition.settings), "mount");
	assert_sound(f);
}

static void keys_and_bytes_follow_every_change(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t p = make_partition(f, "schema", "bytes");
	uint64_t d = make_dir_in(f, p, "d");
	uint64_t a = make_file_in(f, p, "a");
	uint64_t b = make_file_in(f, d, "b");
	uint64_t gone;
	char large[10000];

	memset(large, 'x', sizeof(large));
	assert_counts(f, p, 2, 0);
	put(f, a, 0, "hello");
	assert_counts(f, p, 2, 5);
	assert_int_equal(fs_write(f->fs, b, 0, large, sizeof(large), 0), 0);
	assert_counts(f, p, 2, 10005);
	put(f, a, 0, "J");
	assert_counts(f, p, 2, 10005);
	assert_int_equal(set_size(f, b, 5000), 0);
	assert_counts(f, p, 2, 5005);
	fs_fixture_reopen(f);
	assert_counts(f, p, 2, 5005);
	assert_sound(f);
	/* Two names are one file. */
	assert_int_equal(fs_link(f->fs, a, d, name_of("a2"), NULL), 0);
	assert_int_equal(fs_unlink(f->fs, p, name_of("a"), &gone), 0);
	assert_counts(f, p, 2, 5005);
	assert_int_equal(fs_unlink(f->fs, d, name_of("a2"), &gone), 0);
	/* Still open, and counted no more. */
	put(f, a, 5, "more");
	assert_counts(f, p, 1, 5000);
	assert_sound(f);
	fs_forget(f->fs, gone);
	assert_int_equal(fs_rename(f->fs, &f->cred, d, name_of("b"), p,
				   name_of("c"), 0),
			 0);
	assert_int_equal(fs_symlink(f->fs, &f->cred, p, name_of("l"),
				    name_of("c"), NULL),
			 0);
	assert_counts(f, p, 2, 5000);
	put(f, make_file_in(f, p, "e"), 0, "12345");
	assert_int_equal(fs_rename(f->fs, &f->cred, p, name_of("e"), p,
				   name_of("c"), 0),
			 0);
	assert_counts(f, p, 2, 5);
	fs_fixture_reopen(f);
	assert_counts(f, p, 2, 5);
	assert_sound(f);
}

static void a_nameless_file_counts_once_it_has_a_name(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t p = make_partition(f, "quota", "8");
	struct fs_attr attr;

	assert_int_equal(fs_tmpfile(f->fs, &f->cred, p, 0600, &attr), 0);
	put(f, attr.ino, 0, "123456789");
	assert_counts(f, p, 0, 0);
	assert_int_equal(fs_link(f->fs, attr.ino, p, name_of("n"), NULL),
			 -EDQUOT);
	assert_int_equal(setting(f, p, "quota", "9"), 0);
	assert_int_equal(fs_link(f->fs, attr.ino, p, name_of("n"), NULL), 0);
	assert_counts(f, p, 1, 9);
	assert_sound(f);
}

static void nothing_passes_the_border(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t p = make_partition(f, "schema", "bytes");
	uint64_t in = make_file_in(f, p, "in");
	uint64_t out = make_file(f, "out");
	uint64_t d = make_dir(f, "d");
	uint64_t q;

	make_dir_in(f, d, "sub");
	assert_int_equal(fs_rename(f->fs, &f->cred, p, name_of("in"),
				   FS_ROOT_INO, name_of("x"), 0),
			 -EXDEV);
	assert_int_equal(fs_rename(f->fs, &f->cred, FS_ROOT_INO, name_of("out"),
				   p, name_of("x"), 0),
			 -EXDEV);
	assert_int_equal(fs_rename(f->fs, &f->cred, d, name_of("sub"), p,
				   name_of("x"), 0),
			 -EXDEV);
	assert_int_equal(fs_rename(f->fs, &f->cred, FS_ROOT_INO, name_of("out"),
				   p, name_of("in"), RENAME_EXCHANGE),
			 -EXDEV);
	assert_int_equal(fs_link(f->fs, in, d, name_of("x"), NULL), -EXDEV);
	assert_int_equal(fs_link(f->fs, out, p, name_of("x"), NULL), -EXDEV);
	/* Nor does a partition go into anything; its name may change. */
	assert_int_equal(fs_rename(f->fs, &f->cred, FS_ROOT_INO, name_of("p"),
				   d, name_of("x"), 0),
			 -EXDEV);
	assert_int_equal(fs_rename(f->fs, &f->cred, FS_ROOT_INO, name_of("p"),
				   FS_ROOT_INO, name_of("q"), 0),
			 0);
	q = (uint64_t)find(f, "q");
	assert_int_equal(q, p);
	assert_counts(f, q, 1, 0);
	assert_sound(f);
}

static void a_quota_refuses_what_is_beyond_and_nothing_else(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t p = make_partition(f, "quota", "10K");
	uint64_t other = make_file(f, "other");
	uint64_t a = make_file_in(f, p, "a");
	char bytes[8192];
	struct fs_statfs space;

	memset(bytes, 'x', sizeof(bytes));
	assert_int_equal(fs_write(f->fs, a, 0, bytes, 8192, 0), 0);
	assert_int_equal(fs_write(f->fs, a, 8192, bytes, 2049, 0), -EDQUOT);
	assert_counts(f, p, 1, 8192);
	assert_int_equal(fs_write(f->fs, a, 8192, bytes, 2048, 0), 0);
	assert_int_equal(fs_write(f->fs, a, 0, bytes, 8192, 0), 0);
	assert_int_equal(fs_write(f->fs, make_file_in(f, p, "b"), 0, "x", 1, 0),
			 -EDQUOT);
	assert_int_equal(fs_write(f->fs, other, 0, bytes, 8192, 0), 0);
	assert_int_equal(fs_statfs_at(f->fs, a, &space), 0);
	assert_int_equal(space.total_bytes, 10240);
	assert_int_equal(space.free_bytes, 0);
	assert_int_equal(fs_statfs_at(f->fs, other, &space), 0);
	assert_true(space.total_bytes > 10240);
	/* Less than there is: nothing is lost, only more refused. */
	assert_int_equal(setting(f, p, "quota", "1K"), 0);
	assert_int_equal(set_size(f, a, 5000), 0);
	assert_int_equal(fs_write(f->fs, a, 5000, "x", 1, 0), -EDQUOT);
	assert_int_equal(fs_unlink(f->fs, p, name_of("a"), NULL), 0);
	put(f, make_file_in(f, p, "c"), 0, "fits");
	assert_counts(f, p, 2, 4);
	fs_fixture_reopen(f);
	assert_counts(f, p, 2, 4);
	assert_sound(f);
}

static void a_batch_obeys_each_partition_it_is_about(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t p = make_partition(f, "quota", "10");
	uint64_t q = make_dir(f, "q");
	struct fs_change changes[] = {
		{ .kind = FS_CHANGE_PUT,
		  .parent = p,
		  .name = name_of("a"),
		  .value = name_of("12345") },
		{ .kind = FS_CHANGE_PUT,
		  .parent = q,
		  .name = name_of("b"),
		  .value = name_of("123") },
		{ .kind = FS_CHANGE_PUT,
		  .parent = FS_ROOT_INO,
		  .name = name_of("c"),
		  .value = name_of("1") },
	};
	size_t failed;

	assert_int_equal(setting(f, q, "quota", "2"), 0);
	assert_int_equal(fs_apply(f->fs, &f->cred, changes, 3, &failed),
			 -EDQUOT);
	assert_counts(f, p, 0, 0);
	assert_int_equal(find(f, "c"), -ENOENT);
	assert_int_equal(setting(f, q, "quota", "3"), 0);
	assert_int_equal(fs_apply(f->fs, &f->cred, changes, 3, &failed), 0);
	assert_counts(f, p, 1, 5);
	assert_counts(f, q, 1, 3);
	/* What is replaced makes room. */
	changes[0].value = name_of("1234567890");
	assert_int_equal(fs_apply(f->fs, &f->cred, changes, 3, &failed), 0);
	assert_counts(f, p, 1, 10);
	assert_sound(f);
}

static void durability_is_that_of_the_partition(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t p = make_partition(f, "durability", "always");
	uint64_t q = make_dir(f, "q");
	uint64_t a, b, before;

	assert_int_equal(setting(f, q, "durability", "none"), 0);
	before = disk_syncs(f);
	a = make_file_in(f, p, "a");
	put(f, a, 0, "x");
	assert_int_equal(disk_syncs(f), before + 2);
	b = make_file_in(f, q, "b");
	put(f, b, 0, "x");
	assert_int_equal(fs_fsync(f->fs, b), 0);
	assert_int_equal(disk_syncs(f), before + 2);
	assert_int_equal(setting(f, q, "durability", "fsync"), 0);
	put(f, b, 0, "y");
	assert_int_equal(disk_syncs(f), before + 2);
	assert_int_equal(fs_fsync(f->fs, b), 0);
	assert_int_equal(disk_syncs(f), before + 3);

	/* Whatever the mount says. */
	f->options.kv.durability = KV_DURABILITY_NONE;
	fs_fixture_reopen(f);
	before = disk_syncs(f);
	put(f, a, 0, "z");
	assert_int_equal(disk_syncs(f), before + 1);
	put(f, b, 0, "z");
	assert_int_equal(fs_fsync(f->fs, b), 0);
	assert_int_equal(disk_syncs(f), before + 2);
	assert_int_equal(fs_fsync(f->fs, make_file(f, "out")), 0);
	/* No point in history that would do for all of them. */
	assert_int_equal(fs_sync_point(f->fs), 0);
	assert_int_equal(disk_syncs(f), before + 2);
}

static void compression_is_that_of_the_partition(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t p = make_partition(f, "compress", "zlib");
	uint64_t a = make_file_in(f, p, "a");
	struct fs_partition partition;
	static char zeros[65536];
	struct kv_stats stats;

	assert_int_equal(fs_write(f->fs, a, 0, zeros, sizeof(zeros), 0), 0);
	partition = stat_of(f, p);
	assert_true(partition.value_bytes_raw >= sizeof(zeros));
	assert_true(partition.value_bytes_stored < 4096);
	assert_int_equal(partition.bytes, sizeof(zeros));
	kv_stats(fs_kv(f->fs), &stats);
	assert_true(stats.live_bytes < sizeof(zeros));
	assert_int_equal(setting(f, p, "compress", "none"), 0);
	assert_int_equal(fs_write(f->fs, a, 0, zeros, sizeof(zeros), 0), 0);
	kv_stats(fs_kv(f->fs), &stats);
	assert_true(stats.live_bytes > sizeof(zeros));
	fs_fixture_reopen(f);
	assert_contents(f, a, zeros, sizeof(zeros));
	assert_sound(f);
}

static void operations_and_writes_count_since_open(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t p = make_partition(f, "schema", "bytes");
	uint64_t before = stat_of(f, p).operations;
	struct fs_partition partition;
	uint64_t a = make_file_in(f, p, "a");
	char byte;
	size_t got;

	put(f, a, 0, "x");
	assert_int_equal(fs_read(f->fs, a, 0, &byte, 1, &got), 0);
	assert_true(find_in(f, p, "a") > 0);
	attr_of(f, a);
	attr_of(f, make_file(f, "outside"));
	partition = stat_of(f, p);
	assert_int_equal(partition.operations - before, 5);
	assert_int_equal(partition.writes, 2 + 1); /* and the setting */
	fs_fixture_reopen(f);
	partition = stat_of(f, p);
	assert_int_equal(partition.operations, 0);
	assert_int_equal(partition.writes, 0);
}

static void a_partition_goes_with_its_directory(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t p = make_partition(f, "quota", "1");
	uint64_t a = make_file_in(f, p, "a");
	uint64_t gone;

	assert_int_equal(fs_rmdir(f->fs, FS_ROOT_INO, name_of("p"), &gone),
			 -ENOTEMPTY);
	assert_int_equal(fs_unlink(f->fs, p, name_of("a"), &gone), 0);
	assert_int_equal(fs_rmdir(f->fs, FS_ROOT_INO, name_of("p"), &gone), 0);
	assert_false(fs_is_partition(f->fs, p));
	/* The file is open still. */
	put(f, a, 0, "more than it could have");
	assert_sound(f);
	fs_forget(f->fs, p);
	fs_fixture_reopen(f);
	assert_false(fs_is_partition(f->fs, p));
	assert_sound(f);
}

/* p with directories, a file of two names and a file of many blocks. */
static uint64_t fill_partition(struct fs_fixture *f)
{
	uint64_t p = make_partition(f, "schema", "bytes");
	uint64_t d = make_dir_in(f, p, "d");
	uint64_t e = make_dir_in(f, d, "e");
	uint64_t a = make_file_in(f, p, "a");
	static char bytes[100000];
	char name[16];

	assert_int_equal(fs_write(f->fs, a, 0, bytes, sizeof(bytes), 0), 0);
	assert_int_equal(fs_link(f->fs, a, e, name_of("a2"), NULL), 0);
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		put(f, make_file_in(f, i % 2 ? d : e, name), 0, name);
	}
	return p;
}

static uint64_t inode_count(struct fs_fixture *f)
{
	struct fs_statfs space;

	assert_int_equal(fs_statfs(f->fs, &space), 0);
	return space.file_count;
}

static const struct fs_emptying all = { NULL, NULL, NULL };

static void a_dropped_partition_is_gone_at_once_and_emptied_later(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t p = fill_partition(f);
	uint64_t gone, syncs = disk_syncs(f);
	uint64_t before;

	make_dir(f, "plain");
	assert_int_equal(fs_partition_drop(f->fs, name_of("plain"), &gone),
			 -ENODATA);
	assert_int_equal(fs_partition_drop(f->fs, name_of("none"), &gone),
			 -ENOENT);
	before = kv_last_lsn(fs_kv(f->fs));
	assert_int_equal(fs_partition_drop(f->fs, name_of("p"), &gone), 0);
	assert_int_equal(gone, p);
	/* A handful of records, whatever was in it. */
	assert_true(kv_last_lsn(fs_kv(f->fs)) - before < 10);
	assert_int_equal(find(f, "p"), -ENOENT);
	assert_false(fs_is_partition(f->fs, p));
	assert_sound(f);
	fs_forget(f->fs, gone);
	assert_sound(f);
	assert_int_equal(inode_count(f), 206);
	/* The name is free. */
	assert_true(make_partition(f, "schema", "int") != p);
	fs_fixture_reopen(f);
	assert_sound(f);
	assert_int_equal(inode_count(f), 207);
	assert_int_equal(fs_empty_dropped(f->fs, &all), 0);
	assert_int_equal(inode_count(f), 3);
	assert_sound(f);
	assert_true(disk_syncs(f) < syncs + 10);
}

static bool stops(void *ctx)
{
	unsigned int *left = ctx;

	if (*left == 0)
		return true;
	--*left;
	return false;
}

static void emptying_goes_on_wherever_it_was_stopped(void **state)
{
	struct fs_fixture *f = *state;
	unsigned int left, rounds = 0;
	struct fs_emptying how = { .shall_stop = stops, .ctx = &left };
	int error;

	fill_partition(f);
	assert_int_equal(fs_partition_drop(f->fs, name_of("p"), NULL), 0);
	do {
		left = 17;
		error = fs_empty_dropped(f->fs, &how);
		assert_sound(f);
		if (++rounds % 4 == 0)
			fs_fixture_reopen(f);
	} while (error == -ECANCELED);
	assert_int_equal(error, 0);
	assert_true(rounds > 5);
	assert_int_equal(inode_count(f), 1);
	assert_sound(f);
}

static bool knows(void *ctx, uint64_t ino)
{
	uint64_t *known = ctx;

	return ino == *known;
}

static void what_is_open_outlives_its_partition(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t p = fill_partition(f);
	uint64_t open = (uint64_t)find_in(f, p, "a");
	struct fs_emptying how = { .is_known = knows, .ctx = &open };
	uint64_t d = (uint64_t)find_in(f, p, "d");
	struct fs_attr attr;

	assert_int_equal(fs_partition_drop(f->fs, name_of("p"), NULL), 0);
	/* In what goes, nothing new. */
	assert_int_equal(fs_mknod(f->fs, &f->cred, p, name_of("new"),
				  S_IFREG | 0600, 0, &attr),
			 -ENOENT);
	assert_int_equal(fs_empty_dropped(f->fs, &how), 0);
	assert_int_equal(fs_mknod(f->fs, &f->cred, d, name_of("new"),
				  S_IFREG | 0600, 0, &attr),
			 -ESTALE);
	assert_int_equal(inode_count(f), 2);
	assert_int_equal(attr_of(f, open).nlink, 0);
	put(f, open, 99999, "yz");
	assert_sound(f);
	assert_true(fs_is_orphan(f->fs, open));
	fs_forget(f->fs, open);
	assert_int_equal(inode_count(f), 1);
	assert_sound(f);
}

static void repaired(void *ctx, const struct fs_problem *problem,
		     const char *done)
{
	unsigned int *count = ctx;

	(void)problem;
	assert_non_null(done);
	++*count;
}

static void wrong_counts_are_found_and_repaired(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t p = make_partition(f, "quota", "1M");
	struct partition_counts wrong = { 7, 70 };
	uint8_t bytes[PARTITION_RECORD_MAX];
	unsigned int count = 0;
	struct schema_key key;

	put(f, make_file_in(f, p, "a"), 0, "12345");
	partition_key_encode(&key, p);
	assert_int_equal(
		kv_set(fs_kv(f->fs), key_slice(&key),
		       slice_of(bytes, partition_encode(&wrong, bytes)), NULL),
		0);
	fs_fixture_reopen(f);
	assert_counts(f, p, 7, 70);
	assert_int_equal(check_quietly(f), 1);
	assert_int_equal(fs_repair(f->fs, repaired, NULL, &count), 1);
	assert_int_equal(count, 1);
	assert_counts(f, p, 1, 5);
	assert_sound(f);
	fs_fixture_reopen(f);
	assert_counts(f, p, 1, 5);
}

static void a_lost_record_is_made_anew_and_a_stray_one_goes(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t p = make_partition(f, "quota", "1M");
	struct partition_counts wrong = { 1, 1 };
	uint8_t bytes[PARTITION_RECORD_MAX];
	unsigned int count = 0;
	struct schema_key key;

	put(f, make_file_in(f, p, "a"), 0, "12345");
	partition_key_encode(&key, p);
	assert_int_equal(kv_delete(fs_kv(f->fs), key_slice(&key), NULL), 0);
	partition_key_encode(&key, make_dir(f, "d"));
	assert_int_equal(
		kv_set(fs_kv(f->fs), key_slice(&key),
		       slice_of(bytes, partition_encode(&wrong, bytes)), NULL),
		0);
	fs_fixture_reopen(f);
	assert_int_equal(check_quietly(f), 1);
	assert_int_equal(fs_repair(f->fs, repaired, NULL, &count), 1);
	assert_sound(f);
	fs_fixture_reopen(f);
	assert_counts(f, p, 1, 5);
	assert_int_equal(stat_of(f, p).settings.quota_bytes, 1 << 20);
	assert_sound(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FS_TEST(a_setting_makes_an_empty_top_level_directory_a_partition),
		FS_TEST(a_value_that_is_none_is_refused),
		FS_TEST(settings_hold_when_the_store_is_opened_again),
		FS_TEST(keys_and_bytes_follow_every_change),
		FS_TEST(a_nameless_file_counts_once_it_has_a_name),
		FS_TEST(nothing_passes_the_border),
		FS_TEST(a_quota_refuses_what_is_beyond_and_nothing_else),
		FS_TEST(a_batch_obeys_each_partition_it_is_about),
		FS_TEST(durability_is_that_of_the_partition),
		FS_TEST(compression_is_that_of_the_partition),
		FS_TEST(operations_and_writes_count_since_open),
		FS_TEST(a_partition_goes_with_its_directory),
		FS_TEST(a_dropped_partition_is_gone_at_once_and_emptied_later),
		FS_TEST(emptying_goes_on_wherever_it_was_stopped),
		FS_TEST(what_is_open_outlives_its_partition),
		FS_TEST(a_lost_record_is_made_anew_and_a_stray_one_goes),
		FS_TEST(wrong_counts_are_found_and_repaired),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
