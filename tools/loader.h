/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Keys and values on their way into a store, one after another, values in
 * pieces of any size:
 *
 *	loader_init -> (loader_begin, loader_data..., loader_end)...
 *	            -> loader_finish
 *
 * Small values gather in batches; one that is larger than a batch goes through
 * a draft of its own. What goes wrong with a key is reported and costs this
 * key; the others go on.
 */

#include "tools/batch.h"
#include "tools/progress.h"

struct loader {
	struct target *target;
	struct batch batch;
	struct progress progress;
	uint64_t done_bytes, total_bytes; /* for the bar; total 0: not known */
	bool failed;                      /* something was reported */

	/* of the key in hand */
	struct buf key; /* as the user writes it */
	struct buf value;
	struct target_attributes attributes; /* set after loader_begin() */
	bool skip;                           /* it has failed */
	bool drafting;
	struct key names;
	struct target_place place;
	struct target_draft draft;
};

/* label: of the progress bar. */
void loader_init(struct loader *loader, struct target *target,
		 const char *label);
void loader_begin(struct loader *loader, struct slice key);
void loader_data(struct loader *loader, struct slice bytes);
void loader_end(struct loader *loader);
/* The key in hand did not come whole: it stays as it is. */
void loader_cancel(struct loader *loader);
/* Counts bytes read and draws the bar. */
void loader_progress(struct loader *loader, uint64_t bytes);

/* Makes what gathered, unless a signal came, and releases. An enum
 * kvctl_exit. */
int loader_finish(struct loader *loader);
