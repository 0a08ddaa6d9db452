#!/bin/sh
# SPDX-License-Identifier: MIT
# mount(8), with what fstab puts into options; what the mount table shows.
. "$(dirname "$0")/lib.sh"
need_fuse
need_root
need findmnt
[ -x /sbin/mount.fuse3 ] || [ -x /sbin/mount.fuse ] || skip "no mount.fuse"

shown() {
	findmnt -n -o "$1" "$mnt"
}

# As "mount -t fuse.kvfs STORE" does for a kvfs in PATH, which mount resets.
mount -t fuse "$KVFS#$store" "$mnt" \
	-o nofail,noauto,_netdev,users,x-systemd.automount,comment=a,commit=7
is "$(shown FSTYPE)" fuse.kvfs "type"
is "$(shown SOURCE)" "$store" "source"
grep -qx 'commit 7' "$mnt/.kvfs/config" || fail "the option did not arrive"
stop

mount -t fuse "$KVFS#$store" "$mnt" -o ro
refused "Read-only file system" touch "$mnt/x"
stop

# From fstab itself.
cat >"$work/fstab" <<END
$KVFS#$store $mnt fuse defaults,noauto,nofail,allow_other,nosuid,nodev,noexec 0 0
END
mount -T "$work/fstab" "$mnt"
for word in nosuid nodev noexec allow_other; do
	case ,$(shown OPTIONS), in
	*,"$word",*) ;;
	*) fail "$word is not in force: $(shown OPTIONS)" ;;
	esac
done
stop

if mount -t fuse "$KVFS#$store" "$mnt" -o segment_size=1 2>"$work/err"; then
	fail "mounted with a value out of range"
fi
grep -q segment_size "$work/err" || fail "mount does not tell why"

# Names of ours may be replaced, also by ones with commas in them.
start -o 'fsname=my\,name,subtype=other'
is "$(shown FSTYPE)" fuse.other "subtype"
is "$(shown SOURCE)" 'my,name' "fsname"
stop
store=$work/'a, b\c'
start
is "$(shown SOURCE)" "$store" "source with a comma"
stop

# mount -o remount, as mount(8) hands it on.
start
echo kept >"$mnt/file"
"$KVFS" "$store" "$mnt" -o remount,ro,noexec
refused "Read-only file system" touch "$mnt/file"
is "$(cat "$mnt/file")" kept "contents of what is read-only"
for word in ro nosuid nodev noexec; do
	case ,$(shown OPTIONS), in
	*,"$word",*) ;;
	*) fail "$word is not in force: $(shown OPTIONS)" ;;
	esac
done
"$KVFS" "$store" "$mnt" -o remount,rw,exec
echo changed >"$mnt/file"
case ,$(shown OPTIONS), in
*,ro,* | *,noexec,*) fail "remount,rw,exec: $(shown OPTIONS)" ;;
esac
# By mount(8) itself, where kvfs is not asked.
mount -i -o remount,ro "$mnt"
refused "Read-only file system" touch "$mnt/file"
"$KVFS" "$store" "$mnt" -o remount,rw
mkdir "$mnt/below" "$work/elsewhere"
# Nothing but the mount itself is touched.
refused "nothing of kvfs" "$KVFS" "$store" "$mnt/below" -o remount,ro
refused "nothing of kvfs" "$KVFS" "$store" "$work/elsewhere" -o remount,ro
refused "No such file" "$KVFS" "$store" "$work/none" -o remount,ro
echo again >"$mnt/file"
stop
start
is "$(cat "$mnt/file")" again "contents after all that"
stop

# What root mounts allows neither devices nor set-id programs unasked.
start
for word in nosuid nodev; do
	case ,$(shown OPTIONS), in
	*,"$word",*) ;;
	*) fail "$word is not in force: $(shown OPTIONS)" ;;
	esac
done
stop
start -o suid,dev
case ,$(shown OPTIONS), in
*,nosuid,* | *,nodev,*) fail "suid,dev: $(shown OPTIONS)" ;;
esac
stop
