#!/bin/sh
# SPDX-License-Identifier: MIT
# A directory of very many files is counted exactly, by ls and by find, before
# and after a remount, and is removed. DIRECTORY_FILES says how many.
. "$(dirname "$0")/lib.sh"
need_fuse
need python3
count=${DIRECTORY_FILES:-100000}

start
mkdir "$mnt/d"
python3 - "$mnt/d" "$count" <<'PYTHON'
import os, sys
for i in range(int(sys.argv[2])):
    os.close(os.open("%s/file-%d" % (sys.argv[1], i), os.O_CREAT | os.O_WRONLY))
PYTHON
count_both() {
	# shellcheck disable=SC2012  # it is ls that is being counted with
	is "$(ls -f "$mnt/d" | wc -l)" $((count + 2)) "ls -f | wc -l"
	is "$(find "$mnt/d" -type f | wc -l)" "$count" "find"
}
count_both
restart
count_both
rm -rf "$mnt/d"
is "$(ls -A "$mnt")" "" "what is left"
stop
