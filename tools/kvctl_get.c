/* SPDX-License-Identifier: MIT */

/*
 * get: values, in chunks of TARGET_CHUNK_BYTES, so that their size does not
 * matter.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "tools/kvctl.h"
#include "tools/output.h"
#include "tools/place.h"
#include "tools/report.h"

/* A failure to write has been reported by output.c, one to read has not. */
static int value_copy_out(struct invocation *inv, struct target_file *file,
			  struct slice key, void *chunk)
{
	uint64_t offset = 0;
	size_t got;
	int r;

	for (;;) {
		r = interrupt_seen() ?
			    -ECANCELED :
			    target_file_read(inv->target, file, offset, chunk,
					     TARGET_CHUNK_BYTES, &got);
		if (r) {
			report_errno(r, "%.*s: at byte %" PRIu64,
				     KEY_PRINTED(key), offset);
			return r == -ECANCELED ? r : KVCTL_ERROR;
		}
		if (!got)
			return KVCTL_DONE;
		r = output_write(slice_of(chunk, got));
		if (r)
			return r;
		offset += got;
	}
}

static int get_place(struct invocation *inv, struct target_place *place,
		     const struct key *key, struct slice text, void *chunk)
{
	struct target_file file;
	int r;

	(void)key;
	r = target_file_open(inv->target, place, &file);
	if (r == -EINVAL) {
		report_error("%.*s: not a regular file", KEY_PRINTED(text));
		return KVCTL_ERROR;
	}
	if (r) {
		report_errno(r, "%.*s", KEY_PRINTED(text));
		return KVCTL_ERROR;
	}
	r = value_copy_out(inv, &file, text, chunk);
	target_file_close(inv->target, &file);
	return r;
}

static int run_get(struct invocation *inv)
{
	void *chunk = malloc(TARGET_CHUNK_BYTES);
	int r;

	if (!chunk) {
		report_errno(-ENOMEM, "get");
		return KVCTL_ERROR;
	}
	r = each_place(inv, get_place, chunk, false);
	free(chunk);
	return r;
}

const struct command command_get = {
	.name = "get",
	.operands = "STORE KEY...",
	.summary = "Write values to standard output",
	.details =
	"The exact bytes of each value, one after another. KEY - reads keys\n"
	"from standard input, one a line.\n",
	.options = {
		{ "null", '0', NULL, "keys on standard input end in NUL" },
	},
	.target = COMMAND_READS,
	.operands_min = 1,
	.operands_max = -1,
	.run = run_get,
};
