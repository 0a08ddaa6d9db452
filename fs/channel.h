/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The way to and from /dev/fuse, where it is not libfuse's:
 *
 * - flags in the answer to INIT that libfuse 3.14 knows but never sends
 *   (HANDLE_KILLPRIV_V2, PARALLEL_DIROPS); from libfuse 3.17 on this does
 *   nothing, as that sends them itself;
 * - what requests say and libfuse does not pass on (flags of a write);
 * - waiting for requests: awake for a moment, while they come in a stream;
 * - the buffers that requests are read into, which a worker may take over with
 *   the data of a write in them, so that nothing is copied.
 */

#ifndef FUSE_USE_VERSION
#define FUSE_USE_VERSION 312
#endif

#include <fuse_lowlevel.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/lock.h"
#include "fs/spin.h"

/* So many unused buffers, of 1 MiB each, are kept; more are freed. */
#define CHANNEL_SPARE_MAX 8u

struct channel {
	/* the dispatcher's */
	struct fuse_buf buffer; /* of the request in hand */
	bool taken;             /* a worker has it */
	bool blocking;          /* the device's reads wait */
	bool amends_init;       /* libfuse leaves flags out */
	uint64_t init_unique;   /* of the INIT that waits for its reply, or 0 */
	uint64_t init_offered;  /* FUSE_* of linux/fuse.h, by the kernel */
	uint64_t init_wanted;   /* to be added to the reply if offered */
	struct spin spin;
	uint64_t received_ns; /* when the last request was */

	struct mutex lock;
	/* guarded by lock */
	struct fuse_buf spare[CHANNEL_SPARE_MAX];
	unsigned int spare_count;
};

void channel_init(struct channel *channel);
void channel_release(struct channel *channel);

/* Once, between fuse_session_mount and the first request. 0 or -errno. */
int channel_install(struct channel *channel, struct fuse_session *session);

/* Did the kernel offer all of these flags, and do we answer INIT? Known once
 * INIT was read. */
bool channel_offers(const struct channel *channel, uint64_t flags);
/* Adds to what the answer to INIT shall have. */
void channel_want(struct channel *channel, uint64_t flags);

/* Reads the next request. Its size; 0 at the end; -EINTR, -errno. */
int channel_receive(struct channel *channel, struct fuse_session *session);

/* The header of the request in hand; NULL when it is too short for one. */
struct fuse_in_header;
const struct fuse_in_header *channel_header(const struct channel *channel);
/* FUSE_WRITE_* of the write in hand. */
uint32_t channel_write_flags(const struct channel *channel);

/* The buffer of the request in hand, and taking it over (and back). */
const struct fuse_buf *channel_buffer(const struct channel *channel);
void channel_buffer_take(struct channel *channel);
void channel_buffer_untake(struct channel *channel);
/* Gives a taken buffer back, from any thread. */
void channel_buffer_put(struct channel *channel, struct fuse_buf *buffer);
