/* SPDX-License-Identifier: MIT */

/*
 * Makes directories as power cuts leave them: see power_cut.h. First the
 * names are settled, then the data of each file that has one.
 *
 * Below a chain's horizon, the beginning of the last sync that ended before
 * the cut, everything is applied in order. Beyond it a fate decides, record by
 * record. A fate keeps either everything up to some record, as an orderly
 * filesystem does, or one record in so many, as nobody should rely on not
 * happening.
 *
 * Each chain draws from a generator of its own, seeded by (seed, chain), so
 * that one file's history does not change another's fate.
 *
 * Lock: the recorder's, from beginning to end.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/seam/power_cut.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/seam/random.h"

/* A kept write in so many is torn; a file in so many has lost its end. */
#define TORN_ONE_IN 4
#define CLIPPED_ONE_IN 4

struct fate {
	uint64_t state;
	size_t keep_until;      /* records from here on are lost... */
	unsigned int keep_of_4; /* and of those before, so many of four kept */
	bool orderly;
	bool ended; /* orderly, and a record was lost */
};

/* The names that are left: at most one for each file. */
struct survivor {
	const char *name;
	uint32_t file;
};

struct survivors {
	struct survivor *all;
	size_t count;
};

/*
 * A file being made. Writes that follow each other both in the file and in
 * the recorder's bytes, as a log's do, are gathered and done as one.
 */
struct remains {
	int fd;
	uint64_t size_bytes;
	const uint8_t *gathered;
	uint64_t gathered_at;
	uint64_t gathered_end;
};

/* splitmix64: http://prng.di.unimi.it/splitmix64.c */
static uint64_t draw(struct fate *fate)
{
	uint64_t z = fate->state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static uint64_t draw_below(struct fate *fate, uint64_t end)
{
	return draw(fate) % end;
}

/* Records of the chain before this index are durable. */
static size_t horizon_of(const struct record_io *r, uint32_t chain,
			 const struct power_cut *cut)
{
	size_t horizon = r->base_count;
	size_t i;

	if (cut->kind == POWER_CUT_NOTHING_LOST)
		return cut->at;
	for (i = r->chains[chain].first; i < cut->at; i = r->records[i].next) {
		const struct record *record = &r->records[i];

		if ((record->type == RECORD_SYNC_DATA ||
		     record->type == RECORD_SYNC_DIR) &&
		    record->began > horizon)
			horizon = record->began;
	}
	return horizon;
}

static struct fate fate_of(uint32_t chain, size_t horizon,
			   const struct power_cut *cut)
{
	struct fate fate = { .state = cut->seed };

	if (cut->kind != POWER_CUT_RANDOM)
		return fate;
	fate.state = draw(&fate) ^ ((uint64_t)chain << 32 | chain);
	fate.orderly = draw_below(&fate, 2) == 0;
	if (fate.orderly) {
		fate.keep_of_4 = 4;
		fate.keep_until = horizon;
		if (cut->at > horizon)
			fate.keep_until +=
				draw_below(&fate, cut->at - horizon + 1);
	} else {
		fate.keep_of_4 = (unsigned int)draw_below(&fate, 5);
		fate.keep_until = cut->at;
	}
	return fate;
}

static bool keeps(struct fate *fate, size_t index)
{
	return index < fate->keep_until &&
	       draw_below(fate, 4) < fate->keep_of_4;
}

static void drop_survivor(struct survivors *s, size_t index)
{
	s->all[index] = s->all[--s->count];
}

/* Drops whatever has the name, and whatever name the file has. */
static void forget(struct survivors *s, const char *name, uint32_t file)
{
	for (size_t i = s->count; i > 0; i--)
		if (strcmp(s->all[i - 1].name, name) == 0 ||
		    s->all[i - 1].file == file)
			drop_survivor(s, i - 1);
}

static int name_file(struct survivors *s, const char *name, uint32_t file)
{
	struct survivor *grown;

	forget(s, name, file);
	grown = reallocarray(s->all, s->count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	s->all = grown;
	s->all[s->count++] = (struct survivor){ name, file };
	return 0;
}

/*
 * What a change of names sets, whatever was before it: so any selection of
 * them, in order, makes sense. A rename whose file's creation was lost brings
 * the file to its new name, for instance.
 */
static int apply_name(struct survivors *s, const struct record *record)
{
	switch (record->type) {
	case RECORD_CREATE:
		return name_file(s, record->name, record->file);
	case RECORD_RENAME:
		forget(s, record->name, record->file);
		return name_file(s, record->new_name, record->file);
	case RECORD_UNLINK:
		forget(s, record->name, record->file);
		return 0;
	case RECORD_WRITE:
	case RECORD_TRUNCATE:
	case RECORD_ALLOCATE:
	case RECORD_SYNC_DATA:
	case RECORD_SYNC_DIR:
		break;
	}
	return 0;
}

static int settle_names(const struct record_io *r, const struct power_cut *cut,
			struct survivors *s)
{
	size_t horizon = horizon_of(r, RECORD_DIRECTORY, cut);
	struct fate fate = fate_of(RECORD_DIRECTORY, horizon, cut);
	size_t i = r->chains[RECORD_DIRECTORY].first;

	if (cut->kind == POWER_CUT_RANDOM && cut->keep_names)
		horizon = cut->at;
	for (; i < cut->at; i = r->records[i].next) {
		int error;

		if (i >= horizon && !keeps(&fate, i))
			continue;
		error = apply_name(s, &r->records[i]);
		if (error)
			return error;
	}
	return 0;
}

static int write_gathered(struct remains *f)
{
	uint64_t size = f->gathered_end - f->gathered_at;
	int error = io_write(io_system(), f->fd, f->gathered, (size_t)size,
			     f->gathered_at);

	f->gathered_at = f->gathered_end;
	return error;
}

static int set_size(struct remains *f, uint64_t size_bytes)
{
	int error = write_gathered(f);

	if (!error)
		error = io_truncate(io_system(), f->fd, size_bytes);
	if (!error)
		f->size_bytes = size_bytes;
	return error;
}

static int grow(struct remains *f, uint64_t size_bytes)
{
	return size_bytes > f->size_bytes ? set_size(f, size_bytes) : 0;
}

static int write_range(struct remains *f, const uint8_t *bytes, uint64_t offset,
		       uint64_t end)
{
	uint64_t gathered_bytes = f->gathered_end - f->gathered_at;
	int error = 0;

	if (gathered_bytes == 0 || f->gathered_end != offset ||
	    f->gathered + gathered_bytes != bytes) {
		error = write_gathered(f);
		f->gathered = bytes;
		f->gathered_at = offset;
	}
	f->gathered_end = end;
	if (end > f->size_bytes)
		f->size_bytes = end;
	return error;
}

static int apply_data(struct remains *f, const struct record *record,
		      const uint8_t *bytes)
{
	switch (record->type) {
	case RECORD_WRITE:
		return write_range(f, bytes + record->bytes_at, record->offset,
				   record->offset + record->size_bytes);
	case RECORD_TRUNCATE:
		return set_size(f, record->size_bytes);
	case RECORD_ALLOCATE:
		return grow(f, record->size_bytes);
	case RECORD_CREATE:
	case RECORD_SYNC_DATA:
	case RECORD_RENAME:
	case RECORD_UNLINK:
	case RECORD_SYNC_DIR:
		break;
	}
	return 0;
}

/* Writes some of the pieces that a write falls into. */
static int tear_write(struct remains *f, const struct record *record,
		      const uint8_t *bytes, struct fate *fate,
		      size_t tear_bytes)
{
	uint64_t end = record->offset + record->size_bytes;
	uint64_t at = record->offset;

	bytes += record->bytes_at;
	while (at < end) {
		uint64_t stop = at + 1 + draw_below(fate, end - at);
		int error = 0;

		stop += (tear_bytes - stop % tear_bytes) % tear_bytes;
		if (stop > end)
			stop = end;
		if (draw_below(fate, 2) == 0)
			error = write_range(f, bytes + (at - record->offset),
					    at, stop);
		if (error)
			return error;
		at = stop;
	}
	return 0;
}

/* A record beyond the horizon: kept, torn or lost. */
static int meet_fate(struct remains *f, const struct record *record,
		     size_t index, const uint8_t *bytes, struct fate *fate,
		     const struct power_cut *cut)
{
	bool kept = keeps(fate, index);
	bool torn = draw_below(fate, TORN_ONE_IN) == 0;
	int error;

	/* An orderly filesystem tears only what it was just writing. */
	if (fate->orderly) {
		torn = torn && !kept && !fate->ended;
		fate->ended = fate->ended || !kept;
	} else {
		torn = torn && kept;
	}
	if (kept && !torn)
		return apply_data(f, record, bytes);
	if (record->type != RECORD_WRITE || cut->kind != POWER_CUT_RANDOM)
		return 0;

	if (torn && cut->tear_bytes > 0) {
		error = tear_write(f, record, bytes, fate, cut->tear_bytes);
		if (error)
			return error;
	}
	/* The size may have been updated where the data was not. */
	if (!fate->orderly && draw_below(fate, 2) == 0)
		return grow(f, record->offset + record->size_bytes);
	return 0;
}

/* The size may not have been updated where the data was. */
static int lose_end(struct remains *f, uint64_t durable_bytes,
		    struct fate *fate)
{
	if (f->size_bytes <= durable_bytes ||
	    draw_below(fate, CLIPPED_ONE_IN) != 0)
		return 0;
	return set_size(f, durable_bytes +
				   draw_below(fate,
					      f->size_bytes - durable_bytes));
}

static int make_data(const struct record_io *r, uint32_t file,
		     const struct power_cut *cut, const uint8_t *bytes,
		     struct remains *f)
{
	size_t horizon = horizon_of(r, file, cut);
	struct fate fate = fate_of(file, horizon, cut);
	uint64_t durable_bytes = 0;
	size_t i;

	for (i = r->chains[file].first; i < cut->at; i = r->records[i].next) {
		const struct record *record = &r->records[i];
		int error;

		if (i < horizon) {
			error = apply_data(f, record, bytes);
			durable_bytes = f->size_bytes;
		} else {
			error = meet_fate(f, record, i, bytes, &fate, cut);
		}
		if (error)
			return error;
	}
	if (cut->kind == POWER_CUT_RANDOM)
		return lose_end(f, durable_bytes, &fate);
	return 0;
}

static int make_file(const struct record_io *r, const struct survivor *survivor,
		     const struct power_cut *cut, const uint8_t *bytes,
		     int dir_fd)
{
	struct io *io = io_system();
	struct remains f = { .fd = -1 };
	int error;

	error = io_open(io, dir_fd, survivor->name, O_WRONLY | O_CREAT | O_EXCL,
			&f.fd);
	if (error)
		return error;
	error = make_data(r, survivor->file, cut, bytes, &f);
	if (!error)
		error = write_gathered(&f);
	io_close(io, f.fd);
	return error;
}

static int make_files(struct record_io *r, const struct survivors *s,
		      const struct power_cut *cut, int dir_fd) REQUIRES(r->lock)
{
	size_t size;
	void *bytes = NULL;
	int error = 0;

	record_io_flush_locked(r);
	size = (size_t)r->bytes_stored;
	if (size > 0) {
		bytes = mmap(NULL, size, PROT_READ, MAP_SHARED, r->bytes_fd, 0);
		if (bytes == MAP_FAILED)
			return -errno;
	}
	for (size_t i = 0; i < s->count && !error; i++)
		error = make_file(r, &s->all[i], cut, bytes, dir_fd);
	if (size > 0)
		munmap(bytes, size);
	return error;
}

int power_cut_apply(struct record_io *r, const struct power_cut *cut,
		    int dir_fd)
{
	struct survivors survivors = { 0 };
	struct power_cut bounded = *cut;
	int error;

	mutex_lock(&r->lock);
	if (bounded.at > r->count)
		bounded.at = r->count;
	if (bounded.at < r->base_count)
		bounded.at = r->base_count;
	error = settle_names(r, &bounded, &survivors);
	if (!error)
		error = make_files(r, &survivors, &bounded, dir_fd);
	mutex_unlock(&r->lock);
	free(survivors.all);
	return error;
}

int power_cut_make(struct record_io *r, const struct power_cut *cut,
		   const struct scratch *dir, unsigned int number,
		   struct scratch *ret_state)
{
	char name[16];
	int error;

	snprintf(name, sizeof(name), "cut%u", number);
	error = scratch_make_dir(dir, name, ret_state);
	return error ? error : power_cut_apply(r, cut, ret_state->fd);
}

struct power_cut power_cut_random(uint64_t *random, size_t first, size_t last)
{
	static const size_t tears[] = { 0, 1, 512, 4096 };

	return (struct power_cut){
		.at = first + random_next(random) % (last - first + 1),
		.kind = (enum power_cut_kind)random_below(random, 3),
		.seed = random_next(random) | 1,
		.tear_bytes = tears[random_below(random, 4)],
		.keep_names = random_below(random, 2),
	};
}

void power_cut_describe(const struct power_cut *cut, const char *what)
{
	print_error("%s: at %zu, kind %d, seed %llu, tear %zu, names %d\n",
		    what, cut->at, cut->kind, (unsigned long long)cut->seed,
		    cut->tear_bytes, cut->keep_names);
}
