/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What kvctl says on stderr: one line a message, "kvctl: ..." in front, and
 * never a control character of somebody's key in it.
 */

/* Prints "kvctl: MESSAGE". Overlong messages are cut. */
__attribute__((format(printf, 1, 2))) void report_error(const char *format,
							...);

/* Prints "kvctl: MESSAGE: what the errno `error` (positive or negative) is".
 * Not for -ECANCELED: that a signal came is said once, at the end. */
__attribute__((format(printf, 2, 3))) void
report_errno(int error, const char *format, ...);

/* The text for an errno, in the words of a store. Never NULL. */
const char *report_text(int error);

/* Called before each line, so that a progress bar can make room for it. */
void report_set_prepare(void (*prepare)(void));
