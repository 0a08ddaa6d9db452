/* SPDX-License-Identifier: MIT */

/*
 * Virtual files: the fixed directory /.kvfs and the table of live snapshots.
 *
 * Invariants:
 *  1. A snapshot is in its chain exactly while its lookup_count is not 0.
 *  2. Its text, size and time never change, so they are read without the lock
 *     by whoever knows that the kernel holds the node: a request on a node
 *     comes before its last forget.
 *  3. Node numbers are never used twice while the mount lives.
 *
 * The lock guards the chains, the counts and the counter; rendering, which
 * takes locks of others, is done without it.
 */

#include "fs/virtual.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "engine/lock.h"

#define TOP_BIT ((uint64_t)1 << 63)
#define DIR_NODE (TOP_BIT | 1)
#define FILE_INO_FIRST (TOP_BIT | 2)
/* And the number of the directory, of which real ones do not have this bit. */
#define PARTITION_INO_BIT ((uint64_t)1 << 62)
#define SNAPSHOT_NODE_FIRST (TOP_BIT | 16)
#define CHAIN_COUNT 64

struct snapshot {
	struct snapshot *next;
	uint64_t node;
	uint64_t lookup_count;
	enum virtual_file file;
	uint64_t partition; /* its directory; 0: of the store */
	struct timespec time;
	struct buf text;
};

struct virtual
{
	/* constant after new */
	struct virtual_settings settings;
	struct timespec start;

	struct mutex lock;
	/* guarded by lock */
	struct snapshot *chains[CHAIN_COUNT];
	unsigned int snapshot_count;
	uint64_t next_node;
};

static const char *const file_names[VIRTUAL_FILE_COUNT] = {
	[VIRTUAL_STATS] = ".stats",    [VIRTUAL_JSON] = "stats.json",
	[VIRTUAL_METRICS] = "metrics", [VIRTUAL_HEALTH] = "health",
	[VIRTUAL_CONFIG] = "config",   [VIRTUAL_PARTITION] = ".stats",
};
static const char dir_name[] = ".kvfs";

static bool name_is(struct slice name, const char *string)
{
	return slice_equal(name, slice_of(string, strlen(string)));
}

int virtual_new(const struct virtual_settings *settings,
		struct virtual **ret_virtual)
{
	struct virtual *virtual = calloc(1, sizeof(*virtual));

	if (!virtual)
		return -ENOMEM;
	virtual->settings = *settings;
	virtual->next_node = SNAPSHOT_NODE_FIRST;
	clock_gettime(CLOCK_REALTIME, &virtual->start);
	mutex_init(&virtual->lock);
	*ret_virtual = virtual;
	return 0;
}

static void snapshot_free(struct snapshot *snapshot)
{
	buf_release(&snapshot->text);
	free(snapshot);
}

void virtual_free(struct virtual *virtual)
{
	if (!virtual)
		return;
	for (unsigned int i = 0; i < CHAIN_COUNT; i++) {
		while (virtual->chains[i]) {
			struct snapshot *snapshot = virtual->chains[i];

			virtual->chains[i] = snapshot->next;
			snapshot_free(snapshot);
		}
	}
	mutex_release(&virtual->lock);
	free(virtual);
}

bool virtual_is_reserved(const struct virtual *virtual, uint64_t parent,
			 struct slice name)
{
	const struct virtual_settings *settings = &virtual->settings;

	if (parent == FS_ROOT_INO)
		return name_is(name, dir_name) ||
		       name_is(name, file_names[VIRTUAL_STATS]);
	return name_is(name, file_names[VIRTUAL_PARTITION]) &&
	       settings->is_partition(settings->ctx, parent);
}

bool virtual_is_volatile(struct slice name)
{
	return name_is(name, file_names[VIRTUAL_PARTITION]);
}

/* --- snapshots --- */

static struct snapshot **chain_of(struct virtual *virtual, uint64_t node)
{
	return &virtual->chains[node % CHAIN_COUNT];
}

static struct snapshot *snapshot_find_locked(struct virtual *virtual,
					     uint64_t node)
	REQUIRES(&virtual->lock)
{
	struct snapshot *snapshot = *chain_of(virtual, node);

	while (snapshot && snapshot->node != node)
		snapshot = snapshot->next;
	return snapshot;
}

static struct snapshot *snapshot_find(struct virtual *virtual, uint64_t node)
{
	struct snapshot *snapshot;

	mutex_lock(&virtual->lock);
	snapshot = snapshot_find_locked(virtual, node);
	mutex_unlock(&virtual->lock);
	return snapshot;
}

/* Gives it a node and the first lookup. */
static int snapshot_insert(struct virtual *virtual, struct snapshot *snapshot)
{
	struct snapshot **chain;
	int error = -ENFILE;

	mutex_lock(&virtual->lock);
	if (virtual->snapshot_count < VIRTUAL_SNAPSHOT_MAX) {
		snapshot->node = virtual->next_node++;
		snapshot->lookup_count = 1;
		chain = chain_of(virtual, snapshot->node);
		snapshot->next = *chain;
		*chain = snapshot;
		virtual->snapshot_count++;
		error = 0;
	}
	mutex_unlock(&virtual->lock);
	return error;
}

static int snapshot_new(struct virtual *virtual, enum virtual_file file,
			uint64_t partition, struct snapshot **ret_snapshot)
{
	struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
	int error;

	if (!snapshot)
		return -ENOMEM;
	snapshot->file = file;
	snapshot->partition = partition;
	clock_gettime(CLOCK_REALTIME, &snapshot->time);
	error = virtual->settings.render(virtual->settings.ctx, file, partition,
					 &snapshot->text);
	if (!error)
		error = snapshot_insert(virtual, snapshot);
	if (error)
		snapshot_free(snapshot);
	else
		*ret_snapshot = snapshot;
	return error;
}

void virtual_forget(struct virtual *virtual, uint64_t node,
		    uint64_t lookup_count)
{
	struct snapshot **link;
	struct snapshot *gone = NULL;

	mutex_lock(&virtual->lock);
	link = chain_of(virtual, node);
	while (*link && (*link)->node != node)
		link = &(*link)->next;
	if (*link && (*link)->lookup_count > lookup_count) {
		(*link)->lookup_count -= lookup_count;
	} else if (*link) {
		gone = *link;
		*link = gone->next;
		virtual->snapshot_count--;
	}
	mutex_unlock(&virtual->lock);
	if (gone)
		snapshot_free(gone);
}

/* --- attributes --- */

static void dir_attr(const struct virtual *virtual, struct fs_attr *ret_attr)
{
	*ret_attr = (struct fs_attr){
		.ino = DIR_NODE,
		.mode = S_IFDIR | 0555,
		.nlink = 2,
		.uid = virtual->settings.uid,
		.gid = virtual->settings.gid,
		.atime = virtual->start,
		.mtime = virtual->start,
		.ctime = virtual->start,
		.btime = virtual->start,
	};
}

static uint64_t file_ino(enum virtual_file file, uint64_t partition)
{
	return partition ? TOP_BIT | PARTITION_INO_BIT | partition :
			   FILE_INO_FIRST + file;
}

static void snapshot_attr(const struct virtual *virtual,
			  const struct snapshot *snapshot,
			  struct fs_attr *ret_attr)
{
	*ret_attr = (struct fs_attr){
		.ino = file_ino(snapshot->file, snapshot->partition),
		.mode = S_IFREG | 0444,
		.nlink = 1,
		.uid = virtual->settings.uid,
		.gid = virtual->settings.gid,
		.size_bytes = snapshot->text.size,
		.blocks = (snapshot->text.size + 511) / 512,
		.atime = snapshot->time,
		.mtime = snapshot->time,
		.ctime = snapshot->time,
		.btime = snapshot->time,
	};
}

int virtual_getattr(struct virtual *virtual, uint64_t node,
		    struct fs_attr *ret_attr)
{
	const struct snapshot *snapshot;

	if (node == DIR_NODE) {
		dir_attr(virtual, ret_attr);
		return 0;
	}
	snapshot = snapshot_find(virtual, node);
	if (!snapshot)
		return -ESTALE;
	snapshot_attr(virtual, snapshot, ret_attr);
	return 0;
}

/* --- names --- */

/* "." of a node: how the kernel finds it again from a file handle. */
static int lookup_self(struct virtual *virtual, uint64_t node,
		       uint64_t *ret_node, struct fs_attr *ret_attr)
{
	struct snapshot *snapshot;

	if (node == DIR_NODE) {
		dir_attr(virtual, ret_attr);
		*ret_node = node;
		return 0;
	}
	mutex_lock(&virtual->lock);
	snapshot = snapshot_find_locked(virtual, node);
	if (snapshot)
		snapshot->lookup_count++;
	mutex_unlock(&virtual->lock);
	if (!snapshot)
		return -ESTALE;
	snapshot_attr(virtual, snapshot, ret_attr);
	*ret_node = node;
	return 0;
}

static int lookup_file(struct virtual *virtual, enum virtual_file file,
		       uint64_t partition, uint64_t *ret_node,
		       struct fs_attr *ret_attr)
{
	struct snapshot *snapshot;
	int error = snapshot_new(virtual, file, partition, &snapshot);

	if (error)
		return error;
	*ret_node = snapshot->node;
	snapshot_attr(virtual, snapshot, ret_attr);
	return 0;
}

/* In the root, or in any real directory. */
static int lookup_in_real(struct virtual *virtual, uint64_t parent,
			  struct slice name, uint64_t *ret_node,
			  struct fs_attr *ret_attr)
{
	if (virtual->settings.visibility == STATS_OFF ||
	    !virtual_is_reserved(virtual, parent, name))
		return 1;
	if (name_is(name, dir_name))
		return lookup_self(virtual, DIR_NODE, ret_node, ret_attr);
	if (parent == FS_ROOT_INO)
		return lookup_file(virtual, VIRTUAL_STATS, 0, ret_node,
				   ret_attr);
	return lookup_file(virtual, VIRTUAL_PARTITION, parent, ret_node,
			   ret_attr);
}

int virtual_lookup(struct virtual *virtual, uint64_t parent, struct slice name,
		   uint64_t *ret_node, struct fs_attr *ret_attr)
{
	if (!virtual_is_node(parent))
		return lookup_in_real(virtual, parent, name, ret_node,
				      ret_attr);
	if (name_is(name, "."))
		return lookup_self(virtual, parent, ret_node, ret_attr);
	if (parent != DIR_NODE)
		return -ENOTDIR;
	for (unsigned int i = VIRTUAL_JSON; i < VIRTUAL_PARTITION; i++) {
		if (name_is(name, file_names[i]))
			return lookup_file(virtual, (enum virtual_file)i, 0,
					   ret_node, ret_attr);
	}
	return -ENOENT;
}

/* --- contents --- */

int virtual_read(struct virtual *virtual, uint64_t node, uint64_t offset,
		 void *dst, size_t size, size_t *ret_read)
{
	const struct snapshot *snapshot;

	if (node == DIR_NODE)
		return -EISDIR;
	snapshot = snapshot_find(virtual, node);
	if (!snapshot)
		return -ESTALE;
	if (offset >= snapshot->text.size) {
		*ret_read = 0;
		return 0;
	}
	if (size > snapshot->text.size - offset)
		size = snapshot->text.size - offset;
	memcpy(dst, snapshot->text.data + offset, size);
	*ret_read = size;
	return 0;
}

static int show(fs_readdir_fn *fn, void *ctx, const char *name, uint64_t ino,
		uint32_t type, uint64_t cookie)
{
	struct fs_dirent entry = {
		.ino = ino,
		.cookie = cookie,
		.mode = type,
		.name = slice_of(name, strlen(name)),
	};

	return fn(ctx, &entry);
}

/* Cookies: 1 and 2 for "." and "..", then 3 and on for the files. */
int virtual_readdir(struct virtual *virtual, uint64_t node, uint64_t cookie,
		    fs_readdir_fn *fn, void *ctx)
{
	int stop = 0;

	(void)virtual;
	if (node != DIR_NODE)
		return -ENOTDIR;
	if (cookie < 1)
		stop = show(fn, ctx, ".", DIR_NODE, S_IFDIR, 1);
	if (!stop && cookie < 2)
		stop = show(fn, ctx, "..", FS_ROOT_INO, S_IFDIR, 2);
	for (unsigned int i = VIRTUAL_JSON; !stop && i < VIRTUAL_PARTITION;
	     i++) {
		if (cookie < 2 + i)
			stop = show(fn, ctx, file_names[i], FILE_INO_FIRST + i,
				    S_IFREG, 2 + i);
	}
	return 0;
}

bool virtual_has_entries(const struct virtual *virtual, uint64_t ino)
{
	const struct virtual_settings *settings = &virtual->settings;

	return settings->visibility == STATS_VISIBLE &&
	       (ino == FS_ROOT_INO ||
		settings->is_partition(settings->ctx, ino));
}

int virtual_readdir_behind(struct virtual *virtual, uint64_t ino,
			   uint64_t cookie, fs_readdir_fn *fn, void *ctx)
{
	uint64_t partition = ino == FS_ROOT_INO ? 0 : ino;
	int stop = 0;

	if (!virtual_has_entries(virtual, ino))
		return 0;
	if (cookie < VIRTUAL_COOKIE + 1)
		stop = show(fn, ctx, file_names[VIRTUAL_STATS],
			    file_ino(VIRTUAL_STATS, partition), S_IFREG,
			    VIRTUAL_COOKIE + 1);
	if (!stop && !partition && cookie < VIRTUAL_COOKIE + 2)
		show(fn, ctx, dir_name, DIR_NODE, S_IFDIR, VIRTUAL_COOKIE + 2);
	return 0;
}
