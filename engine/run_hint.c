/* SPDX-License-Identifier: MIT */

/*
 * Hints, a few for each thread, freed with it. They are not thread-local data
 * themselves: of that a library which is loaded later has a few hundred bytes.
 */

#include "engine/run_hint.h"

#include <pthread.h>
#include <stdlib.h>

/* By length: keys of different kinds, asked for in turns, differ in it. */
#define HINT_COUNT 16u
#define HINT_TRUST_MAX 4u
/* A leaf so close behind the last one is where a walk in order comes to. */
#define HINT_STEP_PAGES_MAX 8u

static _Thread_local struct run_hint *thread_hints;

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t hints_key;
static bool key_made;

static void hints_free(void *hints)
{
	thread_hints = NULL;
	free(hints);
}

static void key_make(void)
{
	key_made = pthread_key_create(&hints_key, hints_free) == 0;
}

static struct run_hint *hints_new(void)
{
	struct run_hint *hints;

	pthread_once(&key_once, key_make);
	if (!key_made)
		return NULL;
	hints = calloc(HINT_COUNT, sizeof(*hints));
	if (hints && pthread_setspecific(hints_key, hints)) {
		free(hints);
		return NULL;
	}
	return hints;
}

struct run_hint *run_hint_for(struct slice key)
{
	if (!thread_hints)
		thread_hints = hints_new();
	return thread_hints ? thread_hints + key.size % HINT_COUNT : NULL;
}

void run_hint_judge(struct run_hint *hint, bool found)
{
	if (!found)
		hint->trust--;
	else if (hint->trust < HINT_TRUST_MAX)
		hint->trust++;
}

void run_hint_learn(struct run_hint *hint, uint64_t serial, uint64_t page)
{
	uint64_t step = page - hint->page;

	if (hint->serial != serial || step > HINT_STEP_PAGES_MAX)
		hint->trust = 0;
	else if (hint->trust < HINT_TRUST_MAX)
		hint->trust++;
	hint->serial = serial;
	hint->page = page;
	hint->mark.offset = 0;
}
