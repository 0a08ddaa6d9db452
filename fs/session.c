/* SPDX-License-Identifier: MIT */

/*
 * The session: libfuse's, with our own loop around it.
 *
 * How it ends. Either somebody unmounts: reading the device gives ENODEV. Or a
 * signal comes (TERM, INT, HUP), for which a thread of its own waits, as one
 * that came to the dispatcher just before its read would be lost. That thread
 * unmounts as umount(8) does, while the dispatcher still answers, so that
 * everything the kernel holds back is written. Is the mount busy, the kernel is
 * asked for that at least, which only begins it; then the dispatcher is told to
 * stop, and woken by SIGUSR2 until it has heard. It answers what waits, until
 * nothing does or its patience is at an end, and the mount is detached.
 *
 * Invariants:
 *  1. Only the dispatcher reads the device.
 *  2. Nothing is unmounted but our own mount: its device number is compared,
 *     as something else may lie on the mountpoint by then.
 */

#include "fs/session.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/thread.h"
#include "fs/log.h"

#define WAKE_SIGNAL SIGUSR2
#define WAKE_INTERVAL_MS 20
/* After a successful unmount the device tells at once, unless the mount lives
 * on in another namespace. */
#define UNMOUNT_PATIENCE_MS 2000
/* For programs that go on asking while we want to stop. */
#define DRAIN_PATIENCE_NS 30000000000u

static const struct fuse_lowlevel_ops operations = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = op_link,
	.open = op_open,
	.flush = op_flush,
	.release = op_release,
	.opendir = op_opendir,
	.read = op_read,
	.write = op_write,
	.fsync = op_fsync,
	.fsyncdir = op_fsyncdir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.statfs = op_statfs,
	.setxattr = op_setxattr,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.removexattr = op_removexattr,
	.ioctl = op_ioctl,
	.fallocate = op_fallocate,
	.copy_file_range = op_copy_file_range,
	.lseek = op_lseek,
};

/* --- what libfuse says --- */

/* Until the mount is usable its lines are kept, for the one that we print. */
static struct {
	bool keeping;
	char kept[512];
} libfuse;

__attribute__((format(printf, 2, 0))) static void
on_libfuse_line(enum fuse_log_level level, const char *format, va_list args)
{
	char line[1024];
	size_t size;

	vsnprintf(line, sizeof(line), format, args);
	if (libfuse.keeping && level <= FUSE_LOG_ERR) {
		/* Some lines come in pieces. */
		size = strlen(libfuse.kept);
		snprintf(libfuse.kept + size, sizeof(libfuse.kept) - size, "%s",
			 line);
		return;
	}
	size = strlen(line);
	if (size && line[size - 1] == '\n')
		line[size - 1] = 0;
	if (level >= FUSE_LOG_DEBUG)
		fprintf(stderr, "%s\n", line); /* -d asks for it */
	else
		log_line(level <= FUSE_LOG_ERR ? KV_LOG_ERROR : KV_LOG_WARNING,
			 "%s", line);
}

/* The first line of `said`, without its prefix, into the error. */
static int fail(struct options_error *ret_error, int error, const char *what,
		const char *said)
{
	static const char *const prefixes[] = { "fuse: ", "fusermount3: ",
						"error: " };
	size_t size;

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		size = strlen(prefixes[i]);
		if (strncmp(said, prefixes[i], size) == 0)
			said += size;
	}
	size = strcspn(said, "\n");
	/* What does not fit is left out. */
	if (snprintf(ret_error->text, sizeof(ret_error->text), "%s%.*s", what,
		     (int)size, said) < 0)
		ret_error->text[0] = 0;
	return error;
}

/* --- making it --- */

/* "default_permissions,fsname=...,subtype=kvfs" and what the user gave. */
static int fuse_option_string(const struct mount *mount, struct buf *ret_string)
{
	static const char always[] = "default_permissions";
	static const char subtype[] = ",subtype=kvfs";
	static const char fsname[] = ",fsname=";
	const struct options *options = mount->options;
	int error = buf_append(ret_string, always, sizeof(always) - 1);

	if (!error && !options_fuse_has(options, "subtype"))
		error = buf_append(ret_string, subtype, sizeof(subtype) - 1);
	if (!error && !options_fuse_has(options, "fsname")) {
		error = buf_append(ret_string, fsname, sizeof(fsname) - 1);
		if (!error)
			error = options_append_escaped(ret_string,
						       mount->store_path);
	}
	/* It begins with a comma and ends with the NUL. */
	if (!error)
		error = buf_append(ret_string, options->fuse.data,
				   options->fuse.size);
	return error;
}

int session_new(struct mount *mount, struct options_error *ret_error)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct buf string = { 0 };
	int error = -ENOMEM;

	fuse_set_log_func(on_libfuse_line);
	libfuse.keeping = true;
	if (fuse_option_string(mount, &string) ||
	    fuse_opt_add_arg(&args, "kvfs") || fuse_opt_add_arg(&args, "-o") ||
	    fuse_opt_add_arg(&args, (const char *)string.data) ||
	    (mount->options->debug && fuse_opt_add_arg(&args, "-d"))) {
		fail(ret_error, error, "out of memory", "");
		goto out;
	}
	mount->session =
		fuse_session_new(&args, &operations, sizeof(operations), mount);
	error = 0;
	if (!mount->session)
		error = fail(ret_error, -EINVAL, "", libfuse.kept);
out:
	fuse_opt_free_args(&args);
	buf_release(&string);
	return error;
}

/* Standard error into a file, to hear what the mount helper says. */
static int stderr_divert(int *ret_saved_fd)
{
	int file = memfd_create("kvfs-mount", MFD_CLOEXEC);

	*ret_saved_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (file >= 0 && *ret_saved_fd >= 0)
		dup2(file, STDERR_FILENO);
	return file;
}

static void stderr_restore(int file, int saved_fd, char *ret_said, size_t size)
{
	ssize_t got = file >= 0 ? pread(file, ret_said, size - 1, 0) : 0;

	ret_said[got > 0 ? got : 0] = 0;
	if (saved_fd >= 0) {
		dup2(saved_fd, STDERR_FILENO);
		close(saved_fd);
	}
	if (file >= 0)
		close(file);
}

int session_mount(struct mount *mount, struct options_error *ret_error)
{
	char said[sizeof(libfuse.kept)];
	char what[sizeof(ret_error->text)];
	int saved_fd;
	int file = stderr_divert(&saved_fd);
	int failed = fuse_session_mount(mount->session, mount->mountpoint);
	int error;

	stderr_restore(file, saved_fd, said, sizeof(said));
	if (failed) {
		const char *why = *libfuse.kept ? libfuse.kept : said;

		snprintf(what, sizeof(what),
			 "cannot mount on %s: ", mount->mountpoint);
		return fail(ret_error, -EIO, what,
			    *why ? why : "the mount helper failed");
	}
	error = channel_install(&mount->channel, mount->session);
	if (error)
		return fail(ret_error, error,
			    "cannot use /dev/fuse: ", strerror(-error));
	return 0;
}

/* --- unmounting --- */

/* The device number of what is mounted on the mountpoint; asks the daemon
 * nothing. */
static bool device_of(const struct mount *mount, uint64_t *ret_device)
{
	struct statx st;

	if (statx(AT_FDCWD, mount->mountpoint,
		  AT_STATX_DONT_SYNC | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, 0,
		  &st))
		return false;
	*ret_device = makedev(st.stx_dev_major, st.stx_dev_minor);
	return true;
}

static bool is_ours(const struct mount *mount)
{
	uint64_t mounted = atomic_load(&mount->device);
	uint64_t device;

	return mounted && device_of(mount, &device) && device == mounted;
}

static bool run_fusermount(const struct mount *mount)
{
	char program[] = "fusermount3", u[] = "-u", q[] = "-q", dashes[] = "--";
	char *mountpoint = strdup(mount->mountpoint);
	char *argv[] = { program, u, q, dashes, mountpoint, NULL };
	bool done = false;
	pid_t child;
	int how;

	if (mountpoint &&
	    posix_spawnp(&child, program, NULL, NULL, argv, environ) == 0)
		done = waitpid(child, &how, 0) == child && WIFEXITED(how) &&
		       WEXITSTATUS(how) == 0;
	free(mountpoint);
	return done;
}

/* As umount(8): not when somebody has a file open. */
static bool unmount_gently(const struct mount *mount)
{
	if (!is_ours(mount))
		return false;
	if (umount2(mount->mountpoint, UMOUNT_NOFOLLOW) == 0)
		return true;
	return errno == EPERM && run_fusermount(mount);
}

/* What programs wrote, through mappings too, and the kernel has not passed on
 * yet. */
static void flush_kernel(const struct mount *mount)
{
	int fd;

	if (!is_ours(mount))
		return;
	fd = open(mount->mountpoint, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (syncfs(fd))
		log_line(KV_LOG_ERROR, "syncing %s: %s", mount->mountpoint,
			 strerror(errno));
	close(fd);
}

void session_unmount(struct mount *mount)
{
	struct pollfd device = { .fd = fuse_session_fd(mount->session) };
	bool gone = device.fd >= 0 && poll(&device, 1, 0) == 1 &&
		    (device.revents & POLLERR);

	/* libfuse sees by itself that it is gone, but detaches whatever is on
	 * the mountpoint otherwise. */
	if (gone || is_ours(mount) || !atomic_load(&mount->device))
		fuse_session_unmount(mount->session);
}

void session_free(struct mount *mount)
{
	if (mount->session)
		fuse_session_destroy(mount->session);
	mount->session = NULL;
}

/* --- signals --- */

struct stopper {
	struct mount *mount;
	pthread_t thread;
	pthread_t dispatcher;
	sigset_t signals;
	atomic_bool wanted; /* the dispatcher shall stop */
	atomic_bool heard;  /* it will */
	atomic_bool done;   /* it has stopped */
};

static void signal_set(sigset_t *ret_set)
{
	sigemptyset(ret_set);
	sigaddset(ret_set, SIGTERM);
	sigaddset(ret_set, SIGINT);
	sigaddset(ret_set, SIGHUP);
	sigaddset(ret_set, WAKE_SIGNAL);
}

static void on_wake(int signal)
{
	(void)signal; /* its coming is all: read(2) returns */
}

void session_block_signals(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct sigaction wake = { .sa_handler = on_wake };
	sigset_t set;

	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGUSR1, &ignore, NULL);
	sigaction(WAKE_SIGNAL, &wake, NULL);
	signal_set(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void sleep_ms(long ms)
{
	struct timespec time = { .tv_sec = ms / 1000,
				 .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&time, NULL);
}

static void stop_dispatcher(struct stopper *stopper)
{
	struct mount *mount = stopper->mount;

	if (unmount_gently(mount)) {
		for (int ms = 0;
		     ms < UNMOUNT_PATIENCE_MS && !atomic_load(&stopper->done);
		     ms += WAKE_INTERVAL_MS)
			sleep_ms(WAKE_INTERVAL_MS);
	} else {
		flush_kernel(mount);
	}
	atomic_store(&stopper->wanted, true);
	while (!atomic_load(&stopper->heard) && !atomic_load(&stopper->done)) {
		pthread_kill(stopper->dispatcher, WAKE_SIGNAL);
		sleep_ms(WAKE_INTERVAL_MS);
	}
}

static void *stopper_main(void *arg)
{
	struct stopper *stopper = arg;
	int signal = WAKE_SIGNAL;

	while (signal == WAKE_SIGNAL && !atomic_load(&stopper->done))
		sigwait(&stopper->signals, &signal);
	if (signal != WAKE_SIGNAL && !atomic_load(&stopper->done)) {
		log_line(KV_LOG_INFO, "unmounting %s: %s",
			 stopper->mount->mountpoint, strsignal(signal));
		stop_dispatcher(stopper);
	}
	return NULL;
}

/* --- running it --- */

static void process(struct mount *mount)
{
	const struct fuse_in_header *header = channel_header(&mount->channel);

	if (header && header->opcode == FUSE_TMPFILE && mount->initialised)
		op_tmpfile(mount);
	else if (header && header->opcode == KVFS_FUSE_STATX &&
		 mount->initialised)
		op_statx(mount);
	else
		fuse_session_process_buf(mount->session,
					 channel_buffer(&mount->channel));
}

static bool request_waits(const struct mount *mount, int timeout_ms)
{
	struct pollfd device = { .fd = fuse_session_fd(mount->session),
				 .events = POLLIN };

	return poll(&device, 1, timeout_ms) == 1;
}

/*
 * Is there something to answer before we stop? What the kernel has in its own
 * queue comes as we answer, so it all has to be answered for none to be left.
 */
static bool must_go_on(const struct mount *mount, uint64_t until_ns)
{
	if (time_now_ns() >= until_ns)
		return false;
	if (request_waits(mount, 0))
		return true;
	worker_drain(mount->workers);
	worker_drain(mount->syncers);
	/* A seeker may wait for the answer to a request that is on its way. */
	while (atomic_load(&mount->seek_count) && time_now_ns() < until_ns) {
		if (request_waits(mount, WAKE_INTERVAL_MS))
			return true;
	}
	return request_waits(mount, 0);
}

static bool may_go_on(struct stopper *stopper, uint64_t *until_ns)
{
	if (fuse_session_exited(stopper->mount->session))
		return false;
	if (!atomic_load_explicit(&stopper->wanted, memory_order_relaxed))
		return true;
	if (!*until_ns) {
		*until_ns = time_now_ns() + DRAIN_PATIENCE_NS;
		atomic_store(&stopper->heard, true);
	}
	return must_go_on(stopper->mount, *until_ns);
}

/* Requests until the end, or until INIT was answered. */
static int answer(struct stopper *stopper, bool until_initialised)
{
	struct mount *mount = stopper->mount;
	uint64_t until_ns = 0;
	int got = 1;

	while (got > 0 && may_go_on(stopper, &until_ns) &&
	       !(until_initialised && mount->initialised)) {
		got = channel_receive(&mount->channel, mount->session);
		if (got > 0)
			process(mount);
		else if (got == -EINTR || got == -EAGAIN)
			got = 1;
	}
	return got < 0 ? got : 0;
}

int session_run(struct mount *mount, void (*on_ready)(void *ctx), void *ctx)
{
	struct stopper stopper = {
		.mount = mount,
		.dispatcher = pthread_self(),
	};
	uint64_t device;
	sigset_t wake;
	int error;

	signal_set(&stopper.signals);
	error = thread_start(&stopper.thread, 0, stopper_main, &stopper);
	if (error)
		return error;
	sigemptyset(&wake);
	sigaddset(&wake, WAKE_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &wake, NULL);

	error = answer(&stopper, true);
	if (!error && mount->initialised) {
		if (device_of(mount, &device))
			atomic_store(&mount->device, device);
		libfuse.keeping = false;
		on_ready(ctx);
		error = answer(&stopper, false);
	}

	pthread_sigmask(SIG_BLOCK, &wake, NULL);
	atomic_store(&stopper.done, true);
	pthread_kill(stopper.thread, WAKE_SIGNAL);
	pthread_join(stopper.thread, NULL);
	return error;
}
