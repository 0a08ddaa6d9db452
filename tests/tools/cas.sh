#!/bin/sh
# SPDX-License-Identifier: MIT
# cas changes a value only if it is what was expected.
. "$(dirname "$0")/lib.sh"

body() {
	expect 1 cas "$target" k old new
	expect 1 exists "$target" k
	expect 0 set "$target" k old
	expect 1 cas "$target" k ol new
	expect 1 cas "$target" k older new
	expect 1 cas "$target" k '' new
	value_is k old
	expect 0 cas "$target" k old new
	value_is k new
	expect 1 cas "$target" k old newer
	value_is k new
	expect 0 cas "$target" k new ''
	expect 0 cas "$target" k '' x

	expect 1 cas --absent "$target" k y
	value_is k x
	expect 0 cas --absent "$target" d/new y
	value_is d/new y
	expect 1 cas --absent "$target" d y

	expect 2 cas "$target" d old new
	expect 2 cas "$target" k x
	expect 2 cas --absent "$target" k x y

	# One of many wins.
	if [ "$mode" = mount ]; then
		: >"$work/won"
		for i in 1 2 3 4 5 6; do
			(if "$kvctl" cas -a "$target" prize "$i"; then
				echo "$i" >>"$work/won"
			fi) &
		done
		wait
		[ "$(wc -l <"$work/won")" -eq 1 ] || fail 'not one winner'
		value_is prize "$(cat "$work/won")"
	fi
}

on_both body
