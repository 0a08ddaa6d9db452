/* SPDX-License-Identifier: MIT */

/* Trees of files and what is done to them: see tree_work.h. No locks. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>

#include "engine/crc32.h"
#include "fs/partition.h"
#include "tests/crash/tree_work.h"
#include "tests/seam/small_kv.h"
#include "tests/unit/fs_fixture.h"

#define DIRECTORIES 4u
#define NAMES 8u
#define FILE_MAX (48u << 10)

/* --- the tree as one number --- */

struct digest {
	struct fs *fs;
	uint32_t crc;
};

static void digest_bytes(struct digest *d, const void *bytes, size_t size)
{
	d->crc = crc32_update(d->crc, bytes, size);
}

static void digest_inode(struct digest *d, uint64_t ino);

static int digest_entry(void *ctx, const struct fs_dirent *entry)
{
	struct digest *d = ctx;

	if (slice_equal(entry->name, SLICE_LITERAL(".")) ||
	    slice_equal(entry->name, SLICE_LITERAL("..")))
		return 0;
	digest_bytes(d, entry->name.data, entry->name.size);
	digest_inode(d, entry->ino);
	return 0;
}

static void digest_data(struct digest *d, uint64_t ino, uint64_t size)
{
	static uint8_t bytes[FILE_MAX];
	size_t got;

	assert_true(size <= sizeof(bytes));
	assert_int_equal(fs_read(d->fs, ino, 0, bytes, sizeof(bytes), &got), 0);
	assert_int_equal(got, size);
	digest_bytes(d, bytes, got);
}

static void digest_xattrs(struct digest *d, uint64_t ino)
{
	struct buf names = { 0 }, value = { 0 };

	assert_int_equal(fs_listxattr(d->fs, ino, &names), 0);
	for (size_t at = 0; at < names.size;) {
		const char *name = (const char *)names.data + at;

		assert_int_equal(fs_getxattr(d->fs, ino, name_of(name), &value),
				 0);
		digest_bytes(d, name, strlen(name));
		digest_bytes(d, value.data, value.size);
		at += strlen(name) + 1;
	}
	buf_release(&names);
	buf_release(&value);
}

static void digest_inode(struct digest *d, uint64_t ino)
{
	struct buf target = { 0 };
	struct fs_attr attr;

	assert_int_equal(fs_getattr(d->fs, ino, &attr), 0);
	/* Not when it was last read: that is kept for the kernel alone. */
	attr.atime = (struct timespec){ 0 };
	digest_bytes(d, &attr.ino, sizeof(attr.ino));
	digest_bytes(d, &attr.mode, sizeof(attr.mode));
	digest_bytes(d, &attr.nlink, sizeof(attr.nlink));
	digest_bytes(d, &attr.size_bytes, sizeof(attr.size_bytes));
	digest_bytes(d, &attr.mtime, sizeof(attr.mtime));
	digest_bytes(d, &attr.ctime, sizeof(attr.ctime));
	digest_xattrs(d, ino);
	if (S_ISDIR(attr.mode)) {
		assert_int_equal(fs_readdir(d->fs, ino, 0, digest_entry, d), 0);
	} else if (S_ISREG(attr.mode)) {
		digest_data(d, ino, attr.size_bytes);
	} else if (S_ISLNK(attr.mode)) {
		assert_int_equal(fs_readlink(d->fs, ino, &target), 0);
		digest_bytes(d, target.data, target.size);
	}
	buf_release(&target);
}

uint32_t tree_digest(struct fs *fs)
{
	struct digest d = { .fs = fs };

	digest_inode(&d, FS_ROOT_INO);
	return d.crc;
}

/* --- what is done --- */

/* A random place for a name: one of few directories, or the root. */
static uint64_t some_directory(struct tree_work *w)
{
	char name[8];
	struct fs_attr attr;

	snprintf(name, sizeof(name), "d%u",
		 choice_below(w->choice, DIRECTORIES));
	if (choice_below(w->choice, 3) &&
	    !fs_lookup(w->fs, FS_ROOT_INO, name_of(name), &attr) &&
	    S_ISDIR(attr.mode))
		return attr.ino;
	return FS_ROOT_INO;
}

struct place {
	uint64_t parent;
	char text[8];
	struct slice name;
};

static void some_place(struct tree_work *w, struct place *place)
{
	place->parent = some_directory(w);
	snprintf(place->text, sizeof(place->text), "f%u",
		 choice_below(w->choice, NAMES));
	place->name = name_of(place->text);
}

/* A file that is there, or 0. */
static uint64_t some_file(struct tree_work *w)
{
	struct fs_attr attr;
	struct place place;

	some_place(w, &place);
	if (fs_lookup(w->fs, place.parent, place.name, &attr) ||
	    !S_ISREG(attr.mode))
		return 0;
	return attr.ino;
}

/* What unlinks may end an inode at once, or while it is still open. */
static void forget_some(struct tree_work *w, uint64_t ino)
{
	if (ino && fs_is_orphan(w->fs, ino)) {
		if (w->orphan_count < TREE_ORPHANS &&
		    choice_below(w->choice, 2)) {
			w->orphans[w->orphan_count++] = ino;
			return;
		}
		fs_forget(w->fs, ino);
	}
	if (w->orphan_count && !choice_below(w->choice, 4))
		fs_forget(w->fs, w->orphans[--w->orphan_count]);
}

/* A file, or one that is unlinked and open. */
static uint64_t some_open_file(struct tree_work *w)
{
	if (w->orphan_count && !choice_below(w->choice, 4))
		return w->orphans[choice_below(w->choice,
					       (unsigned int)w->orphan_count)];
	return some_file(w);
}

static int do_create(struct tree_work *w)
{
	struct place place;

	some_place(w, &place);
	return fs_mknod(w->fs, &w->cred, place.parent, place.name,
			S_IFREG | 0644, 0, NULL);
}

static int do_write(struct tree_work *w)
{
	static uint8_t bytes[FILE_MAX];
	uint64_t ino = some_open_file(w), offset;
	struct fs_attr attr;
	size_t size;

	if (!ino)
		return -ENOENT;
	size = 1 + (choice_below(w->choice, 3) ?
			    choice_below(w->choice, 600) :
			    choice_below(w->choice, 20000));
	offset = choice_below(w->choice, FILE_MAX - 20000);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)choice_number(w->choice);
	/* Every other one goes on where the file ends. */
	if (offset % 2 && fs_getattr(w->fs, ino, &attr) == 0 &&
	    attr.size_bytes <= FILE_MAX - 20000)
		offset = attr.size_bytes;
	return fs_write(w->fs, ino, offset, bytes, size, 0);
}

static int do_truncate(struct tree_work *w)
{
	struct fs_attr attr = { .size_bytes =
					choice_below(w->choice, FILE_MAX) };
	uint64_t ino = some_open_file(w);

	if (!ino)
		return -ENOENT;
	return fs_setattr(w->fs, NULL, ino, FS_SET_SIZE, &attr, NULL);
}

static int do_punch(struct tree_work *w)
{
	uint64_t ino = some_file(w);

	if (!ino)
		return -ENOENT;
	return fs_fallocate(w->fs, ino,
			    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			    choice_below(w->choice, FILE_MAX),
			    1 + choice_below(w->choice, 16384));
}

/* Several steps, but none that is read. */
static int do_preallocate(struct tree_work *w)
{
	uint64_t ino = some_file(w);

	if (!ino)
		return -ENOENT;
	return fs_fallocate(w->fs, ino, FALLOC_FL_KEEP_SIZE,
			    choice_below(w->choice, FILE_MAX),
			    1 + choice_below(w->choice, 65536));
}

static int do_unlink(struct tree_work *w)
{
	struct place place;
	uint64_t ino = 0;
	int error;

	some_place(w, &place);
	error = fs_unlink(w->fs, place.parent, place.name, &ino);
	if (!error)
		forget_some(w, ino);
	return error;
}

static int do_rename(struct tree_work *w)
{
	static const unsigned int flags[] = { 0, 0, RENAME_NOREPLACE,
					      RENAME_EXCHANGE };
	struct place from, to;
	struct fs_attr replaced = { 0 };
	int error;

	some_place(w, &from);
	some_place(w, &to);
	if (fs_lookup(w->fs, to.parent, to.name, &replaced))
		replaced.ino = 0;
	error = fs_rename(w->fs, &w->cred, from.parent, from.name, to.parent,
			  to.name, flags[choice_below(w->choice, 4)]);
	if (!error)
		forget_some(w, replaced.ino);
	return error;
}

static int do_link(struct tree_work *w)
{
	uint64_t ino = some_file(w);
	struct place place;

	if (!ino)
		return -ENOENT;
	some_place(w, &place);
	return fs_link(w->fs, ino, place.parent, place.name, NULL);
}

static int do_symlink(struct tree_work *w)
{
	struct place place;

	some_place(w, &place);
	return fs_symlink(w->fs, &w->cred, place.parent, place.name,
			  SLICE_LITERAL("../elsewhere"), NULL);
}

static int do_directory(struct tree_work *w)
{
	uint64_t ino = 0;
	char name[8];
	int error;

	snprintf(name, sizeof(name), "d%u",
		 choice_below(w->choice, DIRECTORIES));
	if (choice_below(w->choice, 3))
		return fs_mkdir(w->fs, &w->cred, FS_ROOT_INO, name_of(name),
				0755, NULL);
	error = fs_rmdir(w->fs, FS_ROOT_INO, name_of(name), &ino);
	if (!error)
		forget_some(w, ino);
	return error;
}

static int do_attributes(struct tree_work *w)
{
	struct fs_attr attr = { .mode = choice_below(w->choice, 07777) };
	uint64_t ino = some_file(w), number = choice_number(w->choice);

	if (!ino)
		return -ENOENT;
	if (choice_below(w->choice, 2))
		return fs_setattr(w->fs, &w->cred, ino, FS_SET_MODE, &attr,
				  NULL);
	return fs_setxattr(w->fs, &w->cred, ino, SLICE_LITERAL("user.number"),
			   slice_of(&number, sizeof(number)), 0, false);
}

/* A directory becomes a partition, or its settings change. */
static int do_partition(struct tree_work *w)
{
	static const char *const settings[][2] = {
		{ "user.kvfs.quota", "60k" },
		{ "user.kvfs.quota", "1G" },
		{ "user.kvfs.compress", "zlib" },
		{ "user.kvfs.durability", "fsync" },
		{ "user.kvfs.schema", "bytes" },
	};
	const char *const *setting = settings[choice_below(w->choice, 5)];
	struct fs_attr attr;
	char name[8];
	int error;

	snprintf(name, sizeof(name), "d%u",
		 choice_below(w->choice, DIRECTORIES));
	error = fs_lookup(w->fs, FS_ROOT_INO, name_of(name), &attr);
	if (error)
		return error;
	return fs_setxattr(w->fs, &w->cred, attr.ino, name_of(setting[0]),
			   name_of(setting[1]), 0, false);
}

static bool stops(void *ctx)
{
	unsigned int *left = ctx;

	return (*left)-- == 0;
}

/* What was in it goes in many steps, of which none is read. */
static int do_drop(struct tree_work *w)
{
	unsigned int left = choice_below(w->choice, 30);
	struct fs_emptying how = { .shall_stop = stops, .ctx = &left };
	uint64_t ino;
	char name[8];
	int error;

	snprintf(name, sizeof(name), "d%u",
		 choice_below(w->choice, DIRECTORIES));
	error = fs_partition_drop(w->fs, name_of(name), &ino);
	if (error)
		return error;
	forget_some(w, ino);
	error = fs_empty_dropped(w->fs, &how);
	return error == -ECANCELED ? 0 : error;
}

static int (*const operations[])(struct tree_work *) = {
	do_create,    do_create,     do_write,     do_write, do_write,
	do_write,     do_write,      do_truncate,  do_punch, do_preallocate,
	do_unlink,    do_rename,     do_rename,    do_link,  do_symlink,
	do_directory, do_attributes, do_partition, do_drop,
};

#define OPERATION_KINDS (sizeof(operations) / sizeof(operations[0]))

int tree_do(struct tree_work *w)
{
	int error = operations[choice_below(w->choice, OPERATION_KINDS)](w);

	/* An operation that cannot be, on what is there, is none. */
	assert_int_not_equal(error, -EIO);
	return error;
}

/* In either of the two ways. */
static int tree_sync(struct tree_work *w, bool in_two_steps)
{
	uint64_t point = in_two_steps ? fs_sync_point(w->fs) : 0;

	return point ? fs_sync_to(w->fs, point) : fs_sync(w->fs);
}

bool tree_keep_house(struct tree_work *w)
{
	unsigned int choice = choice_below(w->choice, 100);

	if (choice < 8)
		assert_int_equal(tree_sync(w, choice % 2), 0);
	else if (choice < 11)
		assert_int_equal(kv_checkpoint(fs_kv(w->fs)), 0);
	else if (choice < 12)
		assert_int_equal(kv_compact(fs_kv(w->fs), NULL, NULL), 0);
	else
		return false;
	return true;
}

void tree_options(struct fs_options *options, struct io *io)
{
	fs_options_init(options);
	small_kv_options(&options->kv, io);
	options->kv.compact_auto = true;
	options->kv.compact_rate = 0;
	options->kv.compact_ratio = 25;
	options->block_size_bytes = 8192;
}

/* --- which states there were --- */

unsigned int tree_least(const struct tree_history *history, size_t position)
{
	unsigned int last = 0;

	for (unsigned int i = 0; i <= history->step_count; i++)
		if (history->steps[i].synced &&
		    history->steps[i].synced <= position)
			last = i;
	return last;
}

unsigned int tree_most(const struct tree_history *history, size_t position)
{
	/* What changes nothing may be synced at the position it began at. */
	unsigned int last = tree_least(history, position);

	while (last < history->step_count &&
	       history->steps[last + 1].began < position)
		last++;
	return last;
}

int tree_step_of(const struct tree_history *history, uint32_t tree,
		 unsigned int least, unsigned int most)
{
	for (unsigned int i = most + 1; i-- > least;)
		if (history->steps[i].tree == tree)
			return (int)i;
	return -1;
}
