#!/bin/sh
# SPDX-License-Identifier: MIT
# Where things end: names, paths, links, sizes, attributes; other filesystems,
# running programs, read-only mounts; and the errors that say so.
. "$(dirname "$0")/lib.sh"
need_fuse
need python3
start

py "$work/elsewhere" <<'END'
import resource, signal

# Names of 255 bytes, paths of 4095.
make = lambda name: os.close(os.open(name, os.O_CREAT | os.O_WRONLY))
make("n" * 255)
os.mkdir("d" * 255)
for function in (make, os.mkdir, os.mkfifo, os.unlink, os.rmdir, os.stat,
                 lambda name: os.symlink("x", name),
                 lambda name: os.link("n" * 255, name),
                 lambda name: os.rename("n" * 255, name),
                 lambda name: os.rename(name, "m"),
                 os.readlink, os.listxattr):
    fails(errno.ENAMETOOLONG, function, "x" * 256)
deep = "/".join(["d" * 255] * 15)
os.makedirs(deep)
path = deep + "/" + "f" * (4095 - len(deep) - 1)
make(path)
assert os.stat(path).st_size == 0
fails(errno.ENAMETOOLONG, os.stat, path + "f")
fails(errno.ENAMETOOLONG, os.symlink, "x" * 4096, "s")
fails(errno.ENOENT, os.symlink, "", "s")
# Deeper than a path is long.
here = os.getcwd()
for i in range(30):
    os.mkdir("deep" * 50)
    os.chdir("deep" * 50)
make("bottom")
assert os.listdir(".") == ["bottom"]
os.chdir(here)

# Links: loops, and chains of 40.
os.symlink("loop2", "loop1")
os.symlink("loop1", "loop2")
for function in (os.stat, make, os.listdir, os.listxattr,
                 lambda name: os.chmod(name, 0o600),
                 lambda name: os.truncate(name, 0),
                 lambda name: os.mkdir(name + "/x"),
                 lambda name: os.rename(name + "/x", "y")):
    fails(errno.ELOOP, function, "loop1")
fails(errno.ELOOP, os.open, "loop1", os.O_RDONLY | os.O_NOFOLLOW)
os.symlink("n" * 255, "chain0")
for i in range(1, 45):
    os.symlink("chain%d" % (i - 1), "chain%d" % i)
os.stat("chain39")
fails(errno.ELOOP, os.stat, "chain40")

# Another filesystem.
fails(errno.EXDEV, os.link, "n" * 255, sys.argv[1])
fails(errno.EXDEV, os.rename, "n" * 255, sys.argv[1])

# A file of 8 TiB, and the largest; its holes take no space.
size = 8 << 40
fd = os.open("large", os.O_CREAT | os.O_RDWR)
os.ftruncate(fd, size)
assert os.pwrite(fd, b"last", size - 4) == 4
assert os.pwrite(fd, b"beyond", size) == 6
assert os.stat("large").st_size == size + 6
assert os.pread(fd, 100, size - 4) == b"lastbeyond"
assert os.pread(fd, 4, size // 2) == bytes(4)
assert os.lseek(fd, 0, os.SEEK_DATA) > size - (1 << 20)
assert os.stat("large").st_blocks < 4096
largest = (1 << 63) - 1
os.ftruncate(fd, largest)
assert os.stat("large").st_size == largest
assert os.pread(fd, 10, size) == b"beyond" + bytes(4)
fails(errno.EINVAL, os.ftruncate, fd, -1)
fails(errno.EINVAL, os.pwrite, fd, b"x", -1)
os.ftruncate(fd, 0)
assert os.stat("large").st_blocks == 0

# The limit of a process.
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10000, resource.RLIM_INFINITY))
assert os.pwrite(fd, b"x" * 200, 9900) == 100
fails(errno.EFBIG, os.pwrite, fd, b"x", 10000)
fails(errno.EFBIG, os.ftruncate, fd, 10001)
fails(errno.EFBIG, lambda: os.posix_fallocate(fd, 0, 10001))
assert os.fstat(fd).st_size == 10000
resource.setrlimit(resource.RLIMIT_FSIZE,
                   (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

# Attributes of 64 KiB, and no more.
namespaces = ["user."]
if os.getuid() == 0:
    namespaces += ["trusted.", "security."]
value = os.urandom(65536)
for space in namespaces:
    os.setxattr("large", space + "v", value)
    assert os.getxattr("large", space + "v") == value
    fails(errno.E2BIG, os.setxattr, "large", space + "w", value + b"x")
    os.setxattr("large", space + "n" * (255 - len(space)), b"v")
    fails(errno.ERANGE, os.setxattr, "large", space + "n" * 256, b"v")
assert len(os.listxattr("large")) == 2 * len(namespaces)
for name in "nothing.x", "user", "system.x", "x":
    fails(errno.EOPNOTSUPP, os.setxattr, "large", name, b"v")
    fails(errno.EOPNOTSUPP, os.getxattr, "large", name)
    fails(errno.EOPNOTSUPP, os.removexattr, "large", name)
fails(errno.EINVAL, os.setxattr, "large", "user.", b"v")

# A directory that is in use, and a running program.
fails(errno.EBUSY, os.rmdir, os.getcwd())
fails(errno.EBUSY, os.rename, os.getcwd(), os.getcwd() + "2")
fails(errno.EINVAL, os.rmdir, "d" * 255 + "/.")
fails(errno.ENOTEMPTY, os.rmdir, "d" * 255 + "/..")
with open("/bin/sleep", "rb") as f, open("program", "wb") as g:
    g.write(f.read())
os.chmod("program", 0o755)
child = os.posix_spawn("program", ["program", "1000"], os.environ)
try:
    fails(errno.ETXTBSY, os.open, "program", os.O_WRONLY)
    fails(errno.ETXTBSY, os.truncate, "program", 0)
finally:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
writer = os.open("program", os.O_WRONLY)
fails(errno.ETXTBSY, os.posix_spawn, "./program", ["program"], os.environ)
os.close(writer)

# What is no directory, and what is one.
fails(errno.ENOTDIR, os.mkdir, "large/x")
fails(errno.ENOTDIR, os.open, "large", os.O_RDONLY | os.O_DIRECTORY)
fails(errno.ENOTDIR, os.listdir, "large")
fails(errno.EISDIR, os.open, "d" * 255, os.O_WRONLY)
fails(errno.EISDIR, os.open, "d" * 255, os.O_CREAT | os.O_RDONLY)
fails(errno.EEXIST, os.symlink, "x", "large")
END

restart -o ro
py <<'END'
name = "n" * 255
for function in (lambda: os.open("new", os.O_CREAT | os.O_WRONLY),
                 lambda: os.open(name, os.O_WRONLY),
                 lambda: os.open(name, os.O_RDONLY | os.O_TRUNC),
                 lambda: os.mkdir("new"), lambda: os.mkfifo("new"),
                 lambda: os.symlink("x", "new"),
                 lambda: os.link(name, "new"),
                 lambda: os.unlink(name), lambda: os.rmdir("d" * 255),
                 lambda: os.rename(name, "new"),
                 lambda: os.chmod(name, 0o777),
                 lambda: os.chown(name, 0, 0),
                 lambda: os.utime(name), lambda: os.truncate(name, 1),
                 lambda: os.setxattr(name, "user.x", b"1"),
                 lambda: os.removexattr(name, "user.x"),
                 lambda: os.open(".", os.O_TMPFILE | os.O_RDWR)):
    fails(errno.EROFS, function)
assert not os.access(name, os.W_OK)
os.close(os.open(name, os.O_CREAT | os.O_RDONLY))
fails(errno.EEXIST, os.open, name, os.O_CREAT | os.O_EXCL | os.O_RDONLY)
END
