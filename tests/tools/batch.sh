#!/bin/sh
# SPDX-License-Identifier: MIT
# Several keys in one call are one change of the store: what another sees, and
# what is there after a crash, is all of it or nothing. Conditions of set.
. "$(dirname "$0")/lib.sh"

# figure NAME: of the stats.
figure() {
	"$kvctl" stats --json "$target" |
		sed -n 's/^ *"'"$1"'": \([0-9]*\),*$/\1/p'
}

many() {
	seq 1 "$1" | sed 's/.*/k&/'
}

one_step() {
	# Directories are made first; the rest is one commit of the store.
	expect 0 set "$target" x/1 a
	before=$(figure commits)
	[ -n "$before" ] || fail 'no figure: commits'
	# shellcheck disable=SC2046 # a list of words
	expect 0 set "$target" $(many 500 | sed 's/.*/& v&/')
	[ "$mode" = store ] || {
		after=$(figure commits)
		# A file for the batch, its bytes, the batch, its end.
		[ $((after - before)) -le 8 ] ||
			fail "$((after - before)) commits for one batch"
	}
	value_is k500 vk500
	many 500 >"$work/keys"
	expect 0 delete "$target" - <"$work/keys"
	expect 0 list "$target"
	out_is x/1

	# More than one batch holds.
	many 5000 | sed 's/.*/& v/' >"$work/pairs"
	# shellcheck disable=SC2046
	expect 0 set "$target" $(cat "$work/pairs")
	expect 0 list "$target" --prefix k
	[ "$(wc -l <"$work/out")" -eq 5000 ] || fail 'not all of 5000'
	many 5000 >"$work/keys"
	expect 0 delete "$target" - <"$work/keys"
	# More directories than one batch holds.
	# shellcheck disable=SC2046
	expect 0 set "$target" $(seq 1 300 | sed 's,.*,d&/k v,')
	expect 0 list "$target" --prefix d
	[ "$(wc -l <"$work/out")" -eq 300 ] || fail 'not all of 300'
	seq 1 300 | sed 's,.*,d&/k,' >"$work/keys"
	expect 0 delete "$target" - <"$work/keys"
	seq 1 300 | sed 's,.*,d&,' >"$work/keys"
	expect 0 delete "$target" - <"$work/keys"
}

rules() {
	# The last value of a key given twice counts.
	expect 0 set "$target" twice 1 other 2 twice 3
	value_is twice 3
	# A directory in the batch is told, and the others are set.
	expect 2 set "$target" a 1 x 2 b 3
	err_has 'x: Is a directory'
	value_is b 3
	# What another has open stays readable for him.
	[ "$mode" = store ] || {
		exec 4<"$target/twice"
		expect 0 set "$target" twice new other new
		[ "$(cat <&4)" = 3 ] || fail 'the open file changed'
		exec 4<&-
		[ "$(cat "$target/twice")" = new ] || fail 'the mount is stale'
		[ "$(stat -c %h "$target/twice")" = 1 ] || fail 'link count'
		: >"$target/seen"
		ls "$target" >/dev/null
		expect 0 set "$target" fresh-1 x fresh-2 y
		expect 0 delete "$target" seen other
		ls "$target" >"$work/names"
		! grep -qx seen "$work/names" || fail 'ls shows what is gone'
		[ ! -e "$target/seen" ] || fail 'it is gone'
		grep -qx fresh-2 "$work/names" || fail 'ls lacks what is new'
		[ "$(cat "$target/fresh-1")" = x ] || fail 'new file'
	}
}

version() {
	"$kvctl" stat "$target" "$1" | sed -n 's/^version //p'
}

conditions() {
	expect 0 set "$target" --if-absent once first
	expect 1 set "$target" --if-absent once second
	value_is once first
	printf third | expect 1 set "$target" --if-absent once -
	value_is once first
	# Of several, those that are absent are set.
	expect 1 set "$target" --if-absent once x twice-not y
	value_is twice-not y

	before=$(version once)
	[ -n "$before" ] || fail 'stat shows no version'
	expect 1 set "$target" --if-version nonsense once new
	expect 0 set "$target" --if-version "$before" once new
	value_is once new
	[ "$(version once)" != "$before" ] || fail 'the version stays'
	expect 1 set "$target" --if-version "$before" once newer
	value_is once new
	expect 1 set "$target" --if-version "$before" nobody newer
	expect 1 exists "$target" nobody
	expect 2 set "$target" --if-version "$before" a 1 b 2
	expect 2 set "$target" --if-version "$before" --if-absent a 1
	expect 0 list "$target"
	! grep -q '\.kvctl' "$work/out" || fail 'something was left behind'
}

body() {
	one_step
	rules
	conditions
}

on_both body

# Of many that try at once, one is the first.
expect 0 create "$work/race"
mount_store "$work/race" "$work/race-mnt"
target=$work/race-mnt
for i in 1 2 3 4 5 6; do
	"$kvctl" set "$target" --if-absent lock "$i" && echo "$i" >>"$work/won" &
done
wait
[ "$(wc -l <"$work/won")" -eq 1 ] || fail 'not exactly one was the first'
value_is lock "$(cat "$work/won")"

# Who may not ask the daemon for a batch does the same one by one.
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
	expect 0 umount "$target"
	mount_store "$work/race" "$target" -o allow_other
	chmod 755 "$work"
	mkdir -m 777 "$target/public"
	setpriv --reuid=1234 --regid=1234 --clear-groups \
		"$kvctl" set "$target" public/a 1 public/b 2 || fail 'as another'
	value_is public/b 2
	[ "$(stat -c %u "$target/public/a")" = 1234 ] || fail 'whose file?'
	printf 'public/a\npublic/b\n' | setpriv --reuid=1234 --regid=1234 \
		--clear-groups "$kvctl" delete "$target" - || fail 'delete'
	expect 1 exists "$target" public/a
	status=0
	setpriv --reuid=1234 --regid=1234 --clear-groups "$kvctl" \
		set "$target" a 1 b 2 2>"$work/err" || status=$?
	[ "$status" -eq 2 ] || fail 'set without the right to'
fi
