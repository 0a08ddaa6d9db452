/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the fuzz targets share. Each target is a program of its own: with
 * libFuzzer (meson's option fuzz) one that searches, without it one that replays
 * the inputs it is given (replay.c).
 *
 * Checksums would keep a fuzzer out of everything behind them. So the first byte
 * of an input says whether they are checked: 0 as ever, else every checksum is
 * 0, those that are written too.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/buf.h"
#include "engine/io.h"
#include "tests/seam/quick_io.h"

/* The target. Always 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Calls fuzz_put_seed for each input to begin with. */
void fuzz_make_seeds(void);

void fuzz_put_seed(const char *name, const void *bytes, size_t size);

/* One of `size` bytes, up to 1024, that are as good as any. */
void fuzz_put_random_seed(const char *name, uint64_t random, size_t size);

/* Takes the first byte off the input; checksums are as it says from here on. */
struct slice fuzz_begin(const uint8_t *data, size_t size);
void fuzz_ignore_checksums(bool ignore);

/* A directory of the program's own, made empty by this. */
const char *fuzz_directory(void);
int fuzz_directory_fd(void);
void fuzz_put_file(const char *name, const void *bytes, size_t size);

/*
 * A store's files as an input: of each a byte for the kind (0 the manifest, 1 a
 * segment, 2 a run), one for its id, its size (u32), and the size of what follows
 * (u32): its bytes but for the zeros at the end.
 */
void fuzz_unpack(struct slice input);
void fuzz_pack(struct buf *input);
