/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the parts of enginebench share: the sizes asked for, the keys and
 * values, and the workloads.
 */

#include <stdint.h>
#include <stdio.h>

#include "tests/bench/store_ops.h"

#define KEY_SIZE ((size_t)20)
#define VALUE_SIZE ((size_t)100)
#define PREFIX_SIZE ((size_t)9) /* of a key: "user0042/" */
#define PREFIX_COUNT 100u

struct plan {
	uint64_t key_count;     /* of the plain workloads */
	uint64_t durable_count; /* of durable sets of one thread */
	uint64_t thread_count;  /* of the durable sets of several */
	uint64_t open_count[2]; /* keys in the stores that are opened; 0: none */
	uint64_t round;
};

/* One store in one round; its directory is empty when a workload begins. */
struct trial {
	const struct plan *plan;
	const struct store_ops *ops;
	const char *dir;
};

/*
 * prepare (may be NULL) and run each have a process of their own, so that the
 * memory of run's process is what the store takes to do run.
 */
struct workload {
	const char *name;
	int (*prepare)(const struct trial *trial);
	int (*run)(const struct trial *trial);
};

/* Ended by a NULL name. */
extern const struct workload enginebench_workloads[];

/* Prints a result: round, store, name, value, unit. */
void trial_report(const struct trial *trial, const char *name, double value,
		  const char *unit);

/* Writes the key of number i of count, without a NUL. Ascending with i. */
void key_make(char key[static KEY_SIZE], uint64_t i, uint64_t count);
/* The value of number i in a version; valid for ever. */
struct slice value_of(uint64_t i, uint64_t version);
/* Maps 0..count-1 one to one onto itself, in no visible order. */
uint64_t shuffle(uint64_t i, uint64_t count);
