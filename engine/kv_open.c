/* SPDX-License-Identifier: MIT */

/*
 * Opening and closing a store, and what its parts share: options, the log line,
 * the state of having failed.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kv_internal.h"

#define LOCK_NAME "LOCK"
#define MIB ((uint64_t)1 << 20)
/* Of the memory option, for the memtable being filled; as much again may be
 * frozen, and the rest is for buffers and mapped pages. */
#define MEMTABLE_SHARE 4u
/* At least so many fit on a disk. */
#define SEGMENTS_A_DISK 32u
#define MEMTABLES_A_DISK 64u
#define RESERVES_A_DISK 8u

void kv_options_init(struct kv_options *options)
{
	*options = (struct kv_options){
		.segment_size_bytes = 64 * MIB,
		.memory_bytes = 64 * MIB,
		.commit_interval_ms = 5000,
		.durability = KV_DURABILITY_FSYNC,
		.compact_auto = true,
		.compact_ratio = 50,
		.compact_rate = 64 * MIB,
	};
}

void kv_log(struct kv *kv, enum kv_log_level level, const char *format, ...)
{
	char line[512];
	va_list args;

	if (!kv->options.log)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	kv->options.log(kv->options.log_ctx, level, line);
}

void kv_fail(struct kv *kv, int error, const char *what)
{
	int none = 0;

	if (atomic_compare_exchange_strong(&kv->failed, &none, error))
		kv_log(kv, KV_LOG_ERROR,
		       "%s: %s; the store is read-only from now on", what,
		       strerror(-error));
}

int kv_writable(struct kv *kv)
{
	return kv->options.read_only || atomic_load(&kv->failed) ? -EROFS : 0;
}

static int options_validate(const struct kv_options *o)
{
	if (o->segment_size_bytes < MIB || o->segment_size_bytes > 2048 * MIB ||
	    o->memory_bytes < 4 * MIB || o->compress_level < 0 ||
	    o->compress_level > 9 || o->compact_ratio < 1 ||
	    o->compact_ratio > 99 || o->durability > KV_DURABILITY_NONE ||
	    (o->create && o->read_only))
		return -EINVAL;
	return 0;
}

/* What a directory holds, as far as it matters for calling it a store. */
enum directory_kind {
	DIRECTORY_EMPTY,
	DIRECTORY_STORE,
	DIRECTORY_OTHER,
};

static int directory_look(struct kv *kv, enum directory_kind *ret_kind)
{
	struct buf names = { 0 };
	const char *at, *end;
	int error = io_list(kv->io, kv->dir_fd, &names);

	*ret_kind = DIRECTORY_EMPTY;
	at = (const char *)names.data;
	end = at ? at + names.size : at;
	for (; !error && at < end; at += strlen(at) + 1) {
		size_t size = strlen(at);

		if (strcmp(at, MANIFEST_NAME) == 0 ||
		    (size == 20 && strcmp(at + 16, ".seg") == 0)) {
			*ret_kind = DIRECTORY_STORE;
			break;
		}
		/* A new filesystem's root, or a creation that was broken off,
		 * is as good as empty. */
		if (strcmp(at, "lost+found") != 0 &&
		    strcmp(at, LOCK_NAME) != 0 &&
		    strcmp(at, MANIFEST_NAME ".tmp") != 0)
			*ret_kind = DIRECTORY_OTHER;
	}
	buf_release(&names);
	return error;
}

/* The new directory's own name is made durable: it leads to everything. */
static int directory_make(struct kv *kv, const char *path)
{
	char *parent = strdup(path), *slash;
	int error, fd;

	if (!parent)
		return -ENOMEM;
	error = io_make_dir(kv->io, path);
	if (error)
		goto out;
	slash = parent + strlen(parent);
	while (slash > parent && slash[-1] == '/')
		slash--;
	while (slash > parent && slash[-1] != '/')
		slash--;
	*slash = '\0';
	error = io_open_dir(kv->io, *parent ? parent : ".", &fd);
	if (error)
		goto out;
	error = io_sync_dir(kv->io, fd);
	io_close(kv->io, fd);
out:
	free(parent);
	return error;
}

static int directory_open(struct kv *kv, const char *path)
{
	enum directory_kind kind;
	int error = io_open_dir(kv->io, path, &kv->dir_fd);

	if (error == -ENOENT && kv->options.create) {
		error = directory_make(kv, path);
		if (!error)
			error = io_open_dir(kv->io, path, &kv->dir_fd);
	}
	if (error)
		return error == -ELOOP ? -ENOTDIR : error;
	error = directory_look(kv, &kind);
	if (error)
		return error;
	if (kind == DIRECTORY_OTHER)
		return -ENOTEMPTY;
	if (kind == DIRECTORY_EMPTY && !kv->options.create)
		return -ENOENT;
	return 0;
}

static int store_lock(struct kv *kv)
{
	int flags = kv->options.read_only ? O_RDONLY : O_RDWR | O_CREAT;
	int error = io_open(kv->io, kv->dir_fd, LOCK_NAME, flags, &kv->lock_fd);

	/* A store on a medium that cannot be written has no other user. */
	if (kv->options.read_only && (error == -ENOENT || error == -EROFS))
		return 0;
	return error ? error : io_lock(kv->io, kv->lock_fd);
}

static struct kv *kv_new(const struct kv_options *options)
{
	struct kv *kv = calloc(1, sizeof(*kv));

	if (!kv)
		return NULL;
	if (view_cell_init(&kv->views)) {
		free(kv);
		return NULL;
	}
	kv->options = *options;
	kv->io = options->io ? options->io : io_system();
	kv->dir_fd = -1;
	kv->lock_fd = -1;
	kv->memtable_budget_bytes = options->memory_bytes / MEMTABLE_SHARE;
	reserve_init(&kv->reserve);
	reaper_init(&kv->reaper);
	resident_init(kv);
	mutex_init(&kv->write_lock);
	condition_init(&kv->flushed);
	mutex_init(&kv->sync_lock);
	condition_init(&kv->sync_done);
	condition_init(&kv->sync_joined);
	sync_plan_init(&kv->sync_plan);
	mutex_init(&kv->compact_lock);
	mutex_init(&kv->flush_lock);
	mutex_init(&kv->manifest_lock);
	mutex_init(&kv->wake_lock);
	condition_init(&kv->wake);
	return kv;
}

static void kv_free(struct kv *kv) NO_THREAD_SAFETY_ANALYSIS
{
	checkpoint_forget(kv);
	view_cell_release(&kv->views);
	for (size_t i = 0; i < kv->segment_count; i++)
		segment_unref(kv->segments[i]);
	free(kv->segments);
	manifest_release(&kv->manifest);
	buf_release(&kv->staging);
	if (kv->lock_fd >= 0)
		io_close(kv->io, kv->lock_fd);
	if (kv->dir_fd >= 0)
		io_close(kv->io, kv->dir_fd);
	reserve_release(&kv->reserve);
	reaper_release(&kv->reaper);
	resident_release(kv);
	mutex_release(&kv->write_lock);
	condition_release(&kv->flushed);
	mutex_release(&kv->sync_lock);
	condition_release(&kv->sync_done);
	condition_release(&kv->sync_joined);
	mutex_release(&kv->compact_lock);
	mutex_release(&kv->flush_lock);
	mutex_release(&kv->manifest_lock);
	mutex_release(&kv->wake_lock);
	condition_release(&kv->wake);
	free(kv);
}

static uint64_t at_least(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/*
 * On a small disk segments and memtables are smaller, too, so that the space
 * kept for compaction, which is measured by them, is no large part of it.
 */
static int fit_disk(struct kv *kv)
{
	uint64_t free_bytes, total_bytes, most;

	if (kv->options.read_only)
		return 0;
	/* Where the disk does not tell its size, nothing is kept. */
	if (kv_disk_space(kv, &free_bytes, &total_bytes) || !total_bytes)
		return 0;
	most = at_least(total_bytes / SEGMENTS_A_DISK, MIB);
	if (kv->options.segment_size_bytes > most)
		kv->options.segment_size_bytes = most;
	most = at_least(total_bytes / MEMTABLES_A_DISK, MIB / 4);
	if (kv->memtable_budget_bytes > most)
		kv->memtable_budget_bytes = most;
	kv->reserve_base_bytes =
		kv->options.segment_size_bytes + 2 * kv->memtable_budget_bytes;
	kv->reserve_most_bytes =
		at_least(total_bytes / RESERVES_A_DISK, kv->reserve_base_bytes);
	return reserve_open(&kv->reserve, kv->io, kv->dir_fd,
			    kv->reserve_base_bytes);
}

int kv_open(const char *path, const struct kv_options *options,
	    struct kv **ret_kv)
{
	struct kv *kv;
	int error = options_validate(options);

	if (error)
		return error;
	kv = kv_new(options);
	if (!kv)
		return -ENOMEM;
	error = directory_open(kv, path);
	if (!error)
		error = store_lock(kv);
	if (!error)
		error = fit_disk(kv);
	if (!error)
		error = recover(kv);
	if (!error && !options->read_only)
		error = background_start(kv);
	if (error) {
		kv_free(kv);
		return error;
	}
	*ret_kv = kv;
	return 0;
}

/* Ends the active segment's file where its records end, so that the next open
 * finds nothing behind them and goes on there. */
static int active_trim(struct kv *kv)
{
	struct segment *active;
	int error = 0;

	mutex_lock(&kv->write_lock);
	active = kv->active;
	if (active && active->fd >= 0 && active->allocated != active->end) {
		error = segment_trim(active);
		active->synced = false;
	}
	mutex_unlock(&kv->write_lock);
	if (!error && active && active->fd >= 0)
		error = io_sync_data(kv->io, active->fd);
	return error;
}

static bool closes_unchanged(struct kv *kv)
{
	bool same;

	mutex_lock(&kv->manifest_lock);
	same = kv->manifest.clean &&
	       kv->manifest.checkpoint_lsn == kv_last_lsn(kv) &&
	       !atomic_load(&kv->index_damaged) &&
	       !atomic_load(&kv->counters.compactions);
	mutex_unlock(&kv->manifest_lock);
	return same;
}

int kv_close(struct kv *kv)
{
	int error = 0;

	if (!kv)
		return 0;
	background_stop(kv);
	if (atomic_load(&kv->failed))
		error = -EIO;
	else if (!kv->options.read_only && !closes_unchanged(kv)) {
		error = active_trim(kv);
		if (!error)
			error = checkpoint(kv, true);
	}
	kv_free(kv);
	return error;
}
