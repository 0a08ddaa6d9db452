/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * POSIX access control lists, as arithmetic on their form in extended
 * attributes: version 2 of <linux/posix_acl_xattr.h>, a u32 version and entries
 * of u16 tag, u16 permissions, u32 id, all little endian. The rules are those
 * of POSIX.1e draft 17 and of Linux's fs/posix_acl.c; who may do what is
 * decided by the kernel.
 *
 * Pure functions; no locks.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/buf.h"

#define ACL_NAME_ACCESS "system.posix_acl_access"
#define ACL_NAME_DEFAULT "system.posix_acl_default"

enum acl_tag {
	ACL_TAG_USER_OBJ = 0x01,
	ACL_TAG_USER = 0x02,
	ACL_TAG_GROUP_OBJ = 0x04,
	ACL_TAG_GROUP = 0x08,
	ACL_TAG_MASK = 0x10,
	ACL_TAG_OTHER = 0x20,
};

/*
 * Whether these bytes are an ACL: one each of user, group and other; a mask
 * when there are named users or groups; in the order of the tags. 0, -EINVAL,
 * -EOPNOTSUPP for another version. An ACL without entries is none, but valid:
 * setting it takes the ACL away.
 */
int acl_validate(struct slice acl);
bool acl_is_empty(struct slice acl);

/* All others take a valid ACL that is not empty. */

/*
 * The permission bits that an access ACL amounts to, put into *mode. True when
 * they say all that it says: then it need not be stored.
 */
bool acl_to_mode(struct slice acl, uint32_t *mode);

/* The access ACL after chmod(2): user, other, and the mask or else the group
 * take the bits of the mode. In place. */
void acl_apply_mode(uint8_t *acl, size_t size, uint32_t mode);

/*
 * The access ACL of a new file, from the default ACL of its directory and the
 * mode it is created with: both are reduced to what the other allows. In place.
 * True when the new mode says it all.
 */
bool acl_create(uint8_t *acl, size_t size, uint32_t *mode);
