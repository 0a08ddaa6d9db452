/* SPDX-License-Identifier: MIT */

/*
 * The walk: a stack of directories, each with the page of names it has read and
 * how far it has come.
 *
 * The bounds of a range are keys; what a directory has to know of one is only
 * the name that comes next on the way to it, as long as the way so far is the
 * same: the level is then "on" that bound. Walking from a/m/5 to a/p/2:
 *
 *	/      on both     a only
 *	a/     on both     from m, to p inclusive (p leads to the bound)
 *	a/m/   on from     from 5
 *	a/n/   on neither  all
 *	a/p/   on to       below 2
 *
 * A prefix of keys names directories up to its last slash; of the names in the
 * last directory those count that begin as it ends. A name there may also be an
 * escape that stands for such a beginning; all escapes begin with '%', so those
 * names are looked at as well, and every key is compared in the end.
 *
 * Invariants: (1) path is that of the top level's directory, with the name met
 * last behind it; (2) only levels 0 to KEEP_OPEN - 1 and the top two have their
 * directory open. One thread.
 */

#include "tools/walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define KEEP_OPEN 32

struct walk_level {
	struct target_dir dir;
	struct page page;
	size_t next;       /* entry of the page to come */
	size_t path_size;  /* of the walk's path: this directory */
	unsigned int part; /* of the names; see level_range() */
	bool on_from, on_to, on_prefix;
	bool suspended;
	bool done; /* nothing more is to be read */
};

static struct walk_level *walk_top(const struct walk *walk)
{
	return &walk->levels[walk->depth - 1];
}

/* How many names the way from the root to this level has. */
static size_t level_index(const struct walk *walk)
{
	return walk->depth - 1;
}

/* --- ranges --- */

/* Is the bound's name at this level its last one? */
static bool is_last(const struct key *bound, size_t index)
{
	return index + 1 == bound->count;
}

static struct slice bound_name(const struct key *bound, size_t index)
{
	const char *name = key_name(bound, index);

	return slice_of(name, strlen(name));
}

/*
 * The names of part `part` of the level's directory that are wanted. Parts
 * come in order of name. False when there is no such part.
 */
static bool level_range(const struct walk *walk, const struct walk_level *level,
			unsigned int part, struct kv_range *ret_range)
{
	size_t index = level_index(walk);
	struct kv_range range = { 0 };
	struct slice escapes = SLICE_LITERAL("%");
	struct slice beginning = walk->beginning;
	bool partial = level->on_prefix && index == walk->prefix.count &&
		       beginning.size && *(const char *)beginning.data != '%';
	bool escapes_first = slice_compare(escapes, beginning) < 0;

	if (part > (partial ? 1u : 0u))
		return false;
	if (partial)
		range.prefix = (part == 0) == escapes_first ? escapes :
							      beginning;
	else if (level->on_prefix && index == walk->prefix.count &&
		 beginning.size)
		range.prefix = escapes;
	if (level->on_from)
		range.from = bound_name(&walk->from, index);
	if (level->on_to) {
		range.to = bound_name(&walk->to, index);
		/* The NUL behind it makes the smallest name beyond it. */
		if (!is_last(&walk->to, index))
			range.to.size++;
	}
	*ret_range = range;
	return true;
}

/* A prefix's directory needs no listing: there is one name to look at. */
static int page_fill_prefix(struct walk *walk, struct walk_level *level,
			    const struct kv_range *range)
{
	const char *name = key_name(&walk->prefix, level_index(walk));
	struct fs_attr attr;
	int r;

	page_begin(&level->page, range);
	r = target_lookup(walk->target, &level->dir, name, &attr);
	if (r == 0 && S_ISDIR(attr.mode))
		r = page_add(&level->page, slice_of(name, strlen(name)),
			     attr.ino, attr.mode & S_IFMT);
	if (r < 0)
		return r;
	page_finish(&level->page);
	return 0;
}

static int page_fill(struct walk *walk, struct walk_level *level,
		     const struct kv_range *range)
{
	if (level->on_prefix && level_index(walk) < walk->prefix.count)
		return page_fill_prefix(walk, level, range);
	return target_list(walk->target, &level->dir, range, &level->page);
}

static void level_give_up(struct walk_level *level)
{
	level->done = true;
	level->page.count = 0;
	level->next = 0;
}

/* Reads the next page of the top level. 0, 1 when there is none, -errno. */
static int level_fill(struct walk *walk, struct walk_level *level)
{
	struct page *page = &level->page;
	struct kv_range range;
	int r;

	if (level->done)
		return 1;
	if (page->complete)
		level->part++;
	if (!level_range(walk, level, level->part, &range))
		return 1;
	if (!page->complete && page->count) {
		/* The name is in the page that is about to be emptied. */
		r = buf_assign(&walk->last, page_name(page, page->count - 1));
		if (r)
			return r;
		range.from = buf_slice(&walk->last);
		range.after = true;
	}
	level->next = 0;
	r = page_fill(walk, level, &range);
	if (r)
		level_give_up(level);
	return r;
}

/* --- levels --- */

/* A size that it had before: it cannot fail. */
static void path_cut(struct walk *walk, size_t size)
{
	walk->path.size = size;
}

static int levels_reserve(struct walk *walk)
{
	size_t capacity = walk->capacity ? walk->capacity * 2 : 8;
	struct walk_level *levels;

	if (walk->depth < walk->capacity)
		return 0;
	levels = reallocarray(walk->levels, capacity, sizeof(*levels));
	if (!levels)
		return -ENOMEM;
	walk->levels = levels;
	walk->capacity = capacity;
	return 0;
}

/* Is `name`, below a level that is on the bound, on it too? */
static bool leads_to(bool on, const struct key *bound, size_t index,
		     const char *name)
{
	return on && index + 1 < bound->count &&
	       strcmp(key_name(bound, index), name) == 0;
}

/* Enters directory `name` of the top level. */
static int level_push(struct walk *walk, const char *name)
{
	struct walk_level *parent, child = { 0 };
	size_t index = level_index(walk);
	int r;

	r = levels_reserve(walk);
	if (r)
		return r;
	parent = walk_top(walk);
	r = target_enter(walk->target, &parent->dir, name, &child.dir);
	if (r)
		return r;
	child.path_size = walk->path.size;
	child.on_from = leads_to(parent->on_from, &walk->from, index, name);
	child.on_to = leads_to(parent->on_to, &walk->to, index, name);
	child.on_prefix = parent->on_prefix && index < walk->prefix.count;
	page_init(&child.page, target_page_budget(walk->target, walk->depth));
	if (walk->depth > KEEP_OPEN) {
		target_suspend(walk->target, &parent->dir);
		parent->suspended = true;
	}
	walk->levels[walk->depth++] = child;
	return 0;
}

static void level_drop(struct walk *walk)
{
	struct walk_level *level = walk_top(walk);

	target_leave(walk->target, &level->dir);
	page_release(&level->page);
	walk->depth--;
}

/* Leaves the top level for the one above it, which is at `name` still. */
static int level_pop(struct walk *walk)
{
	struct walk_level *child = walk_top(walk);
	struct walk_level *parent = walk->depth > 1 ? child - 1 : NULL;
	int r = 0;

	path_cut(walk, child->path_size);
	if (parent && parent->suspended) {
		r = target_resume(walk->target, &child->dir, &parent->dir);
		parent->suspended = false;
		/* Without its directory nothing more is to be had there. */
		if (r)
			level_give_up(parent);
	}
	level_drop(walk);
	return r;
}

/* --- the walk --- */

static void bound_trim(struct slice *bound)
{
	const char *data = bound->data;

	if (bound->size > 1 && data[bound->size - 1] == '/')
		bound->size--;
}

static int bounds_parse(struct walk *walk, const struct walk_range *range)
{
	struct slice directory, from = range->from, to = range->to;
	int r = 0;

	bound_trim(&from);
	bound_trim(&to);
	key_split_prefix(range->prefix, &directory, &walk->beginning);
	if (from.size)
		r = key_parse(&walk->from, from);
	if (r == 0 && to.size)
		r = key_parse(&walk->to, to);
	/* "a" and "a/": only the second says which directory. */
	if (r == 0 && directory.data != walk->beginning.data)
		r = key_parse(&walk->prefix, directory);
	return r;
}

int walk_init(struct walk *walk, struct target *target,
	      const struct walk_range *range)
{
	struct walk_level root = { 0 };
	int r;

	*walk = (struct walk){ .target = target, .range = *range };
	r = bounds_parse(walk, range);
	if (r == 0)
		r = levels_reserve(walk);
	if (r == 0)
		r = target_root(target, &root.dir);
	if (r) {
		walk_release(walk);
		return r;
	}
	root.on_from = walk->from.count > 0;
	root.on_to = walk->to.count > 0;
	root.on_prefix = true;
	page_init(&root.page, target_page_budget(target, 0));
	walk->levels[walk->depth++] = root;
	return 0;
}

int walk_init_below(struct walk *walk, struct target *target,
		    const struct target_dir *parent, const char *name,
		    struct slice path)
{
	struct walk_level level = { 0 };
	int r;

	*walk = (struct walk){ .target = target };
	r = levels_reserve(walk);
	if (r == 0)
		r = buf_assign(&walk->path, path);
	if (r == 0)
		r = target_enter(target, parent, name, &level.dir);
	if (r) {
		walk_release(walk);
		return r;
	}
	level.path_size = walk->path.size;
	page_init(&level.page, target_page_budget(target, 0));
	walk->levels[walk->depth++] = level;
	return 0;
}

void walk_release(struct walk *walk)
{
	while (walk->depth)
		level_drop(walk);
	free(walk->levels);
	key_release(&walk->from);
	key_release(&walk->to);
	key_release(&walk->prefix);
	buf_release(&walk->path);
	buf_release(&walk->key);
	buf_release(&walk->last);
	*walk = (struct walk){ 0 };
}

static int path_set(struct walk *walk, const struct walk_level *level,
		    const char *name)
{
	int r = 0;

	path_cut(walk, level->path_size);
	if (level->path_size)
		r = buf_append(&walk->path, "/", 1);
	return r ? r : buf_append(&walk->path, name, strlen(name));
}

/* A file that stands where the way to `from` should lead, or is `from` but was
 * not asked for, comes before the range. */
static bool is_before(const struct walk *walk, const struct walk_level *level,
		      const char *name)
{
	size_t index = level_index(walk);

	return level->on_from &&
	       strcmp(key_name(&walk->from, index), name) == 0 &&
	       (walk->range.after || !is_last(&walk->from, index));
}

/* The entry's type, asked for when the listing did not tell. */
static int entry_mode(struct walk *walk, const struct walk_level *level,
		      const struct page_entry *entry, const char *name,
		      uint32_t *ret_mode)
{
	struct fs_attr attr;
	int r;

	if (entry->mode & S_IFMT) {
		*ret_mode = entry->mode & S_IFMT;
		return 0;
	}
	r = target_lookup(walk->target, &level->dir, name, &attr);
	if (r == 0)
		*ret_mode = attr.mode & S_IFMT;
	return r;
}

/* 0 when a key is in range, 1 when it is not, -ENOMEM. */
static int prefix_check(struct walk *walk)
{
	struct slice key;
	int r;

	if (!walk->range.prefix.size)
		return 0;
	r = walk_key(walk, &key);
	return r ? r : !slice_has_prefix(key, walk->range.prefix);
}

/* Goes into a directory, or past it. */
static int directory_meet(struct walk *walk, const struct walk_level *level)
{
	size_t index = level_index(walk);
	bool on_way = level->on_prefix && index < walk->prefix.count;
	int r;

	if (!walk->range.shallow || on_way) {
		walk->event = WALK_ENTER;
		r = level_push(walk, walk->name);
		/* Gone since it was listed: then it is not there. */
		return r == -ENOENT || r == -ENOTDIR ? 1 : r;
	}
	walk->event = WALK_PASS;
	if (level->on_from && walk->range.after &&
	    is_last(&walk->from, index) &&
	    strcmp(key_name(&walk->from, index), walk->name) == 0)
		return 1;
	return prefix_check(walk);
}

/* Meets the next entry of the top level's page. 1: it is not for the caller. */
static int entry_meet(struct walk *walk)
{
	struct walk_level *level = walk_top(walk);
	size_t i = level->next++;
	int r;

	walk->name = page_name_string(&level->page, i);
	r = path_set(walk, level, walk->name);
	if (r == 0)
		r = entry_mode(walk, level, &level->page.entries[i], walk->name,
			       &walk->mode);
	if (r)
		return r;
	if (S_ISDIR(walk->mode))
		return directory_meet(walk, level);
	walk->event = WALK_FILE;
	if (is_before(walk, level, walk->name))
		return 1;
	return prefix_check(walk);
}

/* Leaves a directory that has come to its end. 1: it was the first one. */
static int directory_leave(struct walk *walk)
{
	struct walk_level *parent;
	int r;

	r = level_pop(walk);
	if (r || !walk->depth)
		return r ? r : 1;
	parent = walk_top(walk);
	walk->event = WALK_LEAVE;
	walk->mode = S_IFDIR;
	walk->name = page_name_string(&parent->page, parent->next - 1);
	return 0;
}

int walk_next(struct walk *walk)
{
	struct walk_level *level;
	int r;

	while (walk->depth) {
		level = walk_top(walk);
		if (level->next < level->page.count) {
			r = entry_meet(walk);
			if (r != 1)
				return r;
			continue;
		}
		r = level_fill(walk, level);
		if (r == 1)
			return directory_leave(walk);
		if (r) {
			/* Speak of the directory, not of a name in it. */
			path_cut(walk, level->path_size);
			return r;
		}
	}
	return 1;
}

const struct target_dir *walk_dir(const struct walk *walk)
{
	return walk->depth ? &walk_top(walk)->dir : NULL;
}

int walk_key(struct walk *walk, struct slice *ret_key)
{
	int r = key_format(buf_slice(&walk->path), &walk->key);

	if (r == 0)
		*ret_key = buf_slice(&walk->key);
	return r;
}
