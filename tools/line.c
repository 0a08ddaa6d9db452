/* SPDX-License-Identifier: MIT */

/*
 * Reading lines. The editing library calls back without a context, so what it
 * needs is static; there is one terminal. One thread.
 */

#include "tools/line.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/words.h"

bool line_is_interactive(void)
{
	return isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1;
}

/* A line of standard input, as it is. */
static int line_read_plain(struct buf *ret_line)
{
	size_t capacity = 0;
	char *text = NULL;
	ssize_t size;
	int r;

	errno = 0;
	size = getline(&text, &capacity, stdin);
	if (size < 0) {
		r = ferror(stdin) ? (errno ? -errno : -EIO) : 1;
		clearerr(stdin);
		free(text);
		return r;
	}
	if (size && text[size - 1] == '\n')
		size--;
	r = buf_assign(ret_line, slice_of(text, (size_t)size));
	free(text);
	return r;
}

#if defined(HAVE_LIBEDIT) || defined(HAVE_READLINE)

#ifdef HAVE_LIBEDIT
#include <editline/readline.h>
#else
#include <readline/history.h>
#include <readline/readline.h>
#endif

#define HISTORY_MAX 1000
#define CANDIDATES_MAX 256

static struct {
	const char *history_path;
	line_complete_fn *fn;
	void *ctx;
	char *candidates[CANDIDATES_MAX];
	size_t count, next;
	bool active;
} line;

void line_candidate(struct slice word, bool more)
{
	struct buf text = { 0 };

	if (line.count == CANDIDATES_MAX)
		return;
	if (words_quote(&text, word) || buf_append(&text, "", 1)) {
		buf_release(&text);
		return;
	}
	rl_completion_append_character = more ? '\0' : ' ';
	/* From malloc(), which the library frees with. */
	line.candidates[line.count++] = (char *)text.data;
}

static char *candidate_next(const char *text, int state)
{
	(void)text;
	if (state == 0)
		line.next = 0;
	return line.next < line.count ? line.candidates[line.next++] : NULL;
}

/* The place of the word that begins at `begin`, and the first one. */
static size_t word_index(size_t begin, struct words *words)
{
	if (words_parse(words, slice_of(rl_line_buffer, begin)))
		return 1; /* an open quote: not the first */
	return words->count;
}

static char **complete(const char *text, int start, int end)
{
	struct words words = { 0 };
	struct buf word = { 0 };
	char **matches = NULL;
	size_t begin, index;

	line.count = 0;
	rl_attempted_completion_over = 1;
	if (words_last(slice_of(rl_line_buffer, (size_t)end), &begin, &word) ==
		    0 &&
	    begin == (size_t)start) {
		index = word_index(begin, &words);
		line.fn(line.ctx, index, index ? words.at[0] : "",
			buf_slice(&word));
		if (line.count)
			matches = rl_completion_matches(text, candidate_next);
	}
	words_release(&words);
	buf_release(&word);
	return matches;
}

static char word_breaks[] = " \t\n";

void line_init(const char *history_path, line_complete_fn *fn, void *ctx)
{
	if (!line_is_interactive())
		return;
	line.active = true;
	line.history_path = history_path;
	line.fn = fn;
	line.ctx = ctx;
	rl_readline_name = "kvctl";
	rl_attempted_completion_function = complete;
	rl_completer_word_break_characters = word_breaks;
	using_history();
	stifle_history(HISTORY_MAX);
	if (history_path)
		(void)read_history(history_path);
}

void line_finish(void)
{
	mode_t mask;

	if (!line.active || !line.history_path)
		return;
	/* Values are typed here, too: nobody else's business. */
	mask = umask(077);
	(void)write_history(line.history_path);
	umask(mask);
}

int line_read(const char *prompt, struct buf *ret_line)
{
	char *text;
	int r;

	if (!line.active)
		return line_read_plain(ret_line);
	errno = 0;
	text = readline(prompt);
	r = !text && errno == EINTR ? -EINTR : 1;
	/* Of what the editor shows, a signal may break off the writing: that
	 * is no error of what commands write after it. */
	clearerr(stdout);
	if (!text)
		return r;
	if (*text)
		add_history(text);
	r = buf_assign(ret_line, slice_of(text, strlen(text)));
	free(text);
	return r;
}

#else

void line_init(const char *history_path, line_complete_fn *fn, void *ctx)
{
	(void)history_path;
	(void)fn;
	(void)ctx;
}

void line_finish(void)
{
}

void line_candidate(struct slice word, bool more)
{
	(void)word;
	(void)more;
}

int line_read(const char *prompt, struct buf *ret_line)
{
	if (line_is_interactive()) {
		fputs(prompt, stdout);
		fflush(stdout);
	}
	return line_read_plain(ret_line);
}

#endif
