/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The log of the process. Unless told where to go: standard error in the
 * foreground and until a mount in the background is usable, syslog from then
 * on. Any thread may log.
 */

#include "engine/kv.h"

enum log_target {
	LOG_AUTO,
	LOG_STDERR,
	LOG_SYSLOG,
	LOG_FILE, /* appended to; made with mode 0640 */
};

enum log_format {
	LOG_TEXT,
	LOG_JSON, /* an object a line: time, level, message */
};

struct log_settings {
	enum kv_log_level level;
	enum log_target target;
	enum log_format format;
	const char *path; /* of LOG_FILE */
};

/*
 * Until then nothing is logged. Called once, before threads start. 0, or
 * -errno of the file; then the log is as without it.
 */
int log_open(const struct log_settings *settings);
/* The mount is usable and its standard error gone: from now on to syslog,
 * unless settings said something else. */
void log_to_syslog(void);
bool log_wants(enum kv_log_level level);

/* One line, without a line feed; what cannot be printed is shown as '?'. */
__attribute__((format(printf, 2, 3))) void log_line(enum kv_log_level level,
						    const char *format, ...);

/* A kv_log_fn; ctx is not used. */
void log_engine(void *ctx, enum kv_log_level level, const char *line);
