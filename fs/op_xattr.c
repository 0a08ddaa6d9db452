/* SPDX-License-Identifier: MIT */

/*
 * Requests about extended attributes, POSIX ACLs among them. Virtual files
 * have none and can get none. The kernel lets FUSE have names of any kind and
 * shows everybody all of them; here they are those of every other filesystem.
 */

#include <errno.h>
#include <string.h>

#include "fs/mount.h"
#include "fs/partition_setting.h"

static struct slice string_slice(const char *string)
{
	return slice_of(string, strlen(string));
}

#define TRUSTED "trusted."

/* 0, -EINVAL for a namespace without a name, -EOPNOTSUPP. */
static int name_check(const char *name)
{
	static const char *const namespaces[] = { "user.", TRUSTED,
						  "security." };

	for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]);
	     i++) {
		size_t size = strlen(namespaces[i]);

		if (strncmp(name, namespaces[i], size) == 0)
			return name[size] ? 0 : -EINVAL;
	}
	if (strcmp(name, "system.posix_acl_access") == 0 ||
	    strcmp(name, "system.posix_acl_default") == 0)
		return 0;
	return -EOPNOTSUPP;
}

/* Takes out the names that only who administers the system may see. */
static void hide_trusted(struct buf *names)
{
	char *bytes = (char *)names->data;
	size_t kept = 0;
	size_t at = 0;

	while (at < names->size) {
		size_t size = strlen(bytes + at) + 1;

		if (strncmp(bytes + at, TRUSTED, strlen(TRUSTED)) != 0) {
			memmove(bytes + kept, bytes + at, size);
			kept += size;
		}
		at += size;
	}
	names->size = kept;
}

/*
 * Setting an access ACL clears S_ISGID when the caller is neither in the file's
 * group nor privileged. The kernel can say so in the request, but libfuse does
 * not pass it on, so it is found out here.
 */
static bool must_kill_sgid(struct mount *mount, const struct fs_cred *cred,
			   uint64_t ino, const char *name)
{
	struct fs_attr attr;

	if (cred->uid == 0 || strcmp(name, "system.posix_acl_access") != 0 ||
	    fs_getattr(mount->fs, ino, &attr) || !(attr.mode & S_ISGID))
		return false;
	return attr.gid != cred->gid && !cred->in_group(cred->ctx, attr.gid);
}

/* Values cannot be judged behind the kernel's write-back cache; see op_init().
 */
static int schema_check(const struct mount *mount, const char *name,
			struct slice value)
{
	enum partition_setting setting;

	if (!mount->kernel_keeps_times ||
	    !setting_of_xattr(string_slice(name), &setting) ||
	    setting != SETTING_SCHEMA ||
	    slice_equal(value, SLICE_LITERAL("bytes")))
		return 0;
	return -EOPNOTSUPP;
}

/* Settings of a partition are for its owner, whoever may write to it. */
static int setting_check(struct mount *mount, uint64_t ino, uint32_t uid,
			 const char *name)
{
	struct fs_attr attr;
	int error;

	if (uid == 0 || !xattr_is_setting(string_slice(name)))
		return 0;
	error = fs_getattr(mount->fs, ino, &attr);
	if (error)
		return error;
	return attr.uid == uid ? 0 : -EPERM;
}

void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
		 const char *value, size_t size, int flags)
{
	struct request request = request_begin(req, OP_SETXATTR, ino);
	struct mount *mount = request.mount;
	struct fs_cred cred = request_cred(req);
	int error = virtual_is_node(ino) ? -EOPNOTSUPP : name_check(name);

	if (!error)
		error = schema_check(mount, name, slice_of(value, size));
	if (!error)
		error = setting_check(mount, ino, cred.uid, name);
	if (!error)
		error = fs_setxattr(mount->fs, &cred, ino, string_slice(name),
				    slice_of(value, size), flags,
				    must_kill_sgid(mount, &cred, ino, name));
	reply_error(&request, error);
}

void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct request request = request_begin(req, OP_GETXATTR, ino);
	struct buf value = { 0 };
	int error = virtual_is_node(ino) ? -ENODATA : name_check(name);

	if (!error)
		error = fs_getxattr(request.mount->fs, ino, string_slice(name),
				    &value);
	if (error)
		reply_error(&request, error);
	else
		reply_xattr(&request, buf_slice(&value), size);
	buf_release(&value);
}

void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct request request = request_begin(req, OP_LISTXATTR, ino);
	struct buf names = { 0 };
	int error = 0;

	if (!virtual_is_node(ino))
		error = fs_listxattr(request.mount->fs, ino, &names);
	if (!error && fuse_req_ctx(req)->uid != 0)
		hide_trusted(&names);
	if (error)
		reply_error(&request, error);
	else
		reply_xattr(&request, buf_slice(&names), size);
	buf_release(&names);
}

void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct request request = request_begin(req, OP_REMOVEXATTR, ino);
	int error = virtual_is_node(ino) ? -ENODATA : name_check(name);

	if (!error)
		error = setting_check(request.mount, ino,
				      fuse_req_ctx(req)->uid, name);
	if (!error)
		error = fs_removexattr(request.mount->fs, ino,
				       string_slice(name));
	reply_error(&request, error);
}
