#!/bin/sh
# SPDX-License-Identifier: MIT
# The unit's commands do what systemd expects of them: the first returns when
# the mount is usable and leaves one daemon, the second when that has ended.
. "$(dirname "$0")/lib.sh"
need_mount

root=$(cd "$(dirname "$0")/../.." && pwd)
unit=$root/tools/systemd/kvfs@.service.in
mkdir "$work/bin" "$work/mnt"
ln -s "$KVFS" "$work/bin/kvfs"
ln -s "$kvctl" "$work/bin/kvctl"

# command NAME [FILE]: a command of the unit, as systemd would run it.
command_of() {
	sed -n "s,@bindir@,$work/bin,; s/^$1=-\{0,1\}//p" "${2:-$unit}"
}

run_command() {
	STORE=$work/store MOUNTPOINT=$work/mnt OPTIONS=commit=7 \
		sh -ec "$1"
}

for name in ExecStart ExecStop ExecStopPost; do
	[ "$(command_of $name | wc -l)" -eq 1 ] || fail "no $name"
done
for i in 1 2; do
	run_command "$(command_of ExecStart)" || fail 'ExecStart'
	grep -qx 'commit 7' "$work/mnt/.kvfs/config" || fail 'OPTIONS'
	echo "$i" >>"$work/mnt/file"
	run_command "$(command_of ExecStart \
		"$root/tools/systemd/kvfs-scrub@.service.in")" || fail 'scrub'
	run_command "$(command_of ExecStop)" || fail 'ExecStop'
	! mountpoint -q "$work/mnt" || fail 'still mounted'
	expect 0 get "$work/store" file
done
out_is '1
2'

# A killed daemon: what is left is cleared away, and it starts again.
run_command "$(command_of ExecStart)" || fail 'ExecStart'
pid=$(sed -n 's/.*"pid": \([0-9]*\),.*/\1/p' "$work/mnt/.kvfs/stats.json")
kill -9 "$pid"
if [ "$(id -u)" -eq 0 ]; then
	run_command "$(command_of ExecStopPost)" || fail 'ExecStopPost'
	run_command "$(command_of ExecStart)" || fail 'after a kill'
	[ "$(cat "$work/mnt/file")" = '1
2' ] || fail 'after a kill'
	run_command "$(command_of ExecStop)" || fail 'ExecStop'
fi

if command -v systemd-analyze >/dev/null; then
	for name in kvfs@.service kvfs-scrub@.service; do
		sed "s,@bindir@,$work/bin," \
			"$root/tools/systemd/$name.in" >"$work/$name"
	done
	cp "$root/tools/systemd/kvfs-scrub@.timer" "$work"
	for name in kvfs@x.service kvfs-scrub@x.timer; do
		cp "$work/$(echo $name | sed 's/@x/@/')" "$work/$name"
		systemd-analyze verify --man=no "$work/$name" >"$work/out" 2>&1 ||
			fail "systemd-analyze verify $name"
	done
fi
