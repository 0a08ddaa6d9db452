/* SPDX-License-Identifier: MIT */

/*
 * kvfs: mounts a key-value store as a filesystem.
 *
 * The order of things. First what can be refused without touching anything:
 * options, paths, the device. Then the fork, before any thread. A store that
 * exists is opened before the mount, so that one that is damaged or in use is
 * never seen mounted; a new one is made after it, so that a mount that fails
 * leaves nothing behind. The end runs backwards: requests stop, workers finish,
 * the mount goes, the store is closed with a checkpoint.
 *
 * Exit status: 0, 1 when something failed, 2 for wrong usage.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/daemon.h"
#include "fs/log.h"
#include "fs/open_wait.h"
#include "fs/preflight.h"
#include "fs/remount.h"
#include "fs/session.h"

/* A sync waits for the disk, and many that wait share one sync. */
#define WORKER_MAX 16
#define SEEKER_MAX 2
#define WORK_QUEUE_MAX 1024
#define WORK_QUEUE_MAX_BYTES ((size_t)64 << 20)

static void open_error_text(int error, const char *store,
			    struct options_error *ret_error)
{
	const char *why;

	switch (-error) {
	case EWOULDBLOCK:
		why = "is in use by another process";
		break;
	case ENOTEMPTY:
		why = "is a directory with other files in it, and not a store";
		break;
	case ENOTDIR:
		why = "is not a directory";
		break;
	case ENOENT:
		why = "does not exist";
		break;
	case EPROTONOSUPPORT:
		why = "was written by a newer version of kvfs";
		break;
	case EMEDIUMTYPE:
		why = "holds keys, but no filesystem";
		break;
	default:
		snprintf(ret_error->text, sizeof(ret_error->text),
			 "cannot open store %s: %s", store, strerror(-error));
		return;
	}
	snprintf(ret_error->text, sizeof(ret_error->text), "store %s %s", store,
		 why);
}

static int store_open(struct mount *mount, struct fs_options *fs_options,
		      struct options_error *ret_error)
{
	int error;

	fs_options->kv.log = log_engine;
	fs_options->root_uid = geteuid();
	fs_options->root_gid = getegid();
	error = fs_open_wait(mount->store_path, fs_options, &mount->fs);
	if (error)
		open_error_text(error, mount->store_path, ret_error);
	return error;
}

static bool kernel_knows(void *ctx, uint64_t ino)
{
	struct mount *mount = ctx;

	/* Nothing is dropped but attributes, and the answer tells. Any other
	 * error is no proof; fs_close deletes what was left. */
	return fuse_lowlevel_notify_inval_inode(mount->session, ino, -1, 0) !=
	       -ENOENT;
}

static void core_forget(void *ctx, const uint64_t *inos, size_t count)
{
	fs_forget_all(((struct mount *)ctx)->fs, inos, count);
}

static int dropper_start(struct mount *mount)
{
	struct dropper_settings settings = {
		.fs = mount->fs,
		.is_known = kernel_knows,
		.ctx = mount,
	};

	return dropper_new(&settings, &mount->dropper);
}

/* Threads and tables that need an open store. */
static int helpers_start(struct mount *mount)
{
	struct worker_limits limits = {
		.thread_max = WORKER_MAX,
		.queue_max = WORK_QUEUE_MAX,
		.queue_max_bytes = WORK_QUEUE_MAX_BYTES,
	};
	struct virtual_settings virtual_settings = {
		.visibility = (enum stats_visibility)mount->options->stats,
		.uid = geteuid(),
		.gid = getegid(),
		.render = mount_render,
		.is_partition = mount_is_partition,
		.ctx = mount,
	};
	struct forgetter_settings forget_settings = {
		.is_known = kernel_knows,
		.forget = core_forget,
		.ctx = mount,
	};
	int error;

	mount->scratch = malloc(SCRATCH_BYTES);
	error = mount->scratch ? 0 : -ENOMEM;
	if (!error)
		error = worker_pool_new(&limits, &mount->workers);
	limits.thread_max = 1;
	if (!error)
		error = worker_pool_new(&limits, &mount->syncers);
	limits.thread_max = SEEKER_MAX;
	if (!error)
		error = worker_pool_new(&limits, &mount->seekers);
	if (!error)
		error = virtual_new(&virtual_settings, &mount->virtual);
	if (!error)
		error = draft_set_new(mount->fs, &mount->drafts);
	if (!error)
		error = jobs_new(mount->fs, &mount->jobs);
	if (!error)
		error = forgetter_new(&forget_settings, &mount->forgetter);
	if (!error && !mount->options->read_only)
		error = dropper_start(mount);
	return error;
}

static void helpers_stop(struct mount *mount)
{
	worker_pool_free(mount->workers);
	worker_pool_free(mount->syncers);
	dropper_free(mount->dropper);
	forgetter_free(mount->forgetter);
	jobs_free(mount->jobs);
}

static void helpers_free(struct mount *mount)
{
	virtual_free(mount->virtual);
	free(mount->scratch);
}

/* Opens and mounts, in the order that fits. */
static int mount_start(struct mount *mount, struct fs_options *fs_options,
		       bool store_is_new, struct options_error *ret_error)
{
	int error;

	if (store_is_new) {
		error = session_mount(mount, ret_error);
		if (!error)
			error = store_open(mount, fs_options, ret_error);
	} else {
		error = store_open(mount, fs_options, ret_error);
		if (!error)
			error = session_mount(mount, ret_error);
	}
	if (!error) {
		error = helpers_start(mount);
		if (error)
			snprintf(ret_error->text, sizeof(ret_error->text),
				 "cannot start: %s", strerror(-error));
	}
	if (!error)
		jobs_resume(mount->jobs);
	return error;
}

struct start {
	struct mount *mount;
	struct daemon daemon;
	bool foreground;
};

static void on_ready(void *ctx)
{
	struct start *start = ctx;

	/* What a mount before left to it; it asks the kernel, which answers once
	 * the mount is there. */
	if (start->mount->dropper)
		dropper_wake(start->mount->dropper);
	if (!start->foreground)
		log_to_syslog();
	daemon_ready(&start->daemon);
}

/* From the open store to the closed one. The exit status. */
static int mount_serve(struct mount *mount, struct fs_options *fs_options,
		       bool store_is_new, struct start *start)
{
	struct options_error text = { .text = "" };
	int error = mount_start(mount, fs_options, store_is_new, &text);
	int close_error = 0;

	if (error) {
		log_line(KV_LOG_ERROR, "%s", text.text);
	} else {
		log_line(KV_LOG_INFO, "store %s on %s", mount->store_path,
			 mount->mountpoint);
		error = session_run(mount, on_ready, start);
		if (error)
			log_line(KV_LOG_ERROR, "/dev/fuse: %s",
				 strerror(-error));
	}
	helpers_stop(mount);
	session_unmount(mount);
	/* What they wait for is over at the latest now. */
	worker_pool_free(mount->seekers);
	draft_set_free(mount->drafts);
	if (mount->fs)
		close_error = fs_close(mount->fs);
	if (close_error)
		log_line(KV_LOG_ERROR, "closing store %s failed: %s",
			 mount->store_path, strerror(-close_error));
	helpers_free(mount);
	return error || close_error ? 1 : 0;
}

static int run(struct options *options, struct fs_options *fs_options,
	       struct preflight *preflight)
{
	static struct mount mount;
	struct start start = { .mount = &mount,
			       .daemon.status_fd = -1,
			       .foreground = options->foreground };
	struct options_error text = { .text = "" };
	int status = 1;
	int error;

	mount.options = options;
	mount.store_path = preflight->store_path;
	mount.mountpoint = preflight->mountpoint;
	mount.slow_op_ns = options->slow_op_ms * 1000000;
	mount.start_ns = time_now_ns();
	mount.owner = getuid();
	channel_init(&mount.channel);
	error = session_new(&mount, &text);
	if (error) {
		log_line(KV_LOG_ERROR, "%s", text.text);
		goto out;
	}
	if (!options->foreground) {
		error = daemon_start(&start.daemon);
		if (error) {
			log_line(KV_LOG_ERROR, "cannot fork: %s",
				 strerror(-error));
			goto out;
		}
	}
	umask(0);
	session_block_signals();
	status = mount_serve(&mount, fs_options, preflight->store_is_new,
			     &start);
	daemon_failed(&start.daemon, status);
out:
	session_free(&mount);
	channel_release(&mount.channel);
	return status;
}

static void print_version(void)
{
	printf("kvfs %s\nlibfuse %s\n", KVFS_VERSION, fuse_pkgversion());
}

static int log_begin(const struct options *options)
{
	struct log_settings settings = {
		.level = (enum kv_log_level)options->log_level,
		.format = (enum log_format)options->log_format,
		.path = options->log,
	};

	if (strcmp(options->log, "stderr") == 0)
		settings.target = LOG_STDERR;
	else if (strcmp(options->log, "syslog") == 0)
		settings.target = LOG_SYSLOG;
	else if (options->log[0] == '/')
		settings.target = LOG_FILE;
	return log_open(&settings);
}

int main(int argc, char **argv)
{
	struct fs_options fs_options;
	struct options options;
	struct options_error text = { .text = "" };
	struct preflight preflight;
	int status = 0;
	int error, log_error;

	daemon_fill_descriptors();
	fs_options_init(&fs_options);
	options_init(&options, &fs_options);
	error = options_parse(&options, argc, argv, &text);
	if (!options.foreground)
		daemon_close_inherited();
	log_error = log_begin(&options);
	if (error) {
		log_line(KV_LOG_ERROR, "%s%s", text.text,
			 error == -EDOM ? " (see kvfs --help)" : "");
		status = error == -EDOM ? 2 : 1;
	} else if (options.show_help) {
		options_init(&options, &fs_options);
		options_print_help(&options, stdout);
	} else if (options.show_version) {
		print_version();
	} else if (log_error) {
		log_line(KV_LOG_ERROR, "cannot open log %s: %s", options.log,
			 strerror(-log_error));
		status = 1;
	} else if (remount_is_asked(&options)) {
		error = remount(&options, &text);
		if (error)
			log_line(KV_LOG_ERROR, "%s", text.text);
		status = error ? 1 : 0;
	} else if (preflight_check(&options, &preflight, &text)) {
		log_line(KV_LOG_ERROR, "%s", text.text);
		status = 1;
	} else {
		options_apply(&options, &fs_options);
		status = run(&options, &fs_options, &preflight);
		preflight_release(&preflight);
	}
	options_release(&options);
	return status;
}
