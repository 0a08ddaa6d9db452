/* SPDX-License-Identifier: MIT */

/*
 * The progress bar. Invariant: while a bar is drawn the cursor stands at its
 * line's beginning-to-be, and every message of report.c first wipes that line.
 * Used by one thread; there is no lock.
 */

#include "tools/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine/lock.h"
#include "tools/report.h"

#define DRAW_INTERVAL_NS 100000000u
#define WIDTH_MAX 200
#define WIDTH_DEFAULT 80

static size_t terminal_width(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || size.ws_col == 0)
		return WIDTH_DEFAULT;
	return size.ws_col < WIDTH_MAX ? size.ws_col : WIDTH_MAX;
}

static void line_wipe(void)
{
	fputs("\r\033[K", stderr);
}

void progress_begin(struct progress *progress, const char *label)
{
	*progress = (struct progress){
		.label = label,
		.enabled = isatty(STDERR_FILENO) == 1,
		.started_ns = time_now_ns(),
	};
	if (progress->enabled)
		report_set_prepare(line_wipe);
}

void progress_update(struct progress *progress, uint64_t done, uint64_t total)
{
	char line[WIDTH_MAX + 1];
	uint64_t now;

	if (!progress->enabled)
		return;
	now = time_now_ns();
	if (progress->drawn_ns && now - progress->drawn_ns < DRAW_INTERVAL_NS)
		return;
	progress->drawn_ns = now;
	/* One column stays free: a full line would wrap on some terminals. */
	progress_format(line, terminal_width() - 1, progress->label, done,
			total, (now - progress->started_ns) / 1000000u);
	line_wipe();
	fputs(line, stderr);
	fflush(stderr);
}

void progress_end(struct progress *progress)
{
	if (!progress->enabled)
		return;
	line_wipe();
	fflush(stderr);
	report_set_prepare(NULL);
	progress->enabled = false;
}

char *progress_format_bytes(char *dst, size_t size, uint64_t bytes)
{
	static const char units[] = "KMGTPE";
	double value = (double)bytes;
	int unit = -1;

	while (value >= 999.5 && unit < 5) {
		value /= 1024;
		unit++;
	}
	if (unit < 0)
		snprintf(dst, size, "%" PRIu64 " B", bytes);
	else
		snprintf(dst, size, "%.*f %ciB", value < 9.95 ? 1 : 0, value,
			 units[unit]);
	return dst;
}

static void format_time(char *dst, size_t size, uint64_t seconds)
{
	if (seconds < 3600)
		snprintf(dst, size, "%" PRIu64 ":%02" PRIu64, seconds / 60,
			 seconds % 60);
	else
		snprintf(dst, size, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64,
			 seconds / 3600, seconds / 60 % 60, seconds % 60);
}

/* Seconds left when the rest goes as what is done did. */
static uint64_t seconds_left(uint64_t done, uint64_t total, uint64_t elapsed_ms)
{
	double left_ms =
		(double)elapsed_ms * (double)(total - done) / (double)done;

	return (uint64_t)(left_ms / 1000 + 0.5);
}

static void bar_fill(char *dst, size_t width, uint64_t done, uint64_t total)
{
	size_t filled = (size_t)((double)width * (double)done / (double)total);

	if (filled > width)
		filled = width;
	memset(dst, '#', filled);
	memset(dst + filled, '.', width - filled);
	dst[width] = '\0';
}

size_t progress_format(char *dst, size_t width, const char *label,
		       uint64_t done, uint64_t total, uint64_t elapsed_ms)
{
	char line[512], bar[WIDTH_MAX + 1], right[128];
	char a[16], b[16], clock[32];
	size_t fixed, size;

	if (width > WIDTH_MAX)
		width = WIDTH_MAX;
	if (done > total && total)
		done = total;
	progress_format_bytes(a, sizeof(a), done);
	progress_format_bytes(b, sizeof(b), total);
	format_time(clock, sizeof(clock),
		    total && done ? seconds_left(done, total, elapsed_ms) :
				    elapsed_ms / 1000);
	if (total == 0) {
		snprintf(line, sizeof(line), "%.64s  %s  %s", label, a, clock);
	} else {
		snprintf(right, sizeof(right), "%3.0f%%  %s of %s  %s",
			 100 * (double)done / (double)total, a, b, clock);
		fixed = strnlen(label, 64) + strlen(right) + 6;
		bar[0] = '\0';
		if (width >= fixed + 4)
			bar_fill(bar, width - fixed, done, total);
		snprintf(line, sizeof(line),
			 bar[0] ? "%.64s  [%s]  %s" : "%.64s%s  %s", label, bar,
			 right);
	}
	size = strlen(line);
	if (size > width)
		size = width;
	memcpy(dst, line, size);
	dst[size] = '\0';
	return size;
}
