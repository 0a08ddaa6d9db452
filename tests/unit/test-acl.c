/* SPDX-License-Identifier: MIT */

/* The arithmetic of ACLs: fs/acl.h. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/acl.h"

/* An entry of an ACL in the form of xattrs. */
#define E(tag, perm, id) (tag), 0, (perm), 0, (id), 0, 0, 0
#define NONE 255, 255, 255, 255
#define V2 2, 0, 0, 0
#define ID_NONE_ENTRY(tag, perm) (tag), 0, (perm), 0, NONE

#define USER_OBJ(perm) ID_NONE_ENTRY(1, perm)
#define GROUP_OBJ(perm) ID_NONE_ENTRY(4, perm)
#define MASK(perm) ID_NONE_ENTRY(0x10, perm)
#define OTHER(perm) ID_NONE_ENTRY(0x20, perm)
#define USER(perm, id) E(2, perm, id)
#define GROUP(perm, id) E(8, perm, id)

static int validate(const uint8_t *acl, size_t size)
{
	return acl_validate(slice_of(acl, size));
}

#define VALIDATE(...)                              \
	validate((const uint8_t[]){ __VA_ARGS__ }, \
		 sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void an_acl_has_each_part_once_and_in_order(void **state)
{
	(void)state;
	assert_int_equal(VALIDATE(V2), 0);
	assert_int_equal(VALIDATE(V2, USER_OBJ(6), GROUP_OBJ(4), OTHER(4)), 0);
	assert_int_equal(VALIDATE(V2, USER_OBJ(6), USER(7, 10), USER(1, 11),
				  GROUP_OBJ(4), GROUP(2, 5), MASK(7), OTHER(4)),
			 0);
	assert_int_equal(
		VALIDATE(V2, USER_OBJ(6), GROUP_OBJ(4), MASK(4), OTHER(4)), 0);
	assert_int_equal(VALIDATE(V2, USER_OBJ(6), GROUP_OBJ(4)), -EINVAL);
	assert_int_equal(VALIDATE(V2, GROUP_OBJ(6), USER_OBJ(4), OTHER(1)),
			 -EINVAL);
	assert_int_equal(VALIDATE(V2, USER_OBJ(6), USER_OBJ(6), GROUP_OBJ(4),
				  OTHER(4)),
			 -EINVAL);
	assert_int_equal(VALIDATE(V2, USER_OBJ(6), GROUP_OBJ(4), OTHER(4),
				  OTHER(4)),
			 -EINVAL);
	assert_int_equal(VALIDATE(V2, USER_OBJ(8), GROUP_OBJ(4), OTHER(4)),
			 -EINVAL);
}

static void named_entries_need_a_mask_and_an_id(void **state)
{
	(void)state;
	assert_int_equal(VALIDATE(V2, USER_OBJ(6), USER(7, 10), GROUP_OBJ(4),
				  OTHER(4)),
			 -EINVAL);
	assert_int_equal(VALIDATE(V2, USER_OBJ(6), ID_NONE_ENTRY(2, 7),
				  GROUP_OBJ(4), MASK(7), OTHER(4)),
			 -EINVAL);
}

static void other_versions_and_odd_sizes_are_refused(void **state)
{
	(void)state;
	assert_int_equal(VALIDATE(1, 0, 0, 0), -EOPNOTSUPP);
	assert_int_equal(VALIDATE(2, 0, 0), -EINVAL);
	assert_int_equal(VALIDATE(V2, 1, 0), -EINVAL);
}

static void a_minimal_acl_is_nothing_but_a_mode(void **state)
{
	const uint8_t acl[] = { V2, USER_OBJ(6), GROUP_OBJ(4), OTHER(1) };
	uint32_t mode = S_IFREG | 04777;

	(void)state;
	assert_true(acl_to_mode(slice_of(acl, sizeof(acl)), &mode));
	assert_int_equal(mode, S_IFREG | 04641);
}

static void the_group_bits_of_an_extended_acl_are_its_mask(void **state)
{
	const uint8_t acl[] = { V2,           USER_OBJ(6), USER(7, 10),
				GROUP_OBJ(1), MASK(5),     OTHER(0) };
	uint32_t mode = S_IFREG;

	(void)state;
	assert_false(acl_to_mode(slice_of(acl, sizeof(acl)), &mode));
	assert_int_equal(mode, S_IFREG | 0650);
}

static void chmod_changes_the_mask_and_leaves_the_group(void **state)
{
	uint8_t acl[] = { V2,           USER_OBJ(6), USER(7, 10),
			  GROUP_OBJ(1), MASK(5),     OTHER(0) };
	const uint8_t after[] = { V2,           USER_OBJ(7), USER(7, 10),
				  GROUP_OBJ(1), MASK(2),     OTHER(4) };

	(void)state;
	acl_apply_mode(acl, sizeof(acl), S_IFREG | 0724);
	assert_memory_equal(acl, after, sizeof(acl));
}

static void chmod_changes_the_group_where_there_is_no_mask(void **state)
{
	uint8_t acl[] = { V2, USER_OBJ(6), GROUP_OBJ(1), OTHER(0) };
	const uint8_t after[] = { V2, USER_OBJ(7), GROUP_OBJ(2), OTHER(4) };

	(void)state;
	acl_apply_mode(acl, sizeof(acl), 0724);
	assert_memory_equal(acl, after, sizeof(acl));
}

static void a_new_file_gets_what_default_acl_and_mode_both_allow(void **state)
{
	uint8_t acl[] = { V2,           USER_OBJ(7), USER(7, 10),
			  GROUP_OBJ(7), MASK(7),     OTHER(5) };
	const uint8_t after[] = { V2,           USER_OBJ(6), USER(7, 10),
				  GROUP_OBJ(7), MASK(4),     OTHER(4) };
	uint32_t mode = S_IFREG | 0646;

	(void)state;
	assert_false(acl_create(acl, sizeof(acl), &mode));
	assert_int_equal(mode, S_IFREG | 0644);
	assert_memory_equal(acl, after, sizeof(acl));
}

static void a_minimal_default_acl_leaves_only_a_mode(void **state)
{
	uint8_t acl[] = { V2, USER_OBJ(7), GROUP_OBJ(5), OTHER(0) };
	uint32_t mode = S_IFREG | 02666;

	(void)state;
	assert_true(acl_create(acl, sizeof(acl), &mode));
	assert_int_equal(mode, S_IFREG | 02640);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_acl_has_each_part_once_and_in_order),
		cmocka_unit_test(named_entries_need_a_mask_and_an_id),
		cmocka_unit_test(other_versions_and_odd_sizes_are_refused),
		cmocka_unit_test(a_minimal_acl_is_nothing_but_a_mode),
		cmocka_unit_test(
			the_group_bits_of_an_extended_acl_are_its_mask),
		cmocka_unit_test(chmod_changes_the_mask_and_leaves_the_group),
		cmocka_unit_test(
			chmod_changes_the_group_where_there_is_no_mask),
		cmocka_unit_test(
			a_new_file_gets_what_default_acl_and_mode_both_allow),
		cmocka_unit_test(a_minimal_default_acl_leaves_only_a_mode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
