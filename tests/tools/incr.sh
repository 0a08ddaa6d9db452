#!/bin/sh
# SPDX-License-Identifier: MIT
# incr counts, and loses no count when several do so at the same time.
. "$(dirname "$0")/lib.sh"

count_to_fifty() {
	i=0
	while [ "$i" -lt 50 ]; do
		"$kvctl" incr "$target" race >/dev/null || exit 1
		i=$((i + 1))
	done
}

body() {
	expect 0 incr "$target" n/count
	out_is 1
	expect 0 incr "$target" n/count --by 41
	out_is 42
	expect 0 incr "$target" n/count --by -43
	out_is -1
	value_is n/count -1
	printf '7\n' | "$kvctl" set "$target" n/line -
	expect 0 incr "$target" n/line
	out_is 8

	expect 0 set "$target" n/word word n/empty '' n/long \
		123456789012345678901234567890123456
	for key in n/word n/empty n/long; do
		expect 2 incr "$target" "$key"
		err_has "$key: its value is not a number"
	done
	expect 0 set "$target" n/max 9223372036854775807
	expect 2 incr "$target" n/max
	value_is n/max 9223372036854775807
	expect 2 incr "$target" n/count --by 1x
	expect 2 incr "$target" n

	if [ "$mode" = mount ]; then
		count_to_fifty &
		one=$!
		count_to_fifty &
		two=$!
		wait "$one" || fail 'a count failed'
		wait "$two" || fail 'a count failed'
		value_is race 100
	fi
}

on_both body
