/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Replaying the log into the memtable: the heart of recovery. replay.c has the
 * rules; recover.c decides what is replayed.
 */

#include "engine/kv_internal.h"

/* The log segments to replay, in the order of their ids. */
struct replay {
	struct kv *kv;
	struct segment **chain; /* borrowed from the store's table */
	size_t chain_count;
	uint64_t first_offset; /* where to begin in chain[0]; 0: its start */
	uint64_t durable_lsn; /* all up to it had been synced; rises by MARKs */
	uint64_t next_lsn;    /* expected next */
	/* Without a trustworthy index, records are compared by LSN, and LSNs
	 * that compaction removed are missing rightly. */
	bool rebuilding;
	/* Set by replay_run: where the log ends. */
	size_t cut_index;    /* chain[cut_index...] are to be cut or dropped */
	uint64_t cut_offset; /* in chain[cut_index] */
	uint64_t record_count;
	uint64_t lost_count; /* LSNs lost to damage */
	bool torn;
	bool damaged;
};

/* Raises replay->durable_lsn to what the MARKs of the chain tell. */
int replay_find_durable(struct replay *replay);
/* Applies everything that counts. */
int replay_run(struct replay *replay);
/* Applies the records of a cold segment, each if it is newer than what the
 * index has. For rebuilding. */
int replay_cold(struct replay *replay, struct segment *segment);
