#!/bin/sh
# SPDX-License-Identifier: MIT
# With the kernel's write-back cache: the same reading and writing; kernel and
# daemon agree about sizes and times, whatever comes between a write and its
# arrival; and what a daemon that is killed loses: at most what was neither
# closed nor synced.
case ${1:-} in
'')
	sh "$0" agree && sh "$0" agree -o writeback && sh "$0" lose &&
		sh "$(dirname "$0")/data.sh" -o writeback
	exit
	;;
esac
. "$(dirname "$0")/lib.sh"
need_fuse
need python3
what=$1
shift

# Each case leaves a file; what the kernel says of it is noted, to be compared
# with what the daemon says after a remount.
agree() {
	start "$@"
	py "$work/noted" <<'END'
import json, mmap

def look(name):
    st = os.stat(name)
    return [st.st_size, st.st_mtime_ns, st.st_ctime_ns, st.st_mode, st.st_uid,
            st.st_nlink]

def new(name):
    return os.open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR)

def written(name, size=100000):
    fd = new(name)
    assert os.write(fd, b"x" * size) == size
    return fd

fd = written("closed")
before = look("closed")
settle()
os.close(fd)
assert look("closed") == before, "closing is no change"

fd = written("stamped")
os.utime(fd, ns=(3, 7))
settle()
os.fsync(fd)
assert os.fstat(fd).st_mtime_ns == 7
os.close(fd)
assert os.stat("stamped").st_mtime_ns == 7

fd = new("stamped-first")
os.utime(fd, ns=(3, 7))
os.write(fd, b"x")
assert os.fstat(fd).st_mtime_ns > 7
os.close(fd)

fd = written("cut")
before = look("cut")
settle()
os.ftruncate(fd, 50)
assert look("cut")[0] == 50
assert look("cut")[1] > before[1] and look("cut")[2] > before[2]
os.pwrite(fd, b"y", 60)
assert os.pread(fd, 100, 0) == b"x" * 50 + bytes(10) + b"y"

fd = written("cut-to-same")
before = look("cut-to-same")
settle()
os.ftruncate(fd, 100000)
assert look("cut-to-same")[0] == 100000

fd = written("moded")
before = look("moded")
settle()
os.fchmod(fd, 0o4711)
assert look("moded")[1] == before[1] and look("moded")[2] > before[2]

fd = written("linked")
before = look("linked")
settle()
os.link("linked", "link")
assert look("linked")[1] == before[1] and look("linked")[2] > before[2]
os.unlink("link")

fd = written("renamed-from")
os.rename("renamed-from", "renamed")
os.setxattr(fd, "user.x", b"1")

source = written("source")
target = written("target", 10)
settle()
before = look("target")
assert os.copy_file_range(source, target, 90000, 5, 10) == 90000
assert look("target")[0] == 90010 and look("target")[1] > before[1]
assert os.pread(target, 90010, 0) == b"x" * 90010
os.pwrite(target, b"y", 90010)

# Two descriptors that append, and one that does not.
a = os.open("log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
b = os.open("log", os.O_WRONLY | os.O_APPEND)
for i in range(3000):
    os.write(a, b"a" * (i % 7))
    os.write(b, b"b" * (i % 11))
    if i % 500 == 0:
        os.fsync(a)
log = open("log", "rb").read()
assert log == b"".join(b"a" * (i % 7) + b"b" * (i % 11) for i in range(3000))
assert os.fstat(b).st_size == len(log)

fd = new("mapped")
os.ftruncate(fd, 8192)
before = look("mapped")
settle()
m = mmap.mmap(fd, 8192)
m[5000:5005] = b"hello"
m.flush()
assert look("mapped")[1] > before[1] and look("mapped")[0] == 8192
assert os.pread(fd, 5, 5000) == b"hello"
os.pwrite(fd, b"there", 5000)
assert m[5000:5005] == b"there"

fd = written("punched")
settle()
before = look("punched")
checked(libc.fallocate(fd, 3, ctypes.c_long(1000), ctypes.c_long(50000)))
assert look("punched")[1] > before[1] and look("punched")[0] == 100000
checked(libc.fallocate(fd, 0, ctypes.c_long(0), ctypes.c_long(200000)))
assert look("punched")[0] == 200000
assert os.pread(fd, 50000, 1000) == bytes(50000)

fd = os.open("direct", os.O_CREAT | os.O_RDWR | os.O_DIRECT)
page = mmap.mmap(-1, 4096)
page[:] = b"d" * 4096
plain = os.open("direct", os.O_RDWR)
os.write(plain, b"p" * 8192)
assert os.pwrite(fd, page, 4096) == 4096
assert os.pread(plain, 8192, 0) == b"p" * 4096 + b"d" * 4096
os.pwrite(plain, b"q", 4096)
assert os.preadv(fd, [page], 4096) == 4096 and page[:2] == b"qd"

# What is really stored is known after a sync, and after closing.
fd = written("blocks")
os.fsync(fd)
assert os.fstat(fd).st_blocks * 512 >= 100000, os.fstat(fd).st_blocks
os.write(fd, b"x" * 100000)
os.close(fd)
assert os.stat("blocks").st_blocks * 512 >= 200000

# From another process, while it is open here.
fd = written("shared", 5000)
import subprocess
told = subprocess.run(["stat", "-c", "%s %Y", "shared"], check=True,
                      capture_output=True, text=True).stdout.split()
assert told == ["5000", str(os.fstat(fd).st_mtime_ns // 10**9)], told

noted = {name: look(name) for name in os.listdir(".")}
json.dump(noted, open(sys.argv[1], "w"))
END
	restart "$@"
	py "$work/noted" <<'END'
import json
noted = json.load(open(sys.argv[1]))
assert sorted(noted) == sorted(os.listdir("."))
for name, was in noted.items():
    st = os.stat(name)
    now = [st.st_size, st.st_mtime_ns, st.st_ctime_ns, st.st_mode, st.st_uid,
           st.st_nlink]
    # Stamps of one moment differ by the step of the clock at most, where the
    # kernel has a finer one than it shows to programs.
    near = all(abs(a - b) < 20000000 for a, b in zip(now[1:3], was[1:3]))
    assert near and now[3:] + now[:1] == was[3:] + was[:1], (name, was, now)
END
}

# A daemon that is killed takes with it what the kernel held: of files that are
# open and were not synced, and of nothing else.
lose() {
	start -o writeback
	py "$(daemon_pid)" <<'END'
import signal
closed = os.open("closed", os.O_CREAT | os.O_WRONLY)
os.write(closed, b"c" * 100000)
os.close(closed)
synced = os.open("synced", os.O_CREAT | os.O_WRONLY)
os.write(synced, b"s" * 100000)
os.fsync(synced)
os.write(synced, b"t" * 100000)
os.rename("closed", "renamed")
os.kill(int(sys.argv[1]), signal.SIGKILL)
END
	gone
	start
	is "$(tr -d c <"$mnt/renamed" | wc -c)" 0 "other bytes"
	is "$(stat -c %s "$mnt/renamed")" 100000 "size of what was closed"
	[ "$(stat -c %s "$mnt/synced")" -ge 100000 ] || fail "synced is short"
	is "$(head -c 100000 "$mnt/synced" | tr -d s | wc -c)" 0 "synced bytes"
}

"$what" "$@"
