#!/bin/sh
# SPDX-License-Identifier: MIT
# Extended attributes, and POSIX ACLs with inheritance.
. "$(dirname "$0")/lib.sh"
need_fuse
need python3
start

py <<'END'
open("f", "w").close()
os.setxattr("f", "user.one", b"1")
os.setxattr("f", "user.empty", b"")
assert os.getxattr("f", "user.one") == b"1"
assert os.getxattr("f", "user.empty") == b""
assert sorted(os.listxattr("f")) == ["user.empty", "user.one"]
fails(errno.EEXIST, os.setxattr, "f", "user.one", b"2", os.XATTR_CREATE)
fails(errno.ENODATA, os.setxattr, "f", "user.two", b"2", os.XATTR_REPLACE)
os.setxattr("f", "user.one", b"\0\xff" * 30000, os.XATTR_REPLACE)
assert os.getxattr("f", "user.one") == b"\0\xff" * 30000
fails(errno.ENODATA, os.getxattr, "f", "user.none")
fails(errno.ENODATA, os.removexattr, "f", "user.none")
os.removexattr("f", "user.one")
assert os.listxattr("f") == ["user.empty"]
# A buffer that is too small.
buffer = ctypes.create_string_buffer(3)
os.setxattr("f", "user.long", b"long")
fails(errno.ERANGE, lambda: checked(libc.getxattr(b"f", b"user.long", buffer,
                                                  3)))
assert libc.getxattr(b"f", b"user.long", None, 0) == 4
name = "user." + "n" * 250
os.setxattr("f", name, b"x")
assert os.getxattr("f", name) == b"x"
os.mkdir("d")
os.setxattr("d", "user.d", b"d")
for i in range(100):
    os.setxattr("d", "user.%d" % i, b"v%d" % i)
assert len(os.listxattr("d")) == 101
if os.getuid() == 0:
    os.setxattr("f", "trusted.t", b"t")
    os.setxattr("f", "security.s", b"s")
    os.symlink("f", "s")
    os.setxattr("s", "trusted.t", b"of the link", follow_symlinks=False)
    assert os.getxattr("f", "trusted.t") == b"t"
END
restart
py <<'END'
assert os.getxattr("f", "user.long") == b"long"
assert len(os.listxattr("d")) == 101
END

command -v setfacl >/dev/null || exit 0
umask 022
mkdir "$mnt/acl"
setfacl -m u:1234:rwx "$mnt/acl"
is "$(getfacl -cpE "$mnt/acl" | tr '\n' ' ')" \
	"user::rwx user:1234:rwx group::r-x mask::rwx other::r-x  " "ACL"
chmod g-w "$mnt/acl"
is "$(getfacl -cpE "$mnt/acl" | grep mask)" "mask::r-x" "mask after chmod"
setfacl -d -m u:1234:rw,g::r,o::- "$mnt/acl"
: >"$mnt/acl/file"
is "$(getfacl -cpE "$mnt/acl/file" | grep 1234)" "user:1234:rw-" "inherited"
is "$(stat -c %a "$mnt/acl/file")" 660 "mode under a default ACL"
mkdir "$mnt/acl/dir"
is "$(getfacl -cpE "$mnt/acl/dir" | grep default:user:1234)" \
	"default:user:1234:rw-" "default inherited"
is "$(stat -c %a "$mnt/acl/dir")" 760 "directory's mode under it"
setfacl -b "$mnt/acl/file"
is "$(getfacl -cpE "$mnt/acl/file" | grep -c 1234 || :)" 0 "ACL removed"

# ACLs are obeyed.
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
	restart -o allow_other
	chmod 755 "$work"
	echo secret >"$mnt/secret"
	chmod 600 "$mnt/secret"
	as_1234() {
		setpriv --reuid=1234 --regid=1234 --clear-groups "$@"
	}
	refused "Permission denied" as_1234 cat "$mnt/secret"
	setfacl -m u:1234:r "$mnt/secret"
	is "$(as_1234 cat "$mnt/secret")" secret "read through an ACL"
fi
