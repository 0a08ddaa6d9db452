/* SPDX-License-Identifier: MIT */

/*
 * top: what a store is doing, as a screen that is drawn again every second. A
 * frame is made of two readings of stats.json: rates are what lies between
 * them, and without a first one what lies between the mount and now.
 */

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "engine/lock.h"
#include "tools/figures.h"
#include "tools/kvctl.h"
#include "tools/number.h"
#include "tools/output.h"
#include "tools/progress.h"
#include "tools/report.h"

#define OPS_SHOWN 16
#define INTERVAL_MAX_S 3600u

struct top {
	struct figures before, now;
	uint64_t before_ns, now_ns; /* when they were read; 0: not */
	double seconds;             /* between them */
	struct buf frame;
	int error;
};

/* --- a frame --- */

__attribute__((format(printf, 2, 3))) static void
frame_add(struct top *top, const char *format, ...)
{
	char line[512];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (!top->error)
		top->error = buf_append(&top->frame, line, strlen(line));
}

static uint64_t now(const struct top *top, const char *name)
{
	return figures_number(&top->now, name);
}

/* How much of a counter a second. */
static double rate(const struct top *top, const char *name)
{
	uint64_t before = figures_number(&top->before, name);
	uint64_t after = now(top, name);

	return after > before ? (double)(after - before) / top->seconds : 0;
}

static const char *bytes_text(char dst[static 16], uint64_t bytes)
{
	return progress_format_bytes(dst, 16, bytes);
}

static double per_cent(uint64_t part, uint64_t whole)
{
	return whole ? 100 * (double)part / (double)whole : 0;
}

static void add_store(struct top *top)
{
	char text[256], a[16], b[16], c[16], d[16];
	uint64_t live = now(top, "live_bytes"), dead = now(top, "dead_bytes");

	frame_add(top, "%s", figures_string(&top->now, "store", text, 200));
	frame_add(top, "  health %s",
		  figures_string(&top->now, "health", text, sizeof(text)));
	frame_add(top, "  up %" PRIu64 " s  memory %s\n",
		  now(top, "uptime_seconds"),
		  bytes_text(a, now(top, "resident_bytes")));
	frame_add(top,
		  "files %" PRIu64 "  keys %" PRIu64 "  disk %s  live %s  "
		  "dead %s (%.0f%%)\n",
		  now(top, "files"), now(top, "keys"),
		  bytes_text(a, now(top, "disk_bytes")), bytes_text(b, live),
		  bytes_text(c, dead), per_cent(dead, live + dead));
	frame_add(top,
		  "segments %" PRIu64 " (%" PRIu64 " to %" PRIu64
		  ")  runs %" PRIu64 "  tombstones %" PRIu64 "  memtable %s\n",
		  now(top, "segments"), now(top, "oldest_segment"),
		  now(top, "active_segment"), now(top, "runs"),
		  now(top, "tombstones"),
		  bytes_text(d, now(top, "memtable_bytes")));
}

static void add_rates(struct top *top)
{
	uint64_t lookups = now(top, "gets"), hits = now(top, "memtable_hits");
	uint64_t skips = now(top, "bloom_skips");
	uint64_t false_matches = now(top, "bloom_false_matches");
	char a[16], b[16], c[16];

	frame_add(top,
		  "gets/s %.0f  sets/s %.0f  deletes/s %.0f  syncs/s %.0f  "
		  "disk syncs/s %.0f\n",
		  rate(top, "gets"), rate(top, "sets"), rate(top, "deletes"),
		  rate(top, "syncs"), rate(top, "disk_syncs"));
	frame_add(top, "read/s %s  write/s %s  log/s %s\n",
		  bytes_text(a, (uint64_t)rate(top, "read_bytes")),
		  bytes_text(b, (uint64_t)rate(top, "write_bytes")),
		  bytes_text(c, (uint64_t)rate(top, "append_bytes")));
	frame_add(top,
		  "memtable hits %.0f%%  bloom skips %" PRIu64
		  " false %.1f%%\n",
		  per_cent(hits, lookups), skips,
		  per_cent(false_matches, skips + false_matches));
	frame_add(top,
		  "compactions %" PRIu64
		  "  copied %s  freed %s  merges %" PRIu64
		  "  checkpoints %" PRIu64 "\n",
		  now(top, "compactions"),
		  bytes_text(a, now(top, "compaction_copied_bytes")),
		  bytes_text(b, now(top, "compaction_freed_bytes")),
		  now(top, "merges"), now(top, "checkpoints"));
}

/* Of one kind of request, between the readings. */
struct op_row {
	const struct figure_op *op;
	uint64_t count, errors, time_ns;
};

static int row_compare(const void *a, const void *b)
{
	const struct op_row *x = a, *y = b;

	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return strcmp(x->op->name, y->op->name);
}

static struct op_row row_of(const struct top *top, const struct figure_op *op)
{
	static const struct figure_op none;
	const struct figure_op *was = figures_op(&top->before, op->name);

	was = was ? was : &none;
	return (struct op_row){ .op = op,
				.count = op->count - was->count,
				.errors = op->errors - was->errors,
				.time_ns = op->time_ns - was->time_ns };
}

static void add_ops(struct top *top)
{
	struct op_row rows[FIGURES_OPS_MAX] = { 0 };
	size_t i, count = top->now.op_count;

	for (i = 0; i < count; i++)
		rows[i] = row_of(top, &top->now.ops[i]);
	qsort(rows, count, sizeof(*rows), row_compare);
	frame_add(top, "\n%-12s %10s %8s %10s %10s %10s %10s\n", "request",
		  "per s", "errors", "avg us", "p50 us", "p99 us", "max us");
	for (i = 0; i < count && i < OPS_SHOWN; i++) {
		const struct op_row *row = &rows[i];
		double count_or_1 = row->count ? (double)row->count : 1;

		frame_add(top,
			  "%-12s %10.1f %8" PRIu64
			  " %10.1f %10.1f %10.1f %10.1f\n",
			  row->op->name, (double)row->count / top->seconds,
			  row->errors, (double)row->time_ns / count_or_1 / 1000,
			  (double)row->op->p50_ns / 1000,
			  (double)row->op->p99_ns / 1000,
			  (double)row->op->max_ns / 1000);
	}
}

static int frame_make(struct top *top)
{
	uint64_t uptime = now(top, "uptime_seconds");

	top->seconds = top->before_ns ?
			       (double)(top->now_ns - top->before_ns) / 1e9 :
			       (double)(uptime ? uptime : 1);
	top->error = 0;
	buf_clear(&top->frame);
	add_store(top);
	add_rates(top);
	add_ops(top);
	return top->error;
}

/* --- the loop --- */

static int figures_load(struct invocation *inv, struct top *top)
{
	struct buf text = { 0 };
	int r;

	figures_release(&top->before);
	top->before = top->now;
	top->before_ns = top->now_ns;
	top->now = (struct figures){ 0 };
	r = target_report(inv->target, TARGET_STATS_JSON, &text);
	if (r == 0)
		r = figures_parse(buf_slice(&text), &top->now);
	top->now_ns = time_now_ns();
	buf_release(&text);
	if (r == -EOPNOTSUPP)
		report_error("%s: mounted with stats=off", inv->store);
	else if (r)
		report_errno(r, "%s", inv->store);
	return r;
}

static int frame_show(struct top *top, bool clear)
{
	int r = frame_make(top);

	if (r == 0 && clear)
		r = output_write(SLICE_LITERAL("\033[H\033[2J"));
	if (r == 0)
		r = output_write(buf_slice(&top->frame));
	return r ? r : output_finish();
}

/* Waits for the next frame. 1 when q was typed, or a signal came. */
static int frame_wait(uint64_t seconds, bool keys)
{
	struct pollfd in = { .fd = keys ? STDIN_FILENO : -1, .events = POLLIN };
	char key;

	if (poll(&in, 1, (int)seconds * 1000) > 0 &&
	    read(STDIN_FILENO, &key, 1) == 1 && (key == 'q' || key == 'Q'))
		return 1;
	return interrupt_seen();
}

/* Keys count at once, and are not shown. */
static bool terminal_raw(struct termios *ret_saved)
{
	struct termios raw;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, ret_saved))
		return false;
	raw = *ret_saved;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	return tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

static int top_run(struct invocation *inv, struct top *top, uint64_t seconds,
		   uint64_t count)
{
	bool clear = isatty(STDOUT_FILENO) && count != 1;
	struct termios saved;
	bool raw = count != 1 && terminal_raw(&saved);
	uint64_t i;
	int r = 0;

	for (i = 0; r == 0 && i < count; i++) {
		if (i && frame_wait(seconds, raw))
			break;
		r = figures_load(inv, top);
		if (r == 0)
			r = frame_show(top, clear);
	}
	if (raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	return r ? KVCTL_ERROR : KVCTL_DONE;
}

static int run_top(struct invocation *inv)
{
	const char *interval = invocation_option(inv, "interval");
	const char *count_text = invocation_option(inv, "count");
	uint64_t seconds = 1, count = UINT64_MAX;
	struct top top = { 0 };
	int r;

	if (interval &&
	    (number_parse(interval, INTERVAL_MAX_S, &seconds) || !seconds)) {
		report_error("--interval: %s: not 1 to 3600 seconds", interval);
		return KVCTL_ERROR;
	}
	if (count_text && number_parse(count_text, UINT64_MAX, &count)) {
		report_error("--count: %s: not a number", count_text);
		return KVCTL_ERROR;
	}
	/* Of a store that is not mounted nothing changes. */
	if (invocation_option(inv, "once") || !target_is_live(inv->target))
		count = 1;
	r = top_run(inv, &top, seconds, count);
	figures_release(&top.before);
	figures_release(&top.now);
	buf_release(&top.frame);
	return r;
}

const struct command command_top = {
	.name = "top",
	.operands = "STORE",
	.summary = "Watch what a mounted store is doing",
	.details =
	"Requests by kind with their latency, the log and its compaction, drawn\n"
	"again every second until q is typed. The first frame is about the time\n"
	"since the mount, as are all percentiles.\n",
	.options = {
		{ "interval", 'i', "SECONDS", "from frame to frame (1)" },
		{ "count", 'n', "COUNT", "end after so many frames" },
		{ "once", '1', NULL, "one frame" },
	},
	.target = COMMAND_READS,
	.run = run_top,
};
