#!/bin/sh
# SPDX-License-Identifier: MIT
# umount returns when the daemon has ended: the store can be opened at once.
. "$(dirname "$0")/lib.sh"
need_mount

store=$work/store
point=$work/mnt

expect 2 umount "$work/none"
expect 2 umount "$work"
err_has 'neither a kvfs store nor a mountpoint'
expect 0 create "$store"
expect 2 umount "$store"
err_has 'not mounted'
expect 2 umount
expect 2 umount "$store" "$store"
expect 2 umount --timeout soon "$store"

# By mountpoint and by store; each time the lock is free afterwards.
for i in 1 2 3 4 5; do
	mount_store "$store" "$point"
	echo "$i" >"$point/file"
	expect 0 umount "$point"
	! mountpoint -q "$point" || fail 'still mounted'
	expect 0 get "$store" file
	out_is "$i"

	mount_store "$store" "$point"
	expect 0 umount --timeout 60 "$store"
	! mountpoint -q "$point" || fail 'still mounted'
	expect 0 get "$store" file
done

# A busy mount stays.
mount_store "$store" "$point"
(cd "$point" && expect 2 umount "$point")
mountpoint -q "$point" || fail 'unmounted while in use'
expect 0 umount "$point"

# A path with a space.
mount_store "$store" "$work/mnt two"
expect 0 umount "$work/mnt two"
expect 0 list "$store"

# More than one mountpoint: the last one ends the daemon.
if [ "$(id -u)" -eq 0 ]; then
	mount_store "$store" "$point"
	mkdir "$work/mnt-bound"
	if mount --bind "$point" "$work/mnt-bound" 2>/dev/null; then
		expect 2 umount "$point"
		err_has 'still mounted on'
		mountpoint -q "$work/mnt-bound" || fail 'unmounted too much'
		expect 0 umount "$store"
		! mountpoint -q "$work/mnt-bound" || fail 'still mounted'
	else
		expect 0 umount "$point"
	fi
	expect 0 list "$store"
fi

# A daemon that was killed leaves a mount that can be ended.
mount_store "$store" "$point"
pid=$(sed -n 's/.*"pid": \([0-9]*\),.*/\1/p' "$point/.kvfs/stats.json")
kill -9 "$pid"
expect 0 umount "$point"
! mountpoint -q "$point" || fail 'still mounted'
expect 0 list "$store"
