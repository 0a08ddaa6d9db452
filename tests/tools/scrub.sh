#!/bin/sh
# SPDX-License-Identifier: MIT
# scrub reads everything against its checksums, beside the work of a mount, and
# what it finds is in .stats and health.
. "$(dirname "$0")/lib.sh"

figure() {
	"$kvctl" stats --json "$target" |
		sed -n 's/^ *"'"$1"'": \([0-9]*\),*$/\1/p'
}

body() {
	head -c 3000000 /dev/urandom >"$work/big"
	expect 0 set "$target" dir/big --file "$work/big"
	expect 0 set "$target" small value
	expect 0 scrub "$target"
	out_is ''
	expect 16 scrub --rate soon "$target"
	expect 16 scrub
	expect 0 scrub --rate 0 "$target"
	if [ "$mode" = mount ]; then
		[ "$(figure scrubs)" = 2 ] || fail "scrubs: $(figure scrubs)"
		[ "$(figure last_scrub_problems)" = 0 ] || fail 'problems'
		[ "$(figure scrub_bytes)" -ge 3000000 ] ||
			fail "bytes: $(figure scrub_bytes)"
		now=$(date +%s)
		age=$((now - $(figure last_scrub_time)))
		[ "$age" -ge 0 ] || fail 'time'
		[ "$age" -lt 600 ] || fail 'time'
		# It keeps to its rate: 3 MB at 1 MiB a second take two
		# seconds at least.
		begin=$(date +%s%N)
		expect 0 scrub --rate 1M "$target"
		end=$(date +%s%N)
		[ $(((end - begin) / 1000000)) -ge 1500 ] || fail 'too fast'
		# The mount works meanwhile, and there is one job at a time.
		"$kvctl" scrub --rate 4K "$target" 2>"$work/err" &
		pid=$!
		head_start=0
		# Whether it has begun is seen by a check that is refused; one
		# that came first had it refused, and it is begun again.
		until
			kill -0 "$pid" 2>/dev/null || {
				"$kvctl" scrub --rate 4K "$target" \
					2>"$work/err" &
				pid=$!
			}
			sleep $head_start
			head_start=$((head_start + 1))
			"$kvctl" check "$target" >/dev/null 2>&1
			[ $? -eq 8 ] && kill -0 "$pid" 2>/dev/null
		do
			:
		done
		expect 0 set "$target" meanwhile works
		kill -TERM "$pid"
		status=0
		wait "$pid" || status=$?
		[ "$status" -eq 8 ] || fail "status $status"
		grep -qx 'kvctl: interrupted' "$work/err" || fail 'not told'
		# The daemon has stopped, too.
		expect 0 scrub "$target"
	fi
}

on_both body

# Damage: one bit of a large value.
damaged() {
	offset=$(LC_ALL=C grep -abo 'a very special pattern' \
		"$store"/*.seg | head -n 1 | sed 's/:a very.*//; s/.*://')
	segment=$(grep -la 'a very special pattern' "$store"/*.seg | head -n 1)
	printf 'A' | dd of="$segment" bs=1 seek="$offset" conv=notrunc \
		2>/dev/null
}
store=$work/damaged
expect 0 create "$store"
{
	head -c 60000 /dev/zero
	printf 'a very special pattern'
	head -c 60000 /dev/zero
} >"$work/value"
expect 0 set "$store" some/key --file "$work/value"
expect 0 set "$store" other fine
damaged
target=$store
expect 4 scrub "$store"
grep -q '^some/key: ' "$work/out" || fail 'the path is missing'
expect 4 scrub --json "$store"
grep -q '"path":"some/key"' "$work/out" || fail 'JSON'
mount_store "$store" "$work/mnt-damaged"
target=$work/mnt-damaged
expect 0 health "$target"
expect 4 scrub "$target"
grep -q '^some/key: ' "$work/out" || fail 'the path is missing'
expect 1 health "$target"
grep -qx damaged "$work/out" || fail 'health'
grep -q 'problem.* found by the last scrub' "$work/out" || fail 'reason'
grep -q '^last_scrub_problems [1-9]' "$target/.stats" || fail '.stats'
expect 1 health --quiet "$target"
out_is ''
