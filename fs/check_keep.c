/* SPDX-License-Identifier: MIT */

/*
 * Keeping how far a check has come, so that another can go on. What is kept is
 * a place before which every problem has been told: while some wait for their
 * paths, the place before them stays. It is stored now and then, for those that
 * are killed, and at the end. A store that cannot be written to keeps nothing.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fs/check_internal.h"

/* Stored after so much that was read. */
#define KEEP_BYTES ((uint64_t)256 << 20)

int check_take_up(struct check *check)
{
	struct check_state state = { 0 };
	struct buf bytes = { 0 };
	struct kv_stats stats;
	int error;

	error = kv_note_load(check->fs->kv, check->note, &bytes);
	if (!error)
		error = check_state_decode(buf_slice(&bytes), &state);
	buf_release(&bytes);
	if (error)
		return error == -ENOMEM ? error : 0;
	/* Of a store that was copied over this one, for instance. */
	kv_stats(check->fs->kv, &stats);
	if (memcmp(state.uuid, stats.uuid, sizeof(stats.uuid)) != 0) {
		check_state_release(&state);
		return 0;
	}
	check->state = state;
	check->problem_count = state.problem_count;
	return 0;
}

static void note_store(struct check *check)
{
	if (check->kept.size)
		(void)kv_note_store(check->fs->kv, check->note,
				    buf_slice(&check->kept));
}

void check_keep(struct check *check, uint64_t done_bytes)
{
	if (!check->keeps || check->pending_count)
		return;
	check->state.problem_count = check->problem_count;
	/* Without memory for it, the place before is as good. */
	if (check_state_encode(&check->state, &check->kept))
		return;
	if (done_bytes - check->kept_bytes >= KEEP_BYTES) {
		check->kept_bytes = done_bytes;
		note_store(check);
	}
}

void check_keep_end(struct check *check, bool complete)
{
	if (check->keeps && complete)
		(void)kv_note_remove(check->fs->kv, check->note);
	else if (check->keeps)
		note_store(check);
	buf_release(&check->kept);
	check_state_release(&check->state);
}
