#!/bin/sh
# SPDX-License-Identifier: MIT
# File handles, as NFS servers keep them: they lead to the same file after a
# rename, without any cache, and after a restart of the daemon; and to nothing
# once it is removed, though others have come.
. "$(dirname "$0")/lib.sh"
need_fuse
need_root
need python3

cat >"$work/handles.py" <<'END'
import ctypes, errno, json, os, struct

libc = ctypes.CDLL(None, use_errno=True)
AT_FDCWD, AT_EMPTY_PATH = -100, 0x1000

def handle_of(path):
    handle = ctypes.create_string_buffer(8 + 128)
    struct.pack_into("Ii", handle, 0, 128, 0)
    mount_id = ctypes.c_int()
    if libc.name_to_handle_at(AT_FDCWD, path.encode(), handle,
                              ctypes.byref(mount_id), 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    size, = struct.unpack_from("I", handle)
    return handle.raw[:8 + size].hex()

def open_handle(text, flags):
    mount = os.open(".", os.O_RDONLY)
    handle = ctypes.create_string_buffer(bytes.fromhex(text))
    fd = libc.open_by_handle_at(mount, handle, flags)
    number = ctypes.get_errno()
    os.close(mount)
    if fd < 0:
        raise OSError(number, os.strerror(number))
    return fd

def drop_caches():
    try:
        with open("/proc/sys/vm/drop_caches", "w") as f:
            f.write("2")
    except OSError:
        pass
END

py "$work" <<'END'
sys.path.insert(0, sys.argv[1])
from handles import *
try:
    handle_of("/proc/self/exe")
except OSError as error:
    if error.errno in (errno.ENOSYS, errno.EPERM):
        print("SKIP: no file handles here")
        open(sys.argv[1] + "/skip", "w").close()
END
[ ! -e "$work/skip" ] || exit 77

start
py "$work" <<'END'
sys.path.insert(0, sys.argv[1])
from handles import *

os.makedirs("a/b/c")
names = ["a/b/c/file", "top", "a/b/removed", "a/b/replaced"]
for name in names:
    with open(name, "w") as f:
        f.write("contents of " + name)
os.symlink("top", "link")
os.mkfifo("fifo")
handles = {name: handle_of(name)
           for name in names + ["a", "a/b/c", ".", "link", "fifo"]}
assert len(set(handles.values())) == len(handles)

def check():
    for name in names:
        fd = open_handle(handles[name], os.O_RDWR)
        assert os.read(fd, 100) == b"contents of " + name.encode()
        os.close(fd)

check()
drop_caches()
check()
os.rename("a/b", "moved")
drop_caches()
check()
os.rename("moved", "a/b")

# A directory is connected: its parent is found.
drop_caches()
fd = open_handle(handles["a/b/c"], os.O_RDONLY | os.O_DIRECTORY)
assert os.listdir(fd) == ["file"]
up = os.open("../..", os.O_RDONLY, dir_fd=fd)
assert os.fstat(up).st_ino == os.stat("a").st_ino
os.close(up)
os.close(fd)
fd = open_handle(handles["link"], os.O_PATH | os.O_NOFOLLOW)
assert os.readlink("", dir_fd=fd) == "top"
os.close(fd)

# Open and unlinked, it still has one.
fd = os.open("a/b/removed", os.O_RDONLY)
os.unlink("a/b/removed")
os.close(open_handle(handles["a/b/removed"], os.O_RDONLY))
os.close(fd)
json.dump(handles, open(sys.argv[1] + "/handles", "w"))
END
restart
py "$work" <<'END'
sys.path.insert(0, sys.argv[1])
from handles import *

handles = json.load(open(sys.argv[1] + "/handles"))
os.rename("a/b/c/file", "a/b/replaced")
for i in range(100):
    os.close(os.open("new%d" % i, os.O_CREAT | os.O_WRONLY))
drop_caches()
fd = open_handle(handles["a/b/c/file"], os.O_RDWR)
assert os.read(fd, 100) == b"contents of a/b/c/file"
os.pwrite(fd, b"CONTENTS", 0)
os.close(fd)
assert open("a/b/replaced").read() == "CONTENTS of a/b/c/file"
fd = open_handle(handles["a/b/c"], os.O_RDONLY | os.O_DIRECTORY)
up = os.open("..", os.O_RDONLY, dir_fd=fd)
assert sorted(os.listdir(up)) == ["c", "replaced"]
os.close(up)
fd = open_handle(handles["."], os.O_RDONLY | os.O_DIRECTORY)
assert os.fstat(fd).st_ino == 1
for name in "a/b/removed", "a/b/replaced":
    fails(errno.ESTALE, open_handle, handles[name], os.O_RDONLY)
# What is made up leads nowhere.
made_up = bytearray.fromhex(handles["top"])
made_up[8:16] = b"\xff" * 8
fails(errno.ESTALE, open_handle, made_up.hex(), os.O_RDONLY)
END
