/* SPDX-License-Identifier: MIT */

/* Names read from standard input: tools/input.h. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tools/input.h"

/* What input.c wants of kvctl.c. */
bool interrupt_seen(void)
{
	return false;
}

const char *invocation_option(const struct invocation *inv, const char *name)
{
	(void)inv;
	(void)name;
	return NULL;
}

static FILE *file_of(const void *bytes, size_t size)
{
	FILE *file = tmpfile();

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	rewind(file);
	return file;
}

static void assert_next(FILE *file, int separator, const char *name,
			size_t size)
{
	struct buf buf = { 0 };

	assert_int_equal(input_read_name(file, separator, &buf), 0);
	assert_int_equal(buf.size, size);
	assert_memory_equal(buf.size ? buf.data : (const void *)"", name, size);
	buf_release(&buf);
}

static void assert_end(FILE *file, int separator)
{
	struct buf buf = { 0 };

	assert_int_equal(input_read_name(file, separator, &buf), 1);
	buf_release(&buf);
	fclose(file);
}

static void each_line_is_a_name(void **state)
{
	FILE *file = file_of("a\n\nb c\r\nlast", 12);

	(void)state;
	assert_next(file, '\n', "a", 1);
	assert_next(file, '\n', "", 0);
	assert_next(file, '\n', "b c\r", 4);
	assert_next(file, '\n', "last", 4);
	assert_end(file, '\n');
}

static void names_may_end_in_nul_instead(void **state)
{
	FILE *file = file_of("a\nb\0\0c", 6);

	(void)state;
	assert_next(file, '\0', "a\nb", 3);
	assert_next(file, '\0', "", 0);
	assert_next(file, '\0', "c", 1);
	assert_end(file, '\0');
}

static void lines_may_have_a_nul(void **state)
{
	FILE *file = file_of("a\0b\n", 4);

	(void)state;
	assert_next(file, '\n', "a\0b", 3);
	assert_end(file, '\n');
}

static void no_input_is_no_name(void **state)
{
	(void)state;
	assert_end(file_of("", 0), '\n');
}

static void a_name_without_end_is_refused(void **state)
{
	char *bytes = malloc(KEY_SIZE_MAX + 2);
	struct buf buf = { 0 };
	FILE *file;

	(void)state;
	assert_non_null(bytes);
	memset(bytes, 'x', KEY_SIZE_MAX + 2);
	bytes[KEY_SIZE_MAX] = '\n';
	file = file_of(bytes, KEY_SIZE_MAX + 2);
	assert_int_equal(input_read_name(file, '\n', &buf), 0);
	assert_int_equal(buf.size, KEY_SIZE_MAX);
	fclose(file);

	bytes[KEY_SIZE_MAX] = 'x';
	file = file_of(bytes, KEY_SIZE_MAX + 2);
	assert_int_equal(input_read_name(file, '\n', &buf), -ENAMETOOLONG);
	fclose(file);
	buf_release(&buf);
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_line_is_a_name),
		cmocka_unit_test(names_may_end_in_nul_instead),
		cmocka_unit_test(lines_may_have_a_nul),
		cmocka_unit_test(no_input_is_no_name),
		cmocka_unit_test(a_name_without_end_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
