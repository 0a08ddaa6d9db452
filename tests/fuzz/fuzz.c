/* SPDX-License-Identifier: MIT */

/* What the fuzz targets share: see fuzz.h. */

#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/codec.h"
#include "engine/crc32.h"
#include "tests/seam/random.h"
#include "tests/seam/scratch.h"

#define FILE_MAX ((size_t)4 << 20)
#define FILES_MAX 32u

enum file_kind {
	FILE_MANIFEST,
	FILE_SEGMENT,
	FILE_RUN,
};

static bool ignore_checksums;
static struct scratch directory = { .fd = -1 };

uint32_t __real_crc32_update(uint32_t crc, const void *bytes, size_t size);
uint32_t __wrap_crc32_update(uint32_t crc, const void *bytes, size_t size);

uint32_t __wrap_crc32_update(uint32_t crc, const void *bytes, size_t size)
{
	return ignore_checksums ? 0 : __real_crc32_update(crc, bytes, size);
}

void fuzz_put_random_seed(const char *name, uint64_t random, size_t size)
{
	uint8_t bytes[1024];

	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(random_next(&random) >> 32);
	fuzz_put_seed(name, bytes, size);
}

void fuzz_ignore_checksums(bool ignore)
{
	ignore_checksums = ignore;
}

struct slice fuzz_begin(const uint8_t *data, size_t size)
{
	fuzz_ignore_checksums(size && data[0]);
	return size ? slice_of(data + 1, size - 1) : slice_of("", 0);
}

static void remove_directory(void)
{
	scratch_release(&directory);
}

const char *fuzz_directory(void)
{
	struct buf names = { 0 };
	const char *at;

	if (directory.fd < 0) {
		if (scratch_init(&directory))
			abort();
		atexit(remove_directory);
	}
	if (io_list(quick_io(), directory.fd, &names))
		abort();
	at = (const char *)names.data;
	for (const char *end = at ? at + names.size : at; at < end;
	     at += strlen(at) + 1)
		unlinkat(directory.fd, at, 0);
	buf_release(&names);
	return directory.path;
}

int fuzz_directory_fd(void)
{
	return directory.fd;
}

void fuzz_put_file(const char *name, const void *bytes, size_t size)
{
	int fd = openat(directory.fd, name, O_CREAT | O_TRUNC | O_WRONLY, 0600);

	if (fd < 0 || io_write(quick_io(), fd, bytes, size, 0))
		abort();
	close(fd);
}

static void file_name(unsigned int kind, unsigned int id, char name[32])
{
	static const char *const suffixes[] = { "seg", "run" };

	if (kind == FILE_MANIFEST)
		snprintf(name, 32, "MANIFEST");
	else
		snprintf(name, 32, "%016x.%s", id, suffixes[kind - 1]);
}

void fuzz_unpack(struct slice input)
{
	struct reader r = reader_of(input);

	for (unsigned int i = 0; i < FILES_MAX && reader_left(&r) >= 10; i++) {
		unsigned int kind = get_u8(&r) % 3u, id = get_u8(&r);
		size_t size = get_u32(&r) % FILE_MAX;
		size_t used = get_u32(&r);
		struct slice bytes;
		char name[32];

		if (used > reader_left(&r))
			used = reader_left(&r);
		bytes = get_bytes(&r, used);
		file_name(kind, id, name);
		fuzz_put_file(name, bytes.data, used);
		if (size > used) {
			struct stat st;
			int fd = openat(directory.fd, name, O_RDWR);

			if (fd < 0 || ftruncate(fd, (off_t)size) ||
			    fstat(fd, &st))
				abort();
			close(fd);
		}
	}
}

static void pack_file(const char *name, struct buf *input)
{
	struct buf bytes = { 0 };
	uint8_t head[10];
	struct writer w = writer_of(head, sizeof(head));
	unsigned int kind = strstr(name, ".seg") ? FILE_SEGMENT :
			    strstr(name, ".run") ? FILE_RUN :
						   FILE_MANIFEST;
	size_t used;

	if (io_read_file(quick_io(), directory.fd, name, FILE_MAX, &bytes))
		abort();
	used = bytes.size;
	while (used && !bytes.data[used - 1])
		used--;
	put_u8(&w, (uint8_t)kind);
	put_u8(&w, (uint8_t)strtoul(name, NULL, 16));
	put_u32(&w, (uint32_t)bytes.size);
	put_u32(&w, (uint32_t)used);
	if (buf_append(input, head, sizeof(head)) ||
	    buf_append(input, bytes.data, used))
		abort();
	buf_release(&bytes);
}

void fuzz_pack(struct buf *input)
{
	struct buf names = { 0 };
	const char *at;

	if (io_list(quick_io(), directory.fd, &names))
		abort();
	at = (const char *)names.data;
	for (const char *end = at ? at + names.size : at; at < end;
	     at += strlen(at) + 1)
		if (strcmp(at, "MANIFEST") == 0 || strstr(at, ".seg") ||
		    strstr(at, ".run"))
			pack_file(at, input);
	buf_release(&names);
}
