/* SPDX-License-Identifier: MIT */

/*
 * /dev/fuse beside libfuse.
 *
 * The answer to INIT. libfuse hands every read and every write of the device
 * through fuse_session_custom_io(). Of the reads the INIT request is noted,
 * and the reply with its unique number gets the flags that op_init wanted and
 * the kernel offered. INIT comes first and alone, in the dispatcher, so this
 * needs no lock; later replies, from any thread, find init_unique to be 0.
 *
 * Invariants:
 *  1. `buffer` is the dispatcher's unless `taken`; then it is forgotten before
 *     the next request is read.
 *  2. A buffer has one owner: the dispatcher, a task, or the list of spares,
 *     which the lock guards.
 */

#include "fs/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fs/mount.h"

/* From this version on libfuse sends all flags it knows. */
#define LIBFUSE_COMPLETE 317

/* Those that we may run on. */
static long processor_count(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) ? 1 : CPU_COUNT(&set);
}

void channel_init(struct channel *channel)
{
	*channel = (struct channel){ .amends_init = fuse_version() <
						    LIBFUSE_COMPLETE,
				     .blocking = true };
	spin_init(&channel->spin, processor_count());
	mutex_init(&channel->lock);
}

void channel_release(struct channel *channel)
{
	/* One that was taken has come back as a spare. */
	if (!channel->taken)
		free(channel->buffer.mem);
	while (channel->spare_count)
		free(channel->spare[--channel->spare_count].mem);
	mutex_release(&channel->lock);
}

/* --- INIT --- */

static void note_init(struct channel *channel, const void *bytes, size_t size)
{
	struct fuse_in_header header;
	struct fuse_init_in init = { 0 };

	if (size < sizeof(header))
		return;
	memcpy(&header, bytes, sizeof(header));
	if (header.opcode != FUSE_INIT)
		return;
	size -= sizeof(header);
	memcpy(&init, (const char *)bytes + sizeof(header),
	       size < sizeof(init) ? size : sizeof(init));
	channel->init_unique = header.unique;
	channel->init_offered = init.flags;
	if (init.flags & FUSE_INIT_EXT)
		channel->init_offered |= (uint64_t)init.flags2 << 32;
}

static void amend_init(struct channel *channel, const struct iovec *iov,
		       int count)
{
	struct fuse_out_header header;
	struct fuse_init_out init;
	uint64_t flags = channel->init_wanted & channel->init_offered;

	if (count < 2 || iov[0].iov_len < sizeof(header) ||
	    iov[1].iov_len < sizeof(init))
		return;
	memcpy(&header, iov[0].iov_base, sizeof(header));
	if (header.unique != channel->init_unique || header.error)
		return;
	channel->init_unique = 0;
	memcpy(&init, iov[1].iov_base, sizeof(init));
	init.flags |= (uint32_t)flags;
	if (flags >> 32) {
		init.flags |= FUSE_INIT_EXT;
		init.flags2 |= (uint32_t)(flags >> 32);
	}
	memcpy(iov[1].iov_base, &init, sizeof(init));
}

static ssize_t channel_read(int fd, void *bytes, size_t size, void *userdata)
{
	struct mount *mount = userdata;
	ssize_t got = read(fd, bytes, size);

	if (got > 0 && !mount->initialised)
		note_init(&mount->channel, bytes, (size_t)got);
	return got;
}

static ssize_t channel_writev(int fd, struct iovec *iov, int count,
			      void *userdata)
{
	struct mount *mount = userdata;

	if (mount->channel.init_unique)
		amend_init(&mount->channel, iov, count);
	return writev(fd, iov, count);
}

int channel_install(struct channel *channel, struct fuse_session *session)
{
	static const struct fuse_custom_io io = {
		.read = channel_read,
		.writev = channel_writev,
	};

	if (!channel->amends_init)
		return 0;
	return fuse_session_custom_io(session, &io, fuse_session_fd(session));
}

bool channel_offers(const struct channel *channel, uint64_t flags)
{
	return channel->amends_init && (channel->init_offered & flags) == flags;
}

void channel_want(struct channel *channel, uint64_t flags)
{
	channel->init_wanted |= flags;
}

/* --- requests --- */

/* Asleep, a read that blocks is the least that can be done for a request. */
static int device_set_blocking(struct channel *channel,
			       struct fuse_session *session, bool blocking)
{
	int fd = fuse_session_fd(session);
	int flags = fcntl(fd, F_GETFL);

	flags = blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
	if (fcntl(fd, F_SETFL, flags))
		return -errno;
	channel->blocking = blocking;
	return 0;
}

/* Waits awake for so long; -EAGAIN when nothing has come. */
static int receive_awake(struct channel *channel, struct fuse_session *session,
			 uint64_t begin_ns, uint64_t wait_ns)
{
	int got;

	do
		got = fuse_session_receive_buf(session, &channel->buffer);
	while (got == -EAGAIN && time_now_ns() - begin_ns < wait_ns);
	return got;
}

static int device_poll(struct fuse_session *session)
{
	struct pollfd device = { .fd = fuse_session_fd(session),
				 .events = POLLIN };

	return poll(&device, 1, -1) < 0 ? -errno : 0;
}

/* libfuse allocates a buffer when there is none. */
static int receive(struct channel *channel, struct fuse_session *session)
{
	bool spins = spin_is_wanted(&channel->spin);
	uint64_t begin_ns = time_now_ns();
	uint64_t now_ns;
	int got;

	if (channel->blocking == spins) {
		got = device_set_blocking(channel, session, !spins);
		if (got)
			return got;
	}
	got = spins ? receive_awake(channel, session, begin_ns,
				    spin_wait_ns(&channel->spin)) :
		      fuse_session_receive_buf(session, &channel->buffer);
	while (got == -EAGAIN) {
		got = device_poll(session);
		if (!got)
			got = fuse_session_receive_buf(session,
						       &channel->buffer);
	}
	if (got > 0) {
		now_ns = time_now_ns();
		spin_learn(&channel->spin, now_ns - begin_ns,
			   now_ns - channel->received_ns);
		channel->received_ns = now_ns;
	}
	return got;
}

int channel_receive(struct channel *channel, struct fuse_session *session)
{
	if (channel->taken) {
		channel->taken = false;
		channel->buffer = (struct fuse_buf){ .mem = NULL };
		mutex_lock(&channel->lock);
		if (channel->spare_count)
			channel->buffer =
				channel->spare[--channel->spare_count];
		mutex_unlock(&channel->lock);
	}
	return receive(channel, session);
}

const struct fuse_in_header *channel_header(const struct channel *channel)
{
	if (channel->buffer.size < sizeof(struct fuse_in_header))
		return NULL;
	return channel->buffer.mem;
}

uint32_t channel_write_flags(const struct channel *channel)
{
	const struct fuse_in_header *header = channel_header(channel);
	struct fuse_write_in write;

	if (!header || header->opcode != FUSE_WRITE ||
	    channel->buffer.size < sizeof(*header) + sizeof(write))
		return 0;
	memcpy(&write, header + 1, sizeof(write));
	return write.write_flags;
}

const struct fuse_buf *channel_buffer(const struct channel *channel)
{
	return &channel->buffer;
}

void channel_buffer_take(struct channel *channel)
{
	channel->taken = true;
}

void channel_buffer_untake(struct channel *channel)
{
	channel->taken = false;
}

void channel_buffer_put(struct channel *channel, struct fuse_buf *buffer)
{
	bool kept = false;

	mutex_lock(&channel->lock);
	if (channel->spare_count < CHANNEL_SPARE_MAX) {
		channel->spare[channel->spare_count++] = *buffer;
		kept = true;
	}
	mutex_unlock(&channel->lock);
	if (!kept)
		free(buffer->mem);
	buffer->mem = NULL;
}
