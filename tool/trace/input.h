/* input.h - a recorded file as text, line by line, whatever it is compressed with.
 *
 *   file  --read-->  compressed  --gzip, zstd, xz or nothing-->  window  --lines-->  reader
 *                                                               ^ grows to the longest line, INPUT_LINE
 *
 * Every line knows its number and where it begins in the text (not in the compressed file), so a reader can name the byte that it
 * does not understand. Memory: the window, twice the longest line, and the decompressor's own (at most 128 MiB by the file's wish,
 * else it is refused).
 */
#ifndef ALLOT_TRACE_INPUT_H
#define ALLOT_TRACE_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "trace/trace.h"

#define INPUT_LINE ((size_t)1 << 20) /* a longer line is refused */

struct line {
    const char *text; /* without its end; not terminated; good until the next line is read */
    size_t length;
    uint64_t number; /* from 1 */
    uint64_t byte;   /* of its beginning, from 0 */
    bool ended;      /* by a line's end, not by the text's: else its last number may be half of one */
};

struct input;
/* Takes the descriptor's contents from its beginning, of a pipe what comes; leaves the descriptor to the caller. Keeps about->bytes and ->read, and
 * sets ->truncated when the compressed file ends early. NULL with `error` set. */
struct input *input_open(int fd, struct trace_about *about, struct trace_error *error);
void input_close(struct input *input);

/* The text's beginning, nothing of it taken: `want` bytes (INPUT_LINE at most) where the text has them and they can be read. What was
 * wrong is met again when that part is read; `error`, if given, says it already, else stays as it is. */
const char *input_peek(struct input *input, size_t want, size_t *bytes, struct trace_error *error);
/* Takes up to `room` bytes of the text: how many, 0 at the end, -1: `error` says why. */
ssize_t input_read(struct input *input, void *to, size_t room, struct trace_error *error);
/* 1, 0 at the end, -1: `error` says why. What is left of a line where a compressed file ends early is not given. */
int input_line(struct input *input, struct line *line, struct trace_error *error);

/* -- words of a line, between blanks -- */
struct word {
    const char *text;
    size_t length;
};
struct line_words {
    const char *at, *end;
};
static inline struct line_words line_words(const struct line *line)
{
    return (struct line_words){line->text, line->text + line->length};
}
bool word_next(struct line_words *words, struct word *word);
bool word_is(struct word word, const char *text);
/* All of the word is the number, and it fits. `word_number`: decimal, or hexadecimal after 0x. `word_hex`: with or without 0x. */
bool word_number(struct word word, uint64_t *number);
bool word_hex(struct word word, uint64_t *number);

/* Says what is wrong at `at`, a place in the line: `WHAT 'its word', line 3, byte 57`. Returns -1. */
int line_wrong(struct trace_error *error, const struct line *line, const char *at, const char *what);

#endif
