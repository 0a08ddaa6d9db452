/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The session with the kernel: made from options, mounted, run until somebody
 * unmounts or a signal comes, and unmounted.
 */

#include "fs/mount.h"

/*
 * Blocks the signals that end a mount, for this thread and all it will start;
 * session_run waits for them. Called before the first thread.
 */
void session_block_signals(void);

/* Checks the FUSE options and prepares. 0; -EINVAL with one line. */
int session_new(struct mount *mount, struct options_error *ret_error);
/* Mounts; requests wait until session_run. 0; -EIO with one line. */
int session_mount(struct mount *mount, struct options_error *ret_error);

/*
 * Answers requests until the end, in the calling thread. `on_ready` is called
 * once, when the mount is usable. 0, or -errno when the device failed.
 * Workers may still be busy on return.
 */
int session_run(struct mount *mount, void (*on_ready)(void *ctx), void *ctx);

/* Unmounts what is still mounted. No request may be in work. */
void session_unmount(struct mount *mount);
/* Frees the session; NULL is allowed. */
void session_free(struct mount *mount);
