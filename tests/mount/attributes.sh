#!/bin/sh
# SPDX-License-Identifier: MIT
# chmod, chown, utimens, truncate, and the times that changes leave.
. "$(dirname "$0")/lib.sh"
need_fuse
need python3
start

echo hello >"$mnt/file"
chmod 640 "$mnt/file"
is "$(stat -c %a "$mnt/file")" 640 "mode"
chmod 7777 "$mnt/file"
is "$(stat -c %a "$mnt/file")" 7777 "mode with all bits"
chmod 644 "$mnt/file"
touch -d '1999-12-31 23:59:59.123456789 UTC' "$mnt/file"
is "$(TZ=UTC stat -c %y "$mnt/file")" \
	"1999-12-31 23:59:59.123456789 +0000" "mtime with nanoseconds"
touch -d '1902-01-01 UTC' "$mnt/file"
is "$(TZ=UTC stat -c %y "$mnt/file")" \
	"1902-01-01 00:00:00.000000000 +0000" "a time before the epoch"
touch -d '2200-01-01 UTC' "$mnt/file"
is "$(TZ=UTC stat -c %y "$mnt/file")" \
	"2200-01-01 00:00:00.000000000 +0000" "a late time"
truncate -s 3 "$mnt/file"
is "$(cat "$mnt/file")" hel "cut contents"
truncate -s 5 "$mnt/file"
is "$(od -An -c "$mnt/file" | tr -s ' ')" ' h e l \0 \0' "grown contents"
: >"$mnt/file"
is "$(stat -c %s "$mnt/file")" 0 "size after O_TRUNC"

py <<'END'
def times(name):
    st = os.stat(name)
    return st.st_atime_ns, st.st_mtime_ns, st.st_ctime_ns

def changes(function, *args, m, c, name="t"):
    before = times(name)
    time.sleep(0.02)
    function(*args)
    after = times(name)
    assert (after[1] > before[1]) == m, (function, before, after)
    assert (after[2] > before[2]) == c, (function, before, after)

fd = os.open("t", os.O_CREAT | os.O_RDWR)
os.mkdir("dir")
changes(os.write, fd, b"x", m=True, c=True)
changes(os.ftruncate, fd, 100, m=True, c=True)
changes(os.chmod, "t", 0o600, m=False, c=True)
changes(os.link, "t", "dir/t", m=False, c=True)
changes(os.unlink, "dir/t", m=False, c=True)
changes(os.link, "t", "dir/t", m=True, c=True, name="dir")
changes(os.unlink, "dir/t", m=True, c=True, name="dir")


# Which times move: of the file (m, c), and of the directory it is in.
def moves(function, *args, file, parent, name="w/f"):
    def moved(path, before):
        if before is None or not os.path.lexists(path):
            return None
        st = os.lstat(path)
        return (("m" if st.st_mtime_ns > before[0] else "") +
                ("c" if st.st_ctime_ns > before[1] else ""))
    def look(path):
        if not os.path.lexists(path):
            return None
        return os.lstat(path).st_mtime_ns, os.lstat(path).st_ctime_ns
    before = look(name), look("w")
    settle()
    function(*args)
    assert moved("w", before[1]) == parent, (function, args, "parent")
    if file is not None:
        assert moved(name, before[0]) == file, (function, args, "file")

os.mkdir("w")
os.mkdir("other")
fd2 = os.open("w/f", os.O_CREAT | os.O_RDWR)
os.write(fd2, b"text")
os.fsync(fd2)
moves(os.pread, fd2, 4, 0, file="", parent="")
moves(os.listdir, "w", file="", parent="")
moves(os.access, "w/f", os.R_OK, file="", parent="")
moves(os.pwrite, fd2, b"", 0, file="", parent="")
moves(os.pwrite, fd2, b"x", 0, file="mc", parent="")
moves(os.pwrite, fd2, b"x" * 100000, 5000, file="mc", parent="")
moves(os.truncate, "w/f", 10, file="mc", parent="")
moves(os.truncate, "w/f", 10, file="mc", parent="")
moves(os.truncate, "w/f", 0, file="mc", parent="")
moves(lambda: os.close(os.open("w/f", os.O_WRONLY | os.O_TRUNC)),
      file="mc", parent="")
moves(lambda: os.close(os.open("w/f", os.O_RDWR | os.O_CREAT)),
      file="", parent="")
moves(os.posix_fallocate, fd2, 0, 100, file="mc", parent="")
moves(os.chmod, "w/f", 0o640, file="c", parent="")
moves(os.chown, "w/f", os.getuid(), os.getgid(), file="c", parent="")
moves(os.setxattr, "w/f", "user.x", b"1", file="c", parent="")
moves(os.removexattr, "w/f", "user.x", file="c", parent="")
moves(os.link, "w/f", "other/f", file="c", parent="")
moves(os.link, "w/f", "w/g", file="c", parent="mc")
moves(os.unlink, "w/g", file="c", parent="mc")
moves(os.unlink, "other/f", file="c", parent="")
moves(os.rename, "w/f", "w/h", file=None, parent="mc")
moves(os.rename, "w/h", "w/f", file=None, parent="mc")
moves(os.rename, "w/f", "other/f", file=None, parent="mc")
moves(os.rename, "other/f", "w/f", file=None, parent="mc")
before = os.stat("w/f").st_ctime_ns
settle()
os.rename("w/f", "w/i")
assert os.stat("w/i").st_ctime_ns > before, "ctime of what is renamed"
os.rename("w/i", "w/f")
for make, remove in ((os.mkdir, os.rmdir), (os.mkfifo, os.unlink),
                     (lambda n: os.symlink("x", n), os.unlink)):
    moves(make, "w/new", file=None, parent="mc")
    moves(remove, "w/new", file=None, parent="mc")
moves(os.mkdir, "w/dir", file=None, parent="mc")
moves(os.mkdir, "w/dir/sub", file="mc", parent="", name="w/dir")
moves(os.rename, "w/dir", "other/dir", file=None, parent="mc")
os.close(fd2)

os.utime("t", ns=(1, 2))
assert times("t")[:2] == (1, 2)
os.utime("t", ns=(3, times("t")[1]))
os.utime("t")
assert abs(times("t")[1] / 1e9 - time.time()) < 60
fails(errno.EISDIR, os.truncate, "dir", 0)
fails(errno.EINVAL, os.truncate, "t", -1)
# Large sizes are sparse.
os.truncate("t", 1 << 40)
assert os.stat("t").st_size == 1 << 40
assert os.stat("t").st_blocks < 1000
os.pwrite(fd, b"end", (1 << 40) - 3)
assert os.pread(fd, 10, (1 << 40) - 3) == b"end"
os.truncate("t", 0)
os.truncate("t", 1 << 40)
assert os.pread(fd, 10, (1 << 40) - 3) == b"\0\0\0"
END

# The time of birth stays; kernels before 6.6 do not ask for it.
birth=$(stat -c %W "$mnt/file")
if [ "$birth" != 0 ]; then
	[ "$birth" -ge "$(stat -c %Y "$store/LOCK")" ] ||
		fail "born before the store: $birth"
	was=$(stat -c %w "$mnt/file")
	echo more >>"$mnt/file"
	touch "$mnt/file"
	chmod 600 "$mnt/file"
	drop_caches
	is "$(stat -c %w "$mnt/file")" "$was" "time of birth"
	is "$(stat -c '%a %s' "$mnt/file")" "600 5" "asked with it"
	[ "$(stat -c %W "$mnt/.stats")" -ge "$birth" ] ||
		fail "birth of a virtual file"
else
	[ "$(uname -r | cut -d. -f1)" -le 6 ] || fail "no time of birth"
fi

if [ "$(id -u)" -eq 0 ]; then
	chown 1000:1001 "$mnt/file"
	is "$(stat -c %u:%g "$mnt/file")" 1000:1001 "owner"
	chmod 6755 "$mnt/file"
	chown 1002 "$mnt/file"
	is "$(stat -c '%u:%g %a' "$mnt/file")" "1002:1001 755" \
		"set-id bits after chown"
fi
