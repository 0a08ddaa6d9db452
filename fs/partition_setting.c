/* SPDX-License-Identifier: MIT */

/*
 * Settings of partitions and their words. One table names each setting once.
 * No state, no lock.
 */

#include "fs/partition_setting.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* As the mount option. */
#define COMPRESS_LEVEL_DEFAULT 1
/* No sensible number is longer: 20 digits and a suffix. */
#define QUOTA_TEXT_MAX 21u

static const char *const names[SETTING_COUNT] = {
	[SETTING_SCHEMA] = "schema",
	[SETTING_DURABILITY] = "durability",
	[SETTING_QUOTA] = "quota",
	[SETTING_COMPRESS] = "compress",
};

static const char *const schemas[] = {
	[VALUE_BYTES] = "bytes",
	[VALUE_STRING] = "string",
	[VALUE_INT] = "int",
};

static const char *const durabilities[] = {
	[KV_DURABILITY_FSYNC] = "fsync",
	[KV_DURABILITY_ALWAYS] = "always",
	[KV_DURABILITY_NONE] = "none",
};

#define WORD_COUNT(words) (sizeof(words) / sizeof((words)[0]))

const char *setting_name(enum partition_setting setting)
{
	return names[setting];
}

bool xattr_is_setting(struct slice name)
{
	return slice_has_prefix(name, SLICE_LITERAL(PARTITION_XATTR_PREFIX));
}

/* The index of a word, or -EINVAL. */
static int word_find(const char *const *words, size_t count, struct slice text)
{
	for (size_t i = 0; i < count; i++) {
		if (slice_equal(text, slice_of(words[i], strlen(words[i]))))
			return (int)i;
	}
	return -EINVAL;
}

bool setting_of_xattr(struct slice name, enum partition_setting *ret_setting)
{
	size_t prefix_size = strlen(PARTITION_XATTR_PREFIX);
	int i;

	if (!xattr_is_setting(name))
		return false;
	i = word_find(names, SETTING_COUNT, slice_from(name, prefix_size));
	if (i < 0)
		return false;
	*ret_setting = (enum partition_setting)i;
	return true;
}

/* How far K, M, G or T shifts to the left; 0: it is none of them. */
static unsigned int suffix_shift(char c)
{
	static const char suffixes[] = "KMGT";
	/* k is as good as K. */
	char upper = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
	const char *found = upper ? strchr(suffixes, upper) : NULL;

	return found ? 10 * (unsigned int)(found - suffixes + 1) : 0;
}

static int quota_parse(struct slice text, uint64_t *ret_bytes)
{
	const char *at = text.data;
	size_t size = text.size;
	unsigned int shift = 0;
	uint64_t value = 0;

	if (size == 0 || size > QUOTA_TEXT_MAX)
		return -EINVAL;
	shift = suffix_shift(at[size - 1]);
	if (shift && --size == 0)
		return -EINVAL;
	for (size_t i = 0; i < size; i++) {
		if (at[i] < '0' || at[i] > '9' ||
		    __builtin_mul_overflow(value, 10u, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(at[i] - '0'),
					   &value))
			return -EINVAL;
	}
	if (value > (uint64_t)INT64_MAX >> shift)
		return -EINVAL;
	*ret_bytes = value << shift;
	return 0;
}

static int compress_parse(struct slice text, int *ret_level)
{
	const char *at = text.data;

	if (slice_equal(text, SLICE_LITERAL("none")))
		*ret_level = KV_COMPRESS_NONE;
	else if (slice_equal(text, SLICE_LITERAL("zlib")))
		*ret_level = COMPRESS_LEVEL_DEFAULT;
	else if (slice_has_prefix(text, SLICE_LITERAL("zlib:")) &&
		 text.size == 6 && at[5] >= '1' && at[5] <= '9')
		*ret_level = at[5] - '0';
	else
		return -EINVAL;
	return 0;
}

int setting_parse(enum partition_setting setting, struct slice text,
		  struct partition_settings *settings)
{
	int word;

	switch (setting) {
	case SETTING_SCHEMA:
		word = word_find(schemas, WORD_COUNT(schemas), text);
		if (word < 0)
			return word;
		settings->schema = (enum value_schema)word;
		return 0;
	case SETTING_DURABILITY:
		word = word_find(durabilities, WORD_COUNT(durabilities), text);
		if (word < 0)
			return word;
		settings->has_durability = true;
		settings->durability = (enum kv_durability)word;
		return 0;
	case SETTING_QUOTA:
		return quota_parse(text, &settings->quota_bytes);
	case SETTING_COMPRESS:
		return compress_parse(text, &settings->compress_level);
	case SETTING_COUNT:
		break;
	}
	return -EINVAL;
}

void setting_reset(enum partition_setting setting,
		   struct partition_settings *settings)
{
	switch (setting) {
	case SETTING_SCHEMA:
		settings->schema = VALUE_BYTES;
		break;
	case SETTING_DURABILITY:
		settings->has_durability = false;
		break;
	case SETTING_QUOTA:
		settings->quota_bytes = 0;
		break;
	case SETTING_COMPRESS:
		settings->compress_level = 0;
		break;
	case SETTING_COUNT:
		break;
	}
}

const char *schema_word(enum value_schema schema)
{
	return schemas[schema];
}

const char *durability_word(const struct partition_settings *settings)
{
	return settings->has_durability ? durabilities[settings->durability] :
					  "mount";
}

const char *compress_word(const struct partition_settings *settings, char *room)
{
	int level = settings->compress_level;

	if (level == 0)
		return "mount";
	if (level == KV_COMPRESS_NONE)
		return "none";
	snprintf(room, SETTING_WORD_MAX, "zlib:%d", level);
	return room;
}
