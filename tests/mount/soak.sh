#!/bin/sh
# SPDX-License-Identifier: MIT
# A long life: files are replaced, written into, appended to and removed by
# several processes, compacted and remounted, cycle after cycle. Every cycle what
# is read is what was written, the disk takes no more than what compaction leaves
# (twice the live data and some segments: compact_ratio is 50), and neither memory
# nor descriptors of a daemon grow from its second cycle on, but for the memory
# that an option lets the index fill by and by. Times are printed, not judged.
# SOAK_SECONDS is how long, CYCLE_SECONDS of which are a cycle; with
# SOAK_MEMORY=printed memory is not judged either (sanitizers hold it back).
. "$(dirname "$0")/lib.sh"
: "${KVCTL:?the kvctl to test}"
need_fuse
need python3
seconds=${SOAK_SECONDS:-20}
cycle_seconds=${CYCLE_SECONDS:-5}
segment_kib=2048
memory_kib=16384
options=segment_size=2M,memory=${memory_kib}K,commit=1
workers="a b c"

# Changes files of pages, each of which says when it was written; then reads all.
cat >"$work/worker.py" <<'PYTHON'
import collections, json, os, random, sys, time
top, state, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
PAGE, PAGES, FILES = 4096, 64, 300
try:
    files, serial, times = json.load(open(state))
except FileNotFoundError:
    files, serial, times = {}, 0, {}
rng = random.Random(serial)

def page(number):
    return (b"%15d\n" % number) * (PAGE // 16)

def write(path, flags, offset, numbers):
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | flags, 0o644)
    data = b"".join(page(n) for n in numbers)
    assert os.pwrite(fd, data, offset * PAGE) == len(data)
    os.close(fd)

def step():
    global serial
    serial += 1
    name = "%s/%d" % (top, rng.randrange(FILES))
    have = files.get(name, [])
    what = rng.choice(["replace", "write", "write", "append", "remove"])
    if what == "remove" and have and rng.random() < 0.3:
        os.unlink(name)
        del files[name]
    elif what == "append" and 0 < len(have) < PAGES:
        write(name, 0, len(have), [serial])
        have.append(serial)
    elif what == "write" and have:
        at = rng.randrange(len(have))
        write(name, 0, at, [serial])
        have[at] = serial
    else:
        what = "replace"
        files[name] = [serial] * rng.randrange(1, PAGES)
        write(name + ".new", os.O_TRUNC, 0, files[name])
        os.rename(name + ".new", name)
    return what

def timed(what, begin):
    us = int((time.monotonic() - begin) * 1e6)
    buckets = times.setdefault(what, {})
    key = str(us.bit_length())
    buckets[key] = buckets.get(key, 0) + 1

end = time.monotonic() + seconds
while time.monotonic() < end:
    begin = time.monotonic()
    timed(step(), begin)
for name, numbers in files.items():
    begin = time.monotonic()
    data = open(name, "rb").read()
    timed("read", begin)
    assert data == b"".join(page(n) for n in numbers), name
there = {top + "/" + name for name in os.listdir(top)}
assert there == set(files), there ^ set(files)
json.dump([files, serial, times], open(state, "w"))
print(sum(len(numbers) for numbers in files.values()) * PAGE // 1024)
PYTHON

# Of all processes: for each operation how many took less than so long.
cat >"$work/times.py" <<'PYTHON'
import collections, json, sys
total = collections.defaultdict(collections.Counter)
for path in sys.argv[1:]:
    for what, buckets in json.load(open(path))[2].items():
        for key, count in buckets.items():
            total[what][int(key)] += count
for what, buckets in sorted(total.items()):
    count = sum(buckets.values())
    print("%s: %d, none slower than %.1f ms" %
          (what, count, 2 ** max(buckets) / 1000))
    below = 0
    for key in range(min(buckets), max(buckets) + 1):
        below += buckets[key]
        print("  < %9d us %8d  %7.3f%%" %
              (2 ** key, buckets[key], 100 * below / count))
PYTHON

daemon() {
	sed -n 's/.*"pid": \([0-9]*\),.*/\1/p' "$mnt/.kvfs/stats.json"
}
# Its own memory; pages of the store's files come and go with what is read.
resident_kib() {
	sed -n 's/^RssAnon:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$(daemon)/status"
}
descriptors() {
	find "/proc/$(daemon)/fd" -mindepth 1 | wc -l
}
disk_kib() {
	# Files come and go meanwhile.
	du -sk "$store" 2>/dev/null | cut -f1
}

# Waits for compaction in the background, which has its own pace.
check_disk() {
	bound=$((2 * live_kib + 8 * segment_kib))
	for _ in $(seq 60); do
		disk=$(disk_kib)
		[ "$disk" -gt "$bound" ] || return 0
		sleep 1
	done
	fail "$disk KiB on disk for $live_kib KiB of data"
}

run_cycle() {
	pids=
	for who in $workers; do
		mkdir -p "$mnt/$who"
		python3 "$work/worker.py" "$mnt/$who" "$work/state.$who" \
			"$cycle_seconds" >"$work/live.$who" &
		pids="$pids $!"
	done
	for pid in $pids; do
		wait "$pid" || fail "what is read is not what was written"
	done
	live_kib=$(cat "$work"/live.* | awk '{ n += $1 } END { print n }')
}

# Not more than at the end of the daemon's second cycle, but for a little.
check_growth() {
	resident=$(resident_kib)
	open=$(descriptors)
	if [ "$age" -eq 2 ]; then
		early_resident=$resident
		early_open=$open
	elif [ "$age" -gt 2 ]; then
		[ "${SOAK_MEMORY:-}" = printed ] ||
			[ "$resident" -le $((early_resident + memory_kib)) ] ||
			fail "$resident KiB of memory, $early_resident before"
		[ "$open" -le $((early_open + 16)) ] ||
			fail "$open descriptors, $early_open before"
	fi
}

start -o "$options"
age=0
cycle=0
end=$(($(date +%s) + seconds))
while [ "$(date +%s)" -lt "$end" ] || [ "$cycle" -lt 3 ]; do
	run_cycle
	cycle=$((cycle + 1))
	age=$((age + 1))
	check_disk
	check_growth
	echo "cycle $cycle: $live_kib KiB of data," \
		"disk $((disk * 100 / live_kib))% of it," \
		"memory $resident KiB, $open descriptors"
	if [ $((cycle % 4)) -eq 0 ]; then
		"$KVCTL" compact "$mnt" >/dev/null || fail 'compaction'
		disk=$(disk_kib)
		[ "$disk" -le $((live_kib * 6 / 5 + 8 * segment_kib)) ] ||
			fail "$disk KiB on disk after compaction"
		echo "compacted: disk $((disk * 100 / live_kib))%"
	fi
	if [ $((cycle % 40)) -eq 10 ]; then
		restart -o "$options"
		age=0
	fi
done
stop
"$KVCTL" check "$store" >/dev/null || fail 'the check found something'
python3 "$work/times.py" "$work"/state.*
