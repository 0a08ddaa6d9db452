/* SPDX-License-Identifier: MIT */

/* Drafts: values on their way into a partition with a schema. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fs/draft.h"
#include "fs/partition.h"
#include "tests/unit/fs_fixture.h"

/* A file p/a with the value 1 in a partition, and the drafts of a mount. */
struct drafts {
	struct fs_fixture *f;
	struct draft_set *set;
	uint64_t p, a;
};

static struct drafts begin(void **state, const char *schema)
{
	struct drafts d = { .f = *state };

	d.p = make_dir(d.f, "p");
	assert_int_equal(fs_setxattr(d.f->fs, &d.f->cred, d.p,
				     name_of("user.kvfs.schema"),
				     name_of(schema), 0, false),
			 0);
	d.a = make_file_in(d.f, d.p, "a");
	put(d.f, d.a, 0, "1");
	assert_int_equal(draft_set_new(d.f->fs, &d.set), 0);
	return d;
}

static void end(struct drafts *d)
{
	draft_set_free(d->set);
	assert_sound(d->f);
}

static struct draft *opened(struct drafts *d, bool emptied)
{
	struct draft *draft;

	assert_int_equal(draft_open(d->set, d->a, emptied, &draft), 0);
	return draft;
}

static int write_text(struct draft *draft, uint64_t offset, const char *text)
{
	return draft_write(draft, offset, text, strlen(text), false);
}

static bool closed(struct draft *draft)
{
	bool changed;

	draft_close(draft, &changed);
	return changed;
}

static void assert_draft(struct draft *draft, const char *text)
{
	char bytes[64];
	size_t got;

	assert_int_equal(draft_read(draft, 0, bytes, sizeof(bytes), &got), 0);
	assert_int_equal(got, strlen(text));
	assert_memory_equal(bytes, text, got);
}

static void only_a_schema_wants_drafts(void **state)
{
	struct drafts d = begin(state, "bytes");
	struct draft *draft;

	assert_int_equal(draft_open(d.set, d.a, true, &draft), 1);
	assert_int_equal(draft_open(d.set, make_file(d.f, "out"), true, &draft),
			 1);
	assert_int_equal(draft_open(d.set, 999999, true, &draft), -ESTALE);
	end(&d);
}

static void nobody_sees_a_draft_before_it_is_a_value(void **state)
{
	struct drafts d = begin(state, "int");
	struct draft *draft = opened(&d, false);

	assert_draft(draft, "1");
	assert_int_equal(draft_flush(draft, false), 0);
	assert_int_equal(write_text(draft, 1, "x"), 0);
	assert_draft(draft, "1x");
	assert_contents(d.f, d.a, "1", 1);
	assert_int_equal(draft_flush(draft, false), -EINVAL);
	assert_contents(d.f, d.a, "1", 1);
	/* Mended. */
	assert_int_equal(write_text(draft, 1, "2"), 0);
	assert_int_equal(draft_flush(draft, false), 1);
	assert_contents(d.f, d.a, "12", 2);
	assert_int_equal(draft_flush(draft, false), 0);
	/* Goes on from what is stored. */
	put(d.f, d.a, 0, "9");
	assert_int_equal(draft_write(draft, 0, "3", 1, true), 0);
	assert_draft(draft, "923");
	assert_int_equal(draft_truncate(draft, 1), 0);
	assert_int_equal(draft_flush(draft, true), 1);
	assert_contents(d.f, d.a, "9", 1);
	assert_false(closed(draft));
	end(&d);
}

static void what_is_refused_at_the_last_close_is_gone(void **state)
{
	struct drafts d = begin(state, "int");
	struct draft *draft = opened(&d, false);

	assert_int_equal(write_text(draft, 0, "no"), 0);
	assert_int_equal(draft_flush(draft, false), -EINVAL);
	assert_false(closed(draft));
	assert_contents(d.f, d.a, "1", 1);
	end(&d);
}

static void what_was_only_emptied_waits_for_the_last_close(void **state)
{
	struct drafts d = begin(state, "string");
	struct draft *draft = opened(&d, true);

	assert_draft(draft, "");
	assert_int_equal(draft_flush(draft, false), 0);
	assert_contents(d.f, d.a, "1", 1);
	assert_int_equal(write_text(draft, 0, "\xff"), 0);
	assert_int_equal(draft_flush(draft, false), -EINVAL);
	assert_false(closed(draft));
	assert_contents(d.f, d.a, "1", 1);
	draft = opened(&d, true);
	assert_int_equal(draft_flush(draft, true), 1); /* as fsync does */
	assert_contents(d.f, d.a, "", 0);
	assert_false(closed(draft));
	put(d.f, d.a, 0, "text");
	assert_true(closed(opened(&d, true)));
	assert_contents(d.f, d.a, "", 0);
	end(&d);
}

static void of_an_int_that_was_only_emptied_the_old_one_stays(void **state)
{
	struct drafts d = begin(state, "int");
	struct draft *draft = opened(&d, true);

	assert_int_equal(draft_flush(draft, false), 0);
	assert_int_equal(draft_flush(draft, true), -EINVAL);
	assert_false(closed(draft));
	assert_contents(d.f, d.a, "1", 1);
	end(&d);
}

static void the_last_of_several_counts(void **state)
{
	struct drafts d = begin(state, "int");
	struct draft *one = opened(&d, true);
	struct draft *two = opened(&d, true);

	assert_int_equal(write_text(one, 0, "10"), 0);
	assert_int_equal(write_text(two, 0, "20"), 0);
	assert_int_equal(draft_flush(two, false), 1);
	assert_int_equal(draft_flush(one, false), 1);
	assert_contents(d.f, d.a, "10", 2);
	assert_false(closed(two));
	assert_false(closed(one));
	assert_contents(d.f, d.a, "10", 2);
	end(&d);
}

static void a_draft_has_bounds(void **state)
{
	struct drafts d = begin(state, "string");
	size_t large = 8 << 20;
	char *bytes = calloc(1, large);
	struct draft *drafts[9];
	size_t i;

	for (i = 0; i < 9; i++)
		drafts[i] = opened(&d, true);
	assert_int_equal(draft_write(drafts[0], 1, bytes, large, false),
			 -EFBIG);
	assert_int_equal(draft_truncate(drafts[0], large + 1), -EFBIG);
	assert_int_equal(draft_write(drafts[0], UINT64_MAX, bytes, 1, false),
			 -EFBIG);
	for (i = 0; i < 8; i++)
		assert_int_equal(draft_write(drafts[i], 0, bytes, large, false),
				 0);
	assert_int_equal(draft_write(drafts[8], 0, bytes, 1, false), -ENOMEM);
	assert_int_equal(draft_flush(drafts[0], false), 1);
	assert_int_equal(draft_write(drafts[8], 0, bytes, 1, false), 0);
	for (i = 0; i < 8; i++)
		(void)closed(drafts[i]);
	/* One is left to the set. */
	free(bytes);
	end(&d);
}

static void a_quota_refuses_a_draft(void **state)
{
	struct drafts d = begin(state, "string");
	struct draft *draft = opened(&d, true);

	assert_int_equal(fs_setxattr(d.f->fs, &d.f->cred, d.p,
				     name_of("user.kvfs.quota"), name_of("4"),
				     0, false),
			 0);
	assert_int_equal(write_text(draft, 0, "12345"), 0);
	assert_int_equal(draft_flush(draft, false), -EDQUOT);
	assert_contents(d.f, d.a, "1", 1);
	assert_int_equal(draft_truncate(draft, 4), 0);
	assert_int_equal(draft_flush(draft, false), 1);
	assert_false(closed(draft));
	assert_contents(d.f, d.a, "1234", 4);
	end(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FS_TEST(only_a_schema_wants_drafts),
		FS_TEST(nobody_sees_a_draft_before_it_is_a_value),
		FS_TEST(what_is_refused_at_the_last_close_is_gone),
		FS_TEST(what_was_only_emptied_waits_for_the_last_close),
		FS_TEST(of_an_int_that_was_only_emptied_the_old_one_stays),
		FS_TEST(the_last_of_several_counts),
		FS_TEST(a_draft_has_bounds),
		FS_TEST(a_quota_refuses_a_draft),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
