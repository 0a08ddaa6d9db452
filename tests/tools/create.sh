#!/bin/sh
# SPDX-License-Identifier: MIT
# create makes an empty store where there is nothing.
. "$(dirname "$0")/lib.sh"

expect 0 create "$work/new"
expect 0 list -d "$work/new"
out_is ''
expect 2 create "$work/new"
err_has 'is a store already'

mkdir "$work/empty" "$work/full"
: >"$work/full/file"
expect 0 create "$work/empty"
expect 0 set "$work/empty" k v
expect 2 create "$work/full"
[ -e "$work/full/file" ] || fail 'a file is gone'
[ "$(find "$work/full" | wc -l)" -eq 2 ] || fail 'something was made'
expect 2 create "$work/full/file"
expect 2 create "$work/none/below"

expect 0 create --block-size 8K "$work/blocks"
expect 0 stats --json "$work/blocks"
grep -q '"block_size": 8192,' "$work/out" || fail 'block size'
for size in 2K 3K 5000 2M x 4KB ''; do
	expect 2 create --block-size "$size" "$work/refused"
	[ ! -e "$work/refused" ] || fail 'something was made'
done
