#!/bin/sh
# SPDX-License-Identifier: MIT
# help tells of every command what the table says.
. "$(dirname "$0")/lib.sh"

expect 0 help
commands=$(sed -n 's/^  \([a-z][a-z]*\) .*/\1/p' "$work/out")
[ "$(echo "$commands" | wc -l)" -ge 12 ] || fail 'few commands'
for command in $commands; do
	expect 0 help "$command"
	head -n 1 "$work/out" | grep -q "^Usage: kvctl $command" ||
		fail "usage of $command"
	! grep -qE '.{81}' "$work/out" || fail "$command: a line is too long"
	cp "$work/out" "$work/help"
	expect 0 "$command" --help
	cmp -s "$work/out" "$work/help" || fail "kvctl $command --help"
done
expect 0 --help
expect 0 -h
expect 0 version
grep -Eq '^kvctl [0-9]+\.[0-9]+\.[0-9]+' "$work/out" || fail 'no version'
expect 0 --version

expect 2
err_has 'no command given'
expect 2 bogus
err_has 'bogus: no such command'
expect 2 help bogus
expect 2 list --bogus "$work"
err_has '--bogus is not an option'
expect 2 list "$work" --limit
err_has '--limit lacks its argument'
expect 2 get -x "$work" k
err_has '-x is not an option'

# A control character of a key does not break the one line.
expect 0 create "$work/store"
expect 1 get "$work/store" "$(printf 'a\nb\033c')"
[ "$(wc -l <"$work/err")" -eq 1 ] || fail 'more than one line'
err_has 'a\x0ab\x1bc: no such key'
