/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The reaper: a thread that frees what others were the last to use. Giving a
 * mapped file back can take the system tens of milliseconds, when its name is
 * gone and its blocks are freed with it, and the last to use one is often a
 * reader, or a writer under the write lock: neither has the time.
 */

#include <pthread.h>
#include <stdbool.h>

#include "engine/lock.h"

/* To be embedded in what is given away. */
struct reaped {
	struct reaped *next;
	void (*free)(struct reaped *reaped);
};

struct reaper {
	pthread_t thread;

	/* Guarded by lock, a leaf. */
	struct mutex lock;
	struct condition wanted;
	struct condition settled; /* nothing waits and nothing is being freed */
	struct reaped *head;
	bool running;
	bool stopping;
	bool busy;
};

void reaper_init(struct reaper *reaper);
/* Of one that is not running. */
void reaper_release(struct reaper *reaper);

/* -EAGAIN, -ENOMEM. */
int reaper_start(struct reaper *reaper);
/* Ends the thread when it has freed all there is. Does nothing when there is
 * none. */
void reaper_stop(struct reaper *reaper);

/* Has `reaped` freed, soon. False when there is no thread: then the caller
 * does. Waits for nothing but the lock. */
bool reaper_give(struct reaper *reaper, struct reaped *reaped);

/* Returns when all that was given so far is freed. For who needs the space of
 * it; not under a lock that a reader or a writer waits for. */
void reaper_drain(struct reaper *reaper);
