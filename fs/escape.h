/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Keys and paths. A key, as kvctl takes it, is any byte string; a path is file
 * names joined by '/', as the mount shows it. '/' in a key separates file
 * names, and nearly every key is its own path. Only a component that cannot be
 * a file name is escaped:
 *
 *	component of the key            its file name
 *	empty                           %~
 *	.                               %~.
 *	..                              %~..
 *	NUL in it: a\0b                 %~a%00b
 *	over 255 bytes                  %+<first 253 bytes>/%~<the rest>
 *	looks like one of these: %~.    %~%25~.
 *
 * An escaped component is its bytes with NUL written %00 and '%' written %25,
 * cut into pieces of at most 253 bytes (never inside a %XX). The last piece
 * follows "%~", those before it follow "%+" and so are directories. Names with
 * '%' in them that are none of these stay as they are: "100%" is "100%".
 *
 * Decoding accepts exactly what encoding makes; any other name is itself. So
 * for every key, decode(encode(key)) is the key, and for every path that has no
 * directory named like a piece by hand, encode(decode(path)) is the path.
 *
 * Pure functions; no locks.
 */

#include "engine/buf.h"

/* Replaces *ret_path by the path of a key. The empty key has the path "%~". 0
 * or -ENOMEM. */
int escape_encode(struct slice key, struct buf *ret_path);

/* Replaces *ret_key by the key whose path this is. 0 or -ENOMEM. */
int escape_decode(struct slice path, struct buf *ret_key);
