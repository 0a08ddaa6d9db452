#!/bin/sh
# SPDX-License-Identifier: MIT
# The schema of a partition: what is no value is refused and the old one stays,
# whichever way it was to be written, and whoever dies in between.
. "$(dirname "$0")/lib.sh"
need_fuse
need python3
: "${KVCTL:?the kvctl to test}"

# What holds whenever values are judged: programs of a shell, and kvctl.
everywhere() {
	echo 41 >"$mnt/n/a"
	echo 5 >"$mnt/n/a"
	is "$(cat "$mnt/n/a")" 5 "a shell's echo"
	echo abc >"$mnt/n/a" 2>/dev/null || :
	is "$(cat "$mnt/n/a")" 5 "after what is no number"
	printf '%s' -12 >"$mnt/n/b"
	printf '3\n' >>"$mnt/n/b"
	is "$(cat "$mnt/n/b")" -123 "an appended number"
	{ printf x >>"$mnt/n/b"; } 2>/dev/null || :
	is "$(cat "$mnt/n/b")" -123 "after appending what is none"
	(sleep 0.1 && echo 77) >"$mnt/n/b"
	is "$(cat "$mnt/n/b")" 77 "written late"
	echo 9223372036854775807 >"$work/max"
	echo 9223372036854775808 >"$work/over"
	cp "$work/max" "$mnt/n/a" || fail "cp of a number"
	refused "Invalid argument" cp "$work/over" "$mnt/n/a"
	refused "Invalid argument" dd if="$work/over" of="$mnt/n/a" status=none
	is "$(cat "$mnt/n/a")" 9223372036854775807 "after a number too large"
	echo 8 >"$mnt/n/t" && mv "$mnt/n/t" "$mnt/n/a"
	is "$(cat "$mnt/n/a")" 8 "renamed over"
	echo 11 | tee "$mnt/n/c" >/dev/null
	is "$(cat "$mnt/n/c")" 11 "a new one"
	: >"$mnt/n/new" 2>/dev/null || :
	is "$(cat "$mnt/n/new")" "" "one that has no value yet"
	rm "$mnt/n/new" "$mnt/n/c"

	printf 'caf\303\251\n' >"$mnt/s/a"
	cp "$mnt/s/a" "$work/cafe"
	{ printf 'caf\351\n' >"$mnt/s/a"; } 2>/dev/null || :
	cmp -s "$mnt/s/a" "$work/cafe" || fail "latin1 replaced a string"
	printf 'a\377b' >"$work/bad"
	refused "Invalid argument" cp "$work/bad" "$mnt/s/a"
	cmp -s "$mnt/s/a" "$work/cafe" || fail "the old string is gone"
	{ printf '\377' >>"$mnt/s/a"; } 2>/dev/null || :
	cmp -s "$mnt/s/a" "$work/cafe" || fail "a string grew by what is none"
	# Larger than a request, a character on every border.
	python3 -c 'print("x" + "\u20ac" * 700000, end="")' >"$work/large"
	cp "$work/large" "$mnt/s/large" || fail "cp of a large string"
	cmp "$work/large" "$mnt/s/large"
	dd if="$work/large" of="$mnt/s/large" bs=1000 status=none
	cmp "$work/large" "$mnt/s/large"
	head -c 9000000 /dev/zero >"$work/huge"
	refused "File too large" cp "$work/huge" "$mnt/s/huge"
	rm -f "$mnt/s/huge" "$mnt/s/large"
	refused "Invalid argument" cp "$work/bad" "$mnt/s/large"
	rm -f "$mnt/s/large"

	"$KVCTL" set "$mnt" n/k 41
	"$KVCTL" incr "$mnt" n/k >/dev/null
	is "$(cat "$mnt/n/k")" 42 "kvctl incr"
	refused "Invalid argument" "$KVCTL" set "$mnt" n/k forty
	refused "Invalid argument" "$KVCTL" set "$mnt" n/k 42 s/x "$(printf 'a\377')"
	refused "Invalid argument" "$KVCTL" append "$mnt" n/k x
	refused "Invalid argument" "$KVCTL" cas "$mnt" n/k 42 x
	is "$(cat "$mnt/n/k")" 42 "what kvctl was refused"
	"$KVCTL" append "$mnt" n/k 0
	"$KVCTL" cas "$mnt" n/k 420 7
	is "$(cat "$mnt/n/k")" 7 "kvctl cas"
	printf 'k n/k\nv nine\ne 1\n' >"$work/dump"
	sed -i '1i# kvctl dump 1' "$work/dump"
	refused "Invalid argument" "$KVCTL" load "$mnt" -f "$work/dump"
	is "$("$KVCTL" get "$mnt" n/k)" 7 "what load was refused"
	is "$(names "$mnt/n")" "a b k " "what is left behind"

	# A crash before it is written leaves the old one.
	exec 3>"$mnt/n/a"
	exec 4>"$mnt/s/a"
	killed
	exec 3>&- 4>&-
	"$KVCTL" check "$store" || fail "check after a kill"
	is "$("$KVCTL" get "$store" n/a)" 8 "a number that was emptied"
	is "$("$KVCTL" get "$store" s/a)" "$(cat "$work/cafe")" "a string, too"
}

# What holds when they are judged as the file is closed.
at_close() {
	py <<'END'
def put(path, value):
    fd = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CREAT)
    os.write(fd, value)
    return fd

def get(path):
    with open(path, "rb") as f:
        return f.read()

os.close(put("n/x", b"7"))
reader = os.open("n/x", os.O_RDONLY)

# Nobody else sees it before, and nobody ever, when it is refused.
fd = put("n/x", b"nothing")
assert get("n/x") == b"7" and os.stat("n/x").st_size == 1
assert os.pread(reader, 10, 0) == b"7"
fails(errno.EINVAL, os.close, fd)
assert get("n/x") == b"7" and os.pread(reader, 10, 0) == b"7"
fd = put("n/x", b"12")
assert get("n/x") == b"7"
os.write(fd, b"34")
os.close(fd)
assert get("n/x") == b"1234" and os.pread(reader, 10, 0) == b"1234"
assert os.stat("n/x").st_size == 4

# In place, through what is no value; what the writer reads is its own.
fd = os.open("n/x", os.O_RDWR)
os.pwrite(fd, b"--", 0)
assert os.pread(fd, 10, 0) == b"--34" and get("n/x") == b"1234"
fails(errno.EINVAL, os.fsync, fd)
os.pwrite(fd, b"99", 0)
os.fsync(fd)
assert get("n/x") == b"9934"
os.ftruncate(fd, 2)
assert os.pread(fd, 10, 0) == b"99" and get("n/x") == b"9934"
os.close(fd)
assert get("n/x") == b"99"

# Refused, mended, closed again: the duplicates of a descriptor.
fd = put("n/x", b"1x")
fails(errno.EINVAL, os.close, os.dup(fd))
os.pwrite(fd, b"15", 0)
os.close(os.dup(fd))
assert get("n/x") == b"15"
os.close(fd)

# Two at a time: each is whole, the last one counts.
a, b = put("n/x", b"100"), put("n/x", b"200")
os.write(a, b"1")
os.close(b)
assert get("n/x") == b"200"
os.close(a)
assert get("n/x") == b"1001"

# Emptied, and no more: for whom nobody knows, so nobody is told.
os.close(os.open("n/x", os.O_WRONLY | os.O_TRUNC))
assert get("n/x") == b"1001"
fails(errno.EINVAL, os.truncate, "n/x", 0)
os.truncate("n/x", 3)
assert get("n/x") == b"100"
os.close(put("s/x", b"text"))
os.close(os.open("s/x", os.O_WRONLY | os.O_TRUNC))
for _ in range(100): # the last close is told behind it
    if get("s/x") == b"":
        break
assert os.stat("s/x").st_size == 0

# Appending.
os.close(put("n/x", b"5"))
fd = os.open("n/x", os.O_WRONLY | os.O_APPEND)
os.write(fd, b"6")
os.write(fd, b"7")
os.close(fd)
assert get("n/x") == b"567"

# No shared mapping for writing; other ways that have no end are refused.
import mmap
fd = os.open("n/x", os.O_RDWR)
try:
    mmap.mmap(fd, 3).close()
except OSError as error:
    assert error.errno == errno.ENODEV, error
try:
    os.posix_fallocate(fd, 0, 100)
    os.close(fd)
except OSError as error:
    assert error.errno in (errno.EOPNOTSUPP, errno.EFBIG, errno.EINVAL), error
assert get("n/x") == b"567"
fails(errno.EOPNOTSUPP, os.open, "n", os.O_TMPFILE | os.O_RDWR)
with open("plain", "wb") as f:
    f.write(b"88")
source = os.open("plain", os.O_RDONLY)
fd = os.open("n/x", os.O_WRONLY | os.O_TRUNC)
try:
    os.copy_file_range(source, fd, 2)
    os.close(fd)
    assert get("n/x") == b"88"
except OSError as error:
    assert error.errno in (errno.EXDEV, errno.EOPNOTSUPP), error
os.close(source)

# Files of no partition are what they always are.
for flags in os.O_RDONLY, os.O_RDWR, os.O_WRONLY:
    os.close(os.open("plain", flags))
os.close(put("plain", b"\xff"))
assert get("plain") == b"\xff"
fd = os.open("plain", os.O_RDWR | os.O_TRUNC)
assert os.fstat(fd).st_size == 0
os.write(fd, b"more")
assert get("plain") == b"more"
with mmap.mmap(fd, 4) as m:
    m[0:1] = b"M"
    m.flush()
assert get("plain") == b"More"
os.close(fd)
os.unlink("n/x")
os.unlink("s/x")
os.unlink("plain")
os.close(reader)
END
}

partitions() {
	mkdir "$mnt/n" "$mnt/s"
	py <<'END'
os.setxattr("n", "user.kvfs.schema", b"int")
os.setxattr("s", "user.kvfs.schema", b"string")
END
}

# Made in a mount that did not expect it: judged at each write.
start
echo before >"$mnt/before"
partitions
everywhere
# The next mount knows.
start
is "$(sed -n 's/^schema //p' "$mnt/.kvfs/config")" auto "the option"
at_close
everywhere
# Behind a write-back cache nothing could be refused: there is none, then.
start -o writeback
at_close
stop
start -o schema=write
everywhere
rm -rf "$store"
start -o writeback
mkdir "$mnt/n"
py <<'END'
os.setxattr("n", "user.kvfs.schema", b"bytes")
fails(errno.EOPNOTSUPP, os.setxattr, "n", "user.kvfs.schema", b"int")
END
stop
rm -rf "$store"

start -o schema=close
partitions
at_close
everywhere
# What was written, and not closed, dies with the daemon.
start
py "$(daemon_pid)" <<'END'
import signal
number = os.open("n/a", os.O_WRONLY | os.O_TRUNC)
os.write(number, b"123")
string = os.open("s/a", os.O_WRONLY | os.O_TRUNC)
os.write(string, b"not closed")
os.kill(int(sys.argv[1]), signal.SIGKILL)
END
gone
is "$("$KVCTL" get "$store" n/a)" 8 "a number that was not closed"
is "$("$KVCTL" get "$store" s/a)" "$(cat "$work/cafe")" "a string, too"
"$KVCTL" check "$store" || fail "check"
