/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The manifest: which files make up the store, and what was counted when the
 * last checkpoint was taken. One small file, replaced as a whole. What it says
 * is the state at checkpoint_lsn; recovery replays the log from
 * (replay_segment, replay_offset) on.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/buf.h"
#include "engine/io.h"
#include "engine/kv.h"
#include "engine/segment.h"

#define MANIFEST_NAME "MANIFEST"
#define MANIFEST_FORMAT_VERSION 1u
#define MANIFEST_SIZE_MAX ((size_t)1 << 30)

struct manifest_segment {
	struct segment_header header;
	uint64_t end;
	struct segment_counts counts;
	bool damaged;
};

struct manifest {
	uint8_t store_uuid[STORE_UUID_BYTES];
	uint64_t next_file_id;
	uint64_t checkpoint_lsn;
	uint64_t replay_segment; /* 0: no log segment yet; may be gone */
	uint64_t replay_offset;
	uint64_t checkpoint_count;
	int64_t checkpoint_time_s;
	int64_t compaction_time_s;
	bool clean;   /* written by kv_close: nothing to replay */
	bool rebuild; /* an index file is damaged: rebuild at next open */
	struct kv_class_stats classes[KV_CLASS_COUNT];
	struct manifest_segment *segments; /* ascending by id */
	size_t segment_count;
	uint64_t *run_ids; /* newest first */
	size_t run_count;
};

void manifest_release(struct manifest *manifest);

/* 0 or -ENOMEM. Appends to an empty buffer. */
int manifest_encode(const struct manifest *manifest, struct buf *ret_bytes);
/* 0, -EUCLEAN (also a wrong checksum), -EPROTONOSUPPORT, -ENOMEM. */
int manifest_decode(struct slice bytes, struct manifest *ret_manifest);

/* Durable once it returns 0 (io_replace_file). */
int manifest_store(const struct manifest *manifest, struct io *io, int dir_fd);
/* As manifest_decode, -ENOENT, -EIO. */
int manifest_load(struct io *io, int dir_fd, struct manifest *ret_manifest);
