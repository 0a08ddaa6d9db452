/* SPDX-License-Identifier: MIT */

/*
 * The table of options and what is read off it. Words of -o are separated by
 * commas; a backslash takes the special meaning from the character behind it,
 * as in libfuse. What the table does not know is passed to libfuse, which
 * refuses what it does not know either: so options of newer versions work.
 *
 * Invariant: every value in struct options lies within its row's range from
 * options_init on, so nobody checks again. No locks: set before threads start.
 */

#include "fs/options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "fs/text.h"

enum option_kind {
	OPTION_NUMBER,
	OPTION_SIZE, /* bytes, with K, M, G or T */
	OPTION_SIZE_POW2,
	OPTION_WORD,     /* one of `words`; the value is its index */
	OPTION_COMPRESS, /* none, zlib, zlib:1-9; the value is the level */
	OPTION_LOG,      /* a word, or an absolute path */
	OPTION_FLAG,     /* given: 1 */
	OPTION_FUSE,     /* libfuse's or mount's: passed on */
	OPTION_IGNORED,  /* meant for others who read fstab */
	OPTION_IGNORED_PREFIX,
};

#define COMPRESS_LEVEL_DEFAULT 1

struct option {
	const char *name;
	enum option_kind kind;
	size_t offset;
	uint64_t min, max;
	const char *const *words;
	const char *argument; /* as help shows it; NULL: takes none */
	const char *help;     /* NULL: not shown */
};

static const char *const durability_words[] = { "fsync", "always", "none",
						NULL };
static const char *const compact_words[] = { "auto", "off", NULL };
static const char *const stats_words[] = { "hidden", "visible", "off", NULL };
static const char *const schema_words[] = { "auto", "close", "write", NULL };
static const char *const log_words[] = { "error", "warning", "info", "debug",
					 NULL };

static const char *const format_words[] = { "text", "json", NULL };

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)
#define TIB ((uint64_t)1 << 40)
#define EIB ((uint64_t)1 << 60)
#define FIELD(name) offsetof(struct options, name)

/* clang-format off */
static const struct option table[] = {
	{ "segment_size", OPTION_SIZE, FIELD(segment_size_bytes), MIB, 2 * GIB,
	  NULL, "SIZE", "size of a file of the log, 1M to 2G" },
	{ "block_size", OPTION_SIZE_POW2, FIELD(block_size_bytes), 4 * KIB, MIB,
	  NULL, "SIZE", "block of large files, 4K to 1M, a power of two; for "
	  "a new store" },
	{ "commit", OPTION_NUMBER, FIELD(commit_s), 0, 86400,
	  NULL, "SECONDS", "changes are on disk after so long at most; 0: only "
	  "when synced" },
	{ "durability", OPTION_WORD, FIELD(durability), 0, 0,
	  durability_words, "fsync|always|none", "what is synced: what asks for "
	  "it, every change, nothing" },
	{ "compress", OPTION_COMPRESS, FIELD(compress_level), 0, 9,
	  NULL, "none|zlib[:1-9]", "compression of values" },
	{ "compact", OPTION_WORD, FIELD(compact_off), 0, 0,
	  compact_words, "auto|off", "give back dead space in the background" },
	{ "compact_ratio", OPTION_NUMBER, FIELD(compact_ratio), 1, 99,
	  NULL, "PERCENT", "compact files of the log with so much dead" },
	{ "compact_rate", OPTION_SIZE, FIELD(compact_rate), 0, TIB,
	  NULL, "SIZE", "bytes a second that compaction may copy; 0: any" },
	{ "memory", OPTION_SIZE, FIELD(memory_bytes), 4 * MIB, TIB,
	  NULL, "SIZE", "memory for index and buffers, 4M or more" },
	{ "size", OPTION_SIZE, FIELD(size_limit_bytes), 0, EIB,
	  NULL, "SIZE", "limit of what the files may take; 0: the disk" },
	{ "writeback", OPTION_FLAG, FIELD(writeback), 0, 1,
	  NULL, NULL, "let the kernel gather writes; they reach kvfs later" },
	{ "ro", OPTION_FLAG, FIELD(read_only), 0, 1,
	  NULL, NULL, "change nothing, on disk neither" },
	{ "stats", OPTION_WORD, FIELD(stats), 0, 0,
	  stats_words, "hidden|visible|off", "the files .stats and .kvfs: not "
	  "listed, listed, none" },
	{ "schema", OPTION_WORD, FIELD(schema), 0, 0,
	  schema_words, "auto|close|write", "when values of partitions with a "
	  "schema are judged" },
	{ "log_level", OPTION_WORD, FIELD(log_level), 0, 0,
	  log_words, "error|warning|info|debug", "what is logged" },
	{ "log", OPTION_LOG, FIELD(log), 0, 0,
	  NULL, "auto|stderr|syslog|PATH", "where the log goes; auto: stderr in "
	  "the foreground, else syslog" },
	{ "log_format", OPTION_WORD, FIELD(log_format), 0, 0,
	  format_words, "text|json", "a line of the log" },
	{ "slow_op", OPTION_NUMBER, FIELD(slow_op_ms), 0, 3600000,
	  NULL, "MS", "log requests that take so long; 0: none" },

	{ "allow_other", OPTION_FUSE, 0, 0, 0, NULL, NULL,
	  "users but the mounting one may enter" },
	{ "allow_root", OPTION_FUSE, 0, 0, 0, NULL, NULL,
	  "root may enter" },
	{ "auto_unmount", OPTION_FUSE, 0, 0, 0, NULL, NULL,
	  "unmount when kvfs dies" },
	{ "fsname", OPTION_FUSE, 0, 0, 0, NULL, "NAME",
	  "source in the mount table; default: the store's path" },
	{ "subtype", OPTION_FUSE, 0, 0, 0, NULL, "NAME",
	  "type in the mount table; default: kvfs" },
	{ "max_read", OPTION_FUSE, 0, 0, 0, NULL, "BYTES",
	  "largest read request" },
	{ "remount", OPTION_FUSE, 0, 0, 0, NULL, NULL,
	  "change ro, nosuid and their like of a mount that is there" },
	{ "default_permissions", OPTION_FUSE, 0, 0, 0, NULL, NULL, NULL },
	{ "rw", OPTION_FUSE, 0, 0, 0, NULL, NULL, NULL },
	{ "suid", OPTION_FUSE, 0, 0, 0, NULL, NULL, NULL },
	{ "nosuid", OPTION_FUSE, 0, 0, 0, NULL, NULL, NULL },
	{ "dev", OPTION_FUSE, 0, 0, 0, NULL, NULL, NULL },
	{ "nodev", OPTION_FUSE, 0, 0, 0, NULL, NULL, NULL },
	{ "exec", OPTION_FUSE, 0, 0, 0, NULL, NULL, NULL },
	{ "noexec", OPTION_FUSE, 0, 0, 0, NULL, NULL, NULL },
	{ "atime", OPTION_FUSE, 0, 0, 0, NULL, NULL, NULL },
	{ "noatime", OPTION_FUSE, 0, 0, 0, NULL, NULL, NULL },
	{ "sync", OPTION_FUSE, 0, 0, 0, NULL, NULL, NULL },
	{ "async", OPTION_FUSE, 0, 0, 0, NULL, NULL, NULL },
	{ "dirsync", OPTION_FUSE, 0, 0, 0, NULL, NULL, NULL },

	{ "defaults", OPTION_IGNORED, 0, 0, 0, NULL, NULL, NULL },
	{ "auto", OPTION_IGNORED, 0, 0, 0, NULL, NULL, NULL },
	{ "noauto", OPTION_IGNORED, 0, 0, 0, NULL, NULL, NULL },
	{ "nofail", OPTION_IGNORED, 0, 0, 0, NULL, NULL, NULL },
	{ "_netdev", OPTION_IGNORED, 0, 0, 0, NULL, NULL, NULL },
	{ "user", OPTION_IGNORED, 0, 0, 0, NULL, NULL, NULL },
	{ "user=", OPTION_IGNORED_PREFIX, 0, 0, 0, NULL, NULL, NULL },
	{ "nouser", OPTION_IGNORED, 0, 0, 0, NULL, NULL, NULL },
	{ "users", OPTION_IGNORED, 0, 0, 0, NULL, NULL, NULL },
	{ "nousers", OPTION_IGNORED, 0, 0, 0, NULL, NULL, NULL },
	{ "owner", OPTION_IGNORED, 0, 0, 0, NULL, NULL, NULL },
	{ "group", OPTION_IGNORED, 0, 0, 0, NULL, NULL, NULL },
	{ "nonempty", OPTION_IGNORED, 0, 0, 0, NULL, NULL, NULL },
	/* The kernel keeps no access times for FUSE. */
	{ "relatime", OPTION_IGNORED, 0, 0, 0, NULL, NULL, NULL },
	{ "norelatime", OPTION_IGNORED, 0, 0, 0, NULL, NULL, NULL },
	{ "strictatime", OPTION_IGNORED, 0, 0, 0, NULL, NULL, NULL },
	{ "nostrictatime", OPTION_IGNORED, 0, 0, 0, NULL, NULL, NULL },
	{ "diratime", OPTION_IGNORED, 0, 0, 0, NULL, NULL, NULL },
	{ "nodiratime", OPTION_IGNORED, 0, 0, 0, NULL, NULL, NULL },
	{ "lazytime", OPTION_IGNORED, 0, 0, 0, NULL, NULL, NULL },
	{ "nolazytime", OPTION_IGNORED, 0, 0, 0, NULL, NULL, NULL },
	{ "comment=", OPTION_IGNORED_PREFIX, 0, 0, 0, NULL, NULL, NULL },
	{ "x-", OPTION_IGNORED_PREFIX, 0, 0, 0, NULL, NULL, NULL },
	{ "X-", OPTION_IGNORED_PREFIX, 0, 0, 0, NULL, NULL, NULL },
};
/* clang-format on */

#define TABLE_COUNT (sizeof(table) / sizeof(table[0]))

static uint64_t *option_field(const struct option *option,
			      struct options *options)
{
	return (uint64_t *)(void *)((char *)options + option->offset);
}

static uint64_t option_value(const struct option *option,
			     const struct options *options)
{
	return *(const uint64_t *)(const void *)((const char *)options +
						 option->offset);
}

static bool option_is_own(const struct option *option)
{
	return option->kind <= OPTION_FLAG;
}

__attribute__((format(printf, 2, 3))) static int
fail(struct options_error *ret_error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(ret_error->text, sizeof(ret_error->text), format, args);
	va_end(args);
	return -EINVAL;
}

void options_init(struct options *options, const struct fs_options *defaults)
{
	*options = (struct options){
		.segment_size_bytes = defaults->kv.segment_size_bytes,
		.block_size_bytes = defaults->block_size_bytes,
		.commit_s = defaults->kv.commit_interval_ms / 1000,
		.durability = defaults->kv.durability,
		.compress_level = (uint64_t)defaults->kv.compress_level,
		.compact_off = !defaults->kv.compact_auto,
		.compact_ratio = defaults->kv.compact_ratio,
		.compact_rate = defaults->kv.compact_rate,
		.memory_bytes = defaults->kv.memory_bytes,
		.size_limit_bytes = defaults->size_limit_bytes,
		.stats = STATS_HIDDEN,
		.log_level = KV_LOG_WARNING,
		.log = "auto",
	};
}

void options_release(struct options *options)
{
	buf_release(&options->fuse);
}

void options_apply(const struct options *options, struct fs_options *fs)
{
	fs->kv.create = !options->read_only;
	fs->kv.read_only = options->read_only;
	fs->kv.segment_size_bytes = options->segment_size_bytes;
	fs->kv.memory_bytes = options->memory_bytes;
	fs->kv.commit_interval_ms = options->commit_s * 1000;
	fs->kv.durability = (enum kv_durability)options->durability;
	fs->kv.compress_level = (int)options->compress_level;
	fs->kv.compact_auto = !options->compact_off;
	fs->kv.compact_ratio = (unsigned int)options->compact_ratio;
	fs->kv.compact_rate = options->compact_rate;
	fs->block_size_bytes = (uint32_t)options->block_size_bytes;
	fs->size_limit_bytes = options->size_limit_bytes;
}

/* --- values --- */

/* Digits only; leaves *ret_end behind them. */
static int parse_digits(const char *s, uint64_t *ret_value,
			const char **ret_end)
{
	uint64_t value = 0;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	for (; *s >= '0' && *s <= '9'; s++) {
		if (__builtin_mul_overflow(value, 10u, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*s - '0'), &value))
			return -ERANGE;
	}
	*ret_value = value;
	*ret_end = s;
	return 0;
}

static int parse_size(const char *s, uint64_t *ret_value, const char **ret_end)
{
	static const char suffixes[] = "KMGT";
	const char *suffix;
	unsigned int shift;
	uint64_t value = 0;
	int r = parse_digits(s, &value, &s);

	if (r)
		return r;
	if (*s) {
		/* k is as good as K. */
		char upper = *s >= 'a' && *s <= 'z' ? (char)(*s - 32) : *s;

		suffix = strchr(suffixes, upper);
		if (!suffix)
			return -EINVAL;
		shift = 10 * (unsigned int)(suffix - suffixes + 1);
		if (value > UINT64_MAX >> shift)
			return -ERANGE;
		value <<= shift;
		s++;
	}
	*ret_value = value;
	*ret_end = s;
	return 0;
}

static int parse_compress(const char *s, uint64_t *ret_value)
{
	if (strcmp(s, "none") == 0)
		*ret_value = 0;
	else if (strcmp(s, "zlib") == 0)
		*ret_value = COMPRESS_LEVEL_DEFAULT;
	else if (strncmp(s, "zlib:", 5) == 0 && s[5] >= '1' && s[5] <= '9' &&
		 !s[6])
		*ret_value = (uint64_t)(s[5] - '0');
	else
		return -EINVAL;
	return 0;
}

static int parse_log(const char *s, char *ret_log, size_t size)
{
	bool is_word = strcmp(s, "auto") == 0 || strcmp(s, "stderr") == 0 ||
		       strcmp(s, "syslog") == 0;

	if ((!is_word && s[0] != '/') || strlen(s) >= size)
		return -EINVAL;
	snprintf(ret_log, size, "%s", s);
	return 0;
}

static int parse_word(const struct option *option, const char *s,
		      uint64_t *ret_value)
{
	for (uint64_t i = 0; option->words[i]; i++) {
		if (strcmp(option->words[i], s) == 0) {
			*ret_value = i;
			return 0;
		}
	}
	return -EINVAL;
}

static void text_add_value(struct text *text, const struct option *option,
			   uint64_t value)
{
	switch (option->kind) {
	case OPTION_SIZE:
	case OPTION_SIZE_POW2:
		text_add_size(text, value);
		break;
	case OPTION_WORD:
		text_add(text, "%s", option->words[value]);
		break;
	case OPTION_COMPRESS:
		if (value)
			text_add(text, "zlib:%" PRIu64, value);
		else
			text_add(text, "none");
		break;
	case OPTION_FLAG:
		text_add(text, "%s", value ? "on" : "off");
		break;
	case OPTION_NUMBER:
	case OPTION_LOG:
	case OPTION_FUSE:
	case OPTION_IGNORED:
	case OPTION_IGNORED_PREFIX:
		text_add(text, "%" PRIu64, value);
		break;
	}
}

static int fail_range(const struct option *option, const char *value,
		      struct options_error *ret_error)
{
	struct buf range = { 0 };
	struct text text = { .buf = &range };

	text_add_value(&text, option, option->min);
	text_add(&text, " to ");
	text_add_value(&text, option, option->max);
	fail(ret_error, "option %s=%s is out of range: %.*s", option->name,
	     value, (int)range.size, (const char *)range.data);
	buf_release(&range);
	return -EINVAL;
}

/* A number or a size, within its range. */
static int parse_quantity(const struct option *option, const char *s,
			  uint64_t *ret_value, struct options_error *ret_error)
{
	const char *end = s;
	uint64_t value = 0;
	int r = option->kind == OPTION_NUMBER ? parse_digits(s, &value, &end) :
						parse_size(s, &value, &end);

	if (r == -EINVAL || (!r && *end))
		return fail(ret_error, "option %s=%s: %s is wanted",
			    option->name, s,
			    option->kind == OPTION_NUMBER ?
				    "a number" :
				    "a number of bytes, as 4096 or 64M,");
	if (r || value < option->min || value > option->max)
		return fail_range(option, s, ret_error);
	if (option->kind == OPTION_SIZE_POW2 && (value & (value - 1)))
		return fail(ret_error, "option %s=%s: no power of two",
			    option->name, s);
	*ret_value = value;
	return 0;
}

static int option_parse(const struct option *option, const char *value,
			struct options *options,
			struct options_error *ret_error)
{
	uint64_t *field = option_field(option, options);
	int r;

	switch (option->kind) {
	case OPTION_NUMBER:
	case OPTION_SIZE:
	case OPTION_SIZE_POW2:
		return parse_quantity(option, value, field, ret_error);
	case OPTION_FLAG:
		*field = 1;
		return 0;
	case OPTION_WORD:
		r = parse_word(option, value, field);
		break;
	case OPTION_COMPRESS:
		r = parse_compress(value, field);
		break;
	case OPTION_LOG:
		r = parse_log(value, options->log, sizeof(options->log));
		break;
	case OPTION_FUSE:
	case OPTION_IGNORED:
	case OPTION_IGNORED_PREFIX:
	default:
		return 0;
	}
	if (r)
		return fail(ret_error, "option %s=%s: %s is wanted",
			    option->name, value, option->argument);
	return 0;
}

/* --- words --- */

static const struct option *option_find(const char *word, size_t name_size)
{
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		const struct option *option = &table[i];
		size_t size = strlen(option->name);

		if (option->kind == OPTION_IGNORED_PREFIX) {
			if (strncmp(word, option->name, size) == 0)
				return option;
		} else if (size == name_size &&
			   memcmp(word, option->name, size) == 0) {
			return option;
		}
	}
	return NULL;
}

static int pass_to_fuse(struct options *options, const char *word,
			struct options_error *ret_error)
{
	if (buf_append(&options->fuse, ",", 1) ||
	    buf_append(&options->fuse, word, strlen(word))) {
		fail(ret_error, "out of memory");
		return -ENOMEM;
	}
	return 0;
}

static int parse_one_word(struct options *options, const char *word,
			  struct options_error *ret_error)
{
	size_t name_size = strcspn(word, "=");
	const char *value = word[name_size] ? word + name_size + 1 : NULL;
	const struct option *option = option_find(word, name_size);
	int r;

	if (!option || option->kind == OPTION_FUSE) {
		/* The last of ro and rw counts, as for mount(8). */
		if (strcmp(word, "rw") == 0)
			options->read_only = 0;
		return pass_to_fuse(options, word, ret_error);
	}
	if (!option_is_own(option))
		return 0;
	if (value && !option->argument)
		return fail(ret_error, "option %s takes no value",
			    option->name);
	if (!value && option->argument)
		return fail(ret_error, "option %s needs a value: %s=%s",
			    option->name, option->name, option->argument);
	r = option_parse(option, value, options, ret_error);
	if (!r && strcmp(word, "ro") == 0)
		r = pass_to_fuse(options, word, ret_error);
	return r;
}

/* The size of the first word of s, up to a comma that is not escaped. */
static size_t word_size(const char *s)
{
	size_t size = 0;

	while (s[size] && s[size] != ',') {
		if (s[size] == '\\' && s[size + 1])
			size++;
		size++;
	}
	return size;
}

int options_parse_words(struct options *options, const char *words,
			struct options_error *ret_error)
{
	while (*words) {
		size_t size = word_size(words);
		int r = 0;

		if (size) {
			char *word = strndup(words, size);

			if (!word) {
				fail(ret_error, "out of memory");
				return -ENOMEM;
			}
			r = parse_one_word(options, word, ret_error);
			free(word);
		}
		if (r)
			return r;
		words += size;
		words += *words == ',';
	}
	return 0;
}

int options_append_escaped(struct buf *buf, const char *string)
{
	for (; *string; string++) {
		if (*string == ',' || *string == '\\') {
			if (buf_append(buf, "\\", 1))
				return -ENOMEM;
		}
		if (buf_append(buf, string, 1))
			return -ENOMEM;
	}
	return 0;
}

/* What follows the name of the last such option: "=value" and the rest, "," or
 * nothing; NULL when there is none. */
static const char *fuse_option_find(const struct options *options,
				    const char *name)
{
	const char *s = (const char *)options->fuse.data;
	const char *found = NULL;
	size_t size = strlen(name);

	while (s && *s == ',') {
		s++;
		if (strncmp(s, name, size) == 0 &&
		    (!s[size] || s[size] == ',' || s[size] == '='))
			found = s + size;
		s += word_size(s);
	}
	return found;
}

bool options_fuse_has(const struct options *options, const char *name)
{
	return fuse_option_find(options, name) != NULL;
}

bool options_fuse_number(const struct options *options, const char *name,
			 uint64_t *ret_value)
{
	const char *s = fuse_option_find(options, name);
	const char *end;

	return s && *s == '=' && !parse_digits(s + 1, ret_value, &end);
}

/* --- showing them --- */

int options_render(const struct options *options, struct buf *ret_text)
{
	struct text text = { .buf = ret_text };

	for (size_t i = 0; i < TABLE_COUNT; i++) {
		const struct option *option = &table[i];

		if (!option_is_own(option))
			continue;
		text_add(&text, "%s ", option->name);
		if (option->kind == OPTION_LOG)
			text_add(&text, "%s", options->log);
		else
			text_add_value(&text, option,
				       option_value(option, options));
		text_add(&text, "\n");
	}
	return text.error;
}

static void print_option(const struct option *option,
			 const struct options *options, FILE *file)
{
	struct buf line = { 0 };
	struct text text = { .buf = &line };
	bool has_default = option_is_own(option) &&
			   option->kind != OPTION_FLAG &&
			   (option->kind != OPTION_SIZE_POW2 ||
			    option_value(option, options));

	text_add(&text, "  -o %s%s%s", option->name,
		 option->argument ? "=" : "",
		 option->argument ? option->argument : "");
	if (!text.error && line.size < 38)
		text_add(&text, "%*s", (int)(38 - line.size), "");
	else
		text_add(&text, "\n%38s", "");
	text_add(&text, "%s", option->help);
	if (has_default) {
		text_add(&text, " [");
		text_add_value(&text, option, option_value(option, options));
		text_add(&text, "]");
	}
	text_add(&text, "\n");
	fwrite(line.data, 1, line.size, file);
	buf_release(&line);
}

void options_print_help(const struct options *options, FILE *file)
{
	fputs("usage: kvfs STORE MOUNTPOINT [-o OPTION[,OPTION...]] [-f] [-d]\n"
	      "Mounts the key-value store in directory STORE on MOUNTPOINT. A "
	      "STORE that\n"
	      "does not exist is created.\n\n"
	      "  -f, --foreground  stay in the foreground, log to stderr\n"
	      "  -d, --debug       as -f, and show every request\n"
	      "  -h, --help        this text\n"
	      "  -V, --version     versions of kvfs and libfuse\n\n"
	      "Options, with their [defaults]. SIZE is in bytes, or with K, M, "
	      "G or T:\n",
	      file);
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		if (table[i].help)
			print_option(&table[i], options, file);
	}
	fputs("Options of mount(8) and fstab(5) are accepted too. Unmount with "
	      "fusermount3 -u\n"
	      "MOUNTPOINT. See kvfs(8).\n",
	      file);
}
