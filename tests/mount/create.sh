#!/bin/sh
# SPDX-License-Identifier: MIT
# Making files: every type, modes, names of every kind.
. "$(dirname "$0")/lib.sh"
need_fuse
need python3
start
umask 022

echo hello >"$mnt/file"
is "$(cat "$mnt/file")" hello "contents"
is "$(stat -c '%F %a %h' "$mnt/file")" "regular file 644 1" "attributes"
is "$(stat -c '%u:%g' "$mnt/file")" "$(id -u):$(id -g)" "owner"
(umask 077; : >"$mnt/private")
is "$(stat -c %a "$mnt/private")" 600 "mode with umask 077"
mkfifo "$mnt/fifo"
is "$(stat -c %F "$mnt/fifo")" fifo "type"
if [ "$(id -u)" -eq 0 ]; then
	mknod "$mnt/device" c 1 3
	is "$(stat -c '%F %t:%T' "$mnt/device")" \
		"character special file 1:3" "device"
fi

py <<'END'
# Creating what exists.
fails(errno.EEXIST, os.open, "file", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
os.close(os.open("file", os.O_CREAT | os.O_WRONLY))
# A file made without write permission can be written through the
# descriptor that made it.
fd = os.open("sealed", os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o400)
assert os.write(fd, b"x") == 1
os.close(fd)
assert stat.S_IMODE(os.stat("sealed").st_mode) == 0o400
# Names are bytes, up to 255 of them.
for name in [b"\xff\xfe", b" ", b"-", b"new\nline", b"\\", b"a" * 255,
             "ä".encode() * 127]:
    os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    assert name in os.listdir(b".")
    os.unlink(name)
fails(errno.ENAMETOOLONG, os.open, b"a" * 256, os.O_CREAT | os.O_WRONLY)
fails(errno.ENAMETOOLONG, os.stat, b"a" * 256)
fails(errno.ENOENT, os.open, "no/file", os.O_CREAT | os.O_WRONLY)
fails(errno.ENOTDIR, os.open, "file/file", os.O_CREAT | os.O_WRONLY)
# A socket.
import socket
s = socket.socket(socket.AF_UNIX)
s.bind("socket")
assert stat.S_ISSOCK(os.stat("socket").st_mode)
END

restart
is "$(cat "$mnt/file")" hello "contents after a remount"
is "$(stat -c %F "$mnt/fifo")" fifo "type after a remount"
