/* SPDX-License-Identifier: MIT */
/*
 * The way between floorfs and /dev/fuse.
 *
 * libfuse hands us each request as it reads it and each reply before it is
 * written. The INIT request's unique number and the flags in it are noted;
 * the reply to that number gets the flags that are wanted and were offered.
 * INIT comes first and alone, so the state needs no lock: whatever thread
 * handles a later request sees it through libfuse's own start of that thread.
 */

#define FUSE_USE_VERSION 312

#include "tests/bench/floor_channel.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct {
	const struct channel_options *options;
	uint64_t init_unique; /* 0: no INIT is waiting for its reply */
	uint64_t offered;
	uint64_t set;
} channel;

static void note_init(const void *bytes, size_t size)
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
	channel.init_unique = header.unique;
	channel.offered = init.flags;
	if (init.flags & FUSE_INIT_EXT)
		channel.offered |= (uint64_t)init.flags2 << 32;
}

static void amend_init(const struct iovec *iov, int count)
{
	struct fuse_out_header header;
	struct fuse_init_out *init;

	if (count < 2 || iov[0].iov_len < sizeof(header) ||
	    iov[1].iov_len < sizeof(*init))
		return;
	memcpy(&header, iov[0].iov_base, sizeof(header));
	if (header.unique != channel.init_unique || header.error)
		return;
	init = iov[1].iov_base;
	channel.set = channel.options->init_flags & channel.offered;
	init->flags |= (uint32_t)channel.set;
	if (channel.set >> 32) {
		init->flags |= FUSE_INIT_EXT;
		init->flags2 |= (uint32_t)(channel.set >> 32);
	}
	channel.init_unique = 0;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* As read(2), on a descriptor that does not block. */
static ssize_t read_spinning(int fd, void *bytes, size_t size)
{
	uint64_t end = now_ns() + channel.options->spin_ns;

	for (;;) {
		ssize_t n = read(fd, bytes, size);
		struct pollfd ready = { .fd = fd, .events = POLLIN };

		if (n >= 0 || errno != EAGAIN)
			return n;
		if (now_ns() >= end && poll(&ready, 1, -1) < 0)
			return -1;
	}
}

static ssize_t channel_read(int fd, void *bytes, size_t size, void *userdata)
{
	ssize_t n = channel.options->spin_ns ? read_spinning(fd, bytes, size) :
					       read(fd, bytes, size);

	(void)userdata;
	if (n > 0 && channel.init_unique == 0 && channel.offered == 0)
		note_init(bytes, (size_t)n);
	return n;
}

static ssize_t channel_writev(int fd, struct iovec *iov, int count,
			      void *userdata)
{
	(void)userdata;
	if (channel.init_unique != 0)
		amend_init(iov, count);
	return writev(fd, iov, count);
}

int channel_install(struct fuse_session *session,
		    const struct channel_options *options)
{
	static const struct fuse_custom_io io = {
		.read = channel_read,
		.writev = channel_writev,
	};
	int fd = fuse_session_fd(session);

	channel.options = options;
	if (options->spin_ns &&
	    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0)
		return -errno;
	return fuse_session_custom_io(session, &io, fd);
}

uint64_t channel_init_flags(void)
{
	return channel.set;
}
