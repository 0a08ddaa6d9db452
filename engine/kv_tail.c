/* SPDX-License-Identifier: MIT */

/*
 * The log as a stream of changes. Only log segments take part: cold ones hold
 * copies of what was streamed before.
 */

#include <errno.h>
#include <stdlib.h>

#include "engine/kv_internal.h"
#include "engine/scan.h"

struct tail {
	uint64_t next_lsn;
	uint64_t last_lsn; /* when the call began */
	kv_tail_fn *fn;
	void *ctx;
};

static int tail_show(struct tail *tail, const struct record *record)
{
	struct kv_change change = {
		.lsn = record->lsn,
		.deletion = record->type == RECORD_DELETE,
		.more = record->flags & RECORD_MORE,
		.key = record->key,
		.value = record->value,
	};
	struct buf expanded = { 0 };
	int result = 0;

	if (record->flags & RECORD_ZLIB) {
		result = value_expand(record->value, record->raw_size,
				      &expanded);
		change.value = buf_slice(&expanded);
	}
	if (!result)
		result = tail->fn(tail->ctx, &change);
	buf_release(&expanded);
	return result;
}

static int tail_segment(struct tail *tail, struct segment *segment)
{
	struct scan scan = { 0 };
	struct record record;
	uint64_t offset;
	int result = scan_init(&scan, segment, 0, segment->limit);

	scan.want_values = true;
	scan.verify_values = true;
	while (!result && tail->next_lsn <= tail->last_lsn) {
		int event = scan_next(&scan, &record, &offset);

		if (event == SCAN_END)
			break;
		if (event == SCAN_BAD || event == SCAN_BAD_VALUE)
			result = -EBADMSG;
		else if (event < 0)
			result = event;
		else if (record.type == RECORD_SEAL)
			break;
		if (result || record.type == RECORD_MARK ||
		    record.lsn < tail->next_lsn)
			continue;
		if (record.lsn > tail->next_lsn)
			result = -ESTALE;
		else
			result = tail_show(tail, &record);
		tail->next_lsn = record.lsn + 1;
	}
	scan_release(&scan);
	return result;
}

int kv_tail(struct kv *kv, uint64_t after_lsn, kv_tail_fn *fn, void *ctx)
{
	struct tail tail = { after_lsn + 1, kv_last_lsn(kv), fn, ctx };
	struct view *view = kv_view_acquire(kv);
	struct segment *segment = NULL;
	int result = 0;

	for (size_t i = 0; i < view->segment_count && !result; i++) {
		const struct segment *following = NULL;

		segment = view->segments[i];
		if (segment->header.kind != SEGMENT_LOG)
			continue;
		for (size_t j = i + 1; j < view->segment_count && !following;
		     j++)
			if (view->segments[j]->header.kind == SEGMENT_LOG)
				following = view->segments[j];
		if (following && following->header.base_lsn <= tail.next_lsn)
			continue;
		if (segment->header.base_lsn > tail.next_lsn)
			result = -ESTALE;
		else
			result = tail_segment(&tail, segment);
	}
	view_unref(view);
	if (!result && tail.next_lsn <= tail.last_lsn)
		result = -ESTALE;
	return result;
}
