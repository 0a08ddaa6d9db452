/* SPDX-License-Identifier: MIT */
/*
 * The workloads of enginebench. Each begins on an empty directory.
 *
 * What is read is compared with what was written: a store that is fast and
 * wrong fails.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/enginebench.h"

#define LIST_PASSES 3u
#define OPEN_PASSES 5u

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A loop over all keys. */
struct pass {
	const struct trial *trial;
	struct session session;
	uint64_t count;
	uint64_t version; /* of the values */
	bool shuffled;
	int (*step)(const struct pass *pass, uint64_t i, struct slice key);
};

static int step_set(const struct pass *p, uint64_t i, struct slice key)
{
	return p->trial->ops->set(&p->session, key, value_of(i, p->version));
}

static int step_remove(const struct pass *p, uint64_t i, struct slice key)
{
	(void)i;
	return p->trial->ops->remove(&p->session, key);
}

static int step_get(const struct pass *p, uint64_t i, struct slice key)
{
	struct slice wanted = value_of(i, p->version);
	char value[VALUE_SIZE];
	size_t size = 0;
	int error = p->trial->ops->get(&p->session, key, value, sizeof(value),
				       &size);

	if (error)
		return error;
	return slice_equal(slice_of(value, size), wanted) ? 0 : -EUCLEAN;
}

/* Keys of the same shape, between those that are there. */
static int step_miss(const struct pass *p, uint64_t i, struct slice key)
{
	char absent[KEY_SIZE], value[VALUE_SIZE];
	size_t size;
	int result;

	(void)i;
	memcpy(absent, key.data, sizeof(absent));
	absent[sizeof(absent) - 1] = 'x';
	result = p->trial->ops->get(&p->session, slice_of(absent, KEY_SIZE),
				    value, sizeof(value), &size);
	if (result == 1)
		return 0;
	return result == 0 ? -EUCLEAN : result;
}

static int run_pass(const struct pass *pass)
{
	for (uint64_t n = 0; n < pass->count; n++) {
		uint64_t i = pass->shuffled ? shuffle(n, pass->count) : n;
		char key[KEY_SIZE];
		int error;

		key_make(key, i, pass->count);
		error = pass->step(pass, i, slice_of(key, sizeof(key)));
		if (error)
			return error == 1 ? -ENODATA : error;
	}
	return 0;
}

static int time_pass(const struct pass *pass, const char *name)
{
	double begin = now_s();
	int error = run_pass(pass);

	if (!error)
		trial_report(pass->trial, name,
			     (double)pass->count / (now_s() - begin), "ops/s");
	return error;
}

static int count_key(void *ctx, struct slice key)
{
	uint64_t *count = ctx;

	*count += key.size == KEY_SIZE;
	return 0;
}

/* Whether anything is kept: a floor has neither places nor sizes. */
static bool keeps(const struct trial *trial)
{
	return trial->ops->get;
}

/* Lists each prefix by itself. */
static int time_list(const struct pass *pass, const char *name)
{
	double begin = now_s();
	uint64_t count = 0;

	if (!keeps(pass->trial))
		return 0;
	for (uint64_t n = 0; n < LIST_PASSES * PREFIX_COUNT; n++) {
		uint64_t i = shuffle(n % PREFIX_COUNT, PREFIX_COUNT);
		char key[KEY_SIZE];
		int error;

		key_make(key, i, PREFIX_COUNT);
		error = pass->trial->ops->list(&pass->session,
					       slice_of(key, PREFIX_SIZE),
					       count_key, &count);
		if (error)
			return error;
	}
	if (count != LIST_PASSES * pass->count)
		return -EUCLEAN;
	trial_report(pass->trial, name, (double)count / (now_s() - begin),
		     "keys/s");
	return 0;
}

/* Memory of this process, in MB, from its status. */
static double memory_mb(const char *field)
{
	FILE *status = fopen("/proc/self/status", "re");
	double kib = 0;
	char line[256];

	while (status && fgets(line, sizeof(line), status)) {
		size_t length = strlen(field);

		if (strncmp(line, field, length) == 0 && line[length] == ':')
			kib = strtod(line + length + 1, NULL);
	}
	if (status)
		fclose(status);
	return kib * 1024 / 1e6;
}

static void report_memory(const struct trial *trial, const char *rss,
			  const char *anon)
{
	if (!keeps(trial))
		return;
	trial_report(trial, rss, memory_mb("VmRSS"), "MB");
	trial_report(trial, anon, memory_mb("RssAnon"), "MB");
}

/* Blocks that the store's files take, in MB. */
static int report_disk(const struct trial *trial, const char *name)
{
	struct dirent *entry;
	double bytes = 0;
	DIR *dir;

	if (!keeps(trial))
		return 0;
	dir = opendir(trial->dir);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		struct stat st;

		if (fstatat(dirfd(dir), entry->d_name, &st, 0) == 0 &&
		    S_ISREG(st.st_mode))
			bytes += (double)st.st_blocks * 512;
	}
	closedir(dir);
	trial_report(trial, name, bytes / 1e6, "MB");
	return 0;
}

static int session_open(struct pass *pass, struct store *store)
{
	const struct store_ops *ops = pass->trial->ops;

	pass->session = (struct session){ .store = store };
	return ops->session_open ? ops->session_open(&pass->session) : 0;
}

static void session_close(const struct pass *pass)
{
	const struct store_ops *ops = pass->trial->ops;

	if (ops->session_close)
		ops->session_close(&pass->session);
}

/* An open store with one session, and the pass to run on it. */
struct stage {
	struct store *store;
	struct pass pass;
};

static int stage_open(struct stage *stage, const struct trial *trial,
		      bool durable)
{
	int error = trial->ops->open(trial->dir, durable, &stage->store);

	stage->pass = (struct pass){ .trial = trial,
				     .count = trial->plan->key_count };
	if (error)
		return error;
	error = session_open(&stage->pass, stage->store);
	if (error)
		trial->ops->close(stage->store);
	return error;
}

static int stage_close(struct stage *stage, int error)
{
	const struct store_ops *ops = stage->pass.trial->ops;
	int close_error;

	session_close(&stage->pass);
	close_error = ops->close(stage->store);
	return error ? error : close_error;
}

static int do_step(struct stage *stage,
		   int (*step)(const struct pass *, uint64_t, struct slice),
		   bool shuffled, const char *name)
{
	if (!keeps(stage->pass.trial) &&
	    (step == step_get || step == step_miss))
		return 0;
	stage->pass.step = step;
	stage->pass.shuffled = shuffled;
	return time_pass(&stage->pass, name);
}

/* Ascending keys: set, get and list while the store is hot, and delete. */
static int work_sequential(const struct trial *trial)
{
	struct stage stage;
	int error = stage_open(&stage, trial, false);

	if (error)
		return error;
	error = do_step(&stage, step_set, false, "set_seq");
	if (!error)
		error = do_step(&stage, step_get, false, "get_seq");
	if (!error)
		error = time_list(&stage.pass, "list_seq");
	if (!error)
		error = do_step(&stage, step_remove, false, "delete_seq");
	return stage_close(&stage, error);
}

static int random_fill(const struct trial *trial)
{
	struct stage stage;
	int error = stage_open(&stage, trial, false);
	double begin;

	if (error)
		return error;
	error = do_step(&stage, step_set, true, "set_random");
	if (!error)
		report_memory(trial, "rss_after_set", "anon_after_set");
	if (!error)
		error = do_step(&stage, step_get, true, "get_random_hot");
	begin = now_s();
	error = stage_close(&stage, error);
	if (error)
		return error;
	if (keeps(trial))
		trial_report(trial, "close", (now_s() - begin) * 1e3, "ms");
	return report_disk(trial, "disk_after_set");
}

static int random_read(const struct trial *trial)
{
	struct stage stage;
	int error = stage_open(&stage, trial, false);

	if (error)
		return error;
	error = do_step(&stage, step_get, true, "get_random");
	if (!error)
		error = do_step(&stage, step_miss, true, "get_miss");
	if (!error)
		error = time_list(&stage.pass, "list_random");
	if (!error)
		report_memory(trial, "rss_after_get", "anon_after_get");
	return stage_close(&stage, error);
}

static int time_compact(struct stage *stage)
{
	const struct trial *trial = stage->pass.trial;
	double begin = now_s();
	int error = trial->ops->compact(stage->store);

	if (!error)
		trial_report(trial, "compact", (now_s() - begin) * 1e3, "ms");
	return error;
}

static int random_overwrite(const struct trial *trial)
{
	struct stage stage;
	int error = stage_open(&stage, trial, false);

	if (error)
		return error;
	stage.pass.version = 1;
	error = do_step(&stage, step_set, true, "overwrite_random");
	if (!error && keeps(trial))
		error = time_compact(&stage);
	error = stage_close(&stage, error);
	return error ? error : report_disk(trial, "disk_after_compact");
}

static int random_delete(const struct trial *trial)
{
	struct stage stage;
	int error = stage_open(&stage, trial, false);

	if (error)
		return error;
	stage.pass.version = 1;
	error = do_step(&stage, step_get, true, "get_after_compact");
	if (!error)
		error = do_step(&stage, step_remove, true, "delete_random");
	return stage_close(&stage, error);
}

/* Shuffled keys, with a clean close between the steps. */
static int work_random(const struct trial *trial)
{
	int error = random_fill(trial);

	if (!error)
		error = random_read(trial);
	if (!error)
		error = random_overwrite(trial);
	return error ? error : random_delete(trial);
}

/* One thread of durable sets: keys first, first + step, ... */
struct writer {
	struct pass pass;
	uint64_t first;
	uint64_t step;
	pthread_t thread;
	int error;
};

static void *writer_run(void *arg)
{
	struct writer *w = arg;
	struct pass *p = &w->pass;

	for (uint64_t i = w->first; i < p->count && !w->error; i += w->step) {
		char key[KEY_SIZE];

		key_make(key, shuffle(i, p->count), p->count);
		w->error = step_set(p, i, slice_of(key, sizeof(key)));
	}
	return NULL;
}

static int writers_start(struct writer *writers, const struct stage *stage,
			 uint64_t count, uint64_t *started)
{
	for (uint64_t i = 0; i < count; i++) {
		struct writer *w = &writers[i];
		int error;

		*w = (struct writer){ .pass = stage->pass,
				      .first = i,
				      .step = count };
		error = session_open(&w->pass, stage->store);
		if (error)
			return error;
		error = pthread_create(&w->thread, NULL, writer_run, w);
		if (error) {
			session_close(&w->pass);
			return -error;
		}
		*started = i + 1;
	}
	return 0;
}

static int writers_run(struct stage *stage, uint64_t count, const char *name)
{
	struct writer *writers = calloc(count, sizeof(*writers));
	uint64_t started = 0;
	double begin = now_s();
	int error;

	if (!writers)
		return -ENOMEM;
	error = writers_start(writers, stage, count, &started);
	for (uint64_t i = 0; i < started; i++) {
		pthread_join(writers[i].thread, NULL);
		session_close(&writers[i].pass);
		if (!error)
			error = writers[i].error;
	}
	if (!error)
		trial_report(stage->pass.trial, name,
			     (double)stage->pass.count / (now_s() - begin),
			     "ops/s");
	free(writers);
	return error;
}

static int work_durable(const struct trial *trial)
{
	struct stage stage;
	int error = stage_open(&stage, trial, true);

	if (error)
		return error;
	stage.pass.count = trial->plan->durable_count;
	error = writers_run(&stage, 1, "durable_set");
	stage.pass.count *= trial->plan->thread_count;
	stage.pass.version = 1;
	if (!error)
		error = writers_run(&stage, trial->plan->thread_count,
				    "durable_set_threads");
	return stage_close(&stage, error);
}

static int open_and_get(const struct trial *trial, uint64_t keys, bool last)
{
	struct stage stage;
	double begin = now_s();
	char name[64], rss[64], anon[64];
	int error = stage_open(&stage, trial, false);

	if (error)
		return error;
	snprintf(name, sizeof(name), "open_%" PRIu64, keys);
	trial_report(trial, name, (now_s() - begin) * 1e3, "ms");
	if (!last)
		return stage_close(&stage, 0);
	snprintf(name, sizeof(name), "get_of_%" PRIu64, keys);
	snprintf(rss, sizeof(rss), "rss_of_%" PRIu64, keys);
	snprintf(anon, sizeof(anon), "anon_of_%" PRIu64, keys);
	stage.pass.count = keys;
	error = do_step(&stage, step_get, true, name);
	if (!error)
		report_memory(trial, rss, anon);
	return stage_close(&stage, error);
}

static int fill(const struct trial *trial, uint64_t keys)
{
	struct stage stage;
	int error = stage_open(&stage, trial, false);

	if (error)
		return error;
	stage.pass.count = keys;
	stage.pass.step = step_set;
	stage.pass.shuffled = true;
	return stage_close(&stage, run_pass(&stage.pass));
}

static int open_repeatedly(const struct trial *trial, uint64_t keys)
{
	int error = 0;

	for (unsigned int i = 1; !error && keeps(trial) && i <= OPEN_PASSES;
	     i++)
		error = open_and_get(trial, keys, i == OPEN_PASSES);
	return error;
}

static int prepare_open(const struct trial *trial)
{
	return fill(trial, trial->plan->open_count[0]);
}

static int work_open(const struct trial *trial)
{
	return open_repeatedly(trial, trial->plan->open_count[0]);
}

static int prepare_open2(const struct trial *trial)
{
	return fill(trial, trial->plan->open_count[1]);
}

static int work_open2(const struct trial *trial)
{
	return open_repeatedly(trial, trial->plan->open_count[1]);
}

const struct workload enginebench_workloads[] = {
	{ "sequential", NULL, work_sequential },
	{ "random", NULL, work_random },
	{ "durable", NULL, work_durable },
	{ "open", prepare_open, work_open },
	{ "open2", prepare_open2, work_open2 },
	{ NULL, NULL, NULL },
};
