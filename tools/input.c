/* SPDX-License-Identifier: MIT */

/*
 * Keys from the command line and from stdin, one at a time: memory does not
 * grow with their number. No state beyond stdin's, no lock.
 */

#include "tools/input.h"

#include <errno.h>
#include <string.h>

#include "tools/report.h"

int input_read_name(FILE *file, int separator, struct buf *ret_name)
{
	char byte;
	int c, r;

	buf_clear(ret_name);
	for (;;) {
		errno = 0;
		c = getc_unlocked(file);
		if (c == EOF && ferror(file))
			return errno ? -errno : -EIO;
		if (c == EOF)
			return ret_name->size ? 0 : 1;
		if (c == separator)
			return 0;
		if (ret_name->size == KEY_SIZE_MAX)
			return -ENAMETOOLONG;
		byte = (char)c;
		r = buf_append(ret_name, &byte, 1);
		if (r)
			return r;
	}
}

static int worse(int a, int b)
{
	return a > b ? a : b;
}

static int each_on_stdin(struct invocation *inv, input_key_fn *fn, void *ctx)
{
	int separator = invocation_option(inv, "null") ? '\0' : '\n';
	struct buf name = { 0 };
	int r, worst = KVCTL_DONE;

	while ((r = input_read_name(stdin, separator, &name)) == 0) {
		r = interrupt_seen() ? -ECANCELED :
				       fn(inv, buf_slice(&name), ctx);
		if (r < 0)
			goto out;
		worst = worse(worst, r);
	}
	if (r < 0)
		report_errno(interrupt_seen() ? -ECANCELED : r,
			     "standard input");
	else
		r = worst;
out:
	buf_release(&name);
	return r;
}

int input_each_key(struct invocation *inv, int first, input_key_fn *fn,
		   void *ctx)
{
	int i, r, worst = KVCTL_DONE;

	for (i = first; i < inv->operand_count; i++) {
		const char *key = inv->operands[i];

		if (strcmp(key, "-") == 0)
			r = each_on_stdin(inv, fn, ctx);
		else
			r = fn(inv, slice_of(key, strlen(key)), ctx);
		if (r < 0)
			return KVCTL_ERROR;
		worst = worse(worst, r);
		if (interrupt_seen())
			return KVCTL_ERROR;
	}
	return worst;
}
