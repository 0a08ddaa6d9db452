/* SPDX-License-Identifier: MIT */
#pragma once

/* Counters that any thread may read at any time. No order goes with them. */

#include <stdatomic.h>
#include <stdint.h>

static inline void counter_add(atomic_uint_fast64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* Where nobody else adds: without an atomic addition. */
static inline void counter_add_alone(atomic_uint_fast64_t *counter, uint64_t n)
{
	n += atomic_load_explicit(counter, memory_order_relaxed);
	atomic_store_explicit(counter, n, memory_order_relaxed);
}
