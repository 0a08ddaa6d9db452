/* SPDX-License-Identifier: MIT */

/*
 * One line of log is one write(2), so lines of several threads do not mix. The
 * descriptor is a duplicate of standard error: libfuse's mount helper is run
 * with another one.
 *
 * Fields are set before threads start, but for `syslog`, which is atomic.
 */

#include "fs/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "fs/text.h"

#define LINE_MAX_BYTES 2048

static struct {
	int fd;
	enum kv_log_level level;
	enum log_target target;
	enum log_format format;
	atomic_bool syslog;
} log_state = { .fd = -1 };

static void syslog_begin(void)
{
	openlog("kvfs", LOG_PID, LOG_DAEMON);
	atomic_store(&log_state.syslog, true);
}

int log_open(const struct log_settings *settings)
{
	int fd = -1, error = 0;

	log_state.level = settings->level;
	log_state.format = settings->format;
	log_state.target = settings->target;
	if (settings->target == LOG_FILE) {
		fd = open(settings->path,
			  O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY,
			  0640);
		error = fd < 0 ? -errno : 0;
	}
	if (error)
		log_state.target = LOG_AUTO;
	if (settings->target == LOG_SYSLOG)
		syslog_begin();
	if (fd < 0 && log_state.fd < 0)
		fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (fd >= 0)
		log_state.fd = fd;
	return error;
}

/* Whoever reads what we print must come to its end. Replaced, not closed, as
 * another thread may be writing to it. */
static void stderr_give_back(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (null >= 0 && log_state.fd >= 0)
		dup3(null, log_state.fd, O_CLOEXEC);
	if (null >= 0)
		close(null);
}

void log_to_syslog(void)
{
	if (log_state.target == LOG_AUTO)
		syslog_begin();
	if (log_state.target == LOG_AUTO || log_state.target == LOG_SYSLOG)
		stderr_give_back();
}

bool log_wants(enum kv_log_level level)
{
	return level <= log_state.level;
}

static int syslog_priority(enum kv_log_level level)
{
	switch (level) {
	case KV_LOG_ERROR:
		return LOG_ERR;
	case KV_LOG_WARNING:
		return LOG_WARNING;
	case KV_LOG_INFO:
		return LOG_INFO;
	case KV_LOG_DEBUG:
	default:
		return LOG_DEBUG;
	}
}

static const char *level_name(enum kv_log_level level)
{
	switch (level) {
	case KV_LOG_ERROR:
		return "error";
	case KV_LOG_WARNING:
		return "warning";
	case KV_LOG_INFO:
		return "info";
	case KV_LOG_DEBUG:
	default:
		return "debug";
	}
}

/* UTC to the millisecond, as RFC 3339 has it. */
static void time_print(char *dst, size_t size)
{
	struct timespec now;
	struct tm tm = { 0 };
	size_t used;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	used = strftime(dst, size, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(dst + used, size - used, ".%03ldZ", now.tv_nsec / 1000000);
}

/* What cannot be printed is nothing that a line should have. */
static void clean(char *message)
{
	for (; *message; message++) {
		if ((unsigned char)*message < 0x20 || *message == 0x7f)
			*message = '?';
	}
}

static int json_print(struct buf *record, enum kv_log_level level,
		      const char *message)
{
	struct text text = { .buf = record };
	char time[48];

	time_print(time, sizeof(time));
	text_add(&text,
		 "{\"time\": \"%s\", \"level\": \"%s\", \"message\": ", time,
		 level_name(level));
	text_add_json(&text, message);
	text_add(&text, "}\n");
	return text.error;
}

static int text_print(struct buf *record, enum kv_log_level level,
		      const char *message)
{
	struct text text = { .buf = record };
	char time[48];

	if (log_state.target == LOG_FILE) {
		time_print(time, sizeof(time));
		text_add(&text, "%s %s: %s\n", time, level_name(level),
			 message);
	} else {
		text_add(&text, "kvfs: %s\n", message);
	}
	return text.error;
}

/* One write, so that lines do not mix. Where the log cannot be written there is
 * nobody to tell. */
static void record_write(enum kv_log_level level, const char *message)
{
	struct buf record = { 0 };
	int error;

	error = log_state.format == LOG_JSON ?
			json_print(&record, level, message) :
			text_print(&record, level, message);
	if (!error && atomic_load(&log_state.syslog))
		syslog(syslog_priority(level), "%.*s", (int)record.size - 1,
		       (const char *)record.data);
	else if (!error && log_state.fd >= 0 &&
		 write(log_state.fd, record.data, record.size) < 0)
		errno = 0;
	buf_release(&record);
}

void log_line(enum kv_log_level level, const char *format, ...)
{
	char message[LINE_MAX_BYTES];
	va_list args;
	int printed;

	if (!log_wants(level))
		return;
	va_start(args, format);
	printed = vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	if (printed < 0)
		return;
	clean(message);
	if (atomic_load(&log_state.syslog) && log_state.format == LOG_TEXT)
		syslog(syslog_priority(level), "%s", message);
	else
		record_write(level, message);
}

void log_engine(void *ctx, enum kv_log_level level, const char *line)
{
	(void)ctx;
	log_line(level, "%s", line);
}
