/* SPDX-License-Identifier: MIT */
/*
 * passfs: a FUSE filesystem that passes each request on to a directory, with
 * libfuse's own defaults (its thread pool, timeouts of a second). What a
 * filesystem costs that is mirrored plainly, with no thought for FUSE.
 *
 * 1. The kernel's node id is the address of a struct node, which holds an
 *    O_PATH descriptor of the file: as many descriptors as inodes are cached.
 * 2. Nodes are in a hash table by device and inode number, so that a file has
 *    one node under all its names. `lock` guards the table and the counts.
 * 3. No extended attributes, no locks; run as root, so that what is made gets
 *    its owner's ids.
 */

#define FUSE_USE_VERSION 312

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/lock.h"

#define BUCKET_COUNT ((size_t)1 << 17)
#define TIMEOUT_S 1.0

struct node {
	struct node *next; /* in its hash chain */
	dev_t dev;
	ino_t ino;
	int fd;
	uint64_t lookups;
};

static struct {
	struct mutex lock;
	struct node *buckets[BUCKET_COUNT];
	struct node root;
} pass;

static struct node *node_of(fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? &pass.root : (struct node *)ino;
}

static struct node **bucket_of(dev_t dev, ino_t ino)
{
	uint64_t hash = (ino ^ dev << 32) * 0x9e3779b97f4a7c15u;

	return &pass.buckets[hash >> 47 & (BUCKET_COUNT - 1)];
}

/* A path that names the node's file itself, for calls that take no fd. */
static void node_path(const struct node *node, char path[static 32])
{
	snprintf(path, 32, "/proc/self/fd/%d", node->fd);
}

/* Takes over fd. 0 or -ENOMEM. */
static int node_enter(int fd, const struct stat *st, struct node **ret_node)
{
	struct node **bucket = bucket_of(st->st_dev, st->st_ino);
	struct node *node;

	mutex_lock(&pass.lock);
	for (node = *bucket; node; node = node->next) {
		if (node->dev == st->st_dev && node->ino == st->st_ino)
			break;
	}
	if (node) {
		close(fd);
	} else {
		node = calloc(1, sizeof(*node));
		if (node) {
			node->dev = st->st_dev;
			node->ino = st->st_ino;
			node->fd = fd;
			node->next = *bucket;
			*bucket = node;
		}
	}
	if (node)
		node->lookups++;
	mutex_unlock(&pass.lock);
	if (!node) {
		close(fd);
		return -ENOMEM;
	}
	*ret_node = node;
	return 0;
}

static void node_forget(fuse_ino_t ino, uint64_t count)
{
	struct node *node = node_of(ino);
	struct node **at;

	if (node == &pass.root)
		return;
	mutex_lock(&pass.lock);
	node->lookups -= count;
	if (node->lookups == 0) {
		at = bucket_of(node->dev, node->ino);
		while (*at != node)
			at = &(*at)->next;
		*at = node->next;
		close(node->fd);
		free(node);
	}
	mutex_unlock(&pass.lock);
}

static int find_entry(fuse_ino_t parent, const char *name,
		      struct fuse_entry_param *entry)
{
	struct node *node;
	int error, fd;

	*entry = (struct fuse_entry_param){ .attr_timeout = TIMEOUT_S,
					    .entry_timeout = TIMEOUT_S };
	fd = openat(node_of(parent)->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstatat(fd, "", &entry->attr, AT_EMPTY_PATH) != 0) {
		error = -errno;
		close(fd);
		return error;
	}
	error = node_enter(fd, &entry->attr, &node);
	if (!error)
		entry->ino = (fuse_ino_t)node;
	return error;
}

static void reply_entry(fuse_req_t req, fuse_ino_t parent, const char *name,
			int error)
{
	struct fuse_entry_param entry;

	if (!error)
		error = find_entry(parent, name, &entry);
	if (error)
		fuse_reply_err(req, -error);
	else
		fuse_reply_entry(req, &entry);
}

/* For system calls: replies with their result. */
static void reply_result(fuse_req_t req, int result)
{
	fuse_reply_err(req, result == 0 ? 0 : errno);
}

static void pass_init(void *userdata, struct fuse_conn_info *conn)
{
	(void)userdata;
	conn->want &=
		~(unsigned int)(FUSE_CAP_POSIX_LOCKS | FUSE_CAP_FLOCK_LOCKS);
}

static void pass_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	reply_entry(req, parent, name, 0);
}

static void pass_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
	node_forget(ino, count);
	fuse_reply_none(req);
}

static void pass_forget_multi(fuse_req_t req, size_t count,
			      struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		node_forget(forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

static void pass_getattr(fuse_req_t req, fuse_ino_t ino,
			 struct fuse_file_info *fi)
{
	struct stat st;

	(void)fi;
	if (fstatat(node_of(ino)->fd, "", &st, AT_EMPTY_PATH) != 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_attr(req, &st, TIMEOUT_S);
}

static struct timespec time_to_set(int which, int set, int now,
				   struct timespec given)
{
	if (which & now)
		given.tv_nsec = UTIME_NOW;
	else if (!(which & set))
		given.tv_nsec = UTIME_OMIT;
	return given;
}

static int set_attributes(const struct node *node, const struct stat *to,
			  int which)
{
	const int times = FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME |
			  FUSE_SET_ATTR_ATIME_NOW | FUSE_SET_ATTR_MTIME_NOW;
	uid_t uid = which & FUSE_SET_ATTR_UID ? to->st_uid : (uid_t)-1;
	gid_t gid = which & FUSE_SET_ATTR_GID ? to->st_gid : (gid_t)-1;
	struct timespec t[2] = {
		time_to_set(which, FUSE_SET_ATTR_ATIME, FUSE_SET_ATTR_ATIME_NOW,
			    to->st_atim),
		time_to_set(which, FUSE_SET_ATTR_MTIME, FUSE_SET_ATTR_MTIME_NOW,
			    to->st_mtim),
	};
	char path[32];

	node_path(node, path);
	if ((which & FUSE_SET_ATTR_MODE) && chmod(path, to->st_mode) != 0)
		return -errno;
	if ((which & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)) &&
	    fchownat(node->fd, "", uid, gid,
		     AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) != 0)
		return -errno;
	if ((which & FUSE_SET_ATTR_SIZE) && truncate(path, to->st_size) != 0)
		return -errno;
	if ((which & times) && utimensat(node->fd, "", t, AT_EMPTY_PATH) != 0)
		return -errno;
	return 0;
}

static void pass_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr,
			 int which, struct fuse_file_info *fi)
{
	int error = set_attributes(node_of(ino), attr, which);

	if (error)
		fuse_reply_err(req, -error);
	else
		pass_getattr(req, ino, fi);
}

/* What was made belongs to who asked. 0 or -errno. */
static int give_to_caller(fuse_req_t req, fuse_ino_t parent, const char *name,
			  int result)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	if (result < 0)
		return -errno;
	if (ctx->uid == 0 && ctx->gid == 0)
		return 0;
	return fchownat(node_of(parent)->fd, name, ctx->uid, ctx->gid,
			AT_SYMLINK_NOFOLLOW) ?
		       -errno :
		       0;
}

static void pass_mknod(fuse_req_t req, fuse_ino_t parent, const char *name,
		       mode_t mode, dev_t rdev)
{
	int result = mknodat(node_of(parent)->fd, name, mode, rdev);

	reply_entry(req, parent, name,
		    give_to_caller(req, parent, name, result));
}

static void pass_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name,
		       mode_t mode)
{
	int result = mkdirat(node_of(parent)->fd, name, mode);

	reply_entry(req, parent, name,
		    give_to_caller(req, parent, name, result));
}

static void pass_symlink(fuse_req_t req, const char *target, fuse_ino_t parent,
			 const char *name)
{
	int result = symlinkat(target, node_of(parent)->fd, name);

	reply_entry(req, parent, name,
		    give_to_caller(req, parent, name, result));
}

static void pass_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent,
		      const char *name)
{
	int result = linkat(node_of(ino)->fd, "", node_of(parent)->fd, name,
			    AT_EMPTY_PATH);

	reply_entry(req, parent, name, result ? -errno : 0);
}

static void pass_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	reply_result(req, unlinkat(node_of(parent)->fd, name, 0));
}

static void pass_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	reply_result(req, unlinkat(node_of(parent)->fd, name, AT_REMOVEDIR));
}

static void pass_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
			fuse_ino_t to, const char *to_name, unsigned int flags)
{
	reply_result(req, renameat2(node_of(parent)->fd, name, node_of(to)->fd,
				    to_name, flags));
}

static void pass_readlink(fuse_req_t req, fuse_ino_t ino)
{
	char target[4096];
	ssize_t n =
		readlinkat(node_of(ino)->fd, "", target, sizeof(target) - 1);

	if (n < 0) {
		fuse_reply_err(req, errno);
		return;
	}
	target[n] = '\0';
	fuse_reply_readlink(req, target);
}

static void pass_create(fuse_req_t req, fuse_ino_t parent, const char *name,
			mode_t mode, struct fuse_file_info *fi)
{
	struct fuse_entry_param entry;
	int fd = openat(node_of(parent)->fd, name,
			(fi->flags | O_CREAT | O_CLOEXEC) & ~O_NOFOLLOW, mode);
	int error = give_to_caller(req, parent, name, fd);

	if (!error)
		error = find_entry(parent, name, &entry);
	if (error) {
		if (fd >= 0)
			close(fd);
		fuse_reply_err(req, -error);
		return;
	}
	fi->fh = (uint64_t)fd;
	fuse_reply_create(req, &entry, fi);
}

static void pass_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	char path[32];
	int fd;

	node_path(node_of(ino), path);
	fd = open(path, (fi->flags | O_CLOEXEC) & ~O_NOFOLLOW);
	if (fd < 0) {
		fuse_reply_err(req, errno);
		return;
	}
	fi->fh = (uint64_t)fd;
	fuse_reply_open(req, fi);
}

static void pass_release(fuse_req_t req, fuse_ino_t ino,
			 struct fuse_file_info *fi)
{
	(void)ino;
	reply_result(req, close((int)fi->fh));
}

static void pass_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
		       struct fuse_file_info *fi)
{
	int fd = (int)fi->fh;

	(void)ino;
	reply_result(req, datasync ? fdatasync(fd) : fsync(fd));
}

static void pass_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		      struct fuse_file_info *fi)
{
	struct fuse_bufvec from = FUSE_BUFVEC_INIT(size);

	(void)ino;
	from.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
	from.buf[0].fd = (int)fi->fh;
	from.buf[0].pos = offset;
	fuse_reply_data(req, &from, FUSE_BUF_SPLICE_MOVE);
}

static void pass_write(fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *from,
		       off_t offset, struct fuse_file_info *fi)
{
	struct fuse_bufvec to = FUSE_BUFVEC_INIT(fuse_buf_size(from));
	ssize_t n;

	(void)ino;
	to.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
	to.buf[0].fd = (int)fi->fh;
	to.buf[0].pos = offset;
	n = fuse_buf_copy(&to, from, 0);
	if (n < 0)
		fuse_reply_err(req, (int)-n);
	else
		fuse_reply_write(req, (size_t)n);
}

static void pass_opendir(fuse_req_t req, fuse_ino_t ino,
			 struct fuse_file_info *fi)
{
	int fd = openat(node_of(ino)->fd, ".", O_RDONLY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		fuse_reply_err(req, errno);
		if (fd >= 0)
			close(fd);
		return;
	}
	fi->fh = (uint64_t)(uintptr_t)dir;
	fuse_reply_open(req, fi);
}

static DIR *dir_of(const struct fuse_file_info *fi)
{
	return (DIR *)(uintptr_t)fi->fh;
}

/* Adds an entry; true when it fitted. */
static bool add_entry(fuse_req_t req, fuse_ino_t ino, const struct dirent *d,
		      char *bytes, size_t room, bool plus, size_t *used)
{
	struct fuse_entry_param entry = {
		.attr = { .st_ino = d->d_ino,
			  .st_mode = (mode_t)d->d_type << 12 },
	};
	bool is_dot = strcmp(d->d_name, ".") == 0 ||
		      strcmp(d->d_name, "..") == 0;
	size_t need;

	if (plus && !is_dot && find_entry(ino, d->d_name, &entry) != 0)
		return true; /* gone meanwhile */
	if (plus)
		need = fuse_add_direntry_plus(req, bytes, room, d->d_name,
					      &entry, d->d_off);
	else
		need = fuse_add_direntry(req, bytes, room, d->d_name,
					 &entry.attr, d->d_off);
	if (need <= room) {
		*used += need;
		return true;
	}
	if (entry.ino)
		node_forget(entry.ino, 1);
	return false;
}

static void read_dir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		     const struct fuse_file_info *fi, bool plus)
{
	DIR *dir = dir_of(fi);
	char *bytes = malloc(size);
	struct dirent *entry;
	size_t used = 0;

	if (!bytes) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	seekdir(dir, offset);
	while ((entry = readdir(dir)) &&
	       add_entry(req, ino, entry, bytes + used, size - used, plus,
			 &used))
		;
	fuse_reply_buf(req, bytes, used);
	free(bytes);
}

static void pass_readdir(fuse_req_t req, fuse_ino_t ino, size_t size,
			 off_t offset, struct fuse_file_info *fi)
{
	read_dir(req, ino, size, offset, fi, false);
}

static void pass_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size,
			     off_t offset, struct fuse_file_info *fi)
{
	read_dir(req, ino, size, offset, fi, true);
}

static void pass_releasedir(fuse_req_t req, fuse_ino_t ino,
			    struct fuse_file_info *fi)
{
	(void)ino;
	reply_result(req, closedir(dir_of(fi)));
}

static void pass_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync,
			  struct fuse_file_info *fi)
{
	(void)ino;
	(void)datasync;
	reply_result(req, fsync(dirfd(dir_of(fi))));
}

static void pass_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st;

	if (fstatvfs(node_of(ino)->fd, &st) != 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_statfs(req, &st);
}

static const struct fuse_lowlevel_ops pass_ops = {
	.init = pass_init,
	.lookup = pass_lookup,
	.forget = pass_forget,
	.forget_multi = pass_forget_multi,
	.getattr = pass_getattr,
	.setattr = pass_setattr,
	.readlink = pass_readlink,
	.mknod = pass_mknod,
	.mkdir = pass_mkdir,
	.unlink = pass_unlink,
	.rmdir = pass_rmdir,
	.symlink = pass_symlink,
	.rename = pass_rename,
	.link = pass_link,
	.create = pass_create,
	.open = pass_open,
	.read = pass_read,
	.write_buf = pass_write,
	.release = pass_release,
	.fsync = pass_fsync,
	.opendir = pass_opendir,
	.readdir = pass_readdir,
	.readdirplus = pass_readdirplus,
	.releasedir = pass_releasedir,
	.fsyncdir = pass_fsyncdir,
	.statfs = pass_statfs,
};

static int run_session(const char *mountpoint)
{
	char *argv[] = { strdup("passfs"), strdup("-o"),
			 strdup("fsname=passfs,subtype=passfs,"
				"default_permissions,allow_other") };
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);
	struct fuse_session *session;
	int result = 1;

	session = fuse_session_new(&args, &pass_ops, sizeof(pass_ops), NULL);
	if (session && fuse_set_signal_handlers(session) == 0) {
		if (fuse_session_mount(session, mountpoint) == 0) {
			result = fuse_session_loop_mt(session, NULL);
			fuse_session_unmount(session);
		}
		fuse_remove_signal_handlers(session);
	}
	if (session)
		fuse_session_destroy(session);
	for (int i = 0; i < 3; i++)
		free(argv[i]);
	return result ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct rlimit limit;

	if (argc != 3) {
		fputs("usage: passfs DIRECTORY MOUNTPOINT\n"
		      "Stays in the foreground.\n",
		      stderr);
		return 2;
	}
	umask(0);
	mutex_init(&pass.lock);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	pass.root.fd = open(argv[1], O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (pass.root.fd < 0) {
		perror(argv[1]);
		return 1;
	}
	return run_session(argv[2]);
}
