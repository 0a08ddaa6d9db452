/* SPDX-License-Identifier: MIT */

/* Keys and records as bytes: fs/schema.h. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/schema.h"

static struct inode sample_file(void)
{
	return (struct inode){
		.ino = 77,
		.mode = S_IFREG | 0644,
		.nlink = 2,
		.uid = 1000,
		.gid = 4000000000u,
		.xattr_names_size = 12,
		.atime = { -1, 999999999 },
		.mtime = { 1700000000, 123456789 },
		.ctime = { -((int64_t)1 << 55), 0 },
		.btime = { (int64_t)1 << 40, 1 },
		.size_bytes = 5,
		.data = SLICE_LITERAL("hello"),
	};
}

static void assert_inode_equal(const struct inode *a, const struct inode *b)
{
	assert_int_equal(a->ino, b->ino);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->mode, b->mode);
	assert_int_equal(a->nlink, b->nlink);
	assert_int_equal(a->uid, b->uid);
	assert_int_equal(a->gid, b->gid);
	assert_int_equal(a->xattr_names_size, b->xattr_names_size);
	assert_memory_equal(&a->atime, &b->atime, sizeof(a->atime));
	assert_memory_equal(&a->mtime, &b->mtime, sizeof(a->mtime));
	assert_memory_equal(&a->ctime, &b->ctime, sizeof(a->ctime));
	assert_memory_equal(&a->btime, &b->btime, sizeof(a->btime));
	assert_int_equal(a->size_bytes, b->size_bytes);
	assert_int_equal(a->block_count, b->block_count);
	assert_int_equal(a->fragment_from, b->fragment_from);
	assert_int_equal(a->rdev, b->rdev);
	assert_int_equal(a->parent, b->parent);
	assert_int_equal(a->next_cookie, b->next_cookie);
	assert_int_equal(a->partition, b->partition);
	assert_true(slice_equal(a->data, b->data));
}

static void round_trip(const struct inode *inode)
{
	uint8_t bytes[INODE_RECORD_MAX];
	struct inode out;
	size_t size = inode_encode(inode, bytes);

	assert_int_equal(inode_decode(slice_of(bytes, size), inode->ino, &out),
			 0);
	assert_inode_equal(inode, &out);
}

static void every_type_of_inode_comes_back_as_it_was(void **state)
{
	struct inode inode = sample_file();

	(void)state;
	round_trip(&inode);
	inode.data = slice_of(NULL, 0);
	inode.size_bytes = FS_FILE_SIZE_MAX;
	inode.block_count = (uint64_t)1 << 50;
	inode.flags = INODE_TRUNCATING;
	round_trip(&inode);
	inode.flags = INODE_FRAGMENTED;
	inode.fragment_from = (uint64_t)1 << 49;
	round_trip(&inode);
	inode.flags |= INODE_TAIL;
	inode.data = SLICE_LITERAL("end");
	round_trip(&inode);

	inode = (struct inode){ .ino = 1,
				.mode = S_IFDIR | 01777,
				.nlink = 9,
				.parent = 1,
				.next_cookie = 1234567 };
	round_trip(&inode);
	inode = (struct inode){ .ino = 5,
				.mode = S_IFLNK | 0777,
				.nlink = 1,
				.data = SLICE_LITERAL("../target") };
	round_trip(&inode);
	inode = (struct inode){ .ino = 6,
				.mode = S_IFCHR | 0600,
				.rdev = UINT64_MAX };
	round_trip(&inode);
	inode = (struct inode){ .ino = 7, .mode = S_IFBLK, .rdev = 0x801 };
	round_trip(&inode);
	inode = (struct inode){ .ino = 8, .mode = S_IFIFO | 0666, .nlink = 1 };
	round_trip(&inode);
	inode = (struct inode){ .ino = 9, .mode = S_IFSOCK, .nlink = 1 };
	round_trip(&inode);
}

static void the_largest_inline_record_fits_its_bound(void **state)
{
	static uint8_t data[INLINE_LIMIT_MAX];
	struct inode inode = sample_file();

	(void)state;
	memset(&inode.atime, 0, sizeof(inode.atime));
	inode.nlink = inode.uid = inode.gid = UINT32_MAX;
	inode.xattr_names_size = XATTR_NAMES_MAX;
	inode.atime = inode.mtime = inode.ctime = inode.btime =
		(struct timespec){ INT64_MIN, 999999999 };
	inode.size_bytes = FS_FILE_SIZE_MAX;
	inode.data = slice_of(data, sizeof(data));
	round_trip(&inode);
}

static void an_inode_of_a_partition_tells_which(void **state)
{
	struct inode inode = sample_file();
	uint8_t bytes[INODE_RECORD_MAX];
	struct inode out;
	size_t size;

	(void)state;
	inode.partition = 300;
	round_trip(&inode);
	inode.mode = S_IFIFO | 0600;
	inode.size_bytes = 0;
	inode.data = slice_of(NULL, 0);
	round_trip(&inode);
	size = inode_encode(&inode, bytes);
	bytes[size - 2] = 0x80; /* 300 as a varint is 0xac 0x02 */
	bytes[size - 1] = 0;
	assert_int_equal(inode_decode(slice_of(bytes, size), 7, &out),
			 -EUCLEAN);
}

static void a_partition_comes_back_as_it_was(void **state)
{
	struct partition_counts counts = { UINT64_MAX, 1 }, out;
	uint8_t bytes[PARTITION_RECORD_MAX];
	size_t size;

	(void)state;
	size = partition_encode(&counts, bytes);
	assert_int_equal(partition_decode(slice_of(bytes, size), &out), 0);
	assert_int_equal(out.keys, counts.keys);
	assert_int_equal(out.bytes, counts.bytes);
	assert_int_equal(partition_decode(slice_of(bytes, size - 1), &out),
			 -EUCLEAN);
}

static void an_inode_cut_short_is_rejected(void **state)
{
	uint8_t bytes[INODE_RECORD_MAX];
	struct inode inode = { .ino = 1,
			       .mode = S_IFDIR | 0755,
			       .nlink = 2,
			       .parent = 1,
			       .next_cookie = 3 };
	struct inode out;
	size_t size = inode_encode(&inode, bytes);
	size_t i;

	(void)state;
	for (i = 0; i < size; i++)
		assert_int_equal(inode_decode(slice_of(bytes, i), 1, &out),
				 -EUCLEAN);
	bytes[size] = 0;
	assert_int_equal(inode_decode(slice_of(bytes, size + 1), 1, &out),
			 -EUCLEAN);
}

static void assert_rejected(const struct inode *inode)
{
	uint8_t bytes[INODE_RECORD_MAX];
	struct inode out;
	size_t size = inode_encode(inode, bytes);

	assert_int_equal(inode_decode(slice_of(bytes, size), inode->ino, &out),
			 -EUCLEAN);
}

static void an_inode_with_impossible_fields_is_rejected(void **state)
{
	struct inode inode = sample_file();

	(void)state;
	inode.mode = 0644;
	assert_rejected(&inode);
	inode = sample_file();
	inode.flags = 1u << 30;
	assert_rejected(&inode);
	inode = sample_file();
	inode.mtime.tv_nsec = 1000000000;
	assert_rejected(&inode);
	inode = sample_file();
	inode.block_count = 1;
	assert_rejected(&inode);
	inode = sample_file();
	inode.flags = INODE_FRAGMENTED;
	assert_rejected(&inode);
	/* A tail of no blocks, and one without bytes. */
	inode = sample_file();
	inode.flags = INODE_TAIL;
	assert_rejected(&inode);
	inode.block_count = 1;
	inode.data.size = 0;
	assert_rejected(&inode);
	inode = sample_file();
	inode.size_bytes = 4;
	assert_rejected(&inode);
	inode = sample_file();
	inode.size_bytes = FS_FILE_SIZE_MAX + 1;
	assert_rejected(&inode);
	inode = sample_file();
	inode.xattr_names_size = XATTR_NAMES_MAX + 1;
	assert_rejected(&inode);
	inode = (struct inode){ .ino = 1, .mode = S_IFDIR, .next_cookie = 3 };
	assert_rejected(&inode);
	inode = (struct inode){
		.ino = 1, .mode = S_IFDIR, .parent = 1, .next_cookie = 2
	};
	assert_rejected(&inode);
	inode = (struct inode){ .ino = 1, .mode = S_IFLNK };
	assert_rejected(&inode);
}

static void keys_of_an_inode_sort_by_tag_and_number(void **state)
{
	struct schema_key a, b;

	(void)state;
	inode_key_encode(&a, 5);
	block_key_encode(&b, 5, 0);
	assert_true(slice_compare(key_slice(&a), key_slice(&b)) < 0);
	block_key_encode(&a, 5, 255);
	block_key_encode(&b, 5, 256);
	assert_true(slice_compare(key_slice(&a), key_slice(&b)) < 0);
	name_key_encode(&a, 5, SLICE_LITERAL("z"));
	inode_key_encode(&b, 256);
	assert_true(slice_compare(key_slice(&a), key_slice(&b)) < 0);
}

static void assert_key(const struct schema_key *key, uint64_t ino,
		       enum key_tag tag, uint64_t number, const char *name,
		       enum key_class class)
{
	struct key_parts parts;

	assert_int_equal(schema_key_decode(key_slice(key), &parts), 0);
	assert_int_equal(parts.ino, ino);
	assert_int_equal(parts.tag, tag);
	assert_int_equal(parts.number, number);
	assert_true(slice_equal(parts.name, slice_of(name, strlen(name))));
	assert_int_equal(schema_classify(key_slice(key)), class);
}

static void every_key_comes_back_as_it_was(void **state)
{
	struct schema_key key;

	(void)state;
	inode_key_encode(&key, 1);
	assert_key(&key, 1, TAG_INODE, 0, "", CLASS_INODE);
	block_key_encode(&key, 9, 1 << 20);
	assert_key(&key, 9, TAG_BLOCK, 1 << 20, "", CLASS_BLOCK);
	fragment_key_encode(&key, 9, 1 << 20);
	assert_key(&key, 9, TAG_FRAGMENT, 1 << 20, "", CLASS_FRAGMENT);
	cookie_key_encode(&key, 9, 3);
	assert_key(&key, 9, TAG_COOKIE, 3, "", CLASS_COOKIE);
	name_key_encode(&key, 9, SLICE_LITERAL("a b"));
	assert_key(&key, 9, TAG_NAME, 0, "a b", CLASS_NAME);
	xattr_key_encode(&key, 9, SLICE_LITERAL("user.x"));
	assert_key(&key, 9, TAG_XATTR, 0, "user.x", CLASS_XATTR);
	super_key_encode(&key);
	assert_key(&key, 0, TAG_SUPER, 0, "", CLASS_SUPER);
	orphan_key_encode(&key, 4);
	assert_key(&key, 0, TAG_ORPHAN, 4, "", CLASS_ORPHAN);
	truncate_key_encode(&key, 4);
	assert_key(&key, 0, TAG_TRUNCATE, 4, "", CLASS_TRUNCATE);
	partition_key_encode(&key, 5);
	assert_key(&key, 0, TAG_PARTITION, 5, "", CLASS_PARTITION);
}

static void a_key_that_makes_no_sense_is_of_no_class(void **state)
{
	struct schema_key key;
	struct key_parts parts;

	(void)state;
	inode_key_encode(&key, 0);
	assert_int_equal(schema_key_decode(key_slice(&key), &parts), -EUCLEAN);
	assert_int_equal(schema_classify(key_slice(&key)), CLASS_OTHER);
	block_key_encode(&key, 1, 1);
	key.size--;
	assert_int_equal(schema_classify(key_slice(&key)), CLASS_OTHER);
	name_key_encode(&key, 1, SLICE_LITERAL(".."));
	assert_int_equal(schema_classify(key_slice(&key)), CLASS_OTHER);
	prefix_encode(&key, 1, TAG_SUPER);
	assert_int_equal(schema_classify(key_slice(&key)), CLASS_OTHER);
	assert_int_equal(schema_classify(slice_of(NULL, 0)), CLASS_OTHER);
	cookie_key_encode(&key, 1, COOKIE_DOT_DOT);
	assert_int_equal(schema_classify(key_slice(&key)), CLASS_OTHER);
}

static void entries_come_back_as_they_were(void **state)
{
	struct dentry dentry = { .ino = 300,
				 .type = 8,
				 .cookie = 70000,
				 .name = SLICE_LITERAL("file") };
	uint8_t bytes[ENTRY_RECORD_MAX];
	struct dentry out = { 0 };
	size_t size;

	(void)state;
	size = name_record_encode(&dentry, bytes);
	assert_int_equal(name_record_decode(slice_of(bytes, size), &out), 0);
	assert_int_equal(out.ino, 300);
	assert_int_equal(out.type, 8);
	assert_int_equal(out.cookie, 70000);
	assert_int_equal(name_record_decode(slice_of(bytes, size - 1), &out),
			 -EUCLEAN);
	size = cookie_record_encode(&dentry, bytes);
	assert_int_equal(cookie_record_decode(slice_of(bytes, size), &out), 0);
	assert_true(slice_equal(out.name, dentry.name));
	dentry.type = 3;
	size = cookie_record_encode(&dentry, bytes);
	assert_int_equal(cookie_record_decode(slice_of(bytes, size), &out),
			 -EUCLEAN);
	dentry.type = 8;
	dentry.name = SLICE_LITERAL("a/b");
	size = cookie_record_encode(&dentry, bytes);
	assert_int_equal(cookie_record_decode(slice_of(bytes, size), &out),
			 -EUCLEAN);
}

static void a_superblock_of_another_kind_or_time_is_refused(void **state)
{
	struct super super = { .version = 1,
			       .block_size_bytes = 32768,
			       .inline_limit_bytes = 2048,
			       .next_ino = 2 };
	uint8_t bytes[SUPER_RECORD_SIZE];
	struct slice slice = slice_of(bytes, sizeof(bytes));
	struct super out;

	(void)state;
	super_encode(&super, bytes);
	assert_int_equal(super_decode(slice, &out), 0);
	assert_int_equal(out.block_size_bytes, 32768);
	assert_int_equal(out.inline_limit_bytes, 2048);
	assert_int_equal(out.next_ino, 2);
	assert_int_equal(super_decode(slice_of(bytes, sizeof(bytes) - 1), &out),
			 -EUCLEAN);
	bytes[0] = 'K';
	assert_int_equal(super_decode(slice, &out), -EMEDIUMTYPE);
	super.version = SCHEMA_VERSION + 1;
	super_encode(&super, bytes);
	assert_int_equal(super_decode(slice, &out), -EPROTONOSUPPORT);
	super.version = SCHEMA_VERSION;
	super.incompat_flags = SUPER_INCOMPAT_ALL;
	super_encode(&super, bytes);
	assert_int_equal(super_decode(slice, &out), 0);
	super.incompat_flags = SUPER_INCOMPAT_ALL + 1;
	super_encode(&super, bytes);
	assert_int_equal(super_decode(slice, &out), -EPROTONOSUPPORT);
	super.incompat_flags = 0;
	super.compat_flags = 1;
	super_encode(&super, bytes);
	assert_int_equal(super_decode(slice, &out), 0);
	super.block_size_bytes = 32769;
	super_encode(&super, bytes);
	assert_int_equal(super_decode(slice, &out), -EUCLEAN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_of_inode_comes_back_as_it_was),
		cmocka_unit_test(an_inode_of_a_partition_tells_which),
		cmocka_unit_test(a_partition_comes_back_as_it_was),
		cmocka_unit_test(the_largest_inline_record_fits_its_bound),
		cmocka_unit_test(an_inode_cut_short_is_rejected),
		cmocka_unit_test(an_inode_with_impossible_fields_is_rejected),
		cmocka_unit_test(keys_of_an_inode_sort_by_tag_and_number),
		cmocka_unit_test(every_key_comes_back_as_it_was),
		cmocka_unit_test(a_key_that_makes_no_sense_is_of_no_class),
		cmocka_unit_test(entries_come_back_as_they_were),
		cmocka_unit_test(
			a_superblock_of_another_kind_or_time_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
