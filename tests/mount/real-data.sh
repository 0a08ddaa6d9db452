#!/bin/sh
# SPDX-License-Identifier: MIT
# The main job on real input: trees of headers and documentation, symbolic
# links included, go in by rsync, are found again after a remount, bit by bit,
# and leave their space when they are removed and the store is compacted.
. "$(dirname "$0")/lib.sh"
: "${KVCTL:?the kvctl to test}"
need_fuse
need_root
need rsync

disk_use() {
	du -s --block-size=1 "$store" | cut -f1
}

start
for tree in /usr/include /usr/share/doc; do
	rsync -aHAX "$tree" "$mnt/"
	is "$(rsync -aHAXni "$tree" "$mnt/")" "" "a second run of $tree"
done
files=$(find "$mnt" -type f | wc -l)
[ "$files" -gt 5000 ] || fail "only $files files to work with"
echo "$files files, $(find "$mnt" -type l | wc -l) symbolic links"
restart
for tree in /usr/include /usr/share/doc; do
	is "$(rsync -aHAXnic --delete "$tree" "$mnt/")" "" \
		"$tree after a remount"
done
"$KVCTL" check "$mnt" || fail "check found something"
full=$(disk_use)
full_df=$(df --output=used --block-size=1 "$mnt" | tail -n 1)
rm -rf "$mnt/include" "$mnt/doc"
"$KVCTL" compact "$mnt"
empty=$(disk_use)
empty_df=$(df --output=used --block-size=1 "$mnt" | tail -n 1)
echo "disk use $full, then $empty; df $full_df, then $empty_df"
[ $((empty * 20)) -lt "$full" ] || fail "the space was not given back"
[ $((empty_df * 20)) -lt "$full_df" ] || fail "df does not agree"
stop
