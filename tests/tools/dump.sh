#!/bin/sh
# SPDX-License-Identifier: MIT
# dump and load, export and import: everything comes back, whatever its bytes.
. "$(dirname "$0")/lib.sh"

new_store() {
	rm -rf "$work/copy"
	expect 0 create "$work/copy"
}

# same_keys: the copy has the keys and values that the target has.
same_keys() {
	"$kvctl" dump "$target" ${1:+"$1"} >"$work/a" || fail 'dump'
	"$kvctl" dump "$work/copy" ${1:+"$1"} >"$work/b" || fail 'dump'
	cmp "$work/a" "$work/b" >&2 || fail 'the copy differs'
}

fill() {
	head -c 200000 /dev/urandom >"$work/binary"
	head -c 20000000 /dev/urandom >"$work/large"
	long=$(printf '%0300d' 7)
	expect 0 set "$target" user/1 'Ada
' user/2 '' a//b 1 ../up 2 '' 3 'new
line' 4 "x/$long/y" 5 '100%' 6 'ä' 7 "back\\slash" 8 ' space ' 9
	expect 0 set "$target" binary --file "$work/binary"
	expect 0 set "$target" large --file "$work/large"
}

text() {
	"$kvctl" dump "$target" >"$work/dump" || fail 'dump'
	if LC_ALL=C grep -q '[^ -~]' "$work/dump"; then
		fail 'not printable ASCII'
	fi
	head -n 1 "$work/dump" | grep -qx '# kvctl dump 1' || fail 'header'
	tail -n 1 "$work/dump" | grep -qx 'e 13' || fail 'end'
	grep -A1 -Fx 'k user/1' "$work/dump" | grep -qFx 'v Ada\n' || fail 'Ada'
	new_store
	expect 0 load "$work/copy" <"$work/dump"
	same_keys
	"$kvctl" get "$work/copy" large | cmp - "$work/large" || fail 'large'
	# Once more, over what is there, from a file.
	expect 0 load "$work/copy" --file "$work/dump"
	same_keys

	# Ranges.
	"$kvctl" dump "$target" --prefix user/ >"$work/part"
	[ "$(grep -c '^k ' "$work/part")" -eq 2 ] || fail 'prefix'
	"$kvctl" dump "$target" --from user/2 --to user/3 >"$work/part"
	[ "$(grep -c '^k ' "$work/part")" -eq 1 ] || fail 'from and to'

	# Cut off at any line, it is an error that says so.
	lines=$(wc -l <"$work/part")
	i=0
	while [ "$i" -lt "$lines" ]; do
		head -n "$i" "$work/part" >"$work/cut"
		expect 2 load "$work/copy" --file "$work/cut"
		err_has 'the end is missing'
		i=$((i + 1))
	done
	new_store
	for line in 'v before a key' 'q x' 'k \xzz' 'b AAA' 'x' 'e 5'; do
		printf '# kvctl dump 1\nk good\nv 1\n%s\n' "$line" |
			sed "/^v before/{x;s/.*/# kvctl dump 1\nv y/;}" \
				>"$work/bad"
		expect 2 load "$work/copy" --file "$work/bad"
		err_has "line "
	done
	echo nonsense >"$work/bad"
	expect 2 load "$work/copy" --file "$work/bad"
	err_has 'not a dump of kvctl'
	expect 2 load "$work/copy" --file "$work/none"

	# By hand.
	new_store
	printf '%s\n' '# kvctl dump 1' '' '# a comment' 'k a\x2fb' 'v one' \
		'v \ttwo' 'b AAE=' 'k empty' 'e 2' >"$work/hand"
	expect 0 load "$work/copy" --file "$work/hand"
	printf 'one\ttwo\000\001' >"$work/expected"
	"$kvctl" get "$work/copy" a/b | cmp - "$work/expected" || fail 'by hand'
	expect 0 exists "$work/copy" empty

	# Attributes.
	expect 0 set "$target" moded x
	[ "$mode" = store ] || {
		chmod 4751 "$target/moded"
		touch -d '2001-02-03 04:05:06.123456789Z' "$target/moded"
	}
	new_store
	"$kvctl" dump -a "$target" --prefix moded >"$work/dump"
	expect 0 load "$work/copy" --file "$work/dump"
	expect 0 stat "$work/copy" moded
	[ "$mode" = store ] || {
		grep -qx 'mtime 2001-02-03T04:05:06.123456789Z' "$work/out" ||
			fail 'mtime'
		grep -qx 'mode 0751' "$work/out" || fail 'mode'
	}
	expect 0 delete "$target" moded
}

tar_stream() {
	"$kvctl" dump --tar "$target" >"$work/tar" || fail 'dump --tar'
	new_store
	expect 0 load --tar "$work/copy" <"$work/tar"
	same_keys -a
	# tar reads it, and what tar writes is read.
	mkdir "$work/tree-$mode"
	tar -xf "$work/tar" -C "$work/tree-$mode" || fail 'tar cannot read it'
	cmp "$work/large" "$work/tree-$mode/large" || fail 'tar: large'
	ln -s user/1 "$work/tree-$mode/link"
	ln "$work/tree-$mode/user/1" "$work/tree-$mode/hard"
	mkdir "$work/tree-$mode/empty"
	for format in gnu pax ustar; do
		[ $format != ustar ] || find "$work/tree-$mode" \
			-name '*0000*' -prune -exec rm -rf {} +
		tar -cf "$work/tar" --format=$format -C "$work/tree-$mode" . ||
			fail "tar --format=$format"
		new_store
		expect 0 load --tar "$work/copy" --file "$work/tar"
		expect 0 get "$work/copy" hard
		out_is Ada
		"$kvctl" get "$work/copy" large | cmp - "$work/large" ||
			fail 'large'
		expect 0 list -ld "$work/copy"
		grep -q ' link -> user/1$' "$work/out" || fail 'link'
		grep -q ' empty/$' "$work/out" || fail 'empty directory'
	done
	head -c 100000 "$work/tar" >"$work/cut"
	expect 2 load --tar "$work/copy" --file "$work/cut"
	expect 2 load --tar "$work/copy" --file "$work/binary"
	err_has 'not a tar archive'
}

trees() {
	rm -rf "$work/files"
	expect 0 export "$target" "$work/files"
	cmp "$work/large" "$work/files/large" || fail 'export: large'
	[ "$(cat "$work/files/user/1")" = Ada ] || fail 'export: user/1'
	# Again, over what is there.
	ln -sf /etc/passwd "$work/files/user/2"
	expect 0 export "$target" "$work/files"
	[ ! -L "$work/files/user/2" ] || fail 'a link was followed'
	new_store
	expect 0 import "$work/copy" "$work/files"
	same_keys -a
	ln -s user/1 "$work/files/link"
	expect 0 import "$work/copy" "$work/files"
	expect 0 list -l "$work/copy" -p link
	grep -q ' link -> user/1$' "$work/out" || fail 'import: link'
	mkfifo "$work/files/fifo"
	expect 2 import "$work/copy" "$work/files"
	err_has 'fifo: a special file: left out'
	expect 2 import "$work/copy" "$work/none"
	expect 2 export "$target" "$work/binary"
	# A link in the way is not gone through.
	rm -rf "$work/files"
	mkdir "$work/files" "$work/elsewhere-$mode"
	ln -s "$work/elsewhere-$mode" "$work/files/user"
	expect 2 export "$target" "$work/files" --prefix user
	[ -z "$(ls "$work/elsewhere-$mode")" ] || fail 'it went through a link'
}

# Loading into the target: the other direction.
into_target() {
	"$kvctl" dump "$work/copy" --prefix user >"$work/dump"
	expect 0 delete "$target" user/1 user/2
	expect 0 load "$target" --file "$work/dump"
	value_is user/1 Ada
	expect 0 delete -r "$target" user
	expect 0 load --tar "$target" --file "$work/tar"
	value_is hard Ada
	mkdir "$work/in-$mode" "$work/in-$mode/d"
	echo v >"$work/in-$mode/d/k"
	chmod 600 "$work/in-$mode/d/k"
	expect 0 import "$target" "$work/in-$mode"
	value_is d/k v
	expect 0 stat "$target" d/k
	grep -qx 'mode 0600' "$work/out" || fail 'import: mode'
}

body() {
	fill
	text
	tar_stream
	trees
	into_target
}

on_both body
