#!/bin/sh
# SPDX-License-Identifier: MIT
# Partitions: made by mkdir and setxattr; what they count and refuse; how they
# go, at once, with what is in them, a killed daemon in between.
. "$(dirname "$0")/lib.sh"
need_fuse
need python3
: "${KVCTL:?the kvctl to test}"
start

py <<'END'
def stats(name):
    with open(name + "/.stats") as f:
        return dict(line.split() for line in f)

def put(path, value):
    with open(path, "wb") as f:
        f.write(value)

# Asked for before it is one, too: the kernel is not to remember that.
os.mkdir("p")
fails(errno.ENOENT, os.stat, "p/.stats")
os.setxattr("p", "user.kvfs.quota", b"100k")
assert os.getxattr("p", "user.kvfs.quota") == b"100k"
assert stats("p") == {
    "schema": "bytes", "durability": "mount", "quota_bytes": "102400",
    "compress": "mount", "compress_ratio": "1.00", "keys": "0", "bytes": "0",
    "operations": stats("p")["operations"], "writes": "1"}, stats("p")
assert os.listdir("p") == []

# What makes no sense, and where.
for name, value in (("quota", b"lots"), ("schema", b"float"), ("size", b"1"),
                    ("durability", b""), ("compress", b"zlib:0")):
    fails(errno.EINVAL, os.setxattr, "p", "user.kvfs." + name, value)
put("f", b"")
os.makedirs("d/e")
for path in "f", "d/e", ".":
    fails(errno.EPERM, os.setxattr, path, "user.kvfs.quota", b"1k")
fails(errno.ENOTEMPTY, os.setxattr, "d", "user.kvfs.quota", b"1k")

# The counters against what is known otherwise.
writes = int(stats("p")["writes"])
os.mkdir("p/sub")
for i in range(50):
    put("p/sub/%d" % i, b"x" * (20 * i))
os.link("p/sub/49", "p/also")
os.symlink("sub", "p/link")
total = sum(20 * i for i in range(50))
now = stats("p")
assert now["keys"] == "51" and now["bytes"] == str(total), now
assert int(now["writes"]) - writes == 1 + 50 + 49 + 2, now
assert int(now["operations"]) >= int(now["writes"])
found = set()
for directory, _, files in os.walk("p"):
    for name in files:
        st = os.lstat(os.path.join(directory, name))
        if stat.S_ISREG(st.st_mode):
            found.add((st.st_ino, st.st_size))
assert sum(size for _, size in found) == total

# The quota: nothing beyond it, and everything else. A page at a time is how
# the kernel may write.
left = 102400 - total
fd = os.open("p/big", os.O_CREAT | os.O_WRONLY)
try:
    while os.write(fd, b"y" * 4096) == 4096:
        pass
except OSError as error:
    assert error.errno == errno.EDQUOT, error
size = os.fstat(fd).st_size
assert left - 4096 < size <= left, (size, left)
fails(errno.EDQUOT, os.write, fd, b"y" * 4096)
os.close(fd)
st = os.statvfs("p")
assert st.f_blocks * st.f_frsize == 102400
assert st.f_bavail * st.f_frsize <= 4096
assert os.statvfs(".").f_blocks * st.f_frsize > 102400
put("f", b"z" * 200000)
os.truncate("p/big", 5)
put("p/new", b"new")
os.unlink("p/big")
assert stats("p")["bytes"] == str(total + 3)

# The border.
os.mkdir("q")
os.setxattr("q", "user.kvfs.schema", b"bytes")
for source, target in (("p/new", "f2"), ("f", "p/f"), ("p/new", "q/new"),
                       ("p/sub", "sub"), ("d/e", "q/e"), ("q", "d/q")):
    fails(errno.EXDEV, os.rename, source, target)
fails(errno.EXDEV, os.link, "p/new", "q/new")
os.rename("q", "r")
assert stats("r")["keys"] == "0"
assert not os.path.exists("q/.stats")
os.rename("r", "q")

# .stats is as the one at the root.
fails(errno.EPERM, open, "p/.stats", "w")
fails(errno.EPERM, os.rename, "p/new", "p/.stats")
fails(errno.EEXIST, os.mkdir, "p/.stats")
fails(errno.EPERM, os.unlink, "p/.stats")
assert os.stat("p/.stats").st_ino != os.stat("q/.stats").st_ino
put("f.stats", b"")
put("d/.stats", b"any other directory has no such file")
END

mv "$mnt/p/new" "$mnt/q/" || fail "mv does not copy"
is "$(cat "$mnt/q/new")" new "what mv copied"

# All of it is there after a kill, and after a remount.
bytes=$(sed -n 's/^bytes //p' "$mnt/p/.stats")
killed
"$KVCTL" check "$store" || fail "check after a kill"
start
is "$(sed -n 's/^bytes //p' "$mnt/p/.stats")" "$bytes" "bytes after a kill"
is "$(sed -n 's/^quota_bytes //p' "$mnt/p/.stats")" 102400 "quota"
is "$(sed -n 's/^keys //p' "$mnt/q/.stats")" 1 "keys of q"
restart -o stats=visible
is "$(names "$mnt/q")" ".stats new " "a listing with .stats"
restart -o ro
refused "Read-only" mkdir "$mnt/p/x"
refused "Read-only" "$KVCTL" partition drop "$mnt" p
is "$(sed -n 's/^bytes //p' "$mnt/p/.stats")" "$bytes" "bytes, read-only"
restart

# Dropped: gone at once, names and room; open files live on.
py "$KVCTL" <<'END'
import subprocess, time
kvctl = sys.argv[1]
for i in range(2000):
    with open("p/%d" % i, "w") as f:
        f.write("value of %d" % i)
held = open("p/7")
inside = os.open("p/sub", os.O_RDONLY | os.O_DIRECTORY)
subprocess.run([kvctl, "partition", "drop", "../mnt", "p"], check=True)
fails(errno.ENOENT, os.stat, "p")
assert "p" not in os.listdir(".")
os.mkdir("p") # the name is free
assert os.listdir("p") == []
assert held.read() == "value of 7"
def files():
    with open(".stats") as f:
        return int(dict(l.split(None, 1) for l in f)["files"])
until = time.monotonic() + 60
while files() > 20 and time.monotonic() < until:
    time.sleep(0.05)
assert files() <= 20, files()
held.seek(0)
assert held.read() == "value of 7"
fails(errno.ENOENT, os.open, "new", os.O_CREAT | os.O_WRONLY, dir_fd=inside)
held.close()
os.close(inside)
END
"$KVCTL" check "$mnt" || fail "check after a drop"

# Stopped in the middle of it, the next mount goes on.
py "$KVCTL" "$(daemon_pid)" <<'END'
import signal, subprocess
kvctl, pid = sys.argv[1:]
os.setxattr("p", "user.kvfs.schema", b"bytes")
for i in range(3000):
    os.makedirs("p/%d" % (i % 100), exist_ok=True)
    open("p/%d/%d" % (i % 100, i), "w").close()
subprocess.run([kvctl, "partition", "drop", "../mnt", "p"], check=True)
os.kill(int(pid), signal.SIGKILL)
END
gone
"$KVCTL" check "$store" || fail "check after a drop that was broken off"
"$KVCTL" exists "$store" p && fail "what was dropped is back"
start
for _ in $(seq 200); do
	[ "$(stat_of files)" -gt 20 ] || break
	sleep 0.1
done
[ "$(stat_of files)" -le 20 ] || fail "what was dropped is not deleted"
"$KVCTL" compact "$mnt"
stop
"$KVCTL" check "$store" || fail "check"
