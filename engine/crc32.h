/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * CRC-32 as zlib computes it (reflected polynomial 0xEDB88320, initial and
 * final complement). Built on libdeflate when meson finds it, which computes
 * the same function several times faster, else on zlib.
 */

#include <stddef.h>
#include <stdint.h>

/*
 * Continues `crc` (0 to begin) over `size` bytes. crc32_update(crc32_update(0,
 * a), b) is the CRC of a followed by b.
 */
uint32_t crc32_update(uint32_t crc, const void *data, size_t size);
