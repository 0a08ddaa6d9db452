# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Sourced by the tests of the mount: a store and a mountpoint in a place of
# their own that is left as it was found, and what a command should do.
#
# Given: KVFS, the program to test; TMPDIR, where stores and mounts go. Made:
# $work, $store (a path that does not exist yet), $mnt (an empty directory).
set -eu

: "${KVFS:?the kvfs to test}"
work=$(mktemp -d "${TMPDIR:-/tmp}/kvfs-test.XXXXXX")
work=$(cd "$work" && pwd -P)
store=$work/store
mnt=$work/mnt
mkdir "$mnt"

# Mountpoints in $work, the innermost first.
mounts_left() {
	awk -v dir="$work/" 'index($5, dir) == 1 { print $5 }' \
		/proc/self/mountinfo | sort -r
}

# Takes a mount away though it is busy, or its daemon dead.
detach() {
	umount -l "$1" 2>/dev/null || fusermount3 -u -z "$1"
}

cleanup() {
	status=$?
	trap - EXIT
	cd /
	mounts_left | while read -r point; do
		detach "$point"
	done
	if [ -e "$store/LOCK" ]; then
		wait_closed "$store" || status=1
	fi
	chmod -R u+rwx "$work" 2>/dev/null || :
	rm -rf "$work"
	exit "$status"
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

skip() {
	echo "SKIP: $*"
	exit 77
}

fail() {
	echo "FAILED: $*" >&2
	exit 1
}

need_fuse() {
	[ -e /dev/fuse ] || skip "no /dev/fuse"
	if [ "$(id -u)" -ne 0 ] && ! command -v fusermount3 >/dev/null; then
		skip "no fusermount3, and not root"
	fi
}

need_root() {
	[ "$(id -u)" -eq 0 ] || skip "not root"
}

need() {
	for tool in "$@"; do
		command -v "$tool" >/dev/null || skip "no $tool"
	done
}

# A store's lock is held as long as a daemon has it open.
wait_closed() {
	flock -w 60 "$1/LOCK" true || {
		echo "FAILED: the daemon of $1 does not end" >&2
		return 1
	}
}

# start [ARGUMENT...]: mounts $store on $mnt; more options may be given.
start() {
	"$KVFS" "$store" "$mnt" "$@" || fail "cannot mount: kvfs $*"
	mountpoint -q "$mnt" || fail "kvfs returned before the mount was there"
}

# unmount [POINT]: $mnt, or another. Whoever looks at all mounts, as df does, makes
# each of them busy for a moment.
unmount() {
	point=${1:-$mnt}
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		umount "$point" 2>/dev/null && return
		fusermount3 -u -q "$point" 2>/dev/null && return
		sleep 0.1
	done
	umount "$point" || fail "cannot unmount"
}

# Unmounts and waits until the store is closed.
stop() {
	unmount
	wait_closed "$store" || exit 1
}

restart() {
	stop
	start "$@"
}

daemon_pid() {
	pgrep -f "^$KVFS $store $mnt" || fail "no daemon"
}

# The daemon has ended without unmounting.
gone() {
	detach "$mnt"
	wait_closed "$store" || exit 1
}

killed() {
	kill -9 "$(daemon_pid)"
	gone
}

# The names in a directory, in one line.
names() {
	find "$1" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort | tr '\n' ' '
}

# Drops what the kernel knows, so that the daemon is asked again.
drop_caches() {
	if [ "$(id -u)" -eq 0 ] && [ -w /proc/sys/vm/drop_caches ]; then
		echo 2 >/proc/sys/vm/drop_caches 2>/dev/null || :
	fi
}

# is ACTUAL EXPECTED WHAT
is() {
	[ "$1" = "$2" ] || fail "$3: '$1', not '$2'"
}

# refused ERROR COMMAND...: the command fails, and says ERROR.
refused() {
	expected_error=$1
	shift
	if LC_ALL=C "$@" >"$work/out" 2>&1; then
		fail "$* succeeded, and should fail: $expected_error"
	fi
	grep -qF -e "$expected_error" "$work/out" ||
		fail "$*: '$(cat "$work/out")', not '$expected_error'"
}

# py [ARGUMENT...]: a program for what a shell cannot do, on standard input. It
# starts in the mount and has os, sys, time, fails(ERRNO, FUNCTION, ARGUMENT...)
# and settle().
py() {
	{
		cat <<'END'
import ctypes, errno, fcntl, os, stat, struct, sys, time

def fails(number, function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except OSError as error:
        assert error.errno == number, (error, errno.errorcode[number])
    else:
        raise AssertionError("should fail: " + errno.errorcode[number])

def settle():
    """Until the clock that files are stamped with has passed every stamp so
    far: the kernel may have given some from a finer one, ahead of it."""
    now = time.time_ns()
    while time.clock_gettime_ns(5) <= now: # CLOCK_REALTIME_COARSE
        time.sleep(0.001)

libc = ctypes.CDLL(None, use_errno=True)

def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result

END
		cat
	} >"$work/program.py"
	(cd "$mnt" && python3 "$work/program.py" "$@") ||
		fail "a program's assertion"
}

# The value of one line of a virtual file, as $(stat_of keys).
stat_of() {
	sed -n "s/^$1 \([^ ]*\).*/\1/p" "$mnt/.stats"
}
