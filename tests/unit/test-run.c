/* SPDX-License-Identifier: MIT */

/*
 * Runs, written and read: engine/run.h. Against sorted arrays as the model, and
 * from several threads. test-run-damage.c has what goes wrong.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/kv.h"
#include "engine/run.h"
#include "tests/unit/run_fixture.h"

/* A seek stands where the model says, and goes on from there. */
static void check_seek(struct source *source, const struct model *model,
		       struct slice key, bool after)
{
	size_t i = model_seek(model, key);
	int result;

	if (after && i < model->count && slice_equal(model_key(model, i), key))
		i++;
	result = source_seek(source, key, after);
	for (int steps = 0; steps < 20 && i < model->count; steps++, i++) {
		assert_int_equal(result, 0);
		assert_entry(source, model, i);
		result = source_next(source);
	}
	assert_int_equal(result, i == model->count ? 1 : 0);
}

static void check_key(struct run *run, struct source *source,
		      const struct model *model, struct slice key)
{
	check_get(run, model, key);
	check_seek(source, model, key, false);
	check_seek(source, model, key, true);
}

/* Keys at, right before and right behind the i-th one. */
static void check_around(struct run *run, struct source *source,
			 const struct model *model, size_t i)
{
	struct slice key = model_key(model, i);
	struct buf near = { 0 };

	check_key(run, source, model, key);
	assert_int_equal(buf_assign(&near, key), 0);
	assert_int_equal(buf_append(&near, "", 1), 0);
	check_key(run, source, model, buf_slice(&near));
	near.data[key.size] = 0xff;
	check_key(run, source, model, buf_slice(&near));
	if (key.size > 0) {
		near.size = key.size - 1;
		check_key(run, source, model, buf_slice(&near));
		near.size = key.size;
		near.data[key.size - 1]++;
		check_key(run, source, model, buf_slice(&near));
		near.data[key.size - 1] -= 2;
		check_key(run, source, model, buf_slice(&near));
	}
	buf_release(&near);
}

static void check_all(const struct model *model, uint64_t expected_entries,
		      size_t stride)
{
	struct run_summary summary = { 0 };
	struct source *source;
	struct run *run;
	struct stat st;
	int fd;

	assert_int_equal(
		write_model(io_system(), model, expected_entries, &summary), 0);
	assert_int_equal(summary.id, identity.id);
	assert_int_equal(summary.entry_count, model->count);
	assert_int_equal(summary.tombstone_count, model_tombstones(model));
	fd = open_file(O_RDONLY);
	assert_int_equal(fstat(fd, &st), 0);
	close(fd);
	assert_int_equal(st.st_size, summary.file_size_bytes);
	assert_int_equal(st.st_mode & 0777, 0600);

	run = open_run();
	assert_memory_equal(run_summary(run), &summary, sizeof(summary));
	check_list(run, model);
	source = run_source_new(run);
	for (size_t i = 0; i < model->count; i += stride)
		check_around(run, source, model, i);
	check_key(run, source, model, slice_of(NULL, 0));
	check_key(run, source, model, SLICE_LITERAL("\xff\xff\xff\xff\xff"));
	source_free(source);
	assert_int_equal(run_verify(run), 0);
	run_drop_cache(run, 0, SIZE_MAX);
	check_list(run, model);
	run_unref(run);
	remove_run(identity.id);
}

static void names_have_sixteen_digits(void **state)
{
	char name[RUN_NAME_MAX];

	(void)state;
	run_name(0xab, name);
	assert_string_equal(name, "00000000000000ab.run");
	run_name(UINT64_MAX, name);
	assert_string_equal(name, "ffffffffffffffff.run");
}

static void a_run_of_no_entries_works(void **state)
{
	struct model model;

	(void)state;
	model_init(&model, 0);
	check_all(&model, 0, 1);
	check_all(&model, 1000000, 1);
	model_release(&model);
}

static void a_run_of_the_empty_key_alone_works(void **state)
{
	struct model model;

	(void)state;
	model_init(&model, 1);
	model_add(&model, slice_of(NULL, 0));
	check_all(&model, 1, 1);
	model_release(&model);
}

static void random_keys_are_found_as_in_the_model(void **state)
{
	static const size_t counts[] = { 1, 2, 15, 16, 17, 33, 500, 3000 };

	(void)state;
	for (uint64_t seed = 1; seed <= 16; seed++) {
		size_t count = counts[seed % 8];
		struct model model;

		random_state = seed * 0x9e3779b97f4a7c15;
		model_init(&model, count);
		for (size_t i = 0; i < count; i++)
			add_random_key(&model, 1 + seed * 3);
		model_sort(&model);
		print_message("seed %u: %zu keys\n", (unsigned int)seed,
			      model.count);
		check_all(&model, model.count, 1 + model.count / 300);
		model_release(&model);
	}
}

static void wrong_expectations_do_not_matter(void **state)
{
	struct model model;

	(void)state;
	random_state = 99;
	model_init(&model, 2000);
	for (size_t i = 0; i < 2000; i++)
		add_random_key(&model, 30);
	model_sort(&model);
	check_all(&model, 0, 50);
	check_all(&model, 1000000, 50);
	model_release(&model);
}

static void three_levels_are_searched_as_one(void **state)
{
	struct model model;

	(void)state;
	random_state = 7;
	model_init_inodes(&model, 60000);
	check_all(&model, model.count, 97);
	model_release(&model);
}

/* Gets every `stride`-th of the keys, there and back, so that some stay in a
 * leaf and some go by several. */
static void check_walk(struct run *run, const struct model *model,
		       const struct model *keys, size_t stride)
{
	for (size_t i = 0; i < keys->count; i += stride)
		check_get(run, model, model_key(keys, i));
	for (size_t i = keys->count; i > 0; i -= i < stride ? i : stride)
		check_get(run, model, model_key(keys, i - 1));
}

/* Those of the one are mostly not in the other, and lie between its own. */
static void keys_in_order_are_found_in_the_run_that_has_them(void **state)
{
	struct model models[2];
	struct run *runs[2];

	(void)state;
	random_state = 17;
	for (size_t m = 0; m < 2; m++) {
		model_init(&models[m], 20000);
		for (uint64_t i = 0; i < 20000; i++)
			if (i % 2 == m || i % 5 == 0)
				add_inode_key(&models[m], i);
		model_sort(&models[m]);
		/* It is read when its file has no name any more. */
		runs[m] = write_and_open(&models[m]);
		remove_run(identity.id);
	}
	for (size_t stride = 1; stride < 1000; stride = stride * 3 + 1) {
		check_walk(runs[0], &models[0], &models[0], stride);
		check_walk(runs[1], &models[1], &models[1], stride);
		check_walk(runs[1], &models[1], &models[0], stride);
	}
	for (size_t i = 0; i < models[1].count; i++)
		for (size_t m = 0; m < 4; m++)
			check_get(runs[m % 2], &models[m % 2],
				  model_key(&models[m / 2], i));
	/* Where one was, there is another, as a rule. */
	check_walk(runs[0], &models[0], &models[0], 1);
	run_unref(runs[0]);
	runs[0] = write_and_open(&models[1]);
	check_walk(runs[0], &models[1], &models[1], 1);
	check_walk(runs[0], &models[1], &models[0], 1);
	for (size_t m = 0; m < 2; m++) {
		run_unref(runs[m]);
		model_release(&models[m]);
	}
	remove_run(identity.id);
}

/* Where the one was the other comes to lie, as a rule, with the same keys at
 * the same places of its leaves. */
static void a_run_in_anothers_place_is_read_for_itself(void **state)
{
	struct model model;

	(void)state;
	random_state = 23;
	model_init_inodes(&model, 2000);
	for (size_t i = 0; i < model.count; i++)
		model.entries[i].place = (struct place){ .size_bytes = 100 };
	for (size_t i = 0; i < model.count; i += 100) {
		struct run *run;

		for (size_t j = 0; j < model.count; j++)
			model.entries[j].place.offset = 10000 + i;
		run = write_and_open(&model);
		for (size_t j = i; j < i + 100; j++)
			check_get(run, &model, model_key(&model, j));
		run_unref(run);
		remove_run(identity.id);
	}
	model_release(&model);
}

/*
 * Blocks of one or two entries each, so as many levels as there can be, and
 * neighbours that differ in the first byte, in the last, or in length only.
 */
static void keys_of_the_greatest_length_work(void **state)
{
	struct buf key = { 0 };
	struct model model;

	(void)state;
	random_state = 11;
	model_init(&model, 400);
	assert_int_equal(buf_resize(&key, KV_KEY_MAX), 0);
	for (size_t i = 0; i < 60; i++) {
		memset(key.data, (int)i, key.size);
		model_add(&model, buf_slice(&key));
	}
	memset(key.data, 'm', key.size);
	for (size_t i = 0; i < 60; i++) {
		key.data[KV_KEY_MAX - 1] = (uint8_t)(i * 3);
		model_add(&model, buf_slice(&key));
		model_add(&model, slice_of(key.data, KV_KEY_MAX - 1 - i * 50));
	}
	for (size_t i = 0; i < 100; i++)
		add_random_key(&model, 20);
	model_sort(&model);
	check_all(&model, model.count, model.count / 30);
	model_release(&model);
	buf_release(&key);
}

static void a_run_of_another_store_or_number_is_refused(void **state)
{
	struct run_identity other = identity;
	char name[RUN_NAME_MAX], other_name[RUN_NAME_MAX];
	struct run *run = NULL;
	struct model model;

	(void)state;
	model_init(&model, 1);
	model_add(&model, SLICE_LITERAL("key"));
	run_unref(write_and_open(&model));
	for (size_t i = 0; i < STORE_UUID_BYTES; i++) {
		other.store_uuid[i] ^= 0x10;
		assert_int_equal(run_open(io_system(), dir_fd, &other, &run),
				 -EUCLEAN);
		other.store_uuid[i] ^= 0x10;
	}
	other.id++;
	assert_int_equal(run_open(io_system(), dir_fd, &other, &run), -ENOENT);
	run_name(identity.id, name);
	run_name(other.id, other_name);
	assert_int_equal(renameat(dir_fd, name, dir_fd, other_name), 0);
	assert_int_equal(run_open(io_system(), dir_fd, &other, &run), -EUCLEAN);
	assert_null(run);
	remove_run(other.id);
	model_release(&model);
}

static void a_run_is_never_written_over_another_file(void **state)
{
	struct run_summary summary = { 0 };
	struct run *run;
	struct model model;

	(void)state;
	model_init(&model, 1);
	model_add(&model, SLICE_LITERAL("key"));
	run = write_and_open(&model);
	assert_int_equal(write_model(io_system(), &model, 1, &summary),
			 -EEXIST);
	check_list(run, &model);
	run_unref(run);
	remove_run(identity.id);
	model_release(&model);
}

static void an_abandoned_run_leaves_no_file(void **state)
{
	struct index_entry entry = { .key = SLICE_LITERAL("key") };
	struct run_writer *writer;
	char name[RUN_NAME_MAX];

	(void)state;
	assert_int_equal(run_writer_open(io_system(), dir_fd, &identity, 10,
					 &writer),
			 0);
	assert_int_equal(run_writer_add(writer, &entry), 0);
	run_writer_abandon(writer);
	run_writer_abandon(NULL);
	run_unref(NULL);
	run_name(identity.id, name);
	assert_int_equal(faccessat(dir_fd, name, F_OK, 0), -1);
}

static void a_doomed_run_is_whole_until_its_last_reference(void **state)
{
	char name[RUN_NAME_MAX];
	struct model model;
	struct run *run;

	(void)state;
	model_init(&model, 1);
	model_add(&model, SLICE_LITERAL("key"));
	run_name(identity.id, name);
	run = write_and_open(&model);
	assert_ptr_equal(run_ref(run), run);
	run_doom(run);
	run_unref(run);
	assert_int_equal(faccessat(dir_fd, name, F_OK, 0), 0);
	check_list(run, &model);
	run_unref(run);
	assert_int_equal(faccessat(dir_fd, name, F_OK, 0), -1);
	model_release(&model);
}

/* In a child: true when adding `second` after `first` aborts. */
static bool adding_aborts(const char *first, const char *second)
{
	struct index_entry a = { .key = { first, strlen(first) } };
	struct index_entry b = { .key = { second, strlen(second) } };
	const struct rlimit no_core = { 0 };
	struct run_writer *writer;
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		/* cmocka would catch it and go on. */
		signal(SIGABRT, SIG_DFL);
		setrlimit(RLIMIT_CORE, &no_core);
		if (!freopen("/dev/null", "w", stderr) ||
		    run_writer_open(io_system(), dir_fd, &identity, 2,
				    &writer) ||
		    run_writer_add(writer, &a))
			_exit(2);
		run_writer_add(writer, &b);
		run_writer_abandon(writer);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFSIGNALED(status))
		assert_int_equal(WEXITSTATUS(status), 0);
	else
		remove_run(identity.id);
	return WIFSIGNALED(status);
}

static void keys_that_do_not_ascend_are_the_callers_error(void **state)
{
	(void)state;
	assert_false(adding_aborts("a", "ab"));
	assert_true(adding_aborts("a", "a"));
	assert_true(adding_aborts("ab", "a"));
}

struct reader_thread {
	struct run *run;
	const struct model *model;
	size_t begin;
	size_t found;
	size_t listed;
};

/* No assertions: cmocka's are for the main thread. */
static void *read_everything(void *ctx)
{
	struct reader_thread *t = ctx;
	struct source *source = run_source_new(t->run);
	int result;

	for (size_t i = 0; i < t->model->count; i++) {
		size_t at = (i + t->begin) % t->model->count;
		enum run_probe probe;
		struct place place;

		if (!find_place(t->run, model_key(t->model, at), &place,
				&probe) &&
		    place.offset == t->model->entries[at].place.offset)
			t->found++;
		if (i == t->model->count / 2)
			run_drop_cache(t->run, 0, SIZE_MAX);
	}
	result = source_seek(source, slice_of(NULL, 0), false);
	for (; result == 0; result = source_next(source))
		t->listed++;
	source_free(source);
	run_unref(t->run);
	return NULL;
}

static void any_number_of_threads_may_read(void **state)
{
	enum {
		THREADS = 4
	};
	struct reader_thread contexts[THREADS];
	pthread_t threads[THREADS];
	struct model model;
	struct run *run;

	(void)state;
	random_state = 13;
	model_init_inodes(&model, 20000);
	run = write_and_open(&model);
	for (size_t i = 0; i < THREADS; i++) {
		contexts[i] = (struct reader_thread){ run_ref(run), &model,
						      i * model.count / THREADS,
						      0, 0 };
		assert_int_equal(pthread_create(&threads[i], NULL,
						read_everything, &contexts[i]),
				 0);
	}
	assert_int_equal(run_verify(run), 0);
	for (size_t i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(contexts[i].found, model.count);
		assert_int_equal(contexts[i].listed, model.count);
	}
	run_unref(run);
	remove_run(identity.id);
	model_release(&model);
}

static void the_filter_spares_nearly_all_misses(void **state)
{
	unsigned int outcomes[3] = { 0 };
	struct model model;
	struct run *run;

	(void)state;
	random_state = 17;
	model_init_inodes(&model, 20000);
	run = write_and_open(&model);
	for (size_t i = 0; i < model.count; i++) {
		struct buf *key = &model.entries[i].key;
		enum run_probe probe;
		struct place place;

		key->data[key->size - 1] ^= 0x80;
		assert_int_equal(
			find_place(run, buf_slice(key), &place, &probe), 1);
		outcomes[probe]++;
	}
	assert_int_equal(outcomes[RUN_FOUND], 0);
	assert_in_range(outcomes[RUN_FALSE_MATCH], 1, 400);
	run_unref(run);
	remove_run(identity.id);
	model_release(&model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_have_sixteen_digits),
		cmocka_unit_test(a_run_of_no_entries_works),
		cmocka_unit_test(a_run_of_the_empty_key_alone_works),
		cmocka_unit_test(random_keys_are_found_as_in_the_model),
		cmocka_unit_test(wrong_expectations_do_not_matter),
		cmocka_unit_test(three_levels_are_searched_as_one),
		cmocka_unit_test(
			keys_in_order_are_found_in_the_run_that_has_them),
		cmocka_unit_test(a_run_in_anothers_place_is_read_for_itself),
		cmocka_unit_test(keys_of_the_greatest_length_work),
		cmocka_unit_test(a_run_of_another_store_or_number_is_refused),
		cmocka_unit_test(a_run_is_never_written_over_another_file),
		cmocka_unit_test(an_abandoned_run_leaves_no_file),
		cmocka_unit_test(
			a_doomed_run_is_whole_until_its_last_reference),
		cmocka_unit_test(keys_that_do_not_ascend_are_the_callers_error),
		cmocka_unit_test(any_number_of_threads_may_read),
		cmocka_unit_test(the_filter_spares_nearly_all_misses),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
