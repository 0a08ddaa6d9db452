/* SPDX-License-Identifier: MIT */

/*
 * partition: create, list, describe, set and drop. What one says of itself is
 * what its .stats says.
 */

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/json.h"
#include "tools/kvctl.h"
#include "tools/output.h"
#include "tools/report.h"
#include "tools/walk.h"

/* --- which one --- */

/* The name of a partition as a key: one file name of the root. */
static int name_parse(const char *text, struct key *key)
{
	int r = key_parse(key, slice_of(text, strlen(text)));

	if (r == 0 && key->count != 1)
		r = -EINVAL;
	if (r == -EINVAL)
		report_error("%s: the name of a partition has no slash", text);
	else if (r)
		report_errno(r, "%s", text);
	return r;
}

static void none_report(const char *name)
{
	report_error("%s: no such partition", name);
}

/* What there is of one, or -ENODATA. */
static int load(struct target *target, const char *name,
		struct fs_partition *ret_partition)
{
	struct target_dir root, dir;
	int r;

	r = target_root(target, &root);
	if (r)
		return r;
	r = target_enter(target, &root, name, &dir);
	if (r == 0) {
		r = target_partition_stat(target, &dir, ret_partition);
		target_leave(target, &dir);
	}
	target_leave(target, &root);
	return r == -ENOENT || r == -ENOTDIR ? -ENODATA : r;
}

/* --- settings --- */

/* The options of create and set are named as the settings are. */
static const char *setting_option(const struct invocation *inv,
				  enum partition_setting setting)
{
	return invocation_option(inv, setting_name(setting));
}

static int settings_check(const struct invocation *inv, bool *ret_any)
{
	struct partition_settings settings = { 0 };

	*ret_any = false;
	for (unsigned int i = 0; i < SETTING_COUNT; i++) {
		enum partition_setting setting = (enum partition_setting)i;
		const char *value = setting_option(inv, setting);

		if (!value)
			continue;
		*ret_any = true;
		if (!setting_parse(setting, slice_of(value, strlen(value)),
				   &settings))
			continue;
		report_error("--%s: %s: makes no sense (kvctl help partition)",
			     setting_name(setting), value);
		return -EINVAL;
	}
	return 0;
}

/* json is for list and describe, the others are for create and set. */
static int options_check(const struct invocation *inv, bool settings)
{
	bool any, json = invocation_option(inv, "json");
	int r = settings_check(inv, &any);

	if (r)
		return r;
	if ((settings && json) || (!settings && any)) {
		report_error("partition %s: has no such option",
			     inv->action->name);
		return -EINVAL;
	}
	return 0;
}

static int settings_put(const struct invocation *inv,
			const struct target_dir *dir)
{
	int r = 0;

	for (unsigned int i = 0; i < SETTING_COUNT && r == 0; i++) {
		enum partition_setting setting = (enum partition_setting)i;
		const char *value = setting_option(inv, setting);

		if (value)
			r = target_partition_set(inv->target, dir, setting,
						 value);
	}
	return r;
}

/* --- create, set --- */

/* One setting at least makes it a partition. */
static int make(const struct invocation *inv, const struct target_dir *dir)
{
	const char *schema = setting_option(inv, SETTING_SCHEMA);
	int r = target_partition_set(inv->target, dir, SETTING_SCHEMA,
				     schema ? schema : "bytes");

	return r ? r : settings_put(inv, dir);
}

static int create(const struct invocation *inv, const char *name)
{
	struct target_dir root, dir;
	int r;

	r = target_root(inv->target, &root);
	if (r)
		return r;
	r = target_make_dir(inv->target, &root, name, 0777);
	if (r == 0) {
		r = target_enter(inv->target, &root, name, &dir);
		if (r == 0) {
			r = make(inv, &dir);
			target_leave(inv->target, &dir);
		}
		if (r)
			(void)target_remove_dir(inv->target, &root, name);
	}
	target_leave(inv->target, &root);
	return r;
}

static int run_create(struct invocation *inv)
{
	const char *text = inv->operands[0];
	struct key key = { 0 };
	int r = options_check(inv, true);

	if (r)
		return KVCTL_ERROR;
	r = name_parse(text, &key);
	if (r == 0) {
		r = create(inv, key_name(&key, 0));
		if (r)
			report_errno(r, "%s", text);
	}
	key_release(&key);
	return r ? KVCTL_ERROR : KVCTL_DONE;
}

static int set(const struct invocation *inv, const char *name)
{
	struct fs_partition partition;
	struct target_dir root, dir;
	int r;

	r = load(inv->target, name, &partition);
	if (r == 0)
		r = target_root(inv->target, &root);
	if (r)
		return r;
	r = target_enter(inv->target, &root, name, &dir);
	if (r == 0) {
		r = settings_put(inv, &dir);
		target_leave(inv->target, &dir);
	}
	target_leave(inv->target, &root);
	return r;
}

/* The exit status of an action on one of that name. */
static int finish(int r, const char *text)
{
	if (r == -ENODATA)
		none_report(text);
	else if (r)
		report_errno(r, "%s", text);
	return r == 0 ? KVCTL_DONE : r == -ENODATA ? KVCTL_ABSENT : KVCTL_ERROR;
}

static int run_set(struct invocation *inv)
{
	struct key key = { 0 };
	int status = KVCTL_ERROR;

	if (options_check(inv, true) == 0 &&
	    name_parse(inv->operands[0], &key) == 0)
		status = finish(set(inv, key_name(&key, 0)), inv->operands[0]);
	key_release(&key);
	return status;
}

/* --- describe, list --- */

static int json_append(struct buf *line, struct slice name,
		       const struct fs_partition *partition)
{
	const struct partition_settings *settings = &partition->settings;
	const struct {
		const char *name, *word;
	} words[] = {
		{ "schema", schema_word(settings->schema) },
		{ "durability", durability_word(settings) },
	};
	const struct {
		const char *name;
		uint64_t value;
	} numbers[] = {
		{ "quota_bytes", settings->quota_bytes },
		{ "keys", partition->keys },
		{ "bytes", partition->bytes },
		{ "operations", partition->operations },
		{ "writes", partition->writes },
		{ "value_bytes_raw", partition->value_bytes_raw },
		{ "value_bytes_stored", partition->value_bytes_stored },
	};
	char room[SETTING_WORD_MAX];
	const char *compress = compress_word(settings, room);
	int r = buf_append(line, "{", 1);

	if (r == 0)
		r = json_append_text(line, "name", name);
	for (size_t i = 0; r == 0 && i < sizeof(words) / sizeof(*words); i++)
		r = json_append_text(line, words[i].name,
				     slice_of(words[i].word,
					      strlen(words[i].word)));
	if (r == 0)
		r = json_append_text(line, "compress",
				     slice_of(compress, strlen(compress)));
	for (size_t i = 0; r == 0 && i < sizeof(numbers) / sizeof(*numbers);
	     i++)
		r = json_append_number(line, numbers[i].name, numbers[i].value);
	return r ? r : buf_append(line, "}\n", 2);
}

static int show(struct slice name, const struct fs_partition *partition,
		bool json)
{
	struct buf text = { 0 };
	int r;

	r = json ? json_append(&text, name, partition) :
		   fs_partition_render(partition, &text);
	if (r == 0)
		r = output_write(buf_slice(&text));
	buf_release(&text);
	return r;
}

static int run_describe(struct invocation *inv)
{
	bool json = invocation_option(inv, "json");
	const char *text = inv->operands[0];
	struct fs_partition partition;
	struct key key = { 0 };
	int status = KVCTL_ERROR;
	int r;

	if (options_check(inv, false) == 0 && name_parse(text, &key) == 0) {
		r = load(inv->target, key_name(&key, 0), &partition);
		if (r == 0)
			r = show(slice_of(text, strlen(text)), &partition,
				 json);
		status = finish(r, text);
	}
	key_release(&key);
	return status;
}

static int line_show(struct slice name, const struct fs_partition *partition)
{
	const struct partition_settings *settings = &partition->settings;
	char room[SETTING_WORD_MAX];

	return output_print("%.*s schema=%s durability=%s quota=%llu "
			    "compress=%s keys=%llu bytes=%llu\n",
			    (int)name.size, (const char *)name.data,
			    schema_word(settings->schema),
			    durability_word(settings),
			    (unsigned long long)settings->quota_bytes,
			    compress_word(settings, room),
			    (unsigned long long)partition->keys,
			    (unsigned long long)partition->bytes);
}

/* What the walk met, when it is a partition. */
static int met_show(struct walk *walk, bool json)
{
	struct fs_partition partition;
	struct slice name;
	int r;

	if (walk->event != WALK_PASS || !S_ISDIR(walk->mode))
		return 0;
	r = load(walk->target, walk->name, &partition);
	if (r == -ENODATA)
		return 0;
	if (r == 0)
		r = walk_key(walk, &name);
	if (r)
		return r;
	return json ? show(name, &partition, true) :
		      line_show(name, &partition);
}

static int run_list(struct invocation *inv)
{
	struct walk_range range = { .shallow = true };
	bool json = invocation_option(inv, "json");
	bool failed = false;
	struct walk walk;
	int r;

	if (options_check(inv, false))
		return KVCTL_ERROR;
	r = walk_init(&walk, inv->target, &range);
	if (r) {
		report_errno(r, "%s", inv->store);
		return KVCTL_ERROR;
	}
	while ((r = walk_next(&walk)) != 1 && !interrupt_seen()) {
		if (r == 0)
			r = met_show(&walk, json);
		if (r == 0)
			continue;
		/* One that may not be looked at costs its line. */
		report_errno(r, "%s", walk.name ? walk.name : inv->store);
		failed = true;
	}
	walk_release(&walk);
	return r == 1 && !failed ? KVCTL_DONE : KVCTL_ERROR;
}

/* --- drop --- */

static int run_drop(struct invocation *inv)
{
	const char *text = inv->operands[0];
	struct key key = { 0 };
	int status = KVCTL_ERROR;
	int r;

	if (options_check(inv, true) == 0 && name_parse(text, &key) == 0) {
		r = target_partition_drop(inv->target, key_name(&key, 0));
		status = finish(r == -ENOENT || r == -ENOTDIR ? -ENODATA : r,
				text);
	}
	key_release(&key);
	return status;
}

static const struct command_action actions[] = {
	{ "create", true, 1, 1, run_create },
	{ "list", false, 0, 0, run_list },
	{ "describe", false, 1, 1, run_describe },
	{ "set", true, 1, 1, run_set },
	{ "drop", true, 1, 1, run_drop },
	{ 0 },
};

const struct command command_partition = {
	.name = "partition",
	.operands = "create|list|describe|set|drop STORE [NAME]",
	.summary = "Make and look after partitions",
	.details =
	"A partition is a directory of the root with settings and counters of its\n"
	"own; its keys are NAME/...\n"
	"create makes one, set changes its settings, describe shows both, list\n"
	"shows all of them. drop removes one with all keys in it, at once; the\n"
	"space is given back in the background of a mount, and by compact.\n"
	"In a mount the settings are the attributes user.kvfs.schema, .durability,\n"
	".quota and .compress of its directory, and NAME/.stats is what describe\n"
	"shows.\n",
	.options = {
		{ "schema", 0, "SCHEMA", "of values: bytes, string (UTF-8) or int" },
		{ "durability", 0, "WHEN", "to sync: always, fsync or none" },
		{ "quota", 0, "SIZE", "that the values may take; 0: no limit" },
		{ "compress", 0, "HOW", "none, zlib or zlib:1 to zlib:9" },
		{ "json", 'j', NULL, "list, describe: one JSON object each" },
	},
	.target = COMMAND_READS,
	.actions = actions,
};
