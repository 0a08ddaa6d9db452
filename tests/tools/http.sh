#!/bin/sh
# SPDX-License-Identifier: MIT
# tools/HTTP.md's configuration, run by a real nginx on a mount.
. "$(dirname "$0")/lib.sh"
need_mount
for tool in nginx curl python3; do
	command -v "$tool" >/dev/null || {
		echo "SKIP: no $tool"
		exit 77
	}
done
nginx -V 2>&1 | grep -q http_dav_module || {
	echo "SKIP: nginx without its WebDAV module"
	exit 77
}

root=$(cd "$(dirname "$0")/../.." && pwd)
store=$work/store
point=$work/mnt
mount_store "$store" "$point"
mkdir -m 700 "$point/.uploads"

# A port that is free now. Nobody else is asked to leave it alone: try again.
free_port() {
	python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

start_nginx() {
	port=$(free_port)
	# shellcheck disable=SC2016 # the back quotes are Markdown's
	sed -n '/^```nginx/,/^```/p' "$root/tools/HTTP.md" | grep -v '^```' |
		sed "s,/mnt/kv,$point,; s,127.0.0.1:8080,127.0.0.1:$port," \
			>"$work/server.conf"
	grep -q dav_methods "$work/server.conf" || fail 'no configuration'
	{
		user=
		[ "$(id -u)" -ne 0 ] || user='user root;'
		echo "$user daemon off; pid $work/nginx.pid;"
		echo "error_log $work/nginx.log; events {}"
		echo "http { access_log off;"
		for path in proxy fastcgi uwsgi scgi; do
			echo "${path}_temp_path $work/nginx-$path;"
		done
		cat "$work/server.conf"
		echo "}"
	} >"$work/nginx.conf"
	nginx -e "$work/nginx.log" -c "$work/nginx.conf" \
		>"$work/nginx.out" 2>&1 &
	nginx_pid=$!
	until curl -s -o /dev/null "http://127.0.0.1:$port/"; do
		kill -0 "$nginx_pid" 2>/dev/null || return 1
	done
}

stop_nginx() {
	kill -TERM "$nginx_pid" 2>/dev/null || :
	wait "$nginx_pid" 2>/dev/null || :
}

for attempt in 1 2 3; do
	start_nginx && break
	[ "$attempt" -lt 3 ] || fail "nginx: $(cat "$work/nginx.out")"
done
trap 'stop_nginx; cleanup' EXIT

url=http://127.0.0.1:$port

# http CODE ARGUMENT...: the answer is in $work/out.
http() {
	code=$1
	shift
	got=$(curl -s -o "$work/out" -w '%{http_code}' "$@") || fail "curl $*"
	[ "$got" = "$code" ] || fail "curl $*: $got, not $code"
}

# PUT, seen by GET, in the mount and by kvctl.
printf 'Ada' >"$work/value"
http 201 -T "$work/value" "$url/user/42"
http 200 "$url/user/42"
out_is Ada
[ "$(cat "$point/user/42")" = Ada ] || fail 'in the mount'
expect 0 get "$point" user/42
out_is Ada
# Replaced, empty, large.
printf 'Grace' >"$work/value"
http 204 -T "$work/value" "$url/user/42"
http 200 "$url/user/42"
out_is Grace
: >"$work/value"
http 201 -X PUT --data-binary "@$work/value" "$url/empty"
[ -e "$point/empty" ] || fail 'empty'
[ ! -s "$point/empty" ] || fail 'not empty'
head -c 5000000 /dev/urandom >"$work/value"
http 201 -T "$work/value" "$url/large"
http 200 "$url/large"
cmp "$work/out" "$work/value" || fail 'large'
http 206 -r 1000000-1000099 "$url/large"
[ "$(wc -c <"$work/out")" -eq 100 ] || fail 'a range'

# A listing.
http 200 "$url/user/"
python3 -c 'import json, sys
entries = json.load(open(sys.argv[1]))
assert [(e["name"], e["type"], e["size"]) for e in entries] == \
    [("42", "file", 5)], entries' "$work/out" || fail 'the listing'

# MOVE, MKCOL, DELETE.
http 201 -X MKCOL "$url/dir/"
http 204 -X MOVE -H "Destination: $url/dir/moved" "$url/user/42"
[ "$(cat "$point/dir/moved")" = Grace ] || fail 'MOVE'
http 404 "$url/user/42"
http 204 -X DELETE "$url/dir/moved"
http 404 "$url/dir/moved"
http 404 -X DELETE "$url/absent"

# What kvctl sets, nginx gives; counters; no way to uploads.
expect 0 set "$point" from-kvctl value
http 200 "$url/from-kvctl"
out_is value
http 200 "$url/.stats"
grep -qx 'health ok' "$work/out" || fail '.stats'
http 200 "$url/.kvfs/metrics"
grep -q '^kvfs_files ' "$work/out" || fail 'metrics'
http 404 "$url/.uploads/"
[ -z "$(find "$point/.uploads" -type f)" ] || fail 'an upload was left'

# After a restart of both.
stop_nginx
expect 0 umount "$point"
mount_store "$store" "$point"
expect 0 get "$point" large
cmp "$work/out" "$work/value" || fail 'large, mounted again'
