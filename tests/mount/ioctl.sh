#!/bin/sh
# SPDX-License-Identifier: MIT
# Asking a live mount: what it is, compaction, checkpoint, check.
. "$(dirname "$0")/lib.sh"
need_fuse
need python3
start

py <<'END'
import time

def ioc(direction, number, size):
    return direction << 30 | size << 16 | ord("k") << 8 | number

INFO = ioc(2, 0x40, 64)
COMPACT, CHECK, CHECKPOINT = (ioc(0, n, 0) for n in (0x41, 0x42, 0x43))
STATUS = ioc(2, 0x44, 56)
PROBLEM = ioc(3, 0x45, 24 + 4096 + 512)
CANCEL = ioc(0, 0x46, 0)

root = os.open(".", os.O_RDONLY)

def status():
    raw = fcntl.ioctl(root, STATUS, bytes(56))
    names = "kind state id done total problems result".split()
    return dict(zip(names, struct.unpack("IIQQQQi12x", raw)))

def run(command):
    fcntl.ioctl(root, command)
    while status()["state"] == 1:
        time.sleep(0.01)
    return status()

pid, read_only, block, protocol, uuid = \
    struct.unpack("IIII16s32x", fcntl.ioctl(root, INFO, bytes(64)))
assert os.path.basename(os.readlink("/proc/%d/exe" % pid)).startswith("kvfs")
assert read_only == 0 and protocol == 1 and block >= 4096
assert status() == dict(kind=0, state=0, id=0, done=0, total=0, problems=0,
                        result=0)
# On a file as well as on a directory.
f = os.open("f", os.O_CREAT | os.O_RDWR)
assert fcntl.ioctl(f, INFO, bytes(64))[16:32] == uuid
for i in range(200):
    os.pwrite(f, os.urandom(100000), 0)
fcntl.ioctl(root, CHECKPOINT)
done = run(COMPACT)
assert (done["kind"], done["state"], done["result"], done["id"]) == \
    (1, 2, 0, 1), done
done = run(CHECK)
assert (done["kind"], done["result"], done["problems"], done["id"]) == \
    (2, 0, 0, 2), done
fails(errno.ENODATA, fcntl.ioctl, root, PROBLEM,
      bytearray(24 + 4096 + 512))
fcntl.ioctl(root, CANCEL)
fails(errno.ENOTTY, fcntl.ioctl, root, ioc(0, 0x7f, 0))
fails(errno.ENOTTY, fcntl.ioctl, f, 0x5401, bytes(64))
fails(errno.ENOTTY, fcntl.ioctl, f, 0x80086601, bytes(8))
END

if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
	restart -o allow_other
	chmod 755 "$work"
	cat >"$work/try.py" <<'END'
import fcntl, os, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x6b41)
END
	chmod 644 "$work/try.py"
	refused "Operation not permitted" setpriv --reuid=1234 --regid=1234 \
		--clear-groups "$(python3 -c 'import sys; print(sys.executable)')" \
		"$work/try.py" "$mnt"
fi
restart -o ro
py <<'END'
fails(errno.EROFS, fcntl.ioctl, os.open(".", os.O_RDONLY), 0x6b41)
END
