/* SPDX-License-Identifier: MIT */

/*
 * The daemon and the parent that waits for it: a pipe carries one byte, the
 * exit status. Its end without that byte means that the child died.
 */

#include "fs/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void daemon_fill_descriptors(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

void daemon_close_inherited(void)
{
	/* Cannot fail: the range is one, and no flag is given. */
	close_range(STDERR_FILENO + 1, ~0U, 0);
}

/* Never returns. */
static void parent_wait(int fd, pid_t child)
{
	unsigned char status;
	ssize_t got;
	int how;

	do {
		got = read(fd, &status, 1);
	} while (got < 0 && errno == EINTR);
	if (got == 1)
		_exit(status);
	if (waitpid(child, &how, 0) == child && WIFSIGNALED(how))
		fprintf(stderr, "kvfs: died before the mount was usable (%s)\n",
			strsignal(WTERMSIG(how)));
	else
		fprintf(stderr, "kvfs: ended before the mount was usable\n");
	_exit(1);
}

int daemon_start(struct daemon *daemon)
{
	int fds[2];
	pid_t child;

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	child = fork();
	if (child < 0) {
		int error = -errno;

		close(fds[0]);
		close(fds[1]);
		return error;
	}
	if (child > 0) {
		close(fds[1]);
		parent_wait(fds[0], child);
	}
	close(fds[0]);
	daemon->status_fd = fds[1];
	setsid();
	return 0;
}

static void tell(struct daemon *daemon, int status)
{
	unsigned char byte = (unsigned char)status;

	if (daemon->status_fd < 0)
		return;
	/* A parent that is gone does not care. */
	if (write(daemon->status_fd, &byte, 1) < 0)
		errno = 0;
	close(daemon->status_fd);
	daemon->status_fd = -1;
}

void daemon_ready(struct daemon *daemon)
{
	int fd;

	if (daemon->status_fd < 0)
		return;
	if (chdir("/"))
		errno = 0; /* it cannot fail */
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (fd >= 0) {
		dup2(fd, STDIN_FILENO);
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
		if (fd > STDERR_FILENO)
			close(fd);
	}
	tell(daemon, 0);
}

void daemon_failed(struct daemon *daemon, int status)
{
	tell(daemon, status);
}
