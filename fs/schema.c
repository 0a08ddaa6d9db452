/* SPDX-License-Identifier: MIT */

/*
 * Keys and records of the filesystem as bytes. Invariants:
 *	1. This file and its header are the only ones that know the layout.
 *	2. Each decoder accepts exactly what its encoder makes.
 *	3. A decoder checks ranges and types, so that nothing behind it has to
 *	   distrust a decoded structure; what needs a second key to be judged
 *	   is fsck's business.
 * No state, no lock.
 */

#include "fs/schema.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/codec.h"

#define SUPER_MAGIC "kvfs-fs\n"
#define NSEC_END 1000000000u

/* --- keys --- */

static struct writer key_begin(struct schema_key *key, uint64_t ino,
			       enum key_tag tag)
{
	struct writer w = writer_of(key->bytes, sizeof(key->bytes));

	put_u64_be(&w, ino);
	put_u8(&w, (uint8_t)tag);
	return w;
}

static void key_end(struct schema_key *key, const struct writer *w)
{
	assert(!w->bad);
	key->size = (size_t)(w->at - key->bytes);
}

static void number_key_encode(struct schema_key *key, uint64_t ino,
			      enum key_tag tag, uint64_t number)
{
	struct writer w = key_begin(key, ino, tag);

	put_u64_be(&w, number);
	key_end(key, &w);
}

static void text_key_encode(struct schema_key *key, uint64_t ino,
			    enum key_tag tag, struct slice name)
{
	struct writer w = key_begin(key, ino, tag);

	put_bytes(&w, name);
	key_end(key, &w);
}

void prefix_encode(struct schema_key *ret_key, uint64_t ino, enum key_tag tag)
{
	struct writer w = key_begin(ret_key, ino, tag);

	key_end(ret_key, &w);
}

void inode_key_encode(struct schema_key *ret_key, uint64_t ino)
{
	prefix_encode(ret_key, ino, TAG_INODE);
}

void block_key_encode(struct schema_key *ret_key, uint64_t ino, uint64_t block)
{
	number_key_encode(ret_key, ino, TAG_BLOCK, block);
}

void fragment_key_encode(struct schema_key *ret_key, uint64_t ino,
			 uint64_t fragment)
{
	number_key_encode(ret_key, ino, TAG_FRAGMENT, fragment);
}

void prealloc_key_encode(struct schema_key *ret_key, uint64_t ino,
			 uint64_t block)
{
	number_key_encode(ret_key, ino, TAG_PREALLOC, block);
}

void cookie_key_encode(struct schema_key *ret_key, uint64_t ino,
		       uint64_t cookie)
{
	number_key_encode(ret_key, ino, TAG_COOKIE, cookie);
}

void name_key_encode(struct schema_key *ret_key, uint64_t dir_ino,
		     struct slice name)
{
	text_key_encode(ret_key, dir_ino, TAG_NAME, name);
}

void xattr_key_encode(struct schema_key *ret_key, uint64_t ino,
		      struct slice name)
{
	text_key_encode(ret_key, ino, TAG_XATTR, name);
}

void super_key_encode(struct schema_key *ret_key)
{
	prefix_encode(ret_key, 0, TAG_SUPER);
}

void orphan_key_encode(struct schema_key *ret_key, uint64_t ino)
{
	number_key_encode(ret_key, 0, TAG_ORPHAN, ino);
}

void truncate_key_encode(struct schema_key *ret_key, uint64_t ino)
{
	number_key_encode(ret_key, 0, TAG_TRUNCATE, ino);
}

void partition_key_encode(struct schema_key *ret_key, uint64_t ino)
{
	number_key_encode(ret_key, 0, TAG_PARTITION, ino);
}

static bool xattr_name_is_valid(struct slice name)
{
	return name.size >= 1 && name.size <= FS_XATTR_NAME_MAX &&
	       !memchr(name.data, '\0', name.size);
}

/* Decodes what is behind the tag. */
static bool key_rest_decode(struct reader *r, struct key_parts *parts)
{
	bool system = parts->ino == 0;

	switch (parts->tag) {
	case TAG_INODE:
		return !system;
	case TAG_SUPER:
		return system;
	case TAG_BLOCK:
	case TAG_FRAGMENT:
	case TAG_PREALLOC:
		parts->number = get_u64_be(r);
		return !system;
	case TAG_COOKIE:
		parts->number = get_u64_be(r);
		return !system && parts->number >= COOKIE_FIRST;
	case TAG_ORPHAN:
	case TAG_TRUNCATE:
	case TAG_PARTITION:
		parts->number = get_u64_be(r);
		return system && parts->number != 0;
	case TAG_NAME:
		parts->name = get_bytes(r, reader_left(r));
		return !system && name_is_valid(parts->name);
	case TAG_XATTR:
		parts->name = get_bytes(r, reader_left(r));
		return !system && xattr_name_is_valid(parts->name);
	}
	return false;
}

int schema_key_decode(struct slice key, struct key_parts *ret_parts)
{
	struct reader r = reader_of(key);
	struct key_parts parts = { 0 };

	parts.ino = get_u64_be(&r);
	parts.tag = get_u8(&r);
	if (!key_rest_decode(&r, &parts) || !reader_done(&r))
		return -EUCLEAN;
	*ret_parts = parts;
	return 0;
}

unsigned int schema_classify(struct slice key)
{
	struct key_parts parts;

	if (schema_key_decode(key, &parts))
		return CLASS_OTHER;
	switch (parts.tag) {
	case TAG_INODE:
		return CLASS_INODE;
	case TAG_BLOCK:
		return CLASS_BLOCK;
	case TAG_COOKIE:
		return CLASS_COOKIE;
	case TAG_NAME:
		return CLASS_NAME;
	case TAG_XATTR:
		return CLASS_XATTR;
	case TAG_SUPER:
		return CLASS_SUPER;
	case TAG_ORPHAN:
		return CLASS_ORPHAN;
	case TAG_TRUNCATE:
		return CLASS_TRUNCATE;
	case TAG_FRAGMENT:
		return CLASS_FRAGMENT;
	case TAG_PREALLOC:
		return CLASS_PREALLOC;
	case TAG_PARTITION:
		return CLASS_PARTITION;
	}
	return CLASS_OTHER;
}

/* --- the superblock --- */

void super_encode(const struct super *super,
		  uint8_t ret_bytes[static SUPER_RECORD_SIZE])
{
	struct writer w = writer_of(ret_bytes, SUPER_RECORD_SIZE);

	put_bytes(&w, SLICE_LITERAL(SUPER_MAGIC));
	put_u32(&w, super->version);
	put_u32(&w, super->compat_flags);
	put_u32(&w, super->incompat_flags);
	put_u32(&w, super->block_size_bytes);
	put_u32(&w, super->inline_limit_bytes);
	put_u64(&w, super->next_ino);
	assert(!w.bad && w.at == w.end);
}

static bool super_is_valid(const struct super *super)
{
	uint32_t block_size = super->block_size_bytes;

	return super->version != 0 && block_size >= BLOCK_SIZE_MIN &&
	       block_size <= BLOCK_SIZE_MAX &&
	       (block_size & (block_size - 1)) == 0 &&
	       super->inline_limit_bytes <= INLINE_LIMIT_MAX &&
	       super->next_ino > FS_ROOT_INO && super->next_ino <= INT64_MAX;
}

int super_decode(struct slice bytes, struct super *ret_super)
{
	struct reader r = reader_of(bytes);
	struct super super;
	struct slice magic = get_bytes(&r, sizeof(SUPER_MAGIC) - 1);

	if (!slice_equal(magic, SLICE_LITERAL(SUPER_MAGIC)))
		return -EMEDIUMTYPE;
	super.version = get_u32(&r);
	super.compat_flags = get_u32(&r);
	super.incompat_flags = get_u32(&r);
	super.block_size_bytes = get_u32(&r);
	super.inline_limit_bytes = get_u32(&r);
	super.next_ino = get_u64(&r);
	if (r.bad)
		return -EUCLEAN;
	/* Before anything else is judged: a newer version may mean it so. */
	if (super.version > SCHEMA_VERSION ||
	    (super.incompat_flags & ~(uint32_t)SUPER_INCOMPAT_ALL))
		return -EPROTONOSUPPORT;
	if (!reader_done(&r) || !super_is_valid(&super))
		return -EUCLEAN;
	*ret_super = super;
	return 0;
}

/* --- partitions --- */

size_t partition_encode(const struct partition_counts *counts,
			uint8_t ret_bytes[static PARTITION_RECORD_MAX])
{
	struct writer w = writer_of(ret_bytes, PARTITION_RECORD_MAX);

	put_varint(&w, counts->keys);
	put_varint(&w, counts->bytes);
	assert(!w.bad);
	return (size_t)(w.at - ret_bytes);
}

int partition_decode(struct slice bytes, struct partition_counts *ret_counts)
{
	struct reader r = reader_of(bytes);
	struct partition_counts counts;

	counts.keys = get_varint(&r);
	counts.bytes = get_varint(&r);
	if (!reader_done(&r))
		return -EUCLEAN;
	*ret_counts = counts;
	return 0;
}

/* --- inodes --- */

static void put_time(struct writer *w, const struct timespec *t)
{
	put_zigzag(w, t->tv_sec);
	put_varint(w, (uint64_t)t->tv_nsec);
}

static struct timespec get_time(struct reader *r)
{
	struct timespec t;
	uint64_t nsec;

	t.tv_sec = get_zigzag(r);
	nsec = get_varint(r);
	if (nsec >= NSEC_END)
		r->bad = true;
	t.tv_nsec = (long)(nsec % NSEC_END);
	return t;
}

/* A varint that must fit 32 bits. */
static uint32_t get_varint32(struct reader *r)
{
	uint64_t v = get_varint(r);

	if (v > UINT32_MAX)
		r->bad = true;
	return (uint32_t)v;
}

size_t inode_encode(const struct inode *inode, uint8_t *ret_bytes)
{
	struct writer w = writer_of(ret_bytes, INODE_RECORD_MAX);

	put_varint(&w,
		   inode->flags | (inode->partition ? INODE_IN_PARTITION : 0));
	put_u16(&w, (uint16_t)inode->mode);
	put_varint(&w, inode->nlink);
	put_varint(&w, inode->uid);
	put_varint(&w, inode->gid);
	put_varint(&w, inode->xattr_names_size);
	put_time(&w, &inode->atime);
	put_time(&w, &inode->mtime);
	put_time(&w, &inode->ctime);
	put_time(&w, &inode->btime);
	if (inode->partition)
		put_varint(&w, inode->partition);
	switch (inode->mode & S_IFMT) {
	case S_IFREG:
		put_varint(&w, inode->size_bytes);
		put_varint(&w, inode->block_count);
		if (inode->flags & INODE_FRAGMENTED)
			put_varint(&w, inode->fragment_from);
		if (inode->flags & INODE_PREALLOCATED)
			put_varint(&w, inode->prealloc_count);
		put_bytes(&w, inode->data);
		break;
	case S_IFDIR:
		put_varint(&w, inode->parent);
		put_varint(&w, inode->next_cookie);
		break;
	case S_IFLNK:
		put_bytes(&w, inode->data);
		break;
	case S_IFCHR:
	case S_IFBLK:
		put_varint(&w, inode->rdev);
		break;
	default:
		break;
	}
	assert(!w.bad);
	return (size_t)(w.at - ret_bytes);
}

/* The record's data is all that there is, or a tail of what is in blocks. */
static bool file_data_is_valid(const struct inode *inode)
{
	if (inode->data.size > INLINE_LIMIT_MAX ||
	    inode->data.size > inode->size_bytes)
		return false;
	if (inode->flags & INODE_TAIL)
		return inode->block_count && inode->data.size;
	return inode->block_count == 0 || inode->data.size == 0;
}

static bool file_decode(struct reader *r, struct inode *inode)
{
	inode->size_bytes = get_varint(r);
	inode->block_count = get_varint(r);
	if (inode->flags & INODE_FRAGMENTED)
		inode->fragment_from = get_varint(r);
	if (inode->flags & INODE_PREALLOCATED)
		inode->prealloc_count = get_varint(r);
	inode->data = get_bytes(r, reader_left(r));
	return inode->size_bytes <= FS_FILE_SIZE_MAX &&
	       file_data_is_valid(inode) &&
	       (inode->block_count || !(inode->flags & INODE_FRAGMENTED)) &&
	       (inode->prealloc_count || !(inode->flags & INODE_PREALLOCATED));
}

static bool inode_type_decode(struct reader *r, struct inode *inode)
{
	switch (inode->mode & S_IFMT) {
	case S_IFREG:
		return file_decode(r, inode);
	case S_IFDIR:
		inode->parent = get_varint(r);
		inode->next_cookie = get_varint(r);
		return inode->parent != 0 && inode->flags == 0 &&
		       inode->next_cookie >= COOKIE_FIRST &&
		       inode->next_cookie <= INT64_MAX;
	case S_IFLNK:
		inode->data = get_bytes(r, reader_left(r));
		return inode->data.size >= 1 &&
		       inode->data.size <= FS_SYMLINK_MAX && inode->flags == 0;
	case S_IFCHR:
	case S_IFBLK:
		inode->rdev = get_varint(r);
		return inode->flags == 0;
	case S_IFIFO:
	case S_IFSOCK:
		return inode->flags == 0;
	default:
		return false;
	}
}

int inode_decode(struct slice bytes, uint64_t ino, struct inode *ret_inode)
{
	struct reader r = reader_of(bytes);
	struct inode inode = { .ino = ino };

	inode.flags = get_varint32(&r);
	inode.mode = get_u16(&r);
	inode.nlink = get_varint32(&r);
	inode.uid = get_varint32(&r);
	inode.gid = get_varint32(&r);
	inode.xattr_names_size = get_varint32(&r);
	inode.atime = get_time(&r);
	inode.mtime = get_time(&r);
	inode.ctime = get_time(&r);
	inode.btime = get_time(&r);
	if (inode.flags & INODE_IN_PARTITION) {
		inode.partition = get_varint(&r);
		inode.flags &= ~INODE_IN_PARTITION;
		if (inode.partition == 0)
			return -EUCLEAN;
	}
	if ((inode.flags & ~INODE_FLAGS_ALL) != 0 ||
	    inode.xattr_names_size > XATTR_NAMES_MAX ||
	    !inode_type_decode(&r, &inode) || !reader_done(&r))
		return -EUCLEAN;
	*ret_inode = inode;
	return 0;
}

/* --- directory entries --- */

bool name_is_valid(struct slice name)
{
	const char *p = name.data;

	if (name.size == 0 || name.size > FS_NAME_MAX)
		return false;
	if (slice_equal(name, SLICE_LITERAL(".")) ||
	    slice_equal(name, SLICE_LITERAL("..")))
		return false;
	return !memchr(p, '\0', name.size) && !memchr(p, '/', name.size);
}

static bool type_is_valid(uint8_t type)
{
	switch (mode_of_type(type)) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return true;
	default:
		return false;
	}
}

size_t name_record_encode(const struct dentry *dentry,
			  uint8_t ret_bytes[static ENTRY_RECORD_MAX])
{
	struct writer w = writer_of(ret_bytes, ENTRY_RECORD_MAX);

	put_varint(&w, dentry->ino);
	put_u8(&w, dentry->type);
	put_varint(&w, dentry->cookie);
	assert(!w.bad);
	return (size_t)(w.at - ret_bytes);
}

int name_record_decode(struct slice bytes, struct dentry *ret_dentry)
{
	struct reader r = reader_of(bytes);
	uint64_t ino = get_varint(&r);
	uint8_t type = get_u8(&r);
	uint64_t cookie = get_varint(&r);

	if (!reader_done(&r) || ino == 0 || !type_is_valid(type) ||
	    cookie < COOKIE_FIRST)
		return -EUCLEAN;
	ret_dentry->ino = ino;
	ret_dentry->type = type;
	ret_dentry->cookie = cookie;
	return 0;
}

size_t cookie_record_encode(const struct dentry *dentry,
			    uint8_t ret_bytes[static ENTRY_RECORD_MAX])
{
	struct writer w = writer_of(ret_bytes, ENTRY_RECORD_MAX);

	put_varint(&w, dentry->ino);
	put_u8(&w, dentry->type);
	put_bytes(&w, dentry->name);
	assert(!w.bad);
	return (size_t)(w.at - ret_bytes);
}

int cookie_record_decode(struct slice bytes, struct dentry *ret_dentry)
{
	struct reader r = reader_of(bytes);
	uint64_t ino = get_varint(&r);
	uint8_t type = get_u8(&r);
	struct slice name = get_bytes(&r, reader_left(&r));

	if (!reader_done(&r) || ino == 0 || !type_is_valid(type) ||
	    !name_is_valid(name))
		return -EUCLEAN;
	ret_dentry->ino = ino;
	ret_dentry->type = type;
	ret_dentry->name = name;
	return 0;
}
