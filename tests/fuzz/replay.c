/* SPDX-License-Identifier: MIT */

/*
 * An ordinary main() for a fuzz target:
 *
 *	fuzz-x FILE|DIRECTORY...	runs the target on each input, and on
 *					each with some of its bits flipped
 *	fuzz-x --seeds DIRECTORY	writes the inputs to begin with
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

#define INPUT_MAX ((size_t)1 << 20)
/* Of each input so many copies with a bit flipped. */
#define FLIPS 64u

static const char *seed_directory;
static unsigned long run_count;

void fuzz_put_seed(const char *name, const void *bytes, size_t size)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", seed_directory, name);
	file = fopen(path, "wbe");
	if (!file || fwrite(bytes, 1, size, file) != size || fclose(file)) {
		perror(path);
		exit(EXIT_FAILURE);
	}
}

static void run_input(struct buf *input)
{
	size_t step = input->size * 8 / FLIPS + 1;

	LLVMFuzzerTestOneInput(input->data, input->size);
	run_count++;
	for (size_t bit = 0; bit < input->size * 8; bit += step) {
		input->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		LLVMFuzzerTestOneInput(input->data, input->size);
		input->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		run_count++;
	}
}

static void run_file(int dir_fd, const char *name)
{
	struct buf input = { 0 };

	if (io_read_file(quick_io(), dir_fd, name, INPUT_MAX, &input)) {
		fprintf(stderr, "%s cannot be read\n", name);
		exit(EXIT_FAILURE);
	}
	run_input(&input);
	buf_release(&input);
}

static void run_directory(const char *path)
{
	struct buf names = { 0 };
	const char *at;
	int fd;

	if (io_open_dir(quick_io(), path, &fd) ||
	    io_list(quick_io(), fd, &names)) {
		fprintf(stderr, "%s cannot be read\n", path);
		exit(EXIT_FAILURE);
	}
	at = (const char *)names.data;
	for (const char *end = at ? at + names.size : at; at < end;
	     at += strlen(at) + 1)
		run_file(fd, at);
	buf_release(&names);
	close(fd);
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--seeds") == 0) {
		seed_directory = argv[2];
		fuzz_make_seeds();
		return 0;
	}
	for (int i = 1; i < argc; i++)
		run_directory(argv[i]);
	printf("%lu inputs\n", run_count);
	return run_count ? 0 : EXIT_FAILURE;
}
