#!/bin/sh
# SPDX-License-Identifier: MIT
# A user's own mount, through fusermount3. Root plays that user, in a mount
# namespace of its own, where users may open /dev/fuse.
if [ "$(id -u)" -eq 0 ] && [ -z "${IN_NAMESPACE:-}" ]; then
	IN_NAMESPACE=1 exec unshare --mount --propagation private sh "$0"
fi
if [ -n "${IN_NAMESPACE:-}" ]; then
	# It has what was mounted elsewhere as well; a mount that is ended there
	# would live on here, and its daemon with it.
	awk '/ - fuse/ { print $5 }' /proc/self/mountinfo | sort -r |
		while read -r point; do
			umount -l "$(printf '%b' "$point")"
		done
fi
. "$(dirname "$0")/lib.sh"
need_fuse
need fusermount3

if [ "$(id -u)" -eq 0 ]; then
	user=nobody
	as_user() {
		setpriv --reuid="$(id -u "$user")" --regid="$(id -g "$user")" \
			--clear-groups "$@"
	}
	mkdir "$work/dev"
	mount -t tmpfs -o dev,mode=755 tmpfs "$work/dev"
	mknod -m 666 "$work/dev/fuse" c 10 229
	mount --bind "$work/dev/fuse" /dev/fuse
else
	user=$(id -un)
	as_user() {
		"$@"
	}
fi
chmod 755 "$work"
mkdir "$work/his"
chown "$user" "$work/his"
# The program may be where he cannot go.
cp "$KVFS" "$work/kvfs"
store=$work/his/store
mnt=$work/his/mnt
as_user mkdir "$mnt"
as_user "$work/kvfs" "$store" "$mnt" || fail "a user cannot mount"
# shellcheck disable=SC2016 # for the inner shell
as_user sh -c 'echo mine >"$1/file"' sh "$mnt"
is "$(as_user cat "$mnt/file")" mine "contents"
is "$(as_user stat -c %U "$mnt/file")" "$user" "owner"
if [ "$(id -u)" -eq 0 ]; then
	refused "Permission denied" cat "$mnt/file"
fi
as_user fusermount3 -u "$mnt"
wait_closed "$store"

# A signal unmounts for him, too.
# shellcheck disable=SC2016 # for the inner shell
as_user sh -c 'echo $$ >"$1"; shift; exec "$@" -f' sh "$work/his/pid" \
	"$work/kvfs" "$store" "$mnt" &
starter=$!
i=0
until as_user test -e "$mnt/file"; do
	i=$((i + 1))
	[ $i -lt 300 ] || fail "not mounted"
	sleep 0.1
done
kill -TERM "$(cat "$work/his/pid")"
wait $starter || fail "exit status of a user's mount"
! mountpoint -q "$mnt" || fail "a user's mount is left"

# Others see it only where the administrator allows that.
if ! grep -qs '^user_allow_other' /etc/fuse.conf; then
	refused "allow_other" as_user "$work/kvfs" "$store" "$mnt" \
		-o allow_other
	! mountpoint -q "$mnt" || fail "mounted in spite of that"
fi
