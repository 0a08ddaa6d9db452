/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Going into the background so that the command returns only when the mount is
 * usable, with a status that tells whether it is. The fork comes before any
 * thread; what goes wrong later is still told on standard error.
 */

struct daemon {
	int status_fd; /* to the waiting parent; -1: there is none */
};

/* Makes sure that descriptors 0, 1 and 2 are open, so that no file of ours
 * becomes one of them. Called before anything is opened. */
void daemon_fill_descriptors(void);

/* Closes every descriptor but 0, 1 and 2: a daemon that kept the writing end of
 * somebody's pipe would have its reader wait for as long as the mount lives.
 * Called before anything is opened. */
void daemon_close_inherited(void);

/*
 * Forks. Returns 0 in the child, in a session of its own; -errno when it could
 * not fork. The parent does not return: it waits and exits with the status that
 * the child tells, or 1 when the child dies.
 */
int daemon_start(struct daemon *daemon);

/* The mount is usable: lets the parent exit with 0, and cuts the ties to the
 * terminal and the working directory. */
void daemon_ready(struct daemon *daemon);

/* The mount failed, which was said: lets the parent exit with `status`. */
void daemon_failed(struct daemon *daemon, int status);
