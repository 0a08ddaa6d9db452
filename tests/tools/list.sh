#!/bin/sh
# SPDX-License-Identifier: MIT
# list shows keys in order, and the part of them that was asked for.
. "$(dirname "$0")/lib.sh"

lists() {
	wanted=$1
	shift
	expect 0 list "$target" "$@"
	out_is "$(printf '%s' "$wanted" | tr ' ' '\n')"
}

body() {
	lists ''
	lists '' --prefix x
	expect 0 set "$target" user/7 a user/42 bb zoo c user/42x/mail d \
		user.old e b/2 f b/1 g
	expect 0 set "$target" gone/x y
	expect 0 delete "$target" gone/x

	lists 'b/1 b/2 user/42 user/42x/mail user/7 user.old zoo'
	lists 'b/1 b/2 b/ gone/ user/42 user/42x/mail user/42x/ user/7 user/ user.old zoo' -d
	lists 'b/ gone/ user/ user.old zoo' -s
	lists 'user/42 user/42x/ user/7' -s --prefix user/
	lists 'user/42 user/42x/mail user/7' --prefix user/
	lists 'user/42 user/42x/mail' -p user/4
	lists 'user/42 user/42x/mail user/7 user.old' -p user
	lists '' -p nobody/
	lists 'user/7 user.old zoo' --from user/42y
	lists 'user/42 user/42x/mail' --from user/42 --to user/7
	lists 'user/42x/mail user/7' --after user/42 --to user.old
	lists 'b/1 b/2' --limit 2
	lists 'user/42 user/42x/mail' --limit 2 --after b/2
	lists '' --limit 0
	lists 'user/42x/mail' -p user/ --after user/42 -n 1
	expect 2 list "$target" --limit -1
	expect 2 list "$target" --limit 1x
	expect 2 list "$target" user

	# Longer lines.
	expect 0 list -l "$target" -p user/4 -n 1
	grep -Eq '^-rw-r--r-- 1 [0-9]+ [0-9]+ 2 [0-9T:.-]+Z user/42$' \
		"$work/out" || fail 'list -l'
	expect 0 list -j "$target" -p user/4 -n 1
	grep -Eq '^\{"key":"user/42","type":"file","size_bytes":2,.*\}$' \
		"$work/out" || fail 'list --json'

	# Many names in one directory: page after page, each key once.
	i=0
	set --
	while [ "$i" -lt 3000 ]; do
		set -- "$@" "$i"
		i=$((i + 1))
	done
	for key; do
		printf '%s\000%s\000' "many/a-key-with-a-name-$key" "$key"
	done | xargs -0 "$kvctl" set "$target" || fail 'set'
	expect 0 list "$target" -p many/
	printf 'many/a-key-with-a-name-%s\n' "$@" | LC_ALL=C sort |
		cmp -s - "$work/out" || fail 'not all keys in order'

	# From page to page by --after.
	last=
	: >"$work/pages"
	while :; do
		expect 0 list "$target" -p many/ -n 700 --after "$last"
		[ -s "$work/out" ] || break
		cat "$work/out" >>"$work/pages"
		last=$(tail -n 1 "$work/out")
	done
	[ "$(wc -l <"$work/pages")" -eq 3000 ] || fail 'pages lose keys'
}

on_both body
