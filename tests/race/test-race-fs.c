/* SPDX-License-Identifier: MIT */

/*
 * Operations of a filesystem's core against each other, on few names, so that
 * they meet; with the checks, the stats and the compaction of a mount beside
 * them. No operation may fail in a way that the others do not explain, and in
 * the end nothing may be wrong.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <linux/falloc.h>
#include <sched.h>
#include <stdatomic.h>

#include "engine/thread.h"
#include "fs/partition.h"
#include "tests/seam/random.h"
#include "tests/unit/fs_fixture.h"

#define DIRS 3u
#define NAMES 6u
#define WORKERS 4
#define OPERATIONS 8000u
#define FILE_MAX 60000u

struct world {
	struct fs_fixture *f;
	uint64_t dirs[DIRS];
	atomic_uint working;
	atomic_ullong done;
	atomic_ullong problems; /* a thread must not assert */
};

/* One who works, with numbers of its own. */
struct worker {
	struct world *w;
	uint64_t random;
};

static unsigned int below(struct worker *worker, unsigned int limit)
{
	return random_below(&worker->random, limit);
}

static uint64_t some_dir(struct worker *worker)
{
	return worker->w->dirs[below(worker, DIRS)];
}

static struct slice some_name(struct worker *worker)
{
	static const char letters[NAMES] = "abcdef";

	return slice_of(&letters[below(worker, NAMES)], 1);
}

/* 0 when there is none. */
static uint64_t some_file(struct worker *worker)
{
	struct fs_attr attr;

	if (fs_lookup(worker->w->f->fs, some_dir(worker), some_name(worker),
		      &attr))
		return 0;
	return S_ISREG(attr.mode) ? attr.ino : 0;
}

static int do_create(struct worker *worker)
{
	struct fs_attr attr;

	return fs_mknod(worker->w->f->fs, &worker->w->f->cred, some_dir(worker),
			some_name(worker), S_IFREG | 0644, 0, &attr);
}

static int do_directory(struct worker *worker)
{
	struct fs_attr attr;
	uint64_t ino;
	int error;

	if (below(worker, 2))
		return fs_mkdir(worker->w->f->fs, &worker->w->f->cred,
				some_dir(worker), some_name(worker), 0755,
				&attr);
	error = fs_rmdir(worker->w->f->fs, some_dir(worker), some_name(worker),
			 &ino);
	if (!error)
		fs_forget(worker->w->f->fs, ino);
	return error;
}

/* As who has it open still. Another may have its last name, and forget it. */
static int use_unlinked(struct worker *worker, uint64_t ino)
{
	struct fs *fs = worker->w->f->fs;
	uint8_t bytes[16];
	struct fs_attr attr;
	size_t got;
	int error = fs_getattr(fs, ino, &attr);

	if (!error && S_ISREG(attr.mode))
		error = fs_read(fs, ino, 0, bytes, sizeof(bytes), &got);
	if (!error && S_ISREG(attr.mode) && below(worker, 2))
		error = fs_write(fs, ino, 0, "x", 1, 0);
	return error;
}

static int do_unlink(struct worker *worker)
{
	uint64_t ino;
	int error = fs_unlink(worker->w->f->fs, some_dir(worker),
			      some_name(worker), &ino);

	if (error)
		return error;
	if (below(worker, 2))
		error = use_unlinked(worker, ino);
	fs_forget(worker->w->f->fs, ino);
	return error;
}

static int do_rename(struct worker *worker)
{
	static const unsigned int flags[] = { 0, 0, RENAME_NOREPLACE,
					      RENAME_EXCHANGE };

	return fs_rename(worker->w->f->fs, &worker->w->f->cred,
			 some_dir(worker), some_name(worker), some_dir(worker),
			 some_name(worker), flags[below(worker, 4)]);
}

static int do_link(struct worker *worker)
{
	uint64_t ino = some_file(worker);
	struct fs_attr attr;

	return ino ? fs_link(worker->w->f->fs, ino, some_dir(worker),
			     some_name(worker), &attr) :
		     0;
}

static int do_write(struct worker *worker)
{
	static const uint8_t bytes[20000];
	uint64_t ino = some_file(worker);

	return ino ? fs_write(worker->w->f->fs, ino, below(worker, FILE_MAX),
			      bytes, 1 + below(worker, sizeof(bytes)),
			      below(worker, 4) ? 0 : FS_WRITE_APPEND) :
		     0;
}

static int do_read(struct worker *worker)
{
	uint64_t ino = some_file(worker);
	uint8_t bytes[8192];
	size_t got;

	return ino ? fs_read(worker->w->f->fs, ino, below(worker, FILE_MAX),
			     bytes, sizeof(bytes), &got) :
		     0;
}

static int do_space(struct worker *worker)
{
	static const int modes[] = {
		0,
		FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_ZERO_RANGE,
	};
	struct fs_attr attr = { .size_bytes = below(worker, FILE_MAX) };
	uint64_t ino = some_file(worker);

	if (!ino)
		return 0;
	if (!below(worker, 3))
		return fs_setattr(worker->w->f->fs, NULL, ino, FS_SET_SIZE,
				  &attr, NULL);
	return fs_fallocate(worker->w->f->fs, ino, modes[below(worker, 4)],
			    below(worker, FILE_MAX), 1 + below(worker, 30000));
}

static int do_attributes(struct worker *worker)
{
	uint64_t ino = some_file(worker);

	if (!ino)
		return 0;
	if (below(worker, 2))
		return fs_setxattr(worker->w->f->fs, &worker->w->f->cred, ino,
				   SLICE_LITERAL("user.a"),
				   SLICE_LITERAL("value"), 0, false);
	return fs_removexattr(worker->w->f->fs, ino, SLICE_LITERAL("user.a"));
}

static int entry_count(void *ctx, const struct fs_dirent *entry)
{
	(void)entry;
	++*(unsigned int *)ctx;
	return 0;
}

static int do_list(struct worker *worker)
{
	unsigned int count = 0;

	return fs_readdir(worker->w->f->fs, some_dir(worker), 0, entry_count,
			  &count);
}

static int do_sync(struct worker *worker)
{
	struct fs_statfs space;

	if (below(worker, 8))
		return fs_statfs(worker->w->f->fs, &space);
	return fs_sync(worker->w->f->fs);
}

static int set(struct world *w, const char *name, const char *value)
{
	return fs_setxattr(w->f->fs, &w->f->cred, w->dirs[1], name_of(name),
			   name_of(value), 0, false);
}

/* Of the partition that two of the directories are. */
static int do_settings(struct worker *worker)
{
	static const char *const quotas[] = { "0", "50k", "200k", "1M" };
	struct fs_partition partition;

	switch (below(worker, 4)) {
	case 0:
		return set(worker->w, "user.kvfs.quota",
			   quotas[below(worker, 4)]);
	case 1:
		return set(worker->w, "user.kvfs.compress",
			   below(worker, 2) ? "zlib" : "none");
	case 2:
		return fs_removexattr(worker->w->f->fs, worker->w->dirs[1],
				      SLICE_LITERAL("user.kvfs.compress"));
	default:
		return fs_partition_stat(worker->w->f->fs, worker->w->dirs[1],
					 &partition);
	}
}

static int (*const operations[])(struct worker *worker) = {
	do_create, do_create, do_directory, do_unlink,     do_rename,
	do_link,   do_write,  do_write,     do_read,       do_read,
	do_space,  do_list,   do_sync,      do_attributes, do_settings,
};

/* What others may have done in between. */
static bool is_explained(int error)
{
	switch (-error) {
	case 0:
	case ENOENT:
	case EEXIST:
	case ENOTEMPTY:
	case EISDIR:
	case ENOTDIR:
	case ENODATA:
	case ESTALE:
	case EDQUOT:
	case EXDEV:
	case EINVAL: /* a directory would go below itself */
		return true;
	default:
		return false;
	}
}

static void expect(struct world *w, bool holds, const char *what, int error)
{
	if (!holds) {
		atomic_fetch_add(&w->problems, 1);
		print_error("%s: error %d\n", what, error);
	}
}

static void *work(void *ctx)
{
	struct worker *worker = ctx;
	int error;

	for (unsigned int i = 0; i < OPERATIONS; i++) {
		error = operations[below(worker, sizeof(operations) /
							 sizeof(*operations))](
			worker);
		expect(worker->w, is_explained(error), "an operation", error);
		if (!error)
			atomic_fetch_add(&worker->w->done, 1);
	}
	atomic_fetch_sub(&worker->w->working, 1);
	return NULL;
}

static void *keep_house(void *ctx)
{
	const struct fs_check_how scrub = { .bytes_only = true };
	struct world *w = ctx;
	struct kv_stats stats;
	int error;

	while (atomic_load(&w->working)) {
		kv_stats(fs_kv(w->f->fs), &stats);
		error = kv_compact(fs_kv(w->f->fs), NULL, NULL);
		expect(w, error == 0, "compaction", error);
		error = fs_check(w->f->fs, problem_print, NULL, NULL);
		expect(w, error == 0, "check", error);
		error = fs_check_as(w->f->fs, &scrub, problem_print, NULL,
				    NULL);
		expect(w, error == 0, "scrub", error);
	}
	return NULL;
}

/* Makes a partition with something in it. */
static int partition_fill(struct fs_fixture *f)
{
	char name[] = "a";
	struct fs_attr dir, attr;
	int error;

	error = fs_mkdir(f->fs, &f->cred, FS_ROOT_INO, name_of("z"), 0755,
			 &dir);
	if (!error)
		error = fs_setxattr(f->fs, &f->cred, dir.ino,
				    name_of("user.kvfs.quota"), name_of("1M"),
				    0, false);
	for (; !error && name[0] <= 'z'; name[0]++)
		error = fs_mknod(f->fs, &f->cred, dir.ino, name_of(name),
				 S_IFREG | 0644, 0, &attr);
	if (!error)
		error = fs_mkdir(f->fs, &f->cred, dir.ino, name_of("dir"), 0755,
				 &dir);
	if (!error)
		error = fs_mknod(f->fs, &f->cred, dir.ino, name_of("deep"),
				 S_IFREG | 0644, 0, &attr);
	return error;
}

static void *make_and_drop(void *ctx)
{
	static const struct fs_emptying how = { 0 };
	struct world *w = ctx;
	int error;

	while (atomic_load(&w->working)) {
		error = partition_fill(w->f);
		expect(w, error == 0, "a partition", error);
		error = fs_partition_drop(w->f->fs, name_of("z"), NULL);
		expect(w, error == 0, "its end", error);
		error = fs_empty_dropped(w->f->fs, &how);
		expect(w, error == 0, "what was in it", error);
	}
	return NULL;
}

static void names_are_fought_over(void **state)
{
	struct fs_fixture *f = *state;
	struct world w = { .f = f, .working = WORKERS };
	struct worker workers[WORKERS];
	pthread_t threads[WORKERS + 2];
	unsigned int i;

	w.dirs[0] = FS_ROOT_INO;
	w.dirs[1] = make_dir(f, "x");
	assert_int_equal(set(&w, "user.kvfs.quota", "1M"), 0);
	w.dirs[2] = make_dir_in(f, w.dirs[1], "y");
	for (i = 0; i < WORKERS; i++) {
		workers[i] = (struct worker){ .w = &w, .random = 77 + i };
		assert_int_equal(
			thread_start(&threads[i], 0, work, &workers[i]), 0);
	}
	assert_int_equal(thread_start(&threads[i], 0, keep_house, &w), 0);
	assert_int_equal(thread_start(&threads[i + 1], 0, make_and_drop, &w),
			 0);
	for (i = 0; i < WORKERS + 2; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(atomic_load(&w.problems), 0);
	/* They did something, after all. */
	assert_true(atomic_load(&w.done) > (uint64_t)WORKERS * OPERATIONS / 4);
	assert_sound(f);
	fs_fixture_reopen(f);
	assert_sound(f);
}

/* --- one who looks at a file while it is unlinked and changed --- */

#define UNLINKS 300u

struct looker {
	struct world *w;
	atomic_ullong ino;   /* 0: the end */
	atomic_ullong looks; /* at that one */
};

static void *look(void *ctx)
{
	struct looker *looker = ctx;
	struct fs *fs = looker->w->f->fs;
	struct fs_attr attr;
	char bytes[8];
	uint64_t ino;
	size_t got;
	int error;

	while ((ino = atomic_load(&looker->ino))) {
		error = fs_getattr(fs, ino, &attr);
		if (!error)
			error = fs_read(fs, ino, 5000, bytes, 3, &got);
		if (!error && (got != 3 || memcmp(bytes, "end", 3) != 0))
			error = -EIO;
		/* The last one may have been forgotten meanwhile. */
		if (atomic_load(&looker->ino) != ino)
			continue;
		expect(looker->w, error == 0, "a look", error);
		atomic_fetch_add(&looker->looks, 1);
	}
	return NULL;
}

static void wait_for_looks(struct looker *looker)
{
	uint64_t wanted = atomic_load(&looker->looks) + 3;

	while (atomic_load(&looker->looks) < wanted)
		sched_yield();
}

static void an_open_file_is_there_all_the_time(void **state)
{
	static const char zeros[5000];
	struct fs_fixture *f = *state;
	struct world w = { .f = f };
	struct looker looker = { .w = &w };
	pthread_t thread;
	uint64_t ino = 0, before;

	for (unsigned int i = 0; i < UNLINKS; i++) {
		before = ino;
		ino = make_file(f, "f");
		assert_int_equal(
			fs_write(f->fs, ino, 0, zeros, sizeof(zeros), 0), 0);
		put(f, ino, 5000, "end");
		atomic_store(&looker.ino, ino);
		if (i == 0)
			assert_int_equal(
				thread_start(&thread, 0, look, &looker), 0);
		wait_for_looks(&looker);
		fs_forget(f->fs, before);
		assert_int_equal(fs_unlink(f->fs, 1, name_of("f"), NULL), 0);
		if (i % 2)
			wait_for_looks(&looker);
		put(f, ino, 0, "x");
		wait_for_looks(&looker);
	}
	atomic_store(&looker.ino, 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	fs_forget(f->fs, ino);
	assert_int_equal(atomic_load(&w.problems), 0);
	assert_sound(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FS_TEST(names_are_fought_over),
		FS_TEST(an_open_file_is_there_all_the_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
