#!/bin/sh
# SPDX-License-Identifier: MIT
# Hard and symbolic links.
. "$(dirname "$0")/lib.sh"
need_fuse
need python3
start

echo one >"$mnt/a"
ln "$mnt/a" "$mnt/b"
mkdir "$mnt/dir"
ln "$mnt/b" "$mnt/dir/c"
is "$(stat -c '%h %i' "$mnt/a")" "$(stat -c '3 %i' "$mnt/dir/c")" "links"
echo two >"$mnt/dir/c"
is "$(cat "$mnt/a")" two "the other name's contents"
rm "$mnt/a"
is "$(stat -c %h "$mnt/b")" 2 "links left"
is "$(cat "$mnt/b")" two "contents"
refused "File exists" ln "$mnt/b" "$mnt/dir/c"
refused "not allowed" ln "$mnt/dir" "$mnt/dir2"

ln -s "target with space" "$mnt/s"
is "$(readlink "$mnt/s")" "target with space" "target"
is "$(stat -c '%F %s' "$mnt/s")" "symbolic link 17" "attributes"
ln -s b "$mnt/to-b"
is "$(cat "$mnt/to-b")" two "through a link"
ln -s loop "$mnt/loop"
refused "Too many levels" cat "$mnt/loop"

py <<'END'
os.symlink("x" * 4095, "long")
assert os.readlink("long") == "x" * 4095
os.symlink(b"\xff\n", "bytes")
assert os.readlink(b"bytes") == b"\xff\n"
fails(errno.EINVAL, os.readlink, "b")
fails(errno.EEXIST, os.symlink, "x", "b")
for i in range(1000):
    os.link("b", "b%d" % i)
assert os.stat("b").st_nlink == 1002
END
restart
is "$(readlink "$mnt/s")" "target with space" "target after a remount"
is "$(stat -c %h "$mnt/b")" 1002 "links after a remount"
