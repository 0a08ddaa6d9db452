#!/bin/sh
# SPDX-License-Identifier: MIT
# Wrong use: one clear line, a status that is not 0, nothing made or changed.
. "$(dirname "$0")/lib.sh"
need_fuse

# What is there: names, types, modes, times.
picture() {
	(cd "$work" && find . -path ./out -prune -o -path ./err -prune \
		-o -path ./before -prune -o -path ./after -prune \
		-o -printf '%p %y %m %s %T@\n' | LC_ALL=C sort)
}

# wrong STATUS TEXT COMMAND...
wrong() {
	want=$1 text=$2
	shift 2
	for file in out err before after; do : >"$work/$file"; done
	picture >"$work/before"
	status=0
	"$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
	is "$status" "$want" "exit status of $*"
	is "$(wc -l <"$work/err")" 1 "lines on stderr of $*: $(cat "$work/err")"
	grep -qF -e "$text" "$work/err" ||
		fail "$*: '$(cat "$work/err")' lacks '$text'"
	grep -q '^kvfs: ' "$work/err" || fail "$*: not kvfs's line"
	[ ! -s "$work/out" ] || fail "$*: something on stdout"
	picture >"$work/after"
	cmp -s "$work/before" "$work/after" ||
		fail "$* changed something: $(diff "$work/before" "$work/after")"
	! mountpoint -q "$mnt" || [ -n "${mounted:-}" ] ||
		fail "$*: mounted"
}

wrong 2 "MOUNTPOINT" "$KVFS"
wrong 2 "MOUNTPOINT" "$KVFS" "$store"
wrong 2 "too many" "$KVFS" "$store" "$mnt" more
wrong 2 "-x" "$KVFS" -x "$store" "$mnt"
wrong 1 "frobnicate" "$KVFS" "$store" "$mnt" -o frobnicate
wrong 1 "frobnicate" "$KVFS" "$store" "$mnt" -o commit=1,frobnicate=2,rw
for option in segment_size=1 segment_size=1E block_size=5000 commit=-1 \
	commit=x durability=maybe compress=zlib:11 compact_ratio=0 memory=1 \
	stats=yes log_level=loud slow_op=1h size=; do
	wrong 1 "${option%%=*}" "$KVFS" "$store" "$mnt" -o "$option"
done
wrong 1 "does not exist" "$KVFS" "$store" "$work/nowhere"
: >"$work/file"
wrong 1 "not a directory" "$KVFS" "$store" "$work/file"
wrong 1 "not a directory" "$KVFS" "$work/file" "$mnt"
wrong 1 "No such file" "$KVFS" "$work/no/where" "$mnt"
wrong 1 "does not exist" "$KVFS" "$store" "$mnt" -o ro
mkdir "$work/full"
: >"$work/full/something"
wrong 1 "not a store" "$KVFS" "$work/full" "$mnt"
mkdir "$work/empty"
wrong 1 "in store" "$KVFS" "$mnt" "$mnt"
mkdir "$work/empty/below"
wrong 1 "in store" "$KVFS" "$work/empty" "$work/empty/below"
wrong 1 "hide" "$KVFS" "$work/empty/below" "$work/empty"
rmdir "$work/empty/below"

# A store that is mounted already.
start
echo kept >"$mnt/file"
mkdir "$work/mnt2"
mounted=yes
wrong 1 "in use" "$KVFS" "$store" "$work/mnt2"
wrong 1 "in use" "$KVFS" "$store" "$work/mnt2" -f
is "$(cat "$mnt/file")" kept "contents on the first mount"
mounted=
stop

# A mount whose daemon died.
start -f &
i=0
until [ -e "$mnt/.stats" ]; do
	i=$((i + 1))
	[ $i -lt 300 ] || fail "not mounted"
	sleep 0.1
done
kill -KILL $! "$(ps -o pid= --ppid $!)" 2>/dev/null || :
wait 2>/dev/null || :
i=0
while ls "$mnt" >/dev/null 2>&1; do
	i=$((i + 1))
	[ $i -lt 100 ] || fail "the daemon lives"
	sleep 0.1
done
status=0
"$KVFS" "$store" "$mnt" 2>"$work/err" || status=$?
is $status 1 "exit status on a dead mount"
is "$(wc -l <"$work/err")" 1 "lines"
grep -q fusermount3 "$work/err" || fail "no advice"
gone

# As another user.
[ "$(id -u)" -eq 0 ] || exit 0
command -v setpriv >/dev/null || exit 0
command -v unshare >/dev/null || exit 0
chmod 755 "$work"
wrong 1 "ermission denied" setpriv --reuid=65534 --regid=65534 \
	--clear-groups "$KVFS" "$store" "$mnt"
# A mountpoint that is not the user's, with a new store of his own.
mkdir "$work/his"
chown 65534 "$work/his"
wrong 1 "cannot " setpriv --reuid=65534 --regid=65534 \
	--clear-groups "$KVFS" "$work/his/store" "$mnt"

# No /dev/fuse.
without_device() {
	# shellcheck disable=SC2016 # for the inner shell
	unshare -m sh -c 'mount -t tmpfs none /dev && exec "$@"' sh "$@"
}
wrong 1 "/dev/fuse" without_device "$KVFS" "$store" "$mnt"
wrong 1 "/dev/fuse" without_device "$KVFS" "$work/new" "$mnt"
