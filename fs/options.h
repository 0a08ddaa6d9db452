/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The command line of kvfs. One table in options.c names every option once,
 * with its range, its default and its sentence of help; parsing, --help and
 * .kvfs/config all read that table, and a test holds the man page against it.
 * No libfuse here: what is FUSE's is collected and passed on.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/buf.h"
#include "fs/fs.h"

enum stats_visibility {
	STATS_HIDDEN,  /* opened by name, not listed */
	STATS_VISIBLE, /* listed too */
	STATS_OFF,     /* there are none */
};

/* When the values of partitions with a schema are judged. */
enum schema_judged {
	SCHEMA_AUTO, /* at close when there are such when it is mounted */
	SCHEMA_AT_CLOSE,
	SCHEMA_AT_WRITE,
};

/* Values are uint64_t throughout, so that the table can point at them. */
struct options {
	uint64_t segment_size_bytes;
	uint64_t block_size_bytes; /* 0: the core's default */
	uint64_t commit_s;
	uint64_t durability; /* enum kv_durability */
	uint64_t compress_level;
	uint64_t compact_off;
	uint64_t compact_ratio;
	uint64_t compact_rate;
	uint64_t memory_bytes;
	uint64_t size_limit_bytes;
	uint64_t writeback;
	uint64_t read_only;
	uint64_t stats;      /* enum stats_visibility */
	uint64_t schema;     /* enum schema_judged */
	uint64_t log_level;  /* enum kv_log_level */
	uint64_t log_format; /* enum log_format */
	uint64_t slow_op_ms; /* 0: off */
	char log[4096];      /* auto, stderr, syslog or an absolute path */

	/* Options of libfuse and mount(2), comma-separated, still escaped;
	 * each begins with a comma; ends with a NUL once parsed. */
	struct buf fuse;

	const char *store; /* borrowed from argv; NULL: not given */
	const char *mountpoint;
	bool foreground;
	bool debug;
	bool show_help;
	bool show_version;
};

/* One line, without a line feed. */
struct options_error {
	char text[512];
};

/* Defaults as in `defaults`, which fs_options_init has filled. */
void options_init(struct options *options, const struct fs_options *defaults);
void options_release(struct options *options);

/*
 * Parses a command line; argv is left alone and borrowed. 0, -EINVAL for an
 * option that is unknown or out of range, -EDOM for wrong usage (arguments
 * missing or too many); *ret_error then says what.
 */
int options_parse(struct options *options, int argc, char *const *argv,
		  struct options_error *ret_error);

/* Parses the words of one -o. 0, -EINVAL, -ENOMEM. */
int options_parse_words(struct options *options, const char *words,
			struct options_error *ret_error);

/* Sets what the options say in *fs; leaves the rest alone. */
void options_apply(const struct options *options, struct fs_options *fs);

/* Appends "name value\n" for every option of kvfs's own, as now in force. */
int options_render(const struct options *options, struct buf *ret_text);

/* --help; the defaults shown are those in `options`. */
void options_print_help(const struct options *options, FILE *file);

/* Appends `string` as the value of a libfuse option: ',' and '\' escaped.
 * 0 or -ENOMEM. */
int options_append_escaped(struct buf *buf, const char *string);

/* Is an option of this name among those passed to libfuse? */
bool options_fuse_has(const struct options *options, const char *name);
/* The same, with a number as its value. */
bool options_fuse_number(const struct options *options, const char *name,
			 uint64_t *ret_value);
