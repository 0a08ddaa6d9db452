/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What floorfs does on /dev/fuse beside libfuse: adding flags to the INIT
 * reply that libfuse 3.14 knows but never sends, and waiting for a request by
 * spinning. Both hang on fuse_session_custom_io().
 */

#include <stdint.h>

struct fuse_session;

struct channel_options {
	uint64_t init_flags; /* FUSE_* of linux/fuse.h, where offered */
	uint64_t spin_ns;    /* spin so long for a request before sleeping */
};

/*
 * To be called once, between fuse_session_mount and the loop. The options are
 * used until the session ends. 0 or -errno.
 */
int channel_install(struct fuse_session *session,
		    const struct channel_options *options);

/* Of init_flags, those that the kernel offered and the reply now has. */
uint64_t channel_init_flags(void);
