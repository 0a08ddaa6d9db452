# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Sourced by the tests of kvctl: a place to work in that is left as it was
# found, what a command should give, and the same test on a store that is not
# mounted and on one that is.
#
# Given: KVCTL and KVFS, the programs; TMPDIR, where stores and mounts go.
set -eu

kvctl=${KVCTL:?the kvctl to test}
work=$(mktemp -d "${TMPDIR:-/tmp}/kvctl-test.XXXXXX")
work=$(cd "$work" && pwd -P)
store=
target=
mode=

# Mountpoints in $work, whatever state they are in.
mounts_left() {
	sed -n 's/^\([^ ]* \)\{4\}\([^ ]*\) .*/\2/p' /proc/self/mountinfo |
		grep -F "$work/" | sed 's/\\040/ /g' || :
}

cleanup() {
	status=$?
	trap - EXIT
	mounts_left | while IFS= read -r point; do
		"$kvctl" umount "$point" || umount -l "$point" 2>/dev/null ||
			fusermount3 -u -z "$point"
	done
	rm -rf "$work"
	exit "$status"
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
	echo "FAILED${mode:+ ($mode)}: $*" >&2
	for file in "$work/out" "$work/err"; do
		[ -s "$file" ] || continue
		echo "--- ${file##*/}:" >&2
		head -c 2000 "$file" >&2
		echo >&2
	done
	exit 1
}

# expect STATUS ARGUMENT...: runs kvctl; what it wrote is in $work/out, err.
# An error is one line, and only an error has one.
expect() {
	expect_status=$1
	shift
	status=0
	"$kvctl" "$@" >"$work/out" 2>"$work/err" || status=$?
	[ "$status" -eq "$expect_status" ] ||
		fail "kvctl $*: exit status $status, not $expect_status"
	if [ "$status" -eq 0 ] && [ -s "$work/err" ]; then
		fail "kvctl $*: done, and yet something on stderr"
	fi
	if grep -qv '^kvctl: ' "$work/err"; then
		fail "kvctl $*: a line on stderr that is not kvctl's"
	fi
}

# out_is TEXT: the last command wrote exactly this, but for a last line feed.
out_is() {
	[ "$(cat "$work/out"; echo .)" = "$1." ] ||
		[ "$(cat "$work/out"; echo .)" = "$1
." ] || fail "not what was expected: $1"
}

err_has() {
	grep -qF -e "$1" "$work/err" || fail "stderr lacks: $1"
}

value_is() {
	expect 0 get "$target" "$1"
	out_is "$2"
}

can_mount() {
	[ -n "${KVFS:-}" ] && [ -x "$KVFS" ] && [ -r /dev/fuse ] &&
		[ -w /dev/fuse ]
}

# mount_store STORE MOUNTPOINT [OPTION...]
mount_store() {
	mkdir -p "$2"
	"$KVFS" "$@" || fail "kvfs $*"
}

# need_mount: the whole test is about mounts.
need_mount() {
	can_mount && return
	echo "SKIP: no kvfs, or no access to /dev/fuse"
	exit 77
}

# on_both BODY: with $target a store's directory, then a mountpoint. Each time
# the store is new; $store is its directory.
on_both() {
	mode=store
	store=$work/store-alone
	target=$store
	expect 0 create "$store"
	"$1"
	expect 0 check "$store"

	if ! can_mount; then
		echo "SKIP: mounted stores: no kvfs, or no access to /dev/fuse"
		exit 77
	fi
	mode=mount
	store=$work/store-mounted
	target=$work/mnt
	mount_store "$store" "$target"
	"$1"
	expect 0 umount "$target"
	expect 0 check "$store"
	mode=
}
