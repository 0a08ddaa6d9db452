#!/bin/sh
# SPDX-License-Identifier: MIT
# Rights in a partition are POSIX modes and ACLs: a reader who only reads, an
# operator who only writes, and the owner, who alone has the settings; with and
# without a schema, judged at close and at write.
. "$(dirname "$0")/lib.sh"
need_fuse
need_root
need python3
need setfacl
: "${KVCTL:?the kvctl to test}"
chmod 755 "$work"

rights() {
	chmod 755 "$mnt"
	# Modes: 1001 owns, the group 2000 reads, others only write. ACLs: 1004
	# reads, 1005 only writes, whatever is made in it.
	setfacl -m "u:1004:rX,u:1005:wx" "$mnt/p"
	setfacl -d -m "u:1004:rX,u:1005:wx,o::-,g::r" "$mnt/p"
	py "$KVCTL" <<'END'
import subprocess
kvctl = sys.argv[1]

class User:
    def __init__(self, uid, gid, groups=()):
        self.ids = uid, gid, groups

    def __call__(self, function, *args):
        uid, gid, groups = self.ids
        child = os.fork()
        if child == 0:
            status = 255
            try:
                os.setgroups(list(groups))
                os.setresgid(gid, gid, gid)
                os.setresuid(uid, uid, uid)
                function(*args)
                status = 0
            except OSError as error:
                status = error.errno
            finally:
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status != 255, (function, args)
        if status:
            raise OSError(status, os.strerror(status), args)

def get(path):
    with open(path, "rb") as f:
        f.read()

def put(path, value):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o660)
    try:
        os.write(fd, value)
    except OSError:
        os.close(fd)
        raise
    os.close(fd)

def append(path, value):
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.write(fd, value)
    os.close(fd)

def setting(path, name, value):
    os.setxattr(path, "user.kvfs." + name, value)

os.umask(0)
owner = User(1001, 1001)
reader = User(1004, 1004)
operator = User(1005, 1005)
member = User(1002, 1002, [2000])
other = User(1003, 1003)

owner(put, "p/a", b"1")
owner(get, "p/a")
owner(setting, "p", "quota", b"1M")
owner(os.mkdir, "p/d")
owner(put, "p/d/b", b"2")

# The reader reads, the counters too, and changes nothing.
reader(get, "p/a")
reader(get, "p/d/b")
reader(os.listdir, "p")
reader(get, "p/.stats")
for function, args in ((put, ("p/a", b"3")), (put, ("p/new", b"3")),
                       (append, ("p/a", b"3")), (os.unlink, ("p/a",)),
                       (os.mkdir, ("p/e",)), (os.rename, ("p/a", "p/z")),
                       (setting, ("p", "quota", b"1"))):
    fails(errno.EACCES, reader, function, *args)

# The operator writes, and looks at nothing.
operator(put, "p/a", b"4")
operator(append, "p/a", b"5")
operator(put, "p/d/b", b"6")
operator(put, "p/own", b"7")
for function, args in ((get, ("p/a",)), (os.listdir, ("p",)),
                       (get, ("p/d/b",))):
    fails(errno.EACCES, operator, function, *args)
# Nor does the right to write to the directory make settings his.
for name, value in (("quota", b"1G"), ("schema", b"bytes"),
                    ("durability", b"none"), ("compress", b"none")):
    fails(errno.EPERM, operator, setting, "p", name, value)
fails(errno.EPERM, operator, os.removexattr, "p", "user.kvfs.quota")
owner(get, "p/a")
assert open("p/a").read() == "45"
# What is refused is refused to whoever may write.
if os.getxattr("p", "user.kvfs.schema") == b"int":
    fails(errno.EINVAL, operator, put, "p/a", b"none")
    fails(errno.EINVAL, owner, append, "p/a", b"none")
    assert open("p/a").read() == "45"
owner(setting, "p", "quota", b"3")
fails(errno.EDQUOT, operator, append, "p/a", b"0000")
owner(setting, "p", "quota", b"1M")

# Neither group nor others have a right here.
for user in member, other:
    fails(errno.EACCES, user, get, "p/a")
    fails(errno.EACCES, user, put, "p/a", b"8")
fails(errno.EACCES, other, get, "p/.stats")
member(get, "p/.stats") # who may pass through the directory
os.chmod("p/a", 0o640)
os.chown("p/a", -1, 2000)
member(get, "p/a")
fails(errno.EACCES, member, put, "p/a", b"8")

# To make and to drop one is for those who may do so in the root.
fails(errno.EACCES, owner, os.mkdir, "q")
def drop():
    done = subprocess.run([kvctl, "partition", "drop", ".", "p"],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        assert "not permitted" in done.stderr, done.stderr
        raise OSError(errno.EPERM, "")
for user in owner, operator, reader, other:
    fails(errno.EPERM, user, drop)
owner(os.unlink, "p/own")
owner(os.unlink, "p/d/b")
END
	"$KVCTL" partition drop "$mnt" p || fail "root cannot drop it"
}

# A partition p of user 1001 with this schema, in a mount with these options.
try() {
	schema=$1
	shift
	start -o allow_other "$@"
	"$KVCTL" partition create "$mnt" p --schema "$schema"
	chown 1001:2000 "$mnt/p"
	chmod 750 "$mnt/p"
	rights
	stop
	"$KVCTL" check "$store" || fail check
	rm -rf "$store"
}

try bytes
try int
try int -o schema=close
