/* SPDX-License-Identifier: MIT */

/*
 * The one place that writes to stderr, but for the progress bar. Invariant: a
 * message is one line, whatever bytes a key or a path brought along, and goes
 * out in a single write so that lines of concurrent kvctls do not mix. Any
 * thread may report (the engine's do); stdio's lock is the only one.
 */

#include "tools/report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_MAX 2048

static void (*_Atomic report_prepare)(void);

void report_set_prepare(void (*prepare)(void))
{
	report_prepare = prepare;
}

const char *report_text(int error)
{
	error = error < 0 ? -error : error;
	switch (error) {
	case EWOULDBLOCK:
		return "the store is open in another process";
	case EMEDIUMTYPE:
		return "a key-value store, but not one that holds files";
	case EPROTONOSUPPORT:
		return "written by a newer version of kvfs";
	case EBADMSG:
	case EUCLEAN:
		return "damaged";
	case ENOTCONN:
		return "mounted, but its daemon is dead (unmount it)";
	default:
		return strerror(error);
	}
}

/* Copies `text` with control characters as \xNN, ends the line. */
static size_t line_copy(char *dst, size_t size, const char *text)
{
	size_t used = 0;

	for (; *text && used + 6 < size; text++) {
		unsigned char byte = (unsigned char)*text;

		if (byte >= ' ' && byte != 0x7f)
			dst[used++] = *text;
		else
			used += (size_t)snprintf(dst + used, 5, "\\x%02x",
						 byte);
	}
	dst[used++] = '\n';
	return used;
}

static void report_line(const char *message)
{
	void (*prepare)(void) = report_prepare;
	char line[MESSAGE_MAX + 64];
	size_t size;

	size = (size_t)snprintf(line, sizeof(line), "kvctl: ");
	size += line_copy(line + size, sizeof(line) - size, message);
	if (prepare)
		prepare();
	fwrite(line, 1, size, stderr);
	fflush(stderr);
}

void report_error(const char *format, ...)
{
	char message[MESSAGE_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	report_line(message);
}

void report_errno(int error, const char *format, ...)
{
	char message[MESSAGE_MAX];
	const char *text = report_text(error);
	size_t room = sizeof(message) - strlen(text) - 3;
	va_list args;
	size_t used;

	if (error == ECANCELED || error == -ECANCELED)
		return;
	va_start(args, format);
	vsnprintf(message, room, format, args);
	va_end(args);
	used = strlen(message);
	snprintf(message + used, sizeof(message) - used, ": %s", text);
	report_line(message);
}
