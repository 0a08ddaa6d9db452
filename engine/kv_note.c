/* SPDX-License-Identifier: MIT */

/*
 * Notes: small files beside the store's own, each replaced as a whole. Nothing
 * depends on them, and recovery does not look at them. No lock: who keeps a note
 * is one at a time.
 */

#include <errno.h>

#include "engine/codec.h"
#include "engine/crc32.h"
#include "engine/kv_internal.h"

#define NOTE_MAX ((size_t)1 << 20)
#define CRC_BYTES 4u

static const char *const names[] = {
	[KV_NOTE_CHECK] = "CHECK",
	[KV_NOTE_SCRUB] = "SCRUB",
	[KV_NOTE_SCRUBBING] = "SCRUBBING",
};

int kv_note_store(struct kv *kv, enum kv_note note, struct slice bytes)
{
	struct buf file = { 0 };
	uint8_t crc[CRC_BYTES];
	struct writer w = writer_of(crc, sizeof(crc));
	int error;

	put_u32(&w, crc32_update(0, bytes.data, bytes.size));
	error = buf_append(&file, bytes.data, bytes.size);
	if (!error)
		error = buf_append(&file, crc, sizeof(crc));
	if (!error)
		error = io_replace_file(kv->io, kv->dir_fd, names[note],
					buf_slice(&file));
	buf_release(&file);
	return error;
}

int kv_note_load(struct kv *kv, enum kv_note note, struct buf *ret_bytes)
{
	struct buf file = { 0 };
	struct reader r;
	int error =
		io_read_file(kv->io, kv->dir_fd, names[note], NOTE_MAX, &file);

	if (error)
		return error == -ENOENT || error == -EFBIG ? 1 : error;
	if (file.size >= CRC_BYTES) {
		size_t size = file.size - CRC_BYTES;

		r = reader_of(slice_of(file.data + size, CRC_BYTES));
		if (get_u32(&r) == crc32_update(0, file.data, size)) {
			file.size = size;
			buf_release(ret_bytes);
			*ret_bytes = file;
			return 0;
		}
	}
	buf_release(&file);
	return 1;
}

int kv_note_remove(struct kv *kv, enum kv_note note)
{
	int error = io_unlink(kv->io, kv->dir_fd, names[note]);

	return error == -ENOENT ? 0 : error;
}
