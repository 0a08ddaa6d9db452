/* SPDX-License-Identifier: MIT */

/* From the names of keys to their places; nothing is kept between them. */

#include "tools/place.h"

#include "tools/input.h"
#include "tools/report.h"

struct place_task {
	place_fn *fn;
	void *ctx;
	bool quiet;
};

static int on_key(struct invocation *inv, struct slice text, void *ctx)
{
	const struct place_task *task = ctx;
	struct target_place place;
	struct key key = { 0 };
	int r;

	r = key_parse(&key, text);
	if (r == 0)
		r = target_find(inv->target, &key, 0, &place);
	if (r < 0) {
		report_errno(r, "%.*s", KEY_PRINTED(text));
		key_release(&key);
		return KVCTL_ERROR;
	}
	if (r == 0) {
		r = task->fn(inv, &place, &key, text, task->ctx);
	} else {
		if (!task->quiet)
			report_error("%.*s: no such key", KEY_PRINTED(text));
		r = KVCTL_ABSENT;
	}
	target_place_release(inv->target, &place);
	key_release(&key);
	return r;
}

int each_place(struct invocation *inv, place_fn *fn, void *ctx, bool quiet)
{
	struct place_task task = { .fn = fn, .ctx = ctx, .quiet = quiet };

	return input_each_key(inv, 0, on_key, &task);
}
