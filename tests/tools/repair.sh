#!/bin/sh
# SPDX-License-Identifier: MIT
# check --repair puts right what has one right way, leaves a report, and exits as
# fsck does.
. "$(dirname "$0")/lib.sh"

store=$work/store
target=$store
expect 0 create "$store"
expect 0 set "$store" user/42 a-value user/7 sound
expect 0 check --repair "$store"
out_is ''
expect 0 list -d "$store"
! grep -q lost "$work/out" || fail 'lost+found in a sound store'

# What is damaged stays so, and is told each time.
expect 0 create "$work/damaged"
{
	head -c 60000 /dev/zero
	printf 'a very special pattern'
} >"$work/value"
expect 0 set "$work/damaged" some/key --file "$work/value"
expect 0 set "$work/damaged" other fine
for segment in "$work/damaged"/*.seg; do
	LC_ALL=C grep -abo 'a very special pattern' "$segment" | cut -d: -f1 |
		while read -r offset; do
			printf X | dd of="$segment" bs=1 seek="$offset" \
				conv=notrunc status=none
		done
done
expect 4 check --repair "$work/damaged"
grep -q '^some/key: .*damaged.*: left as it is$' "$work/out" ||
	fail 'not told'
target=$work/damaged
value_is other fine
expect 2 get "$target" some/key
expect 0 list "$target" -p lost+found/report-
[ "$(wc -l <"$work/out")" -eq 1 ] || fail 'no report'
report=$(cat "$work/out")
expect 0 get "$target" "$report"
grep -q '^some/key: ' "$work/out" || fail 'the report'
expect 4 check "$target"
# What cannot be read can be deleted: then it is sound.
expect 0 delete "$target" some/key
expect 0 compact "$target"
expect 0 check "$target"

# A mount is not repaired under its users.
if can_mount; then
	mount_store "$store" "$work/mnt"
	expect 8 check --repair "$work/mnt"
	err_has 'is mounted'
	expect 8 check --repair "$store"
	expect 0 umount "$work/mnt"
fi

# Records taken away behind the filesystem's back, by the engine itself.
command -v python3 >/dev/null || exit 0
library=${LIBRARY:-$(dirname "$kvctl")/../engine/libkvfs-engine.so}
[ -e "$library" ] || exit 0
case $(nm -D "$library" 2>/dev/null) in *asan* | *tsan*) exit 0 ;; esac
cat >"$work/delete.py" <<'END'
import ctypes, sys

library, path, *keys = sys.argv[1:]
engine = ctypes.CDLL(library)

class Slice(ctypes.Structure):
    _fields_ = [("data", ctypes.c_char_p), ("size", ctypes.c_size_t)]

options = ctypes.create_string_buffer(4096)
engine.kv_options_init(options)
kv = ctypes.c_void_p()
assert engine.kv_open(path.encode(), options, ctypes.byref(kv)) == 0
engine.kv_delete.argtypes = [ctypes.c_void_p, Slice, ctypes.c_void_p]
engine.kv_close.argtypes = [ctypes.c_void_p]
for key in keys:
    data = bytes.fromhex(key)
    assert engine.kv_delete(kv, Slice(data, len(data)), None) == 0, key
assert engine.kv_close(kv) == 0
END

ino() {
	"$kvctl" stat "$store" "$1" | sed -n 's/^ino //p'
}

# hex INO TAG [NAME]: a key of the filesystem; see fs/FORMAT.md.
hex() {
	printf '%016x' "$1"
	printf '%s' "$2${3:-}" | od -An -v -tx1 | tr -d ' \n'
}

dir=$(ino user)
forty_two=$(ino user/42)
seven=$(ino user/7)
expect 0 set "$store" more value
# The record of 42; the name of 7, both times; the name of more, once.
cookie_key=$(printf '%016x43%016x' "$dir" 3)
python3 "$work/delete.py" "$library" "$store" "$(hex "$forty_two" A)" \
	"$(hex "$dir" D 7)" "$(hex 1 D more)" || fail 'delete.py'
expect 4 check "$store"
expect 1 check --repair "$store"
grep -q 'the name was removed$' "$work/out" || fail 'user/42'
grep -q 'the name was written anew$' "$work/out" || fail 'more'
expect 0 check "$store"
target=$store
value_is more value
value_is user/7 sound
expect 1 exists "$store" user/42
# No name at all: it is found again by its number.
seven=$(ino user/7)
cookie_key=
for n in 3 4 5 6; do
	cookie_key="$cookie_key $(printf '%016x43%016x' "$dir" $n)"
done
for key in $cookie_key; do
	python3 "$work/delete.py" "$library" "$store" "$key" 2>/dev/null || :
done
python3 "$work/delete.py" "$library" "$store" "$(hex "$dir" D 7)"
expect 1 check --repair "$store"
value_is "lost+found/#$seven" sound
expect 0 check "$store"
