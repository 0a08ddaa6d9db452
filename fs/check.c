/* SPDX-License-Identifier: MIT */

/*
 * The check of a whole filesystem. First the engine verifies every byte; what
 * it finds damaged is translated from keys to files. Then one pass over all
 * keys compares what refers to what. Nothing is changed. The mount goes on: the
 * pass works on a pin, and every operation is in it whole or not at all. Both
 * halves may be gone on with when they were stopped: check_keep.c.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/check_internal.h"

bool check_is_damage(int error)
{
	return error == -EBADMSG || error == -EUCLEAN || error == -EIO;
}

int check_get(struct check *check, const struct schema_key *key,
	      struct buf *ret_value)
{
	return kv_get(check->fs->kv, check->pin, key_slice(key), ret_value);
}

int check_exists(struct check *check, const struct schema_key *key)
{
	return kv_exists(check->fs->kv, check->pin, key_slice(key));
}

int check_load(struct check *check, uint64_t ino, struct inode *ret_inode)
{
	uint8_t bytes[INODE_RECORD_MAX];
	struct schema_key key;
	uint64_t value_size;
	size_t size;
	int error;

	inode_key_encode(&key, ino);
	error = kv_read(check->fs->kv, check->pin, key_slice(&key), 0, bytes,
			sizeof(bytes), &size, &value_size);
	if (!error && value_size > sizeof(bytes))
		error = -EUCLEAN;
	if (!error)
		error = inode_decode(slice_of(bytes, size), ino, ret_inode);
	if (!error)
		ret_inode->data.data = NULL;
	return error;
}

int check_dentry(struct check *check, const struct schema_key *name_key,
		 struct dentry *ret_dentry)
{
	uint8_t bytes[ENTRY_RECORD_MAX];
	uint64_t value_size;
	size_t size;
	int error;

	error = kv_read(check->fs->kv, check->pin, key_slice(name_key), 0,
			bytes, sizeof(bytes), &size, &value_size);
	if (!error && value_size > sizeof(bytes))
		error = -EUCLEAN;
	if (!error)
		error = name_record_decode(slice_of(bytes, size), ret_dentry);
	return error;
}

int check_list(struct check *check, kv_list_fn *fn, void *ctx)
{
	struct kv_range range = { 0 };

	return kv_list(check->fs->kv, check->pin, &range, 0, fn, ctx);
}

int check_advance(struct check *check, const struct kv_entry *entry)
{
	uint64_t total = check->base_bytes + check->live_bytes;
	uint64_t done;

	check->done_bytes += entry->record_size_bytes;
	if (!check->progress)
		return 0;
	/* Later passes are rare and not counted: they stay at the end. */
	done = check->base_bytes + check->done_bytes;
	return check->progress(check->ctx, done < total ? done : total, total) ?
		       -ECANCELED :
		       0;
}

/* What a damaged key means for a file. */
static int damaged_key(struct check *check, struct slice key)
{
	struct key_parts parts;

	if (schema_key_decode(key, &parts)) {
		report_store(check, "a key that is not the filesystem's is "
				    "damaged");
		return 0;
	}
	switch (parts.tag) {
	case TAG_INODE:
		return report_inode(check, FS_PROBLEM_DAMAGED, parts.ino,
				    "its attributes (and its contents, if it "
				    "is small) are damaged");
	case TAG_BLOCK:
		return report_inode(check, FS_PROBLEM_DAMAGED, parts.ino,
				    "its contents are damaged, %u bytes from "
				    "%llu",
				    (unsigned int)check->fs->block_size_bytes,
				    (unsigned long long)parts.number *
					    check->fs->block_size_bytes);
	case TAG_FRAGMENT:
		return report_inode(check, FS_PROBLEM_DAMAGED, parts.ino,
				    "its contents are damaged, %u bytes from "
				    "%llu",
				    FRAGMENT_SIZE,
				    (unsigned long long)parts.number *
					    FRAGMENT_SIZE);
	case TAG_PREALLOC:
		return report_inode(check, FS_PROBLEM_DAMAGED, parts.ino,
				    "what it has preallocated is damaged");
	case TAG_COOKIE:
		return report_inode(check, FS_PROBLEM_DAMAGED, parts.ino,
				    "an entry of its listing is damaged");
	case TAG_NAME:
		return report_name(check, FS_PROBLEM_DAMAGED, parts.ino,
				   parts.name, 0, "this name is damaged");
	case TAG_XATTR:
		return report_inode(
			check, FS_PROBLEM_DAMAGED, parts.ino,
			"its attribute %.*s is damaged",
			(int)(parts.name.size < 100 ? parts.name.size : 100),
			(const char *)parts.name.data);
	case TAG_SUPER:
		report_store(check, "the superblock is damaged");
		return 0;
	case TAG_ORPHAN:
	case TAG_TRUNCATE:
		report_store(check, "a list of unfinished work is damaged");
		return 0;
	case TAG_PARTITION:
		return report_inode(check, FS_PROBLEM_DAMAGED, parts.number,
				    "the counters of this partition are "
				    "damaged");
	}
	return 0;
}

static void store_problem(void *ctx, const struct kv_problem *problem)
{
	struct check *check = ctx;
	char what[CHECK_WHAT_MAX];

	/* Memory may run out here; then the check's second half says so. */
	if (problem->kind == KV_PROBLEM_KEY) {
		damaged_key(check, problem->key);
		return;
	}
	if (problem->file)
		snprintf(what, sizeof(what), "%s at %llu: %s", problem->file,
			 (unsigned long long)problem->offset, problem->what);
	else
		snprintf(what, sizeof(what), "%s", problem->what);
	report_store(check, what);
}

static int store_progress(void *ctx, uint64_t done, uint64_t total)
{
	struct check *check = ctx;

	check_keep(check, done);
	check->base_bytes = total;
	if (!check->progress)
		return 0;
	return check->progress(check->ctx, done, total + check->live_bytes);
}

/* The engine's check, with the paths of what it finds. */
static int bytes_check(struct check *check)
{
	int error = kv_check_from(check->fs->kv, &check->state.position,
				  store_problem, store_progress, check);

	return error < 0 ? error : report_flush(check);
}

/* Sums over some inodes say nothing when others have changed since. */
static void references_begin(struct check *check)
{
	struct check_references *references = &check->state.references;

	if (!references->lsn || references->lsn != check->pin_lsn)
		*references = (struct check_references){
			.lsn = check->pin_lsn,
		};
	check->done_bytes = references->done_bytes;
}

static int references_check(struct check *check)
{
	int error;

	references_begin(check);
	error = check_inodes(check);
	if (!error)
		error = check_links(check);
	if (!error)
		error = check_partitions(check);
	if (!error)
		error = report_flush(check);
	return error;
}

static int whole_check(struct check *check)
{
	struct kv_stats stats;
	int error;

	kv_stats(check->fs->kv, &stats);
	check->live_bytes = stats.live_bytes;
	check->base_bytes = stats.disk_bytes + stats.live_bytes;
	if (!check->state.verified) {
		error = bytes_check(check);
		if (error)
			return error;
		check->state.verified = true;
		kv_check_position_release(&check->state.position);
		check_keep(check, check->base_bytes);
	}
	return references_check(check);
}

static int pinned_check(struct check *check)
{
	uint64_t lsn = kv_last_lsn(check->fs->kv);
	int error = kv_pin(check->fs->kv, &check->pin);

	if (error)
		return error;
	/* With changes meanwhile it is not known of which moment the pin is. */
	check->pin_lsn = kv_last_lsn(check->fs->kv) == lsn ? lsn : 0;
	error = whole_check(check);
	kv_unpin(check->pin);
	return error;
}

/* The state to begin with, and what those before have found. */
static int state_begin(struct check *check, bool resume)
{
	struct fs_problem before = { .kind = FS_PROBLEM_STORE };
	char what[CHECK_WHAT_MAX];
	struct kv_stats stats;
	int error = 0;

	if (resume)
		error = check_take_up(check);
	else if (check->keeps)
		(void)kv_note_remove(check->fs->kv, check->note);
	if (error)
		return error;
	kv_stats(check->fs->kv, &stats);
	memcpy(check->state.uuid, stats.uuid, sizeof(stats.uuid));
	if (check->problem_count) {
		snprintf(what, sizeof(what),
			 "%llu problems were found before it was interrupted",
			 (unsigned long long)check->problem_count);
		before.what = what;
		check->fn(check->ctx, &before);
	}
	return 0;
}

int fs_check_as(struct fs *fs, const struct fs_check_how *how,
		fs_problem_fn *fn, kv_progress_fn *progress, void *ctx)
{
	struct check check = {
		.fs = fs,
		.fn = fn,
		.progress = progress,
		.ctx = ctx,
		.keeps = how->keep,
		.note = how->bytes_only ? KV_NOTE_SCRUB : KV_NOTE_CHECK,
	};
	int error;

	check.pending = malloc(CHECK_PENDING_MAX * sizeof(*check.pending));
	if (!check.pending)
		return -ENOMEM;
	error = state_begin(&check, how->resume);
	/* A scrub needs no pin of its own: paths are those of the end. */
	if (!error)
		error = how->bytes_only ? bytes_check(&check) :
					  pinned_check(&check);
	check_keep_end(&check, error == 0);
	free(check.pending);
	if (error)
		return store_error(error);
	return check.problem_count > 0;
}

int fs_check(struct fs *fs, fs_problem_fn *fn, kv_progress_fn *progress,
	     void *ctx)
{
	const struct fs_check_how how = { 0 };

	return fs_check_as(fs, &how, fn, progress, ctx);
}
