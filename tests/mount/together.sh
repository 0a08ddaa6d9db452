#!/bin/sh
# SPDX-License-Identifier: MIT
# Many processes at a time, and a slow request that holds nobody up.
. "$(dirname "$0")/lib.sh"
need_fuse
need python3
start

py <<'END'
import hashlib, multiprocessing, random, shutil

def work(n):
    rng = random.Random(n)
    base = "p%d" % n
    os.mkdir(base)
    files = {}
    for step in range(400):
        name = "%s/%d" % (base, rng.randrange(50))
        what = rng.random()
        if what < 0.5:
            data = rng.randbytes(rng.choice([0, 10, 3000, 5000, 200000]))
            with open(name + ".tmp", "wb") as f:
                f.write(data)
                if rng.random() < 0.05:
                    os.fsync(f.fileno())
            os.rename(name + ".tmp", name)
            files[name] = hashlib.md5(data).digest()
        elif what < 0.7 and name in files:
            os.unlink(name)
            del files[name]
        elif name in files:
            with open(name, "rb") as f:
                assert hashlib.md5(f.read()).digest() == files[name]
        else:
            try:
                os.stat(name)
                raise AssertionError(name)
            except FileNotFoundError:
                pass
        if step % 50 == 0:
            assert sorted(base + "/" + n for n in os.listdir(base)) == \
                sorted(files)
    for name, digest in files.items():
        assert hashlib.md5(open(name, "rb").read()).digest() == digest

with multiprocessing.Pool(6) as pool:
    pool.map(work, range(6))
for n in range(6):
    shutil.rmtree("p%d" % n)
assert os.listdir(".") == []
END
