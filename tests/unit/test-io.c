/* SPDX-License-Identifier: MIT */

/* Files, names and locks through engine/io.h: really, and with faults. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/io.h"
#include "tests/seam/fault_io.h"
#include "tests/seam/scratch.h"

struct fixture {
	struct io *io;
	struct scratch dir;
};

static int set_up(void **state)
{
	static struct fixture f;

	f.io = io_system();
	*state = &f;
	return scratch_init(&f.dir);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	return scratch_release(&f->dir);
}

static int create(struct fixture *f, const char *name)
{
	int fd = -1;

	assert_int_equal(io_open(f->io, f->dir.fd, name,
				 O_RDWR | O_CREAT | O_EXCL, &fd),
			 0);
	return fd;
}

static bool exists(struct fixture *f, const char *name)
{
	return faccessat(f->dir.fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void what_is_written_is_read(void **state)
{
	struct fixture *f = *state;
	char bytes[6] = { 0 };
	uint64_t size = 0;
	int fd = create(f, "file");

	assert_int_equal(io_write(f->io, fd, "abcdef", 6, 1000), 0);
	assert_int_equal(io_read(f->io, fd, bytes, 6, 1000), 0);
	assert_memory_equal(bytes, "abcdef", 6);
	assert_int_equal(io_size(f->io, fd, &size), 0);
	assert_int_equal(size, 1006);
	assert_int_equal(io_write(f->io, fd, NULL, 0, 5000), 0);
	assert_int_equal(io_read(f->io, fd, NULL, 0, 5000), 0);
	assert_int_equal(io_size(f->io, fd, &size), 0);
	assert_int_equal(size, 1006);
	assert_int_equal(io_sync_data(f->io, fd), 0);
	assert_int_equal(io_close(f->io, fd), 0);
	assert_int_equal(io_close(f->io, fd), -EBADF);
	assert_int_equal(io_close(f->io, -1), 0);
}

static void reading_past_the_end_is_enodata(void **state)
{
	struct fixture *f = *state;
	char bytes[10];
	int fd = create(f, "file");

	assert_int_equal(io_write(f->io, fd, "abcdef", 6, 0), 0);
	assert_int_equal(io_read(f->io, fd, bytes, 7, 0), -ENODATA);
	assert_int_equal(io_read(f->io, fd, bytes, 1, 6), -ENODATA);
	assert_int_equal(io_read(f->io, fd, bytes, 1, 1000), -ENODATA);
	io_close(f->io, fd);
}

/* More pieces than one pwritev takes, empty ones among them and at the ends. */
static void a_vector_of_any_count_is_written_whole(void **state)
{
	struct fixture *f = *state;
	size_t count = 3 * IOV_MAX + 17;
	struct iovec *iov = calloc(count, sizeof(*iov));
	uint8_t *expected = malloc(4 * count);
	uint8_t *read = malloc(4 * count);
	size_t size = 0;
	int fd = create(f, "file");

	for (size_t i = 0; i < count; i++) {
		iov[i].iov_base = expected + size;
		iov[i].iov_len = i % 4;
		for (size_t j = 0; j < i % 4; j++)
			expected[size++] = (uint8_t)(i * 37 + j);
	}
	assert_int_equal(io_write_vector(f->io, fd, iov, count, 9), 0);
	assert_int_equal(io_read(f->io, fd, read, size, 9), 0);
	assert_memory_equal(read, expected, size);
	assert_int_equal(io_read(f->io, fd, read, size + 1, 9), -ENODATA);
	assert_int_equal(io_write_vector(f->io, fd, NULL, 0, 0), 0);
	io_close(f->io, fd);
	free(iov);
	free(expected);
	free(read);
}

static void errors_of_the_system_come_back_negative(void **state)
{
	struct fixture *f = *state;
	char byte;
	int fd = -7;
	int other = -7;

	assert_int_equal(io_open(f->io, f->dir.fd, "none", O_RDONLY, &fd),
			 -ENOENT);
	assert_int_equal(io_unlink(f->io, f->dir.fd, "none"), -ENOENT);
	assert_int_equal(io_rename(f->io, f->dir.fd, "none", "a"), -ENOENT);
	assert_int_equal(io_make_dir(f->io, f->dir.path), -EEXIST);
	assert_int_equal(io_open_dir(f->io, "/nonexistent-kvfs", &fd), -ENOENT);
	assert_int_equal(fd, -7);
	assert_int_equal(io_read(f->io, -1, &byte, 1, 0), -EBADF);
	assert_int_equal(io_write(f->io, -1, "a", 1, 0), -EBADF);
	assert_int_equal(io_sync_data(f->io, -1), -EBADF);
	assert_int_equal(io_sync_dir(f->io, -1), -EBADF);
	fd = create(f, "file");
	assert_int_equal(io_open(f->io, f->dir.fd, "file",
				 O_WRONLY | O_CREAT | O_EXCL, &other),
			 -EEXIST);
	assert_int_equal(io_truncate(f->io, fd, UINT64_MAX), -EINVAL);
	assert_int_equal(io_write(f->io, fd, "a", 1, UINT64_MAX), -EINVAL);
	io_close(f->io, fd);
}

static void names_have_no_slash_and_are_not_empty(void **state)
{
	struct fixture *f = *state;
	int fd = -7;

	assert_int_equal(io_open(f->io, f->dir.fd, "a/b", O_RDONLY, &fd),
			 -EINVAL);
	assert_int_equal(io_open(f->io, f->dir.fd, "", O_RDONLY, &fd), -EINVAL);
	assert_int_equal(io_open(f->io, f->dir.fd, "/etc", O_RDONLY, &fd),
			 -EINVAL);
	assert_int_equal(io_unlink(f->io, f->dir.fd, "../a"), -EINVAL);
	assert_int_equal(io_rename(f->io, f->dir.fd, "a/b", "a"), -EINVAL);
	assert_int_equal(io_rename(f->io, f->dir.fd, "a", "a/b"), -EINVAL);
	assert_int_equal(fd, -7);
}

static void new_files_and_directories_are_the_owners_alone(void **state)
{
	struct fixture *f = *state;
	char path[PATH_MAX + 16];
	struct stat st;
	mode_t mask = umask(0);
	int fd = create(f, "file");

	snprintf(path, sizeof(path), "%s/dir", f->dir.path);
	assert_int_equal(io_make_dir(f->io, path), 0);
	umask(mask);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	io_close(f->io, fd);
}

static void descriptors_do_not_outlive_exec(void **state)
{
	struct fixture *f = *state;
	int fd = create(f, "file");

	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(f->dir.fd, F_GETFD) & FD_CLOEXEC);
	io_close(f->io, fd);
}

static void symbolic_links_are_not_followed(void **state)
{
	struct fixture *f = *state;
	char path[PATH_MAX + 16];
	int fd = create(f, "file");

	io_close(f->io, fd);
	assert_int_equal(symlinkat("file", f->dir.fd, "link"), 0);
	assert_int_equal(symlinkat("missing", f->dir.fd, "dangling"), 0);
	assert_int_equal(symlinkat(".", f->dir.fd, "here"), 0);
	assert_int_equal(io_open(f->io, f->dir.fd, "link", O_RDONLY, &fd),
			 -ELOOP);
	assert_int_equal(io_open(f->io, f->dir.fd, "dangling", O_RDWR | O_CREAT,
				 &fd),
			 -ELOOP);
	assert_false(exists(f, "missing"));
	snprintf(path, sizeof(path), "%s/here", f->dir.path);
	assert_int_equal(io_open_dir(f->io, path, &fd), -ENOTDIR);
	snprintf(path, sizeof(path), "%s/file", f->dir.path);
	assert_int_equal(io_open_dir(f->io, path, &fd), -ENOTDIR);
	/* But for those before the last component. */
	assert_int_equal(mkdirat(f->dir.fd, "dir", 0700), 0);
	snprintf(path, sizeof(path), "%s/here/dir", f->dir.path);
	assert_int_equal(io_open_dir(f->io, path, &fd), 0);
	io_close(f->io, fd);
}

static void allocating_grows_but_never_shrinks(void **state)
{
	struct fixture *f = *state;
	uint64_t size = 0;
	int fd = create(f, "file");

	assert_int_equal(io_allocate(f->io, fd, 100000), 0);
	assert_int_equal(io_size(f->io, fd, &size), 0);
	assert_int_equal(size, 100000);
	assert_int_equal(io_allocate(f->io, fd, 10), 0);
	assert_int_equal(io_allocate(f->io, fd, 0), 0);
	assert_int_equal(io_size(f->io, fd, &size), 0);
	assert_int_equal(size, 100000);
	assert_int_equal(io_truncate(f->io, fd, 10), 0);
	assert_int_equal(io_size(f->io, fd, &size), 0);
	assert_int_equal(size, 10);
	io_close(f->io, fd);
}

static int lock_in_child(struct fixture *f)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		int fd = -1;

		if (io_open(f->io, f->dir.fd, "LOCK", O_RDWR, &fd))
			_exit(100);
		_exit(-io_lock(f->io, fd));
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

static void a_lock_excludes_other_processes_and_other_opens(void **state)
{
	struct fixture *f = *state;
	int fd = create(f, "LOCK");
	int third = -1;
	int other = -1;

	assert_int_equal(lock_in_child(f), 0);
	assert_int_equal(io_lock(f->io, fd), 0);
	assert_int_equal(lock_in_child(f), -EWOULDBLOCK);
	assert_int_equal(io_open(f->io, f->dir.fd, "LOCK", O_RDWR, &other), 0);
	assert_int_equal(io_lock(f->io, other), -EWOULDBLOCK);

	/* Closing some descriptor of the file does not lose it. */
	assert_int_equal(io_open(f->io, f->dir.fd, "LOCK", O_RDWR, &third), 0);
	io_close(f->io, third);
	assert_int_equal(lock_in_child(f), -EWOULDBLOCK);

	io_close(f->io, fd);
	assert_int_equal(io_lock(f->io, other), 0);
	io_close(f->io, other);
}

static size_t count_names(const struct buf *names)
{
	size_t count = 0;

	for (size_t i = 0; i < names->size; i++)
		count += names->data[i] == '\0';
	return count;
}

static void a_list_has_every_name_once_each_time(void **state)
{
	struct fixture *f = *state;
	struct buf names = { 0 };
	char name[32];

	assert_int_equal(io_list(f->io, f->dir.fd, &names), 0);
	assert_int_equal(names.size, 0);
	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "%04d", i);
		io_close(f->io, create(f, name));
	}
	for (int round = 0; round < 2; round++) {
		bool seen[3000] = { false };

		assert_int_equal(io_list(f->io, f->dir.fd, &names), 0);
		assert_int_equal(count_names(&names), 3000);
		for (size_t i = 0; i < 3000; i++) {
			const char *at = (const char *)names.data + 5 * i;
			long number = strtol(at, NULL, 10);

			assert_int_equal(strlen(at), 4);
			assert_false(seen[number]);
			seen[number] = true;
		}
	}
	assert_int_equal(io_list(f->io, -1, &names), -EBADF);
	assert_int_equal(count_names(&names), 3000);
	buf_release(&names);
}

static void a_renamed_file_replaces_and_an_unlinked_one_is_gone(void **state)
{
	struct fixture *f = *state;
	struct buf bytes = { 0 };
	int fd = create(f, "a");

	assert_int_equal(io_write(f->io, fd, "A", 1, 0), 0);
	io_close(f->io, fd);
	io_close(f->io, create(f, "b"));
	assert_int_equal(io_rename(f->io, f->dir.fd, "a", "b"), 0);
	assert_int_equal(io_sync_dir(f->io, f->dir.fd), 0);
	assert_false(exists(f, "a"));
	assert_int_equal(io_read_file(f->io, f->dir.fd, "b", 10, &bytes), 0);
	assert_true(slice_equal(buf_slice(&bytes), SLICE_LITERAL("A")));
	assert_int_equal(io_unlink(f->io, f->dir.fd, "b"), 0);
	assert_false(exists(f, "b"));
	buf_release(&bytes);
}

static void a_file_larger_than_allowed_is_not_read(void **state)
{
	struct fixture *f = *state;
	struct buf bytes = { 0 };
	int fd = create(f, "file");

	assert_int_equal(io_write(f->io, fd, "12345", 5, 0), 0);
	io_close(f->io, fd);
	assert_int_equal(io_read_file(f->io, f->dir.fd, "file", 5, &bytes), 0);
	assert_int_equal(bytes.size, 5);
	assert_int_equal(io_read_file(f->io, f->dir.fd, "file", 4, &bytes),
			 -EFBIG);
	assert_int_equal(io_read_file(f->io, f->dir.fd, "none", 5, &bytes),
			 -ENOENT);
	assert_true(slice_equal(buf_slice(&bytes), SLICE_LITERAL("12345")));
	buf_release(&bytes);
}

static void replacing_leaves_the_new_contents_and_no_temporary(void **state)
{
	struct fixture *f = *state;
	struct buf bytes = { 0 };

	assert_int_equal(io_replace_file(f->io, f->dir.fd, "M",
					 SLICE_LITERAL("long contents")),
			 0);
	/* What a crash left is no hindrance, even when it is a link. */
	assert_int_equal(symlinkat("M", f->dir.fd, "M.tmp"), 0);
	assert_int_equal(io_replace_file(f->io, f->dir.fd, "M",
					 SLICE_LITERAL("new")),
			 0);
	assert_int_equal(io_read_file(f->io, f->dir.fd, "M", 99, &bytes), 0);
	assert_true(slice_equal(buf_slice(&bytes), SLICE_LITERAL("new")));
	assert_false(exists(f, "M.tmp"));
	assert_int_equal(
		io_replace_file(f->io, f->dir.fd, "M", slice_of(NULL, 0)), 0);
	assert_int_equal(io_read_file(f->io, f->dir.fd, "M", 99, &bytes), 0);
	assert_int_equal(bytes.size, 0);
	buf_release(&bytes);
}

static void a_replacement_that_fails_leaves_no_temporary(void **state)
{
	struct fixture *f = *state;
	char name[NAME_MAX + 1];

	memset(name, 'n', NAME_MAX);
	name[NAME_MAX] = '\0';
	assert_int_equal(io_replace_file(f->io, f->dir.fd, name,
					 SLICE_LITERAL("new")),
			 -ENAMETOOLONG);
	/* A directory of that name: the last step, the rename, fails. */
	assert_int_equal(mkdirat(f->dir.fd, "M", 0700), 0);
	assert_int_equal(io_replace_file(f->io, f->dir.fd, "M",
					 SLICE_LITERAL("new")),
			 -EISDIR);
	assert_false(exists(f, "M.tmp"));
	assert_int_equal(io_replace_file(f->io, f->dir.fd, "a/b",
					 SLICE_LITERAL("new")),
			 -EINVAL);
}

static void disk_space_is_told(void **state)
{
	struct fixture *f = *state;
	struct statvfs st;

	memset(&st, 0, sizeof(st));
	assert_int_equal(io_statvfs(f->io, f->dir.fd, &st), 0);
	assert_true(st.f_blocks > 0 && st.f_frsize > 0);
}

/* Everything an io function does, on a file "a" with the bytes "12345". */
static int do_everything(struct io *io, const struct scratch *dir)
{
	struct statvfs st;
	struct buf bytes = { 0 };
	uint64_t size;
	char path[PATH_MAX + 8];
	int dir_fd = -1;
	int fd = -1;
	int error;

	snprintf(path, sizeof(path), "%s/dir", dir->path);
	rmdir(path);
	error = io_make_dir(io, path);
	if (!error)
		error = io_open_dir(io, path, &dir_fd);
	if (!error)
		error = io_statvfs(io, dir_fd, &st);
	if (!error)
		error = io_replace_file(io, dir_fd, "a",
					SLICE_LITERAL("12345"));
	if (!error)
		error = io_open(io, dir_fd, "a", O_RDWR, &fd);
	if (!error)
		error = io_lock(io, fd);
	if (!error)
		error = io_size(io, fd, &size);
	if (!error)
		error = io_allocate(io, fd, 100);
	if (!error)
		error = io_truncate(io, fd, 5);
	if (!error)
		error = io_read_file(io, dir_fd, "a", 5, &bytes);
	if (!error && !slice_equal(buf_slice(&bytes), SLICE_LITERAL("12345")))
		error = 1;
	if (!error)
		error = io_list(io, dir_fd, &bytes);
	if (!error)
		error = io_unlink(io, dir_fd, "a");
	io_close(io, fd);
	io_close(io, dir_fd);
	if (dir_fd >= 0)
		unlinkat(dir->fd, "dir/a", 0);
	buf_release(&bytes);
	return error;
}

static void an_interrupted_call_is_made_again(void **state)
{
	struct fixture *f = *state;
	struct fault fault = { .ops = FAULT_ANY, .error = -EINTR, .times = 3 };
	struct fault_io io;

	fault_io_init(&io, f->io);
	assert_int_equal(do_everything(&io.io, &f->dir), 0);
	do {
		fault.nth++;
		fault_io_arm(&io, &fault);
		assert_int_equal(do_everything(&io.io, &f->dir), 0);
	} while (fault_io_hit_count(&io) > 0);
	assert_true(fault.nth > 20);
	fault_io_release(&io);
}

static void every_other_error_is_passed_up_unchanged(void **state)
{
	struct fixture *f = *state;
	struct fault fault = { .ops = FAULT_ANY & ~FAULT_OP(OP_CLOSE),
			       .error = -EDQUOT };
	struct fault_io io;

	fault_io_init(&io, f->io);
	for (;;) {
		int error;

		fault.nth++;
		fault_io_arm(&io, &fault);
		error = do_everything(&io.io, &f->dir);
		if (fault_io_hit_count(&io) == 0)
			break;
		/* A directory that could not be synced is no full disk. */
		if (fault_io_hit_ops(&io) == FAULT_OP(OP_SYNC_DIR) &&
		    error == -EIO)
			continue;
		assert_int_equal(error, -EDQUOT);
	}
	assert_true(fault.nth > 15);
	fault_io_release(&io);
}

static void a_replacement_whose_name_is_not_synced_is_an_io_error(void **state)
{
	struct fixture *f = *state;
	struct fault fault = { .ops = FAULT_OP(OP_SYNC_DIR), .error = -ENOSPC };
	struct fault_io io;

	fault_io_init(&io, f->io);
	fault_io_arm(&io, &fault);
	assert_int_equal(io_replace_file(&io.io, f->dir.fd, "M",
					 SLICE_LITERAL("new")),
			 -EIO);
	assert_int_equal(fault_io_hit_count(&io), 1);
	fault_io_release(&io);
}

static void short_transfers_are_finished(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[1000];
	uint8_t read[1000];
	struct iovec iov[10];
	struct fault_io io;
	int fd = create(f, "file");

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + i / 256);
	fault_io_init(&io, f->io);
	for (size_t limit = 1; limit < 300; limit += 13) {
		struct fault fault = { .ops = FAULT_ANY,
				       .times = FAULT_FOR_EVER,
				       .limit_bytes = limit };

		fault_io_arm(&io, &fault);
		assert_int_equal(io_truncate(&io.io, fd, 0), 0);
		for (size_t i = 0; i < 10; i++)
			iov[i] = (struct iovec){ bytes + 100 * i, 100 };
		assert_int_equal(io_write_vector(&io.io, fd, iov, 10, 5), 0);
		assert_int_equal(io_read(&io.io, fd, read, 1000, 5), 0);
		assert_memory_equal(read, bytes, 1000);
		assert_int_equal(fault_io_hit_count(&io),
				 2 * ((1000 + limit - 1) / limit));
	}
	fault_io_release(&io);
	io_close(f->io, fd);
}

static void a_write_that_takes_nothing_is_eio_not_for_ever(void **state)
{
	struct fixture *f = *state;
	struct fault fault = { .ops = FAULT_OP(OP_PWRITEV),
			       .nth = 2,
			       .times = FAULT_FOR_EVER };
	struct fault_io io;
	int fd = create(f, "file");

	fault_io_init(&io, f->io);
	fault_io_arm(&io, &fault);
	assert_int_equal(io_write(&io.io, fd, "abc", 3, 0), 0);
	assert_int_equal(io_write(&io.io, fd, "abc", 3, 0), -EIO);
	assert_int_equal(io_write(&io.io, fd, "", 0, 0), 0);
	fault_io_release(&io);
	io_close(f->io, fd);
}

static void without_preallocation_the_file_only_grows(void **state)
{
	static const int errors[] = { -EOPNOTSUPP, -EINVAL, -ENOSYS };
	struct fixture *f = *state;
	struct fault_io io;

	fault_io_init(&io, f->io);
	for (int i = 0; i < 3; i++) {
		struct fault fault = { .ops = FAULT_OP(OP_ALLOCATE),
				       .times = FAULT_FOR_EVER,
				       .error = errors[i] };
		uint64_t size = 0;
		int fd = create(f, "file");

		fault_io_arm(&io, &fault);
		assert_int_equal(io_allocate(&io.io, fd, 1000), 0);
		assert_int_equal(io_size(&io.io, fd, &size), 0);
		assert_int_equal(size, 1000);
		assert_int_equal(io_allocate(&io.io, fd, 10), 0);
		assert_int_equal(io_size(&io.io, fd, &size), 0);
		assert_int_equal(size, 1000);
		io_close(f->io, fd);
		assert_int_equal(io_unlink(f->io, f->dir.fd, "file"), 0);
	}
	fault_io_release(&io);
}

static void a_full_disk_is_not_papered_over_by_growing(void **state)
{
	struct fixture *f = *state;
	struct fault fault = { .ops = FAULT_GROWTH, .error = -ENOSPC };
	struct fault_io io;
	uint64_t size = 9;
	int fd = create(f, "file");

	fault_io_init(&io, f->io);
	fault_io_arm(&io, &fault);
	assert_int_equal(io_allocate(&io.io, fd, 1000), -ENOSPC);
	assert_int_equal(io_size(&io.io, fd, &size), 0);
	assert_int_equal(size, 0);
	fault_io_release(&io);
	io_close(f->io, fd);
}

static void an_interrupted_close_is_not_made_again(void **state)
{
	struct fixture *f = *state;
	struct fault fault = { .ops = FAULT_OP(OP_CLOSE), .error = -EINTR };
	struct fault_io io;
	int fd = create(f, "file");

	fault_io_init(&io, f->io);
	fault_io_arm(&io, &fault);
	assert_int_equal(io_close(&io.io, fd), 0);
	assert_int_equal(fault_io_call_count(&io, FAULT_OP(OP_CLOSE)), 1);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	fault_io_release(&io);
}

/* Whatever fails: the old contents or the new, and no temporary. */
static void a_failed_replacement_leaves_the_old_or_the_new(void **state)
{
	struct fixture *f = *state;
	struct fault fault = { .ops = FAULT_ANY, .error = -EIO };
	struct slice old = SLICE_LITERAL("old contents");
	struct slice new = SLICE_LITERAL("new");
	bool seen_old = false;
	bool seen_new = false;
	struct fault_io io;
	uint64_t hits;

	fault_io_init(&io, f->io);
	do {
		struct buf bytes = { 0 };
		int error;

		assert_int_equal(io_replace_file(f->io, f->dir.fd, "M", old),
				 0);
		fault.nth++;
		fault.limit_bytes = fault.nth % 3;
		fault_io_arm(&io, &fault);
		error = io_replace_file(&io.io, f->dir.fd, "M", new);
		hits = fault_io_hit_count(&io);
		assert_int_equal(error, hits ? -EIO : 0);
		assert_false(exists(f, "M.tmp"));
		assert_int_equal(
			io_read_file(f->io, f->dir.fd, "M", 99, &bytes), 0);
		if (slice_equal(buf_slice(&bytes), new))
			seen_new = true;
		else if (slice_equal(buf_slice(&bytes), old) && error)
			seen_old = true;
		else
			fail_msg("neither the old nor the new contents");
		buf_release(&bytes);
	} while (hits > 0);
	assert_true(seen_old && seen_new);
	/* open, write, sync, close, rename, sync of the directory */
	assert_int_equal(fault.nth, 7);
	fault_io_release(&io);
}

#define CASE(rule) cmocka_unit_test_setup_teardown(rule, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(what_is_written_is_read),
		CASE(reading_past_the_end_is_enodata),
		CASE(a_vector_of_any_count_is_written_whole),
		CASE(errors_of_the_system_come_back_negative),
		CASE(names_have_no_slash_and_are_not_empty),
		CASE(new_files_and_directories_are_the_owners_alone),
		CASE(descriptors_do_not_outlive_exec),
		CASE(symbolic_links_are_not_followed),
		CASE(allocating_grows_but_never_shrinks),
		CASE(a_lock_excludes_other_processes_and_other_opens),
		CASE(a_list_has_every_name_once_each_time),
		CASE(a_renamed_file_replaces_and_an_unlinked_one_is_gone),
		CASE(a_file_larger_than_allowed_is_not_read),
		CASE(replacing_leaves_the_new_contents_and_no_temporary),
		CASE(a_replacement_that_fails_leaves_no_temporary),
		CASE(disk_space_is_told),
		CASE(an_interrupted_call_is_made_again),
		CASE(every_other_error_is_passed_up_unchanged),
		CASE(a_replacement_whose_name_is_not_synced_is_an_io_error),
		CASE(short_transfers_are_finished),
		CASE(a_write_that_takes_nothing_is_eio_not_for_ever),
		CASE(without_preallocation_the_file_only_grows),
		CASE(a_full_disk_is_not_papered_over_by_growing),
		CASE(an_interrupted_close_is_not_made_again),
		CASE(a_failed_replacement_leaves_the_old_or_the_new),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
