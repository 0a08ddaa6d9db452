/* SPDX-License-Identifier: MIT */
/*
 * Directory streams of floorfs. The position after an entry is its slot + 3:
 * 1 and 2 are those after "." and "..".
 */

#define FUSE_USE_VERSION 312

#include <errno.h>
#include <stdlib.h>

#include "tests/bench/floor_ops.h"

struct stream {
	fuse_req_t req;
	char *bytes;
	size_t size;
	size_t used;
	bool plus;
};

/* Adds an entry. False when it does not fit. */
static bool stream_add(struct stream *stream, struct floor *floor,
		       struct node *node, const char *name, bool is_dot,
		       off_t next)
{
	struct fuse_entry_param entry = { .attr = node->st };
	char *at = stream->bytes + stream->used;
	size_t room = stream->size - stream->used;
	size_t need;

	if (stream->plus && !is_dot)
		floor_entry(floor, node, &entry);
	if (stream->plus)
		need = fuse_add_direntry_plus(stream->req, at, room, name,
					      &entry, next);
	else
		need = fuse_add_direntry(stream->req, at, room, name, &node->st,
					 next);
	if (need <= room) {
		stream->used += need;
		return true;
	}
	if (stream->plus && !is_dot)
		node->lookups--;
	return false;
}

static void stream_fill(struct stream *stream, struct floor *floor,
			struct node *dir, off_t offset)
{
	struct node *up = tree_node(&floor->tree, dir->parent);

	if (offset < 1 && !stream_add(stream, floor, dir, ".", true, 1))
		return;
	if (offset < 2 &&
	    !stream_add(stream, floor, up ? up : dir, "..", true, 2))
		return;
	for (size_t i = offset < 2 ? 0 : (size_t)offset - 2;
	     i < dir->slot_count; i++) {
		struct dentry *d = dir->slots[i];

		if (d && !stream_add(stream, floor, d->node, d->name, false,
				     (off_t)i + 3))
			return;
	}
}

static void read_stream(fuse_req_t req, fuse_ino_t ino, size_t size,
			off_t offset, bool plus)
{
	struct floor *floor = floor_of(req);
	struct stream stream = { .req = req, .size = size, .plus = plus };
	struct node *dir;

	stream.bytes = malloc(size);
	if (!stream.bytes) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	mutex_lock(&floor->lock);
	dir = tree_node(&floor->tree, ino);
	if (dir)
		stream_fill(&stream, floor, dir, offset);
	mutex_unlock(&floor->lock);
	fuse_reply_buf(req, stream.bytes, stream.used);
	free(stream.bytes);
}

void floor_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		   struct fuse_file_info *fi)
{
	(void)fi;
	read_stream(req, ino, size, offset, false);
}

void floor_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size,
		       off_t offset, struct fuse_file_info *fi)
{
	(void)fi;
	read_stream(req, ino, size, offset, true);
}
