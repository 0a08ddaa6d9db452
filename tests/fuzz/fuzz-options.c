/* SPDX-License-Identifier: MIT */

/* The words of one -o, and a command line made of lines. */

#include <stdlib.h>
#include <string.h>

#include "fs/options.h"
#include "tests/fuzz/fuzz.h"

#define WORDS_MAX 16

static void parse_line(char *text)
{
	char *argv[WORDS_MAX + 1] = { "kvfs" };
	struct fs_options defaults;
	struct options options;
	struct options_error error;
	int argc = 1;

	while (text && argc < WORDS_MAX) {
		argv[argc++] = text;
		text = strchr(text, '\n');
		if (text)
			*text++ = '\0';
	}
	fs_options_init(&defaults);
	options_init(&options, &defaults);
	options_parse(&options, argc, argv, &error);
	options_release(&options);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fs_options defaults;
	struct options options;
	struct options_error error;
	struct buf text = { 0 };
	char *words = calloc(1, size + 1);

	if (!words)
		abort();
	if (size)
		memcpy(words, data, size);
	fs_options_init(&defaults);
	options_init(&options, &defaults);
	if (options_parse_words(&options, words, &error) == 0) {
		options_apply(&options, &defaults);
		options_render(&options, &text);
	}
	options_release(&options);
	buf_release(&text);
	parse_line(words);
	free(words);
	return 0;
}

static void put(const char *name, const char *text)
{
	fuzz_put_seed(name, text, strlen(text));
}

void fuzz_make_seeds(void)
{
	put("sizes", "segment_size=16M,block_size=64K,memory=1G,size=10T");
	put("words", "commit=1,durability=always,compress=zlib:9,compact=off");
	put("fstab", "allow_other,nofail,x-systemd.automount,ro,_netdev");
	put("line", "-o\ncompact_ratio=40,fsname=a\\,b\nstore\nmount\n-f\n-d");
	put("wrong", "segment_size=99999999999999999999T,commit=-1,nonsense");
}
