#!/bin/sh
# SPDX-License-Identifier: MIT
# Listing directories: all of them, once, however they change meanwhile.
. "$(dirname "$0")/lib.sh"
need_fuse
need python3
start

is "$(ls -A "$mnt")" "" "an empty directory"
# shellcheck disable=SC2012 # the names are ours
is "$(ls -a "$mnt" | tr '\n' ' ')" ". .. " "an empty directory"

py <<'END'
names = {"file-%05d-%s" % (i, "x" * (i % 200)) for i in range(5000)}
os.mkdir("big")
for name in names:
    os.close(os.open("big/" + name, os.O_CREAT | os.O_WRONLY))
assert set(os.listdir("big")) == names
assert len(os.listdir("big")) == len(names)

# What stays is seen once, though others come and go.
def stays(i):
    return i % 2 == 0

seen = []
with os.scandir("big") as entries:
    for count, entry in enumerate(entries):
        seen.append(entry.name)
        if count % 100 == 0:
            i = count // 100
            os.close(os.open("big/new%d" % i, os.O_CREAT | os.O_WRONLY))
            victim = [n for n in names if int(n[5:10]) == 2 * i + 1][0]
            if os.path.exists("big/" + victim):
                os.unlink("big/" + victim)
stayed = {n for n in names if stays(int(n[5:10]))}
assert stayed <= set(seen)
assert all(seen.count(n) == 1 for n in list(stayed)[:200])

# Types and inode numbers are those of stat.
os.symlink("x", "link")
os.mkfifo("fifo")
with os.scandir(".") as entries:
    for entry in entries:
        st = os.lstat(entry.name)
        assert entry.inode() == st.st_ino
        assert entry.is_symlink() == stat.S_ISLNK(st.st_mode)
        assert entry.is_dir() == stat.S_ISDIR(st.st_mode)

# Removing while listing empties it.
with os.scandir("big") as entries:
    for entry in entries:
        os.unlink("big/" + entry.name)
for name in os.listdir("big"):
    os.unlink("big/" + name)
os.rmdir("big")
fails(errno.ENOTDIR, os.listdir, "fifo")
END
drop_caches
# shellcheck disable=SC2012
is "$(ls -l "$mnt" | wc -l)" 3 "lines of ls -l"
