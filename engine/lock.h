/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Mutexes, readers-writer locks and conditions with clang's thread-safety
 * annotations. Every lock of the project comes from here. A leaf header. Where
 * pthreads report an error from these calls it is a programmer's (a lock
 * destroyed or never made), so they assert.
 */

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#if defined(__clang__)
#define LOCK_ATTRIBUTE(x) __attribute__((x))
#else
#define LOCK_ATTRIBUTE(x)
#endif

#define CAPABILITY(name) LOCK_ATTRIBUTE(capability(name))
#define GUARDED_BY(lock) LOCK_ATTRIBUTE(guarded_by(lock))
#define REQUIRES(lock) LOCK_ATTRIBUTE(requires_capability(lock))
#define REQUIRES_SHARED(lock) LOCK_ATTRIBUTE(requires_shared_capability(lock))
#define EXCLUDES(lock) LOCK_ATTRIBUTE(locks_excluded(lock))
#define ACQUIRES(lock) LOCK_ATTRIBUTE(acquire_capability(lock))
#define ACQUIRES_SHARED(lock) LOCK_ATTRIBUTE(acquire_shared_capability(lock))
#define RELEASES(lock) LOCK_ATTRIBUTE(release_capability(lock))
#define RELEASES_SHARED(lock) LOCK_ATTRIBUTE(release_shared_capability(lock))
#define NO_THREAD_SAFETY_ANALYSIS LOCK_ATTRIBUTE(no_thread_safety_analysis)

struct CAPABILITY("mutex") mutex {
	pthread_mutex_t os;
};

struct CAPABILITY("rwlock") rwlock {
	pthread_rwlock_t os;
};

struct condition {
	pthread_cond_t os;
};

static inline void lock_checked(int error)
{
	assert(error == 0);
	(void)error;
}

static inline void mutex_init(struct mutex *m)
{
	lock_checked(pthread_mutex_init(&m->os, NULL));
}

static inline void mutex_release(struct mutex *m)
{
	lock_checked(pthread_mutex_destroy(&m->os));
}

static inline void mutex_lock(struct mutex *m)
	ACQUIRES(m) NO_THREAD_SAFETY_ANALYSIS
{
	lock_checked(pthread_mutex_lock(&m->os));
}

/* False, at once, when somebody has it. */
static inline bool mutex_try_lock(struct mutex *m)
	LOCK_ATTRIBUTE(try_acquire_capability(true,
					      m)) NO_THREAD_SAFETY_ANALYSIS
{
	int error = pthread_mutex_trylock(&m->os);

	assert(error == 0 || error == EBUSY);
	return error == 0;
}

static inline void mutex_unlock(struct mutex *m)
	RELEASES(m) NO_THREAD_SAFETY_ANALYSIS
{
	lock_checked(pthread_mutex_unlock(&m->os));
}

/*
 * A waiting writer comes before new readers: by default readers who come and go
 * without a gap keep writers out for good. So a thread that holds the lock for
 * reading must not ask for it again.
 */
static inline void rwlock_init(struct rwlock *l)
{
	pthread_rwlockattr_t attr;

	lock_checked(pthread_rwlockattr_init(&attr));
#ifdef __GLIBC__
	lock_checked(pthread_rwlockattr_setkind_np(
		&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP));
#endif
	lock_checked(pthread_rwlock_init(&l->os, &attr));
	lock_checked(pthread_rwlockattr_destroy(&attr));
}

static inline void rwlock_release(struct rwlock *l)
{
	lock_checked(pthread_rwlock_destroy(&l->os));
}

/*
 * These locks are held for less than a microsecond, and a sleep with its waking
 * takes twenty times as long: so who finds one taken looks again for a while.
 */
#define RWLOCK_TRIES 200u

static inline void lock_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static inline void rwlock_read_lock(struct rwlock *l)
	ACQUIRES_SHARED(l) NO_THREAD_SAFETY_ANALYSIS
{
	for (unsigned int i = 0; i < RWLOCK_TRIES; i++) {
		if (pthread_rwlock_tryrdlock(&l->os) == 0)
			return;
		lock_pause();
	}
	lock_checked(pthread_rwlock_rdlock(&l->os));
}

static inline void rwlock_read_unlock(struct rwlock *l)
	RELEASES_SHARED(l) NO_THREAD_SAFETY_ANALYSIS
{
	lock_checked(pthread_rwlock_unlock(&l->os));
}

static inline void rwlock_write_lock(struct rwlock *l)
	ACQUIRES(l) NO_THREAD_SAFETY_ANALYSIS
{
	for (unsigned int i = 0; i < RWLOCK_TRIES; i++) {
		if (pthread_rwlock_trywrlock(&l->os) == 0)
			return;
		lock_pause();
	}
	lock_checked(pthread_rwlock_wrlock(&l->os));
}

static inline void rwlock_write_unlock(struct rwlock *l)
	RELEASES(l) NO_THREAD_SAFETY_ANALYSIS
{
	lock_checked(pthread_rwlock_unlock(&l->os));
}

/* Conditions wait on the monotonic clock. */
static inline void condition_init(struct condition *c)
{
	pthread_condattr_t attr;

	lock_checked(pthread_condattr_init(&attr));
	lock_checked(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
	lock_checked(pthread_cond_init(&c->os, &attr));
	lock_checked(pthread_condattr_destroy(&attr));
}

static inline void condition_release(struct condition *c)
{
	lock_checked(pthread_cond_destroy(&c->os));
}

static inline void condition_wait(struct condition *c, struct mutex *m)
	REQUIRES(m)
{
	lock_checked(pthread_cond_wait(&c->os, &m->os));
}

/* By that clock. */
static inline uint64_t time_now_ns(void)
{
	struct timespec reading;

	clock_gettime(CLOCK_MONOTONIC, &reading);
	return (uint64_t)reading.tv_sec * 1000000000u +
	       (uint64_t)reading.tv_nsec;
}

static inline struct timespec time_after_ns(uint64_t ns)
{
	uint64_t moment = time_now_ns() + ns;

	return (struct timespec){ (time_t)(moment / 1000000000u),
				  (long)(moment % 1000000000u) };
}

static inline struct timespec time_after_ms(uint64_t ms)
{
	return time_after_ns(ms * 1000000u);
}

/* Waits until woken; false: until that moment. Spurious wake-ups happen. */
static inline bool condition_wait_until(struct condition *c, struct mutex *m,
					const struct timespec *moment)
	REQUIRES(m)
{
	int error = pthread_cond_timedwait(&c->os, &m->os, moment);

	assert(error == 0 || error == ETIMEDOUT);
	return error == 0;
}

/* Waits until woken or `timeout_ms` have passed; spurious wake-ups happen. */
static inline void condition_wait_for(struct condition *c, struct mutex *m,
				      uint64_t timeout_ms) REQUIRES(m)
{
	struct timespec until = time_after_ms(timeout_ms);

	condition_wait_until(c, m, &until);
}

static inline void condition_wake_one(struct condition *c)
{
	lock_checked(pthread_cond_signal(&c->os));
}

static inline void condition_wake_all(struct condition *c)
{
	lock_checked(pthread_cond_broadcast(&c->os));
}

/*
 * Counts posts that are waited for one by one. A post never waits, where waking
 * by a condition may: for a thread that was woken before and has not run yet,
 * which takes as long as the processors are busy.
 */
struct semaphore {
	sem_t os;
};

static inline void semaphore_init(struct semaphore *s)
{
	lock_checked(sem_init(&s->os, 0, 0));
}

static inline void semaphore_release(struct semaphore *s)
{
	lock_checked(sem_destroy(&s->os));
}

static inline void semaphore_post(struct semaphore *s)
{
	lock_checked(sem_post(&s->os));
}

static inline void semaphore_wait(struct semaphore *s)
{
	int result;

	do
		result = sem_wait(&s->os);
	while (result < 0 && errno == EINTR);
	lock_checked(result);
}
