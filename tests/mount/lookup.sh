#!/bin/sh
# SPDX-License-Identifier: MIT
# Names: absent ones, those the kernel remembers, inode numbers that last.
. "$(dirname "$0")/lib.sh"
need_fuse
start

refused "No such file" stat "$mnt/absent"
: >"$mnt/absent"
stat "$mnt/absent" >"$work/out"
rm "$mnt/absent"
refused "No such file" stat "$mnt/absent"
: >"$mnt/file"
refused "Not a directory" stat "$mnt/file/x"

mkdir -p "$mnt/a/b/c"
: >"$mnt/a/b/c/file"
inode=$(stat -c %i "$mnt/a/b/c/file")
is "$(stat -c %i "$mnt")" 1 "the root's inode number"
drop_caches
is "$(stat -c %i "$mnt/a/b/c/file")" "$inode" "inode number, asked again"
restart
is "$(stat -c %i "$mnt/a/b/c/file")" "$inode" "inode number after a remount"
rm "$mnt/a/b/c/file"
: >"$mnt/a/b/c/file"
[ "$(stat -c %i "$mnt/a/b/c/file")" != "$inode" ] ||
	fail "an inode number was used twice"
# What the kernel remembers to be absent costs no request.
stat "$mnt/none" 2>/dev/null && fail "none is there"
before=$(sed -n 's/^op_lookup \([0-9]*\).*/\1/p' "$mnt/.stats")
for _ in 1 2 3 4 5 6 7 8 9 10; do
	[ ! -e "$mnt/none" ] || fail "none is there"
done
after=$(sed -n 's/^op_lookup \([0-9]*\).*/\1/p' "$mnt/.stats")
# Looking at .stats itself costs two.
[ $((after - before)) -le 4 ] || fail "lookups: $before, then $after"
