/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Allocations that fail on command, and starts of threads and requests for
 * random bytes with them. A program that is linked with --wrap for each of
 * fault_alloc.c's __wrap_ functions has its calls come here; those of shared
 * libraries do not.
 */

#include <stdbool.h>
#include <stdint.h>

/* From the call `first` on, `times` of them fail. 0: none. */
void fault_alloc_arm(uint64_t first, uint64_t times);
bool fault_alloc_armed(void);
/* Those that failed since arming. */
uint64_t fault_alloc_hit_count(void);
