#!/bin/sh
# SPDX-License-Identifier: MIT
# Each figure of .stats, stats.json and metrics against what is known from
# elsewhere: the files of the store, what the test did, the clock, /proc.
. "$(dirname "$0")/lib.sh"
need_mount
command -v python3 >/dev/null || {
	echo "SKIP: no python3"
	exit 77
}

store=$work/store
target=$work/mnt
mount_store "$store" "$target" -o segment_size=1M,compress=zlib,commit=1
cat >"$work/figures.py" <<'END'
import errno, json, os, re, subprocess, sys, time

kvctl, store, mnt = sys.argv[1:]

def figures():
    return json.load(open(mnt + "/.kvfs/stats.json"))

def text():
    lines = open(mnt + "/.stats").read().splitlines()
    return {line.split()[0]: line.split(None, 1)[1] for line in lines}

def tool(*args):
    subprocess.run([kvctl, *args], check=True, stdout=subprocess.DEVNULL)

def check(what, condition, *seen):
    if not condition:
        sys.exit("FAILED: %s: %r" % (what, seen))

def same(what, a, b):
    check(what, a == b, a, b)

begin = figures()
mounted = time.time()
same("version", begin["version"], subprocess.run(
    [kvctl, "version"], capture_output=True, text=True).stdout.split()[1])
same("store", begin["store"], store)
same("mountpoint", begin["mountpoint"], mnt)
same("files", begin["files"], 1)
same("health", begin["health"], "ok")
same("recovery", begin["recovery"], "clean")
same("read_only", begin["read_only"], False)
check("pid", "kvfs" in os.readlink("/proc/%d/exe" % begin["pid"]))
rss = int(open("/proc/%d/statm" % begin["pid"]).read().split()[1]) * 4096
check("resident_bytes", abs(rss - begin["resident_bytes"]) < 1 << 24,
      rss, begin["resident_bytes"])
check("time", abs(begin["time"] - time.time()) < 60)
uuid = begin["uuid"]
check("uuid", re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", uuid))

# Files and bytes; what is known: what we write.
data = b"compress me, please; " * 3000
noise = os.urandom(200000)
for i in range(50):
    with open(mnt + "/f%02d" % i, "wb") as f:
        f.write(data)
with open(mnt + "/noise", "wb") as f:
    f.write(noise)
    os.fsync(f.fileno())
after = figures()
same("files", after["files"], 52)
same("write_bytes", after["write_bytes"] - begin["write_bytes"],
     50 * len(data) + len(noise))
raw = after["value_bytes_raw"] - begin["value_bytes_raw"]
stored = after["value_bytes_stored"] - begin["value_bytes_stored"]
check("value_bytes_raw", raw >= 50 * len(data) + len(noise), raw)
check("value_bytes_stored", len(noise) <= stored < raw / 3, stored, raw)
ratio = after["value_bytes_raw"] / after["value_bytes_stored"]
check("compress_ratio", abs(after["compress_ratio"] - ratio) < 0.001,
      after["compress_ratio"], ratio)
check("sets", after["sets"] - begin["sets"] >= 51 * 3, after["sets"])
check("append_bytes", after["append_bytes"] >= stored)
check("lsn", after["lsn"] > begin["lsn"])
check("durable_lsn", begin["durable_lsn"] < after["durable_lsn"]
      <= after["lsn"])
check("syncs", after["syncs"] >= begin["syncs"] + 1)
check("disk_syncs", after["disk_syncs"] >= 1)
same("op mknod", after["ops"]["mknod"]["count"], 51)
same("op fsync", after["ops"]["fsync"]["count"], 1)
try:
    os.unlink(mnt + "/absent/nothing")
except OSError:
    pass

# Reads. The page cache has what was written: drop it by a new mount's doing.
read = figures()
os.posix_fadvise(os.open(mnt + "/noise", os.O_RDONLY), 0, 0,
                 os.POSIX_FADV_DONTNEED)
same("noise", open(mnt + "/noise", "rb").read(), noise)
now = figures()
check("read_bytes", len(noise) <= now["read_bytes"] - read["read_bytes"]
      <= len(noise) + (1 << 20), now["read_bytes"])
check("gets", now["gets"] > read["gets"])

# Lookups of what is not there.
misses = figures()["get_misses"]
for i in range(10):
    check("absent", not os.path.exists(mnt + "/absent%d" % i))
check("get_misses", figures()["get_misses"] >= misses + 10)

# Deletions become tombstones and dead bytes, compaction gives them back.
before = figures()
for i in range(40):
    os.unlink(mnt + "/f%02d" % i)
deadline = time.monotonic() + 60
while figures()["files"] > 12:
    check("deletes", time.monotonic() < deadline, figures()["deletes"])
now = figures()
same("files", now["files"], 12)
check("tombstones", now["tombstones"] >= before["tombstones"] + 40 * 3)
check("dead_bytes", now["dead_bytes"] > before["dead_bytes"])
check("live_bytes", now["live_bytes"] < before["live_bytes"])
tool("compact", mnt)
done = figures()
check("compactions", done["compactions"] >= before["compactions"] + 1)
check("compaction_freed_bytes", done["compaction_freed_bytes"] > 0)
check("compaction_copied_bytes", done["compaction_copied_bytes"] > 0)
check("last_compaction_time",
      abs(done["last_compaction_time"] - time.time()) < 60)
check("last_checkpoint_time",
      abs(done["last_checkpoint_time"] - time.time()) < 60)
check("dead after compaction", done["dead_bytes"] < now["dead_bytes"])

# What lies in the store's directory.
def on_disk():
    names = os.listdir(store)
    segments = sorted(n for n in names if n.endswith(".seg"))
    runs = [n for n in names if n.endswith(".run")]
    return segments, runs, names

for attempt in range(100):
    one = figures()
    segments, runs, names = on_disk()
    two = figures()
    if one["lsn"] == two["lsn"] and one["segments"] == two["segments"] \
            and one["runs"] == two["runs"]:
        break
check("segments", abs(one["segments"] - len(segments)) <= 1,
      one["segments"], segments)
same("runs", one["runs"], len(runs))
same("run_bytes", one["run_bytes"],
     sum(os.path.getsize(store + "/" + n) for n in runs))
ids = sorted(int(re.sub(r"\D", "", n) or 0, 10) for n in segments)
hexes = sorted(int(re.search(r"([0-9a-f]+)\.seg$", n).group(1), 16)
               for n in segments)
check("oldest_segment", one["oldest_segment"] in (ids[0], hexes[0]),
      one["oldest_segment"], segments)
# 0: none, after a compaction until the next change.
check("active_segment", one["active_segment"] in [0] + ids + hexes,
      one["active_segment"], segments)
check("disk_bytes", one["disk_bytes"] >= one["live_bytes"])
st = os.statvfs(mnt)
check("free_bytes", abs(st.f_bavail * st.f_frsize - one["free_bytes"])
      < 1 << 28, st.f_bavail * st.f_frsize, one["free_bytes"])

# Latency: what is shown is in order, and no longer than the test.
lasted = (time.time() - mounted) * 1e9 + 5e9
for name, op in figures()["ops"].items():
    check("percentiles of " + name,
          op["p50_ns"] <= op["p90_ns"] <= op["p99_ns"] <= op["p999_ns"], op)
    check("max of " + name, op["max_ns"] <= min(lasted, op["time_ns"]), op)
    check("p999 of " + name, op["p999_ns"] <= max(1.26 * op["max_ns"], 256),
          op)

# Errors are counted.
fsyncs = figures()["ops"]["lookup"]["errors"]
t = text()
for word in ("uptime_seconds files keys live_bytes dead_bytes disk_bytes segments "
             "oldest_segment active_segment runs tombstones lsn "
             "memtable_hits bloom_skips disk_syncs last_compaction_time "
             "last_checkpoint_time recovery health checkpoint_lsn "
             "compress_ratio scrubs").split():
    check(".stats lacks " + word, word in t)
same(".stats files", int(t["files"]), figures()["files"])
op = [v for k, v in t.items() if k.startswith("op_")]
check("ops in .stats", op and all("p999_us" in v and "max_us" in v
                                  for v in op), op)

# uptime by the clock.
check("uptime_seconds", abs(figures()["uptime_seconds"] - (time.time() - mounted)) <= 20)

# The three say the same.
metrics = {}
types = {}
helps = set()
sample = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(.*)\})? (\S+)$')
label = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"')
seen_families = []
page = open(mnt + "/.kvfs/metrics").read()
check("last line feed", page.endswith("\n"))
for line in page.splitlines():
    if line.startswith("# HELP "):
        name = line.split(" ", 3)[2]
        check("HELP twice", name not in helps, name)
        helps.add(name)
        continue
    if line.startswith("# TYPE "):
        _, _, name, kind = line.split(" ")
        check("TYPE twice", name not in types, name)
        check("TYPE before HELP", name in helps, name)
        check("kind", kind in ("counter", "gauge", "histogram"), kind)
        types[name] = kind
        seen_families.append(name)
        continue
    m = sample.match(line)
    check("a line of metrics", m is not None, line)
    name, labels, value = m.group(1), m.group(3) or "", float(m.group(4))
    rest = label.sub("", labels).replace(",", "")
    check("labels", rest == "", line)
    family = re.sub(r"_(bucket|sum|count)$", "", name)
    family = family if types.get(family) == "histogram" else name
    same("families come in one piece", family, seen_families[-1])
    check("a counter's name", types[family] != "counter"
          or name.endswith("_total"), name)
    check("sample twice", (name, labels) not in metrics, line)
    metrics[name, labels] = value
for (name, labels), value in metrics.items():
    if name.endswith("_bucket") and 'le="+Inf"' in labels:
        other = labels.replace(',le="+Inf"', "")
        same("+Inf", value, metrics[name[:-7] + "_count", other])
per_op = {}
for (name, labels), value in metrics.items():
    if name == "kvfs_op_seconds_bucket":
        op, le = re.fullmatch(r'op="(.*)",le="(.*)"', labels).groups()
        per_op.setdefault(op, []).append((float(le), value))
for op, buckets in per_op.items():
    same("order of buckets", buckets, sorted(buckets))
    check("cumulative", all(a[1] <= b[1] for a, b in
                            zip(buckets, buckets[1:])), op, buckets)
now = figures()
for name in ("files", "segments", "runs", "oldest_segment"):
    same("metric " + name, metrics["kvfs_" + name, ""], now[name])
same("metric sets", metrics["kvfs_sets_total", ""], now["sets"])
same("metric healthy", metrics["kvfs_healthy", ""], 1)
END
python3 "$work/figures.py" "$kvctl" "$store" "$target" || fail 'see above'

if command -v promtool >/dev/null; then
	promtool check metrics <"$target/.kvfs/metrics" >"$work/out" 2>&1 ||
		fail 'promtool'
elif [ "${CI-}" = true ]; then
	fail 'no promtool'
fi

# node_exporter's textfile collector takes *.prom files; a symbolic link does.
mkdir "$work/collector"
ln -s "$target/.kvfs/metrics" "$work/collector/kvfs.prom"
grep -q '^kvfs_files 12$' "$work/collector/kvfs.prom" || fail 'by symlink'

# An unclean end: recovery says what it did.
pid=$(sed -n 's/.*"pid": \([0-9]*\),.*/\1/p' "$target/.kvfs/stats.json")
echo last >"$target/last"
kill -9 "$pid"
expect 0 umount "$target"
mount_store "$store" "$target"
grep -qx 'recovery replayed' "$target/.stats" || fail 'recovery'
grep -q '^recovery_records [1-9]' "$target/.stats" || fail 'records'
