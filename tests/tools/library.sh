#!/bin/sh
# SPDX-License-Identifier: MIT
# What is installed of the engine is enough to compile and run a program with,
# linked either way, and shows what the headers declare and nothing else.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
build=${BUILD:?the build directory}
cc=${CC:-cc}
work=$(mktemp -d "${TMPDIR:-/tmp}/kvfs-library.XXXXXX")
trap 'rm -rf "$work"' EXIT

fail() {
	echo "FAILED: $*" >&2
	exit 1
}

skip() {
	echo "SKIP: $*"
	exit 77
}

for tool in meson pkg-config python3 nm readelf; do
	command -v "$tool" >/dev/null || skip "no $tool"
done

# The example as it was built, twice: what it stores is there the next time.
"$build/engine/example" "$work/store" >"$work/out" || fail 'the example'
grep -qx 'run 1 times' "$work/out" || fail 'the first time'
"$build/engine/example" "$work/store" >"$work/out" || fail 'the example'
grep -qx 'run 2 times' "$work/out" || fail 'the second time'
grep -qx 'greeting/new: 5 bytes' "$work/out" || fail 'the list'
status=0
"$build/engine/example" /proc/none 2>"$work/err" || status=$?
[ "$status" -eq 1 ] || fail "status $status where there can be no store"

# As another would: only what is installed, found by pkg-config.
DESTDIR="$work/root" meson install -C "$build" --no-rebuild >"$work/log" 2>&1 ||
	fail "meson install: $(tail -n 3 "$work/log")"
pc=$(find "$work/root" -name kvfs-engine.pc)
[ -n "$pc" ] || fail 'no kvfs-engine.pc'
libdir=$(dirname "$(dirname "$pc")")
unset PKG_CONFIG_PATH
export PKG_CONFIG_PATH="${pc%/*}"
export PKG_CONFIG_SYSROOT_DIR="$work/root"
cp "$root/engine/example.c" "$work/example.c"
cd "$work"
# The libraries beside ours are the system's: no sysroot for them.
flags=$(pkg-config --cflags --libs kvfs-engine) || fail 'pkg-config'
# shellcheck disable=SC2086 # lists of words
$cc -Wall -Werror -o shared example.c $flags || fail "cc $flags"
LD_LIBRARY_PATH=$libdir ./shared "$work/shared-store" >"$work/out" ||
	fail 'linked with the shared library'
grep -qx 'run 1 times' "$work/out" || fail 'shared'
ldd shared | grep -q libkvfs-engine || fail 'it is not shared'

unset PKG_CONFIG_SYSROOT_DIR
private=$(pkg-config --static --libs-only-l kvfs-engine |
	sed 's/-lkvfs-engine//')
cflags=$(PKG_CONFIG_SYSROOT_DIR=$work/root pkg-config --cflags kvfs-engine)
# shellcheck disable=SC2086
$cc -Wall -Werror $cflags -o static example.c "$libdir/libkvfs-engine.a" \
	$private -pthread || fail 'linking the archive'
./static "$work/static-store" >"$work/out" || fail 'linked with the archive'
grep -qx 'run 1 times' "$work/out" || fail 'static'

# Visible is what the headers declare.
python3 - "$root" >"$work/declared" <<'END'
import re, sys
for header in ("kv.h", "buf.h"):
    text = open(sys.argv[1] + "/engine/" + header).read()
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    text = re.sub(r"static inline[^;{]*\{.*?\n\}", "", text, flags=re.S)
    text = re.sub(r"#.*", "", text)
    for name in re.findall(r"^[a-z][\w ]*[ *](\w+)\([^;{]*\);", text, re.M):
        if not name.endswith("_fn"):
            print(name)
END
sort -o declared declared
[ "$(wc -l <declared)" -gt 25 ] || fail 'the headers were not understood'
nm -D --defined-only "$libdir/libkvfs-engine.so" |
	sed 's/.* //; s/@.*//' | grep -v '^KVFS_ENGINE' | sort -u >shared.names
diff declared shared.names >&2 || fail 'the shared library shows other names'
nm -g --defined-only "$libdir/libkvfs-engine.a" | sed -n 's/.* [A-Z] //p' |
	sort -u >static.names
diff declared static.names >&2 || fail 'the archive shows other names'
case $(find "$libdir" -name 'libkvfs-engine.so.0') in
'') fail 'no soname' ;;
esac

# A program that loads it by itself, late: then there is room for little data
# of threads. Once loaded it stays, whoever closes it.
size=$(readelf -lW "$libdir/libkvfs-engine.so" |
	sed -n 's/^ *TLS *0x[^ ]* *0x[^ ]* *0x[^ ]* *0x[^ ]* *\(0x[^ ]*\).*/\1/p')
[ -n "$size" ] || fail 'readelf was not understood'
[ "$((size))" -le 64 ] || fail "$((size)) bytes of data for each thread"
python3 - "$libdir/libkvfs-engine.so" <<'END' || fail 'loading it'
import ctypes, sys
engine = ctypes.CDLL(sys.argv[1])
dlclose = ctypes.CDLL(None).dlclose
dlclose.argtypes = [ctypes.c_void_p]
assert dlclose(engine._handle) == 0
assert "libkvfs-engine" in open("/proc/self/maps").read()
END
