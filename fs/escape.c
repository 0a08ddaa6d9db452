/* SPDX-License-Identifier: MIT */

/*
 * The escape of key components that no file name can hold; see the header for
 * its form. Invariants:
 *	1. No two keys have one path: a component stays as it is only when it
 *	   could not be taken for an escape of another.
 *	2. What decodes to something else encodes back to the same bytes; this
 *	   is checked by doing it, not by arguing.
 * No state, no lock.
 */

#include "fs/escape.h"

#include <errno.h>
#include <string.h>

#include "fs/fs.h"

#define MARK_SIZE 2
#define PIECE_MAX (FS_NAME_MAX - MARK_SIZE)
/* A full piece ends before a %XX that does not fit any more. */
#define PIECE_FULL_MIN (PIECE_MAX - 2)

static const char mark_last[MARK_SIZE] = { '%', '~' };
static const char mark_more[MARK_SIZE] = { '%', '+' };

static bool has_mark(struct slice name, const char *mark)
{
	return name.size >= MARK_SIZE &&
	       memcmp(name.data, mark, MARK_SIZE) == 0;
}

/* Cuts the first name off *rest; false when there is none left. The slash
 * behind it goes as well, so "a/" is two names: "a" and an empty one. */
static bool next_component(struct slice *rest, bool *done,
			   struct slice *ret_component)
{
	const char *slash;

	if (*done)
		return false;
	slash = rest->size ? memchr(rest->data, '/', rest->size) : NULL;
	if (!slash) {
		*ret_component = *rest;
		*done = true;
		return true;
	}
	*ret_component = slice_of(rest->data,
				  (size_t)(slash - (const char *)rest->data));
	*rest = slice_from(*rest, ret_component->size + 1);
	return true;
}

/* Appends the bytes that an escaped body stands for. -EINVAL for no body. */
static int body_decode(struct slice body, struct buf *out)
{
	const char *p = body.data;
	size_t i = 0;
	int error = 0;

	while (i < body.size && !error) {
		if (p[i] != '%') {
			error = buf_append(out, p + i, 1);
			i++;
			continue;
		}
		if (body.size - i < 3)
			return -EINVAL;
		if (memcmp(p + i, "%00", 3) == 0)
			error = buf_append(out, "", 1);
		else if (memcmp(p + i, "%25", 3) == 0)
			error = buf_append(out, "%", 1);
		else
			return -EINVAL;
		i += 3;
	}
	return error;
}

static int body_encode(struct slice component, struct buf *out)
{
	const char *p = component.data;
	int error = 0;
	size_t i;

	for (i = 0; i < component.size && !error; i++) {
		if (p[i] == '\0')
			error = buf_append(out, "%00", 3);
		else if (p[i] == '%')
			error = buf_append(out, "%25", 3);
		else
			error = buf_append(out, p + i, 1);
	}
	return error;
}

static bool body_is_valid(struct slice body)
{
	const char *p = body.data;
	size_t i;

	for (i = 0; i < body.size; i++) {
		if (p[i] != '%')
			continue;
		if (body.size - i < 3 || (memcmp(p + i, "%00", 3) != 0 &&
					  memcmp(p + i, "%25", 3) != 0))
			return false;
		i += 2;
	}
	return true;
}

/* What no file name can be, whatever it looks like. */
static bool is_impossible(struct slice component)
{
	return component.size == 0 || component.size > FS_NAME_MAX ||
	       slice_equal(component, SLICE_LITERAL(".")) ||
	       slice_equal(component, SLICE_LITERAL("..")) ||
	       memchr(component.data, '\0', component.size);
}

/*
 * Whether this name is the escape of another component: it is when unwrapping
 * it, once or several times, arrives at something impossible. "%~%25~." does
 * (it is "%~.", which is "."), "%~a" does not, as nothing encodes "a" so.
 */
static int is_escape(struct slice name, bool *ret_is)
{
	struct buf inner = { 0 };
	struct buf outer = { 0 };
	struct buf swap;
	int error;

	*ret_is = false;
	error = buf_assign(&outer, name);
	while (!error && has_mark(buf_slice(&outer), mark_last)) {
		buf_clear(&inner);
		error = body_decode(slice_from(buf_slice(&outer), MARK_SIZE),
				    &inner);
		if (error)
			break;
		*ret_is = is_impossible(buf_slice(&inner));
		if (*ret_is)
			break;
		swap = outer;
		outer = inner;
		inner = swap;
	}
	buf_release(&inner);
	buf_release(&outer);
	return error == -EINVAL ? 0 : error;
}

/* Whether a name may be one but the last piece of a long component. */
static bool is_piece(struct slice name)
{
	return has_mark(name, mark_more) && name.size <= FS_NAME_MAX &&
	       name.size - MARK_SIZE >= PIECE_FULL_MIN &&
	       body_is_valid(slice_from(name, MARK_SIZE));
}

static int is_plain(struct slice component, bool *ret_plain)
{
	bool escape = true;
	int error = 0;

	if (!is_impossible(component) && !is_piece(component))
		error = is_escape(component, &escape);
	*ret_plain = !escape;
	return error;
}

/* The size of the longest piece of a body that ends on a boundary. */
static size_t piece_size(struct slice body)
{
	const char *p = body.data;
	size_t size = PIECE_MAX;

	if (body.size <= PIECE_MAX)
		return body.size;
	if (p[size - 1] == '%')
		return size - 1;
	if (p[size - 2] == '%')
		return size - 2;
	return size;
}

static int pieces_append(struct slice body, struct buf *path)
{
	size_t size;
	int error;

	while (body.size > PIECE_MAX) {
		size = piece_size(body);
		error = buf_append(path, mark_more, MARK_SIZE);
		if (!error)
			error = buf_append(path, body.data, size);
		if (!error)
			error = buf_append(path, "/", 1);
		if (error)
			return error;
		body = slice_from(body, size);
	}
	error = buf_append(path, mark_last, MARK_SIZE);
	return error ? error : buf_append(path, body.data, body.size);
}

static int component_encode(struct slice component, struct buf *path)
{
	struct buf body = { 0 };
	bool plain;
	int error;

	error = is_plain(component, &plain);
	if (error)
		return error;
	if (plain)
		return buf_append(path, component.data, component.size);
	error = body_encode(component, &body);
	if (!error)
		error = pieces_append(buf_slice(&body), path);
	buf_release(&body);
	return error;
}

int escape_encode(struct slice key, struct buf *ret_path)
{
	struct buf path = { 0 };
	struct slice component;
	bool done = false;
	bool first = true;
	int error = 0;

	while (!error && next_component(&key, &done, &component)) {
		if (!first)
			error = buf_append(&path, "/", 1);
		if (!error)
			error = component_encode(component, &path);
		first = false;
	}
	if (error) {
		buf_release(&path);
		return error;
	}
	buf_release(ret_path);
	*ret_path = path;
	return 0;
}

/*
 * Tries to read one escaped component at the start of a path: any number of
 * "%+" names and a "%~" name. 0 with the component and the bytes of path it
 * took; 1 when there is none.
 */
static int chain_decode(struct slice path, struct buf *component,
			size_t *ret_taken)
{
	struct slice rest = path;
	struct buf again = { 0 };
	struct slice name;
	bool done = false;
	bool same;
	int error = 0;

	buf_clear(component);
	for (;;) {
		if (!next_component(&rest, &done, &name) ||
		    (!has_mark(name, mark_more) && !has_mark(name, mark_last)))
			return 1;
		error = body_decode(slice_from(name, MARK_SIZE), component);
		if (error)
			return error == -EINVAL ? 1 : error;
		if (has_mark(name, mark_last))
			break;
	}
	*ret_taken = (size_t)((const char *)name.data + name.size -
			      (const char *)path.data);
	error = component_encode(buf_slice(component), &again);
	same = slice_equal(buf_slice(&again), slice_of(path.data, *ret_taken));
	buf_release(&again);
	return error ? error : !same;
}

static int path_decode(struct slice path, struct buf *component,
		       struct buf *key)
{
	struct slice name;
	struct slice rest;
	bool done = false;
	size_t taken;
	int error;

	for (;;) {
		taken = 0;
		error = chain_decode(path, component, &taken);
		if (error < 0)
			return error;
		name = buf_slice(component);
		if (error == 1) {
			rest = path;
			next_component(&rest, &done, &name);
			taken = name.size;
		}
		error = buf_append(key, name.data, name.size);
		if (error || taken == path.size)
			return error;
		error = buf_append(key, "/", 1);
		if (error)
			return error;
		path = slice_from(path, taken + 1);
	}
}

int escape_decode(struct slice path, struct buf *ret_key)
{
	struct buf component = { 0 };
	struct buf key = { 0 };
	int error;

	error = path_decode(path, &component, &key);
	buf_release(&component);
	if (error) {
		buf_release(&key);
		return error;
	}
	buf_release(ret_key);
	*ret_key = key;
	return 0;
}
