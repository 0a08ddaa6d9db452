/* SPDX-License-Identifier: MIT */
#pragma once

/* Opening a store that its last user may be about to close. */

#include "fs/fs.h"

/*
 * As fs_open. While another process has the store open, and no mount of it is
 * to be seen, that is waited for, up to five seconds, and up to two minutes when
 * it is a kvfs: umount(2) returns when the kernel has let go of a mount, and the
 * daemon then deletes what was unlinked, and writes its checkpoint. A signal
 * ends the wait. -EWOULDBLOCK: it is in use all the same.
 */
int fs_open_wait(const char *store_path, const struct fs_options *options,
		 struct fs **ret_fs);
