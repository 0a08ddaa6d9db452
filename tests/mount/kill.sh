#!/bin/sh
# SPDX-License-Identifier: MIT
# The daemon is killed under the load of several processes, again and again: an
# rsync, one that syncs each file, and some that replace, append, rename, link and
# unlink without ever syncing. Whatever system call was seen to succeed has
# lasting effect, of which a record is kept outside the mount: each file is as its
# last change left it, but for the one change under way, which has happened or
# not; and the store is sound. KILL_ROUNDS says how often.
. "$(dirname "$0")/lib.sh"
: "${KVCTL:?the kvctl to test}"
need_fuse
need_root
need rsync python3 pgrep
rounds=${KILL_ROUNDS:-50}

# Writes files one after another, syncs each, and notes what has returned.
cat >"$work/writer.py" <<'PYTHON'
import hashlib, os, sys
mnt, record, first = sys.argv[1], sys.argv[2], int(sys.argv[3])
log = open(record, "a")
open(record + ".started", "w").close()
i = first
try:
    while True:
        data = hashlib.sha256(b"%d" % i).digest() * (1 + i * 37 % 3000)
        name = "%s/synced/%d" % (mnt, i)
        fd = os.open(name, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.write(fd, data)
        os.fsync(fd)
        os.close(fd)
        log.write("%d\n" % i)
        log.flush()
        i += 1
except OSError:
    pass
PYTHON
cat >"$work/verify.py" <<'PYTHON'
import hashlib, os, sys
mnt, record, first = sys.argv[1], sys.argv[2], int(sys.argv[3])
acknowledged = {i for i in map(int, open(record)) if i >= first}
missing = set(acknowledged)
for name in os.listdir(mnt + "/synced"):
    i = int(name)
    missing.discard(i)
    data = hashlib.sha256(b"%d" % i).digest() * (1 + i * 37 % 3000)
    found = open("%s/synced/%d" % (mnt, i), "rb").read()
    if i in acknowledged:
        if found != data:
            sys.exit("file %d, which was synced, is not what was written" % i)
    elif not data.startswith(found):
        sys.exit("file %d is no prefix of what was written" % i)
if missing:
    sys.exit("synced, but not there: %s" % sorted(missing))
print(max(acknowledged, default=first - 1) + 1)
PYTHON
# Changes files at random. Each change is noted before, as a line, and after.
cat >"$work/change.py" <<'PYTHON'
import json, os, random, sys
mnt, record, first = sys.argv[1], sys.argv[2], int(sys.argv[3])
log = open(record, "a")
rng = random.Random(first)
names = ["n%d" % i for i in range(12)]

def note(line):
    log.write(json.dumps(line) + "\n")
    log.flush()

def put(name, data, flags):
    fd = os.open(name, os.O_CREAT | os.O_WRONLY | flags, 0o644)
    try:
        if os.write(fd, data) != len(data):
            raise OSError("killed in the middle")
    finally:
        os.close(fd)

def change(op, a, b, size, i):
    data = (b"%d " % i * size)[:size]
    if op == "replace":
        put(mnt + "/tmp", data, os.O_TRUNC)
        os.rename(mnt + "/tmp", mnt + "/" + a)
    elif op == "append":
        put(mnt + "/" + a, data, os.O_APPEND)
    elif op == "rename":
        os.rename(mnt + "/" + a, mnt + "/" + b)
    elif op == "link":
        os.link(mnt + "/" + a, mnt + "/" + b)
    else:
        os.unlink(mnt + "/" + a)

open(record + ".started", "w").close()
i = first
try:
    while True:
        what = [rng.choice(["replace", "replace", "append", "append",
                            "rename", "link", "unlink"]),
                *rng.sample(names, 2), rng.choice([10, 700, 5000, 60000]), i]
        note({"begin": what})
        try:
            change(*what)
            note({"done": i})
        except (FileNotFoundError, FileExistsError):
            note({"none": i})
        i += 1
except OSError:
    pass
PYTHON
# Follows the record; the change under way at the end has happened or not, which
# is noted for the next round. Prints the number to go on with.
cat >"$work/changed.py" <<'PYTHON'
import json, os, sys
mnt, record = sys.argv[1:3]
files, begun, last = {}, None, -1 # name: [contents], shared by hard links

def apply(state, op, a, b, size, i):
    state = {name: state[name] for name in state}
    data = (b"%d " % i * size)[:size]
    if op == "replace":
        state[a] = [data]
    elif op == "append":
        if a in state: # in place, for every name that it has
            old, new = state[a], [state[a][0] + data]
            state = {n: new if c is old else c for n, c in state.items()}
        else:
            state[a] = [data]
    elif op == "rename":
        # Two names of one file: rename(2) does nothing.
        if state.get(b) is not state[a]:
            state[b] = state.pop(a)
    elif op == "link":
        state[b] = state[a]
    else:
        del state[a]
    return state

for line in open(record):
    line = json.loads(line)
    if "begin" in line:
        begun, last = line["begin"], line["begin"][-1]
    else:
        if "done" in line:
            files = apply(files, *begun)
        begun = None

def on_disk():
    return {name: open(mnt + "/" + name, "rb").read()
            for name in os.listdir(mnt) if name != "tmp"}

def same(state):
    return {name: c[0] for name, c in state.items()} == found

found = on_disk()
outcome = "none"
if not same(files):
    if not begun:
        sys.exit("%s: not as the record has it" % mnt)
    op, name = begun[:2]
    try:
        after = apply(files, *begun)
    except KeyError:
        after = files
    if same(after):
        outcome = "done"
    elif op == "append" and after[name][0].startswith(found.get(name, b"-")):
        # A part of it, or a file that was made and not written to: undone.
        if name in files:
            os.truncate(mnt + "/" + name, len(files[name][0]))
        else:
            os.unlink(mnt + "/" + name)
        found = on_disk()
        if not same(files):
            sys.exit("%s: %s was cut, and more is wrong" % (mnt, begun[:3]))
    else:
        sys.exit("%s: neither with nor without %s" % (mnt, begun[:3]))
if begun:
    with open(record, "a") as log:
        log.write(json.dumps({outcome: last}) + "\n")
print(last + 1)
PYTHON
# Of what rsync copied, a file under its final name is whole: rsync renames.
verify_rsync() {
	rsync -rlcni --existing "$1/" "$mnt/copy/" >"$work/differ"
	grep '^>f' "$work/differ" >"$work/broken" || return 0
	fail "files under their final names are broken: $(cat "$work/broken")"
}

source=/usr/include/linux
[ -d "$source" ] || skip "no $source to copy"

start
mkdir "$mnt/synced" "$mnt/copy"
: >"$work/record"
changers="a b c"
for who in $changers; do
	mkdir "$mnt/$who"
	: >"$work/changes.$who"
	echo 0 >"$work/next.$who"
done
next=0
first=0
for round in $(seq "$rounds"); do
	pid=$(daemon_pid)
	rsync -a "$source/" "$mnt/copy/" >/dev/null 2>&1 &
	rsync_pid=$!
	python3 "$work/writer.py" "$mnt" "$work/record" "$next" &
	writer_pid=$!
	changer_pids=
	for who in $changers; do
		python3 "$work/change.py" "$mnt/$who" "$work/changes.$who" \
			"$(cat "$work/next.$who")" &
		changer_pids="$changer_pids $!"
	done
	# From when all of them are at work.
	for record in record changes.a changes.b changes.c; do
		until [ -e "$work/$record.started" ]; do sleep 0.01; done
		rm "$work/$record.started"
	done
	sleep "0.$((round * 7919 % 9 + 1))"
	kill -9 "$pid"
	wait "$rsync_pid" || :
	for pid in $writer_pid $changer_pids; do
		wait "$pid" || fail "round $round: a program failed otherwise"
	done
	gone
	"$KVCTL" check "$store" >/dev/null ||
		fail "round $round: check found something"
	start
	next=$(python3 "$work/verify.py" "$mnt" "$work/record" "$first") ||
		fail "round $round"
	# All that is there is read each time: not more and more.
	if [ $((round % 10)) -eq 0 ]; then
		rm -rf "$mnt/synced"
		mkdir "$mnt/synced"
		first=$next
	fi
	for who in $changers; do
		python3 "$work/changed.py" "$mnt/$who" "$work/changes.$who" \
			>"$work/next.$who" || fail "round $round"
		# The record is followed from its beginning: it has an end.
		[ $((round % 10)) -eq 0 ] || continue
		rm -rf "${mnt:?}/$who"
		mkdir "$mnt/$who"
		: >"$work/changes.$who"
	done
	verify_rsync "$source"
	# For rsync to have work again.
	rm -rf "$mnt/copy"
	mkdir "$mnt/copy"
done
changes=$(cat "$work"/next.* | awk '{ n += $1 } END { print n }')
echo "$rounds rounds, $next synced files and $changes changes intact"
stop
