#!/bin/sh
# SPDX-License-Identifier: MIT
# Backups: rsync -aHAXS --numeric-ids into the mount and out of it keeps all
# there is of a tree, by a manifest of contents, modes, owners, times, links,
# devices, attributes and ACLs; and seven backups rotate as rsnapshot does it,
# by hard links from rsync and by those from cp.
. "$(dirname "$0")/lib.sh"
need_fuse
need_root
need python3 rsync setfacl
src=$work/src

cat >"$work/manifest" <<'END'
import hashlib, os, stat, sys

root = sys.argv[1].encode()
first_names = {}

def attributes(path):
    for name in sorted(os.listxattr(path, follow_symlinks=False)):
        yield name, os.getxattr(path, name, follow_symlinks=False)

def describe(path):
    st = os.lstat(path)
    name = os.path.relpath(path, root)
    line = [name, oct(st.st_mode), st.st_uid, st.st_gid, st.st_mtime_ns]
    if stat.S_ISREG(st.st_mode):
        with open(path, "rb") as f:
            line += [st.st_size, hashlib.sha256(f.read()).hexdigest()]
        line.append("sparse" if st.st_blocks * 512 < st.st_size / 2 else "")
    if stat.S_ISLNK(st.st_mode):
        line.append(os.readlink(path))
    if stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode):
        line.append((os.major(st.st_rdev), os.minor(st.st_rdev)))
    if not stat.S_ISDIR(st.st_mode):
        line += [st.st_nlink, first_names.setdefault(st.st_ino, name)]
    print(*line, *attributes(path))

for directory, names, others in os.walk(root):
    names.sort()
    describe(directory)
    for name in sorted(others + [n for n in names if
                                 os.path.islink(os.path.join(directory, n))]):
        describe(os.path.join(directory, name))
END
manifest() {
	python3 "$work/manifest" "$1"
}

# same TREE MANIFEST WHAT
same() {
	manifest "$1" >"$work/now"
	cmp -s "$work/now" "$2" || {
		diff "$2" "$work/now" | head -n 20 >&2
		fail "$3"
	}
}

mkdir "$src"
cat >"$work/make.py" <<'END'
import os, socket, stat, struct, sys
os.chdir(sys.argv[1])

def put(name, data=b"", mode=0o644, owner=(0, 0)):
    fd = os.open(name, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    os.write(fd, data)
    os.fchown(fd, *owner)
    os.fchmod(fd, mode)
    os.close(fd)

os.makedirs("etc/deep/er/still")
os.makedirs("spool")
put("empty")
put("small", b"small\n", 0o600, (12345, 54321))
put("etc/large", os.urandom(3 << 20), 0o640, (1000, 4294967294))
put("etc/set-user", b"u", 0o4755, (1234, 1234))
put("etc/set-group", b"g", 0o2711, (1, 2345))
put("etc/unreadable", b"-", 0o000)
for name in (b"new\nline", b"\xff\xfe bytes", b" space ", b"-dash", b"x" * 255,
             "Umläute".encode(), b".hidden", b"back\\slash"):
    put(b"etc/deep/" + name, name)
with open("sparse", "wb") as f:
    f.write(b"begin")
    f.seek(20 << 20)
    f.write(b"end")
    f.truncate(40 << 20)
os.link("small", "etc/link-1")
os.link("small", "etc/deep/er/link-2")
os.symlink("../small", "etc/soft")
os.symlink("/nowhere/at all", "dangling")
os.symlink("etc", "to-directory")
os.lchown("dangling", 77, 88)
os.mkfifo("etc/fifo", 0o620)
os.link("etc/fifo", "etc/fifo-2")
os.mknod("etc/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
os.mknod("etc/disk", stat.S_IFBLK | 0o660, os.makedev(259, 300))
socket.socket(socket.AF_UNIX).bind("etc/socket")
os.chmod("spool", 0o1777)
os.chown("etc/deep", 5, 6)
os.chmod("etc/deep", 0o2775)
os.setxattr("small", "user.comment", b"a value")
os.setxattr("small", "user.binary", bytes(range(256)) * 8)
os.setxattr("etc", "user.of-a-directory", b"")
os.setxattr("etc/large", "trusted.md5", os.urandom(16))
os.setxattr("etc/set-user", "security.capability",
            struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0))
END
python3 "$work/make.py" "$src" ||
	skip "the filesystem of $work lacks what the test needs"
setfacl -m u:1234:rwx,g:2345:r,m::rx "$src/etc/large"
setfacl -m u:77:rw "$src/small"
setfacl -d -m u:1234:rwx,g:2345:rx,o::- "$src/spool"
# rsync does not tell times of the same second apart, but for plain files.
find "$src" -exec touch -h -d '2011-10-09 08:07:06.543210987 UTC' {} +
touch -h -d '1999-12-31 23:59:59.123456789 UTC' "$src/dangling" "$src/etc/soft"
touch -d '1969-07-20 20:17:40 UTC' "$src/empty"
touch -d '2038-01-19 03:14:08.999999999 UTC' "$src/sparse" "$src/etc/fifo"
chmod 555 "$src/etc/deep/er"
touch -d '2001-02-03 04:05:06.000000007 UTC' "$src/etc/deep/er" \
	"$src/spool" "$src/etc/deep" "$src/etc" "$src"
manifest "$src" >"$work/original"

sync_tree() {
	rsync -aHAXS --numeric-ids "$@"
}

start -o allow_other,suid,dev
sync_tree "$src/" "$mnt/copy/"
same "$mnt/copy" "$work/original" "rsync into the mount"
drop_caches
same "$mnt/copy" "$work/original" "asked again"
is "$(sync_tree -ni --checksum --delete "$src/" "$mnt/copy/")" "" "a second run"
restart -o allow_other,suid,dev
same "$mnt/copy" "$work/original" "after a remount"
sync_tree "$mnt/copy/" "$work/back/"
same "$work/back" "$work/original" "rsync out of the mount"
sync_tree "$mnt/copy/" "$mnt/within/"
same "$mnt/within" "$work/original" "rsync within the mount"
restart -o allow_other,suid,dev,writeback
sync_tree "$src/" "$mnt/again/"
same "$mnt/again" "$work/original" "rsync with the write-back cache"
restart -o allow_other,suid,dev
same "$mnt/again" "$work/original" "and after a remount"
cp -a "$mnt/copy" "$mnt/cp"
same "$mnt/cp" "$work/original" "cp -a"
(cd "$mnt/copy" && tar --warning=no-file-ignored --xattrs '--xattrs-include=*' --acls -S -cf - .) |
	(mkdir "$mnt/tar" && cd "$mnt/tar" &&
		tar --xattrs '--xattrs-include=*' --acls --numeric-owner \
			-xpf - 2>"$work/out")
# tar leaves sockets out, and knows no links of fifos.
rm "$mnt/copy/etc/socket" "$mnt/copy/etc/fifo-2" "$mnt/tar/etc/fifo-2"
touch -d '2001-02-03 04:05:06.000000007 UTC' "$mnt/copy/etc"
manifest "$mnt/copy" | sed 's/ [0-9]\{17,\} / /' >"$work/expected"
manifest "$mnt/tar" | sed 's/ [0-9]\{17,\} / /' >"$work/now"
cmp -s "$work/expected" "$work/now" || {
	diff "$work/expected" "$work/now" | head -n 20 >&2
	fail "tar and untar"
}
rm -rf "$mnt/within" "$mnt/again" "$mnt/cp" "$mnt/tar" "$mnt/copy"

# Seven days. Each changes, adds, removes and renames something, and each
# backup keeps what its day was.
change() {
	echo "day $1" >"$src/changes"
	echo "of day $1" >"$src/new-$1"
	rm -f "$src/new-$(($1 - 2))"
	printf %s "$1" | dd of="$src/etc/large" bs=1 seek=$(($1 * 1000)) \
		conv=notrunc status=none
	chmod "6$(($1 % 8))4" "$src/changes"
	# Two days of the same second would look alike to rsync.
	touch -d "2012-03-0$1 04:05:06 UTC" "$src/changes" "$src/etc/large"
	[ ! -e "$src/empty" ] || mv "$src/empty" "$src/empty-$1"
	touch -d "2012-03-0$1 01:02:03.456789 UTC" "$src"
}

rotate() {
	base=$mnt/$1
	rm -rf "${base:?}.6"
	for n in 5 4 3 2 1 0; do
		[ ! -d "$base.$n" ] || mv "$base.$n" "$base.$((n + 1))"
	done
}

for day in 1 2 3 4 5 6 7 8 9; do
	change "$day"
	rotate linked
	rotate copied
	if [ "$day" -eq 1 ]; then
		sync_tree --delete "$src/" "$mnt/linked.0/"
		sync_tree --delete "$src/" "$mnt/copied.0/"
	else
		sync_tree --delete --link-dest="$mnt/linked.1" "$src/" \
			"$mnt/linked.0/"
		cp -al "$mnt/copied.1" "$mnt/copied.0"
		sync_tree --delete "$src/" "$mnt/copied.0/"
	fi
	# Backups that share files with others have other link counts: those
	# are compared by what rsync finds to do.
	manifest "$src" >"$work/day.$day"
	for kind in linked copied; do
		is "$(sync_tree -nic --delete "$src/" "$mnt/$kind.0/")" "" \
			"$kind, day $day"
	done
done
restart -o allow_other,suid,dev
# Copied out, a backup has its own links again.
for n in 0 1 2 3 4 5 6; do
	day=$((9 - n))
	rm -rf "$work/out.d"
	sync_tree "$mnt/linked.$n/" "$work/out.d/"
	same "$work/out.d" "$work/day.$day" "linked backup of day $day"
	is "$(cat "$mnt/copied.$n/changes")" "day $day" "copied backup"
done
[ ! -e "$mnt/linked.7" ] || fail "an eighth backup"
is "$(stat -c %i "$mnt/linked.6/sparse")" "$(stat -c %i "$mnt/linked.0/sparse")" \
	"what never changed is one file"
is "$(stat -c %h "$mnt/copied.3/sparse")" 7 "its links"
[ "$(stat -c %i "$mnt/linked.1/etc/large")" != \
	"$(stat -c %i "$mnt/linked.0/etc/large")" ] || fail "what changed is not"
"$KVCTL" check "$mnt" || fail "check found something"
