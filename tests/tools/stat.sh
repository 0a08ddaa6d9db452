#!/bin/sh
# SPDX-License-Identifier: MIT
# stat shows what is known of keys.
. "$(dirname "$0")/lib.sh"

body() {
	expect 0 set "$target" a/b 12345
	expect 0 stat "$target" a/b
	for line in 'key a/b' 'type file' 'size_bytes 5' 'nlink 1' \
		"uid $(id -u)" "gid $(id -g)"; do
		grep -qx "$line" "$work/out" || fail "no line: $line"
	done
	grep -Eqx 'mtime 20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{9}Z' \
		"$work/out" || fail 'mtime'

	expect 0 stat "$target" a
	grep -qx 'type directory' "$work/out" || fail 'type of a directory'

	expect 1 stat "$target" a/b c
	err_has 'c: no such key'
	expect 0 stat --json "$target" a/b a
	[ "$(wc -l <"$work/out")" -eq 2 ] || fail 'not one object a line'
	if command -v python3 >/dev/null; then
		python3 -c 'import json, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
assert [row["key"] for row in rows] == ["a/b", "a"], rows
assert rows[0]["size_bytes"] == 5, rows' "$work/out" || fail 'no JSON'
	fi
}

on_both body
