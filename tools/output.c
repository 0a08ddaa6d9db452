/* SPDX-License-Identifier: MIT */

/*
 * stdout, with its first error remembered. Invariant: nothing is written after
 * an error, so what came out is a beginning of what should have. One thread.
 */

#include "tools/output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "tools/report.h"

static int output_error;

static int output_fail(void)
{
	output_error = errno ? -errno : -EIO;
	if (output_error != -EPIPE)
		report_errno(output_error, "standard output");
	return output_error;
}

int output_write(struct slice data)
{
	if (output_error || !data.size)
		return output_error;
	errno = 0;
	if (fwrite(data.data, 1, data.size, stdout) != data.size)
		return output_fail();
	return 0;
}

int output_print(const char *format, ...)
{
	va_list args;
	int n;

	if (output_error)
		return output_error;
	errno = 0;
	va_start(args, format);
	n = vprintf(format, args);
	va_end(args);
	return n < 0 ? output_fail() : 0;
}

int output_finish(void)
{
	if (output_error)
		return output_error;
	errno = 0;
	if (fflush(stdout) || ferror(stdout))
		return output_fail();
	return 0;
}
