#!/bin/sh
# SPDX-License-Identifier: MIT
# fallocate in its modes, holes and where they are, what is really stored,
# copies inside the store; O_DIRECT and mappings beside plain reads and writes.
case ${1:-} in
'')
	sh "$0" plain && sh "$0" writeback
	exit
	;;
esac
. "$(dirname "$0")/lib.sh"
need_fuse
need python3
if [ "$1" = writeback ]; then
	start -o writeback
else
	start
fi

py <<'END'
import mmap, random

KEEP_SIZE, PUNCH_HOLE, COLLAPSE, ZERO_RANGE, INSERT, UNSHARE = \
    1, 2, 8, 16, 32, 64
K, M = 1 << 10, 1 << 20

def fallocate(fd, mode, offset, size):
    checked(libc.fallocate(fd, mode, ctypes.c_long(offset),
                           ctypes.c_long(size)))

def new(name):
    return os.open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR)

def stored(fd):
    os.fsync(fd)
    return os.fstat(fd).st_blocks * 512

# Mode 0 grows, with zeros; KEEP_SIZE does not.
fd = new("grow")
os.write(fd, b"data")
fallocate(fd, 0, 0, 3)
assert os.fstat(fd).st_size == 4
fallocate(fd, 0, 10, 90)
assert os.fstat(fd).st_size == 100
assert os.pread(fd, 200, 0) == b"data" + bytes(96)
fallocate(fd, KEEP_SIZE, 0, 10 * M)
assert os.fstat(fd).st_size == 100
os.ftruncate(fd, 2)
os.ftruncate(fd, 5)
assert os.pread(fd, 200, 0) == b"da" + bytes(3)

# A hole takes no space, and reads as zeros.
fd = new("punch")
data = os.urandom(4 * M)
os.write(fd, data)
assert stored(fd) == 4 * M
fallocate(fd, PUNCH_HOLE | KEEP_SIZE, M, 2 * M)
assert os.fstat(fd).st_size == 4 * M
assert os.pread(fd, 4 * M, 0) == data[:M] + bytes(2 * M) + data[3 * M:]
assert stored(fd) == 2 * M
assert os.lseek(fd, 0, os.SEEK_HOLE) == M
assert os.lseek(fd, M, os.SEEK_DATA) == 3 * M
assert os.lseek(fd, 3 * M, os.SEEK_HOLE) == 4 * M
fails(errno.ENXIO, os.lseek, fd, 4 * M, os.SEEK_DATA)
fails(errno.ENXIO, os.lseek, fd, 4 * M, os.SEEK_HOLE)
# At its end, beyond it, and in parts of blocks.
fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 4 * M - 10, 100 * M)
assert os.fstat(fd).st_size == 4 * M
fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 5 * M, M)
fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 100, 1)
expected = bytearray(data)
expected[M:3 * M] = bytes(2 * M)
expected[4 * M - 10:] = bytes(10)
expected[100] = 0
assert os.pread(fd, 4 * M, 0) == expected
os.pwrite(fd, b"in the hole", 2 * M)
expected[2 * M:2 * M + 11] = b"in the hole"
assert os.pread(fd, 4 * M, 0) == expected

fd = new("zero")
os.write(fd, b"x" * M)
fallocate(fd, ZERO_RANGE, 1000, 10)
fallocate(fd, ZERO_RANGE | KEEP_SIZE, M - 5, 100)
assert os.fstat(fd).st_size == M
fallocate(fd, ZERO_RANGE, M - 10, 110)
assert os.fstat(fd).st_size == M + 100
assert os.pread(fd, 2 * M, 0) == b"x" * 1000 + bytes(10) + \
    b"x" * (M - 1020) + bytes(110)

for mode in COLLAPSE, INSERT, PUNCH_HOLE, UNSHARE, PUNCH_HOLE | ZERO_RANGE:
    fails(errno.EOPNOTSUPP, fallocate, fd, mode, 0, 64 * K)
fails(errno.EINVAL, fallocate, fd, 0, 0, 0)
fails(errno.EINVAL, fallocate, fd, 0, -1, 5)
fails(errno.EFBIG, fallocate, fd, 0, 1 << 62, (1 << 62) + 5)
readable = os.open("zero", os.O_RDONLY)
fails(errno.EBADF, fallocate, readable, 0, 0, 5)
os.mkfifo("fifo")
fails(errno.ESPIPE, fallocate, os.open("fifo", os.O_RDWR), 0, 0, 5)

# What is written into a sparse file is what it stores, roughly.
fd = new("sparse")
os.ftruncate(fd, 1 << 40)
assert stored(fd) == 0
for i in range(10):
    os.pwrite(fd, b"x" * 1000, i << 36)
assert 10000 <= stored(fd) <= 10 * M, stored(fd)
at, found = 0, []
while True:
    try:
        at = os.lseek(fd, at, os.SEEK_DATA)
    except OSError as error:
        assert error.errno == errno.ENXIO
        break
    end = os.lseek(fd, at, os.SEEK_HOLE)
    found.append((at, end))
    at = end
assert len(found) == 10
assert all(a <= i << 36 and b >= (i << 36) + 1000
           for i, (a, b) in enumerate(found))

# Copies inside the store: times, sizes, holes; also onto itself.
target = new("copy")
assert os.copy_file_range(fd, target, 1 << 30, 0, 0) == min(1 << 30, 16 * M)
at = 0
while at < 1 << 37:
    copied = os.copy_file_range(fd, target, 1 << 30, at, at)
    assert copied > 0
    at += copied
    if at % (1 << 36) >= 64 * M:
        at = (at >> 36) + 1 << 36
assert os.pread(target, 1001, 1 << 36) == b"x" * 1000 + b"\0"
assert stored(target) <= 2 * M, stored(target)
fails(errno.EINVAL, os.copy_file_range, target, target, 100, 0, 50)
os.ftruncate(target, 1000)
assert os.copy_file_range(target, target, 500, 0, 1000) == 500
assert os.pread(target, 2000, 0) == b"x" * 1500
assert os.copy_file_range(target, target, 500, 5000, 0) == 0
fails(errno.EBADF, os.copy_file_range, target, readable, 10)
appending = os.open("copy", os.O_WRONLY | os.O_APPEND)
fails(errno.EBADF, os.copy_file_range, fd, appending, 10)

# Plain, direct and mapped: one file, whatever way it is changed.
size = 64 * K
plain = new("ways")
os.ftruncate(plain, size)
direct = os.open("ways", os.O_RDWR | os.O_DIRECT)
mapped = mmap.mmap(plain, size)
page = mmap.mmap(-1, 4 * K)
model = bytearray(size)
seed = random.randrange(1 << 30)
print("seed", seed)
rng = random.Random(seed)
for step in range(400):
    offset = rng.randrange(size // K) * K
    data = rng.randbytes(K)
    way = rng.randrange(5)
    if way == 0:
        os.pwrite(plain, data, offset)
    elif way == 1:
        mapped[offset:offset + K] = data
    elif way == 2:
        offset &= ~(4 * K - 1)
        data *= 4
        page[:] = data
        assert os.pwrite(direct, page, offset) == 4 * K
    elif way == 3:
        data = bytes(K)
        fallocate(plain, PUNCH_HOLE | KEEP_SIZE, offset, K)
    else:
        other = rng.randrange(size // K) * K
        if abs(other - offset) < K:
            continue
        data = bytes(model[other:other + K])
        assert os.copy_file_range(plain, plain, K, other, offset) == K
    model[offset:offset + len(data)] = data
    assert os.pread(plain, size, 0) == model, (seed, step, way)
    assert mapped[:] == model, (seed, step, way)
    at = rng.randrange(16) * 4 * K
    assert os.preadv(direct, [page], at) == 4 * K
    assert page[:] == model[at:at + 4 * K], (seed, step, way)
END
