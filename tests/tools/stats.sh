#!/bin/sh
# SPDX-License-Identifier: MIT
# stats and health show what .stats and .kvfs/health in a mount show.
. "$(dirname "$0")/lib.sh"

body() {
	expect 0 set "$target" a 1 b 2
	expect 0 stats "$target"
	for name in version store health keys disk_bytes lsn; do
		grep -q "^$name " "$work/out" || fail "no line: $name"
	done
	grep -qx "store $store" "$work/out" || fail 'store'
	sed 's/ .*//' "$work/out" | grep -v '^op_' >"$work/names-$mode"
	expect 0 stats --json "$target"
	if command -v python3 >/dev/null; then
		python3 -c 'import json, sys
figures = json.load(open(sys.argv[1]))
assert figures["files"] == 3, figures' "$work/out" || fail 'no JSON'
	fi
	expect 0 health "$target"
	out_is ok
	expect 2 stats "$target" a
}

on_both body
cmp -s "$work/names-store" "$work/names-mount" ||
	fail 'not the same lines mounted and not'

mount_store "$work/store-off" "$work/mnt" -o stats=off
expect 2 stats "$work/mnt"
err_has 'mounted with stats=off'
expect 2 health "$work/mnt"
