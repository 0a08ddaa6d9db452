/* SPDX-License-Identifier: MIT */

/* Headers of tar archives: tools/tar.h. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/tar.h"

/* Writes the headers and reads them again. */
static void round_trip(const struct tar_entry *entry, struct tar_entry *back)
{
	struct buf buf = { 0 };
	size_t at = 0, size;

	assert_int_equal(tar_append_header(&buf, entry), 0);
	assert_int_equal(buf.size % TAR_BLOCK, 0);
	do {
		assert_true(at < buf.size);
		assert_int_equal(tar_decode_header(buf.data + at, back), 0);
		at += TAR_BLOCK;
		if (back->type != 'x')
			break;
		size = (size_t)back->size_bytes;
		assert_int_equal(tar_extend(back, 'x',
					    slice_of(buf.data + at, size)),
				 0);
		at += size + tar_padding(size);
	} while (true);
	assert_int_equal(at, buf.size);
	buf_release(&buf);
}

static void assert_comes_back(const struct tar_entry *entry)
{
	struct tar_entry back = { 0 };

	round_trip(entry, &back);
	assert_true(
		slice_equal(buf_slice(&back.name), buf_slice(&entry->name)));
	assert_true(
		slice_equal(buf_slice(&back.link), buf_slice(&entry->link)));
	assert_int_equal(back.type, entry->type);
	assert_int_equal(back.mode, entry->mode);
	assert_int_equal(back.size_bytes, entry->size_bytes);
	assert_int_equal(back.mtime.tv_sec, entry->mtime.tv_sec);
	if (entry->mtime.tv_sec >= 0)
		assert_int_equal(back.mtime.tv_nsec, entry->mtime.tv_nsec);
	tar_entry_release(&back);
}

static void what_is_written_is_read(void **state)
{
	struct tar_entry entry = { .type = '0', .mode = 0640 };
	char name[300];
	size_t size;

	(void)state;
	/* Names around every limit, with bytes of all kinds. */
	for (size = 1; size < sizeof(name); size++) {
		memset(name, size % 2 ? 'n' : 0xe4, size);
		assert_int_equal(buf_assign(&entry.name, slice_of(name, size)),
				 0);
		assert_comes_back(&entry);
	}
	entry.size_bytes = (uint64_t)1 << 40;
	entry.mtime = (struct timespec){ 1700000000, 123456789 };
	assert_comes_back(&entry);
	entry.mtime = (struct timespec){ -1, 500000000 };
	assert_comes_back(&entry);
	entry.size_bytes = 0;
	entry.type = '2';
	assert_int_equal(buf_assign(&entry.link, slice_of(name, 250)), 0);
	assert_comes_back(&entry);
	tar_entry_release(&entry);
}

static void a_changed_header_is_refused(void **state)
{
	struct tar_entry entry = { .type = '0', .mode = 0640 }, back = { 0 };
	struct buf buf = { 0 };
	size_t i;

	(void)state;
	assert_int_equal(buf_assign(&entry.name, SLICE_LITERAL("name")), 0);
	assert_int_equal(tar_append_header(&buf, &entry), 0);
	for (i = 0; i < 257; i++) {
		/* Behind the NUL of the checksum nobody looks. */
		if (i == 155)
			continue;
		buf.data[i] ^= 1;
		assert_int_equal(tar_decode_header(buf.data, &back), -EINVAL);
		buf.data[i] ^= 1;
	}
	memset(buf.data, 0, TAR_BLOCK);
	assert_int_equal(tar_decode_header(buf.data, &back), 1);
	buf_release(&buf);
	tar_entry_release(&entry);
	tar_entry_release(&back);
}

static void broken_records_are_refused(void **state)
{
	static const char *const records[] = {
		"x",           "5 path=a\n", "99 path=a\n",   "0 \n",
		"path=a\n",    "9 path=ab",  "12 size=abc\n", "13 mtime=abc\n",
		"-9 path=a\n", "3 \n4",
	};
	struct tar_entry entry = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(records) / sizeof(*records); i++) {
		/* Where nothing is behind it that could be read. */
		size_t size = strlen(records[i]);
		char *exact = malloc(size);

		memcpy(exact, records[i], size);
		assert_int_equal(tar_extend(&entry, 'x', slice_of(exact, size)),
				 -EINVAL);
		free(exact);
	}
	assert_int_equal(tar_extend(&entry, 'x',
				    SLICE_LITERAL("10 path=a\n11 foo=bar\n")),
			 0);
	assert_true(slice_equal(buf_slice(&entry.name), SLICE_LITERAL("a")));
	tar_entry_release(&entry);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(a_changed_header_is_refused),
		cmocka_unit_test(broken_records_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
