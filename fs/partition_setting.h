/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The settings of a partition as text: the values of the extended attributes
 * user.kvfs.* of its directory, and the lines of its .stats. Pure functions.
 */

#include <stdbool.h>
#include <stdint.h>

#include "engine/buf.h"
#include "engine/kv.h"

#define PARTITION_XATTR_PREFIX "user.kvfs."

/* What the values in a partition must be. */
enum value_schema {
	VALUE_BYTES,
	VALUE_STRING, /* UTF-8 */
	VALUE_INT,    /* a decimal, signed number of 64 bits */
};

/* Zero-initialised: what holds where nothing is set. */
struct partition_settings {
	enum value_schema schema;
	bool has_durability; /* else the mount's */
	enum kv_durability durability;
	uint64_t quota_bytes; /* 0: none */
	int compress_level;   /* as of a kv_batch */
};

enum partition_setting {
	SETTING_SCHEMA,
	SETTING_DURABILITY,
	SETTING_QUOTA,
	SETTING_COMPRESS,
	SETTING_COUNT,
};

/* "schema", "durability", "quota", "compress". */
const char *setting_name(enum partition_setting setting);
/* By the name of its attribute, prefix included. False: there is none. */
bool setting_of_xattr(struct slice name, enum partition_setting *ret_setting);
bool xattr_is_setting(struct slice name);

/*
 * Takes a setting over from its text: bytes, string, int; always, fsync, none;
 * a number of bytes with K, M, G or T behind it, 0 for no quota; none, zlib,
 * zlib:1 to zlib:9. -EINVAL leaves *settings alone.
 */
int setting_parse(enum partition_setting setting, struct slice text,
		  struct partition_settings *settings);
/* As when it was never set. */
void setting_reset(enum partition_setting setting,
		   struct partition_settings *settings);

/* Words for what is in force; compress needs room of SETTING_WORD_MAX. */
#define SETTING_WORD_MAX 24
const char *schema_word(enum value_schema schema);
const char *durability_word(const struct partition_settings *settings);
const char *compress_word(const struct partition_settings *settings,
			  char *room);
