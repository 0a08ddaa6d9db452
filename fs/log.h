/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The log of the process: standard error in the foreground and until a mount
 * in the background is usable, syslog from then on. Any thread may log.
 */

#include "engine/kv.h"

/* Until then nothing is logged. Called once, before threads start. */
void log_open(enum kv_log_level level);
/* From now on to syslog; standard error is used no more. */
void log_to_syslog(void);
bool log_wants(enum kv_log_level level);

/* One line, without a line feed; what cannot be printed is shown as '?'. */
__attribute__((format(printf, 2, 3))) void log_line(enum kv_log_level level,
						    const char *format, ...);

/* A kv_log_fn; ctx is not used. */
void log_engine(void *ctx, enum kv_log_level level, const char *line);
