/* SPDX-License-Identifier: MIT */

/*
 * The engine in a program of one's own:
 *
 *	cc example.c $(pkg-config --cflags --libs kvfs-engine) -o example
 *	./example DIRECTORY
 *
 * Counts how often it was run, moves a greeting in one step, and lists what
 * there is.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <engine/kv.h>

/* The number that a key holds, 0 when it does not exist; -errno. */
static int count_load(struct kv *kv, uint32_t *ret_count)
{
	size_t size;
	int r;

	*ret_count = 0;
	r = kv_read(kv, NULL, SLICE_LITERAL("runs"), 0, ret_count,
		    sizeof(*ret_count), &size, NULL);
	return r == 1 ? 0 : r;
}

static int entry_print(void *ctx, const struct kv_entry *entry)
{
	(void)ctx;
	printf("%.*s: %zu bytes\n", (int)entry->key.size,
	       (const char *)entry->key.data, entry->value.size);
	return 0;
}

static int work(struct kv *kv)
{
	struct kv_range all = { 0 };
	struct kv_batch batch = { 0 };
	uint32_t count;
	uint64_t lsn = 0;
	int r;

	r = count_load(kv, &count);
	if (r)
		return r;
	count++;

	/* All of it happens, or nothing, whatever happens to the process. */
	r = kv_batch_set(&batch, SLICE_LITERAL("runs"),
			 slice_of(&count, sizeof(count)));
	if (r == 0)
		r = kv_batch_set(&batch, SLICE_LITERAL("greeting/new"),
				 SLICE_LITERAL("hello"));
	if (r == 0)
		r = kv_batch_delete(&batch, SLICE_LITERAL("greeting/old"));
	if (r == 0)
		r = kv_commit(kv, &batch, 0, &lsn);
	kv_batch_release(&batch);

	/* From here on it survives power loss, too. */
	if (r == 0)
		r = kv_sync(kv, lsn);
	if (r == 0)
		r = kv_list(kv, NULL, &all, KV_LIST_VALUES, entry_print, NULL);
	if (r == 0)
		printf("run %" PRIu32 " times\n", count);
	return r;
}

int main(int argc, char **argv)
{
	struct kv_options options;
	struct kv *kv;
	int r, close_error;

	if (argc != 2) {
		fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
		return 2;
	}
	kv_options_init(&options);
	options.create = true;
	r = kv_open(argv[1], &options, &kv);
	if (r == 0) {
		r = work(kv);
		close_error = kv_close(kv);
		r = r ? r : close_error;
	}
	if (r)
		fprintf(stderr, "%s: %s\n", argv[1], strerror(-r));
	return r ? 1 : 0;
}
