/* SPDX-License-Identifier: MIT */

/*
 * ACL arithmetic. Entries are decoded one at a time from where they lie; those
 * that change are encoded back in place. No state, no lock.
 */

#include "fs/acl.h"

#include <assert.h>
#include <errno.h>
#include <sys/stat.h>

#include "engine/codec.h"

#define ACL_VERSION 2u
#define HEADER_SIZE 4u
#define ENTRY_SIZE 8u
#define ID_NONE UINT32_MAX
#define RWX 7u

struct acl_entry {
	uint16_t tag;
	uint16_t perm;
	uint32_t id;
};

static size_t entry_count(size_t size)
{
	return (size - HEADER_SIZE) / ENTRY_SIZE;
}

static struct acl_entry entry_get(const uint8_t *acl, size_t i)
{
	struct reader r = reader_of(
		slice_of(acl + HEADER_SIZE + i * ENTRY_SIZE, ENTRY_SIZE));
	struct acl_entry entry;

	entry.tag = get_u16(&r);
	entry.perm = get_u16(&r);
	entry.id = get_u32(&r);
	return entry;
}

static void perm_put(uint8_t *acl, size_t i, uint32_t perm)
{
	struct writer w = writer_of(acl + HEADER_SIZE + i * ENTRY_SIZE + 2, 2);

	put_u16(&w, (uint16_t)perm);
}

bool acl_is_empty(struct slice acl)
{
	return acl.size <= HEADER_SIZE;
}

/* Where in the order an entry may be. */
enum order {
	ORDER_USER_OBJ,
	ORDER_USERS,
	ORDER_GROUPS,
	ORDER_OTHER,
	ORDER_END,
};

struct validation {
	enum order order;
	bool needs_mask;
};

/* Takes one entry; false when it may not follow. */
static bool entry_validate(struct validation *v, const struct acl_entry *entry)
{
	if (entry->perm & ~RWX)
		return false;
	switch (entry->tag) {
	case ACL_TAG_USER_OBJ:
		if (v->order != ORDER_USER_OBJ)
			return false;
		v->order = ORDER_USERS;
		return true;
	case ACL_TAG_USER:
		v->needs_mask = true;
		return v->order == ORDER_USERS && entry->id != ID_NONE;
	case ACL_TAG_GROUP_OBJ:
		if (v->order != ORDER_USERS)
			return false;
		v->order = ORDER_GROUPS;
		return true;
	case ACL_TAG_GROUP:
		v->needs_mask = true;
		return v->order == ORDER_GROUPS && entry->id != ID_NONE;
	case ACL_TAG_MASK:
		if (v->order != ORDER_GROUPS)
			return false;
		v->order = ORDER_OTHER;
		return true;
	case ACL_TAG_OTHER:
		if (v->order != ORDER_OTHER &&
		    (v->order != ORDER_GROUPS || v->needs_mask))
			return false;
		v->order = ORDER_END;
		return true;
	default:
		return false;
	}
}

int acl_validate(struct slice acl)
{
	struct validation v = { ORDER_USER_OBJ, false };
	struct reader r = reader_of(acl);
	struct acl_entry entry;
	size_t i;

	if (acl.size < HEADER_SIZE)
		return -EINVAL;
	if (get_u32(&r) != ACL_VERSION)
		return -EOPNOTSUPP;
	if ((acl.size - HEADER_SIZE) % ENTRY_SIZE != 0)
		return -EINVAL;
	if (acl_is_empty(acl))
		return 0;
	for (i = 0; i < entry_count(acl.size); i++) {
		entry = entry_get(acl.data, i);
		if (!entry_validate(&v, &entry))
			return -EINVAL;
	}
	return v.order == ORDER_END ? 0 : -EINVAL;
}

static uint32_t with_permissions(uint32_t mode, uint32_t permissions)
{
	return (mode & ~0777u) | (permissions & 0777u);
}

bool acl_to_mode(struct slice acl, uint32_t *mode)
{
	uint32_t bits = 0;
	bool all = true;
	struct acl_entry entry;
	size_t i;

	for (i = 0; i < entry_count(acl.size); i++) {
		entry = entry_get(acl.data, i);
		switch (entry.tag) {
		case ACL_TAG_USER_OBJ:
			bits |= (uint32_t)entry.perm << 6;
			break;
		case ACL_TAG_GROUP_OBJ:
			bits |= (uint32_t)entry.perm << 3;
			break;
		case ACL_TAG_OTHER:
			bits |= entry.perm;
			break;
		case ACL_TAG_MASK:
			/* Behind the group, whose place it takes. */
			bits = (bits & ~070u) | (uint32_t)entry.perm << 3;
			all = false;
			break;
		default:
			all = false;
			break;
		}
	}
	*mode = with_permissions(*mode, bits);
	return all;
}

/* The entry that the group bits of the mode stand for. */
static size_t group_class_find(const uint8_t *acl, size_t size)
{
	size_t found = SIZE_MAX;
	uint16_t tag;
	size_t i;

	for (i = 0; i < entry_count(size); i++) {
		tag = entry_get(acl, i).tag;
		if (tag == ACL_TAG_GROUP_OBJ && found == SIZE_MAX)
			found = i;
		if (tag == ACL_TAG_MASK)
			found = i;
	}
	assert(found != SIZE_MAX);
	return found;
}

void acl_apply_mode(uint8_t *acl, size_t size, uint32_t mode)
{
	uint16_t tag;
	size_t i;

	perm_put(acl, group_class_find(acl, size), (mode >> 3) & RWX);
	for (i = 0; i < entry_count(size); i++) {
		tag = entry_get(acl, i).tag;
		if (tag == ACL_TAG_USER_OBJ)
			perm_put(acl, i, (mode >> 6) & RWX);
		else if (tag == ACL_TAG_OTHER)
			perm_put(acl, i, mode & RWX);
	}
}

bool acl_create(uint8_t *acl, size_t size, uint32_t *mode)
{
	size_t group = group_class_find(acl, size);
	struct acl_entry entry;
	uint32_t shift;
	size_t i;

	for (i = 0; i < entry_count(size); i++) {
		entry = entry_get(acl, i);
		if (entry.tag == ACL_TAG_USER_OBJ)
			shift = 6;
		else if (entry.tag == ACL_TAG_OTHER)
			shift = 0;
		else if (i == group)
			shift = 3;
		else
			continue;
		perm_put(acl, i, entry.perm & (*mode >> shift) & RWX);
	}
	return acl_to_mode(slice_of(acl, size), mode);
}
