#!/bin/sh
# SPDX-License-Identifier: MIT
# rename and renameat2: over nothing, over others, of directories, flags.
. "$(dirname "$0")/lib.sh"
need_fuse
need python3
start

echo a >"$mnt/a"
echo b >"$mnt/b"
inode=$(stat -c %i "$mnt/a")
mv "$mnt/a" "$mnt/c"
is "$(stat -c %i "$mnt/c")" "$inode" "inode number"
[ ! -e "$mnt/a" ] || fail "the old name is there"
mv "$mnt/c" "$mnt/b"
is "$(cat "$mnt/b")" a "contents of what was replaced"

mkdir -p "$mnt/d/sub" "$mnt/e"
echo in >"$mnt/d/sub/file"
mv "$mnt/d" "$mnt/e/f"
is "$(cat "$mnt/e/f/sub/file")" in "in a moved directory"
is "$(stat -c %h "$mnt/e")" 3 "links of the new parent"
is "$(cd "$mnt/e/f/sub" && cd .. && pwd -P)" "$mnt/e/f" "parent"

py <<'END'
NOREPLACE, EXCHANGE, WHITEOUT = 1, 2, 4
AT_FDCWD = -100

def renameat2(old, new, flags):
    checked(libc.renameat2(AT_FDCWD, old.encode(), AT_FDCWD, new.encode(),
                           flags))

fails(errno.ENOENT, os.rename, "absent", "x")
os.mkdir("full")
open("full/x", "w").close()
os.mkdir("empty")
fails(errno.ENOTEMPTY, os.rename, "empty", "full")
fails(errno.EISDIR, os.rename, "b", "empty")
fails(errno.ENOTDIR, os.rename, "empty", "b")
fails(errno.EINVAL, os.rename, "e", "e/f/below")
os.rename("full", "empty")
assert os.listdir("empty") == ["x"]

open("one", "w").write("1")
open("two", "w").write("2")
fails(errno.EEXIST, renameat2, "one", "two", NOREPLACE)
renameat2("one", "three", NOREPLACE)
renameat2("two", "three", EXCHANGE)
assert open("two").read() == "1" and open("three").read() == "2"
renameat2("two", "e", EXCHANGE)
assert open("e").read() == "1" and os.path.isdir("two/f/sub")
fails(errno.ENOENT, renameat2, "two", "absent", EXCHANGE)
fails(errno.EINVAL, renameat2, "e", "three", NOREPLACE | EXCHANGE)
# Two names of one file: nothing happens.
os.link("e", "e2")
os.rename("e", "e2")
assert os.path.exists("e") and os.path.exists("e2")
if os.getuid() == 0:
    renameat2("three", "moved", WHITEOUT)
    st = os.stat("three")
    assert stat.S_ISCHR(st.st_mode) and st.st_rdev == 0
END
restart
is "$(cat "$mnt/two/f/sub/file")" in "in a moved directory, remounted"
