/* SPDX-License-Identifier: MIT */

/*
 * dump and export: all keys of a range with their values, as lines of text, as
 * a tar archive, or as files below a directory.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/kvctl.h"
#include "tools/output.h"
#include "tools/progress.h"
#include "tools/report.h"
#include "tools/stream.h"
#include "tools/tar.h"
#include "tools/walk.h"

struct dump {
	struct target *target;
	struct walk walk;
	struct progress progress;
	uint64_t done_bytes;
	uint64_t key_count;
	bool failed; /* something could not be read */
	bool attributes;
	int root_fd; /* export: below which the files go */
	struct buf text;
	struct tar_entry entry;
	uint8_t *chunk;
	/* Writes what the walk met, which `attr` is of. 0; -EREMOTEIO when what
	 * went wrong has been told and nothing can follow; -errno of the key. */
	int (*emit)(struct dump *dump, const struct fs_attr *attr);
	bool directories; /* emit wants them, too */
};

#define DUMP_STOP (-EREMOTEIO)

/* Takes the next piece of a value. 0 or an error as emit's. */
typedef int piece_fn(struct dump *dump, struct slice piece);

/* --- values --- */

/* Hands `size` bytes on, exactly: one that shrinks meanwhile is filled up with
 * zeros, as an archive has said its size already. */
static int value_pieces(struct dump *dump, const struct target_place *place,
			bool exact, piece_fn *fn)
{
	uint64_t offset = 0, size = place->attr.size_bytes;
	struct target_file file;
	size_t got, want;
	int r;

	r = target_file_open(dump->target, place, &file);
	if (r)
		return r;
	while (r == 0 && (!exact || offset < size)) {
		want = TARGET_CHUNK_BYTES;
		if (exact && size - offset < want)
			want = (size_t)(size - offset);
		r = interrupt_seen() ?
			    DUMP_STOP :
			    target_file_read(dump->target, &file, offset,
					     dump->chunk, want, &got);
		if (r || (!got && !exact))
			break;
		if (!got) {
			memset(dump->chunk, 0, want);
			got = want;
		}
		r = fn(dump, slice_of(dump->chunk, got));
		offset += got;
		progress_update(&dump->progress, dump->done_bytes += got, 0);
	}
	target_file_close(dump->target, &file);
	return r;
}

static struct target_place place_of(struct dump *dump,
				    const struct fs_attr *attr)
{
	return (struct target_place){
		.dir = *walk_dir(&dump->walk),
		.name = dump->walk.name,
		.attr = *attr,
	};
}

static int piece_write(struct dump *dump, struct slice piece)
{
	(void)dump;
	return output_write(piece) ? DUMP_STOP : 0;
}

/* --- as text --- */

static int piece_text(struct dump *dump, struct slice piece)
{
	int r;

	buf_clear(&dump->text);
	r = stream_append_value(&dump->text, piece);
	return r ? r : piece_write(dump, buf_slice(&dump->text));
}

static int text_head(struct dump *dump, const struct fs_attr *attr)
{
	struct slice key;
	char line[64];
	int r;

	buf_clear(&dump->text);
	r = walk_key(&dump->walk, &key);
	if (r == 0)
		r = buf_append(&dump->text, "k ", 2);
	if (r == 0)
		r = stream_append_text(&dump->text, key);
	if (r)
		return r;
	line[0] = '\n';
	line[1] = '\0';
	if (dump->attributes)
		snprintf(line, sizeof(line), "\na %04o %jd.%09ld\n",
			 attr->mode & 07777u, (intmax_t)attr->mtime.tv_sec,
			 attr->mtime.tv_nsec);
	return buf_append(&dump->text, line, strlen(line));
}

static int emit_text(struct dump *dump, const struct fs_attr *attr)
{
	struct target_place place = place_of(dump, attr);
	int r;

	if (!S_ISREG(attr->mode))
		return -EINVAL;
	r = text_head(dump, attr);
	if (r == 0)
		r = piece_write(dump, buf_slice(&dump->text));
	if (r == 0)
		r = value_pieces(dump, &place, false, piece_text);
	/* What was written of it would be taken for all of it. */
	if (r && r != DUMP_STOP) {
		report_errno(r, "%.*s: the dump ends here",
			     (int)dump->walk.path.size,
			     (const char *)dump->walk.path.data);
		r = DUMP_STOP;
	}
	return r;
}

/* --- as a tar archive --- */

static char tar_type(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return '0';
	case S_IFLNK:
		return '2';
	case S_IFDIR:
		return '5';
	default:
		return 0;
	}
}

static int entry_fill(struct dump *dump, const struct fs_attr *attr)
{
	struct tar_entry *entry = &dump->entry;
	int r;

	tar_entry_clear(entry);
	entry->type = tar_type(attr->mode);
	if (!entry->type)
		return -EINVAL;
	entry->mode = attr->mode & 07777;
	entry->uid = attr->uid;
	entry->gid = attr->gid;
	entry->mtime = attr->mtime;
	if (S_ISREG(attr->mode))
		entry->size_bytes = attr->size_bytes;
	r = buf_assign(&entry->name, buf_slice(&dump->walk.path));
	if (r == 0 && S_ISDIR(attr->mode))
		r = buf_append(&entry->name, "/", 1);
	if (r == 0 && S_ISLNK(attr->mode))
		r = target_read_link(dump->target, walk_dir(&dump->walk),
				     dump->walk.name, &entry->link);
	return r;
}

static int emit_tar(struct dump *dump, const struct fs_attr *attr)
{
	static const uint8_t zeros[TAR_BLOCK];
	struct target_place place = place_of(dump, attr);
	int r;

	buf_clear(&dump->text);
	r = entry_fill(dump, attr);
	if (r == 0)
		r = tar_append_header(&dump->text, &dump->entry);
	if (r)
		return r;
	r = piece_write(dump, buf_slice(&dump->text));
	if (r == 0 && S_ISREG(attr->mode)) {
		r = value_pieces(dump, &place, true, piece_write);
		if (r && r != DUMP_STOP) {
			report_errno(r, "%.*s: the archive ends here",
				     (int)dump->walk.path.size,
				     (const char *)dump->walk.path.data);
			r = DUMP_STOP;
		}
		if (r == 0)
			r = piece_write(
				dump,
				slice_of(zeros, tar_padding(attr->size_bytes)));
	}
	return r;
}

/* --- as files --- */

/* Makes the directories on the way; the descriptor of the last one, or
 * -errno. No link below the root is followed. */
static int way_make(int root_fd, char *path)
{
	int fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 0), next, r = 0;
	char *slash;

	while (fd >= 0 && (slash = strchr(path, '/'))) {
		*slash = '\0';
		next = -1;
		if (mkdirat(fd, path, 0777) && errno != EEXIST)
			r = -errno;
		else
			next = openat(fd, path,
				      O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
					      O_CLOEXEC);
		if (next < 0 && r == 0)
			r = -errno;
		close(fd);
		*slash = '/';
		path = slash + 1;
		fd = next;
	}
	return fd >= 0 ? fd : r ? r : -errno;
}

static int piece_file(struct dump *dump, struct slice piece)
{
	const char *at = piece.data;
	size_t left = piece.size;
	ssize_t wrote;

	while (left) {
		wrote = write(dump->root_fd, at, left);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0)
			return -errno;
		at += wrote;
		left -= (size_t)wrote;
	}
	return 0;
}

static int file_write(struct dump *dump, int dir, const char *name,
		      const struct fs_attr *attr)
{
	struct timespec times[2] = { attr->mtime, attr->mtime };
	struct target_place place = place_of(dump, attr);
	int root = dump->root_fd, r;

	/* What is there may be a link that leads elsewhere. */
	if (unlinkat(dir, name, 0) && errno != ENOENT)
		return -errno;
	dump->root_fd = openat(
		dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		0600);
	r = dump->root_fd < 0 ? -errno : 0;
	if (r == 0) {
		r = value_pieces(dump, &place, false, piece_file);
		if (r == 0 && fchmod(dump->root_fd, attr->mode & 0777))
			r = -errno;
		if (r == 0 && futimens(dump->root_fd, times))
			r = -errno;
		if (close(dump->root_fd) && r == 0)
			r = -errno;
		if (r)
			(void)unlinkat(dir, name, 0);
	}
	dump->root_fd = root;
	return r;
}

static int link_write(struct dump *dump, int dir, const char *name)
{
	int r;

	buf_clear(&dump->text);
	r = target_read_link(dump->target, walk_dir(&dump->walk),
			     dump->walk.name, &dump->text);
	if (r == 0)
		r = buf_append(&dump->text, "", 1);
	if (r)
		return r;
	if (unlinkat(dir, name, 0) && errno != ENOENT)
		return -errno;
	return symlinkat((const char *)dump->text.data, dir, name) ? -errno : 0;
}

static int emit_file(struct dump *dump, const struct fs_attr *attr)
{
	struct slice from = buf_slice(&dump->walk.path);
	char *path = strndup(from.data, from.size), *name;
	int dir, r;

	if (!path)
		return -ENOMEM;
	dir = way_make(dump->root_fd, path);
	r = dir < 0 ? dir : 0;
	name = strrchr(path, '/');
	name = name ? name + 1 : path;
	if (r == 0 && S_ISREG(attr->mode))
		r = file_write(dump, dir, name, attr);
	else if (r == 0 && S_ISLNK(attr->mode))
		r = link_write(dump, dir, name);
	else if (r == 0 && S_ISDIR(attr->mode))
		r = mkdirat(dir, name, attr->mode & 0777) && errno != EEXIST ?
			    -errno :
			    0;
	else if (r == 0)
		r = -EINVAL;
	if (dir >= 0)
		close(dir);
	free(path);
	return r;
}

/* --- the walk --- */

static void dump_report(struct dump *dump, int error)
{
	struct slice key = buf_slice(&dump->walk.path);

	(void)walk_key(&dump->walk, &key);
	if (error == -EINVAL)
		report_error("%.*s: not a regular file: left out",
			     (int)key.size, (const char *)key.data);
	else
		report_errno(error, "%.*s", (int)key.size,
			     (const char *)key.data);
	dump->failed = true;
}

static int dump_met(struct dump *dump)
{
	const struct target_dir *dir = walk_dir(&dump->walk);
	struct fs_attr attr;
	int r;

	if (dump->walk.event == WALK_ENTER || !dir)
		return 0;
	if (dump->walk.event != WALK_FILE && !dump->directories)
		return 0;
	r = target_lookup(dump->target, dir, dump->walk.name, &attr);
	if (r == 1)
		return 0; /* gone in the meantime */
	if (r == 0)
		r = dump->emit(dump, &attr);
	if (r == 0)
		dump->key_count++;
	return r;
}

/* 0, -errno when it ends early, with that told. */
static int dump_walk(struct dump *dump)
{
	int r;

	while ((r = walk_next(&dump->walk)) != 1) {
		if (interrupt_seen())
			return -ECANCELED;
		if (r == 0)
			r = dump_met(dump);
		if (r == DUMP_STOP)
			return r;
		if (r)
			dump_report(dump, r);
	}
	return 0;
}

static struct slice option_slice(const struct invocation *inv, const char *name)
{
	const char *value = invocation_option(inv, name);

	return slice_of(value, value ? strlen(value) : 0);
}

static int dump_init(struct dump *dump, struct invocation *inv)
{
	struct walk_range range = {
		.prefix = option_slice(inv, "prefix"),
		.from = option_slice(inv, "from"),
		.to = option_slice(inv, "to"),
	};
	int r;

	dump->target = inv->target;
	dump->chunk = malloc(TARGET_CHUNK_BYTES);
	r = dump->chunk ? walk_init(&dump->walk, inv->target, &range) : -ENOMEM;
	if (r) {
		report_errno(r, "%s", inv->store);
		free(dump->chunk);
		return r;
	}
	progress_begin(&dump->progress, inv->command->name);
	return 0;
}

static void dump_release(struct dump *dump)
{
	progress_end(&dump->progress);
	walk_release(&dump->walk);
	buf_release(&dump->text);
	tar_entry_release(&dump->entry);
	free(dump->chunk);
}

static int run_dump(struct invocation *inv)
{
	static const uint8_t end_of_tar[2 * TAR_BLOCK];
	bool tar = invocation_option(inv, "tar");
	struct dump dump = {
		.root_fd = -1,
		.attributes = invocation_option(inv, "attributes"),
		.directories = tar,
		.emit = tar ? emit_tar : emit_text,
	};
	int r;

	if (dump_init(&dump, inv))
		return KVCTL_ERROR;
	if (!tar)
		(void)output_write(SLICE_LITERAL(STREAM_HEADER));
	r = dump_walk(&dump);
	if (r == 0 && tar)
		(void)output_write(slice_of(end_of_tar, sizeof(end_of_tar)));
	else if (r == 0)
		(void)output_print("e %" PRIu64 "\n", dump.key_count);
	dump_release(&dump);
	return r || dump.failed ? KVCTL_ERROR : KVCTL_DONE;
}

const struct command command_dump = {
	.name = "dump",
	.operands = "STORE",
	.summary = "Write keys and values as text, or as a tar archive",
	.details =
	"For kvctl load to read. The text is printable ASCII, whatever bytes\n"
	"keys and values have; kvctl(1) describes it. What is no regular file\n"
	"is left out of it, and told; tar has links and directories, too, but\n"
	"no extended attributes.\n",
	.options = {
		{ "prefix", 'p', "PREFIX", "only keys that begin so" },
		{ "from", 0, "KEY", "begin at this key" },
		{ "to", 0, "KEY", "end before this key" },
		{ "attributes", 'a', NULL, "mode and mtime of each key, too" },
		{ "tar", 't', NULL, "a tar archive" },
	},
	.target = COMMAND_READS,
	.run = run_dump,
};

static int run_export(struct invocation *inv)
{
	const char *path = inv->operands[0];
	struct dump dump = { .emit = emit_file, .directories = true };
	int r;

	if (mkdir(path, 0777) && errno != EEXIST) {
		report_errno(errno, "%s", path);
		return KVCTL_ERROR;
	}
	dump.root_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dump.root_fd < 0) {
		report_errno(errno, "%s", path);
		return KVCTL_ERROR;
	}
	r = dump_init(&dump, inv);
	if (r == 0) {
		r = dump_walk(&dump);
		dump_release(&dump);
	}
	close(dump.root_fd);
	return r || dump.failed ? KVCTL_ERROR : KVCTL_DONE;
}

const struct command command_export = {
	.name = "export",
	.operands = "STORE DIRECTORY",
	.summary = "Write keys as files below a directory",
	.details =
	"Named as in a mount, with mode and mtime; symbolic links and empty\n"
	"directories, too. Files that are there are replaced, others stay.\n",
	.options = {
		{ "prefix", 'p', "PREFIX", "only keys that begin so" },
		{ "from", 0, "KEY", "begin at this key" },
		{ "to", 0, "KEY", "end before this key" },
	},
	.target = COMMAND_READS,
	.operands_min = 1,
	.operands_max = 1,
	.run = run_export,
};
