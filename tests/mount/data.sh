#!/bin/sh
# SPDX-License-Identifier: MIT
# Reading and writing: sizes around every boundary, holes, appends, mmap.
. "$(dirname "$0")/lib.sh"
need_fuse
need python3
start "$@"

py <<'END'
import hashlib, mmap, random

seed = random.randrange(1 << 30)
print("seed", seed)
rng = random.Random(seed)

# A model in memory, and the same on the mount.
fd = os.open("model", os.O_CREAT | os.O_RDWR)
model = bytearray()
edges = [0, 1, 4095, 4096, 4097, 32767, 32768, 65536, 131071, 131072, 131073,
         (1 << 20) - 1, 1 << 20, (1 << 20) + 1]
for step in range(300):
    offset = rng.choice(edges) + rng.choice([0, 1, 4096, 100000])
    size = rng.choice([1, 100, 4096, 5000, 65536, 131072, 300000])
    what = rng.random()
    if what < 0.6:
        data = rng.randbytes(size)
        os.pwrite(fd, data, offset)
        if len(model) < offset:
            model.extend(bytes(offset - len(model)))
        model[offset:offset + size] = data
    elif what < 0.7:
        os.ftruncate(fd, offset)
        if len(model) < offset:
            model.extend(bytes(offset - len(model)))
        del model[offset:]
    elif what < 0.75:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    else:
        got = os.pread(fd, size, offset)
        assert got == model[offset:offset + size], (seed, step)
os.fsync(fd)
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
assert open("model", "rb").read() == model, seed
open(sys.argv[0] + ".sum", "w").write(hashlib.md5(model).hexdigest())

# Large requests.
big = rng.randbytes(5 << 20)
with open("big", "wb", buffering=0) as f:
    assert f.write(big) == len(big)
assert open("big", "rb", buffering=0).read(6 << 20) == big
# Direct ones.
d = os.open("big", os.O_RDONLY | os.O_DIRECT)
m = mmap.mmap(-1, 1 << 20)
assert os.preadv(d, [m], 1 << 20) == 1 << 20
assert m[:] == big[1 << 20:2 << 20]

# Appends of two descriptors do not overwrite each other.
a = os.open("log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
b = os.open("log", os.O_WRONLY | os.O_APPEND)
for i in range(100):
    os.write(a, b"a%03d\n" % i)
    os.write(b, b"b%03d\n" % i)
lines = open("log").read().split()
assert sorted(lines) == sorted(["a%03d" % i for i in range(100)] +
                               ["b%03d" % i for i in range(100)])

# A mapping is the file.
f = os.open("map", os.O_CREAT | os.O_RDWR)
os.ftruncate(f, 100000)
m = mmap.mmap(f, 100000)
m[50000:50005] = b"hello"
m.flush()
assert os.pread(f, 5, 50000) == b"hello"
os.pwrite(f, b"world", 50000)
assert m[50000:50005] == b"world"
m.close()

# Changing a mapping changes the times, as a write does.
os.utime("map", ns=(1, 1))
ctime = os.stat("map").st_ctime_ns
m = mmap.mmap(f, 100000)
m[0:1] = b"x"
m.flush()
m.close()
assert os.stat("map").st_mtime_ns > 1
assert os.stat("map").st_ctime_ns >= ctime

# What is written is no hole, though the kernel still holds it: neither from a
# write nor from a mapping. A copy that looks for holes would lose it.
holes = os.open("holes", os.O_CREAT | os.O_RDWR)
os.ftruncate(holes, 10 << 20)
os.pwrite(holes, b"written", 3 << 20)
found = os.lseek(holes, 0, os.SEEK_DATA)
assert 2 << 20 < found <= 3 << 20, found
assert os.lseek(holes, 3 << 20, os.SEEK_HOLE) <= 4 << 20
m = mmap.mmap(holes, 10 << 20)
m[6 << 20:(6 << 20) + 6] = b"mapped"
found = os.lseek(holes, 4 << 20, os.SEEK_DATA)
assert 5 << 20 < found <= 6 << 20, found
assert os.lseek(holes, 0, os.SEEK_HOLE) == 0
fails(errno.ENXIO, os.lseek, holes, 8 << 20, os.SEEK_DATA)
m.close()

fails(errno.EBADF, os.write, d, b"x")
fails(errno.EISDIR, os.read, os.open(".", os.O_RDONLY), 1)
END
sum=$(md5sum <"$mnt/model")
restart "$@"
is "$(md5sum <"$mnt/model")" "$sum" "contents after a remount"
is "${sum%% *}" "$(cat "$work/program.py.sum")" "contents"
is "$(stat -c %s "$mnt/big")" 5242880 "size after a remount"
