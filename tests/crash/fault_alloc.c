/* SPDX-License-Identifier: MIT */

/* Allocations that fail: see fault_alloc.h. */

#include "tests/crash/fault_alloc.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>

static atomic_bool allocations_watched;
static atomic_uint_fast64_t allocation_calls, allocation_hits;
static uint64_t allocation_first, allocation_times;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
char *__real_strdup(const char *text);
ssize_t __real_getrandom(void *dst, size_t size, unsigned int flags);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*run)(void *), void *ctx);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);
char *__wrap_strdup(const char *text);
ssize_t __wrap_getrandom(void *dst, size_t size, unsigned int flags);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*run)(void *), void *ctx);

static bool allocation_fails(void)
{
	uint64_t call;

	if (!atomic_load(&allocations_watched))
		return false;
	call = atomic_fetch_add(&allocation_calls, 1) + 1;
	if (call < allocation_first ||
	    call - allocation_first >= allocation_times)
		return false;
	atomic_fetch_add(&allocation_hits, 1);
	return true;
}

void *__wrap_malloc(size_t size)
{
	return allocation_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return allocation_fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return allocation_fails() ? NULL : __real_realloc(old, size);
}

void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
	return allocation_fails() ? NULL :
				    __real_reallocarray(old, count, size);
}

void *__wrap_aligned_alloc(size_t align, size_t size)
{
	return allocation_fails() ? NULL : __real_aligned_alloc(align, size);
}

char *__wrap_strdup(const char *text)
{
	return allocation_fails() ? NULL : __real_strdup(text);
}

/* No allocation, but fails as rarely and is as easily forgotten. */
ssize_t __wrap_getrandom(void *dst, size_t size, unsigned int flags)
{
	return allocation_fails() ? -1 : __real_getrandom(dst, size, flags);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*run)(void *), void *ctx)
{
	return allocation_fails() ?
		       EAGAIN :
		       __real_pthread_create(thread, attr, run, ctx);
}

void fault_alloc_arm(uint64_t first, uint64_t times)
{
	allocation_first = first;
	allocation_times = times;
	atomic_store(&allocation_calls, 0);
	atomic_store(&allocation_hits, 0);
	atomic_store(&allocations_watched, first != 0);
}

bool fault_alloc_armed(void)
{
	return atomic_load(&allocations_watched);
}

uint64_t fault_alloc_hit_count(void)
{
	return atomic_load(&allocation_hits);
}
