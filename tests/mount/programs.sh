#!/bin/sh
# SPDX-License-Identifier: MIT
# Programs that people use: tar, rsync, cp, git, find, du, rotation of backups.
. "$(dirname "$0")/lib.sh"
need_fuse
need python3
start

# A tree with everything in it.
src=$work/src
mkdir -p "$src/dir/sub"
echo a >"$src/a"
ln "$src/a" "$src/dir/hard"
ln -s ../a "$src/dir/soft"
head -c 3000000 /dev/urandom >"$src/dir/sub/big"
truncate -s 10M "$src/sparse"
printf x >>"$src/sparse"
: >"$src/name with  space"
chmod 751 "$src/dir"
touch -d '2001-02-03 04:05:06.789' "$src/dir/sub"

(cd "$src" && tar cf - .) | (mkdir "$mnt/tar" && cd "$mnt/tar" && tar xpf -)
diff -r --no-dereference "$src" "$mnt/tar" || fail "tar"
cp -a "$src" "$mnt/cp"
diff -r --no-dereference "$src" "$mnt/cp" || fail "cp -a"
is "$(stat -c %h "$mnt/cp/a")" 2 "hard links of cp -a"

if command -v rsync >/dev/null; then
	rsync -aHAXS "$src/" "$mnt/daily.0/"
	drop_caches
	is "$(rsync -aHAXSni "$src/" "$mnt/daily.0/")" "" "rsync, again"
	mv "$mnt/daily.0" "$mnt/daily.1"
	cp -al "$mnt/daily.1" "$mnt/daily.0"
	echo changed >"$src/new"
	rsync -aHAXS --delete "$src/" "$mnt/daily.0/"
	rsync -aHAXS --link-dest="$mnt/daily.1" "$src/" "$mnt/linked/"
	is "$(stat -c %i "$mnt/linked/dir/sub/big")" \
		"$(stat -c %i "$mnt/daily.1/dir/sub/big")" "--link-dest"
	rsync -aHAXS "$mnt/daily.0/" "$work/back/"
	diff -r --no-dereference "$src" "$work/back" || fail "rsync back"
fi
if command -v git >/dev/null; then
	git -c init.defaultBranch=main init -q "$mnt/repo"
	cp -r "$src/." "$mnt/repo"
	git -C "$mnt/repo" add .
	git -C "$mnt/repo" -c user.name=n -c user.email=e commit -qm first
	git -C "$mnt/repo" fsck --strict >"$work/out" 2>&1 || fail "git fsck"
	is "$(git -C "$mnt/repo" status --porcelain)" "" "git status"
	git clone -q "$mnt/repo" "$mnt/clone"
	git -C "$mnt/repo" gc -q
fi
du -s "$mnt" >"$work/out"
grep -rq changed "$mnt/" || fail "grep -r"
find "$mnt" -name big -delete
rm -rf "${mnt:?}"/*
is "$(ls -A "$mnt")" "" "after rm -rf"
