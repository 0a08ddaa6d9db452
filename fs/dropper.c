/* SPDX-License-Identifier: MIT */

/*
 * The dropper. Invariant, under the lock: `wanted` is set when there may be
 * something that the thread has not begun with. The lock is held for nothing
 * but that.
 */

#include "fs/dropper.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "engine/lock.h"
#include "engine/thread.h"
#include "fs/log.h"
#include "fs/partition.h"

struct dropper {
	/* constant after new */
	struct dropper_settings settings;
	pthread_t thread;

	atomic_bool ending;

	struct mutex lock;
	struct condition changed;
	/* guarded by lock */
	bool wanted;
};

static bool dropper_ends(void *ctx)
{
	const struct dropper *dropper = ctx;

	return atomic_load(&dropper->ending);
}

static bool dropper_knows(void *ctx, uint64_t ino)
{
	const struct dropper_settings *settings =
		&((struct dropper *)ctx)->settings;

	return settings->is_known(settings->ctx, ino);
}

/* False at the end. */
static bool dropper_wait(struct dropper *dropper)
{
	mutex_lock(&dropper->lock);
	while (!dropper->wanted && !atomic_load(&dropper->ending))
		condition_wait(&dropper->changed, &dropper->lock);
	dropper->wanted = false;
	mutex_unlock(&dropper->lock);
	return !atomic_load(&dropper->ending);
}

static void *dropper_main(void *arg)
{
	struct dropper *dropper = arg;
	struct fs_emptying how = {
		.is_known = dropper_knows,
		.shall_stop = dropper_ends,
		.ctx = dropper,
	};
	int error;

	while (dropper_wait(dropper)) {
		error = fs_empty_dropped(dropper->settings.fs, &how);
		if (error && error != -ECANCELED && error != -EROFS)
			log_line(KV_LOG_WARNING,
				 "what was in a dropped partition could not "
				 "all be deleted (error %d); it will be at the "
				 "next mount",
				 -error);
	}
	return NULL;
}

int dropper_new(const struct dropper_settings *settings,
		struct dropper **ret_dropper)
{
	struct dropper *dropper = calloc(1, sizeof(*dropper));
	int error;

	if (!dropper)
		return -ENOMEM;
	dropper->settings = *settings;
	mutex_init(&dropper->lock);
	condition_init(&dropper->changed);
	error = thread_start(&dropper->thread, 0, dropper_main, dropper);
	if (error) {
		condition_release(&dropper->changed);
		mutex_release(&dropper->lock);
		free(dropper);
		return error;
	}
	*ret_dropper = dropper;
	return 0;
}

void dropper_free(struct dropper *dropper)
{
	if (!dropper)
		return;
	mutex_lock(&dropper->lock);
	atomic_store(&dropper->ending, true);
	condition_wake_all(&dropper->changed);
	mutex_unlock(&dropper->lock);
	pthread_join(dropper->thread, NULL);
	condition_release(&dropper->changed);
	mutex_release(&dropper->lock);
	free(dropper);
}

void dropper_wake(struct dropper *dropper)
{
	mutex_lock(&dropper->lock);
	dropper->wanted = true;
	condition_wake_one(&dropper->changed);
	mutex_unlock(&dropper->lock);
}
