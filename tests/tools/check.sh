#!/bin/sh
# SPDX-License-Identifier: MIT
# check finds what is damaged, names the paths, and exits as fsck does.
. "$(dirname "$0")/lib.sh"

# damage TEXT: changes each occurrence of it in the segments by one letter.
damage() {
	: >"$work/found"
	for segment in "$store"/*.seg; do
		LC_ALL=C grep -abo -e "$1" "$segment" | cut -d: -f1 |
			while read -r offset; do
				echo "$offset" >>"$work/found"
				printf X | dd of="$segment" bs=1 \
					seek="$offset" conv=notrunc status=none
			done
	done
	[ -s "$work/found" ] || fail "$1 is nowhere in the store"
}

names_the_path() {
	grep -q '^user/42: ' "$work/out" || fail 'the path is not named'
	! grep -q 'user/7' "$work/out" || fail 'a sound path is named'
}

body() {
	expect 0 check "$target"
	out_is ''
	expect 0 set "$target" user/42 a-value-to-damage user/7 sound
	expect 0 check "$target"
	expect 0 fsck "$target"
	out_is ''
}

expect 16 check
expect 16 check "$work" more
expect 16 check --bogus "$work"
expect 8 check "$work"
expect 8 check "$work/none"

mode=store
store=$work/damaged
target=$store
expect 0 create "$store"
expect 0 set "$store" user/42 a-value-to-damage user/7 sound
damage a-value-to-damage
expect 4 check "$store"
names_the_path
expect 4 check --json "$store"
grep -q '"path":"user/42"' "$work/out" || fail 'no path in JSON'
expect 2 get "$store" user/42
value_is user/7 sound

if can_mount; then
	mode=mount
	target=$work/mnt
	mount_store "$store" "$target"
	expect 4 check "$target"
	names_the_path
	expect 4 check "$store"
	expect 0 umount "$target"
fi

on_both body
