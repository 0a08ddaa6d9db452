/* SPDX-License-Identifier: MIT */

/*
 * One line of log is one write(2), so lines of several threads do not mix. The
 * descriptor is a duplicate of standard error: libfuse's mount helper is run
 * with another one.
 *
 * Fields are set before threads start, but for `syslog`, which is atomic.
 */

#include "fs/log.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048

static struct {
	int fd;
	enum kv_log_level level;
	atomic_bool syslog;
} log_state = { .fd = -1 };

void log_open(enum kv_log_level level)
{
	log_state.level = level;
	if (log_state.fd < 0)
		log_state.fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
}

void log_to_syslog(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	openlog("kvfs", LOG_PID, LOG_DAEMON);
	atomic_store(&log_state.syslog, true);
	/* Whoever reads what we print must come to its end. Replaced, not
	 * closed, as another thread may be writing to it. */
	if (null >= 0 && log_state.fd >= 0)
		dup3(null, log_state.fd, O_CLOEXEC);
	if (null >= 0)
		close(null);
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

void log_line(enum kv_log_level level, const char *format, ...)
{
	static const char prefix[] = "kvfs: ";
	const size_t skip = sizeof(prefix) - 1;
	char line[LINE_MAX_BYTES];
	va_list args;
	int printed;
	size_t size;

	if (!log_wants(level))
		return;
	memcpy(line, prefix, skip);
	va_start(args, format);
	printed = vsnprintf(line + skip, sizeof(line) - skip - 1, format, args);
	va_end(args);
	if (printed < 0)
		return;
	size = strlen(line);
	for (size_t i = 0; i < size; i++) {
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	}

	if (atomic_load(&log_state.syslog)) {
		syslog(syslog_priority(level), "%s", line + skip);
	} else if (log_state.fd >= 0) {
		line[size] = '\n';
		/* Where the log cannot be written there is nobody to tell. */
		if (write(log_state.fd, line, size + 1) < 0)
			return;
	}
}

void log_engine(void *ctx, enum kv_log_level level, const char *line)
{
	(void)ctx;
	log_line(level, "%s", line);
}
