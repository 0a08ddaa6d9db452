/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A progress bar on stderr, drawn only when that is a terminal, at most ten
 * times a second, and taken away again when the work ends.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
	const char *label; /* what is being done: "compact" */
	bool enabled;
	uint64_t started_ns;
	uint64_t drawn_ns; /* when it was last drawn; 0: never */
};

/* `label` is borrowed until progress_end(). One bar at a time. */
void progress_begin(struct progress *progress, const char *label);
/* done and total are bytes; total 0: unknown. */
void progress_update(struct progress *progress, uint64_t done, uint64_t total);
void progress_end(struct progress *progress);

/*
 * The text of a bar that is at most `width` columns wide, for example
 *	compact  [#########.............]   41%  1.2 GiB of 2.9 GiB  0:12
 * the last being the time left (elapsed time while that cannot be told).
 * Returns its length; dst must have room for width + 1 bytes.
 */
size_t progress_format(char *dst, size_t width, const char *label,
		       uint64_t done, uint64_t total, uint64_t elapsed_ms);

/* "0 B", "1.5 MiB": at most three significant figures. Returns dst. */
char *progress_format_bytes(char *dst, size_t size, uint64_t bytes);
