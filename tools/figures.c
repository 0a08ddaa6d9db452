/* SPDX-License-Identifier: MIT */

/*
 * Figures out of stats.json. Pure but for memory; no lock.
 */

#include "tools/figures.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Behind `"name": ` in `text`, NULL when it is not there. */
static const char *value_find(const char *text, const char *name)
{
	char quoted[64];

	snprintf(quoted, sizeof(quoted), "\"%s\": ", name);
	text = strstr(text, quoted);
	return text ? text + strlen(quoted) : NULL;
}

static uint64_t number_find(const char *text, const char *name)
{
	const char *value = value_find(text, name);

	return value ? strtoull(value, NULL, 10) : 0;
}

/* `    "lookup": {"count": 1, ...}` */
static void op_parse(struct figures *figures, const char *line)
{
	struct figure_op *op = &figures->ops[figures->op_count];
	char copy[512];

	snprintf(copy, sizeof(copy), "%.*s", (int)strcspn(line, "\n"), line);
	if (figures->op_count == FIGURES_OPS_MAX ||
	    sscanf(copy, " \"%23[^\"]\"", op->name) != 1)
		return;
	op->count = number_find(copy, "count");
	op->errors = number_find(copy, "errors");
	op->time_ns = number_find(copy, "time_ns");
	op->p50_ns = number_find(copy, "p50_ns");
	op->p99_ns = number_find(copy, "p99_ns");
	op->max_ns = number_find(copy, "max_ns");
	figures->op_count++;
}

int figures_parse(struct slice json, struct figures *ret_figures)
{
	struct figures figures = { .text = malloc(json.size + 1) };
	const char *line;

	if (!figures.text)
		return -ENOMEM;
	if (json.size)
		memcpy(figures.text, json.data, json.size);
	figures.text[json.size] = '\0';
	line = value_find(figures.text, "ops");
	for (line = line ? strchr(line, '\n') : NULL;
	     line && strncmp(line + 1, "    ", 4) == 0;
	     line = strchr(line + 1, '\n'))
		op_parse(&figures, line + 1);
	*ret_figures = figures;
	return 0;
}

void figures_release(struct figures *figures)
{
	free(figures->text);
	*figures = (struct figures){ 0 };
}

uint64_t figures_number(const struct figures *figures, const char *name)
{
	return figures->text ? number_find(figures->text, name) : 0;
}

const char *figures_string(const struct figures *figures, const char *name,
			   char *dst, size_t size)
{
	const char *value = figures->text ? value_find(figures->text, name) :
					    NULL;

	dst[0] = '\0';
	if (value && *value == '"')
		snprintf(dst, size, "%.*s", (int)strcspn(value + 1, "\"\n"),
			 value + 1);
	return dst;
}

const struct figure_op *figures_op(const struct figures *figures,
				   const char *name)
{
	size_t i;

	for (i = 0; i < figures->op_count; i++) {
		if (strcmp(figures->ops[i].name, name) == 0)
			return &figures->ops[i];
	}
	return NULL;
}
