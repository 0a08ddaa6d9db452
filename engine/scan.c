/* SPDX-License-Identifier: MIT */

/*
 * Scanning a segment. No lock: a scan belongs to one thread, and the bytes
 * below its end never change.
 */

#include "engine/scan.h"

#include <errno.h>
#include <string.h>

/* Room for most records at the first try. */
#define SCAN_BUFFER_BYTES (64u << 10)
/* How much a step is said to read, which counts as resident from then on: where
 * the record ends is not known before. The rest of a larger one is not counted. */
#define SCAN_STEP_BYTES (1u << 20)

int scan_init(struct scan *scan, struct segment *segment, uint64_t offset,
	      uint64_t end)
{
	int error = segment_map(segment);

	if (error)
		return error;
	*scan = (struct scan){ .segment = segment,
			       .offset = offset ? offset : SEGMENT_HEADER_BYTES,
			       .end = end < segment->map.size ?
					      end :
					      segment->map.size };
	return buf_reserve(&scan->bytes, SCAN_BUFFER_BYTES);
}

void scan_release(struct scan *scan)
{
	buf_release(&scan->bytes);
}

struct scan_job {
	struct scan *scan;
	struct record record;
	enum record_status status;
	size_t copy_size; /* key and value; more than fits: nothing copied */
};

/* Under the guard: decodes, and copies what fits into the buffer. */
static int scan_decode(void *ctx)
{
	struct scan_job *job = ctx;
	struct scan *scan = job->scan;
	struct record_site site = segment_site(scan->segment, scan->offset);
	struct slice bytes = { scan->segment->map.address + scan->offset,
			       scan->end - scan->offset };
	struct record *record = &job->record;
	uint8_t *dst = scan->bytes.data;

	job->status = record_decode(bytes, &site, scan->verify_values, record);
	job->copy_size = 0;
	if (job->status != RECORD_GOOD && job->status != RECORD_BAD_VALUE)
		return 0;
	if (!record->value.data || !scan->want_values)
		record->value.data = NULL;
	job->copy_size = record->key.size +
			 (record->value.data ? record->value.size : 0);
	if (job->copy_size > scan->bytes.capacity)
		return 0;
	if (record->key.size)
		memcpy(dst, record->key.data, record->key.size);
	record->key.data = dst;
	if (record->value.data) {
		memcpy(dst + record->key.size, record->value.data,
		       record->value.size);
		record->value.data = dst + record->key.size;
	}
	return 0;
}

int scan_next(struct scan *scan, struct record *ret_record,
	      uint64_t *ret_offset)
{
	struct scan_job job = { .scan = scan };
	uint64_t step;
	int error;

	*ret_offset = scan->offset;
	if (scan->offset >= scan->end)
		return SCAN_END;
	step = scan->end - scan->offset;
	if (step > SCAN_STEP_BYTES)
		step = SCAN_STEP_BYTES;
	for (;;) {
		error = io_guarded(&scan->segment->map, scan->offset, step,
				   scan_decode, &job);
		if (error)
			return error;
		if (job.copy_size <= scan->bytes.capacity)
			break;
		buf_clear(&scan->bytes);
		error = buf_reserve(&scan->bytes, job.copy_size);
		if (error)
			return error;
	}
	if (job.status == RECORD_NONE)
		return SCAN_END;
	if (job.status == RECORD_BAD_HEAD)
		return SCAN_BAD;
	*ret_record = job.record;
	/* A value cut off by the end of the file goes beyond it. */
	scan->offset += job.record.size_bytes;
	return job.status == RECORD_GOOD ? SCAN_RECORD : SCAN_BAD_VALUE;
}

struct resync_job {
	struct scan *scan;
	uint64_t lsn_min, lsn_max;
	uint64_t found; /* offset; 0: none */
};

static bool resync_accepts(const struct resync_job *job,
			   const struct record *record)
{
	/* The LSN that a MARK or SEAL carries may be an old one. */
	if (record->type == RECORD_MARK || record->type == RECORD_SEAL)
		return record->lsn <= job->lsn_max;
	return record->lsn >= job->lsn_min && record->lsn <= job->lsn_max;
}

/*
 * Under the guard. Most of what is skipped is zeros, eight at a time; any other
 * byte may be the type of a record that began four bytes before it.
 */
static int resync_search(void *ctx)
{
	struct resync_job *job = ctx;
	struct scan *scan = job->scan;
	const uint8_t *base = scan->segment->map.address;
	uint64_t at = scan->offset + 1, word;
	struct record record;

	while (at + RECORD_MIN_BYTES <= scan->end) {
		struct record_site site = segment_site(scan->segment, at);
		struct slice bytes = { base + at, scan->end - at };
		unsigned int type = base[at + 4] & 0x0f;

		memcpy(&word, base + at, sizeof(word));
		if (!word) {
			at += 4;
			continue;
		}
		if (type >= RECORD_SET && type <= RECORD_SEAL &&
		    record_decode(bytes, &site, false, &record) ==
			    RECORD_GOOD &&
		    resync_accepts(job, &record)) {
			job->found = at;
			return 0;
		}
		at++;
	}
	return 0;
}

int scan_resync(struct scan *scan, uint64_t lsn_min, uint64_t lsn_max)
{
	struct resync_job job = { scan, lsn_min, lsn_max, 0 };
	int error;

	if (scan->offset >= scan->end)
		return 1;
	error = io_guarded(&scan->segment->map, scan->offset,
			   scan->end - scan->offset, resync_search, &job);
	if (error)
		return error;
	if (!job.found)
		return 1;
	scan->offset = job.found;
	return 0;
}
