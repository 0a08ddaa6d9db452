#!/bin/sh
# SPDX-License-Identifier: MIT
# O_TMPFILE: files without a name, which may get one.
. "$(dirname "$0")/lib.sh"
need_fuse
need python3
start

py <<'END'
try:
    fd = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o640)
except OSError as error:
    # Kernels before 6.1.
    assert error.errno in (errno.EOPNOTSUPP, errno.EISDIR), error
    print("no O_TMPFILE on this kernel")
    sys.exit(0)
os.umask(0)
assert os.fstat(fd).st_nlink == 0
assert os.listdir(".") == []
os.write(fd, b"contents" * 1000)
assert os.pread(fd, 8, 7992) == b"contents"
# Given a directory, Python calls linkat(2), which can follow the link.
root = os.open("/", os.O_RDONLY)
os.link("/proc/self/fd/%d" % fd, "named", src_dir_fd=root)
assert open("named", "rb").read() == b"contents" * 1000
assert os.stat("named").st_nlink == 1
os.close(fd)
assert os.stat("named").st_size == 8000
excl = os.open(".", os.O_TMPFILE | os.O_EXCL | os.O_RDWR)
fails(errno.ENOENT, os.link, "/proc/self/fd/%d" % excl, "other",
      src_dir_fd=root)
END
i=0
while [ "$(stat_of files)" -gt 2 ]; do
	i=$((i + 1))
	[ $i -lt 100 ] || fail "a nameless file stays: $(stat_of files)"
	sleep 0.1
done
