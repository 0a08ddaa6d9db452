/* SPDX-License-Identifier: MIT */

/*
 * Picks the library that computes CRC-32. Both compute zlib's, so a store
 * written with one opens with the other. Stateless, so without locks.
 */

#include "engine/crc32.h"

#ifdef HAVE_LIBDEFLATE
#include <libdeflate.h>
#else
#include <zlib.h>
#endif

uint32_t crc32_update(uint32_t crc, const void *data, size_t size)
{
	/* Both libraries take NULL for "begin anew" and would forget crc. */
	if (size == 0)
		return crc;
#ifdef HAVE_LIBDEFLATE
	return libdeflate_crc32(crc, data, size);
#else
	return (uint32_t)crc32_z(crc, data, size);
#endif
}
