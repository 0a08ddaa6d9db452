/* SPDX-License-Identifier: MIT */

/*
 * Gathering what the virtual files tell: from the engine, the core, the
 * counters of requests and the process itself.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "fs/mount.h"
#include "fs/partition.h"
#include "fs/stats_text.h"

static uint64_t resident_bytes(void)
{
	char line[128];
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);
	char *second;

	if (fd >= 0)
		close(fd);
	if (got <= 0)
		return 0;
	line[got] = 0;
	strtoull(line, &second, 10);
	return strtoull(second, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t load(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static void jobs_fill(struct jobs *jobs, struct stats_report *report)
{
	struct jobs_figures figures;

	jobs_figures(jobs, &figures);
	report->scrub_count = figures.scrub_count;
	report->scrub_bytes = figures.scrub_bytes;
	report->scrub_problem_count = figures.scrub_problem_count;
	report->scrub_time_s = figures.scrub_time_s;
	report->check_problem_count = figures.check_problem_count;
}

static void report_fill(struct mount *mount, struct stats_report *report)
{
	*report = (struct stats_report){
		.version = KVFS_VERSION,
		.store = mount->store_path,
		.mountpoint = mount->mountpoint,
		.options = mount->options,
		.now_s = (int64_t)time(NULL),
		.uptime_s = (time_now_ns() - mount->start_ns) / 1000000000u,
		.read_only = mount->options->read_only,
		.block_size_bytes = fs_block_size(mount->fs),
		.pid = (uint64_t)getpid(),
		.resident_bytes = resident_bytes(),
		.io_error_count = load(&mount->stats.io_error_count),
		.read_bytes = load(&mount->stats.read_bytes),
		.write_bytes = load(&mount->stats.write_bytes),
	};
	kv_stats(fs_kv(mount->fs), &report->kv);
	jobs_fill(mount->jobs, report);
	/* A disk that cannot be asked leaves zeros: better than no report. */
	if (fs_statfs(mount->fs, &report->fs))
		report->fs = (struct fs_statfs){ 0 };
	for (unsigned int op = 0; op < OP_COUNT; op++)
		opstats_read(&mount->stats, (enum op)op, &report->ops[op]);
}

static int partition_render(struct mount *mount, uint64_t ino,
			    struct buf *ret_text)
{
	struct fs_partition partition;

	if (fs_partition_stat(mount->fs, ino, &partition))
		return -ENOENT;
	return fs_partition_render(&partition, ret_text);
}

bool mount_is_partition(void *ctx, uint64_t ino)
{
	return fs_is_partition(((struct mount *)ctx)->fs, ino);
}

int mount_render(void *ctx, enum virtual_file file, uint64_t partition,
		 struct buf *ret_text)
{
	struct stats_report *report;
	int error = -EINVAL;

	if (file == VIRTUAL_PARTITION)
		return partition_render(ctx, partition, ret_text);
	report = malloc(sizeof(*report));
	if (!report)
		return -ENOMEM;
	report_fill(ctx, report);
	switch (file) {
	case VIRTUAL_STATS:
		error = stats_render_text(report, ret_text);
		break;
	case VIRTUAL_JSON:
		error = stats_render_json(report, ret_text);
		break;
	case VIRTUAL_METRICS:
		error = stats_render_metrics(report, ret_text);
		break;
	case VIRTUAL_HEALTH:
		error = stats_render_health(report, ret_text);
		break;
	case VIRTUAL_CONFIG:
		error = stats_render_config(report, ret_text);
		break;
	case VIRTUAL_PARTITION:
	case VIRTUAL_FILE_COUNT:
	default:
		break;
	}
	free(report);
	return error;
}
