#!/bin/sh
# SPDX-License-Identifier: MIT
# fallocate, holes, lseek to data and holes, copy_file_range, statfs.
. "$(dirname "$0")/lib.sh"
need_fuse
need python3
# What is free of a limit: on the disk others write as well.
start -o size=1G

py <<'END'
KEEP_SIZE, PUNCH_HOLE, COLLAPSE, ZERO, INSERT = 1, 2, 8, 16, 32
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64,
                           ctypes.c_int64]

def fallocate(fd, mode, offset, size):
    checked(libc.fallocate(fd, mode, offset, size))

# Space is kept free for what is preallocated, and counted: in blocks of the
# file, however its edges lie, and of the filesystem.
def free():
    st = os.statvfs(".")
    return st.f_bfree * st.f_frsize

fd = os.open("kept", os.O_CREAT | os.O_RDWR)
block = 32 << 10
before = free()
fallocate(fd, 0, block - 1, 2)
assert os.fstat(fd).st_size == block + 1
assert os.fstat(fd).st_blocks * 512 == 2 * block
os.pwrite(fd, b"xy", block - 1)
assert os.fstat(fd).st_blocks * 512 <= 2 * block
fallocate(fd, KEEP_SIZE, 0, 64 << 20)
stored = os.fstat(fd).st_blocks * 512
assert (64 << 20) - 2 * block < stored <= 64 << 20, stored
assert os.fstat(fd).st_size == block + 1
assert before - free() >= 63 << 20, (before, free())
promised = [int(line.split()[1]) for line in open(".stats")
            if line.startswith("preallocated_bytes ")]
assert 63 << 20 < promised[0] <= 64 << 20, promised
os.ftruncate(fd, 0)
assert os.fstat(fd).st_blocks == 0
assert before - free() < 32 << 20, (before, free())
fails(errno.ENOSPC, fallocate, fd, 0, 0, before * 2)
assert os.fstat(fd).st_size == 0
os.close(fd)

fd = os.open("f", os.O_CREAT | os.O_RDWR)
fallocate(fd, 0, 0, 1000000)
assert os.fstat(fd).st_size == 1000000
fallocate(fd, KEEP_SIZE, 0, 2000000)
assert os.fstat(fd).st_size == 1000000
assert os.pread(fd, 10, 999990) == bytes(10)
data = os.urandom(1 << 20)
os.pwrite(fd, data, 0)
fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 100000, 300000)
want = data[:100000] + bytes(300000) + data[400000:]
assert os.pread(fd, 1 << 20, 0) == want
fails(errno.EOPNOTSUPP, fallocate, fd, COLLAPSE, 0, 65536)
fails(errno.EINVAL, fallocate, fd, 0, 0, 0)

h = os.open("holes", os.O_CREAT | os.O_RDWR)
os.ftruncate(h, 10 << 20)
os.pwrite(h, b"x" * 1000, 5 << 20)
start = os.lseek(h, 0, os.SEEK_DATA)
assert 4 << 20 <= start <= 5 << 20, start
end = os.lseek(h, 5 << 20, os.SEEK_HOLE)
assert (5 << 20) + 1000 <= end <= 6 << 20, end
assert os.lseek(h, 0, os.SEEK_HOLE) == 0
fails(errno.ENXIO, os.lseek, h, 9 << 20, os.SEEK_DATA)
fails(errno.ENXIO, os.lseek, h, 10 << 20, os.SEEK_HOLE)
assert os.fstat(h).st_blocks * 512 < 1 << 20

c = os.open("copy", os.O_CREAT | os.O_RDWR)
left, offset = 1 << 20, 0
while left:
    n = os.copy_file_range(fd, c, left, offset, offset)
    assert n > 0
    left, offset = left - n, offset + n
assert os.pread(c, 1 << 20, 0) == want
assert os.copy_file_range(fd, c, 100, 1 << 30, 0) == 0
n = os.copy_file_range(fd, c, 5000, 7, 123457)
assert os.pread(c, n, 123457) == want[7:7 + n]
assert os.pread(c, 7, 123450) == want[123450:123457]
# From outside, and from a virtual file, the kernel copies.
s = os.open(".stats", os.O_RDONLY)
text = os.pread(s, 1 << 20, 0)
n = os.copy_file_range(s, c, len(text), 0, 0)
assert os.pread(c, n, 0) == text[:n]

st = os.statvfs(".")
assert st.f_namemax == 255
assert 0 < st.f_bavail <= st.f_blocks
assert st.f_files > st.f_ffree
END

cp --sparse=always "$mnt/holes" "$mnt/holes2"
cmp "$mnt/holes" "$mnt/holes2"
stop

# size= is what df shows, and the limit.
start -o size=16M
is "$(df -B1M --output=size "$mnt" | tail -n 1 | tr -d ' ')" 16 "size in df"
refused "No space left" dd if=/dev/zero of="$mnt/fill" bs=1M count=32
rm "$mnt/fill"
i=0
until dd if=/dev/zero of="$mnt/fill" bs=1M count=4 2>/dev/null; do
	i=$((i + 1))
	[ $i -lt 50 ] || fail "no space again after a removal"
	sleep 0.1
done
