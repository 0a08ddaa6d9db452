/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Space kept back for getting out of a full disk: for deletions, which append
 * to the log, and for compaction, which copies before it frees.
 *
 * While the disk has plenty there is nothing to keep. When what is free comes
 * near the reserve's size, a file of that size is allocated; a file, so that
 * nobody else on the disk can have the space. Who may use it gives it up in
 * parts:
 *
 *	 0                                 3/4                whole
 *	 |  checkpoints and compaction      |   deletions      |
 *
 * so deletions cannot take what the compaction after them needs. Once any of it
 * was given up, ordinary changes are refused until the whole is there again.
 */

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/io.h"
#include "engine/lock.h"

#define RESERVE_NAME "RESERVE"

/* Who asks: how much of the reserve may be given up for it. */
enum reserve_use {
	RESERVE_FOR_CHANGE,     /* nothing */
	RESERVE_FOR_DELETION,   /* down to three quarters */
	RESERVE_FOR_COMPACTION, /* all */
};

struct reserve {
	/* Constant after open. */
	struct io *io;
	int dir_fd;
	bool enabled;

	/* Atomic. */
	atomic_bool low; /* something was given up, and is not back yet */
	/* Full though the disk says otherwise: a quota. From then on the only
	 * way to know what is free is to take it. */
	atomic_bool blind;
	atomic_uint_fast64_t size_bytes;  /* of the whole */
	atomic_uint_fast64_t held_bytes;  /* changed under the lock only */
	atomic_uint_fast64_t given_count; /* how often some was given up */

	struct mutex lock; /* a leaf; held over calls of the system */
};

void reserve_init(struct reserve *reserve);
void reserve_release(struct reserve *reserve);

/*
 * Takes over what is there of the reserve in the store's directory, which is
 * borrowed. size_bytes: of the whole; may change later by reserve_resize.
 */
int reserve_open(struct reserve *reserve, struct io *io, int dir_fd,
		 uint64_t size_bytes);
void reserve_resize(struct reserve *reserve, uint64_t size_bytes);

/*
 * Before the store's files grow by about want_bytes: makes sure that what has to
 * stay for others is held, or not needed as yet. 0, -ENOSPC.
 */
int reserve_keep(struct reserve *reserve, enum reserve_use use,
		 uint64_t want_bytes);

/* What reserve_yield wants to know of the moment before something is tried. */
static inline uint64_t reserve_moment(struct reserve *reserve)
{
	return atomic_load(&reserve->given_count);
}

/*
 * After something failed by `error`: whether to try again, because it was for
 * want of space, and the reserve has given some up now; to compaction also if it
 * has to others since *moment, which becomes now.
 */
bool reserve_yield(struct reserve *reserve, enum reserve_use use, int error,
		   uint64_t *moment);

static inline bool reserve_is_low(struct reserve *reserve)
{
	return atomic_load_explicit(&reserve->low, memory_order_relaxed);
}

/* Whether an error means that the disk is full. */
static inline bool error_is_full(int error)
{
	return error == -ENOSPC || error == -EDQUOT;
}
