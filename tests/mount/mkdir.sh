#!/bin/sh
# SPDX-License-Identifier: MIT
# Making and removing directories.
. "$(dirname "$0")/lib.sh"
need_fuse
start
umask 022

mkdir "$mnt/dir"
is "$(stat -c '%F %a %h' "$mnt/dir")" "directory 755 2" "attributes"
is "$(stat -c %h "$mnt")" 3 "links of the parent"
mkdir -m 1777 "$mnt/sticky"
is "$(stat -c %a "$mnt/sticky")" 1777 "sticky"
refused "File exists" mkdir "$mnt/dir"
refused "No such file" mkdir "$mnt/no/dir"
mkdir "$mnt/dir/sub"
is "$(stat -c %h "$mnt/dir")" 3 "links with a directory in it"
refused "Directory not empty" rmdir "$mnt/dir"
rmdir "$mnt/dir/sub"
is "$(stat -c %h "$mnt/dir")" 2 "links without"
: >"$mnt/file"
refused "Not a directory" rmdir "$mnt/file"
refused "No such file" rmdir "$mnt/absent"
rmdir "$mnt/dir"
[ ! -e "$mnt/dir" ] || fail "a removed directory is there"

# In a directory that was removed nothing can be made.
mkdir "$mnt/gone"
(cd "$mnt/gone" && rmdir "$mnt/gone" && refused "No such file" touch x)

# The set-group-id bit is inherited, with the group.
if [ "$(id -u)" -eq 0 ]; then
	mkdir "$mnt/shared"
	chgrp 1234 "$mnt/shared"
	chmod 2755 "$mnt/shared"
	mkdir "$mnt/shared/sub"
	: >"$mnt/shared/file"
	is "$(stat -c '%a %g' "$mnt/shared/sub")" "2755 1234" "sub"
	is "$(stat -c '%a %g' "$mnt/shared/file")" "644 1234" "file"
fi
