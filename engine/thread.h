/* SPDX-License-Identifier: MIT */
#pragma once

/* Threads that leave signals to the program. A leaf header. */

#include <pthread.h>
#include <signal.h>
#include <stddef.h>

/* What a thread does to itself: blocked, these would end the process. */
static inline void signals_of_own_doing_remove(sigset_t *set)
{
	sigdelset(set, SIGBUS);
	sigdelset(set, SIGFPE);
	sigdelset(set, SIGILL);
	sigdelset(set, SIGSEGV);
	sigdelset(set, SIGSYS);
	sigdelset(set, SIGTRAP);
}

/*
 * Runs run(ctx) in a thread to be joined; 0 or -errno. No signal that is sent
 * to the process is delivered to it: handlers run, and waits are broken, where
 * the program expects it. `stack_bytes` 0: as the system has it.
 */
static inline int thread_start(pthread_t *ret_thread, size_t stack_bytes,
			       void *(*run)(void *ctx), void *ctx)
{
	pthread_attr_t attr;
	sigset_t blocked, before;
	int error = pthread_attr_init(&attr);

	if (error)
		return -error;
	if (stack_bytes)
		error = pthread_attr_setstacksize(&attr, stack_bytes);
	if (!error) {
		sigfillset(&blocked);
		signals_of_own_doing_remove(&blocked);
		pthread_sigmask(SIG_BLOCK, &blocked, &before);
		error = pthread_create(ret_thread, &attr, run, ctx);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	pthread_attr_destroy(&attr);
	return -error;
}
