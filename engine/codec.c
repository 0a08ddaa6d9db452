/* SPDX-License-Identifier: MIT */

/*
 * The part of the codec that is not worth inlining: varints of more than one
 * byte, and those that are malformed. Stateless, so without locks.
 *
 * Invariant: every value has exactly one encoding that is accepted, so bytes
 * that decode and encode again are the same bytes.
 */

#include "engine/codec.h"

uint64_t get_varint_slow(struct reader *r)
{
	uint64_t v = 0;

	for (unsigned int shift = 0; shift < 70; shift += 7) {
		const uint8_t *p = reader_take(r, 1);

		if (!p)
			return 0;
		/* The tenth byte has room for bit 63 alone. */
		if (shift == 63 && *p > 1)
			break;
		v |= (uint64_t)(*p & 0x7f) << shift;
		if (*p & 0x80)
			continue;
		/* A last byte of zero adds nothing: longer than needed. */
		if (*p == 0 && shift > 0)
			break;
		return v;
	}
	r->bad = true;
	return 0;
}
