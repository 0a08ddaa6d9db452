#!/bin/sh
# SPDX-License-Identifier: MIT
# What is neither file nor directory works: devices where they are allowed,
# fifos, sockets; and watching for changes.
. "$(dirname "$0")/lib.sh"
need_fuse
need python3

if [ "$(id -u)" -eq 0 ]; then
	start -o suid,dev
	mknod -m 666 "$mnt/null" c 1 3
	mknod -m 666 "$mnt/zero" c 1 5
	echo lost >"$mnt/null"
	is "$(wc -c <"$mnt/null")" 0 "bytes of null"
	is "$(head -c 5 "$mnt/zero" | od -An -tx1)" " 00 00 00 00 00" "zeros"
	mknod "$mnt/block" b 250 1048575
	mknod "$mnt/large" c 4095 70000
	restart -o nodev
	refused "Permission denied" cat "$mnt/null"
	is "$(stat -c '%F %t:%T' "$mnt/block")" \
		"block special file fa:fffff" "block device"
	is "$(stat -c '%F %t:%T' "$mnt/large")" \
		"character special file fff:11170" "large numbers"
else
	start
fi

py <<'END'
import select, socket

# A fifo carries data, and has no size.
os.mkfifo("fifo")
reader = os.open("fifo", os.O_RDONLY | os.O_NONBLOCK)
fails(errno.ENXIO, lambda: os.open("absent-reader", os.O_WRONLY | os.O_NONBLOCK)
      if os.mkfifo("absent-reader") is None else 0)
writer = os.open("fifo", os.O_WRONLY)
os.write(writer, b"through")
assert os.read(reader, 100) == b"through"
assert os.stat("fifo").st_size == 0
os.close(writer)
assert os.read(reader, 1) == b""

# A socket is found by its name, and by a hard link to it.
server = socket.socket(socket.AF_UNIX)
server.bind("socket")
server.listen()
os.link("socket", "socket2")
for name in "socket", "socket2":
    client = socket.socket(socket.AF_UNIX)
    client.connect(name)
    peer, _ = server.accept()
    client.sendall(b"hello")
    assert peer.recv(100) == b"hello"
    client.close()
fails(errno.ENXIO, os.open, "socket", os.O_RDONLY)
fails(errno.ECONNREFUSED, socket.socket(socket.AF_UNIX).connect, "fifo")
server.close()
fails(errno.ECONNREFUSED, socket.socket(socket.AF_UNIX).connect, "socket")

# Who watches a directory or a file is told of what happens there.
ACCESS, MODIFY, ATTRIB, CLOSE_WRITE = 1, 2, 4, 8
MOVED_FROM, MOVED_TO, CREATE, DELETE = 0x40, 0x80, 0x100, 0x200
DELETE_SELF, MOVE_SELF = 0x400, 0x800
names = {value: name for name, value in list(globals().items())
         if name.isupper() and isinstance(value, int)}
notify = checked(libc.inotify_init1(os.O_NONBLOCK))

def watch(path, mask=0xfff & ~0x30 & ~ACCESS):
    return checked(libc.inotify_add_watch(notify, path.encode(), mask))

def events():
    """What was told since the last time."""
    told = []
    try:
        data = os.read(notify, 65536)
    except BlockingIOError:
        return told
    while data:
        wd, mask, cookie, length = struct.unpack_from("iIII", data)
        name = data[16:16 + length].rstrip(b"\0").decode()
        told.append((wd, mask & 0xfff, name))
        data = data[16 + length:]
    return told

os.mkdir("w")
d = watch("w")
fd = os.open("w/f", os.O_CREAT | os.O_WRONLY)
os.write(fd, b"x")
os.close(fd)
assert events() == [(d, CREATE, "f"), (d, MODIFY, "f"), (d, CLOSE_WRITE, "f")]
os.chmod("w/f", 0o600)
os.rename("w/f", "w/g")
assert events() == [(d, ATTRIB, "f"), (d, MOVED_FROM, "f"), (d, MOVED_TO, "g")]
f = watch("w/g", DELETE_SELF | MOVE_SELF | ATTRIB)
os.truncate("w/g", 0)
os.rename("w/g", "h")
os.unlink("h")
told = events()
assert (d, MODIFY, "g") in told and (d, MOVED_FROM, "g") in told, told
assert (f, MOVE_SELF, "") in told, told
assert (f, ATTRIB, "") in told or (f, DELETE_SELF, "") in told, told
os.mkdir("w/sub")
os.rmdir("w/sub")
os.symlink("x", "w/s")
os.link("fifo", "w/l")
os.unlink("w/s")
assert events() == [(d, CREATE, "sub"), (d, DELETE, "sub"), (d, CREATE, "s"),
                    (d, CREATE, "l"), (d, DELETE, "s")]
END
