#!/bin/sh
# SPDX-License-Identifier: MIT
# shell runs lines as commands; its exit status is that of the last one.
. "$(dirname "$0")/lib.sh"

# shell STATUS LINE...
shell() {
	shell_status=$1
	shift
	printf '%s\n' "$@" >"$work/lines"
	status=0
	"$kvctl" shell "$target" <"$work/lines" >"$work/out" 2>"$work/err" ||
		status=$?
	[ "$status" -eq "$shell_status" ] ||
		fail "exit status $status, not $shell_status, of: $*"
}

body() {
	shell 0
	out_is ''
	shell 0 '# a comment' '' "set user/1 'Ada Lovelace'" 'get user/1' \
		'set a 1 b "two\nlines"' 'list' 'get b' 'incr a' \
		'append a "\x30"' 'get a' 'exists a b' 'delete user/1' \
		'list -p user' 'health'
	out_is 'Ada Lovelacea
b
user/1
two
lines2
20ok'
	# Options of one command are not those of the next.
	shell 0 'list --limit 1' 'list'
	out_is 'a
a
b'
	# The last one counts, and -e ends at the first that fails.
	shell 1 'get a' 'get absent'
	err_has 'absent: no such key'
	shell 0 'get absent' 'get a'
	shell 2 'nonsense'
	err_has 'nonsense: no such command'
	shell 2 'set a'
	shell 2 "get 'a"
	err_has 'quote'
	shell 2 'umount x'
	shell 2 'shell'
	shell 2 'create x'
	printf 'get absent\nget a\n' | expect 1 shell -e "$target"
	out_is ''
	shell 7 'get a' 'exit 7' 'get b'
	out_is 20
	shell 1 'get absent' 'quit'
	shell 0 'help get'
	grep -q '^Usage: kvctl get' "$work/out" || fail 'help'
	shell 0 'get --help'
	shell 0 'version'
	# Without a line feed at the end.
	printf 'get a' | expect 0 shell "$target"
	out_is 20
	expect 0 shell -c 'get a' "$target"
	out_is 20
	expect 1 shell -c 'get absent' "$target"
	# What a command reads comes from the same input.
	printf 'set stdin -\nthe rest\nof it' | expect 0 shell "$target"
	value_is stdin 'the rest
of it'
	expect 0 delete "$target" stdin
	# What was set is there for others.
	value_is a 20
}

on_both body

# At a terminal: editing, completion, history.
command -v python3 >/dev/null || exit 0
expect 0 create "$work/store"
expect 0 set "$work/store" user/ada 1 user/grace 2 'with space' 3
cat >"$work/terminal.py" <<'END'
import os, pty, re, select, signal, sys, time

kvctl, store, history = sys.argv[1:]
os.environ["KVCTL_HISTORY"] = history
os.environ["TERM"] = "xterm"

def session(steps, end=b"\x04"):
    """Types each step once what it waits for has come. The exit status."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(kvctl, [kvctl, "shell", store])
    seen = b""
    def wait_for(text):
        nonlocal seen
        deadline = time.monotonic() + 30
        while text not in seen:
            ready = select.select([fd], [], [],
                                  max(0, deadline - time.monotonic()))[0]
            if not ready:
                sys.exit("FAILED: no %r in %r" % (text, seen))
            try:
                data = os.read(fd, 4096)
            except OSError:
                sys.exit("FAILED: ended before %r: %r" % (text, seen))
            seen += data
        seen = seen.split(text, 1)[1]
    wait_for(b"kvctl> ")
    for typed, expected in steps:
        os.write(fd, typed)
        wait_for(expected)
    # Between two lines the terminal is not the editor's: what comes then as
    # an end of file is none later, but part of the line: that is emptied,
    # and the end typed once more, until it is taken.
    os.write(fd, end)
    deadline = time.monotonic() + 60
    while True:
        if time.monotonic() > deadline:
            sys.exit("FAILED: %r: it does not end: %r" % (steps, seen))
        try:
            if not select.select([fd], [], [], 1)[0]:
                os.write(fd, b"\x15" + end)
                continue
            data = os.read(fd, 4096)
            seen += data
            if not data:
                break
        except OSError:
            break
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

status = session([
    (b"get user/ada\r", b"1kvctl> "),
    (b"exists nothing\r", b"kvctl> "),
])
if status != 1:
    sys.exit("FAILED: status %d at EOF" % status)
if len(sys.argv) and os.environ.get("EDITING") == "no":
    sys.exit(0)
status = session([
    (b"ge\tuser/a\t\r", b"1kvctl> "),
    (b"get wi\t\r", b"3kvctl> "),
    (b"list --lim\t1 --pre\tuser/\r", b"user/ada\r\nkvctl> "),
    (b"\x10\x10\r", b"3kvctl> "),
    (b"version\r", b"kvctl> "),
])
if status != 0:
    sys.exit("FAILED: status %d" % status)
text = open(history).read()
if "version" not in text or os.stat(history).st_mode & 0o077:
    sys.exit("FAILED: history: %r" % text)
# History of the session before; ^C ends a line, not the session. libedit's
# handler sends the signal on to ours: the thread sanitizer puts such a one off
# until a call that may never come.
steps = [(b"\x10\r", b"kvctl> ")]
if b"__tsan_init" not in open(kvctl, "rb").read():
    steps += [(b"get user", b"get user"), (b"\x03", b"kvctl> ")]
steps += [(b"get user/grace\r", b"2kvctl> ")]
status = session(steps)
if status != 0:
    sys.exit("FAILED: status %d after %r" % (status, steps))
END
case $(ldd "$kvctl" 2>/dev/null || :) in
*libedit* | *libreadline*) EDITING=yes ;;
*) EDITING=no ;;
esac
export EDITING
timeout 100 python3 "$work/terminal.py" "$kvctl" "$work/store" \
	"$work/history" || fail 'at a terminal'
