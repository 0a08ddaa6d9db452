/* SPDX-License-Identifier: MIT */

/*
 * Figures as text. One table names every figure once, with its kind, its help
 * and whether it is among those on the one screen of .stats; .stats, the JSON
 * and the metrics are three walks over it. No locks: a report is its caller's.
 *
 * Names are an interface: people grep for them. They may be added, not changed.
 */

#include "fs/stats_text.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "fs/text.h"

/* So many kinds of requests, the most frequent, are shown in .stats. */
#define TEXT_OP_COUNT 8

enum figure_kind {
	FIGURE_GAUGE,
	FIGURE_COUNTER, /* only grows while the mount lives */
};

struct figure {
	const char *name;
	enum figure_kind kind;
	bool in_text;
	size_t offset; /* of a 64-bit field of struct stats_report */
	const char *help;
};

#define FIELD(name) offsetof(struct stats_report, name)

/* clang-format off */
static const struct figure figures[] = {
	{ "uptime_seconds", FIGURE_GAUGE, true, FIELD(uptime_s),
	  "Seconds since the store was mounted." },
	{ "resident_bytes", FIGURE_GAUGE, true, FIELD(resident_bytes),
	  "Memory of the daemon." },
	{ "files", FIGURE_GAUGE, true, FIELD(fs.file_count),
	  "Inodes in use." },
	{ "used_bytes", FIGURE_GAUGE, true, FIELD(fs.used_bytes),
	  "What the files take." },
	{ "preallocated_bytes", FIGURE_GAUGE, true,
	  FIELD(fs.preallocated_bytes),
	  "Of what they take, kept free for what is not written yet." },
	{ "free_bytes", FIGURE_GAUGE, true, FIELD(fs.free_bytes),
	  "What they may take beyond that." },
	{ "keys", FIGURE_GAUGE, true, FIELD(kv.key_count),
	  "Keys in the store; a file has several." },
	{ "live_bytes", FIGURE_GAUGE, true, FIELD(kv.live_bytes),
	  "Records in the log that are needed." },
	{ "dead_bytes", FIGURE_GAUGE, true, FIELD(kv.dead_bytes),
	  "Records in the log that compaction will give back." },
	{ "disk_bytes", FIGURE_GAUGE, true, FIELD(kv.disk_bytes),
	  "All files of the store." },
	{ "reserve_bytes", FIGURE_GAUGE, true, FIELD(kv.reserve_bytes),
	  "Kept for getting out of a full disk; 0: no need yet." },
	{ "space_low", FIGURE_GAUGE, true, FIELD(kv.space_low),
	  "1: the disk is so full that only deletions are taken." },
	{ "segments", FIGURE_GAUGE, true, FIELD(kv.segment_count),
	  "Files of the log." },
	{ "oldest_segment", FIGURE_GAUGE, true, FIELD(kv.oldest_segment_id),
	  "Number of the oldest file of the log." },
	{ "active_segment", FIGURE_GAUGE, true, FIELD(kv.active_segment_id),
	  "Number of the file that is written to; 0: none yet." },
	{ "runs", FIGURE_GAUGE, true, FIELD(kv.run_count),
	  "Files of the index." },
	{ "run_bytes", FIGURE_GAUGE, false, FIELD(kv.run_bytes),
	  "Size of the index on disk." },
	{ "tombstones", FIGURE_GAUGE, true, FIELD(kv.tombstone_count),
	  "Records of deletions in the log." },
	{ "memtable_bytes", FIGURE_GAUGE, true, FIELD(kv.memtable_bytes),
	  "Memory of the newest part of the index." },
	{ "memtable_keys", FIGURE_GAUGE, false, FIELD(kv.memtable_keys),
	  "Keys in the newest part of the index." },
	{ "lsn", FIGURE_COUNTER, true, FIELD(kv.last_lsn),
	  "Number of the newest change." },
	{ "durable_lsn", FIGURE_COUNTER, true, FIELD(kv.durable_lsn),
	  "Number of the newest change known to be on disk." },
	{ "checkpoint_lsn", FIGURE_COUNTER, true, FIELD(kv.checkpoint_lsn),
	  "Changes up to this one need no replay." },
	{ "checkpoints", FIGURE_COUNTER, true, FIELD(kv.checkpoint_count),
	  "Checkpoints since the store was opened." },
	{ "last_checkpoint_time", FIGURE_GAUGE, true,
	  FIELD(kv.checkpoint_time_s), "Unix time of the last one; 0: none." },
	{ "gets", FIGURE_COUNTER, true, FIELD(kv.get_count),
	  "Keys looked up." },
	{ "get_misses", FIGURE_COUNTER, true, FIELD(kv.get_miss_count),
	  "Keys looked up that do not exist." },
	{ "memtable_hits", FIGURE_COUNTER, true, FIELD(kv.memtable_hit_count),
	  "Lookups answered by the newest part of the index." },
	{ "bloom_skips", FIGURE_COUNTER, true, FIELD(kv.bloom_skip_count),
	  "Index files that a Bloom filter spared a lookup." },
	{ "bloom_false_matches", FIGURE_COUNTER, true,
	  FIELD(kv.bloom_false_match_count), "Index files searched in vain." },
	{ "sets", FIGURE_COUNTER, true, FIELD(kv.set_count), "Keys set." },
	{ "deletes", FIGURE_COUNTER, true, FIELD(kv.delete_count),
	  "Keys deleted." },
	{ "commits", FIGURE_COUNTER, false, FIELD(kv.commit_count),
	  "Atomic groups of changes." },
	{ "append_bytes", FIGURE_COUNTER, true, FIELD(kv.append_bytes),
	  "Bytes written to the log." },
	{ "syncs", FIGURE_COUNTER, true, FIELD(kv.sync_count),
	  "Requests to sync that had to wait for the disk." },
	{ "disk_syncs", FIGURE_COUNTER, true, FIELD(kv.disk_sync_count),
	  "Syncs of the disk for them; several share one." },
	{ "merges", FIGURE_COUNTER, false, FIELD(kv.merge_count),
	  "Merges of index files." },
	{ "merge_bytes", FIGURE_COUNTER, false, FIELD(kv.merge_bytes),
	  "Bytes written by them." },
	{ "compactions", FIGURE_COUNTER, true, FIELD(kv.compaction_count),
	  "Compactions of the log." },
	{ "compaction_copied_bytes", FIGURE_COUNTER, false,
	  FIELD(kv.compaction_copied_bytes), "Live records they copied." },
	{ "compaction_freed_bytes", FIGURE_COUNTER, true,
	  FIELD(kv.compaction_freed_bytes), "Disk space they gave back." },
	{ "last_compaction_time", FIGURE_GAUGE, true,
	  FIELD(kv.compaction_time_s), "Unix time of the last one; 0: none." },
	{ "pins", FIGURE_GAUGE, false, FIELD(kv.pin_count),
	  "Views that hold old records." },
	{ "value_bytes_raw", FIGURE_COUNTER, false, FIELD(kv.value_bytes_raw),
	  "Values set, before compression." },
	{ "value_bytes_stored", FIGURE_COUNTER, false,
	  FIELD(kv.value_bytes_stored), "Values set, after compression." },
	{ "recovery_records", FIGURE_GAUGE, true,
	  FIELD(kv.recovery_record_count), "Records replayed at open." },
	{ "recovery_cut_bytes", FIGURE_GAUGE, false,
	  FIELD(kv.recovery_cut_bytes), "Torn tail cut off at open." },
	{ "recovery_lost", FIGURE_GAUGE, true, FIELD(kv.recovery_lost_count),
	  "Changes lost to damage of the log, found at open." },
	{ "scrubs", FIGURE_COUNTER, true, FIELD(scrub_count),
	  "Verifications of all bytes since the mount." },
	{ "scrub_bytes", FIGURE_COUNTER, false, FIELD(scrub_bytes),
	  "Bytes they have read." },
	{ "last_scrub_time", FIGURE_GAUGE, true, FIELD(scrub_time_s),
	  "Unix time of the last one's end; 0: none." },
	{ "last_scrub_problems", FIGURE_GAUGE, true,
	  FIELD(scrub_problem_count), "What the last one found." },
	{ "last_check_problems", FIGURE_GAUGE, false,
	  FIELD(check_problem_count), "What the last check found." },
	{ "damaged_reads", FIGURE_COUNTER, true, FIELD(kv.damaged_read_count),
	  "Reads of records that fail their checksum." },
	{ "io_errors", FIGURE_COUNTER, true, FIELD(io_error_count),
	  "Requests answered with EIO." },
	{ "read_bytes", FIGURE_COUNTER, false, FIELD(read_bytes),
	  "Bytes read from files." },
	{ "write_bytes", FIGURE_COUNTER, false, FIELD(write_bytes),
	  "Bytes written to files." },
};
/* clang-format on */

#define FIGURE_COUNT (sizeof(figures) / sizeof(figures[0]))

static uint64_t figure_value(const struct figure *figure,
			     const struct stats_report *report)
{
	uint64_t value;

	memcpy(&value, (const char *)report + figure->offset, sizeof(value));
	return value;
}

static const char *recovery_name(enum kv_recovery recovery)
{
	switch (recovery) {
	case KV_RECOVERY_CLEAN:
		return "clean";
	case KV_RECOVERY_REPLAYED:
		return "replayed";
	case KV_RECOVERY_TORN:
		return "torn";
	case KV_RECOVERY_DAMAGED:
		return "damaged";
	case KV_RECOVERY_REBUILT:
		return "rebuilt";
	default:
		return "unknown";
	}
}

/* --- health --- */

static const char *health_name(const struct stats_report *report)
{
	if (report->kv.failed)
		return "failed";
	if (report->kv.damaged_read_count || report->io_error_count ||
	    report->scrub_problem_count || report->check_problem_count ||
	    report->kv.recovery == KV_RECOVERY_DAMAGED ||
	    report->kv.recovery_lost_count)
		return "damaged";
	return "ok";
}

int stats_render_health(const struct stats_report *report, struct buf *ret_text)
{
	struct text text = { .buf = ret_text };

	text_add(&text, "%s\n", health_name(report));
	if (report->kv.failed)
		text_add(&text,
			 "read-only since writing to the disk failed: %s\n",
			 strerror(abs(report->kv.failed)));
	if (report->kv.recovery == KV_RECOVERY_DAMAGED)
		text_add(&text, "damage was found when the store was opened\n");
	if (report->kv.recovery_lost_count)
		text_add(&text,
			 "%" PRIu64 " changes were lost to it, the newest "
			 "before a crash\n",
			 report->kv.recovery_lost_count);
	if (report->kv.damaged_read_count)
		text_add(&text, "%" PRIu64 " reads of damaged records\n",
			 report->kv.damaged_read_count);
	if (report->scrub_problem_count)
		text_add(&text,
			 "%" PRIu64 " problems found by the last scrub\n",
			 report->scrub_problem_count);
	if (report->check_problem_count)
		text_add(&text,
			 "%" PRIu64 " problems found by the last check\n",
			 report->check_problem_count);
	if (report->io_error_count)
		text_add(&text, "%" PRIu64 " requests answered with EIO\n",
			 report->io_error_count);
	if (report->kv.space_low)
		text_add(&text, "the disk is full: only deletions are taken\n");
	return text.error;
}

/* How many bytes of values went into one in the log, since the mount. */
static double compress_ratio(const struct stats_report *report)
{
	return report->kv.value_bytes_stored ?
		       (double)report->kv.value_bytes_raw /
			       (double)report->kv.value_bytes_stored :
		       1;
}

/* --- .stats --- */

/* The rank of an op by count, 0 for the most frequent; ties in order. */
static unsigned int op_rank(const struct stats_report *report, unsigned int op)
{
	unsigned int rank = 0;

	for (unsigned int i = 0; i < OP_COUNT; i++) {
		uint64_t count = report->ops[i].count;

		rank += count > report->ops[op].count ||
			(count == report->ops[op].count && i < op);
	}
	return rank;
}

static void add_op_line(struct text *text, const struct stats_report *report,
			unsigned int op)
{
	const struct op_figures *ops = &report->ops[op];

	text_add(text,
		 "op_%s %" PRIu64 " errors %" PRIu64 " p50_us %.1f p99_us "
		 "%.1f p999_us %.1f max_us %.1f\n",
		 op_name((enum op)op), ops->count, ops->error_count,
		 (double)op_figures_percentile_ns(ops, 500) / 1000,
		 (double)op_figures_percentile_ns(ops, 990) / 1000,
		 (double)op_figures_percentile_ns(ops, 999) / 1000,
		 (double)ops->max_ns / 1000);
}

int stats_render_text(const struct stats_report *report, struct buf *ret_text)
{
	struct text text = { .buf = ret_text };

	text_add(&text, "version %s\nstore %s\nhealth %s\nrecovery %s\n",
		 report->version, report->store, health_name(report),
		 recovery_name(report->kv.recovery));
	for (size_t i = 0; i < FIGURE_COUNT; i++) {
		if (figures[i].in_text)
			text_add(&text, "%s %" PRIu64 "\n", figures[i].name,
				 figure_value(&figures[i], report));
	}
	text_add(&text, "compress_ratio %.2f\n", compress_ratio(report));
	for (unsigned int op = 0; op < OP_COUNT; op++) {
		if (report->ops[op].count &&
		    op_rank(report, op) < TEXT_OP_COUNT)
			add_op_line(&text, report, op);
	}
	return text.error;
}

/* --- JSON --- */

static void add_json_op(struct text *text, const struct op_figures *ops,
			const char *name)
{
	text_add(text,
		 "    \"%s\": {\"count\": %" PRIu64 ", \"errors\": %" PRIu64
		 ", \"time_ns\": %" PRIu64 ", \"p50_ns\": %" PRIu64
		 ", \"p90_ns\": %" PRIu64 ", \"p99_ns\": %" PRIu64
		 ", \"p999_ns\": %" PRIu64 ", \"max_ns\": %" PRIu64 "}",
		 name, ops->count, ops->error_count, ops->time_ns,
		 op_figures_percentile_ns(ops, 500),
		 op_figures_percentile_ns(ops, 900),
		 op_figures_percentile_ns(ops, 990),
		 op_figures_percentile_ns(ops, 999), ops->max_ns);
}

static void add_json_string(struct text *text, const char *name,
			    const char *value)
{
	text_add(text, "  \"%s\": ", name);
	text_add_json(text, value);
	text_add(text, ",\n");
}

static void add_uuid(struct text *text, const uint8_t *uuid)
{
	for (unsigned int i = 0; i < 16; i++)
		text_add(text, "%s%02x",
			 i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
			 uuid[i]);
}

int stats_render_json(const struct stats_report *report, struct buf *ret_text)
{
	struct text text = { .buf = ret_text };
	const char *separator = "\n";

	text_add(&text, "{\n");
	add_json_string(&text, "version", report->version);
	add_json_string(&text, "store", report->store);
	add_json_string(&text, "mountpoint", report->mountpoint);
	text_add(&text, "  \"uuid\": \"");
	add_uuid(&text, report->kv.uuid);
	text_add(&text, "\",\n");
	add_json_string(&text, "health", health_name(report));
	add_json_string(&text, "recovery", recovery_name(report->kv.recovery));
	text_add(&text, "  \"read_only\": %s,\n",
		 report->read_only || report->kv.failed ? "true" : "false");
	text_add(&text,
		 "  \"pid\": %" PRIu64 ",\n  \"time\": %" PRId64
		 ",\n  \"block_size\": %" PRIu64 ",\n",
		 report->pid, report->now_s, report->block_size_bytes);
	for (size_t i = 0; i < FIGURE_COUNT; i++)
		text_add(&text, "  \"%s\": %" PRIu64 ",\n", figures[i].name,
			 figure_value(&figures[i], report));
	text_add(&text, "  \"compress_ratio\": %.4f,\n",
		 compress_ratio(report));
	text_add(&text, "  \"ops\": {");
	for (unsigned int op = 0; op < OP_COUNT; op++) {
		if (report->ops[op].count == 0)
			continue;
		text_add(&text, "%s", separator);
		separator = ",\n";
		add_json_op(&text, &report->ops[op], op_name((enum op)op));
	}
	text_add(&text, "\n  }\n}\n");
	return text.error;
}

/* --- Prometheus --- */

/* Bounds of the histogram, as powers of two of nanoseconds: 16 us to 17 s. */
static const unsigned int bounds_log2[] = { 14, 16, 18, 20, 22, 24,
					    26, 28, 30, 32, 34 };

static void add_histogram(struct text *text, const struct op_figures *ops,
			  const char *name)
{
	const double second = 1e9;
	uint64_t total = 0;

	for (unsigned int i = 0; i < OPSTATS_BUCKET_COUNT; i++)
		total += ops->buckets[i];
	for (size_t i = 0; i < sizeof(bounds_log2) / sizeof(bounds_log2[0]);
	     i++)
		text_add(
			text,
			"kvfs_op_seconds_bucket{op=\"%s\",le=\"%.9g\"} %" PRIu64
			"\n",
			name, (double)((uint64_t)1 << bounds_log2[i]) / second,
			op_figures_count_below(ops, bounds_log2[i]));
	text_add(text,
		 "kvfs_op_seconds_bucket{op=\"%s\",le=\"+Inf\"} %" PRIu64
		 "\nkvfs_op_seconds_sum{op=\"%s\"} %.9f\n"
		 "kvfs_op_seconds_count{op=\"%s\"} %" PRIu64 "\n",
		 name, total, name, (double)ops->time_ns / second, name, total);
}

static void add_ops(struct text *text, const struct stats_report *report)
{
	text_add(text, "# HELP kvfs_op_errors_total Requests answered with an "
		       "error.\n# TYPE kvfs_op_errors_total counter\n");
	for (unsigned int op = 0; op < OP_COUNT; op++) {
		if (report->ops[op].count)
			text_add(text,
				 "kvfs_op_errors_total{op=\"%s\"} %" PRIu64
				 "\n",
				 op_name((enum op)op),
				 report->ops[op].error_count);
	}
	text_add(text, "# HELP kvfs_op_seconds Time from a request's arrival "
		       "to its reply.\n# TYPE kvfs_op_seconds histogram\n");
	for (unsigned int op = 0; op < OP_COUNT; op++) {
		if (report->ops[op].count)
			add_histogram(text, &report->ops[op],
				      op_name((enum op)op));
	}
}

/* Prometheus wants units spelled out. */
static const char *metric_name(const struct figure *figure)
{
	return strcmp(figure->name, "uptime_s") == 0 ? "uptime_seconds" :
						       figure->name;
}

int stats_render_metrics(const struct stats_report *report,
			 struct buf *ret_text)
{
	struct text text = { .buf = ret_text };

	text_add(&text, "# HELP kvfs_info What is mounted.\n"
			"# TYPE kvfs_info gauge\nkvfs_info{version=");
	text_add_label(&text, report->version);
	text_add(&text, ",store=");
	text_add_label(&text, report->store);
	text_add(&text, ",mountpoint=");
	text_add_label(&text, report->mountpoint);
	text_add(&text, "} 1\n");
	text_add(&text,
		 "# HELP kvfs_healthy 1: nothing is damaged and nothing has "
		 "failed.\n# TYPE kvfs_healthy gauge\nkvfs_healthy %d\n",
		 strcmp(health_name(report), "ok") == 0);
	for (size_t i = 0; i < FIGURE_COUNT; i++) {
		const struct figure *figure = &figures[i];
		bool counter = figure->kind == FIGURE_COUNTER;
		const char *name = metric_name(figure);
		const char *suffix = counter ? "_total" : "";

		text_add(&text,
			 "# HELP kvfs_%s%s %s\n# TYPE kvfs_%s%s %s\n"
			 "kvfs_%s%s %" PRIu64 "\n",
			 name, suffix, figure->help, name, suffix,
			 counter ? "counter" : "gauge", name, suffix,
			 figure_value(figure, report));
	}
	text_add(&text,
		 "# HELP kvfs_compress_ratio Bytes of values for each byte of "
		 "them in the log.\n# TYPE kvfs_compress_ratio gauge\n"
		 "kvfs_compress_ratio %.4f\n",
		 compress_ratio(report));
	add_ops(&text, report);
	return text.error;
}

/* --- config --- */

int stats_render_config(const struct stats_report *report, struct buf *ret_text)
{
	struct text text = { .buf = ret_text };
	struct options in_force = *report->options;

	/* What the store was created with counts, not what was asked for. */
	in_force.block_size_bytes = report->block_size_bytes;
	text_add(&text, "store %s\nmountpoint %s\n", report->store,
		 report->mountpoint);
	if (text.error)
		return text.error;
	return options_render(&in_force, ret_text);
}
