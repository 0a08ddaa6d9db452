#!/bin/sh
# SPDX-License-Identifier: MIT
# Who may do what: users with and without supplementary groups, the sticky bit,
# set-group-id directories, what only owners may change, what creating leaves.
. "$(dirname "$0")/lib.sh"
need_fuse
need_root
need python3
chmod 755 "$work"
start -o allow_other,suid,dev
chmod 755 "$mnt"

py <<'END'
R, W, X = 4, 2, 1

class User:
    """Runs a function as somebody; what it raises comes back as errno."""
    def __init__(self, uid, gid, groups=()):
        self.ids = uid, gid, groups

    def __call__(self, function, *args, **kwargs):
        uid, gid, groups = self.ids
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            status = 255
            try:
                os.close(read_end)
                os.setgroups(list(groups))
                os.setresgid(gid, gid, gid)
                os.setresuid(uid, uid, uid)
                function(*args, **kwargs)
                status = 0
            except OSError as error:
                status = error.errno
            finally:
                os._exit(status)
        os.close(read_end)
        os.close(write_end)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status != 255, (function, args)
        if status:
            raise OSError(status, os.strerror(status), args)

def access_of(path, mode):
    flags = {R: os.O_RDONLY, W: os.O_WRONLY, R | W: os.O_RDWR}[mode]
    os.close(os.open(path, flags))

def make(path, mode=0o644):
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))

def mode_of(path):
    return stat.S_IMODE(os.lstat(path).st_mode)

os.umask(0)
owner = User(1001, 1001)
member = User(1002, 1002, [1001, 2000])
other = User(1003, 1003, [3000])

# Classes of permission: the first that fits decides.
for mode in range(0o1000):
    if mode % 7:
        continue
    make("f", mode)
    os.chown("f", 1001, 1001)
    for user, shift in (owner, 6), (member, 3), (other, 0):
        for wanted in R, W, R | W:
            if (mode >> shift) & wanted == wanted:
                user(access_of, "f", wanted)
            else:
                fails(errno.EACCES, user, access_of, "f", wanted)
    os.unlink("f")

# Directories: to pass, to list, to change.
os.mkdir("d", 0o750)
os.chown("d", 1001, 2000)
make("d/f")
owner(os.stat, "d/f")
member(os.listdir, "d")
fails(errno.EACCES, member, make, "d/new")
fails(errno.EACCES, member, os.unlink, "d/f")
fails(errno.EACCES, member, os.rename, "d/f", "d/g")
fails(errno.EACCES, other, os.stat, "d/f")
fails(errno.EACCES, other, os.listdir, "d")
fails(errno.EACCES, other, os.chdir, "d")
os.chmod("d", 0o711)
other(os.stat, "d/f")
fails(errno.EACCES, other, os.listdir, "d")
fails(errno.EACCES, other, os.mkdir, "d/sub")
fails(errno.EACCES, other, os.symlink, "x", "d/link")
fails(errno.EACCES, other, os.mkfifo, "d/fifo")
os.chmod("d", 0o600)
fails(errno.EACCES, owner, os.stat, "d/f")

# What only the owner may change, and to which groups.
make("own")
os.chown("own", 1002, 1002)
for user in owner, other:
    fails(errno.EPERM, user, os.chmod, "own", 0o777)
    fails(errno.EPERM, user, os.utime, "own", ns=(1, 1))
    fails(errno.EPERM, user, os.chown, "own", -1, user.ids[1])
fails(errno.EACCES, other, os.utime, "own")
os.chmod("own", 0o666)
other(os.utime, "own") # to now, whoever may write may
fails(errno.EPERM, member, os.chown, "own", 1003, -1)
fails(errno.EPERM, member, os.chown, "own", -1, 3000)
member(os.chown, "own", -1, 2000)
assert os.stat("own").st_gid == 2000
member(os.chown, "own", 1002, 1002) # no change of the owner

# Set-group-id is kept from who is not of the file's group.
os.chown("own", 1002, 3000)
member(os.chmod, "own", 0o2755)
assert mode_of("own") == 0o755
os.chown("own", 1002, 2000)
member(os.chmod, "own", 0o6755)
assert mode_of("own") == 0o6755
# A change of owner takes it, even by root, and even to the same.
os.chown("own", 1002, 1002)
assert mode_of("own") == 0o755
os.chmod("own", 0o6755)
member(os.chown, "own", -1, 2000)
assert mode_of("own") == 0o755
# Without execution by the group it is no privilege, and root's chown keeps it.
os.chmod("own", 0o2644)
os.chown("own", 0, 0)
assert mode_of("own") == 0o2644

# The sticky bit: owners of the file or of the directory remove, nobody else.
os.mkdir("sticky")
os.chmod("sticky", 0o1777)
os.chown("sticky", 1003, 1003)
for name in "a", "b", "c":
    owner(make, "sticky/" + name)
member(make, "sticky/m")
for name in "a", "m":
    target = User(1004, 1004)
    fails(errno.EPERM, target, os.unlink, "sticky/" + name)
    fails(errno.EPERM, target, os.rename, "sticky/" + name, "sticky/x")
fails(errno.EPERM, member, os.rename, "sticky/m", "sticky/a")
fails(errno.EPERM, member, os.rename, "sticky/a", "sticky/m")
owner(os.rename, "sticky/a", "sticky/d")
other(os.unlink, "sticky/b") # the directory's owner
owner(os.unlink, "sticky/c")
owner(os.mkdir, "sticky/sub")
fails(errno.EPERM, member, os.rmdir, "sticky/sub")
owner(os.rmdir, "sticky/sub")

# The group of what is made: the maker's, or that of a set-group-id directory.
os.mkdir("plain")
os.chmod("plain", 0o777)
os.mkdir("shared")
os.chown("shared", 0, 2000)
os.chmod("shared", 0o2777)
other(make, "plain/f", 0o666)
assert os.stat("plain/f").st_uid == 1003 and os.stat("plain/f").st_gid == 1003
other(make, "shared/f", 0o2776)
assert os.stat("shared/f").st_gid == 2000
assert mode_of("shared/f") == 0o776, "set-group-id from no member"
member(make, "shared/g", 0o2776)
assert mode_of("shared/g") == 0o2776
other(os.mkdir, "shared/sub", 0o700)
assert os.stat("shared/sub").st_gid == 2000 and mode_of("shared/sub") == 0o2700
other(os.symlink, "x", "shared/link")
assert os.lstat("shared/link").st_gid == 2000
other(os.mkfifo, "shared/fifo")
assert os.lstat("shared/fifo").st_gid == 2000

def with_umask(umask, function, *args):
    os.umask(umask)
    function(*args)

other(with_umask, 0o027, make, "plain/u", 0o6777)
assert mode_of("plain/u") == 0o6750
other(with_umask, 0o077, os.mkdir, "plain/ud", 0o777)
assert mode_of("plain/ud") == 0o700
other(with_umask, 0o022, os.mkfifo, "plain/uf", 0o666)
assert mode_of("plain/uf") == 0o644
other(with_umask, 0o777, os.symlink, "x", "plain/us")
assert mode_of("plain/us") == 0o777

# Devices are root's to make; attributes of the system, root's to set.
fails(errno.EPERM, other, os.mknod, "plain/null", stat.S_IFCHR | 0o666,
      os.makedev(1, 3))
other(os.setxattr, "plain/f", "user.x", b"1")
fails(errno.EPERM, other, os.setxattr, "plain/f", "trusted.x", b"1")
fails(errno.EPERM, other, os.setxattr, "plain/f", "security.x", b"1")
fails(errno.EACCES, member, os.setxattr, "shared/sub", "user.x", b"1")
os.setxattr("plain/f", "trusted.x", b"1")
other(lambda: [1 / 0 for n in os.listxattr("plain/f") if n == "trusted.x"])
fails(errno.EACCES, member, os.setxattr, "own", "user.x", b"1")
fails(errno.EPERM, os.setxattr, "shared/link", "user.x", b"1",
      follow_symlinks=False)

# More supplementary groups than fit a small array.
many = User(1005, 1005, list(range(5000, 5200)))
make("many", 0o2070)
os.chown("many", 1005, 5199)
fails(errno.EACCES, many, access_of, "many", R) # the owner's class decides
os.chown("many", 0, 5199)
many(access_of, "many", R | W)
os.chown("many", 1005, 5199)
many(os.chmod, "many", 0o2770)
assert mode_of("many") == 0o2770
END

# A set-id program runs as its owner; with nosuid it does not.
cp "$(command -v id)" "$mnt/id"
chown 1234:1234 "$mnt/id"
chmod 6755 "$mnt/id"
as_1001() {
	setpriv --reuid=1001 --regid=1001 --clear-groups "$@"
}
is "$(as_1001 "$mnt/id" -u)" 1234 "user of a set-user-id program"
is "$(as_1001 "$mnt/id" -g)" 1234 "group of a set-group-id program"
restart -o allow_other,nosuid
is "$(as_1001 "$mnt/id" -u)" 1001 "user with nosuid"
restart -o allow_other,noexec
refused "Permission denied" as_1001 "$mnt/id"
# Without allow_other the mount is its owner's alone, root's included.
restart
refused "Permission denied" as_1001 stat "$mnt/id"
