/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The texts of the virtual files, from figures gathered by the caller. Pure
 * functions: the same report gives the same text. 0 or -ENOMEM each; the text
 * is appended.
 */

#include "engine/kv.h"
#include "fs/fs.h"
#include "fs/opstats.h"
#include "fs/options.h"

struct stats_report {
	const char *version;
	const char *store;
	const char *mountpoint;
	const struct options *options;
	int64_t now_s; /* Unix time */
	uint64_t uptime_s;
	uint64_t read_only; /* mounted so */
	struct kv_stats kv;
	struct fs_statfs fs;
	uint64_t block_size_bytes;
	uint64_t pid;
	uint64_t resident_bytes; /* of the daemon; 0: not known */
	uint64_t io_error_count; /* requests answered with EIO */
	uint64_t read_bytes;     /* by requests */
	uint64_t write_bytes;
	/* of scrubs and checks since the mount */
	uint64_t scrub_count;
	uint64_t scrub_bytes;
	uint64_t scrub_problem_count; /* of the last one */
	int64_t scrub_time_s;         /* Unix time of its end; 0: none */
	uint64_t check_problem_count; /* of the last check */
	struct op_figures ops[OP_COUNT];
};

/* /.stats: "name value" lines, one screen. */
int stats_render_text(const struct stats_report *report, struct buf *ret_text);
/* /.kvfs/stats.json: everything, as one object. */
int stats_render_json(const struct stats_report *report, struct buf *ret_text);
/* /.kvfs/metrics: Prometheus' text format 0.0.4. */
int stats_render_metrics(const struct stats_report *report,
			 struct buf *ret_text);
/* /.kvfs/health: "ok", "damaged" or "failed", then why, a reason a line. */
int stats_render_health(const struct stats_report *report,
			struct buf *ret_text);
/* /.kvfs/config: options in force, "name value" lines. */
int stats_render_config(const struct stats_report *report,
			struct buf *ret_text);
