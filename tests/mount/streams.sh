#!/bin/sh
# SPDX-License-Identifier: MIT
# Directory streams while others make, remove and rename in a directory of
# DIRECTORY_FILES: what stays is returned exactly once; positions can be gone
# back to; a directory that is removed while open is empty; and removing a
# large directory costs as much an entry as removing a small one.
. "$(dirname "$0")/lib.sh"
need_fuse
need python3 taskset
count=${DIRECTORY_FILES:-100000}

start
py "$count" <<'END'
import collections, signal
count = int(sys.argv[1])

def make(name):
    os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY))

def fill(path, names):
    os.mkdir(path)
    for name in names:
        make(path + "/" + name)

staying = ["stay-%d" % i for i in range(count)]
coming = ["go-%d" % i for i in range(count // 100)]
fill("d", staying + coming)
os.mkdir("elsewhere")

# Others, each with a third of the names that come and go.
def makes_and_removes(names):
    while True:
        for name in names:
            os.unlink(name)
        for name in names:
            make(name)

def renames(names):
    while True:
        for name in names:
            os.rename(name, "renamed-" + name)
        for name in names:
            os.rename("renamed-" + name, name)

def moves_out_and_in(names):
    while True:
        for name in names:
            os.rename(name, "../elsewhere/" + name)
        for name in names:
            os.rename("../elsewhere/" + name, name)

children = []
for i, work in enumerate((makes_and_removes, renames, moves_out_and_in)):
    child = os.fork()
    if child == 0:
        try:
            os.chdir("d")
            work(coming[i::3])
        finally:
            os._exit(1)
    children.append(child)

def check(seen):
    counts = collections.Counter(seen)
    twice = [n for n in staying if counts[n] > 1]
    never = [n for n in staying if counts[n] == 0]
    assert not twice and not never, (len(twice), twice[:5],
                                     len(never), never[:5])

# The C library's streams, by which positions can be told and sought.
libc.opendir.restype = ctypes.c_void_p
libc.readdir.restype = ctypes.c_void_p
libc.telldir.restype = ctypes.c_long
for function in libc.readdir, libc.telldir, libc.closedir:
    function.argtypes = [ctypes.c_void_p]
libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]

def next_name(stream):
    entry = libc.readdir(stream)
    return ctypes.string_at(entry + 19).decode() if entry else None

try:
    for scan in range(3):
        check([entry.name for entry in os.scandir("d")])
    stream = libc.opendir(b"d")
    positions, order = {}, []
    while True:
        position = libc.telldir(stream)
        name = next_name(stream)
        if name is None:
            break
        order.append(name)
        if name.startswith("stay-") and len(order) % 97 == 0:
            positions[name] = position
    check(order)
    # Back to where names were, in another order.
    for name in sorted(positions, key=hash):
        libc.seekdir(stream, positions[name])
        found = next_name(stream)
        while not found.startswith("stay-"):
            found = next_name(stream)
        assert found == name, (found, name)
    # From one of them to the end: what stays comes in the same order.
    middle = list(positions)[len(positions) // 2]
    libc.seekdir(stream, positions[middle])
    rest = []
    while (name := next_name(stream)) is not None:
        rest.append(name)
    expected = [n for n in order[order.index(middle):] if n[:5] == "stay-"]
    assert [n for n in rest if n[:5] == "stay-"] == expected
    libc.seekdir(stream, 0)
    assert next_name(stream) == "."
    libc.closedir(stream)
finally:
    for child in children:
        assert os.waitpid(child, os.WNOHANG) == (0, 0), "a child has failed"
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)

# A stream that is half read when everything goes.
fill("half", ["f%d" % i for i in range(3000)])
stream = libc.opendir(b"half")
first = [next_name(stream) for i in range(10)]
for name in os.listdir("half"):
    os.unlink("half/" + name)
os.rmdir("half")
while next_name(stream) is not None:
    pass
libc.seekdir(stream, 0)
assert next_name(stream) is None, "a removed directory has entries"
libc.closedir(stream)

# A directory that is removed while it is open.
os.mkdir("open")
fd = os.open("open", os.O_RDONLY)
os.rmdir("open")
assert os.fstat(fd).st_nlink == 0
assert os.listdir(fd) == []
fails(errno.ENOENT, os.open, "f", os.O_CREAT | os.O_WRONLY, dir_fd=fd)
fails(errno.ENOENT, os.mkdir, "sub", dir_fd=fd)
fails(errno.ENOENT, os.stat, "f", dir_fd=fd)
os.mkdir("open")
make("open/other")
assert os.listdir(fd) == []
os.fchmod(fd, 0o700)
os.utime(fd)
os.mkdir("over")
os.mkdir("under")
fd2 = os.open("under", os.O_RDONLY)
os.rename("over", "under")
assert os.fstat(fd2).st_nlink == 0 and os.listdir(fd2) == []
END

# Removing costs the same per entry: the work of the daemon, by its own clock, so
# that a busy machine does not matter; all on one processor, where it does not
# wait awake. Quadratic would be 10.
stop
processor=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*\([0-9]*\).*/\1/p' \
	/proc/self/status)
taskset -pc "$processor" $$ >/dev/null
start
py "$count" "$(daemon_pid)" <<'END'
import subprocess
count, daemon = int(sys.argv[1]), int(sys.argv[2])

def fill(path, size):
    os.mkdir(path)
    for i in range(size):
        os.close(os.open("%s/f%d" % (path, i), os.O_CREAT | os.O_WRONLY))

def cpu_ticks():
    fields = open("/proc/%d/stat" % daemon).read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])

def removal_cost(size):
    fill("r", size)
    before = cpu_ticks()
    subprocess.run(["rm", "-rf", "r"], check=True)
    return (cpu_ticks() - before + 1) / size

small = removal_cost(count // 5)
large = removal_cost(count * 2)
print("cost of removing an entry: %.2f times as large" % (large / small))
assert large < 4 * small, (small, large)
END
