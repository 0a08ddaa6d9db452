/* SPDX-License-Identifier: MIT */

/*
 * One pass over all keys in order. As an inode's keys are adjacent, with its
 * record first, everything about one inode passes by together:
 *
 *	A            its record: may it be so?
 *	B B B ...    its blocks: within its size, as many as it counts
 *	C C C ...    its entries by cookie: each has one by name
 *	D D D ...    its entries by name: each has one by cookie, and an inode
 *	             of that type, which knows its parent
 *	F F F ...    its fragments: of blocks it has, within its size
 *	X X X ...    its xattrs: as many bytes of names as it counts
 *
 * Records that cannot be read were reported by the engine's check before; here
 * they are passed over.
 */

#include <errno.h>
#include <string.h>

#include "fs/acl.h"
#include "fs/check_internal.h"

/* More steps to the root than this are a loop. */
#define DEPTH_MAX 100000u

static int structure(struct check *check, uint64_t ino, const char *what)
{
	return report_inode(check, FS_PROBLEM_STRUCTURE, ino, "%s", what);
}

/* --- inode 0: the superblock and the lists --- */

static int super_check(struct check *check)
{
	struct buf value = { 0 };
	struct schema_key key;
	struct super super;
	int error;

	super_key_encode(&key);
	error = check_get(check, &key, &value);
	if (!error)
		error = super_decode(buf_slice(&value), &super);
	buf_release(&value);
	if (!error)
		check->next_ino = super.next_ino;
	else if (error == -EUCLEAN)
		report_store(check, "the superblock makes no sense");
	else if (!check_is_damage(error))
		return error;
	return 0;
}

/* An ORPHAN or TRUNCATE key must lead to an inode in that state. */
static int list_check(struct check *check, const struct key_parts *parts)
{
	bool orphan = parts->tag == TAG_ORPHAN;
	struct inode inode;
	int error;

	error = check_load(check, parts->number, &inode);
	if (error < 0)
		return check_is_damage(error) ? 0 : error;
	if (!error &&
	    (orphan ? inode.nlink == 0 : inode.flags & INODE_TRUNCATING))
		return 0;
	return structure(check, parts->number,
			 orphan ? "it is listed as unlinked, but is not" :
				  "it is listed as being truncated, but is "
				  "not");
}

/* --- the end of an inode --- */

static int listed_check(struct check *check, const struct inode *inode)
{
	struct schema_key key;
	int error;

	if (inode->nlink == 0) {
		orphan_key_encode(&key, inode->ino);
		error = check_exists(check, &key);
		if (error < 0)
			return error;
		if (error)
			return report_inode(check, FS_PROBLEM_UNREACHABLE,
					    inode->ino,
					    "it has no links, and is not "
					    "listed to be deleted");
	}
	if (inode->flags & INODE_TRUNCATING) {
		truncate_key_encode(&key, inode->ino);
		error = check_exists(check, &key);
		if (error < 0)
			return error;
		if (error)
			return structure(check, inode->ino,
					 "its truncation is not listed to be "
					 "completed");
	}
	return 0;
}

/*
 * Whether the root is above a directory. On any loop there is a directory whose
 * parent has the greater number, as there is on the way of anything that was
 * moved; so only those need to be followed.
 */
static int ancestors_check(struct check *check, const struct inode *dir)
{
	struct inode above = *dir;
	unsigned int depth;
	int error;

	if (dir->ino == FS_ROOT_INO || dir->parent < dir->ino)
		return 0;
	for (depth = 0; depth < DEPTH_MAX; depth++) {
		if (above.parent == FS_ROOT_INO)
			return 0;
		if (above.parent == dir->ino)
			break;
		error = check_load(check, above.parent, &above);
		if (error < 0)
			return check_is_damage(error) ? 0 : error;
		if (error)
			return 0; /* reported as unreachable */
	}
	return structure(check, dir->ino, "it contains itself");
}

static int dir_end(struct check *check, const struct check_inode *current)
{
	const struct inode *dir = &current->inode;
	struct inode parent;
	int error;

	if (dir->nlink == 0)
		return 0;
	if (dir->nlink != 2 + current->subdirs) {
		error = report_inode(check, FS_PROBLEM_LINK_COUNT, dir->ino,
				     "it has %llu subdirectories, but counts "
				     "%u links",
				     (unsigned long long)current->subdirs,
				     dir->nlink);
		if (error)
			return error;
	}
	error = check_load(check, dir->parent, &parent);
	if (error < 0)
		return check_is_damage(error) ? 0 : error;
	if (error || !inode_is_dir(&parent))
		return structure(check, dir->ino, "its parent is no directory");
	return ancestors_check(check, dir);
}

static int tail_check(struct check *check, const struct check_inode *current)
{
	const struct inode *inode = &current->inode;
	uint64_t block_size = check->fs->block_size_bytes;
	uint64_t begin = inode_blocks_end(inode);

	if (!(inode->flags & INODE_TAIL))
		return 0;
	if (begin / block_size != (inode->size_bytes - 1) / block_size)
		return structure(check, inode->ino,
				 "its last bytes are of several blocks");
	if (!current->blocks || current->last_block != begin / block_size)
		return structure(check, inode->ino,
				 "the block that its last bytes are of is "
				 "missing");
	return 0;
}

static int inode_end(struct check *check)
{
	const struct check_inode *current = &check->current;
	const struct inode *inode = &current->inode;
	int error;

	if (!current->known)
		return 0;
	check->state.references.links_counted +=
		links_expected(inode) * link_hash(inode->ino);
	error = listed_check(check, inode);
	/* An orphan may be half deleted. */
	if (error || inode->nlink == 0)
		return error;
	if (S_ISREG(inode->mode) && inode->block_count != current->blocks)
		error = report_inode(check, FS_PROBLEM_STRUCTURE, inode->ino,
				     "it has %llu blocks, but counts %llu",
				     (unsigned long long)current->blocks,
				     (unsigned long long)inode->block_count);
	if (!error)
		error = tail_check(check, current);
	if (!error && (inode->flags & INODE_PREALLOCATED) &&
	    inode->prealloc_count != current->preallocated)
		error = structure(check, inode->ino,
				  "its preallocated blocks are not as many "
				  "as it counts");
	if (!error && inode->xattr_names_size != current->xattr_names_size)
		error = structure(check, inode->ino,
				  "its extended attributes are not those it "
				  "counts");
	if (!error && inode_is_dir(inode))
		error = dir_end(check, current);
	return error;
}

/* --- keys of an inode --- */

static int record_check(struct check *check, uint64_t ino)
{
	struct check_inode *current = &check->current;
	int error;

	error = check_load(check, ino, &current->inode);
	if (error) {
		current->damaged = true;
		if (error == -EUCLEAN)
			return report_inode(check, FS_PROBLEM_DAMAGED, ino,
					    "its attributes make no sense");
		return check_is_damage(error) ? 0 : error;
	}
	current->known = true;
	if (check->next_ino && ino >= check->next_ino)
		return structure(check, ino,
				 "its number was not given out yet");
	return 0;
}

/* Whether a block or fragment has no more bytes than are before the end. */
static int end_check(struct check *check, uint64_t ino,
		     const struct schema_key *key, uint32_t valid)
{
	uint64_t value_size;
	uint8_t none;
	size_t got;
	int error;

	error = kv_read(check->fs->kv, check->pin, key_slice(key), 0, &none, 0,
			&got, &value_size);
	if (error < 0)
		return check_is_damage(error) ? 0 : error;
	if (value_size <= valid)
		return 0;
	return structure(check, ino, "it has bytes beyond its end");
}

static int block_check(struct check *check, const struct key_parts *parts)
{
	uint32_t block_size = check->fs->block_size_bytes;
	struct check_inode *current = &check->current;
	const struct inode *inode = &current->inode;
	struct schema_key key;
	uint32_t valid;

	current->blocks++;
	current->last_block = parts->number;
	if (!S_ISREG(inode->mode))
		return structure(check, parts->ino,
				 "it has blocks, but is no file");
	if (inode->nlink == 0)
		return 0;
	valid = block_valid_size(block_size, parts->number,
				 inode_blocks_end(inode));
	if (valid == 0 && !(inode->flags & INODE_TRUNCATING))
		return structure(check, parts->ino,
				 "it has blocks beyond its end");
	/* Whole blocks are within the size; only the last must be shorter. */
	if (valid == 0 || valid == block_size)
		return 0;
	block_key_encode(&key, parts->ino, parts->number);
	return end_check(check, parts->ino, &key, valid);
}

static int prealloc_check(struct check *check, const struct key_parts *parts)
{
	struct check_inode *current = &check->current;
	struct schema_key key;
	int error;

	current->preallocated++;
	if (current->inode.nlink == 0)
		return 0;
	if (!(current->inode.flags & INODE_PREALLOCATED))
		return structure(check, parts->ino,
				 "blocks are preallocated where it counts "
				 "none");
	block_key_encode(&key, parts->ino, parts->number);
	error = check_exists(check, &key);
	if (error < 0)
		return check_is_damage(error) ? 0 : error;
	return error == 1 ? 0 :
			    structure(check, parts->ino,
				      "a block that it has is preallocated");
}

static int fragment_check(struct check *check, const struct key_parts *parts)
{
	const struct inode *inode = &check->current.inode;
	uint64_t block =
		parts->number / (check->fs->block_size_bytes / FRAGMENT_SIZE);
	struct schema_key key;
	uint32_t valid;
	int error;

	if (inode->nlink == 0)
		return 0;
	if (!block_has_fragments(inode, block))
		return structure(check, parts->ino,
				 "it has a fragment where it counts none");
	block_key_encode(&key, parts->ino, block);
	error = check_exists(check, &key);
	if (error == 1)
		return structure(check, parts->ino,
				 "it has a fragment of a block that is "
				 "missing");
	if (error < 0)
		return check_is_damage(error) ? 0 : error;
	valid = block_valid_size(FRAGMENT_SIZE, parts->number,
				 inode_blocks_end(inode));
	if (valid == 0 && (inode->flags & INODE_TRUNCATING))
		return 0;
	fragment_key_encode(&key, parts->ino, parts->number);
	return end_check(check, parts->ino, &key, valid);
}

/* A name leads to this inode; one whose links are not known does not count. */
static int name_count(struct check *check, uint64_t ino)
{
	struct inode child;
	int error = check_load(check, ino, &child);

	if (!error)
		check->state.references.names_found += link_hash(ino);
	return error < 0 && !check_is_damage(error) ? error : 0;
}

static int cookie_check(struct check *check, const struct key_parts *parts)
{
	struct check_inode *current = &check->current;
	struct buf value = { 0 };
	struct schema_key key;
	struct dentry dentry = { 0 };
	struct dentry named = { 0 };
	int error;

	cookie_key_encode(&key, parts->ino, parts->number);
	error = check_get(check, &key, &value);
	if (!error)
		error = cookie_record_decode(buf_slice(&value), &dentry);
	if (error) {
		buf_release(&value);
		if (error == -EUCLEAN)
			return structure(check, parts->ino,
					 "an entry of its listing makes no "
					 "sense");
		return check_is_damage(error) ? 0 : error;
	}
	if (S_ISDIR(mode_of_type(dentry.type)))
		current->subdirs++;
	name_key_encode(&key, parts->ino, dentry.name);
	error = check_dentry(check, &key, &named);
	if (check_is_damage(error)) {
		/* Then this record stands for the entry. */
		error = name_count(check, dentry.ino);
	} else if (error == 1 || (!error && (named.ino != dentry.ino ||
					     named.type != dentry.type ||
					     named.cookie != parts->number))) {
		error = report_name(check, FS_PROBLEM_STRUCTURE, parts->ino,
				    dentry.name, dentry.ino,
				    "it is listed, but cannot be looked up");
	} else if (!error && current->known &&
		   parts->number >= current->inode.next_cookie) {
		error = structure(check, parts->ino,
				  "an entry's position was not given out yet");
	}
	buf_release(&value);
	return error;
}

/* Whether the listing has the entry, too. */
static int listing_check(struct check *check, const struct key_parts *parts,
			 const struct dentry *named)
{
	struct dentry listed = { 0 };
	struct buf value = { 0 };
	struct schema_key key;
	int error;

	cookie_key_encode(&key, parts->ino, named->cookie);
	error = check_get(check, &key, &value);
	if (!error)
		error = cookie_record_decode(buf_slice(&value), &listed);
	if (check_is_damage(error)) {
		/* Not counted by its cookie, then. */
		if (S_ISDIR(mode_of_type(named->type)))
			check->current.subdirs++;
		error = 0;
	} else if (error == 1 ||
		   (!error &&
		    (listed.ino != named->ino || listed.type != named->type ||
		     !slice_equal(listed.name, parts->name)))) {
		error = report_name(check, FS_PROBLEM_STRUCTURE, parts->ino,
				    parts->name, named->ino,
				    "it can be looked up, but is not listed");
	}
	buf_release(&value);
	return error;
}

static int child_check(struct check *check, const struct key_parts *parts,
		       const struct dentry *dentry)
{
	struct inode child;
	int error;

	error = check_load(check, dentry->ino, &child);
	if (error < 0)
		return check_is_damage(error) ? 0 : error;
	if (error)
		return report_name(check, FS_PROBLEM_DANGLING, parts->ino,
				   parts->name, dentry->ino,
				   "it leads to an inode that does not exist");
	check->state.references.names_found += link_hash(dentry->ino);
	if (type_of_mode(child.mode) != dentry->type)
		return report_name(check, FS_PROBLEM_STRUCTURE, parts->ino,
				   parts->name, dentry->ino,
				   "its type in the directory is wrong");
	if (inode_is_dir(&child) && child.parent != parts->ino)
		return report_name(check, FS_PROBLEM_STRUCTURE, parts->ino,
				   parts->name, dentry->ino,
				   "its \"..\" leads elsewhere");
	if (!check->current.known)
		return 0;
	return check_partition_place(check, &check->current.inode, parts->name,
				     &child);
}

static int name_entry_check(struct check *check, const struct key_parts *parts)
{
	struct dentry dentry = { 0 };
	struct schema_key key;
	int error;

	name_key_encode(&key, parts->ino, parts->name);
	error = check_dentry(check, &key, &dentry);
	if (error == -EUCLEAN)
		return report_name(check, FS_PROBLEM_DAMAGED, parts->ino,
				   parts->name, 0, "its entry makes no sense");
	if (error)
		return check_is_damage(error) ? 0 : error;
	error = listing_check(check, parts, &dentry);
	return error ? error : child_check(check, parts, &dentry);
}

static int xattr_check(struct check *check, const struct key_parts *parts)
{
	struct buf value = { 0 };
	struct schema_key key;
	bool acl;
	int error;

	check->current.xattr_names_size += parts->name.size + 1;
	acl = slice_equal(parts->name, SLICE_LITERAL(ACL_NAME_ACCESS)) ||
	      slice_equal(parts->name, SLICE_LITERAL(ACL_NAME_DEFAULT));
	if (!acl && !xattr_is_setting(parts->name))
		return 0;
	xattr_key_encode(&key, parts->ino, parts->name);
	error = check_get(check, &key, &value);
	if (!error && acl && acl_validate(buf_slice(&value)))
		error = structure(check, parts->ino, "its ACL makes no sense");
	else if (!error)
		error = check_partition_setting(check, parts->name,
						buf_slice(&value));
	else if (check_is_damage(error))
		error = 0;
	buf_release(&value);
	return error;
}

static int inode_key_check(struct check *check, const struct key_parts *parts)
{
	struct check_inode *current = &check->current;

	if (parts->tag == TAG_INODE)
		return record_check(check, parts->ino);
	if (!current->known && !current->damaged && !current->strayed) {
		current->strayed = true;
		return structure(check, parts->ino,
				 "there are keys of it, but no inode");
	}
	if (!current->known &&
	    (parts->tag == TAG_BLOCK || parts->tag == TAG_FRAGMENT ||
	     parts->tag == TAG_PREALLOC))
		return 0;
	switch (parts->tag) {
	case TAG_BLOCK:
		return block_check(check, parts);
	case TAG_FRAGMENT:
		return fragment_check(check, parts);
	case TAG_PREALLOC:
		return prealloc_check(check, parts);
	case TAG_COOKIE:
		return cookie_check(check, parts);
	case TAG_NAME:
		return name_entry_check(check, parts);
	case TAG_XATTR:
		return xattr_check(check, parts);
	case TAG_INODE:
	case TAG_SUPER:
	case TAG_ORPHAN:
	case TAG_TRUNCATE:
	case TAG_PARTITION:
		break;
	}
	return 0;
}

/* Everything before this inode has been compared. */
static void inode_begin(struct check *check, uint64_t ino)
{
	struct check_references *references = &check->state.references;

	references->ino = ino;
	references->done_bytes = check->done_bytes;
	check_keep(check, check->base_bytes + check->done_bytes);
}

static int key_check(void *ctx, const struct kv_entry *entry)
{
	struct check *check = ctx;
	struct key_parts parts;
	int error;

	error = check_advance(check, entry);
	if (error)
		return error;
	if (schema_key_decode(entry->key, &parts)) {
		report_store(check, "there is a key that makes no sense");
		return 0;
	}
	if (parts.ino == 0) {
		if (parts.tag == TAG_SUPER || parts.tag == TAG_PARTITION)
			return 0;
		return list_check(check, &parts);
	}
	if (parts.ino != check->current.ino) {
		error = inode_end(check);
		memset(&check->current, 0, sizeof(check->current));
		check->current.ino = parts.ino;
		if (error)
			return error;
		inode_begin(check, parts.ino);
	}
	return inode_key_check(check, &parts);
}

int check_inodes(struct check *check)
{
	struct kv_range range = { 0 };
	struct schema_key from;
	struct inode root;
	int error;

	if (check->state.references.ino) {
		inode_key_encode(&from, check->state.references.ino);
		range.from = key_slice(&from);
	}
	error = super_check(check);
	if (!error)
		error = check_load(check, FS_ROOT_INO, &root);
	if (error == 1 || (!error && !inode_is_dir(&root))) {
		report_store(check, "there is no root directory");
		error = 0;
	}
	if (check_is_damage(error))
		error = 0;
	if (!error)
		error = kv_list(check->fs->kv, check->pin, &range, 0, key_check,
				check);
	return error ? error : inode_end(check);
}
