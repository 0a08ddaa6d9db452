#!/bin/sh
# SPDX-License-Identifier: MIT
# Set-id bits go when somebody unprivileged writes, stay when root does.
. "$(dirname "$0")/lib.sh"
need_fuse
need_root
need python3 setpriv
chmod 755 "$work"
start -o allow_other
chmod 777 "$mnt"

cat >"$work/write.py" <<'END'
import os, sys
what, name = sys.argv[1:]
fd = os.open(name, os.O_RDWR)
if what == "write":
    os.pwrite(fd, b"x", 0)
elif what == "append":
    os.lseek(fd, 0, 2)
    os.write(fd, b"x")
elif what == "truncate":
    os.ftruncate(fd, 1)
elif what == "fallocate":
    os.posix_fallocate(fd, 0, 100)
elif what == "map":
    import mmap
    m = mmap.mmap(fd, 4)
    m[0:1] = b"x"
    m.flush()
END
chmod 644 "$work/write.py"
python=$(python3 -c 'import sys; print(sys.executable)')

for what in write append truncate fallocate; do
	echo test >"$mnt/$what"
	chmod 6777 "$mnt/$what"
	"$python" "$work/write.py" "$what" "$mnt/$what"
	is "$(stat -c %a "$mnt/$what")" 6777 "after root's $what"
	drop_caches
	is "$(stat -c %a "$mnt/$what")" 6777 "after root's $what, asked again"
	setpriv --reuid=1234 --regid=1234 --clear-groups \
		"$python" "$work/write.py" "$what" "$mnt/$what"
	is "$(stat -c %a "$mnt/$what")" 777 "after a user's $what"
	drop_caches
	is "$(stat -c %a "$mnt/$what")" 777 "after a user's $what, asked again"
done

# Set-group-id that no execute bit goes with stays for members of the group.
for what in write append truncate fallocate; do
	chgrp 4321 "$mnt/$what"
	chmod 6666 "$mnt/$what"
	setpriv --reuid=1234 --regid=1234 --groups=4321 \
		"$python" "$work/write.py" "$what" "$mnt/$what"
	is "$(stat -c %a "$mnt/$what")" 2666 "after a member's $what"
	setpriv --reuid=1234 --regid=1234 --clear-groups \
		"$python" "$work/write.py" "$what" "$mnt/$what"
	is "$(stat -c %a "$mnt/$what")" 666 "after another's $what"
	drop_caches
	is "$(stat -c %a "$mnt/$what")" 666 "after another's, asked again"
done

# Writing does not ask for security.capability each time.
before=$(sed -n 's/^op_getxattr \([0-9]*\).*/\1/p' "$mnt/.stats")
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	echo "$i"
done >>"$mnt/write"
after=$(sed -n 's/^op_getxattr \([0-9]*\).*/\1/p' "$mnt/.stats")
[ $((${after:-0} - ${before:-0})) -le 4 ] ||
	fail "getxattr requests of 20 writes: $((after - before))"
