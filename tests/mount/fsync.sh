#!/bin/sh
# SPDX-License-Identifier: MIT
# fsync, fdatasync, O_SYNC, fsync of directories; many at a time.
. "$(dirname "$0")/lib.sh"
need_fuse
need python3
start -o commit=0

py <<'END'
import threading

def stats():
    return dict(line.split()[:2] for line in open(".stats"))

fd = os.open("a", os.O_CREAT | os.O_WRONLY)
os.write(fd, b"x")
before = stats()
os.fsync(fd)
after = stats()
assert int(after["durable_lsn"]) >= int(before["lsn"]), (before, after)
os.write(fd, b"x")
before = stats()
os.fdatasync(fd)
after = stats()
assert int(after["durable_lsn"]) >= int(before["lsn"]), (before, after)
s = os.open("b", os.O_CREAT | os.O_WRONLY | os.O_SYNC)
os.write(s, b"x")
after = stats()
assert int(after["durable_lsn"]) >= int(after["lsn"]), after
os.mkdir("dir")
before = stats()
d = os.open("dir", os.O_RDONLY)
os.fsync(d)
after = stats()
assert int(after["durable_lsn"]) >= int(before["lsn"]), (before, after)

# Syncs of several threads share those of the disk.
def work(n):
    f = os.open("t%d" % n, os.O_CREAT | os.O_WRONLY)
    for i in range(50):
        os.write(f, b"x")
        os.fsync(f)

threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
for t in threads:
    t.start()
for t in threads:
    t.join()
assert all(os.stat("t%d" % n).st_size == 50 for n in range(8))
END
