#!/bin/sh
# SPDX-License-Identifier: MIT
# .stats and .kvfs: there by name, not in listings, not to be changed.
. "$(dirname "$0")/lib.sh"
need_fuse
need python3
start

is "$(ls -A "$mnt")" "" "the listing"
cat "$mnt/.stats" >"$work/stats"
[ "$(wc -l <"$work/stats")" -le 54 ] || fail "more than a screen"
grep -qx 'health ok' "$work/stats" || fail "no health"
grep -qx "store $store" "$work/stats" || fail "no store"
is "$(head -n 1 "$mnt/.kvfs/health")" ok "health"
grep -qx 'commit 5' "$mnt/.kvfs/config" || fail "no commit in config"
grep -q '^# TYPE kvfs_files gauge$' "$mnt/.kvfs/metrics" || fail "metrics"
python3 -c 'import json, sys; assert json.load(sys.stdin)["files"] == 1' \
	<"$mnt/.kvfs/stats.json" || fail "JSON"
is "$(cd "$mnt/.kvfs" && printf '%s\n' * | sort | tr '\n' ' ')" \
	"config health metrics stats.json " "listing of .kvfs"
is "$(stat -c %a "$mnt/.stats")" 444 "mode"

py <<'END'
# The size is exact and the contents stay for who has it open.
fd = os.open(".stats", os.O_RDONLY)
size = os.fstat(fd).st_size
first = os.pread(fd, 1 << 16, 0)
assert len(first) == size > 0
open("new", "w").close()
assert os.pread(fd, 1 << 16, 0) == first
again = open(".stats", "rb").read()
assert again != first and b"\nfiles 2\n" in again
assert os.stat(".stats").st_ino == os.stat(".stats").st_ino
assert os.stat(".stats").st_ino >> 63
os.close(fd)

# Not to be changed, not even by root.
def denied(function, *args):
    try:
        function(*args)
    except OSError as error:
        assert error.errno in (errno.EACCES, errno.EPERM, errno.EEXIST,
                               errno.EXDEV, errno.EOPNOTSUPP,
                               errno.EBUSY), (function, error)
    else:
        raise AssertionError(function, args)

denied(lambda: os.write(os.open(".stats", os.O_WRONLY), b"x"))
denied(lambda: os.open(".stats", os.O_WRONLY | os.O_TRUNC))
denied(os.truncate, ".stats", 0)
denied(os.chmod, ".stats", 0o666)
denied(os.unlink, ".stats")
denied(os.rename, ".stats", "x")
denied(os.rename, "new", ".stats")
denied(os.link, ".stats", "x")
denied(os.link, "new", ".stats")
denied(os.symlink, "x", ".stats")
denied(os.mkdir, ".kvfs")
denied(os.rmdir, ".kvfs")
denied(os.rename, ".kvfs", "x")
denied(os.mkdir, ".kvfs/x")
denied(os.open, ".kvfs/x", os.O_CREAT | os.O_WRONLY)
denied(os.unlink, ".kvfs/health")
denied(os.setxattr, ".stats", "user.x", b"x")
fails(errno.ENODATA, os.getxattr, ".stats", "user.x")
assert os.listxattr(".stats") == []
fails(errno.ENOENT, os.stat, ".kvfs/absent")
fails(errno.ENOTDIR, os.stat, ".stats/x")
# Elsewhere the names are ordinary.
os.mkdir("dir")
open("dir/.stats", "w").write("mine")
assert open("dir/.stats").read() == "mine"
# Opening it a thousand times leaves nothing behind.
for i in range(5000):
    os.close(os.open(".stats", os.O_RDONLY))
END
restart -o stats=visible
ls -lA "$mnt" >"$work/list"
grep -q ' \.stats$' "$work/list" || fail "visible, but not listed"
grep -q ' \.kvfs$' "$work/list" || fail "visible, but not listed"
find "$mnt" -type f >"$work/found"
grep -q '/\.kvfs/health$' "$work/found" || fail "not found"
restart -o stats=off
refused "No such file" cat "$mnt/.stats"
refused "No such file" ls "$mnt/.kvfs"
refused "not permitted" touch "$mnt/.stats"
