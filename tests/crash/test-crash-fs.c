/* SPDX-License-Identifier: MIT */

/*
 * Power loss under a filesystem, by simulation. Random operations on names,
 * data, attributes and sizes run over an io that records what is done to the
 * disk; after each, a digest of the whole tree is noted. Then states that a
 * disk may be in after a power cut are made and opened. Each must pass the check
 * of the filesystem, and its tree must be one of those that there were: not
 * older than the last sync, not younger than what had been begun. The cut comes
 * again during recovery, and during that of what this one left. Copies between
 * files are not among the operations: they go in steps.
 *
 *	test-crash-fs [SEED [CUTS]]
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>

#include "engine/crc32.h"
#include "tests/seam/arguments.h"
#include "tests/seam/power_cut.h"
#include "tests/seam/random.h"
#include "tests/seam/small_kv.h"
#include "tests/unit/fs_fixture.h"

#define OPERATIONS 500u
#define DIRECTORIES 4u
#define NAMES 8u
#define FILE_MAX (48u << 10)
#define ORPHANS_MAX 16u

static uint64_t random_state;

static unsigned int below(unsigned int limit)
{
	return random_below(&random_state, limit);
}

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

static uint32_t digest_tree(struct fs *fs)
{
	struct digest d = { .fs = fs };

	digest_inode(&d, FS_ROOT_INO);
	return d.crc;
}

/* --- what was done --- */

struct step {
	size_t began;  /* position of the recorder before it */
	size_t synced; /* and after a sync that followed it; 0: none did */
	uint32_t tree;
};

/* [0]: the filesystem as it was made, and synced. */
static struct step history[OPERATIONS + 1];
static unsigned int step_count;

struct world {
	struct record_io record;
	struct fs_options options;
	struct fs *fs;
	struct fs_cred cred;
	uint64_t orphans[ORPHANS_MAX]; /* unlinked, and not forgotten */
	unsigned int orphan_count;
};

/* A random place for a name: one of few directories, or the root. */
static uint64_t some_directory(struct world *w)
{
	char name[8];
	struct fs_attr attr;

	snprintf(name, sizeof(name), "d%u", below(DIRECTORIES));
	if (below(3) && !fs_lookup(w->fs, FS_ROOT_INO, name_of(name), &attr) &&
	    S_ISDIR(attr.mode))
		return attr.ino;
	return FS_ROOT_INO;
}

struct place {
	uint64_t parent;
	char text[8];
	struct slice name;
};

static void some_place(struct world *w, struct place *place)
{
	place->parent = some_directory(w);
	snprintf(place->text, sizeof(place->text), "f%u", below(NAMES));
	place->name = name_of(place->text);
}

/* A file that is there, or 0. */
static uint64_t some_file(struct world *w)
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
static void forget_some(struct world *w, uint64_t ino)
{
	if (ino && fs_is_orphan(w->fs, ino)) {
		if (w->orphan_count < ORPHANS_MAX && below(2)) {
			w->orphans[w->orphan_count++] = ino;
			return;
		}
		fs_forget(w->fs, ino);
	}
	if (w->orphan_count && !below(4))
		fs_forget(w->fs, w->orphans[--w->orphan_count]);
}

static int do_create(struct world *w)
{
	struct place place;

	some_place(w, &place);
	return fs_mknod(w->fs, &w->cred, place.parent, place.name,
			S_IFREG | 0644, 0, NULL);
}

static int do_write(struct world *w)
{
	static uint8_t bytes[FILE_MAX];
	uint64_t ino = some_file(w), offset;
	size_t size;

	if (!ino)
		return -ENOENT;
	size = 1 + (below(3) ? below(600) : below(20000));
	offset = below(FILE_MAX - 20000);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)random_next(&random_state);
	return fs_write(w->fs, ino, offset, bytes, size, 0);
}

static int do_truncate(struct world *w)
{
	struct fs_attr attr = { .size_bytes = below(FILE_MAX) };
	uint64_t ino = some_file(w);

	if (!ino)
		return -ENOENT;
	return fs_setattr(w->fs, NULL, ino, FS_SET_SIZE, &attr, NULL);
}

static int do_punch(struct world *w)
{
	uint64_t ino = some_file(w);

	if (!ino)
		return -ENOENT;
	return fs_fallocate(w->fs, ino,
			    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			    below(FILE_MAX), 1 + below(16384));
}

/* Several steps, but none that is read. */
static int do_preallocate(struct world *w)
{
	uint64_t ino = some_file(w);

	if (!ino)
		return -ENOENT;
	return fs_fallocate(w->fs, ino, FALLOC_FL_KEEP_SIZE, below(FILE_MAX),
			    1 + below(65536));
}

static int do_unlink(struct world *w)
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

static int do_rename(struct world *w)
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
			  to.name, flags[below(4)]);
	if (!error)
		forget_some(w, replaced.ino);
	return error;
}

static int do_link(struct world *w)
{
	uint64_t ino = some_file(w);
	struct place place;

	if (!ino)
		return -ENOENT;
	some_place(w, &place);
	return fs_link(w->fs, ino, place.parent, place.name, NULL);
}

static int do_symlink(struct world *w)
{
	struct place place;

	some_place(w, &place);
	return fs_symlink(w->fs, &w->cred, place.parent, place.name,
			  SLICE_LITERAL("../elsewhere"), NULL);
}

static int do_directory(struct world *w)
{
	uint64_t ino = 0;
	char name[8];
	int error;

	snprintf(name, sizeof(name), "d%u", below(DIRECTORIES));
	if (below(3))
		return fs_mkdir(w->fs, &w->cred, FS_ROOT_INO, name_of(name),
				0755, NULL);
	error = fs_rmdir(w->fs, FS_ROOT_INO, name_of(name), &ino);
	if (!error)
		forget_some(w, ino);
	return error;
}

static int do_attributes(struct world *w)
{
	struct fs_attr attr = { .mode = below(07777) };
	uint64_t ino = some_file(w), number = random_next(&random_state);

	if (!ino)
		return -ENOENT;
	if (below(2))
		return fs_setattr(w->fs, &w->cred, ino, FS_SET_MODE, &attr,
				  NULL);
	return fs_setxattr(w->fs, &w->cred, ino, SLICE_LITERAL("user.number"),
			   slice_of(&number, sizeof(number)), 0, false);
}

static int (*const operations[])(struct world *) = {
	do_create,    do_create,     do_write,    do_write, do_write,
	do_write,     do_write,      do_truncate, do_punch, do_preallocate,
	do_unlink,    do_rename,     do_rename,   do_link,  do_symlink,
	do_directory, do_attributes,
};

#define OPERATION_KINDS (sizeof(operations) / sizeof(operations[0]))

/* Syncs, checkpoints and compactions come and go between operations. */
static void keep_house(struct world *w, struct step *step)
{
	unsigned int choice = below(100);

	if (choice < 8)
		assert_int_equal(fs_sync(w->fs), 0);
	else if (choice < 11)
		assert_int_equal(kv_checkpoint(fs_kv(w->fs)), 0);
	else if (choice < 12)
		assert_int_equal(kv_compact(fs_kv(w->fs), NULL, NULL), 0);
	else
		return;
	step->synced = record_io_position(&w->record);
}

static void reopen(struct world *w, const char *path, struct step *step)
{
	assert_int_equal(fs_close(w->fs), 0);
	w->orphan_count = 0;
	step->synced = record_io_position(&w->record);
	assert_int_equal(fs_open(path, &w->options, &w->fs), 0);
}

static void options_for(struct fs_options *options, struct io *io)
{
	fs_options_init(options);
	small_kv_options(&options->kv, io);
	options->kv.compact_auto = true;
	options->kv.compact_rate = 0;
	options->kv.compact_ratio = 25;
	options->block_size_bytes = 8192;
}

/* An operation that cannot be, on what is there, is none. */
static void work(struct world *w, const char *path)
{
	options_for(&w->options, &w->record.io);
	assert_int_equal(fs_open(path, &w->options, &w->fs), 0);
	assert_int_equal(fs_sync(w->fs), 0);
	history[0] = (struct step){
		.synced = record_io_position(&w->record),
		.tree = digest_tree(w->fs),
	};
	step_count = 0;
	while (step_count < OPERATIONS) {
		struct step *step = &history[step_count + 1];
		int error;

		*step = (struct step){
			.began = record_io_position(&w->record),
		};
		error = operations[below(OPERATION_KINDS)](w);
		if (error) {
			assert_int_not_equal(error, -EIO);
			continue;
		}
		step->tree = digest_tree(w->fs);
		step_count++;
		keep_house(w, step);
		if (!below(100))
			reopen(w, path, step);
	}
	assert_int_equal(fs_close(w->fs), 0);
	history[step_count].synced = record_io_position(&w->record);
}

/* --- what is left of it --- */

static unsigned long state_count;

static unsigned int synced_at(size_t position)
{
	unsigned int last = 0;

	for (unsigned int i = 0; i <= step_count; i++)
		if (history[i].synced && history[i].synced <= position)
			last = i;
	return last;
}

static unsigned int begun_at(size_t position)
{
	unsigned int last = 0;

	while (last < step_count && history[last + 1].began < position)
		last++;
	return last;
}

/* The youngest step from least to most that left this tree; -1: none did. */
static int step_of(uint32_t tree, unsigned int least, unsigned int most)
{
	for (unsigned int i = most + 1; i-- > least;)
		if (history[i].tree == tree)
			return (int)i;
	return -1;
}

/* Opens a state and says which step it is; see the head of this file. */
static unsigned int verify(struct fs *fs, const struct power_cut *cut,
			   unsigned int least, unsigned int most)
{
	int problems = fs_check(fs, problem_print, NULL, NULL), step;

	if (problems)
		power_cut_describe(cut, "the check found something");
	assert_int_equal(problems, 0);
	step = step_of(digest_tree(fs), least, most);
	if (step < 0)
		power_cut_describe(cut, "the tree never was, or not then");
	assert_true(step >= 0);
	return (unsigned int)step;
}

static void cut_and_verify(struct record_io *r, const struct scratch *dir,
			   unsigned int depth, unsigned int least,
			   unsigned int most)
{
	size_t first = depth ? record_io_first(r) : history[0].synced;
	struct power_cut cut =
		power_cut_random(&random_state, first, record_io_position(r));
	struct fs_options options;
	struct record_io again;
	struct scratch state;
	struct fs *fs;
	int error;

	if (!depth) {
		least = synced_at(cut.at);
		most = begun_at(cut.at);
	}
	assert_int_equal(power_cut_make(r, &cut, dir, depth, &state), 0);
	state_count++;
	record_io_init(&again, io_system(), state.path);
	options_for(&options, depth < 2 ? &again.io : io_system());
	error = fs_open(state.path, &options, &fs);
	if (error)
		power_cut_describe(&cut, "cannot be opened");
	assert_int_equal(error, 0);
	most = verify(fs, &cut, least, most);
	assert_int_equal(fs_close(fs), 0);
	if (depth < 2)
		cut_and_verify(&again, dir, depth + 1, least, most);
	record_io_release(&again);
	assert_int_equal(scratch_release(&state), 0);
}

static uint64_t seed;
static unsigned int cuts;

static void after_power_loss_the_tree_is_one_that_was(void **test_state)
{
	static struct world w;
	struct scratch dir, store;

	(void)test_state;
	print_message("seed %llu, %u cuts\n", (unsigned long long)seed, cuts);
	assert_int_equal(scratch_init(&dir), 0);
	for (unsigned int round = 0; round < 4; round++) {
		memset(&w, 0, sizeof(w));
		assert_int_equal(scratch_make_dir(&dir, "store", &store), 0);
		record_io_init(&w.record, io_system(), store.path);
		work(&w, store.path);
		for (unsigned int i = 0; i < cuts / 4; i++)
			cut_and_verify(&w.record, &dir, 0, 0, 0);
		record_io_release(&w.record);
		assert_int_equal(scratch_release(&store), 0);
	}
	assert_int_equal(scratch_release(&dir), 0);
	print_message("%lu states opened\n", state_count);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(after_power_loss_the_tree_is_one_that_was),
	};

	seed = argument_seed(argc, argv);
	cuts = (unsigned int)argument_number(argc, argv, 2, 200);
	random_state = seed;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
