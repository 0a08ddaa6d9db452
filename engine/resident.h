/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What of a store's mapped files is resident, which counts as the process's
 * memory though the system could take it back any time: not more than three
 * times the memory that the options grant, whoever reads how much. As far as
 * that there is no work in it; beyond, who touches something new gives back what
 * was touched long ago. It comes again for a minor fault while it is cached.
 *
 * What the process's other stores map counts as well, but is theirs to give back.
 */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/lock.h"

struct resident {
	atomic_uint_fast64_t look_at; /* as io_map_touches() */

	/* Constant: how much was mapped before the store was opened. */
	uint64_t base_bytes;

	/* Guarded by lock, below which a view is acquired: where to go on giving
	 * back, in the runs and then the segments of the view. */
	struct mutex lock;
	size_t file;
	uint64_t offset;
};
