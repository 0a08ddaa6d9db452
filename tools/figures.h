/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What stats.json says, for programs of ours: the text's lines taken apart.
 * Not a reader of any JSON: of the one that fs/stats_text.c writes, a value a
 * line.
 */

#include <stddef.h>
#include <stdint.h>

#include "engine/buf.h"

#define FIGURES_OPS_MAX 64

struct figure_op {
	char name[24];
	uint64_t count, errors, time_ns, p50_ns, p99_ns, max_ns;
};

struct figures {
	char *text; /* NUL-terminated copy */
	struct figure_op ops[FIGURES_OPS_MAX];
	size_t op_count;
};

/* 0 or -ENOMEM. */
int figures_parse(struct slice json, struct figures *ret_figures);
void figures_release(struct figures *figures);

/* A number by its name; 0 when there is none. */
uint64_t figures_number(const struct figures *figures, const char *name);
/* A string, copied into dst as it stands in the JSON; "" when there is none. */
const char *figures_string(const struct figures *figures, const char *name,
			   char *dst, size_t size);
/* NULL when there is none. */
const struct figure_op *figures_op(const struct figures *figures,
				   const char *name);
