#!/bin/sh
# SPDX-License-Identifier: MIT
# A file of 6 GiB with data at both ends, and random ones whose bytes are the
# same after a remount. LARGE_MIB is the size of the random one.
. "$(dirname "$0")/lib.sh"
need_fuse
size_mib=${LARGE_MIB:-256}

start
printf begin >"$mnt/sparse"
printf 'the end' | dd of="$mnt/sparse" bs=1 seek=$((6 * 1024 * 1024 * 1024)) \
	conv=notrunc status=none
is "$(stat -c %s "$mnt/sparse")" $((6 * 1024 * 1024 * 1024 + 7)) "its size"
[ "$(stat -c %b "$mnt/sparse")" -lt 512 ] || fail "the hole takes space"
head -c "${size_mib}M" /dev/urandom | tee "$mnt/random" |
	sha256sum >"$work/sum"
restart
is "$(head -c 5 "$mnt/sparse")" begin "its first bytes"
is "$(tail -c 7 "$mnt/sparse")" "the end" "its last bytes"
is "$(dd if="$mnt/sparse" bs=4096 skip=1000000 count=1 status=none |
	tr -d '\0' | wc -c)" 0 "bytes in the hole"
is "$(sha256sum <"$mnt/random")" "$(cat "$work/sum")" "the random file"
stop
