/* SPDX-License-Identifier: MIT */

/*
 * umount: ends a mount and waits for its daemon.
 *
 * umount(2) returns when the kernel has let go, while the daemon may still be
 * writing its checkpoint. What it holds to its very end is the lock of the
 * store: that is waited for. Whoever has the store's directory may be given for
 * the mount; then all mountpoints go, and a store that is mounted no more but
 * still in the hands of its daemon is only waited for.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fs/mountinfo.h"
#include "tools/kvctl.h"
#include "tools/number.h"
#include "tools/report.h"

#define TIMEOUT_MAX_S 1000000u

/* A mount that is busy for so long in all is in use. */
#define BUSY_TRIES 10
#define BUSY_WAIT_NS 20000000

/* A mount as the kernel's list has it. Strings end in NUL. */
struct mounted {
	struct buf point;
	struct buf source;
};

struct mount_search {
	const char *path;      /* a mountpoint, or ... */
	const struct stat *st; /* ... a store; NULL: only mountpoints */
	struct mounted *found;
};

static void mounted_release(struct mounted *mounted)
{
	buf_release(&mounted->point);
	buf_release(&mounted->source);
}

static int mounted_assign(struct mounted *mounted,
			  const struct mount_entry *entry)
{
	int r = buf_assign(&mounted->point,
			   slice_of(entry->point, strlen(entry->point) + 1));

	return r ? r :
		   buf_assign(&mounted->source,
			      slice_of(entry->source,
				       strlen(entry->source) + 1));
}

static bool is_same_directory(const char *path, const struct stat *st)
{
	struct stat other;

	return stat(path, &other) == 0 && other.st_dev == st->st_dev &&
	       other.st_ino == st->st_ino;
}

/* Of several mounts on one point the last is the one that is seen. */
static int mount_visit(void *ctx, const struct mount_entry *entry)
{
	struct mount_search *search = ctx;
	bool match;

	if (search->path)
		match = strcmp(entry->point, search->path) == 0;
	else
		match = mount_entry_is_kvfs(entry) &&
			is_same_directory(entry->source, search->st);
	if (!match)
		return 0;
	if (!mount_entry_is_kvfs(entry)) {
		/* What covers it would be unmounted instead. */
		mounted_release(search->found);
		return 0;
	}
	return mounted_assign(search->found, entry);
}

/* 0, 1 when there is no such mount, -errno. */
static int mount_find(const char *path, const struct stat *st,
		      struct mounted *found)
{
	struct mount_search search = { path, st, found };
	int r = mountinfo_walk(mount_visit, &search);

	return r ? r : !found->point.size;
}

/* --- unmounting --- */

/* The one line that fusermount3 says, as ours. */
static void helper_report(int fd, const char *point)
{
	char text[512];
	ssize_t got = read(fd, text, sizeof(text) - 1);

	if (got <= 0) {
		report_error("%s: fusermount3 failed", point);
		return;
	}
	text[got] = '\0';
	text[strcspn(text, "\n")] = '\0';
	report_error("%s", text);
}

static int helper_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPERM;
}

/* Users may unmount what is theirs through a set-uid helper only. */
static int helper_run(const char *point)
{
	char name[] = "fusermount3", option[] = "-u", end[] = "--";
	char *copy = strdup(point);
	char *argv[] = { name, option, end, copy, NULL };
	posix_spawn_file_actions_t actions;
	int fds[2], r;
	pid_t pid;

	if (!copy || pipe2(fds, O_CLOEXEC)) {
		r = copy ? -errno : -ENOMEM;
		free(copy);
		report_errno(r, "%s", point);
		return r;
	}
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[1], STDERR_FILENO);
	r = -posix_spawnp(&pid, name, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	if (r) {
		report_errno(r, "fusermount3");
	} else {
		r = helper_wait(pid);
		if (r)
			helper_report(fds[0], point);
	}
	close(fds[0]);
	free(copy);
	return r;
}

/* Says what was wrong. Who only looks at all mounts (df, for one) makes each
 * busy for an instant; that is not worth an error. */
static int point_unmount(const char *point)
{
	const struct timespec instant = { .tv_nsec = BUSY_WAIT_NS };
	int r = 0;

	if (geteuid() != 0)
		return helper_run(point);
	for (int i = 0; i < BUSY_TRIES; i++) {
		if (umount2(point, UMOUNT_NOFOLLOW) == 0)
			return 0;
		r = -errno;
		if (r != -EBUSY)
			break;
		nanosleep(&instant, NULL);
	}
	report_errno(r, "%s", point);
	return r;
}

/* --- waiting --- */

static int lock_open(const char *store, int *ret_fd)
{
	int dir, fd, r = 0;

	dir = open(store, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	fd = openat(dir, "LOCK", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		r = -errno;
	else
		*ret_fd = fd;
	close(dir);
	return r;
}

static volatile sig_atomic_t timer_fired;

static void timer_note(int number)
{
	(void)number;
	timer_fired = 1;
}

/* It fires again and again, so that it cannot be missed before the wait. */
static void timer_start(uint64_t seconds)
{
	struct sigaction action = { .sa_handler = timer_note };
	struct itimerval timer = {
		.it_value.tv_sec = (time_t)seconds,
		.it_interval.tv_usec = 100000,
	};

	if (seconds == 0)
		timer.it_value.tv_usec = 1;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

/*
 * Until the daemon's exclusive lock is gone. A shared one is enough for that,
 * and it is given back at once: nobody who opens the store then is refused for
 * longer than a moment.
 */
static int lock_wait(int fd)
{
	while (flock(fd, LOCK_SH)) {
		if (errno != EINTR)
			return -errno;
		if (interrupt_seen())
			return -ECANCELED;
		if (timer_fired)
			return -ETIMEDOUT;
	}
	return flock(fd, LOCK_UN) ? -errno : 0;
}

static bool lock_is_held(int fd)
{
	if (flock(fd, LOCK_SH | LOCK_NB))
		return errno == EWOULDBLOCK;
	flock(fd, LOCK_UN);
	return false;
}

static int daemon_wait(int fd, const char *store)
{
	int r = lock_wait(fd);

	if (r == -ETIMEDOUT)
		report_error("%s: unmounted, but its daemon has not ended in "
			     "time",
			     store);
	else if (r)
		report_errno(r, "%s: unmounted; waiting for its daemon", store);
	return r ? KVCTL_ERROR : KVCTL_DONE;
}

/* --- the command --- */

/* Unmounts what is found of the store, or tells that there is more of it. */
static int others_end(const char *store, bool all)
{
	struct mounted other = { 0 };
	struct stat st;
	int r;

	if (stat(store, &st)) {
		report_errno(errno, "%s", store);
		return -EIO;
	}
	while ((r = mount_find(NULL, &st, &other)) == 0 && all) {
		r = point_unmount((char *)other.point.data);
		mounted_release(&other);
		if (r)
			return r;
	}
	if (r == 0) {
		report_error("%s: still mounted on %s: its daemon goes on",
			     store, (char *)other.point.data);
		r = -EBUSY;
	} else if (r < 0) {
		report_errno(r, "%s", store);
	}
	mounted_release(&other);
	return r < 0 ? r : 0;
}

/* Unmounts; with `all`, from every mountpoint. Then waits. */
static int mounted_end(const struct mounted *mounted, bool all)
{
	const char *point = (const char *)mounted->point.data;
	const char *store = (const char *)mounted->source.data;
	int fd = -1, opened, r;

	opened = lock_open(store, &fd);
	r = point_unmount(point);
	if (r == 0 && opened < 0) {
		/* It is out of sight: another user's, another root's. */
		report_errno(opened,
			     "%s: unmounted, but whether its daemon "
			     "has ended cannot be seen",
			     store);
		r = opened;
	}
	if (r == 0)
		r = others_end(store, all);
	if (fd < 0)
		return KVCTL_ERROR;
	r = r ? KVCTL_ERROR : daemon_wait(fd, store);
	close(fd);
	return r;
}

/* No mount: there may be a daemon that is about to end. */
static int store_wait(const char *path)
{
	int fd = -1, r;

	if (lock_open(path, &fd)) {
		report_error("%s: neither a kvfs store nor a mountpoint of "
			     "one",
			     path);
		return KVCTL_ERROR;
	}
	if (lock_is_held(fd)) {
		r = daemon_wait(fd, path);
	} else {
		report_error("%s: not mounted", path);
		r = KVCTL_ERROR;
	}
	close(fd);
	return r;
}

static int umount_path(const char *path)
{
	struct mounted mounted = { 0 };
	struct stat st;
	bool all = false;
	int r;

	r = mount_find(path, NULL, &mounted);
	if (r == 1 && stat(path, &st) == 0) {
		all = true;
		r = mount_find(NULL, &st, &mounted);
	}
	if (r < 0) {
		report_errno(r, "%s", path);
		r = KVCTL_ERROR;
	} else {
		r = r ? store_wait(path) : mounted_end(&mounted, all);
	}
	mounted_release(&mounted);
	return r;
}

static int run_umount(struct invocation *inv)
{
	const char *timeout = invocation_option(inv, "timeout");
	const char *path = inv->operands[0];
	uint64_t seconds;
	char *real;
	int r;

	if (timeout) {
		if (number_parse(timeout, TIMEOUT_MAX_S, &seconds)) {
			report_error("--timeout: %s: not a number of seconds",
				     timeout);
			return KVCTL_ERROR;
		}
		timer_start(seconds);
	}
	/* A mount whose daemon is dead has a path, too: nothing asks it. */
	real = realpath(path, NULL);
	if (!real && errno != ENOTCONN) {
		report_errno(errno, "%s", path);
		return KVCTL_ERROR;
	}
	r = umount_path(real ? real : path);
	free(real);
	return r;
}

const struct command command_umount = {
	.name = "umount",
	.operands = "STORE|MOUNTPOINT",
	.summary = "Unmount a store and wait until its daemon has ended",
	.details =
	"When it returns 0 everything is on disk and the store can be opened\n"
	"again. Given the store, all its mountpoints are unmounted.\n",
	.options = {
		{ "timeout", 't', "SECONDS", "wait no longer than that" },
	},
	.operands_min = 1,
	.operands_max = 1,
	.run = run_umount,
};
