/* SPDX-License-Identifier: MIT */

/*
 * Segment files: creation, appending, sealing, reading records through a map.
 *
 * 1. The file is only ever appended to, and what lies below `end` never
 *    changes. So readers need no lock once they hold a reference.
 * 2. Space is allocated a step ahead of the end, so that a sync need not write
 *    the file's size, and a full disk shows when the step is taken.
 * 3. Where syncs are rare small appends are copied to a window, a writable map
 *    that moves along ahead of the end; all else is done by a write.
 * 4. The map reaches `limit`, beyond the file's end while it grows; only bytes
 *    below `end` are read.
 *
 * Locks: map_lock, a leaf, guards the making of the map.
 */

#include "engine/segment.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Space is taken by so much, or by this part of the segment if that is less. */
#define ALLOCATE_STEP_BYTES (4u << 20)
#define ALLOCATE_STEP_PART 16u
#define SEAL_BYTES_MAX RECORD_HEAD_MAX
/* Appends up to this size go to blocks that were made ready, so many at once.
 * Where syncs are often: up to this size, and made by writes of so much. */
#define READY_APPEND_MAX (8u << 10)
#define READY_BYTES (128u << 10)
#define READY_APPEND_OFTEN_MAX (16u << 10)
#define READY_PIECE_OFTEN_BYTES (16u << 10)
#define ZERO_BYTES (4u << 10)
/* And up to this size, less is done by a copy than by a system call. */
#define WINDOW_APPEND_MAX (2u << 10)
/* Syncs are rare when so much was appended without one. */
#define RARE_SYNC_BYTES (64u << 10)
/* What lies open to a stray pointer of this process. */
#define WINDOW_BYTES (128u << 10)
/* From this size on a read asks the system to read ahead. */
#define PREFETCH_BYTES (32u << 10)

void segment_name(uint64_t id, char ret_name[SEGMENT_NAME_MAX])
{
	snprintf(ret_name, SEGMENT_NAME_MAX, "%016llx.seg",
		 (unsigned long long)id);
}

static struct segment *segment_new(struct io *io, int dir_fd,
				   const struct segment_header *header)
{
	struct segment *segment = calloc(1, sizeof(*segment));

	if (!segment)
		return NULL;
	segment->io = io;
	segment->dir_fd = dir_fd;
	segment->header = *header;
	atomic_init(&segment->refs, 1);
	mutex_init(&segment->map_lock);
	segment->fd = -1;
	return segment;
}

int segment_create(struct io *io, int dir_fd,
		   const struct segment_header *header, uint64_t limit,
		   struct segment **ret_segment)
{
	struct segment *segment = segment_new(io, dir_fd, header);
	uint8_t bytes[SEGMENT_HEADER_BYTES];
	char name[SEGMENT_NAME_MAX];
	struct iovec iov = { bytes, sizeof(bytes) };
	int error;

	if (!segment)
		return -ENOMEM;
	segment->limit = limit;
	segment_name(header->id, name);
	error = io_open(io, dir_fd, name, O_RDWR | O_CREAT | O_EXCL,
			&segment->fd);
	if (error)
		goto out;
	atomic_store(&segment->doomed, true);
	segment_header_encode(header, bytes);
	error = segment_append(segment, &iov, 1, sizeof(bytes), NULL);
	if (error)
		goto out;
	error = segment_map(segment);
	if (error)
		goto out;
	atomic_store(&segment->doomed, false);
	*ret_segment = segment;
	return 0;
out:
	segment_unref(segment);
	return error;
}

struct segment *segment_known(struct io *io, int dir_fd,
			      const struct segment_header *header, uint64_t end,
			      const struct segment_counts *counts)
{
	struct segment *segment = segment_new(io, dir_fd, header);

	if (!segment)
		return NULL;
	segment->end = end;
	segment->sync_begun = end;
	segment->allocated = end;
	segment->limit = end;
	segment->counts = *counts;
	segment->sealed = true;
	segment->synced = true;
	return segment;
}

int segment_reopen(struct segment *segment, uint64_t limit)
{
	char name[SEGMENT_NAME_MAX];
	uint64_t size_bytes;
	int error, fd;

	assert(!atomic_load(&segment->mapped) && segment->fd < 0);
	segment_name(segment->header.id, name);
	error = io_open(segment->io, segment->dir_fd, name, O_RDWR, &fd);
	if (error)
		return error;
	error = io_size(segment->io, fd, &size_bytes);
	if (error || size_bytes != segment->end) {
		io_close(segment->io, fd);
		return error ? error : 1;
	}
	segment->fd = fd;
	segment->limit = limit;
	segment->allocated = segment->end;
	segment->sealed = false;
	error = segment_map(segment);
	if (error) {
		segment->fd = -1;
		segment->sealed = true;
		io_close(segment->io, fd);
	}
	return error;
}

int segment_cut(struct segment *segment, uint64_t end)
{
	char name[SEGMENT_NAME_MAX];
	int error, fd;

	segment_name(segment->header.id, name);
	error = io_open(segment->io, segment->dir_fd, name, O_RDWR, &fd);
	if (error)
		return error;
	error = io_truncate(segment->io, fd, end);
	if (!error)
		error = io_sync_data(segment->io, fd);
	io_close(segment->io, fd);
	if (error)
		return error;
	segment->end = end;
	segment->allocated = end;
	segment->synced = true;
	return 0;
}

int segment_probe(struct io *io, int dir_fd, const char *name,
		  struct segment_header *ret_header, uint64_t *ret_size_bytes)
{
	uint8_t bytes[SEGMENT_HEADER_BYTES];
	uint64_t size_bytes;
	int error, fd;

	error = io_open(io, dir_fd, name, O_RDONLY, &fd);
	if (error)
		return error;
	error = io_size(io, fd, &size_bytes);
	if (!error)
		error = io_read(io, fd, bytes, sizeof(bytes), 0);
	io_close(io, fd);
	/* A file cut off in its header is one that was never written. */
	if (error == -ENODATA && size_bytes < SEGMENT_HEADER_BYTES) {
		*ret_size_bytes = size_bytes;
		return 1;
	}
	if (error == -ENODATA)
		return -EIO;
	if (error)
		return error;
	error = segment_header_decode(bytes, ret_header);
	if (error >= 0 || error == -EUCLEAN)
		*ret_size_bytes = size_bytes;
	return error;
}

struct segment *segment_ref(struct segment *segment)
{
	atomic_fetch_add_explicit(&segment->refs, 1, memory_order_relaxed);
	return segment;
}

/* A file that stays is found and removed at the next open. */
static void segment_unlink(struct segment *segment)
{
	char name[SEGMENT_NAME_MAX];

	segment_name(segment->header.id, name);
	io_unlink(segment->io, segment->dir_fd, name);
}

void segment_unref(struct segment *segment)
{
	if (!segment || atomic_fetch_sub(&segment->refs, 1) != 1)
		return;
	if (atomic_load(&segment->mapped))
		io_unmap(&segment->map);
	io_window_close(&segment->window);
	if (segment->fd >= 0)
		io_close(segment->io, segment->fd);
	if (atomic_load(&segment->doomed))
		segment_unlink(segment);
	mutex_release(&segment->map_lock);
	free(segment);
}

void segment_drop(struct segment *segment)
{
	if (segment_map(segment))
		atomic_store(&segment->doomed, true);
	else
		segment_unlink(segment);
	segment_unref(segment);
}

static int segment_allocate(struct segment *segment, uint64_t end)
{
	uint64_t step = segment->limit / ALLOCATE_STEP_PART, want;
	int error;

	if (end <= segment->allocated)
		return 0;
	want = end + (step < ALLOCATE_STEP_BYTES ? step : ALLOCATE_STEP_BYTES);
	if (want > segment->limit)
		want = segment->limit;
	if (want < end)
		want = end;
	error = io_allocate(segment->io, segment->fd, want);
	/* Nearly full: what is needed now may still fit. */
	if ((error == -ENOSPC || error == -EDQUOT) && want > end) {
		want = end;
		error = io_allocate(segment->io, segment->fd, want);
	}
	if (!error)
		segment->allocated = want;
	return error;
}

int segment_write_ahead(struct segment *segment, struct iovec *iov,
			size_t count, uint64_t size_bytes)
{
	int error = segment_allocate(segment, segment->end + size_bytes);

	return error ? error :
		       io_write_vector(segment->io, segment->fd, iov, count,
				       segment->end);
}

void segment_advance(struct segment *segment, uint64_t size_bytes)
{
	segment->end += size_bytes;
	segment->synced = false;
}

static bool segment_is_synced_often(const struct segment *segment)
{
	return segment->end - segment->sync_begun < RARE_SYNC_BYTES;
}

/* Beyond the end there are zeros already: where this fails nothing is lost. */
static void segment_write_zeros(struct segment *segment, uint64_t offset,
				uint64_t size_bytes)
{
	static const uint8_t zeros[ZERO_BYTES] = { 0 };
	struct iovec iov[READY_BYTES / ZERO_BYTES];
	size_t count = 0;

	for (uint64_t left = size_bytes; left > 0; count++) {
		size_t piece = left < ZERO_BYTES ? (size_t)left : ZERO_BYTES;

		iov[count] = (struct iovec){ (void *)(uintptr_t)zeros, piece };
		left -= piece;
	}
	io_write_vector(segment->io, segment->fd, iov, count, offset);
}

/*
 * Behind the end the file has blocks that were allocated but never written to.
 * To write to such a block changes what the filesystem knows of the file: the
 * sync that follows has to write that, too, and waits for its journal. And
 * the page of it is made for one append, which takes longer than all else about
 * that, and mapped by a fault for one reader. So zeros are written to many blocks
 * at once, ahead of the end. The larger the writes, the larger are the system's
 * pages, and the less work are all of them together, but the more is a sync of a
 * part of one.
 *
 * A large append has enough work of its own; and where a sync comes before it, its
 * zeros go to the disk as well.
 */
static void segment_make_ready(struct segment *segment, uint64_t size_bytes)
{
	bool often = segment_is_synced_often(segment);
	uint64_t most = often ? READY_PIECE_OFTEN_BYTES : READY_BYTES;
	uint64_t end = segment->end + size_bytes;
	uint64_t from = segment->ready;

	if (size_bytes > (often ? READY_APPEND_OFTEN_MAX : READY_APPEND_MAX) ||
	    end <= from || segment_map(segment))
		return;
	if (from < segment->end)
		from = segment->end;
	segment->ready = end + READY_BYTES;
	if (segment->ready > segment->allocated)
		segment->ready = segment->allocated;
	for (uint64_t at = from, piece; at < segment->ready; at += piece) {
		/* To where the next one is aligned. */
		piece = most - at % most;
		if (piece > segment->ready - at)
			piece = segment->ready - at;
		segment_write_zeros(segment, at, piece);
	}
	io_map_populate(&segment->map, from, segment->ready - from);
}

/*
 * Whether the append can go through the window, which moves on when need be.
 * Beyond what is allocated no page is to be had.
 *
 * A sync takes from all processors the leave to write to the pages that it takes
 * to the disk, and the next append has to be given it again: more than a write
 * costs, unless many appends share it.
 */
static bool segment_move_window(struct segment *segment, uint64_t size_bytes)
{
	uint64_t end = segment->end + size_bytes;
	uint64_t reach = segment->end + WINDOW_BYTES;

	if (size_bytes > WINDOW_APPEND_MAX || segment->windowless ||
	    segment_is_synced_often(segment))
		return false;
	if (io_window_covers(&segment->window, segment->end, size_bytes))
		return true;
	if (reach > segment->allocated)
		reach = segment->allocated;
	if (reach < end)
		return false;
	io_window_close(&segment->window);
	if (!io_window_open(segment->io, segment->fd, segment->end,
			    (size_t)(reach - segment->end), &segment->window))
		return true;
	segment->windowless = true;
	return false;
}

/* Where the window fails, writing tells why, or goes on without. */
static int segment_put(struct segment *segment, struct iovec *iov, size_t count,
		       uint64_t size_bytes)
{
	if (segment_move_window(segment, size_bytes)) {
		if (!io_window_store(&segment->window, iov, count,
				     segment->end))
			return 0;
		io_window_close(&segment->window);
		segment->windowless = true;
	}
	return io_write_vector(segment->io, segment->fd, iov, count,
			       segment->end);
}

int segment_append(struct segment *segment, struct iovec *iov, size_t count,
		   uint64_t size_bytes, bool *ret_spoiled)
{
	int error = segment_allocate(segment, segment->end + size_bytes);

	if (error)
		return error;
	segment_make_ready(segment, size_bytes);
	error = segment_put(segment, iov, count, size_bytes);
	if (!error)
		segment_advance(segment, size_bytes);
	else if (ret_spoiled)
		*ret_spoiled = true;
	return error;
}

int segment_unspoil(struct segment *segment)
{
	int error;

	io_window_close(&segment->window);
	error = io_truncate(segment->io, segment->fd, segment->end);
	if (error)
		return error;
	segment->allocated = segment->end;
	segment->ready = segment->end;
	return io_sync_data(segment->io, segment->fd);
}

uint64_t segment_room(const struct segment *segment)
{
	uint64_t used = segment->end + SEAL_BYTES_MAX;

	return used < segment->limit ? segment->limit - used : 0;
}

int segment_seal(struct segment *segment, uint64_t last_lsn)
{
	struct record record = { .type = RECORD_SEAL, .lsn = last_lsn };
	struct record_site site = segment_site(segment, segment->end);
	uint8_t bytes[RECORD_HEAD_MAX];
	struct iovec iov = { bytes, 0 };
	int error;

	iov.iov_len = record_encode_head(&record, &site, bytes);
	error = segment_append(segment, &iov, 1, iov.iov_len, NULL);
	io_window_close(&segment->window);
	return error;
}

int segment_trim(struct segment *segment)
{
	int error;

	if (atomic_load(&segment->allocated) == segment->end)
		return 0;
	error = io_truncate(segment->io, segment->fd, segment->end);
	if (!error)
		atomic_store(&segment->allocated, segment->end);
	return error;
}

static int segment_map_file(struct segment *segment)
{
	char name[SEGMENT_NAME_MAX];
	struct segment_header header;
	uint8_t bytes[SEGMENT_HEADER_BYTES];
	uint64_t size_bytes;
	int error, fd;

	if (segment->fd >= 0)
		return io_map(segment->io, segment->fd, segment->limit,
			      &segment->map);
	segment_name(segment->header.id, name);
	error = io_open(segment->io, segment->dir_fd, name, O_RDONLY, &fd);
	if (error)
		return error;
	error = io_read(segment->io, fd, bytes, sizeof(bytes), 0);
	if (error)
		goto out;
	/* A damaged header costs nothing where the manifest has told what it
	 * said: the records' checksums depend on that. Another segment's
	 * header means that the files were mixed up. */
	if (segment_header_decode(bytes, &header) == 0 &&
	    (header.id != segment->header.id ||
	     header.salt != segment->header.salt)) {
		error = -EUCLEAN;
		goto out;
	}
	error = io_size(segment->io, fd, &size_bytes);
	if (error)
		goto out;
	/* A file cut short has lost its last records, not all of them. */
	if (size_bytes > segment->limit)
		size_bytes = segment->limit;
	error = io_map(segment->io, fd, size_bytes, &segment->map);
out:
	io_close(segment->io, fd);
	return error == -ENODATA ? -EUCLEAN : error;
}

int segment_map(struct segment *segment)
{
	int error = 0;

	if (atomic_load_explicit(&segment->mapped, memory_order_acquire))
		return 0;
	mutex_lock(&segment->map_lock);
	if (!atomic_load(&segment->mapped)) {
		error = segment_map_file(segment);
		if (!error)
			atomic_store_explicit(&segment->mapped, true,
					      memory_order_release);
	}
	mutex_unlock(&segment->map_lock);
	return error;
}

bool segment_drop_cache(struct segment *segment, uint64_t offset, size_t size)
{
	return atomic_load_explicit(&segment->mapped, memory_order_acquire) &&
	       io_map_drop(&segment->map, offset, size);
}

struct header_job {
	const uint8_t *from;
	uint8_t bytes[SEGMENT_HEADER_BYTES];
};

/* Under the guard. */
static int header_copy(void *ctx)
{
	struct header_job *job = ctx;

	memcpy(job->bytes, job->from, sizeof(job->bytes));
	return 0;
}

int segment_verify_header(struct segment *segment)
{
	uint8_t expected[SEGMENT_HEADER_BYTES];
	struct header_job job;
	int error = segment_map(segment);

	if (error)
		return error;
	if (segment->map.size < SEGMENT_HEADER_BYTES)
		return -EUCLEAN;
	job.from = segment->map.address;
	error = io_guarded(&segment->map, 0, SEGMENT_HEADER_BYTES, header_copy,
			   &job);
	if (error)
		return error;
	segment_header_encode(&segment->header, expected);
	return memcmp(job.bytes, expected, sizeof(expected)) ? -EUCLEAN : 0;
}

struct read_job {
	const struct segment *segment;
	const struct place *place;
	struct segment_read *read;
};

/* Runs under the guard: touches the map, takes no lock, allocates nothing. */
static int segment_read_mapped(void *ctx)
{
	struct read_job *job = ctx;
	struct segment_read *read = job->read;
	uint64_t offset = job->place->offset;
	struct record_site site = segment_site(job->segment, offset);
	struct slice bytes = { job->segment->map.address + offset,
			       job->place->size_bytes };
	struct record record;

	if (record_decode(bytes, &site, read->size != 0, &record) !=
	    RECORD_GOOD)
		return -EBADMSG;
	if (record.size_bytes != job->place->size_bytes ||
	    record.type !=
		    (job->place->tombstone ? RECORD_DELETE : RECORD_SET) ||
	    !slice_equal(record.key, read->key))
		return -EUCLEAN;
	read->value_size = record.value.size;
	read->raw_size = record.raw_size;
	read->flags = record.flags;
	read->lsn = record.lsn;
	read->read = 0;
	if (read->offset < record.value.size && read->size) {
		read->read = record.value.size - read->offset;
		if (read->read > read->size)
			read->read = read->size;
		memcpy(read->dst,
		       (const uint8_t *)record.value.data + read->offset,
		       read->read);
	}
	return 0;
}

int segment_holds(struct segment *segment, const struct place *place)
{
	int error = segment_map(segment);

	if (error)
		return error;
	if (place->offset > segment->map.size ||
	    place->size_bytes > segment->map.size - place->offset)
		return -EBADMSG;
	return 0;
}

int segment_read(struct segment *segment, const struct place *place,
		 struct segment_read *read)
{
	struct read_job job = { segment, place, read };
	uint64_t ahead_offset, ahead_size;
	int error = segment_holds(segment, place);

	if (error)
		return error;
	if (place->size_bytes >= PREFETCH_BYTES) {
		ahead_size = readahead_next(&segment->ahead, place->offset,
					    place->size_bytes, &ahead_offset);
		io_map_prefetch(&segment->map, ahead_offset, ahead_size);
	}
	return io_guarded(&segment->map, place->offset, place->size_bytes,
			  segment_read_mapped, &job);
}
