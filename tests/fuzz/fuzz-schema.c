/* SPDX-License-Identifier: MIT */

/* The filesystem's keys and records, each decoder on the same bytes. */

#include <assert.h>
#include <string.h>

#include "fs/schema.h"
#include "fs/value_check.h"
#include "tests/fuzz/fuzz.h"

static void try_inode(struct slice bytes)
{
	uint8_t encoded[INODE_RECORD_MAX];
	struct inode inode, again;
	size_t size;

	if (inode_decode(bytes, 7, &inode))
		return;
	size = inode_encode(&inode, encoded);
	assert(inode_decode(slice_of(encoded, size), 7, &again) == 0);
	assert(again.partition == inode.partition);
	assert(again.mode == inode.mode && again.nlink == inode.nlink &&
	       again.size_bytes == inode.size_bytes &&
	       slice_equal(again.data, inode.data));
}

/* The record of a partition, its settings, and values of its schemas. */
static void try_partition(struct slice bytes)
{
	uint8_t encoded[PARTITION_RECORD_MAX];
	struct partition_settings settings = { 0 };
	struct partition_counts counts, again;
	enum partition_setting setting;
	size_t size;

	if (partition_decode(bytes, &counts) == 0) {
		size = partition_encode(&counts, encoded);
		assert(partition_decode(slice_of(encoded, size), &again) == 0);
		assert(again.keys == counts.keys &&
		       again.bytes == counts.bytes);
	}
	for (unsigned int i = 0; i < SETTING_COUNT; i++)
		setting_parse((enum partition_setting)i, bytes, &settings);
	setting_of_xattr(bytes, &setting);
	/* What is a number is text, and what is whole may go on. */
	if (value_is_valid(VALUE_INT, bytes, false))
		assert(value_is_valid(VALUE_STRING, bytes, false));
	if (value_is_valid(VALUE_STRING, bytes, false))
		assert(value_is_valid(VALUE_STRING, bytes, true));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice bytes = fuzz_begin(data, size);
	struct key_parts parts;
	struct dentry dentry = { 0 };
	struct super super;

	if (schema_key_decode(bytes, &parts) == 0 && parts.name.data)
		assert(parts.name.size <= 255);
	schema_classify(bytes);
	super_decode(bytes, &super);
	try_inode(bytes);
	try_partition(bytes);
	name_record_decode(bytes, &dentry);
	if (cookie_record_decode(bytes, &dentry) == 0)
		assert(dentry.name.size <= 255);
	return 0;
}

static void put(const char *name, const void *bytes, size_t size)
{
	uint8_t input[1 + INODE_RECORD_MAX] = { 0 };

	memcpy(input + 1, bytes, size);
	fuzz_put_seed(name, input, 1 + size);
}

static void put_inode(const char *name, uint32_t mode)
{
	struct inode inode = { .ino = 7,
			       .mode = mode,
			       .nlink = 1,
			       .mtime = { 1700000000, 123456789 },
			       .btime = { -5, 1 } };
	uint8_t bytes[INODE_RECORD_MAX];

	if (mode >> 12 == 010) {
		inode.size_bytes = 5;
		inode.data = SLICE_LITERAL("hello");
	}
	if (mode >> 12 == 012)
		inode.data = SLICE_LITERAL("../target");
	if (mode >> 12 == 004) {
		inode.parent = 1;
		inode.next_cookie = 3;
	}
	put(name, bytes, inode_encode(&inode, bytes));
}

void fuzz_make_seeds(void)
{
	struct super super = { .version = 1,
			       .block_size_bytes = 32768,
			       .inline_limit_bytes = 2048,
			       .next_ino = 10 };
	struct dentry dentry = { .ino = 9,
				 .type = 010,
				 .cookie = 77,
				 .name = SLICE_LITERAL("name") };
	uint8_t bytes[SUPER_RECORD_SIZE], entry[ENTRY_RECORD_MAX];
	struct schema_key key;

	put_inode("file", 0100644);
	put_inode("directory", 0040755);
	put_inode("symlink", 0120777);
	put_inode("fifo", 0010600);
	super_encode(&super, bytes);
	put("super", bytes, sizeof(bytes));
	put("name-record", entry, name_record_encode(&dentry, entry));
	put("cookie-record", entry, cookie_record_encode(&dentry, entry));
	name_key_encode(&key, 5, SLICE_LITERAL("name"));
	put("name-key", key.bytes, key.size);
	block_key_encode(&key, 5, 300);
	put("block-key", key.bytes, key.size);
	orphan_key_encode(&key, 5);
	put("orphan-key", key.bytes, key.size);
}
