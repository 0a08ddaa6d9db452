#!/bin/sh
# SPDX-License-Identifier: MIT
# What STORE may be: a store, a mountpoint, a store that is mounted.
. "$(dirname "$0")/lib.sh"

store=$work/store
point=$work/mnt
expect 0 create "$store"
expect 0 set "$store" dir/key value

# Neither.
expect 2 get "$work/none" k
err_has "$work/none: No such file or directory"
expect 2 get "$work" k
err_has "$work: neither a kvfs store nor a mountpoint of one"
expect 2 get /proc k
err_has '/proc: neither'
: >"$work/file"
expect 2 get "$work/file" k
expect 2 get

# Relative paths, links, slashes.
(cd "$work" && expect 0 get store dir/key && expect 0 get ./store/ dir/key)
(cd "$store" && expect 0 get . dir/key)
ln -s store "$work/link"
expect 0 get "$work/link" dir/key

need_mount

mount_store "$store" "$point"
for target in "$point" "$point/" "$store" "$work/link"; do
	value_is dir/key value
done
(cd "$point" && expect 0 get . dir/key)

# Through the store's path the mount is worked on: it sees the change at once.
cat "$point/dir/key" >/dev/null
expect 0 set "$store" dir/key changed
[ "$(cat "$point/dir/key")" = changed ] || fail 'the mount shows old data'
echo shell >"$point/other"
expect 0 get "$store" other
out_is shell

# Inside the mount is not a store.
expect 2 get "$point/dir" key
err_has "inside the store mounted on $point"

# What a mount shows by itself is no key there either.
expect 1 get "$point" .stats
expect 1 exists "$point" .kvfs/health
expect 0 list "$point" -s
out_is 'dir/
other'

# Links are not followed.
ln -s dir "$point/shortcut"
ln -s /etc/passwd "$point/outside"
expect 1 get "$point" shortcut/key
expect 2 get "$point" outside
expect 0 list -l "$point" -p outside
grep -q 'outside -> /etc/passwd$' "$work/out" || fail 'list -l of a link'
expect 0 umount "$point"
expect 1 get "$store" shortcut/key
expect 2 get "$store" outside
expect 0 list -l "$store" -p outside
grep -q 'outside -> /etc/passwd$' "$work/out" || fail 'list -l of a link'

# A store within a mounted store is a store.
mount_store "$store" "$point"
expect 0 create "$point/inner"
expect 0 set "$point/inner" k v
expect 0 get "$point/inner" k
out_is v
expect 0 umount "$point"

# One that another process has open, and that is mounted nowhere.
if command -v flock >/dev/null; then
	status=0
	flock -x "$store/LOCK" "$kvctl" get "$store" other \
		2>"$work/err" || status=$?
	[ "$status" -eq 2 ] || fail "status $status of a locked store"
	err_has 'open in another process'
fi
