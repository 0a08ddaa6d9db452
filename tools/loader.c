/* SPDX-License-Identifier: MIT */

/*
 * Loading. Invariant: `place` and `draft` are held exactly while `drafting`.
 * One thread.
 */

#include "tools/loader.h"

#include <errno.h>

#include "tools/kvctl.h"
#include "tools/report.h"

void loader_init(struct loader *loader, struct target *target,
		 const char *label)
{
	*loader = (struct loader){ .target = target };
	batch_init(&loader->batch, target);
	progress_begin(&loader->progress, label);
}

static void loader_fail(struct loader *loader, int error)
{
	report_errno(error, "%.*s", (int)loader->key.size,
		     (const char *)loader->key.data);
	loader->failed = true;
	loader->skip = true;
}

/* Whether the key exists, as target_find(). */
static int place_find(struct loader *loader)
{
	int r = key_parse(&loader->names, buf_slice(&loader->key));

	return r ? r :
		   target_find(loader->target, &loader->names,
			       TARGET_MAKE_PARENTS, &loader->place);
}

void loader_begin(struct loader *loader, struct slice key)
{
	int r;

	buf_clear(&loader->value);
	loader->attributes = (struct target_attributes){ 0 };
	loader->skip = false;
	r = buf_assign(&loader->key, key);
	if (r)
		loader_fail(loader, r);
}

/* The value gets larger than a batch. */
static int draft_begin(struct loader *loader)
{
	int r;

	/* Keys before this one come before it, should one be the same. */
	batch_flush(&loader->batch);
	r = place_find(loader);
	if (r < 0)
		return r;
	r = target_draft_begin(loader->target, &loader->place, r == 0,
			       &loader->draft);
	if (r) {
		target_place_release(loader->target, &loader->place);
		return r;
	}
	loader->drafting = true;
	r = target_draft_append(loader->target, &loader->draft,
				loader->value.data, loader->value.size);
	buf_release(&loader->value);
	return r;
}

static void draft_end(struct loader *loader, bool commit)
{
	int r = 0;

	loader->draft.attributes = loader->attributes;
	if (commit)
		r = target_draft_commit(loader->target, &loader->draft, 0);
	else
		target_draft_cancel(loader->target, &loader->draft);
	target_place_release(loader->target, &loader->place);
	loader->drafting = false;
	if (r)
		loader_fail(loader, r);
}

void loader_data(struct loader *loader, struct slice bytes)
{
	int r = 0;

	if (loader->skip)
		return;
	if (!loader->drafting &&
	    loader->value.size + bytes.size > BATCH_BYTES_MAX)
		r = draft_begin(loader);
	if (r == 0 && loader->drafting)
		r = target_draft_append(loader->target, &loader->draft,
					bytes.data, bytes.size);
	else if (r == 0)
		r = buf_append(&loader->value, bytes.data, bytes.size);
	if (r)
		loader_fail(loader, r);
}

void loader_cancel(struct loader *loader)
{
	if (loader->drafting)
		draft_end(loader, false);
	loader->skip = true;
}

void loader_end(struct loader *loader)
{
	int r;

	if (loader->drafting) {
		draft_end(loader, !loader->skip);
		return;
	}
	if (loader->skip)
		return;
	r = place_find(loader);
	if (r >= 0) {
		r = batch_put(&loader->batch, &loader->place, r == 0,
			      buf_slice(&loader->key),
			      buf_slice(&loader->value), &loader->attributes);
		target_place_release(loader->target, &loader->place);
	}
	if (r < 0)
		loader_fail(loader, r);
}

void loader_progress(struct loader *loader, uint64_t bytes)
{
	loader->done_bytes += bytes;
	progress_update(&loader->progress, loader->done_bytes,
			loader->total_bytes);
}

int loader_finish(struct loader *loader)
{
	bool failed;

	if (!interrupt_seen())
		batch_flush(&loader->batch);
	progress_end(&loader->progress);
	failed = loader->failed || loader->batch.failed || interrupt_seen();
	batch_release(&loader->batch);
	buf_release(&loader->key);
	buf_release(&loader->value);
	key_release(&loader->names);
	return failed ? KVCTL_ERROR : KVCTL_DONE;
}
